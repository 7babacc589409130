"""Findings of the kinds memory, lost and grant, requests that nobody answers, and a replay that cannot tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzzing.test_fuzz_command import SHARES, Folder

import wasmexec
from wasmexec.fuzzing import Finding, FuzzInput, Target
from wasmexec.step import Step

HEAD = """\
processing: row_by_row
inputs: [{name: rows, schema: [{name: n, type: integer}]}]
output_schema: [{name: n, type: integer}]
"""
MEMORY = f"""{HEAD}limits: {{memory_bytes: 400000000}}
statement: |
  if INPUT_DATA[0]["n"] == 1000:
      return [{{"n": len(bytearray(10**9))}}]
  return INPUT_DATA
"""
LOST = f"""{HEAD}statement: |
  import warnings
  if INPUT_DATA[0]["n"] == 1000:
      warnings.sys.modules["os"]._exit(3)
  return INPUT_DATA
"""
REQUEST = f"""{HEAD}grants: {{http: [api.example.com]}}
statement: |
  import httpx, pandas
  CALL
  return INPUT_DATA
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder in which commands run."""
    return Folder(tmp_path)


def checked(text: str, folder: Path, executor: wasmexec.Executor) -> Finding | None:
    """What is found in a step with one row."""
    path = folder / "one.step.yaml"
    path.write_text(text, "utf-8")
    with Target(Step.load(path), executor=executor) as target:
        return target.check(FuzzInput(inputs=[[{"n": 1000}]]))


@pytest.mark.parametrize(
    ("text", "kind", "what", "line"),
    [
        (MEMORY, "MEMORY", "more than 400,000,000 bytes", '7  return [{"n": len(bytearray(10**9))}]'),
        (LOST, "LOST", "the statement ended the interpreter (exit code 3) at line 3", '7  warnings.sys.modules["os"]'),
    ],
    ids=["memory", "lost"],
)
def test_an_input_that_costs_the_guest_its_memory_or_its_life_is_found(
    text: str, kind: str, what: str, line: str, folder: Folder
) -> None:
    folder.write(text)
    out = folder("fuzz", "shares.step.yaml", "--runs", "400", "--seed", "1", "--save-cases", code=1)
    head, name = out.split("\n\n")[1].splitlines()[0].split()[:2]
    assert head == kind
    assert f"  {what}\n  at shares.step.yaml:{line}" in out
    assert '  INPUT_DATA: [{"n": 1000}]\n' in out
    assert folder("fuzz", "shares.step.yaml", "--replay", code=1).startswith(f"FAILED {name} {kind.lower()}: {what}")
    assert "FAIL shares: fuzz" in folder("step", "test", "shares.step.yaml", code=1)
    folder.write(text.replace("== 1000", "== 1.5"))
    assert folder("fuzz", "shares.step.yaml", "--replay", code=0).startswith(f"FIXED {name}")
    folder("step", "test", "shares.step.yaml", code=0)


def test_a_replay_that_runs_out_of_time_is_an_error(folder: Folder) -> None:
    folder("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", code=1)
    folder.write(SHARES.replace("  totals = {}\n", "  totals = {}\n  while not totals: pass\n"))
    out = folder("fuzz", "shares.step.yaml", "--replay", "--slow", "0.2", code=1)
    assert out.startswith("ERROR ")
    assert "processor time" in out


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ('httpx.get("https://other.example.com/")', "grant"),
        ('httpx.get("https://api.example.com:8443/")', "grant"),
        ('pandas.read_csv("https://other.example.com/")', "grant"),
        # What it says of a refusal, or of no answer, decides nothing.
        ('raise ValueError("HTTP to other.example.com is not granted")', "raised"),
        ('raise ValueError("no canned answer for GET https://api.example.com/")', "raised"),
        ('httpx.get("https://api.example.com/")', None),
        ('pandas.read_csv("https://api.example.com/")', None),
    ],
)
def test_what_became_of_a_request_is_known_and_not_read_from_a_message(
    call: str, kind: str | None, tmp_path: Path, executor: wasmexec.Executor
) -> None:
    finding = checked(REQUEST.replace("CALL", call), tmp_path, executor)
    assert (None if finding is None else finding.verdict.kind) == kind


@pytest.mark.parametrize("host", ["other", "api"])
def test_an_exception_after_a_request_that_came_to_nothing_is_one_of_the_statement(
    host: str, tmp_path: Path, executor: wasmexec.Executor
) -> None:
    caught = f'try: httpx.get("https://{host}.example.com/")\n  except httpx.HTTPError: None + 1'
    finding = checked(REQUEST.replace("CALL", caught), tmp_path, executor)
    assert finding is not None
    assert (finding.verdict.kind, finding.verdict.exception) == ("raised", "TypeError")


@pytest.mark.parametrize("name", ["format", "information"])
def test_a_column_that_is_called_like_a_keyword_does_not_hide_what_a_schema_says(name: str) -> None:
    """Of a schema without formats the canonical form is used, which leaves out branches that contradict the rest."""
    from wasmexec.fuzzing.draw import RandomDraw
    from wasmexec.fuzzing.from_json_schema import JsonSchemaMaker
    from wasmexec.fuzzing.words import Words

    inner = {"type": "string", "anyOf": [{"type": "integer"}, {"enum": ["a"]}]}
    maker = JsonSchemaMaker({"type": "object", "required": [name], "properties": {name: inner}}, Words())
    assert {maker.value(RandomDraw(seed))[name] for seed in range(50)} == {"a"}
