"""Text files as the world writes them: encodings, gzip, delimiters, quotes, headers, and what is said about them."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec import ConfigError, InputError
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.formats import ReadOptions, form_of
from wasmexec.rows.inputs import sources_of
from wasmexec.rows.intake import checked_whole
from wasmexec.rows.source import Source
from wasmexec.rows.typed import column_kinds

MIB = 1024 * 1024


class Read:
    """What a source gave: rows streamed and as a whole, which must be the same, and its remarks."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        streamed = Source(path, options, max_row_bytes=MIB)
        self.rows: list[Any] = []
        for row in streamed.rows():
            if isinstance(row, BadRow):
                raise row.error
            self.rows.append(json.loads(row))
        source = Source(path, options, max_row_bytes=MIB)
        data = source.whole(MIB)
        assert data is not None
        assert json.loads(data) == self.rows
        assert source.remarks == streamed.remarks
        self.remarks = [text.removeprefix(f"{path}: ") for text in source.remarks]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """Reads a file of some content."""

    def read(name: str, content: bytes | str, **options: str) -> Read:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Read(path, ReadOptions(**options))

    return read


Reader = Callable[..., Read]
ROWS = [{"name": "A", "qty": "1"}, {"name": "B", "qty": "2"}]


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a.csv", "name;qty\nA;1\nB;2\n", "';', not ','"),
        ("a.csv", "name\tqty\nA\t1\nB\t2\n", "tab, not ','"),
        ("a.csv", "name|qty\r\nA|1\r\nB|2\r\n", "'|', not ','"),
        ("a.csv", '"name";"qty"\n"A";"1"\n"B";"2"\n', "';', not ','"),
        ("a.csv", "\ufeffname;qty\nA;1\nB;2", "';', not ','"),
        ("a.csv", "\n \n;;\nname;qty\nA;1\nB;2\n", "';', not ','"),
        ("a.tsv", "name,qty\nA,1\nB,2\n", "',', not tab"),
        ("a.csv", "name;qty\n\nA;1\n   \nB;2\n\n", "';', not ','"),
    ],
)
def test_a_header_shows_another_delimiter_and_it_is_said(read: Reader, name: str, content: str, shown: str) -> None:
    found = read(name, content)
    assert found.rows == ROWS
    assert found.remarks == [f"its header shows that the delimiter is {shown}: read so"]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "name,qty\nA,1\nB,2\n", {}),
        ("a.tsv", "name\tqty\nA\t1\nB\t2\n", {}),
        ("a.csv", "sep=;\nname;qty\nA;1\nB;2\n", {}),
        ("a.csv", '\ufeff"sep=|"\r\nname|qty\r\nA|1\r\nB|2\r\n', {}),
        ("a.csv", "SEP=\t\nname\tqty\nA\t1\nB\t2\n", {}),
        ("a.csv", "name#qty\nA#1\nB#2\n", {"delimiter": "#"}),
        ("a.csv", "name;qty\nA;1\nB;2\n", {"delimiter": "semicolon"}),
        ("a.csv", "name;qty\nA;1\nB;2\n", {"delimiter": ";"}),
        ("a.csv", "sep=,\nname;qty\nA;1\nB;2\n", {"delimiter": ";"}),
        ("a.txt", "name qty\nA 1\nB 2\n", {"form": "csv", "delimiter": "space"}),
        ("a.txt", "name\tqty\nA\t1\nB\t2\n", {"form": "tsv"}),
        ("a.csv", "name,qty\rA,1\rB,2\r", {}),
        ("a.csv", "name,qty\nA,1,\nB,2,\n", {}),
        ("a.csv", "name,qty\r\nA,1\r\nB,2\r\n\x1a", {}),
        ("a.csv", "name,qty,\nA,1,\nB,2,\n", {}),
        ("a.csv", "name,qty,\nA,1\nB,2\n", {}),
    ],
)
def test_what_a_name_a_first_line_or_an_option_says_needs_no_words(
    read: Reader, name: str, content: str, options: dict[str, str]
) -> None:
    found = read(name, content, **options)
    assert (found.rows, found.remarks) == (ROWS, [])


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('"name;qty"\nA;1\n', [{"name;qty": "A;1"}]),
        ("comment\na;b\nc;d|e\n", [{"comment": "a;b"}, {"comment": "c;d|e"}]),
        ('"a;b",c\n1;2,3\n', [{"a;b": "1;2", "c": "3"}]),
        ("id,list\n1,x;y;z\n2,x\n", [{"id": "1", "list": "x;y;z"}, {"id": "2", "list": "x"}]),
        ('id,"a|b|c"\n1,x\n', [{"id": "1", "a|b|c": "x"}]),
        ("one\n1\n\n2\n", [{"one": "1"}, {"one": "2"}]),
        ('id,text\n1,"two\nlines; and ""quotes"""\n', [{"id": "1", "text": 'two\nlines; and "quotes"'}]),
        ("id,when;where\n1,x\n2,y\n", [{"id": "1", "when;where": "x"}, {"id": "2", "when;where": "y"}]),
        ("", []),
        ("\n\n", []),
        ("sep=;\n", []),
        ("a,b\n", []),
    ],
)
def test_a_comma_stays_the_delimiter_where_it_is_one(read: Reader, content: str, rows: list[Any]) -> None:
    found = read("a.csv", content)
    assert (found.rows, found.remarks) == (rows, [])


def test_a_delimiter_that_only_the_header_has_leaves_one_column_and_is_said(read: Reader) -> None:
    found = read("a.csv", "first;second\nA\nB\n")
    assert found.rows == [{"first;second": "A"}, {"first;second": "B"}]
    assert found.remarks == [
        "its header has ';', but no other line: it is read as one column; if ';' is the delimiter, add --delimiter ';'"
    ]


@pytest.mark.parametrize(
    ("content", "options", "remark"),
    [
        (
            "name;price, EUR\nx;1,5\ny;2,5\n", {},
            ("its lines have as many fields with ';' as with ',', which is taken; if ';' is the delimiter, "
            "add --delimiter ';'"),
        ),
        (
            "Report 2026\n\nid;qty\n1;2\n", {},
            ("its first line has one column, but ';' divides each line behind it into 2: if the header comes later, "
            "remove what stands above it"),
        ),
        (
            "# exported by shop\nid|qty|x\n1|2|3\n", {},
            ("its first line has one column, but '|' divides each line behind it into 3: if the header comes later, "
            "remove what stands above it"),
        ),
        ("name;qty\nA;1\n", {"delimiter": ","}, "it is read as one column, but its header has ';'"),
        ("sep=;\nname,qty\nA,1\n", {}, "it is read as one column, but its header has ','"),
    ],
)  # fmt: skip
def test_a_delimiter_in_doubt_is_said(read: Reader, content: str, options: dict[str, str], remark: str) -> None:
    assert remark in read("a.csv", content, **options).remarks


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("comment\n\na;b\nc;d;e\n", {}),
        ("comment\n\na;b\nc\n", {}),
        ("first comment\na;b\nc;d\n", {}),
        ('"name;qty"\n1\n', {"delimiter": ","}),
    ],
)
def test_one_column_of_free_text_needs_no_words(read: Reader, content: str, options: dict[str, str]) -> None:
    assert read("a.csv", content, **options).remarks == []


def test_the_delimiter_with_which_all_lines_agree_wins(read: Reader) -> None:
    found = read("a.csv", "id;first, last;city\n1;Nova, Eva;Brno\n2;Berg, Ola;Oslo\n")
    assert found.rows[1] == {"id": "2", "first, last": "Berg, Ola", "city": "Oslo"}
    decimal = read("a.csv", "id;net\n1;1,5\n2;2,5\n")
    assert decimal.rows == [{"id": "1", "net": "1,5"}, {"id": "2", "net": "2,5"}]
    ragged = read("b.csv", "id;net\n1;2\n")
    assert ragged.rows == [{"id": "1", "net": "2"}]


@pytest.mark.parametrize(
    ("content", "rows", "remark"),
    [
        (
            "'id','name'\n'1','Eva, the 1st'\n", [{"id": "1", "name": "Eva, the 1st"}],
            "its header is quoted with ', so are its fields",
        ),
        (
            'id, name\n1, "Nova, Eva"\n', [{"id": "1", "name": "Nova, Eva"}],
            "a space follows each ',' of its header: it is left out",
        ),
        (",id\n0,7\n", [{"column1": "0", "id": "7"}], "its column 1 has no name: it is called 'column1'"),
        (
            "id,,column2\n7,8,9\n", [{"id": "7", "column2_": "8", "column2": "9"}],
            "its column 2 has no name: it is called 'column2_'",
        ),
        ("id, \n7,8\n", [{"id": "7", "column2": "8"}], "its column 2 has no name: it is called 'column2'"),
    ],
)  # fmt: skip
def test_what_is_made_of_an_unusual_header_is_said(read: Reader, content: str, rows: list[Any], remark: str) -> None:
    found = read("a.csv", content)
    assert (found.rows, found.remarks) == (rows, [remark])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,a\n1,2,3\n", "line 1: the column 'a' is there twice"),
        ("\n\na;a\n1;2\n", "line 3: the column 'a' is there twice"),
        ("a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2"),
        ("a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
        ("a,b,\n1,2,\n" + "1,2,\n" * 60 + "1,2,x\n", "line 63: 3 fields, but the header has 2"),
        ('a,b\n"x\ny",2\n3\n', "line 4: 1 fields, but the header has 2"),
        ('a\n"x" y\n', "line 2: not CSV: ',' expected after '\"': a quote within a quoted field is written twice"),
        ('a\n1\n"x\n\n', "line 3: not CSV: unexpected end of data: the quoted field that begins here is never closed"),
        ("sep=;\na;b\n1,2\n", "line 3: 1 fields, but the header has 2"),
    ],
)
def test_a_broken_line_is_named(read: Reader, content: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read("a.csv", content)
    assert caught.value.message.partition("a.csv, ")[2] == message
    assert caught.value.source is not None
    assert caught.value.source_line == int(message.split()[1].rstrip(":"))


TEXT = 'name,qty\n"Žluťoučký kůň",1\n'
ADVICE = "if it has another encoding, name it: --input-encoding windows-1252 (or latin-1, windows-1250, utf-16)"
ACCENTS = [{"name": "Žluťoučký kůň", "qty": "1"}]


@pytest.mark.parametrize(
    ("encoding", "content", "wanted"),
    [
        (None, b"\xef\xbb\xbf" + TEXT.encode(), "utf-8"),
        (None, TEXT.encode("utf-16"), "utf-16"),
        (None, b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16-be"),
        (None, TEXT.encode("utf-32"), "utf-32"),
        ("windows-1250", TEXT.encode("cp1250"), "cp1250"),
        ("CP1250", TEXT.encode("cp1250"), "cp1250"),
        ("iso-8859-2", TEXT.encode("iso-8859-2"), "iso-8859-2"),
        ("utf-16-le", TEXT.encode("utf-16-le"), "utf-16-le"),
        ("UTF8", TEXT.encode(), "utf-8"),
        # The mark decides.
        ("windows-1252", b"\xef\xbb\xbf" + TEXT.encode(), "utf-8"),
        ("utf-8", TEXT.encode("utf-16"), "utf-16"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_are_read_as_marked_or_as_named(
    read: Reader, encoding: str | None, content: bytes, wanted: str, packed: bool
) -> None:
    options = {} if encoding is None else {"encoding": encoding}
    name = "a.csv.gz" if packed else "a.csv"
    assert read(name, gzip.compress(content) if packed else content, **options).rows == ACCENTS


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_other_formats_have_encodings_too(read: Reader, name: str) -> None:
    text = {"a.json": '[{"a": "ž"}]', "a.jsonl": '{"a": "ž"}\n', "a.csv": "a\nž\n"}[name]
    for encoding in ("utf-16", "cp1250", "utf-32-be"):
        assert read(name, text.encode(encoding), encoding=encoding).rows == [{"a": "ž"}]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            "a\nx\nMüller\n".encode("cp1252"), {},
            " is not UTF-8: byte 0xfc at offset 5, in line 3; " + ADVICE,
        ),
        (
            b"a\n\x81\n", {"encoding": "windows-1252"},
            " is not cp1252: byte 0x81 at offset 2, in line 2; name its own encoding with --input-encoding",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-le"), {},
            " is not UTF-8, it looks like UTF-16 without a byte order mark: add --input-encoding utf-16-le",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-be"), {},
            " is not UTF-8, it looks like UTF-16 without a byte order mark: add --input-encoding utf-16-be",
        ),
        (
            b"a\n" + b"x" * 200_000 + b"\xff\n", {},
            " is not UTF-8: byte 0xff at offset 200002, in line 2; " + ADVICE,
        ),
        (
            b"a\ncut \xc5", {},
            " is not UTF-8: byte 0xc5 at offset 6, in line 2; " + ADVICE,
        ),
        (b"PK\x03\x04rest", {}, " is no text, but a ZIP archive or a spreadsheet: unpack it, or export it as CSV"),
        (b"PAR1rest", {}, " is no text, but Parquet: name it .parquet or add --input-format parquet"),
    ],
)  # fmt: skip
def test_a_text_in_another_encoding_is_refused_with_place_and_option(
    read: Reader, content: bytes, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read("a.csv", content, **options)
    assert caught.value.message.partition("a.csv")[2] == message


def test_rows_before_a_bad_byte_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n1\n2\n\xff\n")
    rows = Source(path, max_row_bytes=MIB).rows()
    assert [next(rows), next(rows)] == [b'{"a":"1"}', b'{"a":"2"}']
    with pytest.raises(InputError, match=r"in line 4"):
        next(rows)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"), ("A.CSV", "csv"), ("a.tsv", "tsv"), ("a.tab", "tsv"), ("a.json", "json"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"), ("a.csv.gz", "csv"), ("a.tsv.gz", "tsv"), ("a.json.gz", "json"), ("a.jsonl.gz", "jsonl"),
        ("a.ndjson.GZ", "jsonl"), ("a.parquet", "parquet"), ("a.txt", None), ("a.gz", None), ("csv", None),
    ],
)  # fmt: skip
def test_a_name_tells_the_format(name: str, form: str | None) -> None:
    assert form_of(Path("somewhere.csv") / name) == form


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "xml"}, "the format of an input must be json, jsonl, csv, tsv, parquet, not 'xml'"),
        ({"encoding": "klingon"}, "there is no encoding 'klingon'; such are utf-8, utf-16, windows-1252"),
        ({"encoding": "base64"}, "there is no encoding 'base64'"),
        ({"encoding": "idna"}, "there is no encoding 'idna'"),
        ({"encoding": "../x\0"}, "there is no encoding '../x\\x00'"),
        ({"encoding": ""}, "there is no encoding ''"),
        ({"delimiter": ""}, "the delimiter must be one character"),
        ({"delimiter": ";;"}, "the delimiter must be one character"),
        ({"delimiter": '"'}, "the delimiter must be one character"),
        ({"delimiter": "\n"}, "the delimiter must be one character"),
        ({"delimiter": "a"}, "the delimiter must be one character"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ReadOptions(**options)
    assert caught.value.message.startswith(message)


def test_options_go_to_the_inputs_they_fit(tmp_path: Path) -> None:
    names = ["a.dat", "b.json", "c.csv"]
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(b"[]")

    def forms(given: ReadOptions, *values: Path, declared: tuple[ReadOptions, ...] = ()) -> list[str | None]:
        return [source.form for source in sources_of(values, given, declared, max_row_bytes=MIB)]

    assert forms(ReadOptions("jsonl", None, ";"), *paths) == ["jsonl", "json", "csv"]
    assert forms(ReadOptions("jsonl"), paths[1]) == ["jsonl"]
    assert forms(ReadOptions(), *paths, declared=(ReadOptions("tsv"),)) == ["tsv", "json", "csv"]
    assert forms(ReadOptions("csv"), paths[0], declared=(ReadOptions("tsv"),)) == ["csv"]
    with pytest.raises(ConfigError, match=r"a\.dat: the name does not tell its format; add --input-format json, jsonl"):
        forms(ReadOptions(), *paths)
    with pytest.raises(ConfigError, match=r"a delimiter is for CSV"):
        forms(ReadOptions(delimiter=";"), paths[1])


@pytest.mark.parametrize(("text", "is_said"), [(b"a,b\n1,2\n", True), (b" \n[1]", False), (b"", False)])
def test_csv_on_standard_input_hears_of_the_option(monkeypatch: pytest.MonkeyPatch, text: bytes, is_said: bool) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    source = Source(Path("-"), max_row_bytes=MIB)
    source.whole(MIB)
    said = "standard input: it is read as JSON, and does not begin like it; --input-format csv names CSV"
    assert source.remarks == ([said] if is_said else [])


def test_standard_input_is_json_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}\n{"a": 2}')))
    assert Source(Path("-"), ReadOptions("jsonl"), max_row_bytes=MIB).whole(MIB) == b'[{"a": 1},{"a": 2}]'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'[{"a": 1}]')))
    assert Source(Path("-"), max_row_bytes=MIB).whole(MIB) == b'[{"a": 1}]'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": NaN}]', 'NaN at line 1, column 8: JSON has no such number; write null, or the text "NaN"'),
        (
            '[{"a": 1},\n {"ž": -Infinity}]',
            'Infinity at line 2, column 8: JSON has no such number; write null, or the text "-Infinity"',
        ),
        ('[{"a": None}]', "None at line 1, column 8: JSON writes null"),
        ("[{'a': 1}]", "a single quote at line 1, column 3: JSON has double quotes only"),
        ('[{"a": 1e999}]', "number is infinity when parsed as double at line 1, column 8"),
    ],
)
def test_what_is_no_json_is_explained_alike_streamed_and_whole(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as whole:
        checked_whole(Source(path, max_row_bytes=MIB), None, MIB)
    [*_, bad] = Source(path, max_row_bytes=MIB).rows()
    assert isinstance(bad, BadRow)
    assert whole.value.message.endswith(message)
    assert bad.error.message.endswith(message)


def test_json_lines_named_json_are_told_from_an_object(tmp_path: Path) -> None:
    lines, one = tmp_path / "lines.json", tmp_path / "one.json"
    lines.write_text('{"a": 1}\n{"a": 2}\n')
    one.write_text('{"a": 1}\n')
    with pytest.raises(InputError) as caught:
        list(Source(lines, max_row_bytes=MIB).rows())
    assert caught.value.message.endswith("it looks like JSON Lines: name it .jsonl or add --input-format jsonl")
    with pytest.raises(InputError) as caught:
        list(Source(one, max_row_bytes=MIB).rows())
    assert caught.value.message.endswith("row by row needs a JSON array of rows, this is one object: put it into [ ]")


def packed(pieces: Iterator[bytes]) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(engine.compress(piece) for piece in pieces), engine.flush()])


@pytest.mark.parametrize(
    ("name", "head", "piece"),
    [
        ("a.csv.gz", b"a,b\n", b"x" * MIB),
        ("a.csv.gz", b"a,b\n", b"\n" * MIB),
        ("a.csv.gz", b"", b"\n" * MIB),
        ("a.csv.gz", b"", b"a;" * 500_000),
        ("a.csv.gz", b'a,b\n"', b"1,2\n" * 250_000),
        ("a.jsonl.gz", b"", b" " * MIB),
        ("a.jsonl.gz", b"", b"\n" * MIB),
        ("a.jsonl.gz", b'{"a": "', b"x" * MIB),
        ("a.json.gz", b"[", b" " * MIB),
        ("a.json.gz", b"[", b"[" * MIB),
        ("a.json.gz", b'["', b"x" * MIB),
        ("a.tsv.gz", b"", b"\t" * MIB),
    ],
)
def test_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path: Path, name: str, head: bytes, piece: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(packed(iter([head, *[piece] * 16])))
    assert path.stat().st_size < MIB
    for read in (lambda source: list(source.rows()), lambda source: source.whole(MIB // 8)):
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match=r"larger than|longer than|more spaces"):
                read(Source(path, max_row_bytes=MIB // 8))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * MIB


def test_a_gzip_file_under_the_limit_is_read_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    good = gzip.compress(b"a\n" + b"1\n" * 1000) + gzip.compress(b"2\n")
    path.write_bytes(good)
    assert len(list(Source(path, max_row_bytes=MIB).rows())) == 1001
    for content, message in (
        (good[:-9], "it ends in the middle, perhaps its transfer was cut off"),
        (good[:20] + b"\0\0\0\0" + good[24:], "cannot be unpacked by gzip"),
        (b"a\n1\n", "is not gzip, which its name says"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            list(Source(path, max_row_bytes=MIB).rows())
    path.write_bytes(b"")
    assert list(Source(path, max_row_bytes=MIB).rows()) == []


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=5), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]))
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], delimiter: str, end: str
) -> None:
    import csv

    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([("id", "a b", "č"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode())
    found = [json.loads(row) for row in Source(path, max_row_bytes=MIB).rows() if isinstance(row, bytes)]
    assert found == [dict(zip(("id", "a b", "č"), row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["number", "null"]}, "double"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
        ({"oneOf": [{"type": "boolean"}, {"type": ["null"]}]}, "boolean"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}, "double"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, None),
        ({"anyOf": [{"type": "integer"}, {}]}, None),
        ({"anyOf": [{"type": "integer"}, True]}, None),
        ({"type": [{"type": "integer"}, "null"]}, None),
        ({}, None),
    ],
)
def test_a_property_says_what_texts_become(schema: dict[str, Any], kind: str | None) -> None:
    found = column_kinds({"type": "object", "properties": {"a": schema}})
    assert found == ({} if kind is None else {"a": kind})
