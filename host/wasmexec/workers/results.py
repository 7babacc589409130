"""Results as the parts of a frame: JSON of everything but the rows, and the rows as a JSON array of their own.

SECURITY: every field that comes back is checked for type, range and size, and rows by their schema once more. An error
is of a class of `errors`, with exactly the fields that the class declares there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final, get_type_hints

from .. import errors
from .._finishing.acceptance import (
    FILLED_BYTES,
    OBJECTS_BYTES,
    Accepted,
    Bounds,
    NotJsonError,
    TooHeavyError,
    accept,
    allowed_memory,
)
from .._finishing.finisher import Finisher
from .._finishing.process import ChildLostError, TooMuchMemoryError
from ..errors import OutputError, OutputLimitError, SchemaMistake, WasmexecError
from ..limits import RESERVE_MESSAGE_BYTES, RESERVE_RECORDS, Limits
from ..result import LEVELS, LogRecord, Result, Usage
from ..rows.block import RowBlock
from ..rows.json_text import MAX_DEPTH, decode, encode, encode_lines
from ..schema import Schema
from ..status import Status
from .messages import MAX_PART_BYTES, BadMessage, Room

MAX_TEXT = 100_000
"""Characters of one text of an error, and of a warning; what is longer is cut by the worker."""
MAX_WARNINGS = 10_000
MAX_MISTAKES = 100
OTHER_BYTES = 4 * 1024**2
"""What error, warnings and usage take of the fields."""
_OBJECTS: Final = Schema.prepare(None)
_ESCAPED = 6
"""Bytes of JSON that one byte of a log message becomes at most: `\\u0001`."""
_RECORD_BYTES = 64 + 2 * len(" … [cut: the message has 1,000,000,000 bytes]".encode())
_RESERVE: Final = max(RESERVE_RECORDS.values())
_LAST_TIME = 253_402_300_799.0
"""The end of the year 9999, in seconds since the epoch."""
MAX_SECONDS = 10.0**8
_MAX_COUNT = 2**42
"""Bytes and requests: a million results that lie still add up to what a database can hold."""
MAX_DROPPED = 2**56
"""Messages that a guest may say it has dropped."""
_MAX_INTEGER = 2**63 - 1
_USAGE: Final[dict[str, type]] = {name: type(getattr(Usage(), name)) for name in Usage.__slots__}
_STATUSES: Final[dict[int, Status]] = {int(status): status for status in Status}
_CLASSES: Final[dict[str, type[WasmexecError]]] = {
    name: item
    for name in errors.__all__
    if isinstance(item := getattr(errors, name), type) and issubclass(item, WasmexecError)
}


class ResultCodec:
    """Results to frames and back, for one order: its limits bound what there may be, `schema` is that of the rows.

    Whoever unpacks closes it: there may be a process that takes long rows.
    """

    def __init__(self, limits: Limits, schema: Schema = _OBJECTS) -> None:
        self._limits = limits
        self._schema = schema
        self._finisher = Finisher(lambda: True)
        self._max_records = limits.log_records + _RESERVE
        text = limits.log_bytes + _RESERVE * RESERVE_MESSAGE_BYTES
        fields = OTHER_BYTES + _ESCAPED * text + _RECORD_BYTES * self._max_records
        # What a worker may send at all; it knows the limit.
        self._bounds = Bounds.of(limits)._replace(depth=MAX_DEPTH)
        self.room = Room(min(fields, MAX_PART_BYTES), limits.output_bytes + FILLED_BYTES)

    def close(self) -> None:
        """End the process that takes long rows."""
        self._finisher.close()

    def pack(self, result: Result) -> tuple[bytes, bytes]:
        """Fields and rows; a result that cannot be handed over becomes one that says so."""
        try:
            rows = pack_rows(result.block)
            if len(rows) > self.room.body:
                return self._pack(self._too_long(result, len(rows))), b""
            fields = self._pack(result)
            if len(fields) > self.room.fields:
                raise ValueError(f"it has {len(fields):,} bytes beside its rows")
        except ValueError as reason:
            failure = WasmexecError(f"the result cannot be handed over: {reason}"[:MAX_TEXT])
            return self._pack(Result(status=Status.RUNTIME_FAILED, error=failure, usage=result.usage)), b""
        return fields, rows

    def unpack(self, fields: bytes, rows: bytes) -> Result:
        """The result that `pack` packed.

        Raises:
            BadMessage: it is not one that `pack` can have packed.
        """
        try:
            content = decode(fields)
        except ValueError as error:
            raise BadMessage(f"no JSON: {str(error)[:200]}") from None
        if type(content) is not list or len(content) != 6:
            raise BadMessage("a result without its fields")
        number, logs, dropped, failed, usage, warnings = content
        status = read_status(number)
        failure = None if failed is None else read_error(failed)
        if (failure is None) is not status.succeeded:
            raise BadMessage(f"a result of status {status} and its opposite")
        return Result(
            status=status,
            rows=self.rows_of(status, rows),
            logs=self.records_of(logs),
            log_dropped=read_integer(dropped, 0, MAX_DROPPED),
            error=failure,
            usage=read_usage(usage),
            warnings=[read_text(text) for text in read_list(warnings, MAX_WARNINGS)],
        )

    @staticmethod
    def _pack(result: Result) -> bytes:
        usage = result.usage
        return encode((
            int(result.status),
            [(record.time, record.level, record.message) for record in result.logs],
            result.log_dropped,
            None if result.error is None else pack_error(result.error),
            [getattr(usage, name) for name in _USAGE],
            [text[:MAX_TEXT] for text in result.warnings[:MAX_WARNINGS]],
        ))  # fmt: skip

    def _too_long(self, result: Result, size: int) -> Result:
        limit = self.room.body
        error = OutputLimitError(
            f"the rows have {size:,} bytes of JSON once their schema has filled in what was missing; "
            f"at most {limit:,} are allowed", limit=limit, used=size,
        )  # fmt: skip
        return Result(
            status=Status.OUTPUT_REFUSED, error=error, logs=result.logs, log_dropped=result.log_dropped,
            usage=result.usage,
        )  # fmt: skip

    def rows_of(self, status: Status, data: bytes) -> RowBlock:
        """The rows that another process tells.

        Raises:
            BadMessage: they are not what the order says, or take too long to check.
        """
        if not data:
            return RowBlock([])
        deadline = time.thread_time() + self._limits.cpu_seconds
        elsewhere = 0.0

        def charge(seconds: float) -> None:
            nonlocal elsewhere
            elsewhere += seconds
            if time.thread_time() + elsewhere > deadline:
                raise BadMessage("rows that take longer to check than the worker had time for")

        try:
            rows = self._accepted(memoryview(data), charge).block
        except (TooMuchMemoryError, ChildLostError, OSError) as error:
            raise BadMessage(f"rows that cannot be checked: {error}") from None
        except NotJsonError as error:
            raise BadMessage(f"rows that are not JSON: {str(error)[:200]}") from None
        except OutputError as error:
            is_none = error.rule in ("list", "object")
            what = "that are not a list of objects" if is_none else f"that their schema refuses ({error.rule})"
            raise BadMessage(f"rows {what}") from None
        except OutputLimitError:
            raise BadMessage("rows that are too many") from None
        if rows and (not status.succeeded or status is Status.FINISHED_NO_DATA):
            raise BadMessage(f"rows with status {status}")
        return rows

    def _accepted(self, text: memoryview, charge: Callable[[float], None]) -> Accepted:
        """SECURITY: a row too long to be taken here is taken where it cannot hold the interpreter's lock."""
        with suppress(TooHeavyError):
            return accept(text, self._schema, None, self._bounds, lambda: charge(0.0), OBJECTS_BYTES)
        # It was accepted within the memory that is allowed, which is not the same to the byte each time.
        most = 2 * allowed_memory(text, self._schema, self._bounds)
        return self._finisher.accept_elsewhere(text, self._schema, None, self._bounds, charge, most_memory=most)

    def records_of(self, value: object) -> list[LogRecord]:
        """The log that another process tells: a list of time, level and message.

        Raises:
            BadMessage: it is none, or too long.
        """
        logs = []
        for item in read_list(value, self._max_records):
            if type(item) is not list or len(item) != 3 or item[1] not in LEVELS or type(item[2]) is not str:
                raise BadMessage("a log record that is none")
            logs.append(LogRecord(read_number(item[0], _LAST_TIME), item[1], item[2]))
        return logs


def pack_rows(rows: RowBlock) -> bytes:
    """The rows of a result as the second part of its frame, a JSON array in pieces; empty if there are none.

    Raises:
        ValueError: there is something in them that JSON does not have.
    """
    if not rows:
        return b""
    return b"".join(row_pieces(rows))


def row_pieces(rows: RowBlock) -> Iterator[bytes]:
    """The same in pieces, of some rows.

    Raises:
        ValueError: as `pack_rows`.
    """
    rows = rows if rows.is_text else RowBlock(lines=encode_lines(rows.rows))
    between = b"["
    for piece in rows.pieces():
        yield between
        yield piece[:-1].replace(b"\n", b",\n")
        between = b",\n"
    yield b"]"


def pack_error(error: WasmexecError) -> list[object]:
    """An error as JSON-able values, for `read_error` in another process of ours."""
    kind = next(base for base in type(error).__mro__ if base.__name__ in _CLASSES)
    kept = vars(error)
    fields = {name: _cut(kept[name]) for name in _fields(kind.__name__) if name in kept}
    return [kind.__name__, error.message[:MAX_TEXT], fields]


def _cut(value: object) -> object:
    if isinstance(value, tuple):
        return [(mistake.pointer[:MAX_TEXT], mistake.reason[:MAX_TEXT]) for mistake in value[:MAX_MISTAKES]]
    return value[:MAX_TEXT] if isinstance(value, str) else value


def read_error(value: object) -> WasmexecError:
    """The error that `pack_error` packed.

    Raises: BadMessage: it is not one that it can have packed.
    """
    if type(value) is not list or len(value) != 3 or type(value[2]) is not dict:
        raise BadMessage("an error without its fields")
    kind = _CLASSES.get(value[0]) if type(value[0]) is str else None
    if kind is None:
        raise BadMessage("an error of a class that there is not")
    message, fields, declared = read_text(value[1]), value[2], _fields(kind.__name__)
    # What a class itself has a value for may be missing in the object.
    if not fields.keys() <= declared.keys() or any(name not in fields and not hasattr(kind, name) for name in declared):
        raise BadMessage(f"an error with other fields than {kind.__name__} has")
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    for name, item in fields.items():
        setattr(error, name, declared[name](item))
    return error


@cache
def _fields(name: str) -> dict[str, Callable[[object], object]]:
    """The fields of a class of errors, each with what reads it."""
    hints = get_type_hints(_CLASSES[name])
    return {field: _READERS[hint] for field, hint in hints.items() if not field.startswith("_")}


def read_status(value: object) -> Status:
    """The status that a worker tells.

    Raises: BadMessage: there is no such status.
    """
    status = _STATUSES.get(value) if type(value) is int else None
    if status is None:
        raise BadMessage("a status that there is not")
    return status


def read_usage(value: object) -> Usage:
    """The usage that a worker tells.

    Raises: BadMessage: a count is missing, or out of range.
    """
    items = read_list(value, len(_USAGE))
    if len(items) != len(_USAGE):
        raise BadMessage("a usage without its counts")
    counts = {
        name: read_number(item, MAX_SECONDS) if kind is float else read_integer(item, 0, _MAX_COUNT)
        for (name, kind), item in zip(_USAGE.items(), items, strict=True)
    }
    return Usage(**counts)  # type: ignore[arg-type]


def read_list(value: object, most: int) -> list[Any]:
    """A list of at most so many.

    Raises: BadMessage: it is none.
    """
    if type(value) is not list or len(value) > most:
        raise BadMessage("a list that is none, or too long")
    return value


def read_text(value: object) -> str:
    """A text that is not too long.

    Raises: BadMessage: it is none.
    """
    if type(value) is not str or len(value) > MAX_TEXT:
        raise BadMessage("a text that is none, or too long")
    return value


def read_integer(value: object, lowest: int, highest: int) -> int:
    """A whole number in a range.

    Raises: BadMessage: it is none.
    """
    if type(value) is not int or not lowest <= value <= highest:
        raise BadMessage("a whole number that is none, or out of range")
    return value


def read_number(value: object, highest: float) -> float:
    """A finite number from 0 on.

    Raises: BadMessage: it is none.
    """
    if (type(value) is not float and type(value) is not int) or not 0 <= value <= highest or not math.isfinite(value):
        raise BadMessage("a number that is none, or out of range")
    return value


def _mistakes(value: object) -> tuple[SchemaMistake, ...]:
    mistakes = []
    for item in read_list(value, MAX_MISTAKES):
        if type(item) is not list or len(item) != 2:
            raise BadMessage("a mistake of a schema that is none")
        mistakes.append(SchemaMistake(read_text(item[0]), read_text(item[1])))
    return tuple(mistakes)


def _optional(read: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else read(value)


def _count(value: object) -> int:
    return read_integer(value, 0, _MAX_INTEGER)


def _amount(value: object) -> float:
    return read_number(value, _MAX_INTEGER)


_READERS: Final[dict[object, Callable[[object], object]]] = {
    str: read_text,
    float: _amount,
    str | None: _optional(read_text),
    int | None: _optional(_count),
    tuple[SchemaMistake, ...]: _mistakes,
}
