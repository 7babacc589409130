"""Whatever a recording says, a replay of it ends with a result: real recordings, changed in every field.

A recording made by hand, or read from a store that somebody else can write to, is checked whole before anything runs.
The unchanged recording is the control, before the attacks and after each of them.
"""

from __future__ import annotations

import dataclasses
import gzip
import math
import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.guest.replays import record, report
from tests.servers import WebServer

from wasmexec import ConfigError, Executor, HttpExchange, Limits, MemoryRecorder, Recording, Result, Status
from wasmexec.rows.json_text import encode

STATEMENT = """
import random
async def pieces():
    yield b"a"
    yield b"b"
log.info("begin")
await sleep(0.01)
out = [{"text": httpx.get(server + "/hello").text, "random": random.random()}]
async with httpx.AsyncClient() as client:
    async with client.stream("POST", server + "/upload", content=pieces()) as response:
        out.append({"size": len([piece async for piece in response.aiter_bytes()])})
try:
    httpx.get(server + "/stall?size=5", timeout=0.05)
except httpx.ReadTimeout:
    out.append({"time": time.time()})
return out
"""
LIMITS = Limits(wall_seconds=5, cpu_seconds=5)


class Recorded(NamedTuple):
    """A recording and what it was made of."""

    recording: Recording
    result: Result
    variables: dict[str, Any]


@pytest.fixture(scope="module")
def recorded(executor: Executor) -> Iterator[Recorded]:
    with WebServer() as server:
        result, recording = record(executor, STATEMENT, server.authority)
        assert result.status is Status.FINISHED
        assert len(recording.exchanges) == 3
        yield Recorded(recording, result, {"Server": f"http://{server.authority}"})


def replay(executor: Executor, recorded: Recorded, recording: Recording) -> Result:
    statement = recorded.recording.statement
    return executor.run(statement, local_variables=recorded.variables, replay=recording, limits=LIMITS)


def check(executor: Executor, recorded: Recorded, recording: Recording) -> Result:
    """Replay a recording that may be wrong: a result, refused or not, that can be written."""
    result = replay(executor, recorded, recording)
    assert isinstance(result, Result)
    if result.status is Status.CONFIG_REFUSED:
        assert isinstance(result.error, ConfigError)
        assert "recording" in result.error.message
        assert len(result.error.message) < 1000
        assert (result.rows, result.logs, result.replay) == ([], [], None)
    else:
        assert result.replay is not None
    encode(result.as_dict())
    return result


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Odd:
    """Equal to nothing, has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


_NUMBERS = [
    0, 1, -1, 3, 599, 2**31, 2**53, 2**62, 2**63, -(2**63), 2**64, 10**5000, -(10**5000), 0.0, -0.0, 1.5, 1e308, -1e308,
    math.nan, math.inf, -math.inf, True, False, None,
]  # fmt: skip
_TEXTS = ["", "x", "1", "\ud800", "\0", "x" * 100_000, "done", "wall", "cancelled"]
_BYTES = [
    b"", b"x", b"[]", b"[1]", b"[{}]", b"{}", b"NaN", b"[1e400]", b"\xff", b"9" * 10_000, b"[" * 100_000,
    b'["\\ud800"]',
    bytes(32), bytes(31), bytes(1_000_000),
]  # fmt: skip
_OPEN = ["http.open", 2**60, 2**60, 1, "ok", 0, False]
_CONTAINERS = [
    (), (1,), (None,), ("a", "b"), (("a", "b"),), (("a", 1),), (("a", "\ud800"),), [], [1, 2], [[]], {}, {"a": 1},
    {1: 2},
    {"code": 3, "message": None}, {"code": "read", "message": "\ud800"}, {"operations": 3}, {"operations": [[]]},
    {"operations": [["http.open", 0, 1, 1, "head", 10**9, True]]}, {"operations": [_OPEN] * 3}, {"is_streamed": 1},
    nested(50), nested(900), set(),
]  # fmt: skip
ODD: list[Any] = [*_NUMBERS, *_TEXTS, *_BYTES, *_CONTAINERS, object(), Odd(), print]
VALUES = st.sampled_from(ODD)
FIELDS = [item.name for item in dataclasses.fields(Recording) if item.name != "exchanges"]
EXCHANGE_FIELDS = [item.name for item in dataclasses.fields(HttpExchange)]
OPERATION = st.tuples(
    st.sampled_from(["http.open", "http.read", "http.write", "http.close"]) | VALUES,
    st.sampled_from([0, 10**6, 2**60]) | VALUES,
    st.sampled_from([None, 0, 10**7, 2**60]) | VALUES,
    st.sampled_from([0, 1, 7]) | VALUES,
    st.sampled_from(["", "ok", "head", "data", "error"]) | VALUES,
    st.sampled_from([0, 5, 10**6, 2**53]) | VALUES,
    st.booleans() | VALUES,
).map(list)
RIGHT_OPERATION = st.tuples(
    st.sampled_from(["http.open", "http.read", "http.write", "http.close"]),
    st.integers(0, 10**7) | st.just(2**60),
    st.none() | st.integers(0, 10**8) | st.just(2**60),
    st.integers(0, 9),
    st.sampled_from(["", "ok", "head", "data", "error"]),
    st.integers(0, 50) | st.just(2**53),
    st.booleans(),
).map(list)


def test_the_recording_itself_is_replayed(executor: Executor, recorded: Recorded) -> None:
    result = check(executor, recorded, recorded.recording)
    assert (result.status, result.rows) == (Status.FINISHED, recorded.result.rows)
    assert report(result).is_identical


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_field_of_a_recording(executor: Executor, recorded: Recorded, field: str) -> None:
    statuses = {check(executor, recorded, changed(recorded, **{field: value})).status for value in ODD}
    assert Status.CONFIG_REFUSED in statuses
    assert replay(executor, recorded, recorded.recording).rows == recorded.result.rows


@pytest.mark.parametrize("field", EXCHANGE_FIELDS)
def test_a_wrong_field_of_an_exchange(executor: Executor, recorded: Recorded, field: str) -> None:
    first, *others = recorded.recording.exchanges
    statuses = set()
    for value in ODD:
        exchanges = (dataclasses.replace(first, **{field: value}), *others)
        statuses.add(check(executor, recorded, changed(recorded, exchanges=exchanges)).status)
    assert Status.CONFIG_REFUSED in statuses
    assert replay(executor, recorded, recorded.recording).rows == recorded.result.rows


def test_wrong_exchanges(executor: Executor, recorded: Recorded) -> None:
    for value in ODD:
        for exchanges in (value, (value,), [*recorded.recording.exchanges, value]):
            if exchanges not in ((), []):
                result = check(executor, recorded, changed(recorded, exchanges=exchanges))
                assert result.status is Status.CONFIG_REFUSED


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wrong_times_and_pieces(executor: Executor, recorded: Recorded, data: st.DataObject) -> None:
    exchanges = list(recorded.recording.exchanges)
    index = data.draw(st.integers(0, len(exchanges) - 1))
    kind = data.draw(st.sampled_from([OPERATION, RIGHT_OPERATION, RIGHT_OPERATION]))
    script = data.draw(st.lists(kind, max_size=4))
    extra = {**exchanges[index].extra, "operations": script}
    exchanges[index] = dataclasses.replace(exchanges[index], extra=extra)
    strays = data.draw(st.just(()) | st.lists(kind, max_size=2))
    ending = data.draw(st.sampled_from(["done", "wall", "cpu", "cancelled"]))
    ended = data.draw(st.sampled_from([0, 1, 10**7, 2**60]))
    mutant = changed(recorded, exchanges=tuple(exchanges), strays=strays, ending=ending, ended=ended)
    check(executor, recorded, mutant)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wrong_parts_are_refused_when_they_are_read(
    executor: Executor, recorded: Recorded, data: st.DataObject
) -> None:
    recorder = MemoryRecorder()
    assert recorded.recording.give_to(recorder)
    parts: list[Any] = list(recorder.parts)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(parts) - 1))
        payload = parts[at].payload
        action = data.draw(st.sampled_from(["drop", "value", "cut", "json", "kind", "meta", "object"]))
        if action == "drop":
            del parts[at]
        elif action == "object":
            parts[at] = data.draw(VALUES)
        elif action == "cut" and isinstance(payload, bytes) and payload:
            end = data.draw(st.integers(0, len(payload)))
            parts[at] = parts[at]._replace(
                payload=payload[:end] + data.draw(st.sampled_from([b"", b"\xff", b"9" * 9999]))
            )
        elif action == "json" and isinstance(payload, bytes):
            name = data.draw(st.sampled_from(list(_JSON_FIELDS)))
            text = data.draw(st.sampled_from(_JSON_TEXTS))
            parts[at] = parts[at]._replace(
                payload=payload.replace(f'"{name}":'.encode(), f'"{name}":{text},"_":'.encode())
            )
        elif action == "kind":
            parts[at] = parts[at]._replace(kind=data.draw(VALUES))
        elif action == "meta":
            parts[at] = parts[at]._replace(meta=data.draw(VALUES))
        else:
            parts[at] = parts[at]._replace(payload=data.draw(VALUES))
        if not all(hasattr(part, "_replace") for part in parts):
            break
    exchanges: list[Any] = data.draw(st.just(recorder.exchanges) | st.lists(VALUES, max_size=1))
    try:
        recording = Recording.from_parts(parts, exchanges)
    except ConfigError as error:
        message = error.message
    else:
        message = "the recording could be read"
        check(executor, recorded, recording)
    assert message.startswith("the recording ")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wrong_bytes_are_refused_or_replayed(executor: Executor, recorded: Recorded, data: st.DataObject) -> None:
    """Bytes changed, left out or added anywhere in any part, and numbers that no clock has."""
    recorder = MemoryRecorder()
    assert recorded.recording.give_to(recorder)
    parts = list(recorder.parts)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(parts) - 1))
        payload = parts[at].payload
        start = data.draw(st.integers(0, len(payload)))
        end = min(len(payload), start + data.draw(st.integers(0, 8)))
        new = data.draw(st.binary(max_size=8) | st.sampled_from(_JSON_TEXTS).map(str.encode))
        parts[at] = parts[at]._replace(payload=payload[:start] + new + payload[end:])
    exchanges = [
        dataclasses.replace(
            item,
            started=data.draw(_MOMENTS),
            seconds=data.draw(_MOMENTS),
            response_body=data.draw(st.just(item.response_body) | st.sampled_from(_COMPRESSED)),
            response_headers=data.draw(st.just(item.response_headers) | st.just((("Content-Encoding", "gzip"),))),
            response_chunks=(),
        )
        for item in recorder.exchanges
    ]
    try:
        recording = Recording.from_parts(parts, exchanges)
    except ConfigError as error:
        message = error.message
    else:
        message = "the recording could be read"
        check(executor, recorded, recording)
    assert message.startswith("the recording ")
    assert len(message) < 1000


_MOMENTS = st.sampled_from([0.0, 0, 1e-300, -1e300, 1e300, 1e18, math.nan, math.inf, True, 2**62, -1])
_COMPRESSED = [
    b"",
    b"\x1f\x8b",
    zlib.compress(bytes(50_000_000)),
    zlib.compress(b"x")[:-3],
    gzip.compress(bytes(10**7)) * 3,
]


def test_moments_that_are_right_are_taken(executor: Executor, recorded: Recorded) -> None:
    first, *others = recorded.recording.exchanges
    for moment in (0.0, 1e-300, 1e300):
        exchanges = (dataclasses.replace(first, started=moment, seconds=moment), *others)
        assert check(executor, recorded, changed(recorded, exchanges=exchanges)).status is not Status.CONFIG_REFUSED


@pytest.mark.timing
@pytest.mark.parametrize(
    "kind", ["operations", "strays", "headers", "exchanges", "rows", "nested rows", "long row", "log"]
)
def test_the_time_of_a_replay_grows_with_the_recording_and_not_faster(
    executor: Executor, recorded: Recorded, kind: str
) -> None:
    def long(count: int) -> Recording:
        first, *others = recorded.recording.exchanges
        right = ["http.open", 0, 1, 1, "ok", 0, False]
        match kind:
            case "operations":
                extra = {**first.extra, "operations": [right] * count}
                return changed(recorded, exchanges=(dataclasses.replace(first, extra=extra), *others))
            case "strays":
                return changed(recorded, strays=[right] * count)
            case "headers":
                headers = (("a", "b"),) * count
                return changed(recorded, exchanges=(dataclasses.replace(first, response_headers=headers), *others))
            case "exchanges":
                return changed(recorded, exchanges=(*recorded.recording.exchanges, *(first,) * (count // 10)))
            case "rows":
                return changed(recorded, rows=b"[%b]" % b",".join(b'{"a":%d}' % number for number in range(count)))
            case "nested rows":
                return changed(recorded, rows=b"[%b]" % b",".join([b'{"a":[{},[{"b":"}"}]]}'] * count))
            case "long row":
                return changed(recorded, rows=b'[{"a":[%b]}]' % b",".join([b"{}"] * count))
        return changed(recorded, incomplete="x" * count)

    def seconds(count: int) -> float:
        recording = long(count)
        started = time.process_time()
        check(executor, recorded, recording)
        return time.process_time() - started

    short = min(seconds(5_000) for _ in range(3))
    assert seconds(80_000) < 1 + 48 * short


_JSON_FIELDS = (
    "format", "start", "step", "ending", "ended", "strays", "status", "error", "log_sha256", "image", "incomplete",
)  # fmt: skip
_JSON_TEXTS = [
    "-1e300", "1e300",
    "null", "true", "-1", "0", "2", "1e308", "1e400", "NaN", "9" * 30, "9" * 5000, '"x"', '"\\ud800"', "[]", "[[]]",
    "{}", "[" * 99_999, '[["a",1,null,0,"",0,false]]', '[["a",1,null,0,"",0,0]]',
]  # fmt: skip


def changed(recorded: Recorded, **fields: Any) -> Recording:
    return dataclasses.replace(recorded.recording, **fields)
