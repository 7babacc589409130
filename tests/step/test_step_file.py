"""Reading step files: everything that is wrong is found at once, at its place."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import yaml

from wasmexec import ConfigError, HttpGrant, Limits
from wasmexec.step import Step, StepFileError
from wasmexec.step.file.definition import LocalVariable

GOOD = """\
name: orders
description: what it does
statement: |
  return [{"id": 1}]
inputs:
  - name: orders
    schema:
      - {name: id, type: integer}
    mode: lenient
  - {name: rates}
output_schema:
  - {name: id, type: integer}
  - name: lines
    type: table
    columns: [{name: sku, type: text, allow_null: true}]
mode: strict
processing: row_by_row
checkpoint_column: id
local_variables:
  Region: text
  Last: {type: integer, initial: 3, update_from: id}
  Share: {type: double, initial: 1}
limits: {wall_seconds: 20, output_bytes: 64MiB, log_records: 5}
grants:
  http:
    - api.example.com
    - {host: 10.0.0.7, ports: [8080], methods: [GET], allow_private: true}
secrets:
  Key: {env: MY_KEY}
  Cert: {file: secret.txt}
on_row_error: skip
concurrency: 4
image: full
"""


def load(tmp_path: Path, text: str, name: str = "a.step.yaml") -> Step:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return Step.load(path)


def mistakes(tmp_path: Path, text: str, name: str = "a.step.yaml") -> list[str]:
    with pytest.raises(StepFileError) as caught:
        load(tmp_path, text, name)
    return [str(item).removeprefix(f"{tmp_path}/{name}:") for item in caught.value.mistakes]


def test_every_key_is_read(tmp_path: Path) -> None:
    step = load(tmp_path, GOOD).definition
    assert (step.name, step.description, step.statement.text) == ("orders", "what it does", 'return [{"id": 1}]\n')
    assert step.inputs is not None
    assert [(item.name, item.schema.mode if item.schema else None) for item in step.inputs] == [
        ("orders", "lenient"), ("rates", None),
    ]  # fmt: skip
    assert step.output.prepared.column_names == ("id", "lines")
    assert (step.processing, step.checkpoint_column, step.on_row_error, step.concurrency) == (
        "row_by_row", "id", "skip", 4,
    )  # fmt: skip
    assert step.local_variables == {
        "Region": LocalVariable("Region", "text"),
        "Last": LocalVariable("Last", "integer", 3, "id"),
        "Share": LocalVariable("Share", "double", 1),
    }
    assert step.limits == Limits(wall_seconds=20, output_bytes=64 * 1024 * 1024, log_records=5)
    assert step.grants.http_grants == (
        HttpGrant("api.example.com"),
        HttpGrant("10.0.0.7", ports=[8080], methods=["GET"], allow_private=True),
    )
    assert step.secrets["Key"].variable == "MY_KEY"
    assert step.secrets["Cert"].path == tmp_path / "secret.txt"
    assert step.image == "full"


def test_defaults(tmp_path: Path) -> None:
    step = load(
        tmp_path, "statement: return []\noutput_schema: [{name: a, type: text}]\n", "daily.step.yaml"
    ).definition
    assert (step.name, step.processing, step.on_row_error, step.inputs) == ("daily", "row_by_row", "fail", None)
    assert step.output.mode == "strict"
    assert step.limits == Limits()


def test_json_is_read_like_yaml(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD).definition
    second = load(tmp_path, json.dumps(yaml.safe_load(GOOD), indent=1), "a.step.json").definition
    for name in ("name", "inputs", "local_variables", "limits", "grants", "secrets", "concurrency"):
        if name != "inputs":
            assert getattr(first, name) == getattr(second, name)
    assert second.statement.text == first.statement.text
    assert second.output.definition == first.output.definition


def test_statement_and_schema_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("return []\n")
    (tmp_path / "rows.json").write_text('[{"name": "a", "type": "text"}]')
    step = load(tmp_path, "statement_file: s.py\noutput_schema: rows.json\n").definition
    assert (step.statement.text, step.statement.locate(3, 2)) == ("return []\n", (3, 2))
    assert step.output.prepared.column_names == ("a",)
    assert "return []" in step.text
    assert '"name": "a"' in step.text


def test_everything_wrong_is_reported_at_once_with_its_place(tmp_path: Path) -> None:
    text = """\
nam: x
statement: |
  return []
inputs:
  - name: a
    schema: [{name: x, type: string}, {type: text}]
  - name: a
output_schema:
  - {name: id, type: integr}
  - {name: id, type: text}
  - {name: t, type: table, columns: [{name: a, type: text}, {name: a, type: object}]}
mode: loose
processing: row by row
local_variables:
  1st: text
  Since: {type: integer, initial: tomorrow}
  Other: {typ: text}
limits: {wall_seconds: 0, output_bytes: 12 parsecs, memory: 5}
grants: {http: ["ftp://x/y", {host: a.b, ports: []}]}
secrets: {Key: {env: A, file: B}, Since: {env: S}}
on_row_error: ignore
concurrency: 0
"""
    found = mistakes(tmp_path, text)
    assert [item.split(": ", 1)[0] for item in found] == [
        "1:1", "6:30", "6:39", "7:11", "9:22", "10:12", "11:61", "11:68", "12:7", "13:13", "15:3", "16:35", "17:10",
        "17:11", "18:24", "18:41", "18:53", "19:17", "19:49", "20:25", "20:35", "21:15", "22:14",
    ]  # fmt: skip
    assert found[0] == "1:1: unknown key 'nam', did you mean 'name'?"
    assert found[1].startswith("6:30: schema: unknown column type 'string', did you mean 'text'?")
    assert (
        "13:13: processing: expected row_by_row or bulk, got a text, \"row by row\", did you mean 'row_by_row'?"
        in found
    )
    assert "16:35: initial: expected a whole number or null, got a string" in found
    assert "18:24: wall_seconds: expected a number from 0.001 to 604,800, got a whole number, 0" in found
    assert "20:25: a secret has either env or file, not both" in found
    assert "20:35: secret Since: a local variable has the same name" in found
    assert found[-1] == "22:14: concurrency: expected a whole number from 1 to 1,000, got a whole number, 0"


BASE = "statement: return []\noutput_schema: [{name: a, type: integer}, {name: b, type: text}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: expected a step as a mapping with the keys"]),
        ("- a\n", ["1:1: expected a step as a mapping"]),
        ("a: [\n", ["2:1: not YAML: "]),
        ("statement: x\nstatement: y\n", ["2:1: the key 'statement' is there twice, first in line 1"]),
        ("name: !!python/object:os.system x\n", ["1:7: the tag"]),
        ("name: x\n", ["1:1: a step needs 'output_schema'", "1:1: a step needs 'statement'"]),
        (
            BASE + "statement_file: a.py\n",
            ["3:1: a step has either statement or statement_file, not both"],
        ),
        (BASE + "statement: 1\n", ["3:1: the key 'statement' is there twice"]),
        (
            "statement: 3\noutput_schema: 4\n",
            ["1:12: statement: expected Python text", "2:16: output_schema: expected"],
        ),
        (BASE + "checkpoint_column: c\n", ["3:20: checkpoint_column: the output schema has no column 'c'"]),
        (BASE + "checkpoint_column: 7\n", ["3:20: checkpoint_column: expected the name of a column"]),
        (
            BASE + "local_variables: {X: {type: integer, update_from: b}}\n",
            ["3:51: update_from: the column 'b' has the type text, the local variable X integer"],
        ),
        (
            BASE + "local_variables: {X: {type: text, update_from: z}}\n",
            ["3:48: update_from: the output schema has no"],
        ),
        (BASE + "processing: bulk\non_row_error: skip\n", ["4:1: on_row_error: only row_by_row processing has rows"]),
        (
            "statement: x\nmode: lenient\noutput_schema: {type: object, properties: {a: {}}}\n",
            ["3:16: output_schema: lenient mode is for column lists"],
        ),
        (
            "statement: x\noutput_schema: {type: object, properties: {a: {type: nope}}}\n",
            ["2:54: output_schema: 'nope'"],
        ),
        (
            "statement: x\noutput_schema: {type: object}\ncheckpoint_column: a\n",
            ["3:20: checkpoint_column: the output schema names no columns"],
        ),
        (
            BASE + "secrets: {X: value}\n",
            ["3:14: expected a secret as a mapping with the keys env, file, hosts, also_in"],
        ),
        (BASE + "inputs: {a: b}\n", ["3:9: inputs: expected a list of inputs"]),
        (BASE + "limits: 5\n", ["3:9: expected limits as a mapping"]),
        (BASE + "output_schema: missing.json\n", ["3:1: the key 'output_schema'"]),
        ("statement: x\noutput_schema: missing.json\n", ["2:16: ", "No such file or directory"]),
        ('name: "a\\tb"\n' + BASE, ["1:7: name: expected a text of at most 200 characters in one line"]),
    ],
)
def test_a_mistake_has_its_place_and_what_was_expected(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = "\n".join(mistakes(tmp_path, text))
    for part in expected:
        assert part in found


def test_every_mistake_of_a_json_schema_has_its_place(tmp_path: Path) -> None:
    text = """\
statement: x
output_schema:
  type: object
  required: id
  properties:
    a: {type: strin}
    b: {pattern: "("}
    c: {$ref: "#/nowhere"}
inputs:
  - name: orders
    schema: {$schema: "http://json-schema.org/draft-04/schema#", properties: {a: {minimum: x}, b: {$ref: other.json}}}
"""
    found = mistakes(tmp_path, text)
    assert [item.split(": ")[0] for item in found] == ["4:13", "6:15", "7:18", "8:15", "11:92", "11:106"]
    assert found[1].endswith("did you mean 'string'?")


def test_mistakes_in_another_file_name_that_file(tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text("- {name: a, type: txt}\n")
    with pytest.raises(StepFileError) as caught:
        load(tmp_path, "statement: x\noutput_schema: rows.yaml\n")
    [found] = caught.value.mistakes
    assert (Path(found.file).name, found.line, found.column) == ("rows.yaml", 1, 19)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,}', "1:9"),
        ('{"a" 1}', "1:6"),
        ("[1", "1:3"),
        ('{"a": "x\n"}', "1:9"),
        ('{"a": 01}', "1:8"),
        ("{} x", "1:4"),
    ],
)
def test_json_that_is_none_has_its_place(tmp_path: Path, text: str, place: str) -> None:
    assert mistakes(tmp_path, text, "a.json")[0].startswith(f"{place}: ")


def test_yaml_words_are_texts_and_aliases_are_bounded(tmp_path: Path) -> None:
    assert load(tmp_path, "name: yes\n" + BASE).name == "yes"
    assert load(tmp_path, "name: 2036-10-16\n" + BASE).name == "2036-10-16"
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "the file stands for too many values" in mistakes(tmp_path, bomb)[0]


def test_a_mistake_of_the_statement_has_its_line_in_the_step_file(tmp_path: Path) -> None:
    statement = load(tmp_path, "name: x\nstatement: |\n\n    a = 1\n    b: int = 2\n" + BASE.split("\n", 1)[1])
    assert statement.definition.statement.locate(3, 2) == (5, 6)
    quoted = load(tmp_path, 'statement: "a = 1\\nb: int = 2"\n' + BASE.split("\n", 1)[1])
    assert quoted.definition.statement.locate(2, 2) == (1, 12)


def test_the_error_is_picklable_and_typed(tmp_path: Path) -> None:
    with pytest.raises(StepFileError) as caught:
        load(tmp_path, "name: x\n")
    error = pickle.loads(pickle.dumps(caught.value))
    assert issubclass(StepFileError, ConfigError)
    assert error.mistakes == caught.value.mistakes
    assert json.dumps(error.fields())


def test_the_hosts_of_a_secret_are_read_and_a_wrong_one_has_its_place(tmp_path: Path) -> None:
    step = load(tmp_path, BASE + "secrets: {Key: {env: A, hosts: ['API.example.com', 'http://10.0.0.7:8080']}}\n")
    assert step.definition.secrets["Key"].hosts == ("API.example.com", "http://10.0.0.7:8080")
    assert mistakes(tmp_path, BASE + "secrets: {Key: {env: A, hosts: [a.example.com, a/b]}}\n")[0].startswith(
        "3:32: hosts: "
    )


@pytest.mark.parametrize("place", ["inside", "file"])
def test_a_schema_may_have_128_kib_of_json_and_no_more(tmp_path: Path, place: str) -> None:
    fits: dict[str, object] = {"type": "object", "description": ""}
    fits["description"] = "x" * (128 * 1024 - len(json.dumps(fits, separators=(",", ":"))))
    too_long = {**fits, "description": f"{fits['description']}x"}

    def text(definition: object) -> str:
        (tmp_path / "rows.json").write_text(json.dumps(definition))
        schema = "rows.json" if place == "file" else definition
        return json.dumps({"statement": "return []", "output_schema": schema})

    assert load(tmp_path, text(fits)).definition.output is not None
    wrong = mistakes(tmp_path, text(too_long))
    assert len(wrong) == 1
    assert "output_schema: it has 131,073 bytes of JSON, at most 131,072 are taken" in wrong[0]
