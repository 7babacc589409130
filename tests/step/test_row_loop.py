"""The loop over rows, with executions that cost nothing: order, bounds, memory."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from wasmexec import InputError, Result, Status
from wasmexec.rows.bad_row import BadRow
from wasmexec.step.running.row_loop import RowLoop
from wasmexec.workers.local import LocalBackend

Done = Callable[[int, "Result | BaseException"], None]


class Backend:
    """Ends executions in a random order, on a thread, about `size` at a time."""

    def __init__(self, done: Done, size: int) -> None:
        self.done, self.size = done, size
        self.waiting: list[int] = []
        self.most = 0
        self.cancelled = self.closed = False
        self.random = random.Random(7)

        self.thread = threading.Thread(target=self.work, daemon=True)
        self.changed = threading.Condition()
        self.thread.start()

    def start(self, index: int, data: bytes | None) -> None:
        with self.changed:
            self.waiting.append(index)
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
                self.done(index, Result(status=status, rows=[{"id": index}]))

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True
        self.thread.join()


def loop(
    size: int, take: Callable[[int, Result | BadRow], bool], concurrency: int = 32
) -> tuple[RowLoop, list[Backend]]:
    backends: list[Backend] = []

    def make(done: Done) -> LocalBackend:
        backends.append(Backend(done, size))
        return cast("LocalBackend", backends[-1])

    made = RowLoop(local=make, pool=None, concurrency=32, take=take, on_progress=None, fraction=lambda: None)
    return made, backends


def test_results_are_taken_in_order_and_each_once() -> None:
    seen: list[int] = []

    def take(index: int, outcome: Result | BadRow) -> bool:
        assert isinstance(outcome, BadRow) == (index % 10 == 0)
        seen.append(index)
        return True

    rows: Iterator[Any] = iter([BadRow(InputError("x")) if n % 10 == 0 else b"[1]" for n in range(1000)])
    made, backends = loop(20, take)
    assert made.run(rows) is None
    assert seen == list(range(1000))
    assert backends[0].closed


def test_an_unreadable_input_ends_the_loop_with_its_error() -> None:
    def rows() -> Iterator[bytes | BadRow]:
        yield b"[1]"
        raise InputError("broken")

    seen: list[int] = []
    made, backends = loop(1, lambda index, _: seen.append(index) or True)  # type: ignore[func-returns-value]
    error = made.run(rows())
    assert str(error) == "broken"
    assert seen == [0]
    assert backends[0].closed


def test_what_is_under_way_ends_when_a_row_fails_or_a_callback_raises() -> None:
    made, backends = loop(5, lambda index, _: index < 20)
    made.run(iter([b"[1]"] * 1000))
    assert backends[0].closed
    assert made.rows_read < 200

    def take(index: int, outcome: Result | BadRow) -> bool:
        raise RuntimeError("callback")

    made, backends = loop(5, take)
    with pytest.raises(RuntimeError, match="callback"):
        made.run(iter([b"[1]"] * 1000))
    assert backends[0].closed


def test_twenty_thousand_rows_take_no_more_memory_than_a_few() -> None:
    count = 0

    def take(index: int, outcome: Result | BadRow) -> bool:
        nonlocal count
        count += 1
        return True

    made, backends = loop(20, take)
    tracemalloc.start()
    try:
        made.run(b"[1]" for _ in range(20_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2 * 1024 * 1024
    assert backends[0].most <= 64
