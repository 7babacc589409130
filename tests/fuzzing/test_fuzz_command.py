"""`wasmexec fuzz` as its users have it: the row, the line, the command, the saved case; and what a kill leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SHARES = """\
description: The share of each order in the total of its city.
processing: bulk
inputs:
  - name: orders
    schema:
      - {name: city, type: text}
      - {name: amount, type: integer}
statement: |
  totals = {}
  for order in INPUT_DATA:
      totals[order["city"]] = totals.get(order["city"], 0) + order["amount"]
  return [
      {"city": order["city"], "share": order["amount"] / totals[order["city"]]}
      for order in INPUT_DATA
  ]
output_schema:
  - {name: city, type: text}
  - {name: share, type: double}
"""
MENDED = SHARES.replace('totals[order["city"]]}', '(totals[order["city"]] or 1)}')


class Folder:
    """A folder with a step in it, and the commands that run there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(SHARES)

    def write(self, text: str) -> None:
        (self.path / "shares.step.yaml").write_text(text, "utf-8")

    def __call__(self, *arguments: str, code: int, stdin: str = "") -> str:
        """What the command says on standard output; its exit code is as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "wasmexec", *arguments], cwd=self.path, input=stdin, capture_output=True,
            check=False, timeout=120, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the step of the shares."""
    return Folder(tmp_path)


def test_a_bug_is_found_with_its_row_its_line_and_a_command_and_its_case_passes_after_the_fix(folder: Folder) -> None:
    out = folder("fuzz", "shares.step.yaml", "--runs", "400", "--seed", "1", "--save-cases", code=1)
    head, finding = out.split("\n\n")
    assert " · 1 of 1 branches · stability 100 % · seed 1" in head
    _, name = finding.split()[:2]
    assert finding.splitlines() == [
        f"RAISED {name}  the statement raised an exception",
        "  ZeroDivisionError: division by zero",
        '  at shares.step.yaml:13  {"city": order["city"], "share": order["amount"] / totals[order["city"]]}',
        '  INPUT_DATA: [{"city": "", "amount": 0}]',
        f"  replay: wasmexec fuzz shares.step.yaml --replay {name}",
    ]
    assert folder("fuzz", "shares.step.yaml", "--replay", name, code=1) == f"FAILED {name} raised: division by zero\n"
    assert "FAIL shares: fuzz" in folder("step", "test", "shares.step.yaml", code=1)
    folder.write(MENDED)
    assert folder("fuzz", "shares.step.yaml", "--replay", code=0).startswith(f"FIXED {name} raised")
    assert folder("step", "test", "shares.step.yaml", code=0) == f"pass shares: fuzz {name}: ZeroDivisionError\n"
    assert "branches" in folder("fuzz", "shares.step.yaml", "--runs", "400", "--seed", "1", code=0)


def test_a_case_is_saved_once_and_the_file_keeps_what_was_in_it(folder: Folder) -> None:
    text = "cases:\n    - name: one  # kept\n      input: [{city: a, amount: 1}]\n      expect: {rows_failed: 0}\n"
    (folder.path / "shares.tests.yaml").write_text(text, "utf-8")
    for _ in range(2):
        folder("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", "--save-cases", code=1)
    saved = (folder.path / "shares.tests.yaml").read_text("utf-8")
    assert saved.startswith(text)
    assert saved.count("- name:") == 2


def test_an_exception_that_the_step_expects_is_no_finding(folder: Folder) -> None:
    for expected, code in (("ZeroDivisionError", 0), ("'ZeroDivisionError: by zero'", 0), ("KeyError", 1)):
        folder.write(f"{SHARES}expect: [{expected}]\n")
        folder("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", code=code)


def test_a_statement_that_now_fails_otherwise_is_changed(folder: Folder) -> None:
    folder("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", code=1)
    folder.write(SHARES.replace('order["amount"] / totals[order["city"]]', '[][order["amount"]]'))
    assert folder("fuzz", "shares.step.yaml", "--replay", code=1).split()[0] == "CHANGED"


def test_json_sarif_and_junit_have_the_same_finding(folder: Folder) -> None:
    run = ("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", "--report")
    [finding] = json.loads(folder(*run, "json", code=1))["findings"]
    assert (finding["kind"], finding["place"]) == ("raised", "shares.step.yaml:13")
    [result] = json.loads(folder(*run, "sarif", code=1))["runs"][0]["results"]
    assert result["partialFingerprints"] == {"wasmexecFuzz/v1": finding["id"]}
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 13}
    suite = ElementTree.fromstring(folder(*run, "junit", code=1))
    assert [case.get("name") for case in suite.iter("testcase")] == [f"raised {finding['id']}"]


def test_a_statement_with_schemas_is_fuzzed_like_a_step(folder: Folder) -> None:
    (folder.path / "double.py").write_text('return [{"b": str(10 // len(row["a"]))} for row in INPUT_DATA]\n', "utf-8")
    rows = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^[a-c]*$"}}}
    (folder.path / "rows.json").write_text(json.dumps(rows), "utf-8")
    (folder.path / "out.json").write_text('[{"name": "b", "type": "text"}]', "utf-8")
    out = folder(
        "fuzz", "double.py", "--input-schema", "rows.json", "--output-schema", "out.json", "--runs", "300", code=1
    )
    assert '  INPUT_DATA: [{"a": ""}]' in out
    assert "  at double.py:1  " in out
    assert "--input-schema rows.json --output-schema out.json --replay" in out


def test_another_fuzzer_gives_inputs_a_line_at_a_time(folder: Folder) -> None:
    requests = [{"input": {"inputs": [[{"city": "a", "amount": amount}]]}} for amount in (1, 0)]
    lines = [json.dumps(request) for request in [*requests, {"bytes": "AAECAw=="}, {"input": {"inputs": [[{}]]}}, {}]]
    out = folder("fuzz", "serve", "shares.step.yaml", code=0, stdin="\n".join(lines) + "\n")
    right, wrong, made, unfit, refused = map(json.loads, out.splitlines())
    assert (right["finding"], right["coverage"]) == (None, [0])
    assert wrong["finding"]["exception"] == "ZeroDivisionError"
    assert made["ok"] is True
    assert (unfit["fits"], unfit["finding"]) == (False, None)
    assert refused["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shares.step.yaml", "--replay", "abc"], "there is no finding 'abc'"),
        (["shares.step.yaml", "--replay"], "there are no findings"),
        (["a.step.yaml", "b.step.yaml"], "give one step file"),
        (["statement.py"], "a statement needs --input-schema and --output-schema"),
        (["statement.py", "--save-cases"], "--save-cases is for step files"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(folder: Folder, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wasmexec", "fuzz", *arguments], cwd=folder.path, capture_output=True, check=False,
        timeout=60, env=os.environ,
    )  # fmt: skip
    assert (done.returncode, message in done.stderr.decode()) == (2, True)


def test_the_page_shows_this_step_and_what_is_said_of_it() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "fuzzing.md").read_text("utf-8")
    assert f"```yaml\n{SHARES}```" in page
    assert '  INPUT_DATA: [{"city": "", "amount": 0}]\n' in page
    assert f"  at shares.step.yaml:13  {SHARES.splitlines()[12].strip()}\n" in page


def test_where_nothing_that_is_made_fits_the_search_ends_and_says_so(folder: Folder) -> None:
    never = '{type: object, required: [a], properties: {a: {type: string, pattern: "^(?=zq)z(?<=z)q{3}x$"}}}'
    folder.write(
        f"processing: row_by_row\ninputs: [{{name: rows, schema: {never}}}]\nstatement: return []\noutput_schema: "
        "[{name: a, type: text}]\n"
    )
    out = folder("fuzz", "shares.step.yaml", "--time", "600", code=2)
    assert out.startswith("0 runs in ")
    assert " · 1,000 inputs were made that do not fit the schemas · " in out


def test_a_finding_that_another_option_shows_is_not_called_fixed_without_it(folder: Folder) -> None:
    (folder.path / "few.py").write_text("assert len(INPUT_DATA) < 2\nreturn []\n", "utf-8")
    run = ("fuzz", "shares.step.yaml", "--runs", "300", "--seed", "1")
    folder.write(f"{SHARES}expect: [ZeroDivisionError]\n")
    assert "PROPERTY " in folder(*run, "--property", "few.py", code=1)
    assert folder("fuzz", "shares.step.yaml", "--replay", code=1).startswith("ERROR ")
    assert folder("fuzz", "shares.step.yaml", "--property", "few.py", "--replay", code=1).startswith("FAILED ")
    (folder.path / "few.py").write_text("return []\n", "utf-8")
    assert folder("fuzz", "shares.step.yaml", "--property", "few.py", "--replay", code=0).startswith("FIXED ")


def test_the_command_that_replays_a_finding_has_the_options_that_show_it(folder: Folder) -> None:
    folder.write(SHARES.replace("  return [", '  if any(order["amount"] == 0 for order in INPUT_DATA):\n'
                                "      sum(i * i for i in range(4_000_000))\n  return [", 1).replace(
                                'totals[order["city"]]}', '(totals[order["city"]] or 1)}'))  # fmt: skip
    out = folder("fuzz", "shares.step.yaml", "--runs", "300", "--seed", "1", "--slow", "0.1", code=1)
    assert "SLOW " in out
    name = out.split("SLOW ")[1].split()[0]
    assert f"  replay: wasmexec fuzz shares.step.yaml --slow 0.1 --replay {name}" in out
    assert folder("fuzz", "shares.step.yaml", "--replay", name, code=1).startswith("ERROR ")
