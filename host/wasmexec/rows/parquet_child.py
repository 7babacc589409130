"""The process that parses Parquet: a file comes in as a descriptor, rows go out as frames of JSON text.

Parquet is parsed by C++ that was written for trusted files. Here it has nothing but the file: a bounded address space,
no environment, and its frames are not trusted by whoever reads them. It ends when its standard input ends, which is
when its parent does. A frame is kind and length (1 and 4 bytes, little-endian) and a payload:

    R  rows: a JSON array of objects              B  a row that has no JSON form: JSON [pointer, reason]
    N  JSON {column: number of NaN made null}     W  JSON: something the user should know
    E  JSON: why there is no going on             .  the end; payload is the number of rows as JSON
    L  first of all: the libraries are loaded
"""

from __future__ import annotations

import datetime
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, cast

import orjson

from ..isolation import keep_no_core
from .conversion import NotJson, duration, from_decimal, to_json

HEAD = struct.Struct("<cI")
ADDRESS_BYTES = 2 * 1024**3
"""Address space of the process; libraries take 250 MiB of it."""
SPARE_BYTES = 8 * 1024**2
TIMES = 12
"""Beside its libraries the process has so much memory, and so many times the bytes of its file and of its rows."""
UNSEEN_BYTES = 2 * 1024**2
"""Less than that by so much: what it had asked for and not used, and what its parent holds of the frames."""
_STACK_BYTES = 1024**2
BATCH_ROWS = 1000
BATCH_BYTES = 128 * 1024
"""Rows are read so many at a time, fewer if they are long: the first alone, to see how long they are."""
MANY_BYTES = 64 * 1024
"""What a frame of several rows holds at most."""
MAX_COLUMNS = 100_000
_FIRST_ROWS = 1
_BUFFER_BYTES = 1024**2
_EPOCH = datetime.datetime(1970, 1, 1)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400

_Convert = Callable[[Any], Any]


class Refused(Exception):
    """There is no going on; the text is for the user."""


def main(descriptor: str, max_row_bytes: str) -> None:
    """Read the file behind the descriptor; write its rows to standard output, each of at most so many bytes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    out = os.fdopen(os.dup(1), "wb", buffering=_BUFFER_BYTES)
    os.dup2(2, 1)
    room = _Room()
    try:
        with os.fdopen(int(descriptor), "rb") as file:
            room.bound(os.fstat(file.fileno()).st_size)
            _frame(out, b"L", b"")
            out.flush()
            count = _write_rows(file, out, int(max_row_bytes), room)
    except Refused as error:
        _frame(out, b"E", str(error))
    except MemoryError:
        _frame(
            out, b"E",
            f"its rows need more than {room.bytes // 1024**2:,} MiB to be read; written with smaller pages and row "
            "groups, or shorter rows, they would not",
        )  # fmt: skip
    except Exception as error:
        text = next(iter(str(error).splitlines()), "")
        _frame(out, b"E", f"it is not Parquet, or damaged: {text or type(error).__name__}")
    else:
        _frame(out, b".", count)
    out.flush()
    # Threads and pools of the library are not waited for.
    os._exit(0)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


class _Room:
    """What the process may have beside its libraries, which are loaded here: `bytes`."""

    def __init__(self) -> None:
        self.bytes = 0
        self._held = 0
        self._file = 0

    def bound(self, file: int) -> None:
        """Begin with a file of so many bytes."""
        import resource

        # Threads of the library have such stacks.
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, resource.getrlimit(resource.RLIMIT_STACK)[1]))

        import pyarrow.compute  # type: ignore[import-untyped, unused-ignore]
        import pyarrow.parquet  # type: ignore[import-untyped, unused-ignore]  # noqa: F401

        keep_no_core()
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
        self._file = file
        with suppress(OSError), open("/proc/self/statm") as statm:
            self._held = int(statm.read().split()[5]) * resource.getpagesize()
        self.earn(0)

    def earn(self, rows: int) -> None:
        """So many bytes of rows have been written."""
        import resource

        self.bytes = min(ADDRESS_BYTES, SPARE_BYTES + TIMES * (self._file + rows))
        if self._held:
            most = self._held + self.bytes - UNSEEN_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))


def _frame(out: IO[bytes], kind: bytes, payload: object) -> None:
    data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    out.write(HEAD.pack(kind, len(data)))
    out.write(data)


def _write_rows(file: IO[bytes], out: IO[bytes], max_row_bytes: int, room: _Room) -> int:
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    from pyarrow import parquet

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    source = parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us")
    if len(source.schema) > MAX_COLUMNS:
        raise Refused(f"it has {len(source.schema):,} columns, at most {MAX_COLUMNS:,} are read")
    schema = source.schema_arrow
    _check_names(pa, schema)
    for index in range(len(source.schema)):
        if source.schema.column(index).physical_type == "INT96":
            _frame(
                out, b"W", f"column {source.schema.column(index).path!r}: INT96 timestamps are read to the microsecond"
            )
    columns = [_Column(pa, field) for field in schema]
    rows = max(1, source.metadata.num_rows)
    size = sum(source.metadata.row_group(index).total_byte_size for index in range(source.metadata.num_row_groups))
    most_rows = max(1, min(BATCH_ROWS, BATCH_BYTES * rows // max(1, size)))
    writer = _Writer(out, [column.name for column in columns], max_row_bytes)
    batch_rows = min(_FIRST_ROWS, most_rows)
    while batch_rows:
        batch_rows = _write_batches(source, columns, writer, batch_rows, most_rows, room)
    return writer.count


def _write_batches(
    source: Any, columns: list[_Column], writer: _Writer, batch_rows: int, most_rows: int, room: _Room
) -> int:
    """Write the rows that are not written yet; how many at a time are better, 0 when all are written.

    Sizes that the file states need not be true, and compressed rows may be any size: what is known is what was written.
    """
    is_first = writer.count == 0
    try:
        for batch in _batches(source, batch_rows, writer.count):
            before = writer.size
            values = [column.values(batch.column(index)) for index, column in enumerate(columns)]
            writer.write(values, batch.num_rows)
            room.earn(writer.size)
            nans = {column.name: column.take_nans() for column in columns if column.nans}
            if nans:
                _frame(writer.out, b"N", nans)
            if is_first and batch.num_rows:
                each = max(writer.size - before, batch.nbytes) // batch.num_rows
                better: int = max(1, min(most_rows, BATCH_BYTES // max(1, each)))
                if better != batch_rows:
                    return better
    except MemoryError:
        if batch_rows == 1:
            raise
        for column in columns:
            column.take_nans()
        return max(1, batch_rows // 16)
    return 0


def _batches(source: Any, batch_rows: int, skipped: int) -> Iterator[Any]:
    """The rows behind so many, so many at a time."""
    metadata = source.metadata
    group = 0
    while group < metadata.num_row_groups and metadata.row_group(group).num_rows <= skipped:
        skipped -= metadata.row_group(group).num_rows
        group += 1
    groups = list(range(group, metadata.num_row_groups))
    for batch in source.iter_batches(batch_size=batch_rows, row_groups=groups, use_threads=False):
        if skipped < batch.num_rows:
            yield batch.slice(skipped)
        skipped = max(0, skipped - batch.num_rows)


class _Writer:
    """Writes rows; `count` of them have been written, of `size` bytes."""

    def __init__(self, out: IO[bytes], names: list[str], max_row_bytes: int) -> None:
        self.out = out
        self.count = 0
        self.size = 0
        self._names = names
        self._max_row_bytes = max_row_bytes

    def write(self, columns: list[list[Any]], count: int) -> None:
        """Write the rows of a batch: a list of values for each column."""
        lines: list[bytes] = []
        size = 0
        has_bad = any(_Bad in set(map(type, column)) for column in columns)
        for row in zip(*columns, strict=True) if columns else [()] * count:
            try:
                if has_bad:
                    for value in row:
                        if type(value) is _Bad:
                            raise value.error
                line = orjson.dumps(dict(zip(self._names, row)))  # noqa: B905  (as long as each other)
            except (NotJson, TypeError) as error:
                self._flush(lines)
                lines, size = [], 0
                pointer, reason = (error.pointer, error.reason) if isinstance(error, NotJson) else ("", str(error))
                _frame(self.out, b"B", [pointer[:1000], reason[:1000]])
                self.count += 1
                continue
            if len(line) > self._max_row_bytes:
                raise Refused(f"a row of it has more than {self._max_row_bytes:,} bytes as JSON")
            if lines and size + len(line) > MANY_BYTES:
                self._flush(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        self._flush(lines)

    def _flush(self, lines: list[bytes]) -> None:
        if not lines:
            return
        length = sum(map(len, lines)) + len(lines) + 1
        self.out.write(HEAD.pack(b"R", length))
        for index, line in enumerate(lines):
            self.out.write(b"," if index else b"[")
            self.out.write(line)
        self.out.write(b"]")
        self.count += len(lines)
        self.size += length


def _check_names(pa: Any, fields: Iterable[Any], at: str = "") -> None:
    """Refuse two columns of one name: JSON would keep the last only."""
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise Refused(f"the column {(at + field.name)[:200]!r} is there twice: rename one of them")
        seen.add(field.name)
        _check_names(pa, _fields(pa, field.type), f"{at}{field.name}.")


def _fields(pa: Any, kind: Any) -> list[Any]:
    """The fields of a nested type."""
    if pa.types.is_map(kind):
        return [kind.key_field, kind.item_field]
    if pa.types.is_struct(kind):
        return [kind.field(index) for index in range(kind.num_fields)]
    return [kind.value_field] if hasattr(kind, "value_field") else []


class _Bad:
    """Stands for a value that has no JSON form."""

    __slots__ = ("error",)

    def __init__(self, error: NotJson) -> None:
        self.error = error


class _Column:
    """Makes JSON values of a column's Arrow values; `nans` of them were NaN."""

    def __init__(self, pa: Any, field: Any) -> None:
        self.name: str = field.name
        self.nans = 0
        self._storage = _storage(pa, field.type)
        self._convert = self._converter(pa, field.type)
        self._is_float = pa.types.is_floating(field.type)
        self._is_changed = self._storage != field.type
        is_timestamp = pa.types.is_timestamp(field.type) and field.type.unit != "ns" and field.type.tz is None
        self._is_plain_time = is_timestamp or pa.types.is_date32(field.type)

    def take_nans(self) -> int:
        """How many there were since the last time."""
        count, self.nans = self.nans, 0
        return count

    def values(self, array: Any) -> list[Any]:
        """The values, with a `_Bad` for each that has no JSON form."""
        import pyarrow.compute as pc  # type: ignore[import-untyped, unused-ignore]

        if self._is_plain_time:
            # Python has these times, and orjson writes them as they are written here.
            with suppress(ValueError, OverflowError):
                return cast("list[Any]", array.to_pylist())
        if self._is_changed:
            array = array.cast(self._storage)
        values: list[Any] = array.to_pylist()
        convert = self._convert
        if convert is None or (self._is_float and pc.all(pc.is_finite(array)).as_py() is not False):
            return values
        return [None if value is None else self._converted(convert, value) for value in values]

    def _converted(self, convert: _Convert, value: Any) -> Any:
        try:
            return convert(value)
        except NotJson as error:
            return _Bad(error.below(self.name))
        except (TypeError, ValueError, OverflowError) as error:
            return _Bad(NotJson("", str(error)).below(self.name))

    def _note_nan(self) -> None:
        self.nans += 1

    def _other(self, value: Any) -> Any:
        return to_json(value, self._note_nan)

    def _converter(self, pa: Any, kind: Any) -> _Convert | None:
        """What makes JSON of a value that is not null; None if it is JSON already."""
        types = pa.types
        if types.is_dictionary(kind):
            return self._converter(pa, kind.value_type)
        if types.is_boolean(kind) or types.is_integer(kind) or types.is_null(kind) or _is_text(types, kind):
            return None
        if types.is_decimal(kind):
            return lambda value: from_decimal(value, self._note_nan)
        if types.is_timestamp(kind):
            return _timestamps(kind.unit, kind.tz)
        if types.is_date32(kind):
            return lambda days: _moment(days * _DAY, 0)[:10]
        if types.is_date64(kind):
            return lambda milliseconds: _moment(milliseconds // 1000, 0)[:10]
        if types.is_time(kind):
            per_second = _PER_SECOND[kind.unit]
            return lambda value: _moment(*divmod(value * (10**9 // per_second), 10**9))[11:]
        if types.is_duration(kind):
            per_second = _PER_SECOND[kind.unit]
            return lambda value: _duration(value * (10**9 // per_second))
        if types.is_map(kind):
            return self._map(pa, kind)
        if types.is_struct(kind):
            inner = {field.name: self._converter(pa, field.type) for field in _fields(pa, kind)}
            if not any(inner.values()):
                return None
            return lambda value: {name: _apply(inner[name], item, name) for name, item in value.items()}
        if hasattr(kind, "value_type"):
            item_of = self._converter(pa, kind.value_type)
            if item_of is None:
                return None
            return lambda value: [_apply(item_of, item, index) for index, item in enumerate(value)]
        return self._other

    def _map(self, pa: Any, kind: Any) -> _Convert:
        """An object if the keys are texts, else a list of pairs."""
        key_of, item_of = self._converter(pa, kind.key_type), self._converter(pa, kind.item_type)
        if not _is_text(pa.types, kind.key_type):
            return lambda pairs: [
                [_apply(key_of, key, index), _apply(item_of, item, index)] for index, (key, item) in enumerate(pairs)
            ]

        def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = {key: _apply(item_of, item, key) for key, item in pairs}
            if len(found) != len(pairs):
                raise NotJson("", "a map has a key twice: an object cannot")
            return found

        return to_object


def _apply(convert: _Convert | None, value: Any, key: object) -> Any:
    if convert is None or value is None:
        return value
    try:
        return convert(value)
    except NotJson as error:
        raise error.below(key) from None


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or getattr(types, "is_string_view", _no)(kind))


def _no(_kind: Any) -> bool:
    return False


def _storage(pa: Any, kind: Any) -> Any:
    """The type to read a column as: times as the numbers they are, because Python has no nanoseconds."""
    types = pa.types
    if types.is_date32(kind) or types.is_time32(kind):
        return pa.int32()
    if types.is_timestamp(kind) or types.is_date64(kind) or types.is_time64(kind) or types.is_duration(kind):
        return pa.int64()
    if types.is_dictionary(kind):
        return _storage(pa, kind.value_type)
    if types.is_float16(kind):
        return pa.float32()
    if types.is_struct(kind):
        return pa.struct([field.with_type(_storage(pa, field.type)) for field in _fields(pa, kind)])
    if types.is_map(kind):
        return pa.map_(_storage(pa, kind.key_type), kind.item_field.with_type(_storage(pa, kind.item_type)))
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_storage(pa, kind.value_type)), kind.list_size)
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_storage(pa, kind.value_type)))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_storage(pa, kind.value_type)))
    return kind


def _timestamps(unit: str, zone: str | None) -> _Convert:
    per_second = _PER_SECOND[unit]
    tz = None if zone is None else _zone(zone)

    def convert(value: int) -> str:
        seconds, rest = divmod(value, per_second)
        return _moment(seconds, rest * (10**9 // per_second), tz)

    return convert


def _zone(name: str) -> datetime.tzinfo:
    import zoneinfo

    if name in ("UTC", "Etc/UTC", "Z"):
        return datetime.UTC
    if name[:1] in ("+", "-") and name[3:4] == ":" and name[1:3].isdecimal() and name[4:].isdecimal():
        offset = datetime.timedelta(hours=int(name[1:3]), minutes=int(name[4:]))
        return datetime.timezone(-offset if name[0] == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise Refused(f"its time zone {name[:100]!r} is not known here") from None


def _moment(seconds: int, nanoseconds: int, zone: datetime.tzinfo | None = None) -> str:
    """ISO 8601 of a time since 1970, with as many digits of a second as it takes: none, six or nine."""
    try:
        whole = _EPOCH + datetime.timedelta(seconds=seconds)
        if zone is not None:
            whole = whole.replace(tzinfo=datetime.UTC).astimezone(zone)
    except OverflowError:
        raise NotJson("", f"a time of {seconds:,} seconds since 1970 is outside the years 1 to 9999") from None
    text = whole.isoformat()
    return text[:19] + _fraction(nanoseconds) + text[19:]


def _fraction(nanoseconds: int) -> str:
    if not nanoseconds:
        return ""
    text = f".{nanoseconds:09}"
    return text[:7] if text.endswith("000") else text


def _duration(nanoseconds: int) -> str:
    days, rest = divmod(nanoseconds, _DAY * 10**9)
    return duration(days, *divmod(rest, 10**9))
