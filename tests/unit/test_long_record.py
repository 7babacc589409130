"""A record of CSV that is parsed in pieces is what the module makes of it as a whole."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec.rows import delimited
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.dialect import Dialect
from wasmexec.rows.long_record import LongRecord
from wasmexec.rows.source import Source

FIELDS = st.text(alphabet="ab,;'\" \r\n\té\N{GRINNING FACE}\\", max_size=6)
NAMES = ["a", 'b"', "ž"]


def whole(dialect: Dialect, lines: list[str]) -> Any:
    try:
        fields = next(iter(dialect.fields(lines)))
    except csv.Error as error:
        return str(error)
    if len(fields) == len(NAMES) + 1 and not fields[-1]:
        fields.pop()
    return dict(zip(NAMES, fields, strict=True)) if len(fields) == len(NAMES) else len(fields)


def in_pieces(dialect: Dialect, pieces: list[str]) -> Any:
    record = LongRecord(dialect, NAMES)
    try:
        row = record.row(pieces)
    except csv.Error as error:
        return str(error)
    assert record.unused == 0
    return record.count if row is None else json.loads(row)


@settings(deadline=None, max_examples=500)
@given(
    st.lists(st.tuples(FIELDS, st.sampled_from(["", '"', '"', "'", " "])), min_size=1, max_size=5),
    st.sampled_from(["", "\n", "\r\n", "\r"]), st.sampled_from([",", ";", "\t"]), st.sampled_from(['"', "'"]),
    st.booleans(), st.integers(1, 7),
)  # fmt: skip
def test_a_record_in_pieces_is_what_the_module_reads(
    fields: list[tuple[str, str]], end: str, delimiter: str, quote: str, skips_space: bool, size: int
) -> None:
    dialect = Dialect(delimiter, quote, skips_space)
    text = delimiter.join(before + field.replace(quote, 2 * quote) + before for field, before in fields) + end
    lines = text.replace("\r\n", "\N{SNOWMAN}").replace("\n", "\n\0").replace("\r", "\r\0")
    lines = lines.replace("\N{SNOWMAN}", "\r\n\0")
    found = [line for line in lines.split("\0") if line]
    if not found or found[0] in ("\n", "\r", "\r\n"):
        return
    pieces = [line[at : at + size] for line in found for at in range(0, len(line), size)]
    assert in_pieces(dialect, pieces) == whole(dialect, found)


def rows_of(path: Path) -> list[Any]:
    """The line and the row, or what is wrong with it, of each record of a file."""
    source = Source(path, max_row_bytes=1000)
    return [(source.line, row.error.message if isinstance(row, BadRow) else json.loads(row)) for row in source.rows()]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [6, 7, 8, 9, 11, 16, 1000])
def test_a_file_is_the_same_whatever_counts_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, size: int
) -> None:
    rows = ["1,2", '"x\n\r\ny","z"', "", "3", 'long field,"quoted ""field"" that is long"', ",", "5,6,", "7,8"]
    path = tmp_path / "a.csv"
    path.write_bytes(("a,b" + end + end.join(rows)).encode())

    expected = rows_of(path)
    assert len(expected) == 7
    monkeypatch.setattr(delimited, "LONG_CHARACTERS", size)
    monkeypatch.setattr(delimited, "MAX_HEADER", 1000)
    assert rows_of(path) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("most", [0, 3, 5, 8])
def test_a_file_is_the_same_however_many_delimiters_make_a_record_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, most: int
) -> None:
    rows = ["1,2", '"a,b,c,d,e,f,g,h,i",2', "1,2,3,4,5,6", ",,,,,,,,,", '"a,\n,\n,,\n,,,","x"",,,,"', "1,2,", '"a",2']
    path = tmp_path / "a.csv"
    path.write_bytes(("a,b" + end + end.join(rows)).encode())

    expected = rows_of(path)
    assert len(expected) == len(rows)
    monkeypatch.setattr(delimited, "LONG_FIELDS", most)
    assert rows_of(path) == expected


@pytest.mark.timing
def test_a_long_field_of_doubled_quotes_takes_about_as_long_as_the_module_takes() -> None:
    field = '""' * 600_000
    text = f'"{field}",b,c\n'

    def seconds(read: Callable[[], object]) -> float:
        found = []
        for _ in range(3):
            start = time.thread_time()
            read()
            found.append(time.thread_time() - start)
        return min(found)

    dialect = Dialect(",", '"', False)
    row = LongRecord(dialect, NAMES).row([text])
    assert row is not None
    assert json.loads(row) == {"a": '"' * 600_000, 'b"': "b", "ž": "c"}
    module = seconds(lambda: list(csv.reader([text], strict=True)))
    assert seconds(lambda: LongRecord(dialect, NAMES).row([text])) < 20 * module
