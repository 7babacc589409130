"""The same statement gives the same rows in the guest and on native CPython 3.11 with the same package versions."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import reference

import wasmexec

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """One statement of `programs/AREA.py`, and how far its floats may differ (relative; 0 means to the last bit)."""

    name: str
    statement: str
    tolerance: float


def load_programs() -> Iterator[Program]:
    """Every program: the text between two `# === title` lines, its tolerance from a `# tolerance:` line."""
    for path in sorted((HERE / "programs").glob("*.py")):
        for part in path.read_text("utf-8").split("# === ")[1:]:
            title, _, statement = part.partition("\n")
            found = re.search(r"^# tolerance: (\S+)$", statement, re.MULTILINE)
            yield Program(f"{path.stem}: {title.strip()}", statement, float(found.group(1)) if found else 0.0)


PROGRAMS = list(load_programs())


@pytest.fixture(scope="module")
def native_results() -> dict[str, dict[str, Any]]:
    """What native CPython returned for every program, from one process."""
    statements = [program.statement for program in PROGRAMS]
    done = reference.run("-s", "-P", HERE / "native_runner.py", standard_input=json.dumps(statements))
    assert done.returncode == 0, done.stderr
    return dict(zip([program.name for program in PROGRAMS], json.loads(done.stdout), strict=True))


def difference(native: Any, guest: Any, tolerance: float, pointer: str = "") -> str | None:
    """The first place where two JSON values differ, or None. Types count: 1 and 1.0 and True are three values."""
    if type(native) is not type(guest):
        return f"{pointer}: native {native!r}, guest {guest!r}"
    if isinstance(native, dict):
        if list(native) != list(guest):
            return f"{pointer}: native keys {list(native)}, guest keys {list(guest)}"
        pairs = [(key, native[key], guest[key]) for key in native]
    elif isinstance(native, list):
        if len(native) != len(guest):
            return f"{pointer}: native has {len(native)} items, guest {len(guest)}"
        pairs = [(index, one, other) for index, (one, other) in enumerate(zip(native, guest, strict=True))]
    elif isinstance(native, float) and tolerance and math.isclose(native, guest, rel_tol=tolerance, abs_tol=tolerance):
        return None
    else:
        return None if native == guest else f"{pointer}: native {native!r}, guest {guest!r}"
    return next((found for key, a, b in pairs if (found := difference(a, b, tolerance, f"{pointer}/{key}"))), None)


def test_there_are_at_least_sixty_programs_with_distinct_names() -> None:
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS) >= 60


def test_the_comparison_sees_a_difference() -> None:
    assert difference([{"a": 1}], [{"a": 1.0}], 0.0) == "/0/a: native 1, guest 1.0"
    assert difference([{"a": 1.0}], [{"a": 1.0000001}], 1e-9) == "/0/a: native 1.0, guest 1.0000001"
    assert difference([{"a": 1.0}], [{"a": 1.0 + 1e-15}], 1e-9) is None


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_same_rows(program: Program, executor: wasmexec.Executor, native_results: dict[str, dict[str, Any]]) -> None:
    native = native_results[program.name]
    assert "rows" in native, f"the program fails natively: {native}"
    result = executor.run(program.statement)
    assert result.error is None, result.error
    assert difference(native["rows"], result.rows, program.tolerance) is None
