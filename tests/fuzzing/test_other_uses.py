"""A checkpoint that repeats a row, a property, failures of HTTP, invalid inputs; and Hypothesis as the fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzzing.test_fuzz_command import MENDED, SHARES, Folder

import wasmexec
from wasmexec.fuzzing import FuzzInput, Target, TargetOptions
from wasmexec.step import Step

SINCE = """\
processing: bulk
checkpoint_column: id
inputs:
  - name: rows
    schema: [{name: id, type: integer}, {name: value, type: text}]
statement: |
  last = -1 if DATA_CHECKPOINT is None else DATA_CHECKPOINT
  return sorted((row for row in INPUT_DATA if row["id"] >= last), key=lambda row: row["id"])
output_schema: [{name: id, type: integer}, {name: value, type: text}]
"""
IDS = """\
processing: bulk
inputs: [{name: rows, schema: [{name: id, type: integer}]}]
statement: |
  return [{"id": int(float(row["id"]))} for row in INPUT_DATA]
output_schema: [{name: id, type: integer}]
"""
PROPERTY = """\
assert [row["id"] for row in INPUT_DATA] == [row["id"] for row in INPUT_DATA2], "ids differ"
return []
"""
RATES = """\
inputs: [{name: rows, schema: [{name: id, type: integer}]}]
grants: {http: [api.example.com]}
statement: |
  import httpx
  async with httpx.AsyncClient() as client:
      response = await client.get("https://api.example.com/rate")
      response.raise_for_status()
      return [{"rate": RATE}]
output_schema: [{name: rate, type: double, allow_null: true}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder in which commands run."""
    return Folder(tmp_path)


def load(folder: Path, text: str) -> Step:
    path = folder / "one.step.yaml"
    path.write_text(text, "utf-8")
    return Step.load(path)


def test_a_checkpoint_that_repeats_a_row_is_found(folder: Folder) -> None:
    (folder.path / "since.step.yaml").write_text(SINCE, "utf-8")
    run = ("fuzz", "since.step.yaml", "--runs", "400", "--seed", "1")
    assert "\nRESUME " in folder(*run, code=1)
    (folder.path / "since.step.yaml").write_text(SINCE.replace(">= last", "> last"), "utf-8")
    folder(*run, code=0)


def test_a_property_that_does_not_hold_is_found(folder: Folder) -> None:
    (folder.path / "ids.step.yaml").write_text(IDS, "utf-8")
    (folder.path / "ids.property.py").write_text(PROPERTY, "utf-8")
    run = ("fuzz", "ids.step.yaml", "--property", "ids.property.py", "--runs", "600", "--seed", "1")
    out = folder(*run, code=1)
    assert "\nPROPERTY " in out
    assert "  AssertionError: ids differ\n" in out
    assert "replay: wasmexec fuzz ids.step.yaml --property ids.property.py --replay" in out
    (folder.path / "ids.step.yaml").write_text(IDS.replace('int(float(row["id"]))', 'row["id"]'), "utf-8")
    folder(*run, code=0)


@pytest.mark.parametrize(
    ("rate", "exception"),
    [("response.json()['rate']", "TypeError"), ("(response.json() or {}).get('rate')", "json.decoder.JSONDecodeError")],
)
def test_a_failure_of_http_that_is_not_handled_is_found(
    rate: str, exception: str, tmp_path: Path, executor: wasmexec.Executor
) -> None:  # fmt: skip
    step = load(tmp_path, RATES.replace("RATE", rate))
    given_input = FuzzInput(inputs=[[{"id": 1}]])
    with Target(step, executor=executor, options=TargetOptions(http_faults=True)) as target:
        under = {fault: target.under_fault(given_input, fault) for fault in ("status 500", "no JSON", "JSON null")}
        assert target.again(given_input, next(filter(None, under.values()))) is not None
    with Target(step, executor=executor) as target:
        assert target.check(given_input) is None, "a request that no case answers decides nothing"
    assert under["status 500"] is None, "the library says what has failed"
    found = [verdict.exception for verdict in under.values() if verdict is not None]
    assert exception in found


def test_inputs_that_the_schema_refuses_are_run_only_if_asked_for(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = load(tmp_path, IDS.replace('int(float(row["id"]))', "1"))
    refused = FuzzInput(inputs=[[{"id": "x"}]])
    for mode, fits in (("valid", False), ("invalid", True), ("mixed", True)):
        options = TargetOptions(mode=mode)  # type: ignore[arg-type]
        with Target(step, executor=executor, options=options) as target:
            assert target.fits(refused) is fits
    with Target(step, executor=executor, options=TargetOptions(mode="invalid")) as target:
        finding = target.check(refused)
    assert finding is not None
    assert finding.verdict.kind == "accepted"


def test_hypothesis_can_be_the_fuzzer(tmp_path: Path, executor: wasmexec.Executor) -> None:
    def search(text: str) -> None:
        with Target(load(tmp_path, text), executor=executor) as target:

            @settings(max_examples=100, deadline=None, database=None, derandomize=True)
            @given(st.binary(max_size=40))
            def never_breaks(data: bytes) -> None:
                finding = target.one_input(data)
                assert finding is None, finding

            never_breaks()

    search(MENDED)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        search(SHARES)


def test_a_statement_with_a_mistake_is_not_fuzzed(folder: Folder) -> None:
    (folder.path / "shares.step.yaml").write_text(SHARES.replace("  totals = {}", "  import socket"), "utf-8")
    assert folder("fuzz", "shares.step.yaml", code=2) == ""


def test_the_page_shows_these_steps() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "fuzzing.md").read_text("utf-8")
    for language, text in (("yaml", SINCE), ("yaml", IDS), ("python", PROPERTY)):
        assert f"```{language}\n{text}```" in page
