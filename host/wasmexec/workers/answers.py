"""Answers of a worker of many orders: what its parent has to know of a result, checked, and finished JSON texts.

    ANSWER  head    [status, usage, rows, log records, messages dropped, [bytes of each text], HTTP requests]
            body    the texts, one behind the other: rows, log, error (null if there is none), warnings, report of a
                    replay, recording (each null if there is none); in ANSWER_FILE the rows are in a file
    STATE   head    [[number, processor seconds so far, whether it waits, GO_ONs that it has had], ...]
    LOG     head    [number of the first line]
            body    the lines, JSON texts with a newline between them

SECURITY: the parent reads heads only, every field of them checked for type and range. The texts pass through it as
bytes: a worker that a guest broke out of can put anything into them, and nothing is decided by what they say.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from .._finishing.acceptance import FILLED_BYTES
from ..errors import WasmexecError
from ..http_calls import HttpCall
from ..limits import MIB, RESERVE_MESSAGE_BYTES, RESERVE_RECORDS, Limits
from ..replay import ReplayReport
from ..result import LogRecord, Result, Usage
from ..rows.block import RowBlock
from ..rows.json_text import decode, encode, encode_lines
from ..status import Status
from .files import LongText, whole
from .messages import MAX_PART_BYTES, BadMessage, Room
from .recordings import MAX_RECORDING_BYTES
from .results import (
    MAX_DROPPED,
    MAX_SECONDS,
    MAX_TEXT,
    MAX_WARNINGS,
    OTHER_BYTES,
    ResultCodec,
    pack_rows,
    read_error,
    read_integer,
    read_list,
    read_number,
    read_status,
    read_text,
    read_usage,
)

MAX_CALLS = 64
"""HTTP requests that an answer tells of; of those after them nothing is told but their number."""
HEAD_ROOM = 2048 + 512 * MAX_CALLS
STATE_ROOM: Final = Room(256 * 1024, 0)
MAX_STATES = 4096
LOG_HEAD_ROOM = 32
LOG_BYTES = 64 * 1024
"""Lines are sent together as long as they have not more."""
NONE: Final = b"null"
_TEXTS = 6
_MARGIN_BYTES = 64 * 1024
_REPORT_BYTES = 4 * MIB
"""Of the report of a replay; of a longer one the counts are told."""
_USAGE: Final = tuple(Usage.__slots__)
_ESCAPED = 6
"""Bytes of JSON that one byte of a text becomes at most: `\\u0001`."""
_RECORD_BYTES = 128
"""What a log record has beside its message, the note that it was cut included."""
_LEAST_ROW_BYTES = 2
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
_CODE: Final = re.compile(r"[a-z_]{1,32}")
_LAST_TIME: Final = 10.0**11


class Answer(NamedTuple):
    """How an execution ended. What is bytes are JSON texts that nobody here has read."""

    status: Status
    usage: Usage
    row_count: int
    log_count: int
    log_dropped: int
    rows: bytes | LongText = b"[]"
    logs: bytes = b"[]"
    error: bytes = b"null"
    warnings: bytes = b"[]"
    replay: bytes = NONE
    """What was different from the recording that it has repeated."""
    recording: bytes = NONE
    calls: tuple[HttpCall, ...] = ()
    """The first HTTP requests of the statement, if somebody wants to know."""


class State(NamedTuple):
    """How far an execution is."""

    execution: int
    cpu_seconds: float
    is_waiting: bool
    let_on: int = 0
    """How often it was let go on: what it told before it knew of the last time is late."""


def answer_room(limits: Limits) -> Room:
    """How long the parts of an answer may be, under such limits or tighter ones."""
    reserve = max(RESERVE_RECORDS.values())
    logs = _ESCAPED * (limits.log_bytes + reserve * RESERVE_MESSAGE_BYTES)
    logs += _RECORD_BYTES * (limits.log_records + reserve)
    others = OTHER_BYTES + _REPORT_BYTES + MAX_RECORDING_BYTES + _MARGIN_BYTES
    return Room(HEAD_ROOM, min(limits.output_bytes + FILLED_BYTES + logs + others, MAX_PART_BYTES))


def answer_of(
    result: Result, recording: bytes | None = None, pack: Callable[[RowBlock], bytes | LongText] = pack_rows
) -> Answer:
    """The answer that tells a result and its recording; one that cannot be told becomes one that says so.

    `pack` makes the text of its rows, empty if there are none, and raises ValueError as `pack_rows` does.
    """
    try:
        return _answer_of(result, pack)._replace(recording=NONE if recording is None else recording)
    except ValueError as reason:
        failure = WasmexecError(f"the result cannot be handed over: {reason}"[:MAX_TEXT])
        return _answer_of(Result(status=Status.RUNTIME_FAILED, error=failure, usage=result.usage), pack_rows)


def _answer_of(result: Result, pack: Callable[[RowBlock], bytes | LongText]) -> Answer:
    """Raises: ValueError: there is something in it that JSON does not have."""
    error = b"null" if result.error is None else encode(_told(result.error))
    warnings = encode([text[:MAX_TEXT] for text in result.warnings[:MAX_WARNINGS]])
    if len(error) + len(warnings) > OTHER_BYTES:
        # The message says the most important thing.
        error = b"null" if result.error is None else encode(_told(result.error, with_fields=False))
        warnings = b"[]"
    return Answer(
        status=result.status, usage=result.usage, row_count=len(result.block), log_count=len(result.logs),
        log_dropped=min(result.log_dropped, MAX_DROPPED), rows=pack(result.block) or b"[]",
        logs=encode([record.as_dict() for record in result.logs]), error=error, warnings=warnings,
        replay=NONE if result.replay is None else _report(result.replay),
    )  # fmt: skip


def _report(replay: ReplayReport) -> bytes:
    report = encode(replay.as_dict())
    if len(report) > _REPORT_BYTES:
        report = encode(dataclasses.replace(replay, requests=(), rows=()).as_dict() | {"is_identical": False})
    return report


def pack_answer(answer: Answer) -> tuple[bytes, bytes]:
    """Head and body of its frame."""
    texts = (answer.logs, answer.error, answer.warnings, answer.replay, answer.recording)
    rows = answer.rows
    usage = [getattr(answer.usage, name) for name in _USAGE]
    head = encode((
        int(answer.status), usage, answer.row_count, answer.log_count, answer.log_dropped,
        [len(rows), *map(len, texts)], [list(call) for call in answer.calls[:MAX_CALLS]],
    ))  # fmt: skip
    return head, b"".join(texts if isinstance(rows, LongText) else (rows, *texts))


def unpack_answer(head: bytes, body: bytes, long_rows: LongText | None = None) -> Answer:
    """The answer that `pack_answer` packed, with its rows if they came in a file.

    Raises:
        BadMessage: it is not one that it can have packed.
    """
    status, usage, rows, logs, dropped, lengths, calls = _list_of(head, 7)
    read = read_status(status)
    beside = 0 if long_rows is None else len(long_rows)
    sizes = [read_integer(size, 0, len(body) + beside) for size in read_list(lengths, _TEXTS)]
    if len(sizes) != _TEXTS or sum(sizes) != len(body) + beside or 0 in sizes or (beside and sizes[0] != beside):
        raise BadMessage("texts of other lengths than it tells")
    texts, start = [], -beside
    for size in sizes:
        texts.append(body[max(start, 0) : start + size])
        start += size
    found = texts[0] if long_rows is None else long_rows
    count = read_integer(rows, 0, sizes[0] // _LEAST_ROW_BYTES)
    if count and (not read.succeeded or read is Status.FINISHED_NO_DATA):
        raise BadMessage(f"rows with status {read}")
    if (texts[2] == b"null") is not read.succeeded:
        raise BadMessage(f"an answer of status {read} and its opposite")
    return Answer(
        read, read_usage(usage), count, read_integer(logs, 0, sizes[1] // _LEAST_ROW_BYTES),
        read_integer(dropped, 0, MAX_DROPPED), found, texts[1], texts[2], texts[3],
        texts[4], texts[5], tuple(_read_call(call) for call in read_list(calls, MAX_CALLS)),
    )  # fmt: skip


def _read_call(value: object) -> HttpCall:
    """Raises: BadMessage: it is none."""
    method, host, port, status, error, began_at, seconds = read_exactly(value, 7)
    return HttpCall(
        _read_word(method, _METHOD), _read_word(host, _HOST), read_integer(port, 1, 65_535),
        None if status is None else read_integer(status, 100, 999), None if error is None else _read_word(error, _CODE),
        read_number(began_at, _LAST_TIME), read_number(seconds, MAX_SECONDS),
    )  # fmt: skip


def _read_word(value: object, pattern: re.Pattern[str]) -> str:
    if type(value) is not str or pattern.fullmatch(value) is None:
        raise BadMessage("an HTTP request that is none")
    return value


def result_of(answer: Answer, codec: ResultCodec) -> Result:
    """The result that an answer tells, for whoever goes on with it; `codec` is that of the order.

    SECURITY: unlike a parent that passes texts on, this one reads them: they are checked like the rest.

    Raises:
        BadMessage: its texts are not what `answer_of` can have made.
    """
    failure = _decoded(answer.error)
    warnings = [read_text(text) for text in read_list(_decoded(answer.warnings), MAX_WARNINGS)]
    return Result(
        status=answer.status, rows=codec.rows_of(answer.status, whole(answer.rows)),
        logs=codec.records_of([_record_of(item) for item in read_list(_decoded(answer.logs), answer.log_count)]),
        log_dropped=answer.log_dropped, error=None if failure is None else _error_of(failure), usage=answer.usage,
        warnings=warnings,
    )  # fmt: skip


def _error_of(told: object) -> WasmexecError:
    if not isinstance(told, dict):
        raise BadMessage("an error that is none")
    fields = {name: value for name, value in told.items() if name not in ("type", "message")}
    mistakes = fields.get("mistakes")
    if isinstance(mistakes, list):
        fields["mistakes"] = [list(item.values()) if isinstance(item, dict) else item for item in mistakes]
    return read_error([told.get("type"), told.get("message"), fields])


def _record_of(told: object) -> list[object]:
    if not isinstance(told, dict) or not isinstance(told.get("time"), str):
        raise BadMessage("a log record that is none")
    try:
        moment = datetime.fromisoformat(told["time"]).timestamp()
    except (ValueError, OverflowError):
        raise BadMessage("a log record without its time") from None
    return [moment, told.get("level"), told.get("message")]


def pack_states(states: Iterable[State]) -> bytes:
    """The head of their frame."""
    return encode([list(state) for state in states])


def unpack_states(head: bytes) -> list[State]:
    """The states that `pack_states` packed.

    Raises:
        BadMessage: they are not such.
    """
    states = []
    for item in read_list(_decoded(head), MAX_STATES):
        number, seconds, waits, let_on = read_exactly(item, 4)
        if type(waits) is not bool:
            raise BadMessage("a state that is none")
        known = (read_integer(number, 0, 2**63), read_number(seconds, MAX_SECONDS), waits)
        states.append(State(*known, read_integer(let_on, 0, 2**31)))
    return states


def log_room(limits: Limits) -> Room:
    """How long the parts of a frame of lines may be, under such limits or tighter ones."""
    longest = _ESCAPED * max(limits.log_bytes, RESERVE_MESSAGE_BYTES) + _RECORD_BYTES
    return Room(LOG_HEAD_ROOM, min(LOG_BYTES + longest, MAX_PART_BYTES))


def most_lines(limits: Limits) -> int:
    """How many lines a log may have."""
    return limits.log_records + max(RESERVE_RECORDS.values())


def pack_lines(first: int, records: Sequence[LogRecord]) -> Iterator[tuple[bytes, bytes]]:
    """Head and body of each frame that these records of a log need, of which the first has this number."""
    lines = encode_lines([record.as_dict() for record in records]).split(b"\n")[:-1]
    start = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size >= LOG_BYTES or number == len(lines) - 1:
            yield encode([first + start]), b"\n".join(lines[start : number + 1])
            start, size = number + 1, 0


def unpack_lines(head: bytes, body: bytes, first: int) -> list[bytes]:
    """The lines that `pack_lines` packed, `first` of which were here before.

    Raises:
        BadMessage: they are not those that follow.
    """
    (number,) = _list_of(head, 1)
    lines = body.split(b"\n")
    if read_integer(number, 0, 2**63) != first or not all(lines):
        raise BadMessage("lines that do not follow")
    return lines


def read_exactly(value: object, count: int) -> list[object]:
    """A list of so many.

    Raises: BadMessage: it is none.
    """
    items: list[object] = read_list(value, count)
    if len(items) != count:
        raise BadMessage("a list that is too short")
    return items


def _list_of(head: bytes, count: int) -> list[object]:
    return read_exactly(_decoded(head), count)


def _decoded(head: bytes) -> object:
    try:
        return decode(head)
    except ValueError as error:
        raise BadMessage(f"no JSON: {str(error)[:200]}") from None


def _told(error: WasmexecError, *, with_fields: bool = True) -> dict[str, object]:
    fields = error.fields() if with_fields else {}
    return {"type": type(error).__name__, "message": error.message[:MAX_TEXT], **fields}
