"""One rule of conversion: the product, `step debug`, Python inputs and Parquet make the same JSON of a value."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet
from tests import reference
from tests.step.helpers import write_step

import wasmexec
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.conversion import NotJson, to_json
from wasmexec.rows.source import Source

MIB = 1024 * 1024
SETUP = """
import warnings, datetime, math
modules = warnings.sys.modules
decimal, uuid, enum, collections = modules["decimal"], modules["uuid"], modules["enum"], modules["collections"]
Decimal = decimal.Decimal
date, time, timedelta, timezone = datetime.date, datetime.time, datetime.timedelta, datetime.timezone
moment = datetime.datetime
"""
VALUES = [
    "None", "True", "0", "-1", "2**63", "2**64", "10**30", "1.5", "-0.0", "5e-324", "1e308", "math.nan", "'é'", "''",
    "Decimal('0.1')", "Decimal('1.5')", "Decimal('12.00')", "Decimal('-0')", "Decimal('1E+3')", "Decimal('1E+400')",
    "Decimal('1E-400')", "Decimal('NaN')", "Decimal('sNaN')", "Decimal(2)**62", "Decimal(2)**70",
    "Decimal('12345678901234567890123')", "Decimal('-9223372036854775808')", "Decimal('9223372036854775808')",
    "date(2036, 10, 16)", "date(1, 1, 1)", "moment(2036, 10, 16, 9, 22)", "moment(2036, 10, 16, 9, 22, 33, 5)",
    "moment(9999, 12, 31, 23, 59, 59, 999999)", "moment(2036, 1, 1, tzinfo=timezone.utc)",
    "moment(2036, 1, 1, tzinfo=timezone(timedelta(minutes=-330)))", "time(1, 2, 3)", "time(1, 2, 3, 4)",
    "time(1, 2, tzinfo=timezone.utc)", "timedelta(0)", "timedelta(days=1, hours=2, minutes=3, seconds=4.5)",
    "timedelta(seconds=-1)", "timedelta(microseconds=1)", "b''", "b'\\x00\\xff\\xfe'", "bytearray(b'ab')",
    "memoryview(b'abc')", "uuid.UUID(int=5)", "enum.Enum('E', {'A': 'first'}).A", "enum.IntEnum('E', {'A': 7}).A",
    "enum.StrEnum('E', {'A': 's'}).A", "enum.Enum('E', {'A': date(2024, 1, 1)}).A",
    "enum.Enum('E', {'A': Decimal('0.1')}).A", "(1, (2, 'x'), [])", "collections.namedtuple('P', 'x y')(1, 2)",
    "collections.OrderedDict(b=1, a=math.nan)", "collections.defaultdict(list, a=[Decimal('0.1')])",
    "type('S', (str,), {})('text')", "type('I', (int,), {})(5)", "type('F', (float,), {})(0.5)",
    "type('L', (list,), {})([1])", "type('D', (dict,), {})(a=date(2024, 1, 1))", "{'deep': [{'at': date(2024, 1, 1)}]}",
    "{type('K', (str,), {})('key'): 1}", "{'': {'a.b/~c': b'x'}}",
]  # fmt: skip
NUMPY = """
import numpy as np
import pandas as pd
"""
NUMPY_VALUES = [
    "np.int8(-5)", "np.uint64(2**64 - 1)", "np.float64(1.5)", "np.float32(0.1)", "np.float16(2)", "np.longdouble(1.25)",
    "np.bool_(True)", "np.str_('é')", "np.bytes_(b'ab')", "np.float32('nan')", "np.datetime64('2024-01-02')",
    "np.datetime64('2024-01-02T03:04:05.123456789')", "np.datetime64('2024-01')", "np.datetime64('NaT')",
    "np.datetime64('2024')", "np.datetime64('2024-01-02T03')", "np.datetime64('2024-01-02T03:04:05.120')",
    "np.datetime64('12024-01-02')",
    "np.timedelta64(90, 's')", "np.timedelta64(-1, 'ns')", "np.timedelta64(2, 'W')", "np.timedelta64('NaT')",
    "np.array([[1, 2], [3, 4]])", "np.array([1.5, np.nan])", "np.array(3)",
    "np.array(['a', None, pd.Timestamp('2024-01-02')], dtype=object)", "pd.Timestamp('2024-01-02 03:04:05')",
    "pd.Timestamp('2024-01-02 03:04:05.000000001')", "pd.Timestamp('2024-07-01', tz='Europe/Prague')",
    "pd.NaT", "pd.NA",
    "pd.Timedelta('1 days 00:00:01.5')", "pd.Timedelta(-1, 'ns')", "pd.Period('2024-01', freq='M')",
    "pd.array([1, None], dtype='Int64')[1]", "pd.Categorical(['a'])[0]",
]  # fmt: skip


def statement(setup: str, values: list[str]) -> str:
    return setup + "return [\n" + "".join(f"    {{'v': {value}}},\n" for value in values) + "]\n"


def debugged(folder: Path, text: str, python: str) -> Any:
    """What `step debug` prints."""
    write_step(folder, text, processing="bulk", columns="  - {name: v, type: json, allow_null: true}\n")
    process = subprocess.run(
        [sys.executable, "-m", "wasmexec", "step", "debug", "step.step.yaml", "--python", python],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**reference.environment(), **os.environ},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize(
    ("setup", "values", "python"), [(SETUP, VALUES, sys.executable), (NUMPY, NUMPY_VALUES, str(reference.PYTHON))],
    ids=["standard library", "numpy and pandas"],
)  # fmt: skip
def test_debug_makes_of_every_value_what_the_product_makes(
    tmp_path: Path, executor: wasmexec.Executor, setup: str, values: list[str], python: str
) -> None:
    text = statement(setup, values)
    result = executor.run(text)
    result.raise_for_status()
    found = debugged(tmp_path, text, python)
    wanted = {value: repr(row["v"]) for value, row in zip(values, result.rows, strict=True)}
    assert {value: repr(row["v"]) for value, row in zip(values, found, strict=True)} == wanted


def evaluated(values: list[str]) -> list[Any]:
    """The values themselves, here."""
    names: dict[str, Any] = {}
    exec(SETUP, names)
    return [eval(value, names) for value in values]


def test_python_inputs_become_what_the_product_makes_of_them(executor: wasmexec.Executor) -> None:
    result = executor.run(statement(SETUP, VALUES))
    result.raise_for_status()
    rows = [{"v": value} for value in evaluated(VALUES)]
    streamed = [
        row.error if isinstance(row, BadRow) else json.loads(row) for row in Source(rows, max_row_bytes=MIB).rows()
    ]
    source = Source(rows, max_row_bytes=MIB)
    assert list(map(repr, streamed)) == list(map(repr, result.rows))
    assert repr(json.loads(source.whole(MIB) or b"")) == repr(result.rows)
    assert source.remarks == ["the input: NaN became null, because JSON has no NaN: in 'v' (4)"]


REFUSED = {
    "math.inf": "/v", "[1, -math.inf]": "/v/1", "{'a': {1}}": "/v/a", "1j": "/v", "{1: 2}": "/v", "object()": "/v",
    "range(3)": "/v", "iter([])": "/v", "Decimal('Infinity')": "/v", "print": "/v", "[[frozenset()]]": "/v/0/0",
    "{'x': {2: 1}}": "/v/x",
}  # fmt: skip


@pytest.mark.parametrize("value", REFUSED)
def test_what_the_product_refuses_is_refused_everywhere_at_the_same_place(
    executor: wasmexec.Executor, value: str
) -> None:
    error = executor.run(f"{SETUP}return [{{'v': {value}}}]").error
    assert isinstance(error, wasmexec.OutputError)
    assert error.pointer == f"/0{REFUSED[value]}"
    [found] = evaluated([value])
    with pytest.raises(NotJson) as caught:
        to_json({"v": found})
    # Of a key the product names the object, we the key.
    assert caught.value.pointer.startswith(REFUSED[value])
    [row] = Source([{"v": found}], max_row_bytes=MIB).rows()
    assert isinstance(row, BadRow)


ARROW: list[tuple[Any, list[Any]]] = [
    (pa.decimal128(38, 10), [Decimal("0.1"), Decimal("1.5"), Decimal("12"), Decimal(2**62), Decimal("-0.5"), None]),
    (pa.decimal128(38, 0), [Decimal(10**37), Decimal(2**63), Decimal(2**63 - 1)]),
    (pa.date32(), [datetime.date(2036, 10, 16), datetime.date(1, 1, 1), None]),
    (pa.timestamp("us"), [datetime.datetime(2036, 10, 16, 9, 22), datetime.datetime(1969, 1, 1, 0, 0, 0, 7)]),
    (pa.timestamp("us", "UTC"), [datetime.datetime(2036, 10, 16, 9, 22, 33, 5, datetime.UTC)]),
    (pa.time64("us"), [datetime.time(1, 2, 3), datetime.time(1, 2, 3, 4)]),
    (pa.duration("us"), [datetime.timedelta(seconds=-1), datetime.timedelta(days=1, microseconds=5)]),
    (pa.binary(), [b"", b"\x00\xff", None]),
    (pa.float64(), [1.5, float("nan"), -0.0]),
    (pa.list_(pa.decimal128(5, 2)), [[Decimal("0.10"), None], []]),
    (pa.struct([("at", pa.date32()), ("raw", pa.binary())]), [{"at": datetime.date(2024, 1, 1), "raw": b"x"}, None]),
]


@pytest.mark.parametrize(("kind", "values"), ARROW, ids=lambda value: str(value)[:30])
def test_parquet_makes_of_a_value_what_the_product_makes(
    tmp_path: Path, executor: wasmexec.Executor, kind: Any, values: list[Any]
) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"v": pa.array(values, kind)}), path)
    found = json.loads(Source(path, max_row_bytes=MIB).whole(MIB) or b"")
    # Arrow gives decimals the digits of their column.
    shown = pa.array(values, kind).to_pylist()
    setup = 'import warnings, datetime\nDecimal = warnings.sys.modules["decimal"].Decimal\nnan = float("nan")\n'
    text = repr([{"v": value} for value in shown])
    result = executor.run(
        f"{setup}return {text}".replace("<UTC>", "datetime.timezone.utc").replace(
            "zoneinfo.ZoneInfo(key='UTC')", "datetime.timezone.utc"
        )
    )
    result.raise_for_status()
    assert repr(found) == repr(result.rows)
