"""What hostile rows cost a schema: time in proportion to them, memory that is bounded, errors without trees."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import wasmexec
from wasmexec.errors import OutputError
from wasmexec.schema import Mode, Schema, long_values, rust_engine
from wasmexec.schema.columns import COLUMN_TYPES, NESTED_TYPES
from wasmexec.schema.interruption import interrupted_by

DRAFT = "http://json-schema.org/{}/schema#"


def refusal(definition: object, rows: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate(rows)
    return caught.value


def refused(schema: Schema, rows: object) -> OutputError | None:
    try:
        schema.validate(rows)
    except OutputError as error:
        return error
    return None


def many(value: object, count: int = 100_000) -> dict[str, Any]:
    return {f"k{number}": value for number in range(count)}


def deep(levels: int, kind: type = dict) -> Any:
    value: Any = kind()
    for _ in range(levels):
        value = {"a": value} if kind is dict else [value]
    return value


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
import json, sys, time
from wasmexec.errors import OutputError
from wasmexec.schema import Mode, Schema, long_values, rust_engine
from wasmexec.schema.columns import COLUMN_TYPES, NESTED_TYPES
from wasmexec.schema.interruption import interrupted_by
def memory(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) * 1024
definition, rows = eval(sys.argv[1])
text = len(json.dumps(rows))
Schema.prepare(definition)
# The peak begins anew here.
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = memory("VmRSS")
started = time.process_time()
try:
    Schema.prepare(definition).validate(rows)
    refused = ""
except OutputError as error:
    refused = error.rule
seconds = time.process_time() - started
after = memory("VmHWM")
print(json.dumps({"bytes": after - before, "text": text, "seconds": seconds, "refused": refused}))
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
        ("type", {"properties": {"v": {"items": {"type": "integer"}}}}, f"{NUMBERS} + ['x']"),
        ("maxItems", {"properties": {"v": {"maxItems": 5}}}, NUMBERS),
        ("const", {"properties": {"v": {"not": {"type": "null"}, "const": 1}}}, NUMBERS),
        ("contains", {"properties": {"v": {"contains": {"const": 1}}}}, NUMBERS),
        ("uniqueItems", {"properties": {"v": {"uniqueItems": True}}}, NUMBERS),
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
    # Without bound: 1.3 and 1.5 GB for the first two; then three copies of the value. It is there itself before.
    found = measured(f"({definition!r}, [{{'v': {row}}}])")
    assert found["refused"] == rule
    assert found["bytes"] < 2 * found["text"] + 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("definition", "pointer", "reason"),
    [
        ({"properties": {"v": {"items": {"type": "integer"}}}}, "/1/v/200000", 'is not of type "integer", got \'x\''),
        (
            {"properties": {"v": {"anyOf": [{"items": {"type": "integer"}}, {"type": "null"}]}}}, "/1/v",
            "fits no branch of 'anyOf', 0 comes nearest: /200000 the value is not of type \"integer\" (",
        ),
        ({"properties": {"v": {"type": "array", "maxItems": 5}}}, "/1/v", "has more than 5 items, got [0, 0, 0, ...]"),
    ],
)  # fmt: skip
def test_a_row_of_very_many_values_is_told_what_is_wrong_with_it(definition: Any, pointer: str, reason: str) -> None:
    statement = "return [{'v': [1]}, {'v': [0] * 200_000 + ['x']}]"
    ended = threading.Event()
    with wasmexec.Executor() as executor:
        # Beside another execution such a row is checked in a process whose memory is bounded.
        executor.submit("await sleep(30)", lambda _: ended.set())
        result = executor.run(statement, output_schema=definition)
        fitting = executor.run("return [{'v': [0] * 5}]", output_schema=definition)
        assert not ended.is_set()
    assert isinstance(result.error, OutputError)
    assert result.error.pointer == pointer
    assert f"the value {reason}" in result.error.message
    assert fitting.status == 200


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["anyOf", "oneOf"])
def test_alternatives_for_the_reference_take_no_tree_either(kind: str) -> None:
    # What refers to another draft is checked by the reference. Without bound each level has the text of its value.
    node: dict[str, Any] = {
        kind: [{"additionalProperties": {"$ref": "#/definitions/node"}, "type": "object"}, {"const": 1}]
    }
    definition = {
        "definitions": {"node": node},
        "properties": {"v": {"$ref": "#/definitions/node"}, "w": {"$ref": "http://json-schema.org/draft-04/schema#"}},
    }
    schema = Schema.prepare(definition)
    assert schema.note
    schema.validate([{"v": {"a": {"b": 1}}}])
    value: Any = {f"k{number}": "x" * 1000 for number in range(1000)}
    for _ in range(25):
        value = {"a": value}
    started = time.process_time()
    error = refusal(definition, [{"v": value}])
    assert time.process_time() - started < 1
    assert (error.pointer, error.rule) == ("/0/v", kind)


@pytest.mark.timing
def test_types_of_draft_03_take_no_tree_either() -> None:
    definition = {
        "$schema": DRAFT.format("draft-03"),
        "properties": {"v": {"type": [{"type": "object", "additionalProperties": {"type": "integer"}}, "string"]}},
    }
    Schema.prepare(definition).validate([{"v": "x"}, {"v": {"a": 1}}])
    started = time.process_time()
    error = refusal(definition, [{"v": many("x", 20_000)}])
    assert time.process_time() - started < 0.5
    assert (error.pointer, error.rule) == ("/0/v", "type")


FORGED = {
    "300 deep": (deep(300), "depth"),
    "5000 deep": (deep(5000), "depth"),
    "lists 5000 deep": (deep(5000, list), "depth"),
    "half a surrogate": ("a" + chr(0xD800), "json"),
    "a key of half a surrogate": ({chr(0xD800): 1}, "json"),
    "not a number": (float("nan"), ""),
    "infinite": (float("inf"), ""),
    "5000 digits": (10**5000, ""),
}
SCHEMAS: dict[str, Any] = {
    "type": {"properties": {"v": {"type": "boolean"}}},
    "enum": {"properties": {"v": {"enum": [1, {"a": 1}]}}},
    "numbers": {"properties": {"v": {"divisibleBy": 0.1, "multipleOf": 0.1, "minimum": 1, "maximum": 2}}},
    "texts": {"properties": {"v": {"pattern": "^b", "maxLength": 1, "format": "date-time"}}},
    "look-ahead": {"additionalProperties": {"pattern": "^(?=b)"}, "patternProperties": {"^(?=c)": {}}},
    "unique": {"properties": {"v": {"uniqueItems": True}}},
    "alternatives": {"properties": {"v": {"anyOf": [{"type": "boolean"}, {"enum": [2]}], "type": ["boolean"]}}},
    "recursive": {"properties": {"v": {"$ref": "#/definitions/node"}}, "definitions": {"node": {
        "additionalProperties": {"$ref": "#/definitions/node"}, "items": {"$ref": "#/definitions/node"}}}},
    **{kind: [{"name": "v", "type": kind}] for kind in COLUMN_TYPES if kind not in NESTED_TYPES},
    "object": [{"name": "v", "type": "object", "columns": [{"name": "a", "type": "json"}]}],
    "table": [{"name": "v", "type": "table", "columns": [{"name": "a", "type": "json"}]}],
}  # fmt: skip


@pytest.mark.parametrize("draft", ["draft-03", "draft-07"])
@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("forged", FORGED)
def test_a_row_that_no_parser_returns_is_accepted_or_refused_as_a_row(forged: str, name: str, draft: str) -> None:
    definition = SCHEMAS[name]
    if isinstance(definition, dict):
        definition = {"$schema": DRAFT.format(draft), **definition}
    value, rule = FORGED[forged]
    modes: tuple[Mode, ...] = ("strict", "lenient") if isinstance(definition, list) else ("strict",)
    for mode in modes:
        error = refused(Schema.prepare(definition, mode=mode), [{"v": value}])
        if error is not None:
            assert error.pointer.startswith("/0")
            assert not error.message.startswith("the output cannot be checked") or error.rule == (rule or "json")
            assert len(error.message) < 1000


@pytest.mark.parametrize(("draft", "levels"), [("draft-03", 5000), ("draft-07", 300)])
def test_a_row_that_is_too_deep_to_check_is_named(draft: str, levels: int) -> None:
    definition = {"$schema": DRAFT.format(draft), "properties": {"v": {"enum": [True]}}}
    Schema.prepare(definition).validate([{"v": True}])
    error = refusal(definition, [{"v": True}, {"v": deep(levels)}, {"v": 5}])
    assert (error.pointer, error.rule) == ("/1", "depth")
    assert error.message.startswith("the output cannot be checked: ")


@pytest.mark.timing
@pytest.mark.parametrize(
    ("columns", "row", "rule"),
    [
        # Names that are alike but for the order of their letters took seconds.
        ([{"name": "ab" * 50, "type": "text"}], {f"{'ba' * 48}{number:04}": 1 for number in range(5000)}, "missing"),
        ([{"name": f"{'ab' * 48}{number:04}", "type": "text", "allow_null": True} for number in range(1000)],
         {"ba" * 50: 1}, "extra"),
        ([{"name": "v", "type": "datetime"}], {"v": "2036-W10-1" + "x" * 20_000_000}, "datetime"),
        ([{"name": "v", "type": "boolean"}], {"v": " " * 50_000_000}, "type"),
        ([{"name": "v", "type": "text"}], {"v": many(1, 500_000)}, "type"),
    ],
    ids=["missing", "extra", "datetime", "boolean", "sorted"],
)  # fmt: skip
def test_a_refusal_by_a_column_list_is_quick(columns: Any, row: dict[str, Any], rule: str) -> None:
    Schema.prepare(columns)
    started = time.process_time()
    assert refusal(columns, [row]).rule == rule
    assert time.process_time() - started < 0.5


@pytest.mark.timing
def test_many_columns_with_rows_of_different_keys_take_time_in_proportion() -> None:
    columns = [{"name": f"c{number}", "type": "text", "allow_null": True} for number in range(1000)]
    rows = [{f"c{number}": "x" for number in range(1000) if number != left % 1000} for left in range(1000)]
    started = time.process_time()
    Schema.prepare(columns).validate(rows)
    assert time.process_time() - started < 3


KIB_64 = 1 << 16
ANY_OF: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string", "maxLength": 3},
    ]
}
NULLABLE: list[dict[str, Any]] = [{"name": f"c{number}", "type": "text", "allow_null": True} for number in range(100)]
ASKED: dict[str, tuple[Any, list[Any]]] = {
    "no branch fits": ({"properties": {"v": ANY_OF}}, [{"v": [[] for _ in range(KIB_64 // 3)]}]),
    "no branch of a hundred": (
        {"properties": {"v": {"anyOf": [ANY_OF] * 100}}}, [{"v": dict.fromkeys(map(str, range(KIB_64 // 10)), "x")}],
    ),
    "unevaluated": ({"properties": {"v": {"unevaluatedItems": False}}}, [{"v": [0] * (KIB_64 // 2)}]),
    # One row each, which was one call of the library: seconds with the interpreter's lock held.
    "hundreds of branches": (
        {"properties": {"v": {"items": {"oneOf": [{"const": number} for number in range(300)]}}}}, [{"v": [5] * 4000}],
    ),
    "hundreds of branches for the whole": (
        {"properties": {"v": {"anyOf": [{"items": {"maximum": -number}} for number in range(100)]}}},
        [{"v": [-99] * 4000 + [1]}],
    ),
    "options of several kinds": (
        {"properties": {"v": {"items": {"enum": [*range(9000), "x"]}}}}, [{"v": ["x"] * 4000}]),
    "options that are objects": (
        {"properties": {"v": {"items": {"enum": [{"a": number} for number in range(500)]}}}},
        [{"v": [{"a": 499}] * 2000}],
    ),
    "hundreds of patterns for names": (
        {"properties": {"v": {"patternProperties": {f"^a{number}x": {} for number in range(500)}}}},
        [{"v": {f"b{number}": 0 for number in range(4000)}}],
    ),
    "hundreds that ask what is in it": (
        {"properties": {"v": {"allOf": [{"contains": {"const": number}} for number in range(100)]}}},
        [{"v": [*range(100), *[0] * 8000]}],
    ),
    "divisions of many digits": ({"properties": {"v": {"items": {"multipleOf": 0.01}}}}, [{"v": [1e300] * 10_000}]),
    "integers of many bits that differ": (
        {"properties": {"v": {"uniqueItems": True}}}, [{"v": [10**30 + number for number in range(4000)]}],
    ),
    "integers whose hashes collide": (
        {"properties": {"v": {"uniqueItems": True}}}, [{"v": [(2**61 - 1) * number for number in range(4000)]}],
    ),
    "the reference": (
        {"$schema": DRAFT.format("draft-03"), "properties": {"v": {"items": {"type": [{"enum": [2]}, "integer"]}}}},
        [{"v": [0] * (KIB_64 // 2)}],
    ),
    "rows to fill in": (NULLABLE, [{} for _ in range(KIB_64 // 3)]),
    "a table to fill in": (
        [{"name": "t", "type": "table", "columns": NULLABLE}], [{"t": [{} for _ in range(KIB_64 // 3)]}],
    ),
    "long Base64": ([{"name": "v", "type": "base64"}], [{"v": "A" * (1 << 24)}]),
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("name", ASKED)
def test_the_caller_is_asked_every_few_milliseconds(name: str) -> None:
    definition, rows = ASKED[name]
    schema = Schema.prepare(definition)
    assert schema.interruptible
    # What explains refusals is compiled once, with the first.
    refused(schema, rows)
    gaps: list[float] = []
    last = time.thread_time()

    def ask() -> None:
        nonlocal last
        now = time.thread_time()
        gaps.append(now - last)
        last = now

    with interrupted_by(ask):
        last = time.thread_time()
        refused(schema, rows)
        ask()
    assert len(gaps) > 1
    assert max(gaps) < 0.05


LIGHT_ROWS: dict[str, tuple[Any, list[Any]]] = {
    "a long list of numbers": ({"properties": {"v": {"items": {"type": "integer"}}}}, [{"v": [0] * KIB_64}]),
    "many rows, and then long ones": (
        {"properties": {"v": {"items": {"enum": [*range(20), "x"]}}}}, [{"v": []}] * 9000 + [{"v": [5] * 30}] * 4000,
    ),
    "options of several kinds": (
        {"properties": {"v": {"items": {"enum": [*range(47), "x"]}}}}, [{"v": [5] * (KIB_64 - 10)}],
    ),
    "names in other alphabets": (
        {"properties": {"v": {"items": {"format": "idn-hostname"}}}}, [{"v": ["\xe4.b"] * 16_000}],
    ),
    "dates": ({"properties": {"v": {"items": {"format": "date-time"}}}}, [{"v": ["2036-10-16T09:22:33"] * 5_800}]),
    "what is not in it": ({"properties": {"v": {"contains": {"const": 1}}}}, [{"v": [0] * KIB_64 + [1]}]),
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("name", LIGHT_ROWS)
def test_no_call_of_the_library_is_long_where_few_schemas_look_at_a_value(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of 128 KiB is checked where others wait for the interpreter's lock."""
    definition, rows = LIGHT_ROWS[name]
    schema = Schema.prepare(definition)
    calls: list[float] = []
    is_valid = rust_engine._fits

    def timed(*arguments: Any) -> bool:
        started = time.thread_time()
        try:
            return is_valid(*arguments)
        finally:
            calls.append(time.thread_time() - started)

    monkeypatch.setattr(rust_engine, "_fits", timed)
    monkeypatch.setattr(long_values, "_is_valid", timed)
    longest = []
    for _ in range(4):
        calls.clear()
        schema.validate(rows)
        longest.append(max(calls))
    assert min(longest) < 0.02
