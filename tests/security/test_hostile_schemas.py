"""Schemas of a stranger's step file: mistakes with places, in time and memory in proportion to the text."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jsonschema_rs
import pytest

from wasmexec.errors import OutputError, SchemaError
from wasmexec.schema import PROMPT_BYTES, Schema
from wasmexec.schema.burden import Burden, burden_of
from wasmexec.schema.dialects import find_dialect, subschemas
from wasmexec.schema.patterns import compile_pattern

DRAFT_03 = "http://json-schema.org/draft-03/schema#"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def nested(levels: int, wrap: Callable[[Any], Any], leaf: Any) -> Any:
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def mistakes(definition: object) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(definition)
    return caught.value


MANY = 20_000
WIDE = {f"a{number}": {"type": "integer"} for number in range(MANY)}
WIDE_WRONG: dict[str, Any] = {f"a{number}": {"type": "intege"} for number in range(MANY)}
LOST: dict[str, Any] = {f"a{number}": {"$ref": f"#/$defs/d{number}"} for number in range(MANY)}

WRONG: dict[str, tuple[Any, str]] = {
    # Each of these took half a minute or more, or a gigabyte, before.
    "every property": ({"properties": WIDE_WRONG}, "/properties/a0/type"),
    "every property, draft-07": ({"$schema": DRAFT_07, "properties": WIDE_WRONG}, "/properties/a0/type"),
    "every property, draft-03": (
        {"$schema": DRAFT_03, "properties": {f"a{number}": {"type": 5} for number in range(MANY)}},
        "/properties/a0/type",
    ),
    "every reference": ({"properties": LOST}, "/properties/a0/$ref"),
    "every item": ({"required": [1] * MANY}, "/required"),
    "deep and wide": (
        {"$schema": DRAFT_07, **nested(200, lambda inner: {"items": inner}, {"type": "objec", "properties": WIDE})},
        "/items" * 200 + "/type",
    ),
    "deep, draft-03": (
        {"$schema": DRAFT_03, **nested(200, lambda inner: {"items": inner}, {"type": 5})},
        "/items" * 200 + "/type",
    ),
    "repeats that multiply": ({"properties": {"a": {"pattern": "((a{500}){500}){500}"}}}, "/properties/a/pattern"),
    "a long pattern": ({"properties": {"a": {"pattern": "a|" * 200_000 + "(?=b)"}}}, "/properties/a/pattern"),
    "a class without end": ({"properties": {"a": {"pattern": "(?=a)[" + r"\W\S" * 50_000}}}, "/properties/a/pattern"),
    "columns": ([{"name": f"c{number}", "type": "texx"} for number in range(MANY)], "/0/type"),
    "columns in columns": (
        nested(100, lambda inner: [{"name": "a", "type": "object", "columns": inner}, {"name": "b", "type": "texx"}],
               [{"name": f"a{number}", "type": "text"} for number in range(5000)]),
        "/0/columns" * 99 + "/1/type",
    ),
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_found_in_time_in_proportion(name: str) -> None:
    definition, pointer = WRONG[name]
    started = time.process_time()
    error = mistakes(definition)
    assert time.process_time() - started < 4
    assert error.pointer == pointer
    assert len(error.message) < 40_000


RIGHT: dict[str, Any] = {
    "properties": {"properties": WIDE},
    "references": {"$defs": WIDE, "properties": {name: {"$ref": f"#/$defs/{name}"} for name in WIDE}},
    "alternatives": {"anyOf": [{"properties": {name: inner}} for name, inner in WIDE.items()]},
    "a chain": {
        "$defs": {**{f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(5000)}, "d5000": {}},
        "$ref": "#/$defs/d0",
    },
    "a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "an enum": {"properties": {"a": {"enum": list(range(1_000_000))}}},
    "deep and wide": nested(200, lambda inner: {"items": inner}, {"properties": dict(list(WIDE.items())[:5000])}),
}


@pytest.mark.timing
@pytest.mark.parametrize("name", RIGHT)
def test_a_large_schema_without_mistakes_is_ready_in_time_in_proportion(name: str) -> None:
    started = time.process_time()
    Schema.prepare(RIGHT[name]).validate([{}])
    assert time.process_time() - started < 20


REPEATED = 3000
TO_ITSELF = {"$ref": "#"}
UNEVALUATED: dict[str, Any] = {"allOf": [TO_ITSELF], "unevaluatedProperties": False}
REPEATING: dict[str, tuple[Any, str]] = {
    # A hundred kilobytes each took seconds, half a minute, or more.
    "references to the whole": ({"properties": {f"a{number}": TO_ITSELF for number in range(REPEATED)}}, ""),
    "dynamic references to the whole": (
        {"$dynamicAnchor": "n", "properties": {f"a{number}": {"$dynamicRef": "#n"} for number in range(REPEATED)}}, "",
    ),
    "unions of draft-03": (
        {"$schema": DRAFT_03, "properties": {"v": {"type": [{"title": str(left)} for left in range(REPEATED // 2)]}}},
        "",
    ),
    "an enum of draft-03": (
        {"$schema": DRAFT_03, "properties": {"v": {"enum": [{"a": number} for number in range(REPEATED)]}}}, "",
    ),
    "names that are none": ({"required": [1] * 200_000}, "/required"),
    "types that are none": ({"type": ["x"] * 200_000}, "/type"),
    "drafts that are none": (
        {"$defs": {f"a{number}": {"$id": f"a:{number}", "$schema": f"b:{number}"} for number in range(REPEATED)}},
        "/$defs/a0/$schema",
    ),
    "patterns": (
        {"properties": {f"a{number}": {"pattern": f"^a{number}b*$"} for number in range(REPEATED)}},
        "/properties/a2000/pattern",
    ),
    "patterns for names": (
        {"patternProperties": {f"^a{number}b*$": {} for number in range(REPEATED)}}, "/patternProperties/^a2000b*$",
    ),
    "patterns that look ahead": (
        {"properties": {f"a{number}": {"pattern": f"(?=a{number})b"} for number in range(REPEATED)}},
        "/properties/a500/pattern",
    ),
    "a pattern of many characters": ({"pattern": r"\w" * 50_000}, "/pattern"),
    "each asks all what they have looked at": (
        {"properties": {f"a{number}": UNEVALUATED for number in range(REPEATED)}},
        "/properties/a333/unevaluatedProperties",
    ),
    # These crashed the process.
    "a chain of those that ask": (
        {"$defs": {f"d{number}": {"$ref": f"#/$defs/d{number + 1}", "unevaluatedItems": False}
                   for number in range(REPEATED)} | {f"d{REPEATED}": {}}},
        "/$defs/d0/unevaluatedItems",
    ),
    "a long chain below one that asks": (
        {"$defs": {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(REPEATED)}
                  | {f"d{REPEATED}": {}}, "$ref": "#/$defs/d0", "unevaluatedProperties": False},
        "/unevaluatedProperties",
    ),
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("name", REPEATING)
def test_what_repeats_in_a_schema_takes_no_time_each(name: str) -> None:
    definition, pointer = REPEATING[name]
    started = time.process_time()
    if pointer:
        assert mistakes(definition).pointer == pointer
    else:
        Schema.prepare(definition)
    assert time.process_time() - started < 2


def test_as_many_patterns_and_references_as_people_have_are_fine() -> None:
    patterns: dict[str, Any] = {f"a{number}": {"pattern": f"^(?=a{number})b"} for number in range(300)}
    patterns |= {f"b{number}": {"pattern": f"^b{number}$"} for number in range(1000)}
    base: dict[str, Any] = {"properties": {f"a{number}": {} for number in range(30)}}
    kinds = {
        f"k{number}": {"allOf": [{"$ref": "#/$defs/base"}], "unevaluatedProperties": False} for number in range(500)
    }
    schema = Schema.prepare(
        {"$defs": {"base": base, **kinds}, "properties": {**patterns, "k0": {"$ref": "#/$defs/k0"}}}
    )
    schema.validate([{"b7": "b7"}, {"k0": {"a29": 1}}])
    with pytest.raises(OutputError) as caught:
        schema.validate([{"k0": {"a30": 1}}])
    assert (caught.value.pointer, caught.value.rule) == ("/0/k0", "unevaluatedProperties")


@pytest.mark.timing
def test_a_stall_while_a_pattern_is_compiled_is_not_its_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    real = jsonschema_rs.Draft202012Validator
    stalls = iter([0.8])

    def stalling(*arguments: Any, **options: Any) -> Any:
        ended = time.thread_time() + next(stalls, 0)
        while time.thread_time() < ended:
            pass
        return real(*arguments, **options)

    monkeypatch.setattr(jsonschema_rs, "Draft202012Validator", stalling)
    assert compile_pattern("^(?=stall)b").seconds < 0.4
    assert next(stalls, None) is None


@pytest.mark.parametrize("index", ["1", "01", "+1"])
def test_no_spelling_of_an_index_hides_what_a_reference_leads_to(index: str) -> None:
    hidden: dict[str, Any] = {"elsewhere": [{}, {"pattern": "("}], "allOf": [{"$ref": f"#/elsewhere/{index}"}]}
    assert mistakes(hidden).pointer == "/elsewhere/1/pattern"
    hidden["elsewhere"][1] = {"pattern": "(?=a)"}
    assert not Schema.prepare(hidden).interruptible


def test_an_index_is_no_number_of_python() -> None:
    assert mistakes({"allOf": [{}, {"$ref": "#/allOf/-2"}]}).pointer == "/allOf/1/$ref"


def test_long_names_are_cut_in_messages_and_kept_in_pointers() -> None:
    long = "x" * 2_000_000
    for definition, rest in (
        ({"properties": {long: {"type": "intege"}}}, f"/properties/{long}/type"),
        ({long: 1}, f"/{long}"),
        ({"properties": {"a": {"$ref": f"#/{long}"}}}, "/properties/a/$ref"),
        ({"properties": {"a": {"$ref": f"http://{long}"}}}, "/properties/a/$ref"),
        ([{"name": "a", "type": long}], "/0/type"),
        ([{"name": long, "type": "text"}] * 2, "/1/name"),
        ([{"name": "a", "type": "text", long: 1}], f"/0/{long}"),
    ):
        error = mistakes(definition)
        assert error.pointer == rest
        assert len(error.message) < 2000


def doubled(levels: int, step: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
    defs = {f"d{number}": step({"$ref": f"#/$defs/d{number + 1}"}) for number in range(levels)}
    return {"$defs": {**defs, f"d{levels}": {"type": ["object", "null"]}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "step",
    [
        lambda next_: {"allOf": [next_, next_]},
        lambda next_: {"anyOf": [{"not": next_}, next_]},
        lambda next_: {"if": next_, "then": next_},
        lambda next_: {"allOf": [{"properties": {"x": next_}}, {"properties": {"x": next_}}]},
        lambda next_: {"properties": {"x": next_}, "patternProperties": {"x": next_}},
    ],
)
def test_references_that_double_with_every_level_are_refused(step: Callable[[Any], Any]) -> None:
    Schema.prepare(doubled(10, step)).validate([{}])
    error = mistakes(doubled(60, step))
    assert "its references multiply: " in error.message
    assert error.message.endswith(" schemas would look at one value, at most 100,000 may")


def burden(definition: dict[str, Any]) -> Burden:
    return burden_of(definition, find_dialect(definition), list(subschemas(definition)))


def test_schemas_that_are_used_in_many_places_do_not_multiply() -> None:
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}
    assert burden(tree)[::2] == (3, 1)
    wide = doubled(60, lambda next_: {"properties": {"x": next_, "y": next_}})
    assert burden(wide).applied < 200


@pytest.mark.timing
def test_a_schema_that_leads_to_itself_twice_takes_bounded_time() -> None:
    # Each level is looked at by twice as many. Without bound: 10 s for 24 levels.
    definition = {"properties": {"a": {"$ref": "#"}, "z": {"type": "null"}}, "patternProperties": {"^a": {"$ref": "#"}}}
    schema = Schema.prepare(definition)
    assert not schema.interruptible
    row: dict[str, Any] = nested(60, lambda inner: {"a": inner}, {})
    schema.validate([row])
    started = time.process_time()
    with pytest.raises(OutputError) as caught:
        schema.validate([{**row, "z": 1}])
    assert time.process_time() - started < 1
    assert (caught.value.pointer, caught.value.rule) == ("/0", "schema")
    with pytest.raises(OutputError) as caught:
        schema.validate([{"a": {"z": 1}}])
    assert (caught.value.pointer, caught.value.rule) == ("/0/a/z", "type")


@pytest.mark.timing
def test_options_that_are_compared_one_by_one_are_no_work_for_a_thread() -> None:
    options = [{"a": number} for number in range(20_000)]
    assert not Schema.prepare({"properties": {"v": {"enum": options}}}).interruptible
    assert Schema.prepare({"properties": {"v": {"enum": list(range(20_000))}}}).interruptible


def longest_hold(work: Callable[[], Any]) -> float:
    """Seconds that another thread waits for the interpreter's lock, at worst, while something is refused."""
    gaps: list[float] = []
    is_over = threading.Event()

    def tick() -> None:
        last = time.perf_counter()
        while not is_over.is_set():
            time.sleep(0.0005)
            gaps.append(time.perf_counter() - last)
            last += gaps[-1]

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        with suppress(OutputError):
            work()
    finally:
        is_over.set()
        thread.join()
    return max(gaps)


BROAD = {
    "ones and zeros": ("(1[01]{100}2)", "01"),
    "letters": (r"(\p{L}|[01]){1,200}z", "a01"),
    "written out": ("1" + "[01]" * 60 + "2", "01"),
}


@pytest.mark.timing
@pytest.mark.parametrize("case", BROAD)
def test_a_text_that_is_at_many_places_of_a_pattern_is_no_long_call(case: str) -> None:
    # 128 kB: 87 ms in one call for ones and zeros, 900 ms for letters.
    pattern, characters = BROAD[case]
    schema = Schema.prepare({"properties": {"v": {"pattern": pattern}}})
    assert not schema.interruptible
    text = "".join(random.Random(1).choices(characters, k=PROMPT_BYTES))
    row = {"v": text[: schema.prompt_bytes]}
    held = min(longest_hold(lambda: schema.validate([row])) for _ in range(5))
    assert held < 0.03
    # Whatever the machine: the whole text would have taken much longer.
    assert min(longest_hold(lambda: compile_pattern(pattern).search(text)) for _ in range(3)) > 2 * held


def test_ordinary_patterns_are_no_reason_to_start_a_process() -> None:
    for pattern in (
        r"^\d{4}-\d{2}-\d{2}$",
        "^[a-z0-9-]{1,64}$",
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        "^https?://",
        "[A-Z]{3}",
    ):
        schema = Schema.prepare({"properties": {"v": {"type": "string", "pattern": pattern}}})
        assert schema.interruptible, pattern
        assert schema.prompt_bytes >= PROMPT_BYTES // 2


def test_schemas_of_a_union_are_not_taken_for_the_same() -> None:
    union = [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "array"}]
    for keyword in ("type", "disallow"):
        Schema.prepare({"$schema": DRAFT_03, "properties": {"v": {keyword: union}}})
    error = mistakes({"$schema": DRAFT_03, "properties": {"v": {"type": [*union, "string", "string"]}}})
    assert error.pointer == "/properties/v/type"


def test_the_same_mistakes_are_found_where_schemas_are_looked_at_by_themselves() -> None:
    definition = {
        "$schema": DRAFT_07,
        "dependencies": {"a": ["b"], "c": {"type": "strin"}, "d": [1]},
        "items": [{"minimum": "x"}, True, 5],
        "if": {"required": [1]},
        "additionalProperties": {"items": {"items": {"anyOf": [{"const": 1}, {"pattern": 5}]}}},
        "anyOf": {"type": "strin"},
    }
    assert [mistake.pointer for mistake in mistakes(definition).mistakes] == [
        "/dependencies/c/type", "/dependencies/d/0", "/items/0/minimum", "/items/2", "/if/required/0",
        "/additionalProperties/items/items/anyOf/1/pattern", "/anyOf",
    ]  # fmt: skip
    assert json.loads(json.dumps(definition)) == definition


def test_a_schema_that_is_too_large_is_refused() -> None:
    def definition(more: int) -> dict[str, Any]:
        return {"properties": {"x" * (16 * 1024 * 1024 - 22 + more): {}}}

    assert Schema.prepare(definition(0)).kind == "rows"
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(definition(1))
    assert caught.value.pointer == ""
    reason = "16,777,217 bytes of JSON, at most 16,777,216"
    assert caught.value.reason == f"it has {reason} are taken: leave out what rows do not need"
