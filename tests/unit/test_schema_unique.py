"""Items that differ: as jsonschema-rs compares them, whatever their hashes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.errors import OutputError
from wasmexec.schema import Schema
from wasmexec.schema.unique import all_differ

SCALARS = st.sampled_from([None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 2**64, 2.0**64, 2**64 + 1, "", "1", "list"])
ITEMS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
LIBRARY = jsonschema_rs.Draft202012Validator({"uniqueItems": True})


@given(st.lists(ITEMS, max_size=4) | st.lists(SCALARS, max_size=4))
def test_items_differ_where_they_do_for_the_library(items: list[Any]) -> None:
    assert all_differ(items, lambda: None) is LIBRARY.is_valid(items)


@pytest.mark.parametrize("draft", ["draft-03", "draft-04", "draft-07"])
def test_items_that_are_the_same_are_refused_under_their_keyword(draft: str) -> None:
    uri = f"http://json-schema.org/{draft}/schema#"
    schema = Schema.prepare({"$schema": uri, "properties": {"v": {"uniqueItems": True}}})
    schema.validate([{"v": [1, True, "1", [1], {"a": 1}, 10**30]}, {"v": "aa"}])
    with pytest.raises(OutputError) as caught:
        schema.validate([{"v": []}, {"v": [10**30, 1, 10**30]}])
    assert (caught.value.pointer, caught.value.rule) == ("/1/v", "uniqueItems")
    assert caught.value.message.startswith("/1/v: the value has non-unique elements, got [")
