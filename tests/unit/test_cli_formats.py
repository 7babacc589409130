"""What the command line writes (JSON, JSON Lines, CSV, tables), and the texts that it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasmexec.cli.inputs import read_text
from wasmexec.cli.outputs import to_json, write_rows

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
