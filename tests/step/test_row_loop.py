"""The loop over rows, with executions that cost nothing: order, bounds, memory."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from wasmexec import InputError, Result, Status, WasmexecError
from wasmexec.rows.bad_row import BadRow
from wasmexec.step.running.backends import POOL_AFTER_ROWS, Backends
from wasmexec.step.running.row_loop import WINDOW_BYTES, RowLoop

Done = Callable[[int, "Result | BaseException"], None]


class Backend:
    """Ends executions in a random order, on a thread, about `size` at a time."""

    def __init__(self, done: Done, size: int) -> None:
        self.done, self.size = done, size
        self.waiting: list[int] = []
        self.most = self.started = self.ended = 0
        self.cancelled = self.closed = False
        self.random = random.Random(7)

        self.thread = threading.Thread(target=self.work, daemon=True)
        self.changed = threading.Condition()
        self.thread.start()

    def start(self, index: int, data: bytes | None) -> None:
        with self.changed:
            self.waiting.append(index)
            self.started += 1
            self.most = max(self.most, len(self.waiting))
            if len(self.waiting) >= self.size:
                self.changed.notify()

    def work(self) -> None:
        while not self.closed:
            with self.changed:
                # Those at the end of the input are fewer than `size`.
                self.changed.wait(0.05)
                ended, self.waiting = self.waiting, []
            self.random.shuffle(ended)
            for index in ended:
                status = Status.CANCELLED if self.cancelled else Status.FINISHED
                self.ended += 1
                self.done(index, Result(status=status, rows=[{"id": index}]))

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True
        self.thread.join()


def loop(size: int, rows: Iterator[Any], concurrency: int = 32) -> tuple[RowLoop, list[Backend]]:
    backends: list[Backend] = []

    def make(done: Done) -> Backend:
        backends.append(Backend(done, size))
        return backends[-1]

    return RowLoop(rows, make, concurrency=concurrency), backends


def test_results_are_taken_in_order_and_each_once() -> None:
    seen: list[int] = []
    made, backends = loop(20, iter([BadRow(InputError("x")) if n % 10 == 0 else b"[1]" for n in range(1000)]))
    for index, outcome in made.outcomes():
        assert isinstance(outcome, BadRow) == (index % 10 == 0)
        seen.append(index)
    assert seen == list(range(1000))
    assert made.rows_read == 1000
    assert backends[0].closed


def test_an_unreadable_input_ends_the_loop_with_its_error() -> None:
    def rows() -> Iterator[bytes | BadRow]:
        yield b"[1]"
        raise InputError("broken")

    seen: list[int] = []
    made, backends = loop(1, rows())
    with pytest.raises(InputError, match=r"^broken$"):
        seen.extend(index for index, _ in made.outcomes())
    assert seen == [0]
    assert backends[0].closed


class Holds:
    """Ends the first rows when row 25 starts, all others when they are cancelled."""

    def __init__(self, done: Done) -> None:
        self.done = done
        self.waiting: list[int] = []
        self.was_cancelled_with: list[int] = []
        self.closed = False

    def start(self, index: int, data: bytes | None) -> None:
        if index > 20:
            self.waiting.append(index)
        if index == 25:
            for first in range(21):
                self.done(first, Result(status=Status.FINISHED))

    def cancel(self) -> None:
        self.was_cancelled_with, self.waiting = self.waiting, []
        for index in self.was_cancelled_with:
            self.done(index, Result(status=Status.CANCELLED))

    def close(self) -> None:
        assert self.waiting == []
        self.closed = True


def test_long_rows_are_bounded_by_their_bytes() -> None:
    long, longer = b"x" * (WINDOW_BYTES // 4), b"x" * (2 * WINDOW_BYTES)
    texts = [long] * 40 + [b"[1]"] * 400 + [longer] * 3
    backends: list[Backend] = []
    under_way: dict[bytes, int] = dict.fromkeys(texts, 0)

    def rows() -> Iterator[bytes]:
        for index, text in enumerate(texts):
            yield text
            # Asked for another row, the loop has room for one.
            under_way[text] = max(under_way[text], index + 1 - backends[0].ended)

    row_loop, backends = loop(8, rows())
    assert [index for index, _ in row_loop.outcomes()] == list(range(443))
    assert under_way[longer] == 0
    assert under_way[long] == 3
    assert under_way[b"[1]"] >= 7


@pytest.mark.parametrize("leaves_by", ["break", "exception"])
def test_what_is_under_way_ends_when_the_loop_is_left(leaves_by: str) -> None:
    made: list[Holds] = []

    def make(done: Done) -> Holds:
        made.append(Holds(done))
        return made[0]

    row_loop = RowLoop(iter([b"[1]"] * 1000), make, concurrency=32)

    def take() -> None:
        with closing(row_loop.outcomes()) as outcomes:
            for index, _ in outcomes:
                if index == 20 and leaves_by == "break":
                    break
                if index == 20:
                    raise RuntimeError("callback")

    if leaves_by == "break":
        take()
    else:
        with pytest.raises(RuntimeError, match="callback"):
            take()
    assert made[0].closed
    assert made[0].was_cancelled_with == [21, 22, 23, 24, 25]
    assert row_loop.rows_read == 26


def test_a_loop_that_is_cancelled_gives_no_more_rows() -> None:
    made, backends = loop(5, iter([b"[1]"] * 1000))
    seen = []
    for index, _ in made.outcomes():
        seen.append(index)
        if index == 20:
            threading.Thread(target=made.cancel).start()
    assert made.is_cancelled
    assert seen == list(range(len(seen)))
    assert 21 <= len(seen) < 500
    assert backends[0].closed
    assert backends[0].started == backends[0].ended


def test_a_backend_that_takes_no_more_ends_the_loop() -> None:
    class Refuses(Backend):
        def start(self, index: int, data: bytes | None) -> None:
            if index == 7:
                raise WasmexecError("the worker processes have died 6 times in a minute")
            super().start(index, data)

    made = []

    def make(done: Done) -> Backend:
        made.append(Refuses(done, 5))
        return made[-1]

    with pytest.raises(WasmexecError, match=r"^the worker processes have died 6 times in a minute$"):
        list(RowLoop(iter([b"[1]"] * 100), make, concurrency=32).outcomes())
    assert made[0].closed
    assert made[0].started == made[0].ended == 7


def test_twenty_thousand_rows_take_no_more_memory_than_a_few() -> None:
    made, backends = loop(20, (b"[1]" for _ in range(20_000)))
    tracemalloc.start()
    try:
        count = sum(1 for _ in made.outcomes())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2 * 1024 * 1024
    assert backends[0].most <= 64


class Pool(Backend):
    """Worker processes that are ready, or have failed, when a test says so."""

    is_ready = has_failed = False


def grown(size: int = 1) -> tuple[Backends, list[Backend], list[Pool], list[str]]:
    local: list[Backend] = []
    pool: list[Pool] = []
    warnings: list[str] = []

    def make_local(*, done: Done) -> Any:
        local.append(Backend(done, size))
        return local[-1]

    def make_pool(*, done: Done) -> Any:
        pool.append(Pool(done, size))
        return pool[-1]

    made = Backends(lambda index, outcome: None, local=make_local, pool=make_pool, warn=warnings.append)
    return made, local, pool, warnings


def test_worker_processes_join_a_long_input_when_they_are_ready() -> None:
    made, local, pool, warnings = grown()
    for index in range(POOL_AFTER_ROWS):
        made.start(index, b"[1]")
    assert pool == []
    # A refused row in between has an index and is not started.
    for index in range(POOL_AFTER_ROWS + 1, POOL_AFTER_ROWS + 11):
        made.start(index, b"[1]")
    assert (len(pool), pool[0].started, local[0].started) == (1, 0, POOL_AFTER_ROWS + 10)
    pool[0].is_ready = True
    for index in range(300, 310):
        made.start(index, b"[1]")
    made.cancel()
    made.close()
    assert (len(pool), pool[0].started, local[0].started) == (1, 10, POOL_AFTER_ROWS + 10)
    assert pool[0].closed
    assert pool[0].cancelled
    assert local[0].closed
    assert local[0].cancelled
    assert warnings == []


def test_worker_processes_that_cannot_be_started_are_said_once_and_not_used() -> None:
    made, local, pool, warnings = grown()
    for index in range(400):
        if pool:
            pool[0].has_failed = True
        made.start(index, b"[1]")
    made.close()
    assert (len(pool), pool[0].started, local[0].started) == (1, 0, 400)
    assert warnings == ["worker processes could not be started: all rows ran in one process"]
    assert pool[0].closed
