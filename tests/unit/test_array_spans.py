"""The objects of a JSON array are found in its text, whatever is in them."""

from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.rows.array_spans import object_spans


def unchecked() -> None:
    """Checks nothing."""


def found(data: bytes) -> list[bytes]:
    return [data[start:end] for start, end in object_spans(data, unchecked)]


TEXTS = st.text(max_size=8) | st.text(alphabet='"\\{}[],: n', max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=6), st.booleans(), st.integers(0, 3000))
def test_each_object_is_found_as_it_is_written(rows: list[Any], spaced: bool, size: int) -> None:
    rows = [*rows, {"long": ["}" * size, "\\" * size, '"' * size, [[]] * (size // 9), {}]}, *rows]
    data = json.dumps(rows, indent=1 if spaced else None).encode()
    assert [json.loads(text) for text in found(data)] == rows


@given(st.binary(max_size=200))
def test_whatever_is_no_json_ends(data: bytes) -> None:
    spans = list(object_spans(b"[" + data, unchecked))
    assert all(start < end for start, end in spans)
    assert spans == sorted(spans)


@pytest.mark.timing
@pytest.mark.parametrize(
    "row",
    [
        {},
        {"a": 1},
        {"a": [1], "o": {"x": [{}]}},
        {"t": "x" * 10_000},
        {"t": '\\"' * 5000},
        {"a": [[[[[[[[[[1]]]]]]]]]]},
    ],
)  # fmt: skip
def test_the_time_grows_with_the_text_and_not_faster(row: Any) -> None:
    def seconds(rows: list[Any]) -> float:
        data = orjson.dumps(rows)
        started = time.process_time()
        assert len(found(data)) == len(rows)
        return time.process_time() - started

    count = 400_000 // len(orjson.dumps(row)) + 1
    short = min(seconds([row] * count) for _ in range(3))
    assert seconds([row] * (8 * count)) < 0.3 + 24 * short
    assert seconds([{"rows": [row] * (8 * count)}]) < 0.5 + 24 * short
