"""The pytest plugin in a pytest of its own, as a user has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.step.helpers import write_step

CASES = """
cases:
  - {name: one, input: [{id: 1}], expect: {rows: [{id: 2}]}}
  - {name: two, input: [{id: 2}], expect: {rows: [{id: 5}]}}
"""
TEST = """
def test_own(wasmexec_step):
    step = wasmexec_step("double.step.yaml")
    assert step.run([{"id": 21}]).rows == [{"id": 42}]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=folder, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def test_cases_are_tests_and_differences_are_shown(tmp_path: Path) -> None:
    write_step(tmp_path, "return [{'id': INPUT_DATA[0]['id'] * 2}]", name="double")
    (tmp_path / "double.tests.yaml").write_text(CASES)
    (tmp_path / "test_own.py").write_text(TEST)
    process = run(tmp_path, "--wasmexec", "-v")
    assert "double.step.yaml::check PASSED" in process.stdout
    assert "double.step.yaml::one PASSED" in process.stdout
    assert "double.step.yaml::two FAILED" in process.stdout
    assert "test_own.py::test_own PASSED" in process.stdout
    assert '-{"id": 5}\n+{"id": 4}' in process.stdout
    assert "Traceback" not in process.stdout
    assert process.returncode == 1


def test_without_the_option_step_files_are_not_collected(tmp_path: Path) -> None:
    write_step(tmp_path, "return []")
    (tmp_path / "test_own.py").write_text("def test_nothing():\n    pass\n")
    process = run(tmp_path, "-q")
    assert "1 passed" in process.stdout
    assert "step.yaml" not in process.stdout


def test_mistakes_of_a_step_file_are_shown_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "a.step.yaml").write_text("nam: x\n")
    process = run(tmp_path, "--wasmexec")
    assert process.returncode == 2
    assert "a.step.yaml:1:1: unknown key 'nam', did you mean 'name'?" in process.stdout
    assert "a.step.yaml:1:1: a step needs 'output_schema'" in process.stdout
