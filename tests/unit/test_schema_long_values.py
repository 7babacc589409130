"""A value of very many values is refused as a short one is: part by part, and with the place of what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from wasmexec.errors import OutputError
from wasmexec.schema import prepared, rust_engine
from wasmexec.schema.prepared import Schema
from wasmexec.schema.values import pointer

CLASSES: dict[str, tuple[str, Any]] = {
    "4": ("http://json-schema.org/draft-04/schema#", jsonschema_rs.Draft4Validator),
    "6": ("http://json-schema.org/draft-06/schema#", jsonschema_rs.Draft6Validator),
    "7": ("http://json-schema.org/draft-07/schema#", jsonschema_rs.Draft7Validator),
    "2019": ("https://json-schema.org/draft/2019-09/schema", jsonschema_rs.Draft201909Validator),
    "2020": ("https://json-schema.org/draft/2020-12/schema", jsonschema_rs.Draft202012Validator),
}
CASES = [
    pytest.param(case, draft, id=f"{case['title']}, {draft}")
    for line in Path(__file__).with_name("schema_cases.jsonl").read_text().splitlines()
    for case in [json.loads(line)]
    for draft in case["drafts"].split()
    # What the library itself does not take is not for it.
    if draft in CLASSES
    and not ("(?P" in line or "(?(1)" in line or (draft, "own schema") == ("7", case["title"][-10:]))
]


@pytest.fixture(autouse=True)
def _everything_is_long(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(rust_engine, "_MOST_AT_ONCE", 1)
    prepared._prepare.cache_clear()
    yield
    prepared._prepare.cache_clear()


@pytest.mark.parametrize(("case", "draft"), CASES)
def test_what_is_refused_is_what_the_library_refuses(case: dict[str, Any], draft: str) -> None:
    uri, cls = CLASSES[draft]
    definition = {"$schema": uri, "properties": {"v": case.get("column", {})}, **case.get("beside", {})}
    if "row" in case:
        definition = {"$schema": uri, **case["row"]}
    library = cls(definition, validate_formats=True)
    schema = Schema.prepare(definition)
    # Where the target depends on the way, or is outside, no more is told than that it does not fit.
    is_open = any(name in json.dumps(case) for name in ("$dynamicRef", "$recursiveRef", "json-schema.org"))
    for row in case.get("rows") or [{"v": value, "w": 1} for value in case["values"]]:
        # There may be several, of which another is the first.
        errors = {pointer(error.instance_path) for error in library.iter_errors(row)}
        if not errors:
            schema.validate([row])
            continue
        with pytest.raises(OutputError) as caught:
            schema.validate([row])
        found = caught.value.pointer.removeprefix("/0")
        assert found in errors or (is_open and any(error.startswith(found) for error in errors))
        assert caught.value.rule != "schema"
