"""What the command line reads (JSON, JSON Lines, CSV) and writes (JSON, JSON Lines, CSV, tables)."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from wasmexec.cli.inputs import input_format, read_input, read_text
from wasmexec.cli.outputs import to_json, write_rows
from wasmexec.errors import ConfigError, InputError

MANY = 10**6


def written(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b'[{"a": 1}]', b'[{"a": 1}]'),
        ("a.JSON", b'\xef\xbb\xbf{"a": 1}', b'{"a": 1}'),
        ("a.jsonl", b'{"a": 1}\n\n {"a": 12345678901234567890123} \r\n', b'[{"a": 1},{"a": 12345678901234567890123}]'),
        ("a.ndjson", b"", b"[]"),
        ("a.csv", b"\xef\xbb\xbfa,b\n1,x\n\n2,3\r\n", b'[{"a":"1","b":"x"},{"a":"2","b":"3"}]'),
        ("a.csv", b'a,b\n2,"y, ""z""\nw"\r\n', b'[{"a":"2","b":"y, \\"z\\"\\nw"}]'),
        ("a.csv", b"a;b\n1;2\n", b'[{"a;b":"1;2"}]'),
        ("a.csv", b"", b"[]"),
        ("a.csv", b"a,b\n", b"[]"),
        ("a.csv", "a\nžluť\n".encode(), '[{"a":"žluť"}]'.encode()),
    ],
)  # fmt: skip
def test_the_name_tells_the_format(tmp_path: Path, name: str, content: bytes, expected: bytes) -> None:
    assert read_input(written(tmp_path, name, content), None, MANY) == expected


def test_the_format_can_be_given_and_standard_input_is_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read_input(written(tmp_path, "a.txt", b"a\n1\n"), "csv", MANY) == b'[{"a":"1"}]'
    assert input_format("-", None) == "json"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}\n{"a": 2}')))
    assert read_input("-", "jsonl", MANY) == b'[{"a": 1},{"a": 2}]'
    with pytest.raises(ConfigError) as caught:
        input_format("rows.txt", None)
    assert caught.value.message == "rows.txt: the name does not tell its format; add --input-format json, jsonl or csv"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_other_encodings_are_refused_with_the_offset(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, name, '[{"a": "žluť"}]'.encode("cp1250"))
    with pytest.raises(InputError) as caught:
        read_input(source, None, MANY)
    assert caught.value.message == f"{source} is not UTF-8: byte 0x9e at offset 8"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": }\n', "line 2: not JSON: "),
        ("a.jsonl", b'[1\n,2]\n', "line 1: not JSON: "),
        ("a.csv", b"a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2"),
        ("a.csv", b"a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
        ("a.csv", b"a,b,a\n1,2,3\n", "line 1: the column 'a' is there twice"),
        ("a.csv", b'a\n"x" y\n', "line 2: not CSV: "),
        ("a.csv", b'a\n"x\n\n', "not CSV: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_broken_input_is_refused_with_its_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    source = written(tmp_path, name, content)
    with pytest.raises(InputError) as caught:
        read_input(source, None, MANY)
    assert caught.value.message.startswith(source)
    assert message in caught.value.message


def test_a_large_csv_field_is_read(tmp_path: Path) -> None:
    text = "x" * 300_000
    assert json.loads(read_input(written(tmp_path, "a.csv", f"a\n{text}\n".encode()), None, MANY)) == [{"a": text}]


def test_an_input_over_the_limit_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    source = written(tmp_path, "a.json", b"[" + b" " * 98 + b"]")
    assert len(read_input(source, None, 100)) == 100
    with pytest.raises(InputError) as caught:
        read_input(source, None, 99)
    assert caught.value.message == f"{source} is larger than the input may be: 99 bytes (limit input_bytes)"


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
