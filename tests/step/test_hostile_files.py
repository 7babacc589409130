"""Hostile step files and files of cases give mistakes with places, in time that is linear in the file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.hostile_step_files import CASES, JSON_STEPS, RIGHT, STEPS, Make

from wasmexec.step import Mistake, Step, StepFileError
from wasmexec.step.cases import load_cases
from wasmexec.step.file.mistakes import MAX_MISTAKES

ALL: dict[str, tuple[str, Make]] = {
    **{f"step: {name}": ("a.step.yaml", make) for name, make in STEPS.items()},
    **{f"json: {name}": ("a.step.json", make) for name, make in JSON_STEPS.items()},
    **{f"cases: {name}": ("a.tests.yaml", make) for name, make in CASES.items()},
}


def write(folder: Path, name: str, size: int) -> tuple[Path, Path]:
    """The hostile file, and the step file that is checked."""
    file, make = ALL[name]
    content = make(size)
    path = folder / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    if file != "a.tests.yaml":
        return path, path
    step = folder / "a.step.yaml"
    step.write_text(RIGHT)
    return path, step


def mistakes_in(step: Path) -> tuple[Mistake, ...]:
    try:
        load_cases(step, Step.load(step).definition)
    except StepFileError as error:
        return error.mistakes
    return ()


@pytest.mark.parametrize("name", ALL)
def test_what_is_wrong_with_it_has_a_place_and_a_bounded_text(tmp_path: Path, name: str) -> None:
    path, step = write(tmp_path, name, 300)
    found = mistakes_in(step)
    lines = path.read_bytes().count(b"\n") + path.read_bytes().count(b"\r") + 2
    assert len(found) <= MAX_MISTAKES + 1
    for mistake in found:
        assert mistake.file == str(path)
        assert 1 <= mistake.line <= lines or "\u2028" in path.read_text(errors="replace")
        assert mistake.column >= 1
        assert len(mistake.message) < 3000
        assert "Traceback" not in mistake.message


def test_there_are_more_than_seventy_and_most_are_wrong(tmp_path: Path) -> None:
    wrong = [name for name in ALL if mistakes_in(write(tmp_path, name, 50)[1])]
    assert len(ALL) > 140
    assert len(wrong) > 100


def test_a_thousand_mistakes_are_told_and_the_others_counted(tmp_path: Path) -> None:
    found = mistakes_in(write(tmp_path, "step: unknown keys", 1500)[1])
    assert len(found) == MAX_MISTAKES + 1
    assert found[-1].message == "and 500 more mistakes: mend these first"
    assert found[0].line == 5


@pytest.mark.parametrize("name", ["step: unknown keys", "step: deep flow", "step: nul file names", "cases: cases half"])
def test_the_command_tells_them_and_ends_with_two(tmp_path: Path, name: str) -> None:
    _, step = write(tmp_path, name, 300)
    done = subprocess.run(
        [sys.executable, "-m", "wasmexec", "step", "check", "--no-statement", str(step)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert all(line.startswith(str(tmp_path)) for line in done.stdout.splitlines())
    assert done.stdout


@pytest.mark.timing
@pytest.mark.parametrize("name", ALL)
def test_it_takes_linear_time(tmp_path: Path, name: str) -> None:
    def seconds(size: int) -> float:
        step = write(tmp_path, name, size)[1]
        start = time.process_time()
        mistakes_in(step)
        return time.process_time() - start

    small = seconds(500)
    # What depends on nothing but a bound takes as long for any size.
    assert min(seconds(1000) for _ in range(2)) < 3 * small + 0.5
