"""Column lists (contract C6): what strict mode accepts and refuses, and what lenient mode does about it."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from wasmexec.errors import ConfigError, OutputError
from wasmexec.schema import Mode, Schema


def column(kind: str, **more: object) -> dict[str, object]:
    return {"name": "v", "type": kind, **more}


def accept(definition: object, rows: object, mode: Mode = "strict") -> list[dict[str, Any]]:
    return Schema.prepare(definition, mode=mode).validate(rows).rows


TYPES = " Types are text, integer, double, boolean, datetime, base64, json, object, table."
BOTH = '"object" and "table"'


def refusal(definition: object, rows: object, mode: Mode = "strict") -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition, mode=mode).validate(rows)
    return caught.value


ACCEPTED: list[tuple[str, object]] = [
    ("text", "x"), ("text", ""), ("integer", 1), ("integer", -(2**63)), ("integer", 2**64 - 1), ("integer", 10**30),
    ("double", 1), ("double", 1.5), ("boolean", True), ("boolean", False),
    ("datetime", "2036-10-16"), ("datetime", "2036-10-16T09:22:33"), ("datetime", "2036-10-16 09:22"),
    ("datetime", "2036-10-16T09:22:33.123456789+02:00"), ("datetime", "2036-10-16T09:22:33Z"),
    ("datetime", "2036-10-16t09:22:33z"), ("datetime", "20361016T092233"), ("datetime", "2036-W42-4"),
    ("datetime", "2036-W42T10:00"), ("datetime", "10/16/2036 09:22:33"), ("datetime", "2036-02-29"),
    ("base64", ""), ("base64", "aGVsbG8="), ("base64", "+/+/"),
    ("json", {"a": [1, None]}), ("json", []), ("json", 1), ("json", 1.5), ("json", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), ACCEPTED, ids=repr)
def test_strict_mode_accepts(kind: str, value: object) -> None:
    rows = [{"v": value}]
    validated = Schema.prepare([column(kind)]).validate(rows)
    assert validated.rows is rows
    assert validated.warnings == []


REFUSED: list[tuple[str, object, str, str]] = [
    ("text", 1, "a string, got an integer", "str(@)"),
    ("text", ["x"], "a string, got a list", "json.dumps(@)"),
    ("integer", True, "an integer, got a boolean", "int(@)"),
    ("integer", "1", "an integer, got a string", "int(@)"),
    ("integer", "one", "an integer, got a string", ""),
    ("integer", 1.5, "an integer, got a float", "round(@)"),
    ("integer", 1.0, "an integer, got a float", "int(@)"),
    (
        "integer", 2.0**64, "an integer, got a float",
        "so large a float has already lost digits, keep it an integer all the way",
    ),
    ("double", True, "a number, got a boolean", "float(@)"),
    ("double", "1.5", "a number, got a string", "float(@)"),
    ("double", "1e999", "a number, got a string", ""),
    ("double", "nan", "a number, got a string", ""),
    ("boolean", 1, "true or false, got an integer", "@ != 0"),
    ("boolean", "true", "true or false, got a string", '@.strip().lower() == "true"'),
    ("boolean", "maybe", "true or false, got a string", ""),
    (
        "datetime", 1, "a date and time as a string, got an integer",
        "datetime.datetime.fromtimestamp(@, datetime.timezone.utc)",
    ),
    ("base64", 1, "Base64 as a string, got an integer", ""),
    ("json", "[]", "an object, array, number or boolean, got a string", "json.loads(@)"),
    (
        "json", "text", "an object, array, number or boolean, got a string",
        "a text column takes strings; lenient mode passes them here too",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "message", "fix"), REFUSED)
def test_strict_mode_refuses_another_type(kind: str, value: object, message: str, fix: str) -> None:
    error = refusal([column(kind)], [{"v": value}])
    assert (error.pointer, error.rule, error.value) == ("/0/v", "type", repr(value))
    assert error.reason == f"/0/v: column 'v' wants {message}"
    if "@" in fix:
        row = 'row["v"]'
        assert error.fix.startswith(f"write `for row in rows: {row} = {fix.replace('@', row)}`, with pandas `df")
    else:
        assert error.fix == fix
    assert error.message == (f"{error.reason}; {error.fix}" if fix else error.reason)


@pytest.mark.parametrize(
    "text",
    [
        "", "today", "2036-13-01", "2037-02-29", "2036-1-1", "2036-10-16x09:22:33", "2036-10-16T24:00:00", "2036-10",
        "16/10/2036 09:22:33", "10/16/2036", "10/16/2036 09:22", "02/30/2036 09:22:33", "10/16/2036 25:00:00",
        " 2036-10-16", "2036-10-16\n", "٢٠٣٦-10-16", "1\u0130/16/2036 09:22:33",
    ],
)  # fmt: skip
def test_a_datetime_column_refuses(text: str) -> None:
    error = refusal([column("datetime")], [{"v": "2036-10-16"}, {"v": text}])
    assert (error.pointer, error.rule, error.value) == ("/1/v", "datetime", repr(text))
    assert error.reason == (
        "/1/v: column 'v' wants a date and time in ISO 8601 (2036-10-16T09:22:33) or as 10/16/2036 09:22:33, got "
        + repr(text)
    )


@pytest.mark.parametrize(
    "text", ["a", "aGVsbG8", "aGVs\nbG8=", "aGVsbG8=\n", "-_-_", "====", "aGVsbG8==", "é", "a===", "TG9yZW0 "]
)
def test_a_base64_column_refuses(text: str) -> None:
    error = refusal([column("base64", allow_null=True)], [{"v": None}, {"v": text}])
    assert (error.pointer, error.rule, error.value) == ("/1/v", "base64", repr(text))


def test_null_needs_allow_null() -> None:
    rows = [{"v": "x"}, {"v": None}]
    assert accept([column("text", allow_null=True)], rows) is rows
    for kind in ("text", "integer", "double", "boolean", "datetime", "base64", "json"):
        error = refusal([column(kind)], [{"v": None}])
        assert (error.pointer, error.rule, error.value) == ("/0/v", "null", "None")
        assert error.reason == "/0/v: column 'v' does not allow null"
        assert error.fix.endswith("`, or let the column allow null")
        assert accept([column(kind, allow_null=True)], [{"v": None}]) == [{"v": None}]


def test_missing_keys_become_null_where_allowed_and_the_argument_stays_as_it_was() -> None:
    columns = [column("text"), {"name": "w", "type": "integer", "allow_null": True}]
    rows = [{"v": "a"}, {"w": 1, "v": "b"}]
    assert accept(columns, rows) == [{"v": "a", "w": None}, {"v": "b", "w": 1}]
    assert rows == [{"v": "a"}, {"w": 1, "v": "b"}]


def test_a_missing_key_is_refused_where_null_is_not_allowed() -> None:
    error = refusal([column("text"), {"name": "a/b~c", "type": "integer"}], [{"v": "a", "a/b~c": 1}, {"v": "b"}])
    assert (error.pointer, error.rule) == ("/1/a~1b~0c", "missing")
    assert error.reason == "/1/a~1b~0c: column 'a/b~c' is missing and does not allow null"
    assert error.fix == (
        'write `for row in rows: row["a/b~c"] = 0`, with pandas `df["a/b~c"] = 0`, or let the column allow null'
    )


def test_a_missing_key_that_the_row_has_under_a_like_name_is_named() -> None:
    error = refusal([{"name": "city", "type": "text"}], [{"City": "Oslo"}])
    assert (error.pointer, error.rule) == ("/0/city", "missing")
    assert error.message == (
        "/0/city: column 'city' is missing and does not allow null; the row has 'City'; "
        'write `for row in rows: row["city"] = row.pop("City")`, with pandas `df = df.rename(columns={"City": "city"})`'
    )


@pytest.mark.timing
def test_advice_is_bounded_whatever_the_names_are() -> None:
    long = "x" * 1_000_000
    error = refusal([{"name": "city", "type": "text"}], [{"city": "Oslo", long: 1}])
    assert (error.rule, error.fix) == ("extra", "")
    assert len(error.message) < 4000
    many = {f"cit{number}": number for number in range(20_000)}
    started = time.perf_counter()
    assert refusal([{"name": "city", "type": "text"}], [many]).rule == "missing"
    assert time.perf_counter() - started < 2


@pytest.mark.timing
@pytest.mark.parametrize("wrong", [{}, {"v": 1}], ids=["missing", "extra"])
def test_rows_that_are_each_wrong_in_another_way_take_time_in_proportion(wrong: dict[str, int]) -> None:
    rows = [{**wrong, f"k{number}": 1} for number in range(100_000)]
    started = time.perf_counter()
    error = refusal([column("integer")], rows)
    assert time.perf_counter() - started < 5
    assert error.pointer == ("/0/k0" if wrong else "/0/v")
    # The first row that is wrong is named, not the first way of being wrong.
    assert refusal([column("integer")], [{"v": 1}, {"x": 1, "v": 1}, {}, {"x": 1, "v": 1}]).pointer == "/1/x"


def test_extra_keys_are_refused_with_the_nearest_name() -> None:
    error = refusal([{"name": "price", "type": "double"}], [{"price": 1.0}, {"prize": 2.0, "price": 1}])
    assert (error.pointer, error.rule, error.value) == ("/1/prize", "extra", "2.0")
    assert error.reason == "/1/prize: 'prize' is not in the output schema, did you mean 'price'?"
    assert error.fix == 'write `for row in rows: del row["prize"]`, with pandas `df = df.drop(columns=["prize"])`'


def test_the_first_failing_row_is_reported_whatever_its_column() -> None:
    columns = [{"name": "a", "type": "text"}, {"name": "b", "type": "integer"}]
    rows = [{"a": "x", "b": 1}, {"a": "x", "b": "bad"}, {"a": 3, "b": 2}, {"a": "x", "b": 1, "c": 1}]
    assert refusal(columns, rows).pointer == "/1/b"


ORDER = [
    {"name": "id", "type": "integer"},
    {
        "name": "customer",
        "type": "object",
        "allow_null": True,
        "columns": [{"name": "name", "type": "text"}, {"name": "mail", "type": "text", "allow_null": True}],
    },
    {
        "name": "items",
        "type": "table",
        "columns": [
            {"name": "sku", "type": "text"},
            {"name": "tags", "type": "table", "allow_null": True, "columns": [{"name": "t", "type": "text"}]},
        ],
    },
]


@pytest.mark.parametrize("kind", ["base64", "datetime"])
def test_the_first_failing_row_is_reported_whatever_is_wrong_with_it(kind: str) -> None:
    definition = [column(kind)]
    rows: list[dict[str, Any]] = [{"v": ""}, {"v": "?"}, {"v": 1}]
    error = refusal(definition, rows[kind == "datetime" :])
    assert (error.pointer, error.rule) == (f"/{1 - (kind == 'datetime')}/v", kind)
    assert refusal(definition, [{"v": 1}, {"v": "?"}]).pointer == "/0/v"


@pytest.mark.parametrize(("kind", "wrong"), [("object", {"v": 1}), ("table", [{"v": "x"}, {"v": 1}])])
def test_the_first_failing_row_is_reported_also_if_it_is_a_nested_one(kind: str, wrong: object) -> None:
    definition = [{**column(kind), "columns": [column("text")]}]
    assert refusal(definition, [{"v": wrong}, {"v": 7}]).pointer in ("/0/v/v", "/0/v/1/v")


def test_nested_columns_are_checked_and_filled_in() -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "customer": None, "items": []},
        {"id": 2, "customer": {"name": "Eva"}, "items": [{"sku": "a"}, {"sku": "b", "tags": [{"t": "x"}]}]},
    ]
    assert accept(ORDER, rows) == [
        {"id": 1, "customer": None, "items": []},
        {
            "id": 2,
            "customer": {"name": "Eva", "mail": None},
            "items": [{"sku": "a", "tags": None}, {"sku": "b", "tags": [{"t": "x"}]}],
        },
    ]
    assert rows[1]["customer"] == {"name": "Eva"}
    assert rows[1]["items"][0] == {"sku": "a"}


@pytest.mark.parametrize(
    ("change", "pointer", "rule"),
    [
        ({"customer": []}, "/1/customer", "type"),
        ({"customer": {"name": 1}}, "/1/customer/name", "type"),
        ({"customer": {"mail": "x"}}, "/1/customer/name", "missing"),
        ({"customer": {"name": "x", "age": 1}}, "/1/customer/age", "extra"),
        ({"items": {}}, "/1/items", "type"),
        ({"items": None}, "/1/items", "null"),
        ({"items": [{"sku": "a"}, 1]}, "/1/items/1", "object"),
        ({"items": [{"sku": "a"}, {"sku": "b", "tags": [{"t": "x"}, {"t": 2}]}]}, "/1/items/1/tags/1/t", "type"),
    ],
)
def test_nested_failures_have_their_full_pointer(change: dict[str, object], pointer: str, rule: str) -> None:
    good = {"id": 1, "customer": {"name": "Eva", "mail": None}, "items": [{"sku": "a", "tags": None}]}
    error = refusal(ORDER, [good, {**good, **change}, good])
    assert (error.pointer, error.rule) == (pointer, rule)


def test_lenient_mode_drops_extra_keys_with_one_warning_each() -> None:
    rows = [
        {"id": 1, "customer": {"name": "Eva", "age": 3}, "items": [{"sku": "a", "x": 1}, {"sku": "b", "x": 1}]},
        {"id": 2, "items": [], "more": 1},
    ]
    validated = Schema.prepare(ORDER, mode="lenient").validate(rows)
    assert validated.rows == [
        {
            "id": 1,
            "customer": {"name": "Eva", "mail": None},
            "items": [{"sku": "a", "tags": None}, {"sku": "b", "tags": None}],
        },
        {"id": 2, "customer": None, "items": []},
    ]
    assert validated.warnings == [
        "'more' is not in the output schema: dropped from 1 row",
        "'customer.age' is not in the output schema: dropped from 1 row",
        "'items.x' is not in the output schema: dropped from 2 rows",
    ]


def test_lenient_mode_passes_what_the_vendors_example_returns() -> None:
    names = ("text", "integer", "double", "boolean", "datetime", "base64", "json")
    columns = [{"name": name, "type": name, "allow_null": True} for name in names]
    row = {
        "text": "t", "integer": 1, "double": 1.5, "boolean": True, "datetime": "10/16/2036 09:22:33",
        "base64": "not Base64!", "json": "[]", "extra": 1,
    }  # fmt: skip
    validated = Schema.prepare(columns, mode="lenient").validate([row])
    assert validated.rows == [{name: row[name] for name in names}]
    assert validated.warnings == ["'extra' is not in the output schema: dropped from 1 row"]
    assert refusal(columns, [row]).rule == "extra"
    del row["extra"]
    assert refusal(columns, [row]).rule == "base64"
    row["base64"] = "aGVsbG8="
    assert (refusal(columns, [row]).pointer, refusal(columns, [row]).rule) == ("/0/json", "type")


def test_lenient_mode_turns_whole_floats_into_integers_only_where_they_are_exact() -> None:
    assert accept([column("integer")], [{"v": 3.0}, {"v": 4}], "lenient") == [{"v": 3}, {"v": 4}]
    assert type(accept([column("integer")], [{"v": 3.0}], "lenient")[0]["v"]) is int
    assert refusal([column("integer")], [{"v": 3.5}], "lenient").rule == "type"
    assert refusal([column("integer")], [{"v": 2.0**64}], "lenient").rule == "type"
    assert refusal([column("integer")], [{"v": True}], "lenient").rule == "type"


def test_lenient_mode_still_refuses_other_types_and_missing_keys() -> None:
    assert refusal([column("text")], [{"v": 1}], "lenient").rule == "type"
    assert refusal([column("text")], [{}], "lenient").rule == "missing"
    assert refusal([column("datetime")], [{"v": "soon"}], "lenient").rule == "datetime"
    assert refusal([column("json")], [{"v": None}], "lenient").rule == "null"


@pytest.mark.timing
def test_keys_of_a_hostile_guest_cost_little_and_stay_out_of_the_messages() -> None:
    long_key = "k" * 5_000_000
    started = time.perf_counter()
    error = refusal([column("text")], [{"v": "x", long_key: 1}])
    assert (len(error.pointer), len(error.message) < 2000) == (1000, True)
    many = {f"key {number}": number for number in range(100_000)}
    columns = [{"name": f"c{number}", "type": "text", "allow_null": True} for number in range(200)]
    warnings = Schema.prepare(columns, mode="lenient").validate([many, many]).warnings
    assert len(warnings) == 21
    assert warnings[0] == "'key 0' is not in the output schema: dropped from 2 rows"
    assert warnings[20] == "other keys are not in the output schema either: dropped 199,960 values"
    assert refusal(columns, [many]).pointer == "/0/key 0"
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "the output must be a list of objects, got null"),
        ({"v": 1}, "the output must be a list of objects, got an object"),
        ("x", "the output must be a list of objects, got a string"),
        (3, "the output must be a list of objects, got an integer"),
    ],
)
def test_anything_but_a_list_is_refused_with_and_without_a_schema(rows: object, message: str) -> None:
    for definition in (None, [column("text")], {"type": "object"}, {"type": "array"}):
        error = refusal(definition, rows)
        assert (error.pointer, error.rule, error.message) == ("", "list", message)


def test_a_row_that_is_no_object_is_refused_with_and_without_a_schema() -> None:
    for definition in (None, [column("text", allow_null=True)], {}, {"type": "array"}):
        error = refusal(definition, [{}, [1]])
        assert (error.pointer, error.rule, error.value) == ("/1", "object", "[1]")
        assert error.message == "/1: every row must be an object, got a list"


def test_no_rows_are_always_fine() -> None:
    for definition in (None, [column("text")], {"required": ["v"]}, {"type": "array"}):
        assert accept(definition, []) == []


def test_the_value_in_an_error_is_short_and_the_error_can_be_pickled() -> None:
    error = refusal([column("integer")], [{"v": "x" * 100_000}])
    assert len(error.value) <= 200
    assert len(error.message) <= 400
    again = pickle.loads(pickle.dumps(error))
    assert (again.pointer, again.rule, again.value, again.message) == (
        error.pointer, error.rule, error.value, error.message,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ([], "at its top: a column list needs at least one column"),
        ([1], "at /0: a column must be an object, got an integer"),
        ([{"type": "text"}], 'at /0: a column needs "name", a text'),
        ([{"name": "", "type": "text"}], 'at /0: a column needs "name", a text'),
        ([{"name": "v"}], 'at /0: a column needs "type", a text'),
        ([column("text"), column("text")], "at /1/name: the column 'v' is there twice"),
        ([column("text", allow_null=1)], "at /0/allow_null: must be true or false, got an integer"),
        ([column("text", nullable=True)], "at /0/nullable: unknown key 'nullable'"),
        ([column("text", allow_nul=True)], "at /0/allow_nul: unknown key 'allow_nul', did you mean 'allow_null'?"),
        ([column("text", columns=[])], f"at /0/columns: only {BOTH} columns have \"columns\", not 'text'"),
        ([column("object")], 'at /0: a column of type \'object\' needs "columns"; for any content use the type "json"'),
        ([column("table", columns=[{"name": "x"}])], 'at /0/columns/0: a column needs "type", a text'),
        ([column("object", columns={})], "at /0/columns: expected a list of columns, got an object"),
        (
            [column("int")],
            "at /0/type: unknown column type 'int', did you mean 'integer'?" + TYPES,
        ),
        (
            [column("integr")],
            "at /0/type: unknown column type 'integr', did you mean 'integer'?" + TYPES,
        ),
    ],
)  # fmt: skip
def test_a_wrong_column_list_is_refused_with_its_place(definition: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Schema.prepare(definition)
    assert caught.value.message == f"output schema, {message}"


def test_other_things_are_no_schemas() -> None:
    for definition, end in (
        ("[]", "got a string; parse it first: json.loads(text)"),
        (True, "got a boolean"),
        (dict, "got a value of type type; a class is no schema, pass its JSON Schema"),
    ):
        with pytest.raises(ConfigError) as caught:
            Schema.prepare(definition)
        assert caught.value.message == f"output schema: expected a JSON Schema (an object) or a list of columns, {end}"
    with pytest.raises(ConfigError, match="it is not JSON: Type is not JSON serializable: set"):
        Schema.prepare([{"name": "x", "type": {1}}])
    with pytest.raises(ConfigError, match='mode must be "strict" or "lenient", not \'loose\''):
        Schema.prepare([column("text")], mode="loose")  # type: ignore[arg-type]


def test_the_same_content_is_prepared_once_and_cannot_be_changed_from_outside() -> None:
    definition = [column("text")]
    schema = Schema.prepare(definition)
    definition[0]["type"] = "integer"
    assert schema.validate([{"v": "x"}]).rows == [{"v": "x"}]
    assert Schema.prepare([column("text")]) is schema
    assert Schema.prepare([column("text")], mode="lenient") is not schema
    assert Schema.prepare(schema) is schema
    assert (schema.kind, schema.mode, schema.column_names) == ("columns", "strict", ("v",))
    assert repr(schema) == "<Schema columns strict v>"
