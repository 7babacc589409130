"""Recursion of every kind ends in an exception or in a result: the native stack never overflows, nothing traps."""

from pathlib import Path

import pytest

from wasmexec import Executor, Limits, StatementRaised, Status


def load() -> dict[str, str]:
    """Title and text of each statement in recursions.txt."""
    parts = Path(__file__).with_name("recursions.txt").read_text("utf-8").split("# === ")[1:]
    return dict(part.split("\n", 1) for part in parts)


RECURSIONS = load()


def test_deep_recursion_is_a_recursion_error(executor: Executor) -> None:
    error = executor.run("def deeper(n):\n    return deeper(n + 1)\ndeeper(0)").error
    assert isinstance(error, StatementRaised)
    assert error.type_name == "RecursionError"
    assert error.exception_message == "maximum recursion depth exceeded"
    assert error.line == 2
    assert "  [Previous line repeated 9" in error.traceback


@pytest.mark.parametrize("name", RECURSIONS)
def test_no_recursion_traps(executor: Executor, name: str) -> None:
    result = executor.run(f"{RECURSIONS[name]}\nreturn []", limits=Limits(cpu_seconds=20))
    assert result.status in (Status.STATEMENT_RAISED, Status.FINISHED_NO_DATA), result.error
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


@pytest.mark.parametrize("name", [name for name in RECURSIONS if not name.startswith("deallocate")])
def test_no_recursion_traps_with_the_highest_limit(executor: Executor, name: str) -> None:
    raise_limit = "import warnings\nwarnings.sys.setrecursionlimit(10**9)\n"
    result = executor.run(f"{raise_limit}{RECURSIONS[name]}\nreturn []", limits=Limits(cpu_seconds=20))
    assert result.status in (Status.STATEMENT_RAISED, Status.FINISHED_NO_DATA), result.error


def test_the_recursion_limit_can_be_raised_within_bounds(executor: Executor) -> None:
    statement = """
import warnings
sys = warnings.sys
limits = [sys.getrecursionlimit()]
for wanted in (500, 2000, 10**9):
    sys.setrecursionlimit(wanted)
    limits.append(sys.getrecursionlimit())
return [{"limits": limits}]
"""
    assert executor.run(statement).rows == [{"limits": [1000, 500, 2000, 3000]}]
