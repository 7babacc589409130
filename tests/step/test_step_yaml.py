"""What YAML may say in a step file, a file of cases or a schema file: plain values; a refusal has its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasmexec.step import Step, StepFileError
from wasmexec.step.cases import load_cases

BASE = "statement: return []\noutput_schema: [{name: a, type: json}]\n"
ONLY = "is not allowed: only texts, numbers, true, false, null, lists and mappings are read"


def refusal(folder: Path, text: str, name: str = "a.step.yaml") -> str:
    """The one mistake of a step file."""
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(StepFileError) as caught:
        Step.load(folder / name)
    [found] = caught.value.mistakes
    return str(found).removeprefix(f"{folder}/{name}:")


def case_input(folder: Path, value: str) -> object:
    """What a file of cases makes of one value of a row."""
    path = folder / "a.step.yaml"
    path.write_text(BASE, encoding="utf-8")
    cases = folder / "a.tests.yaml"
    cases.write_text(f"cases:\n- input:\n  - v: {value}\n  expect: {{rows: []}}\n", encoding="utf-8")
    [case] = load_cases(path, Step.load(path).definition)
    assert isinstance(case.input_data, bytes)
    return json.loads(case.input_data)[0]["v"]


def case_refusal(folder: Path, value: str) -> str:
    with pytest.raises(StepFileError) as caught:
        case_input(folder, value)
    [found] = caught.value.mistakes
    return str(found).removeprefix(f"{folder}/a.tests.yaml:")


TAGGED = [
    ("!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
    ("!!python/tuple [1, 2]", "!!python/tuple"),
    ("!!python/name:os.system x", "!!python/name:os.system"),
    ("!!python/object/new:x {a: 1}", "!!python/object/new:x"),
    ("!!set {x, y}", "!!set"),
    ("!!omap [x: 1]", "!!omap"),
    ("!!pairs [x: 1]", "!!pairs"),
    ("!!binary aGk=", "!!binary"),
    ("!!binary 'aGk='", "!!binary"),
    ("!!timestamp 2036-10-16", "!!timestamp"),
    ("!custom {b: 1}", "!custom"),
    ("!custom [b]", "!custom"),
    ("!custom b", "!custom"),
    ("!Ref {Env: X}", "!Ref"),
    ("!env X", "!env"),
    ("!a:str x", "!a:str"),
    ("!a:map {x: 1}", "!a:map"),
    ("!<tag:yaml.org,2002:set> {x}", "!!set"),
    ("!<tag:example.com,2000:seq> [x]", "tag:example.com,2000:seq"),
    ("&anchor !!set {x}", "!!set"),
    ("!!set &anchor {x}", "!!set"),
    (f"!{'z' * 200} [x]", f"!{'z' * 56}..."),
]


@pytest.mark.parametrize(("value", "tag"), TAGGED)
def test_a_tag_is_refused_wherever_it_stands(tmp_path: Path, value: str, tag: str) -> None:
    assert case_refusal(tmp_path, value) == f"3:8: the tag {tag!r} {ONLY}"
    assert case_refusal(tmp_path, f"[1, {value}]") == f"3:12: the tag {tag!r} {ONLY}"
    assert refusal(tmp_path, f"{BASE}name: {value}\n") == f"3:7: the tag {tag!r} {ONLY}"
    assert refusal(tmp_path, f"{BASE}local_variables: {value}\n") == f"3:18: the tag {tag!r} {ONLY}"


def test_the_same_values_without_tags_are_read(tmp_path: Path) -> None:
    for value, expected in (("['true']", ["true"]), ("{x, y}", {"x": None, "y": None}), ("aGk=", "aGk=")):
        assert case_input(tmp_path, value) == expected


@pytest.mark.parametrize("key", ["!!python/name:os.system a", "!custom a", "!!binary aGk=", "!!merge a"])
def test_a_tag_is_refused_on_a_key(tmp_path: Path, key: str) -> None:
    assert "3:9: " in case_refusal(tmp_path, f"{{{key}: 1}}")


def test_a_tag_on_the_whole_file_or_a_schema_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"!!python/dict\n{BASE}") == f"1:1: the tag '!!python/dict' {ONLY}"
    (tmp_path / "rows.yaml").write_text("- !!omap {name: a, type: text}\n")
    (tmp_path / "b.step.yaml").write_text("statement: return []\noutput_schema: rows.yaml\n")
    with pytest.raises(StepFileError) as caught:
        Step.load(tmp_path / "b.step.yaml")
    assert str(caught.value).endswith(f"rows.yaml:1:3: the tag '!!omap' {ONLY}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!!str 5", "5"), ("!!int '5'", 5), ("!!float 5", 5.0), ("!!null ''", None), ("!!bool true", True),
        ("!!map {b: 1}", {"b": 1}), ("!!seq [1]", [1]), ("!<tag:yaml.org,2002:str> 5", "5"),
    ],
)  # fmt: skip
def test_the_tags_of_plain_values_are_read(tmp_path: Path, value: str, expected: object) -> None:
    assert case_input(tmp_path, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!!map [1]", "the tag '!!map' does not fit a list"),
        ("!!str [1]", "the tag '!!str' does not fit a list"),
        ("!!seq {b: 1}", "the tag '!!seq' does not fit a mapping"),
        ("!!map b", "the tag '!!map' does not fit a single value"),
        ("!!bool maybe", "'maybe' does not fit the tag '!!bool'"),
        ("!!null x", "'x' does not fit the tag '!!null'"),
        ("!!int 1_000", "'1_000' does not fit the tag '!!int'"),
        ("!!float nan", "'nan' does not fit the tag '!!float'"),
        ("!!int", "'' does not fit the tag '!!int'"),
    ],
)
def test_a_tag_that_its_value_does_not_fit_is_refused(tmp_path: Path, value: str, expected: str) -> None:
    assert case_refusal(tmp_path, value) == f"3:8: {expected}"


def test_tags_renamed_by_a_directive_are_other_tags(tmp_path: Path) -> None:
    text = f"%TAG !! tag:example.com,2000:\n---\n{BASE}name: !!str x\n"
    assert refusal(tmp_path, text) == f"5:7: the tag 'tag:example.com,2000:str' {ONLY}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[on, off, yes, No, y, n]", ["on", "off", "yes", "No", "y", "n"]),
        ("[012, 0o17, 0x1f, 0b11, 1_000]", [12, 15, 31, "0b11", "1_000"]),
        ("[1:20, 2036-10-16, 2036-10-16 10:00:00]", ["1:20", "2036-10-16", "2036-10-16 10:00:00"]),
        ("[.5, 1., +1, -0, 1e3, 1.5E-3]", [0.5, 1.0, 1, 0, 1000.0, 0.0015]),
        ("[~, null, Null, 'null', '']", [None, None, None, "null", ""]),
        ("[true, False, TRUE, tRUE]", [True, False, True, "tRUE"]),
        ("[=, '<<', a b]", ["=", "<<", "a b"]),
        ("{1: a, true: b, 1.5: c, '': d, '<<': e}", {"1": "a", "true": "b", "1.5": "c", "": "d", "<<": "e"}),
        ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, value: str, expected: object) -> None:
    found = case_input(tmp_path, value)
    assert (found, json.dumps(found)) == (expected, json.dumps(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (".inf", "3:8: .inf is not a number that JSON has: a double ends at 1.8e308"),
        ("[1, -.Inf]", "3:12: -.Inf is not a number that JSON has"),
        (".NaN", "3:8: .NaN is not a number that JSON has"),
        ("1e999", "3:8: 1e999 is not a number that JSON has"),
        ("9" * 3_001, "3:8: a number of 3,001 characters, at most 3,000 are read"),
        ("0x" + "f" * 3_000, "3:8: a number of 3,002 characters"),
        ("{a: 1, a: 2}", "3:15: the key 'a' is there twice, first in line 3"),
        ("{1: a, '1': b}", "3:15: the key '1' is there twice"),
        ("{[a]: 1}", "3:9: a key must be a text"),
        ("{{a: 1}: 1}", "3:9: a key must be a text"),
        ("{? : 1}", "a key must be a text"),
        ("[&x {a: 1}, {<<: *x, b: 2}]", "3:21: merge keys (<<) are not read"),
        ("{!!merge <<: {a: 1}}", "merge keys (<<) are not read"),
        ("&x [1, *x]", "3:8: an alias stands inside of what it stands for"),
        ("&x {a: {b: *x}}", "3:8: an alias stands inside of what it stands for"),
        ("*unknown", "3:8: not YAML: found undefined alias 'unknown'"),
        ("[" * 150 + "]" * 150 + "\n  - v: " + "[" * 250 + "]" * 250, "nested too deeply"),
        ("'a\x07b'", "not YAML: character U+0007 is not allowed"),
        ("a\x00b", "not YAML: character U+0000 is not allowed"),
        ("%a", "3:8: not YAML: while scanning for the next token, found character '%'"),
    ],
)
def test_what_is_no_plain_value_has_its_place_and_reason(tmp_path: Path, value: str, expected: str) -> None:
    assert expected in case_refusal(tmp_path, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{BASE}---\n{BASE}", "3:1: another document begins here: a file holds one"),
        (f"---\n{BASE}...\n---\n", "5:1: another document begins here: a file holds one"),
        (f"%YAML 1.1\n---\n{BASE}", "1:1: %YAML: only YAML 1.2 is read, where yes, on and no are texts"),
        (f"# x\n%YAML 1.1\n---\n{BASE}", "2:1: %YAML: only YAML 1.2 is read"),
        (f"%YAML 3.0\n---\n{BASE}", "1:1: not YAML: found incompatible YAML document"),
    ],
)
def test_one_document_of_yaml_1_2(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)
    (tmp_path / "good.step.yaml").write_text(f"%YAML 1.2\n---\n{BASE}...\n")
    assert Step.load(tmp_path / "good.step.yaml").name == "good"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'{BASE}name: "\\UFFFFFFFF"\n', "3:"),
        (f'{BASE}name: "a \\U00110000 b"\n', "3:"),
        (f'{BASE}"\\U99999999": 1\n', "3:"),
        (f"%YAML {'9' * 5000}.1\n---\n{BASE}", "1:"),
    ],
)
def test_a_number_that_the_parser_cannot_hold_is_a_mistake_of_the_file(tmp_path: Path, text: str, place: str) -> None:
    found = refusal(tmp_path, text)
    assert found.startswith(place)
    assert "not YAML: a number here is out of range" in found
    (tmp_path / "good.step.yaml").write_text(f'{BASE}name: "\\U0001F600"\n')
    Step.load(tmp_path / "good.step.yaml")


def test_a_word_of_yaml_1_1_where_true_or_false_stands(tmp_path: Path) -> None:
    for word in ("yes", "Off"):
        assert case_refusal(tmp_path, f"1\n  unordered: {word}") == (
            f'4:14: unordered: expected true or false, got a text, "{word}" (YAML 1.2 has true and false only)'
        )
    assert case_input(tmp_path, "1\n  unordered: true") == 1


@pytest.mark.parametrize("number", ["1e999", "-1e400", "9" * 3_001])
def test_json_files_have_no_other_numbers_either(tmp_path: Path, number: str) -> None:
    text = f'{{"statement": "return []", "output_schema": [], "name": {number}}}'
    found = refusal(tmp_path, text, "a.json")
    assert found.startswith("1:57: ")
    assert "number" in found
