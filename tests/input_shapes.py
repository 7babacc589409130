"""Files of rows in every hostile or unusual shape, of about so many bytes; for tests of what they cost to read."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

Make = Callable[[int], bytes]


def _repeat(piece: str, size: int) -> bytes:
    return piece.encode() * (size // len(piece.encode()))


def _array(row: str) -> Make:
    return lambda size: b"[" + b",".join([row.encode()] * max(1, size // (len(row) + 1))) + b"]"


def _lines(row: str) -> Make:
    return lambda size: _repeat(row + "\n", size)


def _numbered(pattern: str, around: tuple[str, str] = ("", ""), between: str = ",") -> Make:
    def make(size: int) -> bytes:
        count = max(1, size // (len(pattern % 1_000_000) + len(between)))
        return (around[0] + between.join([pattern % number for number in range(count)]) + around[1]).encode()

    return make


def _nested(opening: str, closing: str, depth: int = 400) -> str:
    return opening * depth + closing * depth


def _table(columns: int, cell: str) -> Make:
    def make(size: int) -> bytes:
        header = ",".join(f"c{number}" for number in range(columns)) + "\n"
        row = ",".join([cell] * columns) + "\n"
        return header.encode() + row.encode() * max(1, (size - len(header)) // len(row))

    return make


_JSON_ROWS: dict[str, str] = {
    "empty objects": "{}",
    "objects of one key": '{"a":0}',
    "objects of other keys": '{"a":0.5,"b":"","c":[]}',
    "empty lists in a row": '{"a":[' + ",".join(["[]"] * 20_000) + "]}",
    "empty objects in a row": '{"a":[' + ",".join(["{}"] * 20_000) + "]}",
    "small objects in a row": '{"a":[' + ",".join(['{"a":0}'] * 10_000) + "]}",
    "deep lists": '{"a":' + _nested("[", "]") + "}",
    "deep objects": '{"a":' + _nested('{"a":', "0").replace("0" * 400, "0" + "}" * 400) + "}",
    "wide rows": "{" + ",".join(f'"c{number}":{number}' for number in range(2000)) + "}",
    "long keys": "{" + f'"{"k" * 50_000}":1' + "}",
    "long fields": '{"a":"' + "x" * 50_000 + '"}',
    "escapes": '{"a":"' + r"\n" * 25_000 + '"}',
    "wide characters": '{"a":"' + "x" * 50_000 + '\N{GRINNING FACE}"}',
    "long numbers": '{"a":' + "7" * 4000 + "}",
    "ordinary rows": '{"id":12345,"name":"Anna Berg","city":"Brno","price":12.5,"at":"2036-10-16T09:22:33"}',
}
_FIRST_FOR_BOTH: dict[str, tuple[str, Make]] = {
    **{f"json: {name}": ("json", _array(row)) for name, row in _JSON_ROWS.items()},
    **{f"json lines: {name}": ("jsonl", _lines(row)) for name, row in _JSON_ROWS.items()},
}
_TEXTS: dict[str, tuple[str, Make]] = {
    "json: one row of empty objects": ("json", lambda size: b'[{"a":[' + b",".join([b"{}"] * (size // 3)) + b"]}]"),
    "json: one row of small objects": (
        "json", lambda size: b'[{"a":[' + b",".join([b'{"b":0}'] * (size // 8)) + b"]}]"
    ),
    "json: one object of many keys": ("json", _numbered('"k%d":0', ('[{', '}]'))),
    "json: one object that is no list": ("json", lambda size: b'{"a":[' + b",".join([b"{}"] * (size // 3)) + b"]}"),
    "json: one giant text": ("json", lambda size: b'[{"a":"' + b"x" * size + b'"}]'),
    "json: one giant text of escapes": ("json", lambda size: b'[{"a":"' + b"\\n" * (size // 2) + b'"}]'),
    "json: one giant text that is not closed": ("json", lambda size: b'[{"a":"' + b"\\n" * (size // 2)),
    "json: numbers for rows": ("json", _array("0")),
    "json: opening brackets": ("json", lambda size: b"[" * size),
    "json: quotes": ("json", lambda size: b'["' + b'""' * (size // 2)),
    "json: commas": ("json", lambda size: b"[" + b"," * size),
    "json: spaces": ("json", lambda size: b" " * size + b"[]"),
    "json: spaces in a row": ("json", lambda size: b"[{" + b" " * size + b"}]"),
    "json lines: newlines": ("jsonl", lambda size: b"\n" * size),
    "json lines: one giant line": ("jsonl", lambda size: b'{"a":[' + b",".join([b"{}"] * (size // 3)) + b"]}"),
    "csv: ordinary rows": (
        "csv", _numbered("%d,Anna Berg,Brno,12.5,2036-10-16T09:22:33", ("id,name,city,price,at\n", ""), "\n")
    ),
    "csv: one short column": ("csv", lambda size: b"a\n" + b"1\n" * (size // 2)),
    "csv: two short columns": ("csv", lambda size: b"a,b\n" + b"1,2\n" * (size // 4)),
    "csv: empty cells": ("csv", _table(100, "")),
    "csv: many columns, many rows": ("csv", _table(1000, "1")),
    "csv: many columns, few rows": ("csv", _table(20_000, "1")),
    "csv: header of 100,000 columns": ("csv", _table(100_000, "")),
    "csv: header only, as many as there is room for": ("csv", _numbered("%d")),
    "csv: header of empty names": ("csv", lambda size: b"," * size),
    "csv: long names": ("csv", lambda size: b"x" * (size // 2) + b"\n" + b"1\n" * (size // 4)),
    "csv: one long row": ("csv", lambda size: b"a,b\n" + b"ab," * (size // 3)),
    "csv: one long row of quotes": ("csv", lambda size: b"a,b\n" + b'"a",' * (size // 4)),
    "csv: one giant field": ("csv", lambda size: b"a\n" + b"x" * size),
    "csv: one giant quoted field": ("csv", lambda size: b'a\n"' + b"x" * size + b'"'),
    "csv: one giant field of lines": ("csv", lambda size: b'a,b\n"' + b"x\n" * (size // 2) + b'",1'),
    "csv: a field that is not closed": ("csv", lambda size: b'a,b\n"' + b"x\n" * (size // 2)),
    "csv: quotes": ("csv", lambda size: b'"' * size),
    "csv: quotes in rows": ("csv", lambda size: b'a\n' + b'""\n' * (size // 3)),
    "csv: newlines": ("csv", lambda size: b"\n" * size),
    "csv: carriage returns": ("csv", lambda size: b"a\n" + b"\r" * size),
    "csv: marks": ("csv", lambda size: b"\xef\xbb\xbf" * (size // 3)),
    "csv: separators of another kind": ("csv", lambda size: b"a;b|c\td\n" + b";|\t," * (size // 4)),
    "csv: equal names": ("csv", lambda size: b"a," * (size // 2)),
    "csv: rows of the wrong length": ("csv", lambda size: b"a,b\n" + b"1\n" * (size // 2)),
    "csv: wide characters": ("csv", lambda size: b"a\n" + ("x" * (size - 4) + "\N{GRINNING FACE}").encode()),
    "csv: UTF-16": ("csv", lambda size: ("a\n" + "1\n" * (size // 4)).encode("utf-16")),
    "csv: UTF-32": ("csv", lambda size: ("a\n" + "1\n" * (size // 8)).encode("utf-32")),
    "tsv: short columns": ("tsv", lambda size: b"a\tb\n" + b"1\t2\n" * (size // 4)),
    "tsv: separators": ("tsv", lambda size: b"\t" * size),
}  # fmt: skip
TEXTS: dict[str, tuple[str, Make]] = {**_FIRST_FOR_BOTH, **_TEXTS}
"""Name, suffix, and what makes the bytes."""


def gzipped(data: bytes) -> bytes:
    """The same as gzip."""
    return gzip.compress(data, 6)


def _written(table: Any, **options: Any) -> bytes:
    from pyarrow import parquet  # type: ignore[import-untyped]

    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def _column(values: Callable[[int], Any], **options: Any) -> Make:
    def make(size: int) -> bytes:
        import pyarrow as pa

        return _written(pa.table({"a": values(size)}), **options)

    return make


def _pa() -> Any:
    import pyarrow as pa

    return pa


def _lists(count: int, length: int, kind: str) -> Any:
    pa = _pa()
    inner = {"integers": pa.array([0]), "nulls": pa.nulls(1), "lists": pa.array([[]], pa.list_(pa.int8())),
             "objects": pa.array([{"b": None}], pa.struct([("b", pa.int8())]))}[kind]  # fmt: skip
    values = inner.take(pa.array([0] * (count * length)))
    return pa.ListArray.from_arrays(pa.array(range(0, count * length + 1, length), pa.int32()), values)


PARQUET: dict[str, Make] = {
    "parquet: ordinary rows": lambda size: _written(
        _pa().table({"id": list(range(size // 20)),
                     "name": [f"name {number * 7919 % 100_003}" for number in range(size // 20)],
                     "price": [number * 0.37 for number in range(size // 20)]})
    ),
    "parquet: nulls": _column(lambda size: _pa().nulls(size, _pa().int64())),
    "parquet: one number": _column(lambda size: [7] * size),
    "parquet: short texts": _column(lambda size: ["a"] * size),
    "parquet: a long text again and again": _column(lambda size: ["x" * (size // 20)] * 4000, compression="zstd"),
    "parquet: a long text once, compressed": _column(
        lambda size: ["x" * (size * 20)], compression="zstd", use_dictionary=False
    ),
    "parquet: many columns": lambda size: _written(_pa().table({f"c{number}": [1] for number in range(size // 500)})),
    "parquet: lists of one number": _column(lambda size: _lists(20, size // 8, "integers")),
    "parquet: lists of nulls": _column(lambda size: _lists(20, size // 8, "nulls")),
    "parquet: lists of lists": _column(lambda size: _lists(20, size // 8, "lists")),
    "parquet: lists of objects": _column(lambda size: _lists(20, size // 8, "objects")),
    "parquet: one list of objects": _column(lambda size: _lists(1, size, "objects")),
    **{
        f"parquet: compressible, {codec}": _column(lambda size: ["x" * 1000 + str(row) for row in range(size // 100)],
                                                   compression=codec, use_dictionary=False)
        for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
    },
}  # fmt: skip


def json_of(rows: int) -> str:
    """A control: ordinary rows."""
    return json.dumps([{"id": number, "name": "x"} for number in range(rows)])
