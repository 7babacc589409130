"""The published schemas of step files and test cases: what they refuse, reading refuses, at its place and in words."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.step.test_step_file import BASE, GOOD, mistakes

from wasmexec.step import Step, StepFileError
from wasmexec.step.cases import load_cases
from wasmexec.step.file.cases_schema import cases_schema, noted_cases_schema
from wasmexec.step.file.checking import check
from wasmexec.step.file.mistakes import Collector
from wasmexec.step.file.parse import parse
from wasmexec.step.file.schema import noted_step_schema, step_schema
from wasmexec.step.file.vocabulary import published

CASES = """\
cases:
  - name: one
    input: [{a: 1}]
    extra_inputs: [null, [{b: 2}]]
    checkpoint: {x: 1}
    local_variables: {Since: 3}
    secrets: {Key: value}
    http:
      - request: {method: POST, url: "https://a.example.com/x", headers: {A: b, N: 5}, json: {q: 1}}
        response: {status: 201, headers: {B: c}, base64: aGk=}
      - {request: {url: "https://a.example.com/y", body: text}, response: {error: connect}}
    expect:
      status: 202
      rows: [{a: 1}]
      error: {type: ValueError, message: no, pointer: /0, rule: type, row: 0}
      checkpoint: null
      local_variables: {Since: 4}
      log: [{info: a}, {warn: 5}]
      rows_failed: 1
    unordered: true
"""


def is_valid(text: str, schema: dict[str, Any] | None = None) -> bool:
    return bool(jsonschema_rs.Draft202012Validator(schema or step_schema()).is_valid(yaml.safe_load(text)))


def test_the_published_schema_takes_what_the_reader_takes(tmp_path: Path) -> None:
    assert is_valid(GOOD)
    assert is_valid(BASE)
    assert is_valid("statement_file: a.py\noutput_schema: rows.json\n")
    assert is_valid("statement: x\noutput_schema: {type: object, properties: {a: {type: string}}}\n")
    assert is_valid("cases: [{input: [{a: 1}], expect: {rows: []}}]", cases_schema())
    assert not is_valid("cases: [{expct: {}}]", cases_schema())


@pytest.mark.parametrize(
    "line",
    [
        "nam: x", "name: 5", "inputs: {}", "inputs: [{nam: a}]", "mode: loose", "processing: all", "on_row_error: no",
        "concurrency: 0", "concurrency: many", "limits: {wall_seconds: 0}", "limits: {memory: 5}",
        "limits: {output_bytes: 12 parsecs}", "grants: {http: [{host: a.b, ports: []}]}", "grants: {htp: []}",
        "secrets: {X: {env: A, file: B}}", "secrets: {X: {}}", "secrets: {1a: {env: A}}", "local_variables: {X: int}",
        "secrets: {X: {env: A, hosts: []}}", "secrets: {X: {env: A, also_in: [body]}}",
        "secrets: {X: {env: A, hosts: [a.example.com], also_in: [header]}}",
        "local_variables: {X: {initial: 1}}", "local_variables: {__x: text}",
        "statement_file: a.py",
        "image: ''", "image: ./evil.json", "image: evil.json", "image: /tmp/evil", "image: ../full", "image: 'a b'",
        "inputs: [{format: parquet, delimiter: ;}]", "processing: bulk\non_row_error: skip", "output_schem: x",
        "inputs: [{name: a, schema: [{name: x, type: string}]}]", "inputs: [{schema: [{name: x, type: table}]}]",
    ],
)  # fmt: skip
def test_the_published_schema_and_the_reader_refuse_the_same(tmp_path: Path, line: str) -> None:
    assert mistakes(tmp_path, f"{BASE}{line}\n")
    assert not is_valid(f"{BASE}{line}\n")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("5", "1:9: expected a case as a mapping with the keys name, input"),
        ("{}", "1:9: a case needs 'expect': what must come out: status, rows, error,"),
        ("{expect: {}}", "1:18: expect: expected at least one of status, rows, error"),
        (
            "{expect: {status: 7}}",
            "1:27: status: expected one of 200, 201, 202, 300, 302, 303, 304, 306, 307, 400, got",
        ),
        ("{expect: {rows: 5}}", "1:25: rows: expected a list of rows, got a whole number, 5"),
        ("{expect: {log: [a]}}", '1:25: log: expected {level: message}, got a text, "a"'),
        ("{expect: {rowz: []}}", "1:19: unknown key 'rowz', did you mean 'rows'?"),
        ("{expect: {rows: []}, input: 5}", "1:37: input: expected rows, or the name of a file with them, got a whole"),
        ("{expect: {rows: []}, unordered: 1}", "1:41: unordered: expected true or false, got a whole number, 1"),
        ("{expect: {rows: []}, http: [{}]}", "1:37: an exchange needs 'request': a mapping with method, url"),
        (
            "{expect: {rows: []}, http: [{request: {url: x}, response: {}}]}",
            '1:53: url: expected the whole URL, such as https://api.example.com/items?page=1, got a text, "x"',
        ),
        (
            "{expect: {rows: []}, http: [{request: {url: 'http://a'}, response: {body: a, json: 1}}]}",
            "1:86: a response has either body or json, not both",
        ),
        (
            "{expect: {rows: []}, http: [{request: {url: 'http://a'}, response: {status: 99}}]}",
            "1:85: status: expected a whole number from 100 to 599, got a whole number, 99",
        ),
        (
            "{expect: {rows: []}, http: [{request: {url: 'http://a', headers: {A: []}}, response: {}}]}",
            "1:78: header A: expected a text or a whole number, got an empty list",
        ),
    ],
)
def test_the_published_schema_and_the_reader_of_cases_refuse_the_same(tmp_path: Path, case: str, expected: str) -> None:
    (tmp_path / "a.step.yaml").write_text(BASE)
    (tmp_path / "a.tests.yaml").write_text(f"cases: [{case}]\n")
    with pytest.raises(StepFileError) as caught:
        load_cases(tmp_path / "a.step.yaml", Step.load(tmp_path / "a.step.yaml").definition)
    assert str(caught.value).removeprefix(f"{tmp_path}/a.tests.yaml:").startswith(expected)
    assert not is_valid(f"cases: [{case}]", cases_schema())


def test_what_only_the_reader_of_cases_can_say_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.step.yaml").write_text(BASE)
    (tmp_path / "a.tests.yaml").write_text(
        "cases:\n"
        "- {name: x, input: none.csv, secrets: {Kez: v}, expect: {rows: []}}\n"
        "- {name: x, http: [{request: {url: 'http://a'}, response: {base64: '?'}}], expect: {rows: []}}\n"
    )
    with pytest.raises(StepFileError) as caught:
        load_cases(tmp_path / "a.step.yaml", Step.load(tmp_path / "a.step.yaml").definition)
    assert [str(item).removeprefix(f"{tmp_path}/a.tests.yaml:") for item in caught.value.mistakes] == [
        "2:20: input: none.csv is no file",
        "2:40: secret Kez: the step has no such secret",
        "3:3: the case 'x' is there twice",
        '3:68: base64: expected Base64, got a text, "?"',
    ]


def test_the_published_schemas_have_no_notes_of_ours() -> None:
    for noted, public in ((noted_step_schema(), step_schema()), (noted_cases_schema(), cases_schema())):
        assert '"x-' in json.dumps(noted)
        assert '"x-' not in json.dumps(public)
        jsonschema_rs.meta.validate(public)


def without_what_reading_says(schema: Any) -> Any:
    """A schema in which a value that the reader itself looks at has nothing but its type."""
    if isinstance(schema, list):
        return [without_what_reading_says(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-type-only"):
        return {"type": schema.get("type", "array")}
    return {key: without_what_reading_says(value) for key, value in schema.items()}


VALUES = st.sampled_from(
    [None, True, False, 0, 1, 7, -1, 99, 300, 0.5, 10**12, "", " ", "a", "text", "bulk", "skip", "csv", "json", "64MiB",
     "lenient", "https://a.example.com", "__x", [], {}, ["a"], [1], {"a": 1}, {"env": "A", "file": "B"}]
)  # fmt: skip
KEYS = st.sampled_from(
    ["name", "statement_file", "processing", "format", "delimiter", "env", "file", "hosts", "also_in", "body", "json",
     "base64", "initial", "expect", "status", "http", "ports", "__x", "1a", "b", "limits", "output_bytes"]
)  # fmt: skip


def mutate(data: st.DataObject, value: Any) -> Any:
    """The value with one change somewhere."""
    goes_in, changes_keys, takes_away = (
        data.draw(st.integers(0, 4)) > 0,
        data.draw(st.booleans()),
        data.draw(st.booleans()),
    )
    if isinstance(value, (dict, list)) and value and goes_in:
        key: Any = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        value[key] = mutate(data, value[key])
        return value
    if isinstance(value, dict) and changes_keys:
        if value and takes_away:
            del value[data.draw(st.sampled_from(sorted(value)))]
        else:
            value[data.draw(KEYS)] = data.draw(VALUES)
        return value
    return data.draw(VALUES)


@pytest.mark.parametrize("kind", ["step", "cases"])
@given(data=st.data())
def test_the_check_of_a_file_and_a_validator_agree_on_any_file(kind: str, data: st.DataObject) -> None:
    noted = noted_step_schema() if kind == "step" else noted_cases_schema()
    value = yaml.safe_load(GOOD if kind == "step" else CASES)
    for _ in range(data.draw(st.integers(0, 3))):
        value = mutate(data, copy.deepcopy(value))
    found = Collector("a.json")
    check(parse(json.dumps(value), "a.json"), noted, found)
    validator = jsonschema_rs.Draft202012Validator(published(without_what_reading_says(noted)))
    assert (found.found == []) == validator.is_valid(value), [str(item) for item in found.found]
