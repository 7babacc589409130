"""Parquet: every type has one JSON form or a refusal, and the process that parses it is not trusted."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from wasmexec import ConfigError, InputError
from wasmexec.rows import parquet as reader
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.parquet_child import HEAD
from wasmexec.rows.source import Source

MIB = 1024 * 1024


def read(path: Path, max_row_bytes: int = MIB) -> tuple[list[Any], list[str]]:
    """Rows, with the error of each that cannot be read, and remarks."""
    source = Source(path, max_row_bytes=max_row_bytes)
    rows = [row.error.message if isinstance(row, BadRow) else json.loads(row) for row in source.rows()]
    return rows, [text.removeprefix(f"{path}: ") for text in source.remarks]


def of_values(tmp_path: Path, values: list[Any], kind: Any, **options: Any) -> tuple[list[Any], list[str]]:
    """What the values of a column of a type become."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"v": pa.array(values, kind)}), path, **options)
    rows, remarks = read(path)
    return [row["v"] if isinstance(row, dict) else row.removeprefix(f"{path}, ") for row in rows], remarks


NS = 1_000_000_001
DAY = datetime.date(2036, 10, 16)
STRUCT = pa.struct([("at", pa.timestamp("ns")), ("raw", pa.binary()), ("n", pa.int8())])


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.int64(), [2**63 - 1, -(2**63), None], [2**63 - 1, -(2**63), None]),
        (pa.uint64(), [2**64 - 1, 0], [2**64 - 1, 0]),
        (pa.int8(), [-128, 127], [-128, 127]),
        (pa.float64(), [1.5, -0.0, 5e-324, None], [1.5, -0.0, 5e-324, None]),
        (pa.float32(), [0.5, 0.1], [0.5, 0.10000000149011612]),
        (pa.bool_(), [True, False, None], [True, False, None]),
        (pa.null(), [None, None], [None, None]),
        (pa.string(), ["", "ž", "\0"], ["", "ž", "\0"]),
        (pa.large_string(), ["x"], ["x"]),
        (pa.binary(), [b"", b"\x00\xff\xfe", None], ["", "AP/+", None]),
        (pa.binary(2), [b"ab"], ["YWI="]),
        (pa.large_binary(), [b"ab"], ["YWI="]),
        (pa.decimal128(10, 2), [Decimal("12.00"), Decimal("1.50"), Decimal("0.10")], [12, 1.5, "0.10"]),
        (pa.decimal128(38, 0), [Decimal(2**62), Decimal(10**37 + 1)], [2**62, str(10**37 + 1)]),
        (pa.decimal256(60, 1), [Decimal("0.5"), Decimal(10**50 + 1)], [0.5, f"{10**50 + 1}.0"]),
        (pa.date32(), [datetime.date.min, datetime.date.max, DAY], ["0001-01-01", "9999-12-31", "2036-10-16"]),
        (pa.date64(), [DAY, None], ["2036-10-16", None]),
        (pa.time32("s"), [datetime.time(1, 2, 3)], ["01:02:03"]),
        (pa.time32("ms"), [datetime.time(1, 2, 3, 4000)], ["01:02:03.004000"]),
        (pa.time64("us"), [datetime.time(1, 2, 3, 4)], ["01:02:03.000004"]),
        (pa.time64("ns"), [NS], ["00:00:01.000000001"]),
        (pa.timestamp("s"), [0, -1], ["1970-01-01T00:00:00", "1969-12-31T23:59:59"]),
        (pa.timestamp("ms"), [1500], ["1970-01-01T00:00:01.500000"]),
        (pa.timestamp("us"), [-1], ["1969-12-31T23:59:59.999999"]),
        (pa.timestamp("ns"), [NS, -1, 10**9], [
            "1970-01-01T00:00:01.000000001", "1969-12-31T23:59:59.999999999", "1970-01-01T00:00:01",
        ]),
        (pa.timestamp("ns", "UTC"), [NS], ["1970-01-01T00:00:01.000000001+00:00"]),
        (pa.timestamp("us", "Europe/Prague"), [0], ["1970-01-01T01:00:00+01:00"]),
        (pa.timestamp("us", "-05:30"), [0], ["1969-12-31T18:30:00-05:30"]),
        (pa.duration("ns"), [NS, -1], ["P0DT0H0M1.000000001S", "P-1DT23H59M59.999999999S"]),
        (pa.duration("s"), [90_061], ["P1DT1H1M1S"]),
        (pa.list_(pa.timestamp("ns")), [[NS, None], None, []], [["1970-01-01T00:00:01.000000001", None], None, []]),
        (pa.list_(pa.list_(pa.decimal128(3, 1))), [[[Decimal("0.5")], None]], [[[0.5], None]]),
        (pa.list_(pa.int8(), 2), [[1, 2], None], [[1, 2], None]),
        (STRUCT, [{"at": NS, "raw": b"ab", "n": 1}, None, {"at": None, "raw": None, "n": None}], [
            {"at": "1970-01-01T00:00:01.000000001", "raw": "YWI=", "n": 1}, None,
            {"at": None, "raw": None, "n": None},
        ]),
        (pa.map_(pa.string(), pa.date32()), [[("k", DAY), ("l", None)], None], [{"k": "2036-10-16", "l": None}, None]),
        (pa.map_(pa.string(), pa.int8()), [[], [("", 1)]], [{}, {"": 1}]),
        (pa.map_(pa.int32(), pa.string()), [[(1, "a")]], [[[1, "a"]]]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a", None], ["a", "b", "a", None]),
    ],
)  # fmt: skip
def test_every_type_has_one_json_form(tmp_path: Path, kind: Any, values: list[Any], expected: list[Any]) -> None:
    found, remarks = of_values(tmp_path, values, kind)
    assert list(map(repr, found)) == list(map(repr, expected))
    assert remarks == []


@pytest.mark.parametrize(
    ("kind", "values", "reasons"),
    [
        (pa.float64(), [1.0, float("inf")], {1: "row 1: /v: inf is not a finite number"}),
        (pa.float32(), [float("-inf"), 2.0], {0: "row 0: /v: -inf is not a finite number"}),
        (pa.list_(pa.float64()), [[1.0], [0.0, float("inf")]], {1: "row 1: /v/1: inf is not a finite number"}),
        (
            pa.timestamp("s"), [0, 10**12],
            {1: "row 1: /v: a time of 1,000,000,000,000 seconds since 1970 is outside the years 1 to 9999"},
        ),
        (
            pa.timestamp("us", "Europe/Prague"), [-62_135_596_800 * 10**6 - 1],
            {0: "row 0: /v: a time of -62,135,596,801 seconds since 1970 is outside the years 1 to 9999"},
        ),
        (
            pa.map_(pa.string(), pa.int8()), [[("k", 1)], [("k", 1), ("k", 2)]],
            {1: "row 1: /v: a map has a key twice: an object cannot"},
        ),
    ],
)  # fmt: skip
def test_what_json_does_not_have_is_refused_in_its_row(
    tmp_path: Path, kind: Any, values: list[Any], reasons: dict[int, str]
) -> None:
    found, _ = of_values(tmp_path, values, kind)
    assert {index: value for index, value in enumerate(found) if isinstance(value, str) and "row " in value} == reasons
    assert len(found) == len(values)


def test_nan_becomes_null_and_is_counted_by_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    nan = float("nan")
    table = pa.table({"a": [nan, 1.0, None], "b": [nan, nan, 2.0], "c": pa.array([[nan], [], [1.0]]), "d": [1, 2, 3]})
    parquet.write_table(table, path)
    rows, remarks = read(path)
    assert rows == [
        {"a": None, "b": None, "c": [None], "d": 1}, {"a": 1.0, "b": None, "c": [], "d": 2},
        {"a": None, "b": 2.0, "c": [1.0], "d": 3},
    ]  # fmt: skip
    assert remarks == ["NaN became null, because JSON has no NaN: in 'a' (1), 'b' (2), 'c' (1)"]


def test_old_timestamps_beyond_2262_do_not_wrap(tmp_path: Path) -> None:
    values = [datetime.datetime(9999, 12, 31, 1, 2, 3), datetime.datetime(2036, 10, 16)]
    found, remarks = of_values(
        tmp_path, values, pa.timestamp("us"), use_deprecated_int96_timestamps=True, store_schema=False
    )
    assert found == ["9999-12-31T01:02:03", "2036-10-16T00:00:00"]
    assert remarks == ["column 'v': INT96 timestamps are read to the microsecond"]


def test_extension_types_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    value = uuid.UUID(int=5)
    parquet.write_table(pa.table({"v": pa.array([value.bytes, None], pa.uuid())}), path)
    assert read(path)[0] == [{"v": str(value)}, {"v": None}]


def test_two_columns_of_one_name_are_refused_at_every_depth(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    number = pa.array([1])
    parquet.write_table(pa.Table.from_arrays([number, number], names=["a", "a"]), path)
    with pytest.raises(InputError, match=r"the column 'a' is there twice: rename one of them"):
        read(path)
    nested = pa.StructArray.from_arrays([number, number], names=["x", "x"])
    parquet.write_table(pa.table({"s": nested}), path)
    with pytest.raises(InputError, match=r"the column 's\.x' is there twice"):
        read(path)
    parquet.write_table(pa.Table.from_arrays([number, number], names=["a", "A"]), path)
    assert read(path)[0] == [{"a": 1, "A": 1}]


def test_ten_thousand_rows_come_in_order_and_row_groups_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"n": list(range(10_000)), "t": ["x" * 50] * 10_000}), path, row_group_size=777)
    assert [row["n"] for row in read(path)[0]] == list(range(10_000))
    parquet.write_table(pa.table({"n": pa.array([], pa.int8())}), path)
    assert read(path)[0] == []


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1 no", b"id,name\n1,2\n", b"\0" * 100, b"PAR1" + b"\xff" * 500 + b"PAR1"]
)
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet cannot be read: it is not Parquet, or damaged"):
        read(path)


def test_damaged_files_end_in_an_input_error_or_in_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"n": list(range(50)), "t": ["text"] * 50}), path)
    good = path.read_bytes()
    assert len(read(path)[0]) == 50
    refused = []
    for position in range(4, len(good), max(1, len(good) // 12)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
        try:
            read(path)
        except InputError as error:
            refused.append(error.message)
    assert refused
    assert all(message.startswith(f"{path} cannot be read: ") for message in refused)


def test_a_small_file_that_needs_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    # One value of 40 MiB, which a thousand rows refer to.
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), pa.array(["x" * (40 * MIB)]))
    parquet.write_table(pa.table({"t": values}), path, compression="zstd")
    del values
    assert path.stat().st_size < MIB
    before = psutil.Process().memory_info().rss
    with pytest.raises(InputError, match=r"cannot be read: "):
        read(path)
    assert psutil.Process().memory_info().rss - before < 100 * MIB
    parquet.write_table(pa.table({"t": ["x" * 1000]}), path)
    assert len(read(path, max_row_bytes=1100)[0]) == 1
    with pytest.raises(InputError, match=r"more than 1,000 bytes as JSON"):
        read(path, max_row_bytes=1000)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'wasmexec\[parquet\]'"):
        read(path)


def frame(kind: bytes, payload: bytes) -> bytes:
    return HEAD.pack(kind, len(payload)) + payload


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Reads rows from a process that runs a program in place of the reader."""

    def run(program: str) -> list[Any]:
        command = [sys.executable, "-I", "-c", "import os, sys, time\n" + textwrap.dedent(program)]
        monkeypatch.setattr(reader, "child_command", lambda *_: command)
        path = tmp_path / "a.parquet"
        path.write_bytes(b"")
        return read(path, max_row_bytes=1000)[0]

    return run


@pytest.mark.parametrize(
    "data",
    [
        frame(b"R", b"[1]"),
        frame(b"R", b'{"a": 1}'),
        frame(b"R", b'[{"a": 1}],[{"b": 2}]'),
        frame(b"R", b'[{"a": NaN}]'),
        frame(b"R", b'[{"a": 1e999}]'),
        frame(b"R", b'[{"a": "' + b"x" * 2000 + b'"}]'),
        frame(b"R", b""),
        frame(b"R", b'[{"a": "\xff"}]'),
        frame(b"R", b"[" * 100_000),
        frame(b"B", b"[]"),
        frame(b"B", b'["", 1]'),
        frame(b"N", b'{"a": -1}'),
        frame(b"N", b'{"a": true}'),
        frame(b"N", b"[]"),
        frame(b"W", b"1"),
        frame(b"E", b"{}"),
        frame(b".", b"7"),
        frame(b".", b"false"),
        frame(b"?", b""),
        HEAD.pack(b"R", 2**32 - 1),
        HEAD.pack(b"W", 2**31),
        b"garbage that is no frame at all",
    ],
)
def test_a_reader_that_lies_is_found_out(lying: Callable[[str], list[Any]], data: bytes) -> None:
    with pytest.raises(InputError, match=r"cannot be read: the process that reads it sent "):
        lying(f"os.write(1, {data!r}); time.sleep(30)")


def test_the_same_frames_told_truly_are_rows(lying: Callable[[str], list[Any]]) -> None:
    data = frame(b"R", b'[{"a":1},{"a":2}]') + frame(b"B", b'["/a","no"]') + frame(b".", b"3")
    rows = lying(f"os.write(1, {data!r}); time.sleep(30)")
    assert [rows[0], rows[1], rows[2].partition("row 2: ")[2]] == [{"a": 1}, {"a": 2}, "/a: no"]


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("os.abort()", "signal 6"),
        ("sys.exit(9)", "exit code 9"),
        ("os.write(1, b'R'); os._exit(0)", "exit code 0"),
        ("os._exit(0)", "exit code 0"),
    ],
)
def test_a_reader_that_dies_is_an_input_error(lying: Callable[[str], list[Any]], program: str, how: str) -> None:
    with pytest.raises(InputError) as caught:
        lying(program)
    assert f"cannot be read: the process that reads it died ({how}): the file is damaged, hostile or" in str(
        caught.value
    )


@pytest.mark.timing
def test_a_reader_that_hangs_is_ended(lying: Callable[[str], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "STALL_SECONDS", 1.0)
    started = time.monotonic()
    with pytest.raises(InputError, match=r"no row for 1 seconds"):
        lying("time.sleep(60)")
    assert time.monotonic() - started < 20
    assert not [child for child in psutil.Process().children() if "sleep(60)" in " ".join(child.cmdline())]


def test_the_process_ends_with_its_reader_and_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"n": list(range(100_000)), "t": ["x" * 300] * 100_000}), path)

    def readers(process: psutil.Process) -> list[psutil.Process]:
        return [child for child in process.children() if "parquet_child" in " ".join(child.cmdline())]

    rows = Source(path, max_row_bytes=MIB).rows()
    next(rows)
    assert len(readers(psutil.Process())) == 1
    rows.close()
    assert readers(psutil.Process()) == []
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom wasmexec.rows.source import Source\n"
        f"rows = Source(Path({str(path)!r}), max_row_bytes={MIB}).rows()\nnext(rows)\nprint('read', flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"read\n"
    [child] = readers(psutil.Process(parent.pid))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    child.wait(20)
