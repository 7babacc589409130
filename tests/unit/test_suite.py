"""Rules that the suite keeps about itself: what a busy machine can fail is marked, and marked tests run last."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from tests.reading import ROOT

pytest_plugins = ["pytester"]

_MEASURED = re.compile(
    r"time\.(monotonic|perf_counter|thread_time|process_time|time)\("
    r"|\b(seconds|took|together)\b|(wall|cpu)_seconds|seconds_until|delay|elapsed|\['t'\]"
)
"""What an expression is called that says how long something took."""


def bounds_time(node: ast.Assert) -> bool:
    """Whether the assertion has an upper bound, a number, for how long something took."""
    for compared in ast.walk(node.test):
        if isinstance(compared, ast.Compare):
            sides = [compared.left, *compared.comparators]
            for operator, left, right in zip(compared.ops, sides, sides[1:], strict=False):
                is_number = isinstance(right, ast.Constant) and isinstance(right.value, int | float)
                if isinstance(operator, ast.Lt | ast.LtE) and is_number and _MEASURED.search(ast.unparse(left)):
                    return True
    return False


def timing_tests(text: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Every test of a file that bounds a time, and whether it has the mark."""
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")):
            continue
        if any(isinstance(part, ast.Assert) and bounds_time(part) for part in ast.walk(node)):
            yield node, any(ast.unparse(mark) == "pytest.mark.timing" for mark in node.decorator_list)


def test_a_test_that_bounds_how_long_something_takes_is_marked() -> None:
    unmarked = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: put @pytest.mark.timing on it"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node, is_marked in timing_tests(path.read_text("utf-8"))
        if not is_marked
    ]
    assert unmarked == []


@pytest.mark.parametrize(
    ("line", "bounds"),
    [
        ("assert time.monotonic() - begun < 5", True),
        ("assert (status, time.perf_counter() - begun < 5) == (303, True)", True),
        ("assert 0.2 <= result.usage.wall_seconds < 0.5", True),
        ("assert row['took'] <= 1.5", True),
        ("assert time.monotonic() - begun > 0.7", False),
        ("assert result.usage.wall_seconds >= 0.2", False),
        ("assert time.monotonic() < deadline", False),
        ("assert len(rows) < 5", False),
    ],
)
def test_an_upper_bound_is_told_from_a_lower_one_and_from_a_deadline(line: str, bounds: bool) -> None:
    assert bool(list(timing_tests(f"def test_x():\n    {line}\n"))) is bounds


_SAMPLE = """
import pytest

@pytest.mark.timing
def test_a(): pass
def test_b(): pass
@pytest.mark.timing
def test_c(): pass
def test_d(): pass
"""


def test_marked_tests_run_after_all_others_and_otherwise_in_order(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    pytester.makeini("[pytest]\nmarkers = timing\n")
    pytester.makepyfile(_SAMPLE)
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*test_b PASSED*", "*test_d PASSED*", "*test_a PASSED*", "*test_c PASSED*"])
    result.assert_outcomes(passed=4)


def test_a_test_that_hangs_in_a_thread_ends_with_every_stack(pytester: pytest.Pytester) -> None:
    """The method of pyproject.toml, with less patience: an event that never comes."""
    pytester.makepyfile(
        "import threading\n\ndef test_hangs():\n    threading.Lock().acquire() and threading.Event().wait()\n"
    )
    result = pytester.runpytest_subprocess("-o", "timeout=1", "-o", "timeout_method=thread", "-p", "no:cacheprovider")
    assert result.ret != 0
    report = result.stdout.str() + result.stderr.str()
    assert "Timeout" in report
    assert "in test_hangs" in report
