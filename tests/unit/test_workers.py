"""Threads: started when needed, bounded, with a stack that bears deep recursion, ended on close."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wasmexec._execution.threads import WORKER_STACK_BYTES, LoopThread, WorkerPool
from wasmexec._execution.timers import Timers
from wasmexec._execution.unclaimed import claim, own_thread, unclaimed_since


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


def test_a_job_that_waits_lets_another_work_and_takes_its_place_back() -> None:
    pool = WorkerPool(1, "test", most_threads=3)
    order: list[str] = []
    waits, released, ended = threading.Event(), threading.Event(), threading.Event()

    def waiting() -> None:
        pool.let_go()
        waits.set()
        assert released.wait(5)
        pool.take_back(lambda: None)
        order.append("waited")
        ended.set()

    def computing() -> None:
        assert waits.wait(5)
        released.set()
        time.sleep(0.05)
        order.append("computed")

    pool.submit(waiting)
    pool.submit(computing)
    pool.submit(lambda: order.append("last"))
    assert ended.wait(5)
    pool.close()
    assert order == ["computed", "waited", "last"]


def test_no_more_wait_than_there_may_be_threads() -> None:
    pool = WorkerPool(1, "test-many", most_threads=3)
    released = threading.Event()
    waiting = threading.Semaphore(0)

    def wait() -> None:
        pool.let_go()
        waiting.release()
        assert released.wait(5)
        pool.take_back()

    for _ in range(5):
        pool.submit(wait)
    for _ in range(3):
        assert waiting.acquire(timeout=5)
    assert not waiting.acquire(timeout=0.1)
    released.set()
    pool.close()
    assert waiting.acquire(timeout=1)
    assert waiting.acquire(timeout=1)


def test_whoever_is_stopped_while_it_waits_for_its_place_goes_on_at_once() -> None:
    pool = WorkerPool(1, "test", most_threads=3)
    busy, released, stopped = threading.Event(), threading.Event(), threading.Event()

    def stop() -> None:
        raise KeyError

    def waiting() -> None:
        pool.let_go()
        assert busy.wait(5)
        with pytest.raises(KeyError):
            pool.take_back(stop)
        stopped.set()

    def computing() -> None:
        busy.set()
        assert released.wait(5)

    pool.submit(waiting)
    pool.submit(computing)
    assert stopped.wait(5)
    done = threading.Event()
    pool.submit(done.set)
    assert not done.wait(0.05)
    released.set()
    assert done.wait(5)
    pool.close()


def test_timers_ring_in_order_and_not_once_they_are_cancelled() -> None:
    timers = Timers()
    rung: list[str] = []
    charged: list[float] = []
    done = threading.Event()
    now = time.monotonic()
    timers.at(now + 0.04, lambda: rung.append("second"), charged.append)
    timers.at(now + 0.02, lambda: rung.append("first"), charged.append)
    timers.cancel(timers.at(now + 0.03, lambda: rung.append("cancelled"), charged.append))
    timers.at(now + 0.06, done.set, charged.append)
    never = [timers.at(1e300, lambda: rung.append("never"), charged.append) for _ in range(1000)]
    for timer in never:
        timers.cancel(timer)
        timers.cancel(timer)
    assert len(timers._timers) < 200
    assert done.wait(5)
    timers.close()
    timers.close()
    assert rung == ["first", "second"]
    assert all(seconds > 0 for seconds in charged)
    timers.at(0.0, lambda: rung.append("too late"), charged.append)
    assert rung == ["first", "second"]


def test_whoever_has_the_thread_of_timers_woken_is_charged() -> None:
    timers = Timers()
    later: list[float] = []
    sooner: list[float] = []
    timers.at(time.monotonic() + 60, lambda: None, later.append)
    while not timers._wakes_at > 0:
        time.sleep(0.001)
    time.sleep(0.01)
    before = len(later)
    for seconds in (50, 40, 30):
        timers.cancel(timers.at(time.monotonic() + seconds, lambda: None, sooner.append))
        time.sleep(0.02)
    assert len(sooner) == 3
    # The thread sleeps until the first of them, and has no reason to look.
    timers.at(time.monotonic() + 55, lambda: None, sooner.append)
    time.sleep(0.02)
    assert (len(sooner), len(later)) == (3, before)
    timers.close()


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_all_of_a_thread_that_is_ours_is_claimed_once() -> None:
    claimed: list[float] = []
    used: list[float] = []

    def run() -> None:
        own_thread()
        compute(0.01)
        outer = unclaimed_since()
        compute(0.01)
        claimed.append(claim(unclaimed_since()))
        compute(0.01)
        claimed.append(claim(outer))
        used.append(time.thread_time())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert claimed[0] >= 0.02
    assert sum(claimed) == pytest.approx(used[0], abs=0.001)


def test_a_thread_of_the_callers_is_claimed_from_when_our_work_began() -> None:
    compute(0.01)
    since = unclaimed_since()
    compute(0.002)
    assert 0.002 <= claim(since) < 0.01
    compute(0.01)
    assert claim(unclaimed_since()) < 0.002


@pytest.mark.timing
def test_a_loop_that_goes_on_and_on_keeps_the_lock_from_nobody() -> None:
    """It lets go of it for each look at its sockets, but for too short: without pauses a thread waits for 0.2 s.

    Where processors are few and busy, nobody waits so long in any case.
    """
    loop = LoopThread()
    waits: list[float] = []
    ended = threading.Event()

    def again() -> None:
        until = time.monotonic() + 0.00004
        while time.monotonic() < until:
            pass
        if not ended.is_set():
            asyncio.get_running_loop().call_soon(again)

    loop.call(again)
    for _ in range(50):
        start = time.monotonic()
        time.sleep(0.001)
        waits.append(time.monotonic() - start)
    ended.set()
    loop.close()
    assert sorted(waits)[40] < 0.01
