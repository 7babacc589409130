"""Parquet: what the process that reads it may say, and what it reads out of files that are damaged."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import io
import json
import math
import os
import struct
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any
from unittest import mock

from tests.fuzz.draw import Draw
from tests.fuzz.targets.rows import same, scratch_file

from wasmexec.errors import ConfigError, InputError
from wasmexec.rows import parquet, parquet_child
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.json_text import decode

_MOST = 2000
"""Bytes of a row."""
_KINDS = (b"L", b"R", b"B", b"N", b"W", b"E", b".", b"?")
_LONG_INTEGER = f'[{{"a":{2**70}}}]'
_PAYLOADS = {
    b"L": ('""',), b"R": ('[{"a":1}]', _LONG_INTEGER, "[]", '[{"a":1},{"b":null}]', "[1]"),
    b"B": ('["/a","x"]', '["/a"]', "[1,2]"),
    b"N": ('{"a":1}', '{"a":-1}', '{"a":"x"}', "{}"), b"W": ('"said"',), b"E": ('"why"',), b".": ("1", "0", "2", "3"),
    b"?": ("",),
}  # fmt: skip


class _Said:
    """A process that has said something and is gone."""

    def __init__(self, *_: object, said: bytes, **__: object) -> None:
        descriptor = os.memfd_create("said")
        os.write(descriptor, said)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.stdin = None
        self.stdout = os.fdopen(descriptor, "rb")
        self.pid = os.getpid()

    def kill(self) -> None:
        """It is gone already."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code."""
        return 0


class _Forked:
    """The reading process, out of this one: its libraries are loaded already."""

    def __init__(self, command: list[str], *, pass_fds: tuple[int, ...], **_: object) -> None:
        stdin, self.stdin = _pipe(for_writing=True)
        stdout, self.stdout = _pipe(for_writing=False)
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                os.dup2(stdin, 0)
                os.dup2(stdout, 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                # The ends of whoever reads: standard input would never end.
                os.close(self.stdin.fileno())
                parquet_child.main(str(pass_fds[0]), str(_MOST))
            os._exit(1)
        os.close(stdin)
        os.close(stdout)
        self._code: int | None = None

    def kill(self) -> None:
        """End it."""
        if self._code is None:
            os.kill(self.pid, 9)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


def _pipe(*, for_writing: bool) -> tuple[int, Any]:
    reading, writing = os.pipe()
    return (reading, os.fdopen(writing, "wb")) if for_writing else (writing, os.fdopen(reading, "rb"))


def parquet_frames(data: bytes) -> None:
    """Whatever the reading process says: rows that are strict JSON and no longer than permitted, or an InputError."""
    draw = Draw(data)
    said = b"".join(_frame(draw) for _ in range(draw.below(6)))
    if draw.chance(6):
        said = said[: draw.below(200)]
    most = _MOST if not draw.chance(6) else 200_000
    remarks: list[str] = []
    with (
        open("/dev/null", "rb") as file,
        mock.patch.object(subprocess, "Popen", lambda *a, **k: _Said(*a, **k, said=said)),
        mock.patch.object(parquet, "STALL_SECONDS", 2.0),
    ):
        reader = parquet.parquet_rows(_Seekable(file.fileno()), "it", max_row_bytes=most, remark=remarks.append)
        rows, is_whole = _check(reader, most)
    assert not is_whole or len(rows) in _ends(said), "an end that does not fit the rows"
    assert all(type(remark) is str for remark in remarks)
    if draw.below(16) == 0:
        _check_not_read()


def _check_not_read() -> None:
    """A pipe is refused, and everything where the library is not installed."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, contextlib.suppress(ConfigError):
        next(parquet.parquet_rows(pipe, "it", max_row_bytes=_MOST, remark=bool))
        raise AssertionError("a pipe was read")
    with mock.patch("importlib.util.find_spec", return_value=None), contextlib.suppress(ConfigError):
        next(parquet.parquet_rows(_Seekable(0), "it", max_row_bytes=_MOST, remark=bool))
        raise AssertionError("read without a library")


class _Seekable(io.BytesIO):
    """A file that is there."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Of another file."""
        return self._descriptor


def _frame(draw: Draw) -> bytes:
    kind = draw.choose(_KINDS[1:]) if not draw.chance(6) else _KINDS[0]
    payload = draw.json(*_PAYLOADS[kind]).encode("utf-8", "replace")
    if kind == b"R" and draw.chance(8):
        size = draw.choose([_MOST - 8, _MOST - 7, 4000, 50_000, 70_000, 150_000, 300_000])
        payload = draw.choose([b'[{"a":"%b"}]', b'[{"a":"%b"}]', b'[["a","%b"]]', b'[{"a":"%b}]']) % (b"x" * size)
    length = len(payload) if not draw.chance(12) else draw.integer() & 0xFFFFFFFF
    return struct.pack("<cI", kind, length) + payload


def _ends(said: bytes) -> list[Any]:
    """The numbers of rows in frames that say that all have come."""
    found = []
    while len(said) >= 5:
        kind, length = struct.unpack("<cI", said[:5])
        payload, said = said[5 : 5 + length], said[5 + length :]
        with contextlib.suppress(ValueError):
            found += [json.loads(payload)] if kind == b"." else []
    return found


def _check(rows: Iterator[tuple[int | None, bytes | BadRow]], most: int = _MOST) -> tuple[list[Any], bool]:
    """The values of the rows, with None for each that cannot be read, and whether all of them have come."""
    found: list[Any] = []
    try:
        for _, row in rows:
            if isinstance(row, BadRow):
                found.append(None)
                continue
            assert len(row) <= most, "a row that is too long"
            value = decode(row)
            assert type(value) is dict
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
            found.append(value)
    except InputError:
        return found, False
    return found, True


def parquet_files(data: bytes) -> None:
    """A file has the values that were written, none is null in silence; a damaged one has rows, or an InputError."""
    draw = Draw(data)
    columns = [_column(draw) for _ in range(1 + draw.below(3))]
    count = draw.below(5)
    values = [[None if draw.chance(5) else make(draw) for _ in range(count)] for _, make, _ in columns]
    content = _written([kind for kind, _, _ in columns], values, draw)
    damaged = bytearray(content)
    for _ in range(0 if not draw.chance(2) else 1 + draw.below(4)):
        at = draw.below(len(damaged) + 1)
        damaged[at : at + draw.below(4)] = draw.binary(4)
    path = scratch_file("rows.parquet", bytes(damaged))
    remarks: list[str] = []
    with open(path, "rb") as file, mock.patch.object(subprocess, "Popen", _Forked):
        rows, is_whole = _check(parquet.parquet_rows(file, "it", max_row_bytes=_MOST, remark=remarks.append))
    if bytes(damaged) != content:
        return
    assert is_whole, "what pyarrow wrote is refused"
    assert len(rows) == count
    for index, row in enumerate(rows):
        expected = {f"c{at}": values[at][index] for at in range(len(columns))}
        if row is None:
            assert any(not _has_json(value) for value in expected.values()), f"refused: {expected}"
            continue
        for (name, value), (_, _, read) in zip(expected.items(), columns, strict=True):
            if isinstance(value, float) and math.isnan(value):
                assert row[name] is None
                assert any("NaN" in remark for remark in remarks), "NaN is null, and nobody says so"
            else:
                assert row[name] is None if value is None else same(read(row[name]), value), f"{row[name]!r}: {value!r}"


def _has_json(value: Any) -> bool:
    return not (isinstance(value, float) and math.isinf(value))


@cache
def _arrow() -> Any:
    # All that the reading process imports is there when it is forked.
    for module in ("pyarrow.compute", "pyarrow.parquet"):
        importlib.import_module(module)
    pyarrow: Any = importlib.import_module("pyarrow")
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    return pyarrow


def _written(kinds: list[str], values: list[list[Any]], draw: Draw) -> bytes:
    pa = _arrow()
    types = {
        "i8": pa.int8(), "u64": pa.uint64(), "i64": pa.int64(), "f64": pa.float64(), "text": pa.string(),
        "bool": pa.bool_(), "date": pa.date32(), "stamp_us": pa.timestamp("us"),
        "stamp_zone": pa.timestamp("ms", "UTC"),
        "decimal": pa.decimal128(20, 3), "list": pa.list_(pa.int64()), "struct": pa.struct([("a", pa.string())]),
        "time": pa.time64("us"),
    }  # fmt: skip
    table = pa.table({
        f"c{at}": pa.array(column, types[kind]) for at, (kind, column) in enumerate(zip(kinds, values, strict=True))
    })  # fmt: skip
    out = io.BytesIO()
    pa.parquet.write_table(
        table, out, row_group_size=1 + draw.below(3), compression=draw.choose(["none", "snappy", "zstd"]),
        use_dictionary=draw.chance(2), data_page_version=draw.choose(["1.0", "2.0"]), version="2.6",
    )  # fmt: skip
    return out.getvalue()


def _day(draw: Draw) -> datetime.date:
    return datetime.date.min + datetime.timedelta(draw.below(3_652_059))


def _stamp(draw: Draw) -> datetime.datetime:
    time = datetime.time(draw.below(24), draw.below(60), draw.below(60), draw.choose([0, 1, 500_000, 999_999]))
    return datetime.datetime.combine(_day(draw), time)


def _zoned(draw: Draw) -> datetime.datetime:
    return _stamp(draw).replace(microsecond=draw.below(1000) * 1000, tzinfo=datetime.UTC)


def _same(value: Any) -> Any:
    return value


_COLUMNS: tuple[tuple[str, Any, Any], ...] = (
    ("i64", lambda draw: (draw.integer() & (2**63 - 1)) * (1 - 2 * draw.below(2)), _same),
    ("u64", lambda draw: draw.integer() & (2**64 - 1), _same),
    ("i8", lambda draw: draw.byte() - 128, _same),
    (
        "f64",
        lambda draw: draw.choose([0.5, -0.0, 1e300, 5e-324, float("nan"), float("inf"), draw.integer() / 7]),
        _same,
    ),
    ("text", lambda draw: draw.text(8), _same),
    ("bool", lambda draw: draw.chance(2), _same),
    ("date", _day, datetime.date.fromisoformat),
    ("stamp_us", _stamp, datetime.datetime.fromisoformat),
    ("stamp_zone", _zoned, datetime.datetime.fromisoformat),
    (
        "decimal",
        lambda draw: Decimal(draw.integer() % 10**17).scaleb(-3),
        lambda read: Decimal(str(read)).quantize(Decimal("0.001")),
    ),
    ("list", lambda draw: [draw.integer() & 0xFFFF for _ in range(draw.below(3))], _same),
    ("struct", lambda draw: {"a": draw.text(4)}, _same),
    ("time", lambda draw: _stamp(draw).time(), datetime.time.fromisoformat),
)


def _column(draw: Draw) -> tuple[str, Any, Any]:
    return draw.choose(_COLUMNS)
