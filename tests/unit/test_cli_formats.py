"""What the command line writes (JSON, JSON Lines, CSV, tables), and the texts that it reads."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest

from wasmexec import DeliveryError
from wasmexec.cli.inputs import read_text
from wasmexec.cli.outputs import to_json, write_rows
from wasmexec.rows.destination import Destination

MANY = 10**6


def written(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def test_statements_and_schemas_are_read_without_a_byte_order_mark(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, "s.py", b"\xef\xbb\xbfreturn []\n"), MANY) == "return []\n"


ROWS = [
    {"name": "žluť", "price": 1.5, "ok": True, "tags": ["a", {"b": None}]},
    {"name": 'x,"y"\nz', "price": 2, "more": None, "big": 10**25},
]


@pytest.mark.parametrize(
    ("form", "names", "expected"),
    [
        (
            "json", None,
            ('[\n{"name":"žluť","price":1.5,"ok":true,"tags":["a",{"b":null}]},\n'
            '{"name":"x,\\"y\\"\\nz","price":2,"more":null,"big":10000000000000000000000000}\n]\n'),
        ),
        (
            "jsonl", None,
            ('{"name":"žluť","price":1.5,"ok":true,"tags":["a",{"b":null}]}\n'
            '{"name":"x,\\"y\\"\\nz","price":2,"more":null,"big":10000000000000000000000000}\n'),
        ),
        (
            "csv", None,
            ('name,price,ok,tags,more,big\nžluť,1.5,true,"[""a"",{""b"":null}]",,\n'
            '"x,""y""\nz",2,,,,10000000000000000000000000\n'),
        ),
        (
            "csv", ("price", "name", "unused"),
            ('price,name,unused,ok,tags,more,big\n1.5,žluť,,true,"[""a"",{""b"":null}]",,\n'
            '2,"x,""y""\nz",,,,,10000000000000000000000000\n'),
        ),
    ],
)  # fmt: skip
def test_rows_are_written(
    capsys: pytest.CaptureFixture[str], form: str, names: tuple[str, ...] | None, expected: str
) -> None:
    write_rows(ROWS, form, names)
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("form", "names", "expected"),
    [
        ("json", None, "[]\n"),
        ("jsonl", None, ""),
        ("csv", None, ""),
        ("csv", ("a", "b"), "a,b\n"),
        ("table", None, "0 rows\n"),
    ],
)
def test_no_rows_are_written(
    capsys: pytest.CaptureFixture[str], form: str, names: tuple[str, ...] | None, expected: str
) -> None:
    write_rows([], form, names)
    assert capsys.readouterr().out == expected


def test_a_table_is_as_wide_as_its_content_and_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "w" * 300
    write_rows([{"a": "\x1b[31mred\x1b[0m [bold]", "n": 1}, {"a": wide, "n": None, "o": {"k": [1]}}], "table", ("n",))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 rows"
    assert "\x1b" not in "".join(lines)
    assert [cell.strip() for cell in lines[3].split("│")[1:-1]] == ["1", "\\x1b[31mred\\x1b[0m [bold]", ""]
    assert [cell.strip() for cell in lines[4].split("│")[1:-1]] == ["", wide, '{"k":[1]}']


def test_numbers_of_any_size_stay_exact_in_json() -> None:
    assert to_json({"n": 2**70, "t": "é"}) == '{"n":1180591620717411303424,"t":"é"}'
    assert json.loads(to_json({"n": 2**70}, indent=True)) == {"n": 2**70}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
HARMLESS = ["a", "1-2", "a=b", " =1", "'=1", "", "x;=1", 'a"b,c']


def test_formulas_are_escaped_if_that_is_wanted(tmp_path: Path) -> None:
    """The texts as a reader of CSV has them; without the option they are data."""
    rows = [{"=name": text, "n": -1, "x": -1.5, "t": True, "l": ["=1"], "o": None} for text in FORMULAS + HARMLESS]
    for escape in (False, True):
        target = Destination(tmp_path / "rows.csv")
        write_rows(rows, "csv", None, target, escape_formulas=escape)
        text = (tmp_path / "rows.csv").read_bytes().decode()
        header, *records = csv.reader(io.StringIO(text, newline=""))
        mark = "'" if escape else ""
        assert header == [f"{mark}=name", "n", "x", "t", "l", "o"]
        assert [record[0] for record in records] == [*(mark + item for item in FORMULAS), *HARMLESS]
        assert {tuple(record[1:]) for record in records} == {("-1", "-1.5", "true", '["=1"]', "")}
        assert (",-1,-1.5,true," in text) is True
        # With another delimiter a cell would begin in the middle of a text, but for the quotes around it.
        assert ('"x;=1"' in text) is escape


def test_a_null_alone_is_a_record_with_escaped_formulas_too(capsys: pytest.CaptureFixture[str]) -> None:
    write_rows([{"a": None}, {"a": 1}], "csv", None)
    plain = capsys.readouterr().out
    write_rows([{"a": None}, {"a": 1}], "csv", None, escape_formulas=True)
    assert (plain, capsys.readouterr().out) == ('a\n""\n1\n', '"a"\n""\n1\n')


def test_rows_of_too_many_keys_are_no_csv_and_no_table(tmp_path: Path) -> None:
    target = Destination(tmp_path / "rows")
    some: list[dict[str, object]] = [{f"key{number}": number} for number in range(16_384)]
    with pytest.raises(DeliveryError) as caught:
        write_rows([*some, {"other": 1}], "csv", None, target)
    assert caught.value.reason == (
        "the rows have more than 16,384 different keys, and each would be a column: write JSON Lines, or give an "
        "output schema that says which columns there are"
    )
    with pytest.raises(DeliveryError) as caught:
        write_rows(some, "csv", None, target)
    assert caught.value.reason.startswith("the 16,384 rows have 16,384 different keys, and nearly all cells would be")
    with pytest.raises(DeliveryError) as caught:
        write_rows(some[:1001], "table", None, target)
    assert caught.value.reason.startswith(
        "a table of 1,001 rows and 1,001 columns is too large to be drawn: write them"
    )
    assert not (tmp_path / "rows").exists()
    # What it says to do; and as many keys as there may be.
    write_rows(some, "jsonl", None, target)
    write_rows(some[:3000], "csv", None, target)
    assert (tmp_path / "rows").read_bytes().startswith(b"key0,key1,")
    write_rows([{"a": 1}] * 3, "csv", [f"c{number}" for number in range(20_000)], target)
    write_rows([dict.fromkeys(map(str, range(16_384)), 1)], "csv", None, target)


@pytest.mark.timing
def test_rows_of_different_keys_take_linear_time(tmp_path: Path) -> None:
    """However they are written: refused, or not."""
    rows: list[dict[str, object]] = [{f"key{number}": number} for number in range(100_000)]
    for form in ("csv", "table", "json", "jsonl"):
        started = time.process_time()
        if form in ("csv", "table"):
            with pytest.raises(DeliveryError):
                write_rows(rows, form, None, Destination(tmp_path / "rows"))
        else:
            write_rows(rows, form, None, Destination(tmp_path / "rows"))
        assert time.process_time() - started < 3
