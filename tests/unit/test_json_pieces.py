"""JSON text looked at in pieces has the verdict, the values and the places of the whole."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec.rows import json_pieces
from wasmexec.rows.json_rows import explain
from wasmexec.rows.json_text import ROWS_DEPTH, decode

TEXTS = ["", "a,b", 'x"y', "]}", "\\", "é\N{GRINNING FACE}", "[{", "k" * 40, "\N{GRINNING FACE}\\" * 9]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-9, 9) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=5),
    max_leaves=40,
)
PIECES = [
    b",", b"]", b"[", b"{", b"}", b'"', b":", b"0", b" ", b"\\", b"1,2", b"[]", b'""', b"\\ud83d", b"\\ude00", b"\\u00",
    b" " * 40, b"\xf0\x9f",
]  # fmt: skip


def is_json(look: Any, text: bytes) -> bool:
    try:
        look(text)
    except ValueError:
        return False
    return True


def rows_of(text: bytes) -> list[Any]:
    rows: list[Any] = []
    for some in json_pieces.array_rows(text):
        values = decode(b"[%b]" % text[some.start : some.end])
        assert some.values is None or some.values == values
        assert some.values is not None or len(values) == 1
        rows += values
    return rows


@settings(deadline=None, max_examples=300)
@given(
    st.lists(JSON, max_size=8) | JSON, st.sampled_from([None, 1]), st.sampled_from([8, 13, 32, 200]),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(PIECES)), max_size=2), st.booleans(),
)  # fmt: skip
def test_pieces_have_the_verdict_of_the_whole(
    value: Any, indent: int | None, size: int, changes: list[tuple[int, bytes]], is_escaped: bool
) -> None:
    text = bytearray(json.dumps(value, indent=indent, ensure_ascii=is_escaped).encode())
    for drawn, piece in changes:
        place = drawn % (len(text) + 1)
        text[place : place + (place % 2)] = piece
    data = bytes(text)
    whole = is_json(decode, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pieces, "PIECE_BYTES", size)
        assert is_json(json_pieces.check, data) == whole
        if json_pieces.is_array(data):
            assert is_json(rows_of, data) == whole
            if whole:
                assert rows_of(data) == decode(data)


@pytest.mark.parametrize(
    "long", ["x" * 200_000, "\\n\N{GRINNING FACE}" * 30_000, [0] * 100_000, {"k" * 90_000: {"a": 1}}]
)
def test_a_long_row_stands_alone_between_short_ones(long: Any) -> None:
    rows = [1, {"a": 2}, long, [3], None, long, long, 4]
    for is_escaped in (True, False):
        assert rows_of(json.dumps(rows, ensure_ascii=is_escaped).encode()) == rows


@pytest.mark.parametrize("wrong", ["", "nul", "1 2", "'x'", "]", "}", '"', "NaN"])
def test_a_mistake_has_its_place_in_the_whole(wrong: str) -> None:
    rows = [json.dumps({"id": number, "é": "\N{GRINNING FACE}" * 9}, ensure_ascii=False) for number in range(5000)]
    rows[4000] = f'{{"id": {wrong}}}'
    text = ("[\n" + ",\n".join(rows) + "\n]").encode()
    assert len(text) > 4 * json_pieces.PIECE_BYTES
    for look in (json_pieces.check, rows_of):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (whichever it is)
            look(text)
        assert " line 4002, column " in explain(text, caught.value)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("size", [0, 3 * 32 * 1024])
def test_the_depth_is_that_of_rows_however_long_the_text(opening: bytes, closing: bytes, size: int) -> None:
    for depth, is_taken in ((ROWS_DEPTH, True), (ROWS_DEPTH + 1, False)):
        inner = opening * (depth - 1) + b"0" + closing * (depth - 1)
        text = b"[%b%b]" % (b"0," * (size // 2), inner)
        assert is_json(json_pieces.check, text) is is_taken
        assert is_json(rows_of, text) is is_taken


@pytest.mark.timing
@pytest.mark.parametrize(
    "piece", [b'{"a":[1]},', b"[],", b'"",', b'"\\\\",', b"0,", b"[[", b"{", b'"', b"\\", b" ", b'{"a":', b"]", b'["'],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: bytes) -> None:
    def seconds(size: int) -> float:
        text = b"[" + piece * (size // len(piece)) + b"0]"
        start = time.process_time()
        is_json(json_pieces.check, text)
        is_json(lambda data: [None for _ in json_pieces.array_rows(data)], text)
        return time.process_time() - start

    assert min(seconds(2_000_000) for _ in range(3)) < 3 * min(seconds(1_000_000) for _ in range(3)) + 0.05
