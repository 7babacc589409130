"""Whoever waits for a result gets one: limits, `cancel`, `close` and Ctrl-C act in every phase of an execution.

What holds things up here are callbacks that hang, workers that are all busy, and threads that cannot be had.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.neighbour import cancel_delay

from wasmexec import Executor, Limits, LogRecord, Result, Status, TimeLimitError
from wasmexec._execution.launcher import COURIERS

LOGS = "log.info('first')\nlog.info('second')\nreturn [{'a': 1}]"
UNDELIVERED = "on_log was not called with the last 2 records, or had not returned"
COMPUTES = "while True:\n    pass"


class Hanging:
    """An `on_log` that does not return until it is let go of."""

    def __init__(self) -> None:
        self.called = threading.Semaphore(0)
        self.released = threading.Event()

    def __call__(self, record: LogRecord) -> None:
        self.called.release()
        self.released.wait(60)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    callback = Hanging()
    yield callback
    callback.released.set()


@pytest.fixture
def small(executor: Executor) -> Iterator[Executor]:
    """An executor of one worker, which has run before."""
    with Executor(executor.image.manifest, workers=1) as small:
        small.run("return []")
        yield small


class Started:
    """A run in a thread."""

    def __init__(self, executor: Executor, statement: str, **options: Any) -> None:
        self.result: Result | None = None
        self._thread = threading.Thread(target=self._run, args=(executor, statement), kwargs=options, daemon=True)
        self._thread.start()

    def _run(self, executor: Executor, statement: str, **options: Any) -> None:
        self.result = executor.run(statement, **options)

    def wait(self, seconds: float = 10) -> Result:
        self._thread.join(seconds)
        assert self.result is not None
        return self.result


def seconds_of(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


@pytest.mark.timing
def test_a_callback_that_hangs_holds_its_result_no_longer_than_the_limit(executor: Executor, hanging: Hanging) -> None:
    start = time.monotonic()
    result = executor.run(LOGS, on_log=hanging, limits=Limits(wall_seconds=0.2))
    assert 0.2 < time.monotonic() - start < 2
    assert (result.status, result.rows, result.warnings) == (Status.FINISHED, [{"a": 1}], [UNDELIVERED])
    assert [record.message for record in result.logs] == ["first", "second"]


@pytest.mark.timing
def test_cancelling_waits_for_no_callback_that_hangs(executor: Executor, hanging: Hanging) -> None:
    seconds, result = cancel_delay(executor, LOGS, 0.3, on_log=hanging)
    assert (result.status, result.warnings) == (Status.FINISHED, [UNDELIVERED])
    assert seconds < 0.15
    seconds, result = cancel_delay(executor, "log.info('a')\nawait sleep(60)", 0.3, on_log=hanging)
    assert result.status == Status.CANCELLED
    assert seconds < 0.15


@pytest.mark.timing
def test_a_callback_that_computes_ends_at_the_processor_time(executor: Executor) -> None:
    def busy(record: LogRecord) -> None:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass

    start = time.monotonic()
    result = executor.run(
        "for _ in range(100):\n    log.info('x')\nreturn []", on_log=busy, limits=Limits(cpu_seconds=0.5)
    )
    assert time.monotonic() - start < 5
    assert result.usage.cpu_seconds > 0.5
    assert "on_log was not called with the last " in result.warnings[0]


@pytest.mark.timing
def test_more_callbacks_that_hang_than_threads_hold_up_nobody(executor: Executor, hanging: Hanging) -> None:
    with Executor(executor.image.manifest) as mine:
        limits = Limits(wall_seconds=0.5)
        stuck = [Started(mine, LOGS, on_log=hanging, limits=limits) for _ in range(COURIERS + 8)]
        for item in stuck:
            assert item.wait().status == Status.FINISHED
        told: list[LogRecord] = []
        assert mine.run(LOGS, on_log=told.append).warnings == []
        assert [record.message for record in told] == ["first", "second"]
        assert seconds_of(mine.close) < 3


@pytest.mark.timing
def test_closing_waits_for_no_callback_that_hangs(executor: Executor, hanging: Hanging) -> None:
    mine = Executor(executor.image.manifest)
    waiting = Started(mine, LOGS, on_log=hanging)
    assert hanging.called.acquire(timeout=10)
    assert seconds_of(mine.close) < 3
    assert waiting.wait().warnings == [UNDELIVERED]


@pytest.mark.timing
def test_an_interrupt_waits_for_no_callback_that_hangs(executor: Executor, hanging: Hanging) -> None:
    def interrupt() -> None:
        hanging.called.acquire(timeout=10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        executor.run(LOGS, on_log=hanging)
    thread.join()
    assert time.monotonic() - start < 2


def test_a_log_that_no_thread_delivers_is_a_warning(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("wasmexec-log"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with Executor(executor.image.manifest) as mine:
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", refuse)
            result = mine.run(LOGS, on_log=print)
        assert result.rows == [{"a": 1}]
        assert result.warnings[0] == "on_log could not be called: can't start new thread"
        told: list[LogRecord] = []
        assert mine.run(LOGS, on_log=told.append).warnings == []
        assert len(told) == 2


@pytest.mark.timing
def test_cancelling_ends_what_waits_for_a_worker(small: Executor) -> None:
    busy = Started(small, COMPUTES, limits=Limits(cpu_seconds=3))
    time.sleep(0.2)
    seconds, result = cancel_delay(small, "return []", 0.1)
    assert result.status == Status.CANCELLED
    assert seconds < 0.15
    assert busy.result is None
    assert busy.wait().status == Status.TIMED_OUT


@pytest.mark.timing
@pytest.mark.parametrize("pause", ["await sleep(0.4)", "import time\ntime.sleep(0.4)"], ids=["asleep", "blocked"])
def test_what_is_over_needs_no_worker_to_say_so(small: Executor, pause: str) -> None:
    paused = Started(small, f"{pause}\nreturn []", limits=Limits(wall_seconds=0.8))
    time.sleep(0.1)
    busy = Started(small, COMPUTES, limits=Limits(cpu_seconds=3))
    start = time.monotonic()
    result = paused.wait()
    assert time.monotonic() - start < 1.2
    assert (result.status, type(result.error)) == (Status.TIMED_OUT, TimeLimitError)
    assert busy.wait().status == Status.TIMED_OUT


@pytest.mark.timing
def test_closing_ends_what_runs_and_what_waits_for_a_worker(executor: Executor) -> None:
    mine = Executor(executor.image.manifest, workers=1)
    started = [Started(mine, statement) for statement in (COMPUTES, "await sleep(60)", COMPUTES, "return []")]
    time.sleep(0.5)
    assert seconds_of(mine.close) < 3
    assert {item.wait(5).status for item in started} <= {Status.CANCELLED, Status.FINISHED_NO_DATA}
