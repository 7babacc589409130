"""The worker processes of the server: those that lie, die, hang or are overdue, and what is held for them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from wasmexec import Limits
from wasmexec._wall.wall import Mode
from wasmexec.server.runs import enclosure as enclosure_module
from wasmexec.server.runs.enclosure import Enclosure
from wasmexec.server.runs.fleet import TICK_SECONDS, Fleet, Recycling
from wasmexec.server.runs.worker import Entry
from wasmexec.workers.answers import Answer
from wasmexec.workers.files import LongText

LIAR = [sys.executable, str(Path(__file__).with_name("lying_orders_worker.py"))]
PATIENCE_SECONDS = 20.0
NEVER = Recycling(10**9, 10.0**9, 10**12)


class Heard:
    """Everything that a fleet has told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Answer]] = []
        self.lost_ones: list[tuple[int, str, bool]] = []
        self.requests: list[int] = []
        self.deaths: list[list[int]] = []
        self.woken_ones: list[int] = []
        self.lines: list[bytes] = []

    def answered(self, entry: Entry, answer: Answer) -> None:
        self.answers.append((entry.number, answer))

    def died(self, entries: Sequence[Entry], overdue: Entry | None) -> None:
        self.deaths.append([entry.number for entry in entries])

    def lost(self, entry: Entry, why: str, *, is_overdue: bool) -> None:
        self.lost_ones.append((entry.number, why, is_overdue))

    def requested(self, number: int) -> None:
        self.requests.append(number)

    def moved(self, entry: Entry) -> None:
        """Seen in the entry."""

    def woken(self, entry: Entry) -> None:
        self.woken_ones.append(entry.number)

    def logged(self, entry: Entry, lines: list[bytes]) -> None:
        self.lines += lines

    def has_room(self) -> None:
        """Nobody waits here."""


@asynccontextmanager
async def lying_fleet(
    monkeypatch: pytest.MonkeyPatch, workers: int = 1, memory_bytes: int = 2**40
) -> AsyncIterator[tuple[Fleet, Heard]]:
    """A fleet whose workers do what statements name; it is ready, and closed at the end without a child left."""
    monkeypatch.setattr(enclosure_module, "child_command", lambda *arguments: [*LIAR, arguments[-1]])
    heard = Heard()
    enclosure = Enclosure(
        image="none", image_bytes=50_000_000, computing=5, most_asleep=10, memory_bytes=memory_bytes, mode=Mode.AUTO
    )
    fleet = Fleet(enclosure, Limits(), workers=workers, slots=2, most_asleep=10, listener=heard, recycling=NEVER)
    try:
        await until(lambda: len(fleet.pids) == workers)
        yield fleet, heard
        fleet.check()
    finally:
        await fleet.close()
    assert not [child for child in psutil.Process().children() if child.cmdline()[1:2] == LIAR[1:]]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.005)


def give(fleet: Fleet, number: int, statement: str, wall_seconds: float = 60.0) -> Entry:
    process = fleet.free()
    assert process is not None
    entry = fleet.hold(process, number, wall_seconds)
    fleet.give(entry, json.dumps({"statement": statement}).encode(), b"null")
    return entry


def test_the_control_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch, workers=2) as (fleet, heard):
            for number in range(4):
                give(fleet, number, "state of nobody" if number % 2 else "good")
            await until(lambda: len(heard.answers) == 4)
            assert {answer.rows for _, answer in heard.answers} == {b'[{"a":1}]'}
            assert (fleet.deaths, fleet.executing, fleet.asleep) == (0, 0, 0)

    asyncio.run(use())


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("twice", "it sent a result of execution 1, which is not under way"),
        ("of nobody", "it sent a result of execution 4712, which is not under way"),
        ("request of nobody", "it sent a result of execution 4712, which is not under way"),
        ("too long", "it sent a frame of 100 and 4,294,967,295 bytes"),
        ("unknown", "it sent a frame of kind 99"),
        ("ready again", "it sent twice that it is ready"),
        ("no JSON", "it sent no JSON: "),
        ("another length", "it sent texts of other lengths than it tells"),
        ("lines of nobody", "it sent a result of execution 4712, which is not under way"),
        ("lines again", "it sent lines that do not follow"),
        ("lines missing", "it sent lines that do not follow"),
        ("empty lines", "it sent lines that do not follow"),
        ("lines without a number", "it sent a list that is too short"),
        ("too many lines", "it sent more than 10,200 lines of a log"),
        ("a long line", "it sent a frame of 3 and 104,857,600 bytes"),
        ("lines that it takes back", "it sent a log with fewer lines than were told before"),
        ("lines afterwards", "it sent a result of execution 1, which is not under way"),
        ("no file", "it sent an answer without its rows"),
        ("a file that may change", "it sent a descriptor of a file that may change"),
        ("two files", "it sent a result of execution 1, which is not under way"),
        ("files without end", "it sent more texts than it has executions"),
        ("another file", "it sent texts of other lengths than it tells"),
        ("dies", "died (signal 9)"),
    ],
)
def test_a_worker_that_breaks_the_rules_is_ended_and_replaced(
    monkeypatch: pytest.MonkeyPatch, what: str, why: str
) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            before = fleet.pids
            give(fleet, 2, "silence")
            give(fleet, 1, what)
            await until(lambda: len(heard.lost_ones) + len(heard.answers) == 2)
            assert heard.lost_ones[0][0] == 2
            assert why in heard.lost_ones[0][1]
            await until(lambda: fleet.pids and fleet.pids != before)
            give(fleet, 3, "good")
            await until(lambda: heard.answers and heard.answers[-1][0] == 3)
            assert fleet.deaths == 1

    asyncio.run(use())


def test_files_in_memory_are_memory_but_for_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    what = "keeps 100 MB in a file"

    async def use() -> None:
        async with lying_fleet(monkeypatch, memory_bytes=200_000_000) as (fleet, heard):
            (before,) = fleet.figures()
            for number in (1, 2):
                give(fleet, number, what)
            await until(lambda: len(heard.answers) == 2)
            (figures,) = fleet.figures()
            assert 149_000_000 < figures.private_bytes - before.private_bytes < 155_000_000
            await asyncio.sleep(3 * TICK_SECONDS)
            assert (fleet.deaths, fleet.pids) == (0, [before.pid])
            give(fleet, 3, "silence")
            give(fleet, 4, what)
            await until(lambda: heard.lost_ones)
            assert heard.lost_ones[0][0] == 3
            assert "was ended: it had 2" in heard.lost_ones[0][1]

    asyncio.run(use())


@pytest.mark.parametrize("what", ["rows in a file", "a file of another first"])
def test_rows_in_a_file_are_those_that_it_passed(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            give(fleet, 1, what)
            await until(lambda: heard.answers)
            rows = heard.answers[0][1].rows
            assert isinstance(rows, LongText)
            assert (rows.read(), fleet.deaths) == (b'[{"a":%d}]' % 10**300, 0)

    asyncio.run(use())


def test_lines_are_heard_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            give(fleet, 1, "lines")
            await until(lambda: heard.answers)
            assert [json.loads(line)["message"] for line in heard.lines] == ["a", "b\n\r"]
            assert (heard.answers[0][1].log_count, fleet.deaths) == (2, 0)

    asyncio.run(use())


def test_a_request_is_known_of_though_the_worker_dies_right_after(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            give(fleet, 7, "requests and dies")
            await until(lambda: heard.lost_ones)
            assert heard.requests == [7]

    asyncio.run(use())


def test_one_that_sleeps_holds_no_slot_and_one_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            entry = give(fleet, 1, "asleep")
            assert (fleet.executing, fleet.asleep) == (1, 0)
            await until(lambda: entry.is_waiting)
            assert (fleet.executing, fleet.asleep, entry.cpu_seconds) == (0, 1, 0.5)
            began = time.monotonic()
            fleet.stop(entry)
            await until(lambda: heard.lost_ones)
            # Not before its two seconds are over.
            assert time.monotonic() > began + 1.9
            assert heard.lost_ones == [(1, "its worker process was ended: it left an execution overdue", True)]

    asyncio.run(use())


def test_one_that_outstays_its_time_is_ended_with_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, heard):
            give(fleet, 1, "silence", wall_seconds=-9.5)
            give(fleet, 2, "silence")
            await until(lambda: len(heard.lost_ones) == 2)
            assert [(number, is_overdue) for number, _, is_overdue in heard.lost_ones] == [(1, True), (2, False)]

    asyncio.run(use())


def test_a_worker_has_no_more_than_it_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with lying_fleet(monkeypatch) as (fleet, _):
            # Two slots, and as many more to spare.
            for number in range(3):
                give(fleet, number, "silence")
            process = fleet.free()
            assert process is not None
            held = fleet.hold(process, 3, 60.0)
            assert fleet.free() is None
            fleet.release(held)
            assert fleet.free() is not None

    asyncio.run(use())
