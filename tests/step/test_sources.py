"""Inputs of every format, as a stream of rows and as a whole."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec import ConfigError, InputError, InputSchemaError
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.formats import ReadOptions
from wasmexec.rows.intake import checked_rows, checked_whole
from wasmexec.rows.json_array import CHUNK_BYTES, split_array
from wasmexec.rows.source import Source
from wasmexec.schema import row_schema as schemas

MIB = 1024 * 1024


def rows_of(value: Any, form: str | None = None) -> list[Any]:
    source = Source(value, ReadOptions(form), max_row_bytes=MIB)
    return [str(row.error) if isinstance(row, BadRow) else json.loads(row) for row in source.rows()]


def whole(value: Any, form: str | None = None) -> Any:
    data = Source(value, ReadOptions(form), max_row_bytes=MIB).whole(MIB)
    return None if data is None else json.loads(data)


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", ' [ {"a": 1} , {"b": [1, {"c": "],}"}]},\n"x\\"," ,-1.5e3, null ] \n', None),
        ("b.json", "\ufeff[]", []),
        ("c.json", "[ ]", []),
        ("a.jsonl", '{"a": 1}\n\n  {"a": "ž"}  \r\n{"a": 12345678901234567890123}', None),
        ("b.ndjson", "", []),
        ("a.csv", 'id,name\n1,"a, ""b"""\n\n2,\n', [{"id": "1", "name": 'a, "b"'}, {"id": "2", "name": ""}]),
        ("b.csv", "\ufeffid\r\n1\r\n", [{"id": "1"}]),
        ("c.csv", "", []),
    ],
)
def test_files_give_the_same_rows_streamed_and_whole(
    tmp_path: Path, name: str, text: str, expected: list[Any] | None
) -> None:
    path = write(tmp_path, name, text)
    if expected is None:
        expected = (
            json.loads(text)
            if name.endswith(".json")
            else [json.loads(line) for line in text.split("\n") if line.strip()]
        )
    assert rows_of(path) == expected
    assert whole(path) == expected


def test_python_values_are_inputs_too() -> None:
    rows = [{"a": 1}, {"a": 2**70}]
    for value in (rows, iter(rows), tuple(rows), json.dumps(rows).encode()):
        assert rows_of(value) == rows
    assert whole(rows) == whole(iter(rows)) == rows
    assert whole({"a": 1}) == {"a": 1}
    assert whole(None) is None
    assert rows_of([{"a": Decimal("1.5")}, {"a": b"x"}]) == [{"a": 1.5}, {"a": "eA=="}]
    with pytest.raises(TypeError, match=r"pass a file as pathlib\.Path"):
        Source("a.json", max_row_bytes=1)


def test_a_bad_row_does_not_stop_the_others(tmp_path: Path) -> None:
    lines = rows_of(write(tmp_path, "a.jsonl", '{"a": 1}\n{"a": }\n{"a": 3}\n'))
    assert [lines[0], lines[2]] == [{"a": 1}, {"a": 3}]
    assert lines[1].startswith(f"{tmp_path}/a.jsonl, line 2: not JSON: ")
    fields = rows_of(write(tmp_path, "a.csv", "a,b\n1,2\n3\n4,5\n"))
    assert fields == [
        {"a": "1", "b": "2"},
        f"{tmp_path}/a.csv, line 3: 1 fields, but the header has 2",
        {"a": "4", "b": "5"},
    ]
    items = rows_of(write(tmp_path, "a.json", '[{"a": 1}, {"a" 2}, {"a": 3}]'))
    assert [items[0], items[2]] == [{"a": 1}, {"a": 3}]
    assert "row 1: not JSON" in items[1]
    objects = rows_of([{"a": 1}, {"a": object()}, {"a": 3}])
    reason = "/a: object has no JSON form: text, a number, a list or a dict instead"
    assert objects[1] == f"the input, row 1 is not JSON: {reason}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": 1}', "row by row needs a JSON array of rows"),
        ("a.json", "", "row by row needs a JSON array of rows"),
        ("a.json", "[1, 2", "row 1: not JSON: the input ends in the middle"),
        ("a.json", '[1, "x', "row 1: not JSON: the input ends in the middle"),
        ("a.json", "[1,,2]", "row 1: not JSON: nothing before ','"),
        ("a.json", "[1,]", "row 1: not JSON: nothing before ']'"),
        ("a.json", "[1}", "row 0: not JSON: unexpected '}'"),
        ("a.json", "[1] 2", "not JSON: something follows the array"),
        ("a.csv", "a,a\n1,2\n", "line 1: the column 'a' is there twice"),
        ("a.csv", 'a\n"x"y\n', "line 2: not CSV"),
        ("a.csv", b"a\n\xff\n", "is not UTF-8: byte 0xff"),
        ("a.jsonl", '{"a": "' + "x" * MIB + '"}', "line 1: longer than an input may be"),
        ("a.json", '["' + "x" * (MIB + CHUNK_BYTES) + '"]', "row 0: larger than an input may be"),
    ],
)
def test_an_input_that_cannot_be_read_on_is_an_error(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        rows_of(write(tmp_path, name, text))
    assert message in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    step = 1

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.step)


@settings(deadline=None)
@given(st.lists(JSON, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]))
def test_any_array_is_cut_into_its_elements(rows: list[Any], step: int, indent: int | None) -> None:
    file = Slow(json.dumps(rows, indent=indent, ensure_ascii=step > 4).encode("utf-8", "surrogatepass"))
    file.step = step
    assert [json.loads(item.text.decode("utf-8", "surrogatepass")) for item in split_array(file, MIB, "x")] == rows


def test_parquet_is_read_in_batches_with_its_types(tmp_path: Path) -> None:
    import datetime

    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    rows = [
        {
            "id": number, "price": Decimal("1.25"), "day": datetime.date(2036, 10, 16), "raw": b"ab", "tags": ["x"],
            "at": datetime.datetime(2036, 10, 16, 9, 22), "none": None,
        }
        for number in range(2500)
    ]  # fmt: skip
    parquet.write_table(pa.Table.from_pylist(rows), path)
    expected = {
        "price": 1.25, "day": "2036-10-16", "raw": "YWI=", "tags": ["x"], "at": "2036-10-16T09:22:00", "none": None,
    }  # fmt: skip
    assert rows_of(path) == [{"id": number, **expected} for number in range(2500)]
    with pytest.raises(InputError, match="is not Parquet"):
        rows_of(write(tmp_path, "b.parquet", b"PAR1 no"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'wasmexec\[parquet\]'"):
        rows_of(write(tmp_path, "a.parquet", b""))


COLUMNS = schemas.prepare(
    [
        {"name": "id", "type": "integer"},
        {"name": "price", "type": "double", "allow_null": True},
        {"name": "ok", "type": "boolean", "allow_null": True},
        {"name": "note", "type": "text"},
        {"name": "extra", "type": "json", "allow_null": True},
    ],
    "strict",
)


def test_csv_texts_become_what_the_columns_say(tmp_path: Path) -> None:
    text = 'id,price,ok,note,extra\n1,2.5,true,x,"{""a"": [1]}"\n-2,,0,,\n'
    path = write(tmp_path, "a.csv", text)
    expected = [
        {"id": 1, "price": 2.5, "ok": True, "note": "x", "extra": {"a": [1]}},
        {"id": -2, "price": None, "ok": False, "note": "", "extra": None},
    ]
    data, count = checked_whole(Source(path, max_row_bytes=MIB), COLUMNS, MIB)
    assert (json.loads(data or b""), count) == (expected, 2)
    rows = [json.loads(row) for row in checked_rows(Source(path, max_row_bytes=MIB), COLUMNS) if isinstance(row, bytes)]
    assert rows == [[row] for row in expected]


def test_a_wrong_row_is_named_by_its_index(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,note\n1,a\none,b\n3,c\n")
    good, bad, last = checked_rows(Source(path, max_row_bytes=MIB), COLUMNS)
    assert isinstance(good, bytes)
    assert isinstance(last, bytes)
    assert isinstance(bad, BadRow)
    assert isinstance(bad.error, InputSchemaError)
    assert (bad.error.pointer, bad.error.rule, bad.error.value) == ("/1/id", "type", "'one'")
    with pytest.raises(InputSchemaError) as caught:
        checked_whole(Source(path, max_row_bytes=MIB), COLUMNS, MIB)
    assert caught.value.pointer == "/1/id"


def json_array(count: int) -> Iterator[bytes]:
    yield b"["
    yield from (
        b'%b{"id": %d, "text": "%b"}' % (b"," if number else b"", number, b"x" * 300) for number in range(count)
    )
    yield b"]"


def json_lines(count: int) -> Iterator[bytes]:
    yield from (b'{"id": %d, "text": "%b"}\n' % (number, b"x" * 300) for number in range(count))


def csv_lines(count: int) -> Iterator[bytes]:
    yield b"id,text\n"
    yield from (b"%d,%b\n" % (number, b"x" * 300) for number in range(count))


@pytest.mark.parametrize(("name", "make"), [("a.json", json_array), ("a.jsonl", json_lines), ("a.csv", csv_lines)])
def test_twenty_thousand_rows_take_no_more_memory_than_a_few(
    tmp_path: Path, name: str, make: Callable[[int], Iterator[bytes]]
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.writelines(make(20_000))
    assert path.stat().st_size > 5 * MIB
    tracemalloc.start()
    try:
        count = sum(isinstance(row, bytes) for row in Source(path, max_row_bytes=256 * MIB).rows())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2 * MIB
