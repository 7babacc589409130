"""Contract C2 and C3: `check` reports every problem with line and column, and runs nothing."""

import pytest

from wasmexec import Executor, Problem

NO_RETURN = "the statement can end here without a return: its last line must return a list of objects"


def found(executor: Executor, statement: str) -> list[tuple[str, int, int]]:
    return [(problem.rule, problem.line, problem.column) for problem in executor.check(statement)]


def test_a_good_statement_has_no_problems(executor: Executor) -> None:
    statement = """
import pandas as pd
from json import dumps
rows = [{"a": await sleep(0)}]
return rows
"""
    assert executor.check(statement) == []


def test_all_problems_are_reported_in_source_order(executor: Executor) -> None:
    statement = """import os
import pandas as pd, sys
x: int = 1
def f(a: str, b=1) -> None:
    from xml.etree import ElementTree
    yield a
yield x
if x:
    return
y = __import__("subprocess")
"""
    assert found(executor, statement) == [
        ("import", 1, 8),
        ("import", 2, 22),
        ("type-hint", 3, 4),
        ("type-hint", 4, 10),
        ("type-hint", 4, 23),
        ("import", 5, 5),
        ("yield", 7, 1),
        ("return", 9, 5),
        ("return", 10, 1),
        ("import", 10, 5),
    ]


def test_a_problem_carries_the_whole_place(executor: Executor) -> None:
    assert executor.check("x: dict[str,\n        int] = {}\nreturn []") == [
        Problem(
            rule="type-hint", message="type hints are not allowed: remove the one of 'x'", line=1, column=4,
            end_line=2, end_column=13, text="x: dict[str,",
        )
    ]  # fmt: skip


def test_a_statement_that_does_not_parse_has_one_problem(executor: Executor) -> None:
    assert executor.check("import os\nx = (") == [
        Problem(
            rule="syntax", message="'(' was never closed", line=2, column=5, end_line=None, end_column=None,
            text="x = (",
        )
    ]  # fmt: skip


def test_what_only_the_compiler_sees_is_reported_beside_the_rest(executor: Executor) -> None:
    assert found(executor, "import os\nbreak\nreturn []") == [("import", 1, 8), ("syntax", 2, 1)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import tqdm", "import of 'tqdm' is not allowed: it is not in the list; use the log: `log.info(message)`"),
        ("import numpy.linalg",
         "import of 'numpy.linalg' is not allowed: it is not in the list; write `from numpy import linalg`"),
        ("from . import x", "relative imports are not possible: a statement is not part of a package"),
    ],
)  # fmt: skip
def test_imports_are_refused_in_the_words_of_the_gate(executor: Executor, line: str, message: str) -> None:
    problem = executor.check(f"if INPUT_DATA:\n    {line}\nreturn []")[0]
    assert (problem.rule, problem.message, problem.line) == ("import", message, 2)
    result = executor.run(f"{line}\nreturn []")
    assert result.error is not None
    assert result.error.message == f"ImportError: {message} (line 1)"


@pytest.mark.parametrize(
    "statement",
    [
        "if INPUT_DATA:\n    return []\nelse:\n    return [{}]",
        "if INPUT_DATA:\n    return []\nelif 1:\n    raise ValueError\nelse:\n    return [{}]",
        "try:\n    return []\nexcept ValueError:\n    return [{}]",
        "try:\n    x = 1\nfinally:\n    return []",
        "try:\n    x = 1\nexcept ValueError:\n    raise\nelse:\n    return []",
        "with open('/tmp/x', 'w') as f:\n    return []",
        "while True:\n    if INPUT_DATA:\n        return []",
        "while 1:\n    for x in []:\n        break\n    return []",
        "match INPUT_DATA:\n    case None:\n        return []\n    case _:\n        return [{}]",
        "for x in []:\n    pass\nelse:\n    return []",
        "raise ValueError",
        "def f():\n    return\nreturn []",
        "return []\nx = 1",
    ],
)
def test_a_statement_whose_every_way_ends_in_a_return_is_fine(executor: Executor, statement: str) -> None:
    assert found(executor, statement) == []


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("", 1),
        ("x = 1", 1),
        ("x = 1\ny = 2", 2),
        ("if INPUT_DATA:\n    return []", 1),
        ("for x in []:\n    return []", 1),
        ("while True:\n    break", 1),
        ("while INPUT_DATA:\n    return []", 1),
        ("try:\n    return []\nexcept ValueError:\n    pass", 1),
        ("match INPUT_DATA:\n    case None:\n        return []", 1),
        ("def f():\n    return []", 1),
    ],
)
def test_a_statement_that_can_fall_off_its_end_has_a_return_problem(
    executor: Executor, statement: str, line: int
) -> None:
    problems = executor.check(statement)
    assert [(problem.rule, problem.line, problem.message) for problem in problems] == [("return", line, NO_RETURN)]


def test_a_return_without_a_value_is_a_problem(executor: Executor) -> None:
    problems = executor.check("if INPUT_DATA:\n    return\nreturn []")
    assert [(problem.rule, problem.line, problem.message) for problem in problems] == [
        ("return", 2, "the statement must return a list of objects: return [] when there are no rows")
    ]


def test_check_runs_nothing_and_warns_of_nothing(executor: Executor) -> None:
    assert executor.check("1/0 if 1 is 1 else 2\nwhile True: pass") == []


@pytest.mark.parametrize("statement", ["-" * 100_000 + "1", "if 1: pass\n" + "elif 1: pass\n" * 5_000 + "return []"])
def test_check_survives_deep_nesting(executor: Executor, statement: str) -> None:
    assert len(executor.check(statement)) <= 1


def test_check_reports_at_most_a_thousand_problems(executor: Executor) -> None:
    assert len(executor.check("x: int = 1\n" * 1500 + "return []")) == 1000
