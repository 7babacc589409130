"""What worker processes say."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.fuzz.draw import Draw, mutated_json

from wasmexec import Limits, LogRecord, Result, Status
from wasmexec.errors import OutputLimitError, SchemaError, StatementRaised, StatementSyntaxError, TimeLimitError
from wasmexec.workers.messages import TO_WORKER, TO_WORKER_OF_MANY, BadMessage, Frame, FrameReader, Kind, Room, pack
from wasmexec.workers.results import ResultCodec

_ROOMS = {**TO_WORKER, **TO_WORKER_OF_MANY, Kind.RESULT: Room(300, 500), Kind.READY: Room(10, 0)}


def worker_frames(data: bytes) -> None:
    """However a stream is cut, the same frames come out, or the same refusal; what was packed comes out as it was."""
    draw = Draw(data)
    sent = [
        Frame(draw.choose(list(Kind)), draw.integer() & 0x7FFFFFFF, draw.binary(20), draw.binary(20))
        for _ in range(draw.below(4))
    ]
    stream = b"".join(piece for frame in sent for piece in pack(*frame)) + draw.binary(30)
    cuts = [1 + draw.below(40) for _ in range(4)]
    whole, refusal = _fed([stream])
    pieces = []
    at = index = 0
    while at < len(stream):
        size = cuts[index % len(cuts)]
        pieces.append(stream[at : at + size])
        at, index = at + size, index + 1
    assert _fed(pieces) == (whole, refusal)
    for frame, expected in zip(whole, sent, strict=False):
        assert frame == expected
    for frame in whole:
        assert len(frame.fields) <= _ROOMS[frame.kind].fields
        assert len(frame.body) <= _ROOMS[frame.kind].body


def _fed(pieces: list[bytes]) -> tuple[list[Frame], str]:
    reader = FrameReader(_ROOMS)
    found: list[Frame] = []
    try:
        for piece in pieces:
            for frame in reader.feed(piece):
                found.append(frame)
    except BadMessage as error:
        return found, str(error)
    return found, ""


@cache
def _codec() -> ResultCodec:
    return ResultCodec(Limits(output_bytes=4000, log_records=10, log_bytes=1000))


@cache
def _results() -> list[Any]:
    good = Result(status=Status.FINISHED, rows=[{"a": 1}], logs=[LogRecord(1.5, "info", "x")], warnings=["w"])
    bad = Result(status=Status.STATEMENT_RAISED, error=StatementRaised("ValueError", "m", "t", 3))
    schema = Result(status=Status.CONFIG_REFUSED, error=SchemaError("/a", "it is wrong"))
    limit = Result(status=Status.OUTPUT_REFUSED, error=OutputLimitError("too long", limit=5, used=6))
    late = Result(status=Status.TIMED_OUT, error=TimeLimitError("out of time", limit=0.5, used=0.7))
    syntax = Result(status=Status.CONFIG_REFUSED, error=StatementSyntaxError("m", rule="syntax", line=1, column=2))
    return [json.loads(_codec().pack(result)[0]) for result in (good, bad, schema, limit, late, syntax)]


def worker_results(data: bytes) -> None:
    """What a worker tells is a result that can be written and told again, or a BadMessage."""
    draw = Draw(data)
    fields = json.dumps(mutated_json(draw, draw.choose(_results()))).encode() if not draw.chance(6) else draw.binary(60)
    if draw.chance(100):
        _check_too_large(draw)
    rows = draw.choose(
        [
            b'[{"a":1}]',
            b"",
            b"[]",
            b"[1]",
            b'[{"a":"%b"}]' % (b"x" * 5000),
            draw.json("[{}]", '[{"a":[1]}]').encode("utf-8", "replace"),
        ]
    )
    try:
        found = _codec().unpack(fields, rows)
    except BadMessage:
        return
    assert (found.error is None) == found.status.succeeded
    json.dumps(found.as_dict(), allow_nan=False).encode()
    again = _codec().unpack(*_codec().pack(found))
    assert repr(again.as_dict()) == repr(found.as_dict())


def _check_too_large(draw: Draw) -> None:
    """A result that cannot be handed over becomes one that says so, which can."""
    rows = [{"a": "x" * draw.choose([20_000_000, 1, 4000])}] * (1 + draw.below(2))
    logs = [LogRecord(1.5, "info", "x" * draw.choose([1, 1000, 100_000]))] * (1 + draw.below(20))
    found = _codec().unpack(*_codec().pack(Result(status=Status.FINISHED, rows=rows, logs=logs)))
    assert found.rows in ([], rows)
    assert found.status.succeeded == (found.rows == rows)
