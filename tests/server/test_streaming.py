"""Live logs without a server: what is kept of them, how events are written, and what a reader is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.server.readers import Event, events_of

from wasmexec import ConfigError, Limits, Result, Status
from wasmexec.server.documents import TenantRequest
from wasmexec.server.http.bodies import Disconnected
from wasmexec.server.http.preferences import MOST_WAIT_SECONDS, Preferences, preferences
from wasmexec.server.problems import ProblemError
from wasmexec.server.runs.run import Run
from wasmexec.server.streaming import follow
from wasmexec.server.streaming.batch import lines_of
from wasmexec.server.streaming.events import Position, event, log_events
from wasmexec.server.streaming.journal import AttemptLog, Journal, LiveLogs, split_lines
from wasmexec.server.streaming.streams import Streams
from wasmexec.server.tenants.directory import Tenant
from wasmexec.workers.answers import Answer, answer_of
from wasmexec.workers.recordings import TextRecorder, recording_of


def ended(logs: bytes = b"[]", count: int = 0) -> Answer:
    return answer_of(Result(status=Status.FINISHED_NO_DATA))._replace(logs=logs, log_count=count)


def test_what_there_is_no_room_for_is_there_when_the_run_has_ended() -> None:
    logs = LiveLogs(1000)
    first, second = Journal(AttemptLog(1)), Journal(AttemptLog(1))
    logs.add(first, [b"1" * 400, b"2" * 400])
    logs.add(second, [b"3" * 400])
    logs.add(second, [b"4"])
    assert (first.log.lines, second.log.lines) == ([b"1" * 400, b"2" * 400], [])
    logs.end(first, ended(b"[1,2]", 2))
    assert (first.log.lines, logs.size) == ([b"1", b"2"], 0)
    # What has missed a line has none of those behind it either, before its end.
    logs.add(second, [b"5"])
    assert second.log.lines == []
    logs.end(second, ended(b"[3,4,5]", 3))
    assert (second.log.lines, logs.size) == ([b"3", b"4", b"5"], 0)


def test_a_run_without_an_answer_of_its_own_keeps_its_lines() -> None:
    logs = LiveLogs(1000)
    journal = Journal(AttemptLog(1))
    logs.add(journal, [b'"a"', b'"b"'])
    kept = logs.end(journal, ended())
    assert (kept.logs, kept.log_count, journal.log.lines) == (b'["a","b"]', 2, [b'"a"', b'"b"'])


@pytest.mark.parametrize("text", [b"", b"{", b"[1,", b"[" * 100_000, b"[1] [2]", b'"a"', b"\xff"])
def test_a_log_that_is_none_has_no_lines(text: bytes) -> None:
    assert split_lines(text) == []
    assert split_lines(b'[{"a":[1,{"b":"]"}]}, "c"]') == [b'{"a":[1,{"b":"]"}]}', b'"c"']


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85"])
def test_no_text_begins_another_event(end: str) -> None:
    hostile = f'{{"a":1}}{end}{end}id: 9-9-9-e{end}event: state{end}data: {{}}{end}{end}'.encode()
    told = event(b"log", Position(1, 2, 3, "r"), hostile)
    assert told.endswith(b"\n\n")
    assert len(told.decode().splitlines()) == 4
    assert told.startswith(b"id: 1-2-3-r\nevent: log\ndata: ")


@pytest.mark.parametrize("text", [None, "", "1", "1-2-3", "g-2-3-r", "1-2-3-rr", "-1-2-3-r", f"1-2-{'9' * 10}-r"])
def test_an_id_that_is_none_of_ours_is_the_beginning(text: str | None) -> None:
    assert Position.parse(text) == Position()
    position = Position(0x1A2B, 2, 345, "s")
    assert Position.parse(f" {position} ") == position


def test_lines_are_sent_in_pieces_that_go_on_where_the_last_one_ended() -> None:
    lines = [b'"%d"' % number for number in range(100)]
    position, found = Position(1, 1, 7, "r"), []
    while position.lines < 100:
        piece, at = log_events(lines, position, 500)
        assert len(piece) < 600
        found += events_of(piece.decode())
        position = position._replace(lines=at)
    assert found == [Event(f"1-1-{number + 1}-r", "log", str(number)) for number in range(7, 100)]


class Indifferent:
    """Tells nothing of a run."""

    def tell(self, run: Run) -> follow.Told:
        return follow.Told(b"{}", None)

    async def settle(self, run: Run) -> None:
        """It never ends."""


def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(follow, "QUEUED_SECONDS", 0.01)

    async def use() -> list[bytes]:
        tenant = Tenant(TenantRequest(name="acme"), Limits(), 10)
        run = Run(
            id="run_1", tenant=tenant, key_id="", order=b"", data=b"", statement="", limits=Limits(), has_grants=False,
            is_durable=True, created_at=0.0,
        )  # fmt: skip
        stream = Streams().open(tenant, run.journal.wake)
        pieces = follow.follow(run, stream, Position(), Indifferent(), with_states=False)
        found = [await anext(pieces) for _ in range(3)]
        stream.close()
        return [*found, *[piece async for piece in pieces]]

    assert asyncio.run(use()) == [b"retry: 1000\n\n", b":\n\n", b":\n\n", b"retry: 5000\n\n"]


@pytest.mark.parametrize(
    ("text", "wished"),
    [
        (None, Preferences()),
        ("respond-async", Preferences(True)),
        ("Respond-Async;x=1, WAIT = 7", Preferences(True, 7.0)),
        ('wait="3"', Preferences(False, 3.0)),
        ("wait=1, wait=2", Preferences(False, 1.0)),
        (f"wait={'9' * 5000}", Preferences(False, MOST_WAIT_SECONDS)),
        ("detach, return=minimal", Preferences(detach=True)),
    ],
)
def test_preferences_are_read_as_their_standard_has_it(text: str | None, wished: Preferences) -> None:
    assert preferences(text) == wished


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "\u0663", "x"])
def test_a_wait_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(ProblemError, match="whole number"):
        preferences(f"wait={value}")


def test_lines_are_the_same_however_they_come() -> None:
    content = b"a\n\n  b \r\n" + b"c" * 20 + b"\nd\n" + b"e" * 11

    async def all_lines(size: int) -> list[bytes | str]:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), size):
                yield content[start : start + size]

        return [line if isinstance(line, bytes) else line.rule async for line in lines_of(pieces(), 10)]

    for size in range(1, len(content) + 1):
        assert asyncio.run(all_lines(size)) == [b"a", b"b", "body.bytes", b"d", "body.bytes"]


def test_a_body_that_breaks_off_is_no_last_line() -> None:
    async def use() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"whole\nbroken"
            raise Disconnected

        lines = lines_of(pieces(), 100)
        assert await anext(lines) == b"whole"
        with pytest.raises(Disconnected):
            await anext(lines)

    asyncio.run(use())


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"format": 2}, {"format": 1, "parts": 5, "exchanges": []},
     {"format": 1, "parts": [], "exchanges": []},
     {"format": 1, "parts": [{"kind": "clock", "meta": {}, "base64": "?"}], "exchanges": []},
     {"format": 1, "parts": [], "exchanges": [{"method": 1}]}],
)  # fmt: skip
def test_a_recording_that_is_none_is_refused(content: object) -> None:
    with pytest.raises(ConfigError, match="the recording"):
        recording_of(content)


def test_a_recording_without_its_end_is_none() -> None:
    recorder = TextRecorder()
    assert recorder.add("statement", b"return []")
    assert recorder.text() is None
    assert recorder.add("result", b"{}")
    assert recorder.text() is not None
    assert not recorder.add("input", b"x" * 5_000_000)
    assert not recorder.add("input", b"x")
    assert recorder.text() is None
