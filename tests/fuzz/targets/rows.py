"""Rows out of files: readers of one format agree, and no value is lost or changed in silence."""

from __future__ import annotations

import atexit
import contextlib
import csv
import dataclasses
import enum
import io
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.draw import ODD_JSON, Draw

from wasmexec.errors import InputError
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.formats import ReadOptions
from wasmexec.rows.json_text import decode, encode, encode_lines
from wasmexec.rows.source import Source

_MOST = 1024 * 1024


@cache
def _scratch() -> Path:
    folder = tempfile.mkdtemp(prefix="wasmexec-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def scratch_file(name: str, content: bytes) -> Path:
    """A file of this process with that content; the next one of the same name replaces it."""
    path = _scratch() / name
    path.write_bytes(content)
    return path


def _strict(text: bytes) -> Any:
    """What the standard library reads, with what JSON does not have refused.

    Raises: ValueError: no JSON.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    def number(digits: str) -> float:
        if (value := float(digits)) in (float("inf"), float("-inf")):
            raise ValueError(digits)
        return value

    found = json.loads(text.decode(), parse_constant=refuse, parse_float=number)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def same(left: object, right: object) -> bool:
    """Equal in value and type, also inside; 1 is not 1.0 and not True."""
    return repr(left) == repr(right)


def json_text(data: bytes) -> None:
    """`decode` reads what the standard library's strict parser reads; what `encode` writes is read as it was."""
    draw = Draw(data)
    kind = draw.below(4)
    if kind == 3:
        _check_written(draw)
        return
    if kind == 0:
        text = draw.rest()
    elif kind == 1:
        text = f"[{','.join(draw.choose(ODD_JSON) for _ in range(1 + draw.below(3)))}]".encode("utf-8", "replace")
    else:
        text = json.dumps(draw.value(4), ensure_ascii=draw.chance(2)).encode()
    try:
        expected, is_json = _strict(text), True
    except (ValueError, RecursionError):
        expected, is_json = None, False
    try:
        found = decode(text)
    except ValueError:
        # Depth and the length of integers are bounded; nothing else may be refused.
        is_bounded = text.count(b"[") + text.count(b"{") > 500 or any(len(run) > 4000 for run in text.split(b","))
        assert not is_json or is_bounded or text.startswith(b"\xef\xbb\xbf"), f"refused: {text!r}"
        return
    assert is_json, f"accepted: {text!r}"
    assert same(found, expected), f"{found!r} instead of {expected!r}"
    assert same(decode(encode(found)), found)


def _check_written(draw: Draw) -> None:
    """What is written is what the standard library writes, or there is no JSON for it."""
    odd = draw.choose(_NOT_PLAIN) if draw.chance(2) else draw.value(3)
    value = draw.choose([odd, [odd], {"a": odd}, [{"b": (odd, 1)}], {"null": [None, odd]}])
    half_pairs = draw.chance(3)
    try:
        written = encode(value, half_pairs=half_pairs, indent=draw.chance(3))
    except ValueError:
        assert odd in _NOT_PLAIN or isinstance(odd, (int, list, dict)), f"refused: {odd!r}"
        return
    assert decode(written, half_pairs=half_pairs) == json.loads(json.dumps(value, default=_plain_of))
    with contextlib.suppress(ValueError):
        made = encode([object(), value], default=lambda _: odd)
        assert decode(made)[0] == json.loads(json.dumps(odd, default=_plain_of))
    rows = [{"a": odd}, {}][: 1 + draw.below(2)]
    if not half_pairs:
        lines = encode_lines(rows)
        assert [decode(line) for line in lines.splitlines()] == json.loads(json.dumps(rows, default=_plain_of))


class _Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class _Point:
    x: int
    y: float


_NOT_PLAIN: tuple[Any, ...] = (
    2**64, -(2**80), 10**4400, float("inf"), float("nan"), "\ud800", {1: 2}, object(), _Colour.RED, _Point(1, 0.5),
    _Point(2**70, 0.5), _Point(1, float("nan")), b"x", (1, 2), {"\udc00": 1},
)  # fmt: skip


def _plain_of(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else dataclasses.asdict(value)


def csv_round_trip(data: bytes) -> None:
    """A table that the standard library's writer wrote is read as it was."""
    draw = Draw(data)
    names = list(dict.fromkeys(draw.name() for _ in range(1 + draw.below(5))))
    delimiter = draw.choose([",", ";", "\t", "|"])
    rows = [[draw.text(8).replace("\0", "") for _ in names] for _ in range(draw.below(6))]
    text = io.StringIO(newline="")
    ending = draw.choose(["\r\n", "\n"])
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows(rows)
    path = scratch_file("round.csv", text.getvalue().encode())
    found = list(Source(path, ReadOptions(form="csv", delimiter=delimiter), max_row_bytes=_MOST).rows())
    assert not [row for row in found if isinstance(row, BadRow)], found
    values = [json.loads(row) for row in found if not isinstance(row, BadRow)]
    assert values == [dict(zip(names, row, strict=True)) for row in rows]


def row_files(data: bytes) -> None:
    """A file read row by row has the rows of the same file read as a whole; what is wrong is an InputError."""
    draw = Draw(data)
    form = draw.choose(["csv", "json", "jsonl", "tsv"])
    content = draw.rest() if draw.chance(2) else _likely(draw, form)
    path = scratch_file(f"rows.{form}", content)
    options = ReadOptions(form=form)
    rows: list[bytes | BadRow] = []
    by_row: str | None = None
    source = Source(path, options, max_row_bytes=_MOST)
    try:
        rows.extend(source.rows())
    except InputError as error:
        by_row = str(error)
    bad = [row for row in rows if isinstance(row, BadRow)]
    good = [decode(row) for row in rows if not isinstance(row, BadRow)]
    fraction = source.fraction
    assert fraction is None or 0 <= fraction <= 1
    try:
        whole = Source(path, options, max_row_bytes=_MOST).whole(_MOST)
    except InputError:
        assert by_row is not None or bad, f"read as a whole it is refused: {content!r}"
        return
    assert whole is not None
    parsed = _parsed(whole)
    if by_row is None and not bad:
        assert same(parsed, good), f"{good!r} row by row, {parsed!r} as a whole"
    else:
        assert not isinstance(parsed, list) or form == "json", f"accepted as a whole, not row by row: {content!r}"
    if form in ("csv", "tsv"):
        texts = [value for row in good for value in row.values()]
        assert all(isinstance(value, str) for value in texts), "a value of CSV is no text"


def _parsed(whole: bytes) -> Any:
    try:
        return decode(whole)
    except ValueError:
        return None


def _likely(draw: Draw, form: str) -> bytes:
    if form in ("csv", "tsv"):
        delimiter = "\t" if form == "tsv" else draw.choose([",", ";"])
        lines = [delimiter.join(_field(draw) for _ in range(1 + draw.below(4))) for _ in range(draw.below(5))]
        text = draw.choose(["\n", "\r\n", "\r"]).join(["a" + delimiter + "b", *lines])
    else:
        items = [draw.object(a=["1", '"x"', "null"], b=["[1]", "1.5"]) for _ in range(draw.below(5))]
        text = "\n".join(items) if form == "jsonl" else f"[{','.join(items)}]"
    encoded = text.encode("utf-8", "replace")
    return draw.choose([b"", b"", b"\xef\xbb\xbf"]) + encoded + draw.choose([b"", b"\n", b"\xff", b"\0"])


def _field(draw: Draw) -> str:
    text = draw.text(5)
    return '"' + text.replace('"', '""') + '"' if draw.chance(2) else text
