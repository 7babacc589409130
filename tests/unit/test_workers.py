"""Threads: started when needed, bounded, with a stack that bears deep recursion, ended on close."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wasmexec._execution.threads import WORKER_STACK_BYTES, LoopThread, WorkerPool


def test_threads_start_only_when_all_others_are_busy() -> None:
    pool = WorkerPool(3, "test")
    seen: list[str] = []
    for _ in range(5):
        done = threading.Event()

        def job(done: threading.Event = done) -> None:
            seen.append(threading.current_thread().name)
            done.set()

        pool.submit(job)
        assert done.wait(5)
        time.sleep(0.01)
    assert set(seen) == {"test-1"}
    pool.close()


def test_no_more_threads_than_allowed_run_at_once_and_every_job_runs() -> None:
    pool = WorkerPool(3, "test")
    lock = threading.Lock()
    running = peak = finished = 0

    def job() -> None:
        nonlocal running, peak, finished
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.002)
        with lock:
            running -= 1
            finished += 1

    for _ in range(60):
        pool.submit(job)
    pool.close()
    assert (peak, finished) == (3, 60)


def test_a_closed_pool_takes_nothing_more_and_its_threads_are_gone() -> None:
    pool = WorkerPool(2, "test-closing")
    pool.submit(lambda: None)
    pool.close()
    pool.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-closing")]
    with pytest.raises(RuntimeError, match=r"^the worker pool is closed$"):
        pool.submit(lambda: None)


def test_a_pool_makes_do_with_the_threads_that_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = WorkerPool(3, "test")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match=r"^can't start new thread$"):
            pool.submit(lambda: None)
    gate, done = threading.Event(), threading.Event()
    pool.submit(lambda: assert_true(gate.wait(5)))
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        pool.submit(done.set)
    gate.set()
    assert done.wait(5)
    pool.close()


def assert_true(value: bool) -> None:
    assert value


def test_workers_have_the_large_stack_and_other_threads_keep_theirs() -> None:
    before = threading.stack_size()
    pool = WorkerPool(1, "test", stack_bytes=WORKER_STACK_BYTES)
    pool.submit(lambda: None)
    assert threading.stack_size() == before
    pool.close()


def test_the_loop_runs_what_it_is_given_on_its_own_thread() -> None:
    loop = LoopThread()
    threads: list[threading.Thread] = []
    done = threading.Event()

    def call(text: str) -> None:
        assert text == "argument"
        assert asyncio.get_running_loop().is_running()
        threads.append(threading.current_thread())
        done.set()

    loop.call(call, "argument")
    assert done.wait(5)
    assert [thread.name for thread in threads] == ["wasmexec-loop"]
    loop.close()
    assert not threads[0].is_alive()


@pytest.mark.timing
def test_closing_the_loop_cancels_what_runs_on_it() -> None:
    loop = LoopThread()
    ended: list[str] = []
    started = threading.Event()

    async def wait() -> None:
        try:
            started.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    tasks: list[asyncio.Task[None]] = []
    loop.call(lambda: tasks.append(asyncio.get_running_loop().create_task(wait())))
    assert started.wait(5)
    begun = time.monotonic()
    loop.close()
    assert (ended, time.monotonic() - begun < 5) == (["cancelled"], True)
    loop.call(ended.append, "too late")
    assert ended == ["cancelled"]


def test_a_loop_that_was_never_used_has_no_thread() -> None:
    before = set(threading.enumerate())
    loop = LoopThread()
    loop.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "wasmexec-loop"]
