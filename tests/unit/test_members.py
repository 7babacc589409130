"""Members of a JSON object are found in its text, whatever is in the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.rows import members as module
from wasmexec.rows.block import RowBlock
from wasmexec.rows.members import members

NAMES = st.text(max_size=3) | st.text(alphabet='"\\{}[],: né\N{GRINNING FACE}', max_size=3)
VALUES = st.recursive(
    st.none() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


@pytest.fixture(autouse=True)
def _nothing_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORT_BYTES", 0)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.lists(NAMES, max_size=3), st.booleans(), st.booleans())
def test_members_are_what_the_parser_finds(row: dict[str, Any], others: list[str], spaced: bool, ascii: bool) -> None:
    text = json.dumps(row, indent=1 if spaced else None, ensure_ascii=ascii).encode()
    names = {*list(row)[:3], *others}
    assert members(b"x" + text + b"]", 1, len(text) + 1, names) == {name: row[name] for name in names if name in row}


def test_of_two_of_the_same_name_the_last_counts() -> None:
    text = rb'{"a":1,"b":[2,{"a":3}],"\u0061":{"a":4},"c":"a"}'
    assert members(text, 0, len(text), ["a"]) == {"a": {"a": 4}}


def test_the_last_row_of_a_block() -> None:
    rows: list[dict[str, Any]] = [{"a": 1}, {"a": "x" * 300_000, "b": None}]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for block in (RowBlock(rows), RowBlock(lines=lines)):
        assert block.last_members(["a", "b", "c"]) == rows[-1]
