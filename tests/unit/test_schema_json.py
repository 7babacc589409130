"""JSON Schema as an output schema: what is reported, and where. The verdicts are in `test_schema_reference.py`."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from wasmexec.errors import ConfigError, OutputError, SchemaError
from wasmexec.schema import Schema

ROW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "price": {"type": ["number", "null"]},
        "a/b~c": {"type": "string", "pattern": "^x"},
    },
    "required": ["id"],
    "additionalProperties": False,
}


def refusal(definition: object, rows: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate(rows)
    return caught.value


def config_refusal(definition: object) -> str:
    with pytest.raises(ConfigError) as caught:
        Schema.prepare(definition)
    return caught.value.message


def test_an_object_schema_is_for_each_row() -> None:
    rows = [{"id": 1, "price": 1.5}, {"id": 2, "price": None, "a/b~c": "xy"}]
    schema = Schema.prepare(ROW)
    assert schema.kind == "rows"
    assert schema.column_names == ("id", "price", "a/b~c")
    validated = schema.validate(rows)
    assert validated.rows is rows
    assert validated.warnings == []


def test_an_array_schema_is_for_the_whole_list() -> None:
    definition = {"type": "array", "items": ROW, "minItems": 1, "maxItems": 2, "uniqueItems": True}
    schema = Schema.prepare(definition)
    assert schema.kind == "list"
    assert schema.column_names == ("id", "price", "a/b~c")
    assert schema.validate([{"id": 1}]).rows == [{"id": 1}]
    error = refusal(definition, [])
    assert (error.pointer, error.rule, error.value) == ("", "minItems", "[]")
    assert error.message == "the list: the value has less than 1 item, got []"
    error = refusal(definition, [{"id": 1}, {"id": 1}])
    assert (error.pointer, error.rule) == ("", "uniqueItems")
    error = refusal(definition, [{"id": 1}, {"id": "2"}])
    assert (error.pointer, error.rule, error.value) == ("/1/id", "type", "'2'")


@pytest.mark.parametrize(
    ("row", "pointer", "rule", "value", "message"),
    [
        ({}, "/1", "required", "{}", '/1: "id" is a required property, got {}'),
        ({"id": "7"}, "/1/id", "type", "'7'", "/1/id: the value is not of type \"integer\", got '7'"),
        ({"id": True}, "/1/id", "type", "True", '/1/id: the value is not of type "integer", got True'),
        ({"id": 0}, "/1/id", "minimum", "0", "/1/id: the value is less than the minimum of 1, got 0"),
        (
            {"id": 1, "a/b~c": "y"}, "/1/a~1b~0c", "pattern", "'y'",
            "/1/a~1b~0c: the value does not match \"^x\", got 'y'",
        ),
        (
            {"id": 1, "b": 2}, "/1", "additionalProperties", "{'b': 2, 'id': 1}",
            "/1: Additional properties are not allowed ('b' was unexpected), got {'b': 2, 'id': 1}",
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_pointer_rule_and_value(
    row: dict[str, object], pointer: str, rule: str, value: str, message: str
) -> None:
    error = refusal(ROW, [{"id": 1}, row])
    assert (error.pointer, error.rule, error.value, error.reason) == (pointer, rule, value, message)
    assert error.message == (f"{message}; {error.fix}" if error.fix else message)


def test_alternatives_say_what_each_branch_wants() -> None:
    definition = {"properties": {"v": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    error = refusal(definition, [{"v": 1}])
    assert (error.pointer, error.rule) == ("/0/v", "anyOf")
    assert error.message == (
        "/0/v: the value fits no branch of 'anyOf' (the value is not of type \"string\"; the value is not of type"
        ' "null"), got 1'
    )


def test_no_keys_at_all_may_be_forbidden() -> None:
    error = refusal({"additionalProperties": False}, [{"a": 1}])
    assert (error.pointer, error.rule) == ("/0", "additionalProperties")
    error = refusal({"properties": {"a": False}}, [{"a": 1}])
    assert (error.pointer, error.rule, error.message) == ("/0/a", "false", "/0/a: the value is not allowed, got 1")


def test_the_whole_float_is_an_integer_as_the_standard_says() -> None:
    assert Schema.prepare(ROW).validate([{"id": 1.0}]).rows == [{"id": 1.0}]


def test_references_inside_the_schema_keep_their_meaning() -> None:
    definition = {
        "$defs": {"money": {"type": "number"}, "node": {"$ref": "#"}},
        "type": "object",
        "properties": {"price": {"$ref": "#/$defs/money"}, "child": {"$ref": "#/$defs/node"}},
    }
    for extra in (
        {},
        {"$id": "https://example.com/row"},
        {"$id": ""},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
    ):
        schema = {**definition, **extra}
        Schema.prepare(schema).validate([{"price": 1, "child": {"price": 2}}])
        assert refusal(schema, [{"price": 1, "child": {"price": "2"}}]).pointer == "/0/child/price"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2036-10-16T09:22:33Z", "soon"),
        ("date-time", "2036-10-16T09:22:33", "2036-10-16x09:22:33"),
        ("date", "2036-10-16", "2036-13-16"),
        ("email", "a@example.com", "a"),
        ("uuid", "c9bf9e57-1685-4c89-bafb-ff5af830be8a", "c9bf"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
    ],
)
def test_formats_are_asserted(name: str, good: str, bad: str) -> None:
    definition = {"properties": {"v": {"type": "string", "format": name}}}
    Schema.prepare(definition).validate([{"v": good}])
    error = refusal(definition, [{"v": bad}])
    assert (error.pointer, error.rule, error.value) == ("/0/v", "format", repr(bad))


def test_unknown_formats_are_ignored() -> None:
    assert Schema.prepare({"properties": {"v": {"format": "colour"}}}).validate([{"v": "?"}]).rows == [{"v": "?"}]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"type": "strin"}, "at /type: 'strin': the value fits no branch of 'anyOf' ("),
        ({"type": "array", "items": {"properties": {"a": 1}}}, "at /items/properties/a: 1: the value is not of types"),
        ({"properties": {"a": {"minimum": "3"}}}, "at /properties/a/minimum: '3': the value is not of type \"number\""),
        ({"required": "id"}, "at /required: 'id': the value is not of type \"array\""),
        (
            {"properties": {"a": {"pattern": "(a"}}},
            "at /properties/a/pattern: '(a' is no regular expression: missing ) at position 2",
        ),
        ({"properties": {"a": {"pattern": "(?=a"}}}, "at /properties/a/pattern: '(?=a' is no regular expression: miss"),
        ({"properties": {"a": {"pattern": "\\1(a"}}}, "at /properties/a/pattern: '\\\\1(a' is no regular expression: "),
        ({"properties": {"a": {"pattern": "(?1)"}}}, "at /properties/a/pattern: '(?1)' is no regular expression: '(?"),
        ({"properties": {"a": {"pattern": "(?:a){e<=1}(?=b)\\L<x>"}}}, "at /properties/a/pattern: "),
        ({"patternProperties": {"(a": {}}}, "at /patternProperties/(a: '(a' is no regular expression: missing )"),
        ({"type": "string"}, 'at /type: "type" must be "object" (the schema is for one row) or "array"'),
        ({"type": ["array", "null"]}, 'at /type: "type" must be "object"'),
        (
            {"id": {"type": "integer"}},
            ("at /id: 'id' is not a keyword of JSON Schema, so this schema would accept everything: write"
            ' {"type": "object", "properties": {...}} or a list of columns'),
        ),
        (
            {"$schema": "http://json-schema.org/draft7/schema"},
            ("at /$schema: 'http://json-schema.org/draft7/schema' is no known draft of JSON Schema, did you mean"
            " 'http://json-schema.org/draft-07/schema#'? known are http://json-schema.org/draft-03/schema#, "),
        ),
        ({"$schema": "https://example.com/mine"}, "at /$schema: 'https://example.com/mine' is no known draft"),
        ({"$schema": 3}, "at /$schema: 3 is no known draft of JSON Schema; known are "),
        (
            {"type": "array", "prefixItems": [{"$id": "x:y", "$schema": "http://example.com/"}]},
            "at /prefixItems/0/$schema: 'http://example.com/' is no known draft",
        ),
        ({"type": ["strin", "object"]}, "at /type/0: 'strin': the value is not one of"),
        ({"type": 5}, "at /type: 5: "),
        (
            {"properties": {"a": {"items": [{}]}}},
            ('at /properties/a/items: [{}]: the value is not of types "boolean", "object"; since draft 2020-12 a list'
            ' of schemas is called "prefixItems"'),
        ),
        ({"properties": {"a": {"exclusiveMinimum": True}}}, "at /properties/a/exclusiveMinimum: True: the value is"),
        ({"properties": {"a": {"$id": "not a uri%"}}}, "at /properties/a/$id: 'not a uri%' is no URI reference"),
        (
            {"$ref": "#/components/schemas/Row", "components": {"schemas": {"Row": {"pattern": "("}}}},
            "at /components/schemas/Row/pattern: '(' is no regular expression: missing )",
        ),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}}, "at /properties/a/$ref: '#/$defs/x' leads nowhere"),
        ({"type": "array", "items": {"$ref": "#x"}}, "at /items/$ref: '#x' leads nowhere"),
    ],
)  # fmt: skip
def test_an_invalid_schema_is_refused_with_the_place_of_the_mistake(definition: object, message: str) -> None:
    assert config_refusal(definition)[len("output schema, ") :].startswith(message)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:9/row.json", "file:///etc/hostname", "other.json", "//127.0.0.1:9/x", "urn:x:y", "x.json#/a"],
)
def test_references_to_outside_are_refused_and_nothing_is_fetched(target: str) -> None:
    message = config_refusal({"properties": {"a": {"$ref": target}}})
    assert message == (
        f"output schema, at /properties/a/$ref: {target!r} lies outside this schema, and nothing is fetched: put it"
        " under $defs"
    )


def test_a_schema_that_is_not_json_or_too_deep_is_refused() -> None:
    assert config_refusal({"properties": {1: {}}}).startswith("output schema: it is not JSON: ")
    cycle: dict[str, object] = {"type": "object"}
    cycle["properties"] = {"a": cycle}
    assert config_refusal(cycle).startswith("output schema: it is not JSON: ")


def test_lenient_mode_is_for_column_lists() -> None:
    with pytest.raises(ConfigError) as caught:
        Schema.prepare(ROW, mode="lenient")
    assert caught.value.message.startswith("output schema: lenient mode is for column lists")


def test_self_references_and_deep_rows_end_in_an_answer() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    for definition in ({"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"properties": {"a": {"$ref": "#"}}}):
        assert Schema.prepare(definition).validate([deep]).rows == [deep]
    error = refusal({"type": "array", "uniqueItems": True}, [deep, deep])
    assert error.rule == "depth"
    assert error.message == "the output cannot be checked: Recursion limit reached"


@pytest.mark.timing
def test_a_pattern_that_kills_backtracking_engines_is_quick() -> None:
    started = time.perf_counter()
    error = refusal({"properties": {"v": {"pattern": "^(a+)+$"}}}, [{"v": "a" * 50_000 + "!"}])
    assert error.rule == "pattern"
    assert len(error.message) < 400
    assert time.perf_counter() - started < 2


def test_keys_of_a_hostile_guest_stay_out_of_the_messages() -> None:
    error = refusal({"additionalProperties": {"type": "string"}}, [{"k" * 1_000_000: 1}])
    assert (len(error.pointer), len(error.message) < 2000) == (1000, True)
    error = refusal({"properties": {"a": {}}, "additionalProperties": False}, [{"k" * 1_000_000: 1}])
    assert (error.pointer, error.rule, len(error.message) < 2000) == ("/0", "additionalProperties", True)


def test_the_first_failing_row_is_reported() -> None:
    rows = [{"id": 1} for _ in range(10_000)]
    rows[9_000] = {"id": 0}
    rows[9_500] = {}
    assert refusal(ROW, rows).pointer == "/9000/id"


def test_importing_the_package_does_not_import_the_library() -> None:
    script = (
        "import sys; from wasmexec.schema import Schema; Schema.prepare([{'name': 'a', 'type': 'text'}]);"
        "print('jsonschema_rs' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_one_schema_serves_many_threads() -> None:
    schemas = [Schema.prepare(ROW), Schema.prepare([{"name": "id", "type": "integer"}])]
    outcomes: list[bool] = []

    def work() -> None:
        for number in range(200):
            schema = schemas[number % 2]
            schema.validate([{"id": 1}] * 50)
            try:
                schema.validate([{"id": 1}, {"id": "x"}])
            except OutputError as error:
                outcomes.append(error.pointer == "/1/id")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 800


BROKEN: dict[str, Any] = {
    "type": "objekt",
    "required": "id",
    "patternProperties": {"(a": {}},
    "properties": {
        "a": {"minimum": "3", "pattern": "(?=a"},
        "b": {"$ref": "#/$defs/nowhere"},
        "c": {"anyOf": [{"type": "integer"}, {"type": "integr"}]},
        "d": 1,
        "e": {"$ref": "https://example.com/e.json"},
        "const": {"const": {"$ref": "#/no/reference", "pattern": "("}},
    },
}


def test_every_mistake_of_a_schema_is_reported_in_its_order() -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(BROKEN)
    error = caught.value
    assert [mistake.pointer for mistake in error.mistakes] == [
        "/type", "/required", "/patternProperties/(a", "/properties/a/minimum", "/properties/a/pattern",
        "/properties/b/$ref", "/properties/c/anyOf/1/type", "/properties/d", "/properties/e/$ref",
    ]  # fmt: skip
    assert (error.pointer, error.reason) == error.mistakes[0]
    assert error.message.split("\n") == [f"output schema, at {at or 'its top'}: {why}" for at, why in error.mistakes]
    assert "did you mean 'object'?" in error.reason
    again = pickle.loads(pickle.dumps(error))
    assert (again.mistakes, again.message) == (error.mistakes, error.message)
    assert error.fields() == {
        "pointer": "/type",
        "reason": error.reason,
        "role": "output",
        "mistakes": [{"pointer": pointer, "reason": reason} for pointer, reason in error.mistakes],
    }


@pytest.mark.parametrize("draft", ["draft-03", "draft-04", "draft-06", "draft-07", "2019-09", "2020-12"])
def test_every_draft_reports_every_mistake(draft: str) -> None:
    uri = f"http://json-schema.org/{draft}/schema#"
    if not draft.startswith("draft"):
        uri = f"https://json-schema.org/draft/{draft}/schema"
    kind = 3 if draft == "draft-03" else "strin"
    bad = {"$schema": uri, "properties": {"a": {"type": kind}, "b": {"pattern": "("}, "c": {"$ref": "#/x"}, "d": "?"}}
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(bad)
    found = [mistake.pointer for mistake in caught.value.mistakes]
    assert found == ["/properties/a/type", "/properties/b/pattern", "/properties/c/$ref", "/properties/d"]


def test_every_mistake_of_a_column_list_is_reported() -> None:
    columns = [
        {"name": "a", "type": "strin"},
        {"name": "a", "type": "text", "size": 3},
        {"name": "b", "type": "object", "columns": [{"name": "c"}, {"name": "d", "type": "int"}]},
        7,
    ]
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(columns)
    pointers = [mistake.pointer for mistake in caught.value.mistakes]
    assert pointers == ["/0/type", "/1/size", "/1/name", "/2/columns/0", "/2/columns/1/type", "/3"]


def test_many_mistakes_stay_readable() -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.prepare({"properties": {f"c{number}": {"type": "x"} for number in range(5000)}})
    assert len(caught.value.mistakes) == 100
    assert caught.value.message.count("\n") == 20
    assert caught.value.message.endswith("\nand 80 more")


def test_a_schema_within_a_schema_is_judged_by_the_draft_that_it_declares() -> None:
    old = {"$id": "x:old", "$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    schema = {"properties": {"a": {"$ref": "x:old"}}, "$defs": {"old": old}}
    Schema.prepare(schema).validate([{"a": [1]}])
    assert refusal(schema, [{"a": ["x"]}]).pointer == "/0/a/0"
    old["items"] = [{"type": "integr"}]
    schema["required"] = 5
    with pytest.raises(SchemaError) as caught:
        Schema.prepare(schema)
    assert [mistake.pointer for mistake in caught.value.mistakes] == ["/$defs/old/items/0/type", "/required"]


EXPONENTIAL = r"^(?=a)(a|aa)+$"
QUADRATIC = r"(?=.*x)y|z(?!q)"


@pytest.mark.timing
@pytest.mark.parametrize(
    ("definition", "row", "pointer"),
    [
        ({"properties": {"v": {"pattern": EXPONENTIAL}}}, {"v": "a" * 60 + "!"}, "/1/v"),
        ({"properties": {"v": {"pattern": QUADRATIC}}}, {"v": "a" * 900_000 + "x"}, "/1/v"),
        ({"properties": {"v": {"items": {"pattern": r"(x+x+)+\1y"}}}}, {"v": ["xxxxy", "x" * 5000]}, "/1/v/1"),
        ({"properties": {"v": {"not": {"pattern": EXPONENTIAL}}}}, {"v": "a" * 60 + "!"}, "/1/v"),
        ({"anyOf": [{"properties": {"v": {"pattern": EXPONENTIAL}}}, True]}, {"v": "a" * 60 + "!"}, "/1/v"),
        ({"patternProperties": {EXPONENTIAL: {}}}, {"a" * 60 + "!": 1}, "/1/" + "a" * 60 + "!"),
        ({"propertyNames": {"pattern": EXPONENTIAL}}, {"a" * 60 + "!": 1}, "/1/" + "a" * 60 + "!"),
        (
            {"$schema": "http://json-schema.org/draft-03/schema#", "properties": {"v": {"pattern": EXPONENTIAL}}},
            {"v": "a" * 60 + "!"}, "/1/v",
        ),
    ],
)  # fmt: skip
def test_a_pattern_with_look_around_takes_bounded_time(
    definition: dict[str, Any], row: dict[str, Any], pointer: str
) -> None:
    # The positive control: the same schema takes a row, and the next rows too.
    fine: dict[str, Any] = {"v": []} if "items" in str(definition) else {}
    schema = Schema.prepare(definition)
    schema.validate([fine])
    started = time.process_time()
    with pytest.raises(OutputError) as caught:
        schema.validate([fine, row, row, row])
    assert time.process_time() - started < 5
    assert (caught.value.pointer, caught.value.rule) == (pointer, "pattern")
    assert ", which is not of the linear-time kind, takes too long on '" in caught.value.message
    assert len(caught.value.message) < 500
    schema.validate([fine])


def test_a_text_may_be_as_long_as_a_pattern_with_look_around_takes() -> None:
    definition = {"properties": {"v": {"pattern": "^(?!tmp)"}}}
    Schema.prepare(definition).validate([{"v": "x" * 1_000_000}])
    error = refusal(definition, [{"v": "x" * 1_000_001}])
    assert (error.pointer, error.rule) == ("/0/v", "pattern")
    assert "takes texts of up to 1,000,000 characters, not 1,000,001" in error.message


def test_as_many_names_may_match_a_pattern_with_look_around() -> None:
    definition = {"patternProperties": {"^(?!tmp)": {"type": "integer"}}}
    rows = [{f"n{number}": number} for number in range(10_000)]
    Schema.prepare(definition).validate(rows)
    error = refusal(definition, [*rows, {"one": 1}])
    assert (error.rule, error.message) == (
        "pattern", "the list: more than 10,000 different names match the pattern '^(?!tmp)'",
    )  # fmt: skip
    assert refusal(definition, [*rows[:-1], {"n9999": "x"}]).pointer == "/9999/n9999"


def test_names_with_any_character_are_matched_one_by_one() -> None:
    definition = {"patternProperties": {"^(?!id$)": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    names = ["a.b", "a|b", "^$", "\\", "]", "é", "😀", "\n", "", " ", "(", "a/b~c", "id\n", "\x00"]
    schema = Schema.prepare(definition)
    for name in names:
        schema.validate([{name: 1, "id": "x"}])
        with pytest.raises(OutputError):
            schema.validate([{name: "1", "id": "x"}])
    schema.validate([dict.fromkeys(names, 1)])


def test_threads_with_new_names_each_get_their_own_verdicts() -> None:
    schema = Schema.prepare({"patternProperties": {"^(?=n)": {"type": "integer"}}, "additionalProperties": False})
    wrong: list[str] = []

    def work(thread: int) -> None:
        for number in range(60):
            name = f"n{thread}_{number}"
            schema.validate([{name: number}])
            for row in ({name: "x"}, {f"x{name}": 1}):
                try:
                    schema.validate([row])
                except OutputError:
                    continue
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_refusal_by_a_pattern_with_look_around_reads_like_any_other() -> None:
    error = refusal({"properties": {"v": {"pattern": "^(?!x)"}}}, [{"v": "y"}, {"v": "xy"}])
    assert (error.pointer, error.rule, error.value) == ("/1/v", "pattern", "'xy'")
    assert error.message == "/1/v: the value does not match \"^(?!x)\", got 'xy'"
    error = refusal({"patternProperties": {"^(?!x)": {"type": "integer"}}}, [{"x": "a", "y": "a"}])
    assert (error.pointer, error.rule) == ("/0/y", "type")


def test_integers_of_any_size_stay_exact_in_schema_and_rows() -> None:
    big = 10**30
    definition = {"properties": {"v": {"enum": [big, 2**64 + 1]}, "w": {"minimum": big}}}
    schema = Schema.prepare(definition)
    schema.validate([{"v": big, "w": big + 1}, {"v": 2**64 + 1}])
    assert refusal(definition, [{"v": big + 1}]).pointer == "/0/v"
    assert refusal(definition, [{"v": 2**64}]).pointer == "/0/v"
    assert refusal(definition, [{"w": big - 1}]).pointer == "/0/w"


DRAFT_03: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-03/schema#",
    "properties": {"id": {"type": "integer", "required": True}, "tags": {"uniqueItems": True}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (DRAFT_03, "jsonschema-rs does not know draft-03"),
        (
            {"properties": {"schema": {"$ref": "http://json-schema.org/draft-07/schema#"}}},
            "jsonschema-rs does not take it (Resource 'http://json-schema.org/draft-07/schema' is not present",
        ),
    ],
)
def test_what_jsonschema_rs_does_not_take_is_checked_by_the_reference_with_a_note(
    definition: dict[str, Any], reason: str
) -> None:
    note = "rows are checked by jsonschema, the reference implementation, which is some 100 times slower: "
    assert Schema.prepare(definition).note.startswith(note + reason)
    assert Schema.prepare(ROW).note == ""
    assert Schema.prepare({"properties": {"v": {"pattern": "(?=x)"}}}).note == ""


@pytest.mark.parametrize(
    ("row", "pointer", "rule", "message"),
    [
        ({}, "/1", "required", "/1: 'id' is a required property, got {}"),
        ({"id": "x"}, "/1/id", "type", "/1/id: the value is not of type 'integer', got 'x'"),
        ({"id": 1, "tags": [1, 1]}, "/1/tags", "uniqueItems", "/1/tags: the value has non-unique elements, got [1, 1]"),
        (
            {"id": 1, "b": 2, "a": 3}, "/1", "additionalProperties",
            "/1: Additional properties are not allowed ('b', 'a' were unexpected), got {'a': 3, 'b': 2, 'id': 1}",
        ),
    ],
)  # fmt: skip
def test_a_refusal_by_the_reference_has_pointer_rule_and_value(
    row: dict[str, Any], pointer: str, rule: str, message: str
) -> None:
    error = refusal(DRAFT_03, [{"id": 1}, row])
    assert (error.pointer, error.rule, error.message) == (pointer, rule, message)


def test_the_reference_is_refused_what_it_cannot_check_in_bounded_time() -> None:
    definition = {
        "properties": {"schema": {"$ref": "http://json-schema.org/draft-07/schema#"}},
        "unevaluatedProperties": False,
    }
    assert config_refusal(definition).endswith(
        "and jsonschema cannot check unevaluatedItems and unevaluatedProperties in bounded time"
    )


@pytest.mark.timing
def test_the_reference_takes_linear_time_for_unique_items() -> None:
    items = [[number] if number % 2 else {"a": number} for number in range(100_000)]
    started = time.process_time()
    Schema.prepare(DRAFT_03).validate([{"id": 1, "tags": items}])
    assert refusal(DRAFT_03, [{"id": 1, "tags": [*items, {"a": 0}]}]).rule == "uniqueItems"
    assert time.process_time() - started < 10


def test_the_reference_ends_with_a_schema_that_leads_to_itself() -> None:
    definition = {"$schema": DRAFT_03["$schema"], "properties": {"a": {"$ref": "#/properties/a"}}}
    error = refusal(definition, [{"a": 1}])
    assert (error.rule, error.message) == ("depth", "the output cannot be checked: it, or the schema, is too deep")
    assert Schema.prepare(definition).validate([{"b": 1}]).rows == [{"b": 1}]
