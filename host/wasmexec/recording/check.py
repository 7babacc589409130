"""A recording is checked whole before anything of it is used: one made by hand or from a store may say anything.

SECURITY: behind this check every field of a recording has the type and the range that its docstring says, every text
is valid Unicode, and JSON is JSON (but for rows of more than 1 MiB); nothing that replays one looks again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..determinism import LATEST_CLOCK_SECONDS, NANOSECONDS
from ..errors import ConfigError
from ..rows.array_spans import object_spans
from ..rows.json_pieces import check
from ..rows.json_text import MAX_DEPTH, decode, encode
from .exchange import HttpExchange, Operation

KEY_BYTES = 32
ENDINGS = ("done", "wall", "cpu", "cancelled")
KINDS = ("", "ok", "head", "data", "error")
_LONGEST = 1 << 60
"""Nanoseconds, 36 years: what sums of a few of them stay far below 64 bits with."""
_MOST = 1 << 53
_MAX_NAME = 1000
_PIECE = 256 * 1024
_LONGEST_READ = 1024 * 1024
_MUST_BE_OBJECTS = "must be a JSON list of objects"
_OPERATION_FIELDS = ("op", "issued", "answered", "order", "kind", "size", "eof")


class _Wrong(ValueError):
    """What is wrong, and where."""


def check_recording(recording: Any) -> None:
    """Check a `Recording`, whose fields may be anything.

    Raises: ConfigError: the recording cannot be one; the message says what is wrong and where."""
    try:
        _check(recording)
    except _Wrong as error:
        raise ConfigError(f"the recording is damaged: {error}") from None
    for number, exchange in enumerate(recording.exchanges):
        try:
            _check_exchange(exchange)
        except _Wrong as error:
            raise ConfigError(f"the recording of request {number} is damaged: {error}") from None


def operations(value: object, what: str = "operations") -> list[Operation]:
    """Operations, themselves or in their JSON form, a list of lists.

    Raises:
        ValueError: they are not operations.
    """
    found = []
    for number, item in enumerate(_sequence(value, what)):
        at = f"{what} {number}"
        fields = _sequence(item, at)
        if len(fields) != len(_OPERATION_FIELDS):
            _refuse(at, f"must have {len(_OPERATION_FIELDS)} fields", len(fields))
        op, issued, answered, order, kind, size, eof = fields
        found.append(
            Operation(
                op=_text(op, f"{at}: op", _MAX_NAME),
                issued=_whole(issued, f"{at}: issued", 0, _LONGEST),
                answered=None if answered is None else _whole(answered, f"{at}: answered", 0, _LONGEST),
                order=_whole(order, f"{at}: order", 0, _MOST),
                kind=_one_of(kind, f"{at}: kind", KINDS),
                size=_whole(size, f"{at}: size", 0, _MOST),
                eof=_flag(eof, f"{at}: eof"),
            )
        )
    return found


def _check(recording: Any) -> None:
    from .exchange import HttpExchange

    if len(_bytes(recording.key, "key")) != KEY_BYTES:
        _refuse("key", f"must have {KEY_BYTES} bytes", len(recording.key))
    _whole(recording.clock_start, "clock_start", 0, LATEST_CLOCK_SECONDS * NANOSECONDS)
    _whole(recording.clock_step, "clock_step", 1, NANOSECONDS)
    for number, exchange in enumerate(_sequence(recording.exchanges, "exchanges")):
        if not isinstance(exchange, HttpExchange):
            _refuse(f"exchanges: number {number}", "must be an HttpExchange", exchange)
    operations(recording.strays, "strays")
    _one_of(recording.ending, "ending", ENDINGS)
    _whole(recording.ended, "ended", 0, _LONGEST)
    _text(recording.statement, "statement")
    for number, item in enumerate(_sequence(recording.inputs, "inputs"), 1):
        if item is not None:
            _bytes(item, f"input {number}")
    _check_json(recording.checkpoint, "checkpoint")
    if not isinstance(_json(recording.local_variables, "local_variables"), dict):
        _refuse("local_variables", "must be a JSON object", recording.local_variables)
    if recording.rows is not None:
        _check_rows(_bytes(recording.rows, "rows"))
    if recording.status is not None:
        _whole(recording.status, "status", 100, 999)
    if recording.error is not None:
        _check_error(recording.error, "error")
    _text(recording.log_sha256, "log_sha256", _MAX_NAME)
    _text(recording.image, "image", _MAX_NAME)
    _text(recording.incomplete, "incomplete")


def _check_rows(data: bytes) -> None:
    """Rows are read some at a time: as objects they may take twenty times what they take as text.

    SECURITY: a row of more than 1 MiB is not read. It is only ever compared, as text.
    """
    if len(data) <= _PIECE:
        _check_objects(data)
        return
    first = last = 0
    for start, end in object_spans(data, _nothing):
        if data[last:start].strip() != (b"," if last else b"["):
            _refuse("rows", _MUST_BE_OBJECTS, data)
        if not first:
            first = start
        if end - first > _PIECE:
            _check_objects(b"[%b]" % data[first:last] if first < start else b"[]")
            first = start if end - start <= _LONGEST_READ else 0
        last = end
    _check_objects(b"[%b]" % data[first:last] if first else b"[]")
    if not last or data[last:].strip() != b"]":
        _refuse("rows", _MUST_BE_OBJECTS, data)


def _check_objects(data: bytes) -> None:
    rows = _json(data, "rows")
    if not isinstance(rows, list) or not set(map(type, rows)) <= {dict}:
        _refuse("rows", _MUST_BE_OBJECTS, data)


def _nothing() -> None:
    """Nobody asks whether to stop: no execution has begun."""


def _check_exchange(exchange: HttpExchange) -> None:
    _text(exchange.method, "method", _MAX_NAME)
    _text(exchange.url, "url")
    _pairs(exchange.request_headers, "request_headers")
    _bytes(exchange.request_body, "request_body")
    if exchange.status is not None:
        _whole(exchange.status, "status", 100, 999)
    _text(exchange.reason, "reason")
    _text(exchange.http_version, "http_version", _MAX_NAME)
    _pairs(exchange.response_headers, "response_headers")
    size = len(_bytes(exchange.response_body, "response_body"))
    chunks = [
        _whole(item, "response_chunks", 0, size) for item in _sequence(exchange.response_chunks, "response_chunks")
    ]
    if chunks and sum(chunks) != size:
        _refuse("response_chunks", f"must add up to the {size:,} bytes of the body", sum(chunks))
    if exchange.error is not None:
        _check_error(exchange.error, "error")
    _number(exchange.started, "started")
    _number(exchange.seconds, "seconds")
    _whole(exchange.execution, "execution", 0, _MOST)
    _whole(exchange.index, "index", 0, _MOST)
    if not isinstance(exchange.extra, Mapping):
        _refuse("extra", "must be a mapping", exchange.extra)
    _flag(exchange.extra.get("is_streamed", False), "extra: is_streamed")
    script = operations(exchange.extra.get("operations", ()), "extra: operations")
    if exchange.status is None and any(step.kind in ("head", "data") for step in script):
        _refuse("extra: operations", "must have no response, for there is no status", "head")


def _check_error(value: object, what: str) -> None:
    if not isinstance(value, Mapping):
        _refuse(what, "must be a mapping", value)
    try:
        encode(dict(value))
    except ValueError as error:
        _refuse(what, f"must be JSON ({error})", value)


def _check_json(value: object, what: str) -> None:
    """SECURITY: of a long text no values are made: nothing but its text is wanted."""
    data = _bytes(value, what)
    try:
        check(data, MAX_DEPTH)
    except ValueError as error:
        raise _Wrong(f"{what} is not JSON: {error}") from None


def _json(value: object, what: str) -> Any:
    try:
        return decode(_bytes(value, what))
    except _Wrong:
        raise
    except ValueError as error:
        raise _Wrong(f"{what} is not JSON: {error}") from None


def _pairs(value: object, what: str) -> None:
    for number, pair in enumerate(_sequence(value, what)):
        if len(_sequence(pair, f"{what}: number {number}")) != 2:
            _refuse(f"{what}: number {number}", "must be a name and a value", pair)
        for text in pair:
            _text(text, f"{what}: number {number}")


def _sequence(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        _refuse(what, "must be a list or tuple", value)
    return value


def _bytes(value: object, what: str) -> bytes:
    if not isinstance(value, bytes):
        _refuse(what, "must be bytes", value)
    return value


def _text(value: object, what: str, most: int | None = None) -> str:
    if not isinstance(value, str):
        _refuse(what, "must be a str", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Wrong(f"{what} is not valid text: lone surrogate U+{ord(value[error.start]):04X}") from None
    if most is not None and len(value) > most:
        _refuse(what, f"must have at most {most:,} characters", len(value))
    return value


def _whole(value: object, what: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(what, "must be a whole number", value)
    if not lowest <= value <= highest:
        _refuse(what, f"must be from {lowest:,} to {highest:,}", value)
    return value


def _number(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        _refuse(what, "must be a finite number of seconds", value)


def _flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        _refuse(what, "must be a bool", value)
    return value


def _one_of(value: object, what: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        _refuse(what, f"must be one of {', '.join(map(repr, allowed))}", value)
    return value


def _refuse(what: str, must: str, value: object) -> NoReturn:
    from ..schema.values import short_repr

    if isinstance(value, int) and value.bit_length() > 200:
        shown = f"an integer of {value.bit_length():,} bits"
    else:
        shown = short_repr(value) if value is None or isinstance(value, (bool, int, float, str, bytes)) else ""
    raise _Wrong(f"{what} {must}, not {shown or type(value).__name__}")
