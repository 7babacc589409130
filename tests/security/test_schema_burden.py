"""What hostile rows cost a schema: time in proportion to them, memory that is bounded, errors without trees."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from wasmexec.errors import OutputError
from wasmexec.schema import Schema

DRAFT = "http://json-schema.org/{}/schema#"


def refusal(definition: object, rows: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate(rows)
    return caught.value


def many(value: object, count: int = 100_000) -> dict[str, Any]:
    return {f"k{number}": value for number in range(count)}


WIDE = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.timing
@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07"])
def test_a_value_that_fits_no_branch_takes_time_in_proportion(keyword: str, draft: str) -> None:
    # Without bound: a quarter of a minute and 2 GB for a million.
    definition = {"$schema": DRAFT.format(draft), "properties": {"v": {keyword: [WIDE, {"type": "string"}, WIDE]}}}
    Schema.prepare(definition).validate([{"v": many(1)}, {"v": "x"}] if keyword == "anyOf" else [{"v": "x"}])
    row = {"v": many("x")}
    started = time.process_time()
    error = refusal(definition, [{"v": "x"}, row])
    assert time.process_time() - started < 1
    assert (error.pointer, error.rule) == ("/1/v", keyword)


RECURSIVE = {
    "anyOf": [
        {"type": "object", "properties": {"a": {"$ref": "#"}, "k": {"const": 1}}, "required": ["a", "k"]},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "k": {"const": 2}}, "required": ["a", "k"]},
        {"const": "leaf"},
    ]
}


@pytest.mark.timing
@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize("extra", [{}, {"unevaluatedProperties": False}], ids=["", "unevaluated"])
def test_alternatives_that_lead_to_themselves_do_not_double_with_every_level(
    keyword: str, extra: dict[str, Any]
) -> None:
    # Without bound: 20 s for 16 levels.
    definition = {"$ref": "#/$defs/node", "$defs": {"node": {keyword: RECURSIVE["anyOf"], **extra}}}
    definition = json.loads(json.dumps(definition).replace('"#"', '"#/$defs/node"'))

    def nested(leaf: object) -> dict[str, Any]:
        value: Any = leaf
        for _ in range(60):
            value = {"a": value, "k": 1}
        assert isinstance(value, dict)
        return value

    Schema.prepare(definition).validate([nested("leaf")])
    started = time.process_time()
    error = refusal(definition, [nested("bad")])
    assert time.process_time() - started < 1
    assert (error.pointer, error.rule) == ("/0", keyword)


MEASURED = """
import json, resource, sys, time
from wasmexec.errors import OutputError
from wasmexec.schema import Schema
definition, rows = eval(sys.argv[1])
text = len(json.dumps(rows))
Schema.prepare(definition)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
try:
    Schema.prepare(definition).validate(rows)
    refused = ""
except OutputError as error:
    refused = error.rule
seconds = time.process_time() - started
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"bytes": (after - before) * 1024, "text": text, "seconds": seconds, "refused": refused}))
"""


def measured(expression: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, expression], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


NAMES = "dict.fromkeys(map(str, range(200_000)), 0)"
NUMBERS = "[0] * 500_000"


@pytest.mark.parametrize(
    ("rule", "definition", "row"),
    [
        ("anyOf", {"properties": {"v": {"anyOf": [{"items": {"type": "string"}}, {"type": "null"}]}}}, NUMBERS),
        ("oneOf", {"properties": {"v": {"oneOf": [{"additionalProperties": {"type": "string"}}] * 3}}}, NAMES),
        ("maxLength", {"properties": {"v": {"maxLength": 5}}}, "'x' * 20_000_000"),
        ("additionalProperties", {"properties": {"v": {"properties": {}, "additionalProperties": False}}}, NAMES),
        ("unevaluatedProperties", {"properties": {"v": {"unevaluatedProperties": False}}}, NAMES),
        (
            "extra",
            [{"name": "v", "type": "object", "columns": [{"name": "a", "type": "text", "allow_null": True}]}],
            NAMES,
        ),
    ],
)
def test_a_refusal_takes_memory_in_proportion(rule: str, definition: object, row: str) -> None:
    # Without bound: 1.4 GB for the first. The value itself is there before.
    found = measured(f"({definition!r}, [{{'v': {row}}}])")
    assert found["refused"] == rule
    assert found["bytes"] < 12 * found["text"] + 50_000_000
