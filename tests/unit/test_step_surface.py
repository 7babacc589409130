"""What a caller sees of a step: one set of options, and what every field of its results means."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from pathlib import Path

import pytest

from wasmexec.step import Step, result
from wasmexec.step.running.request import RunRequest

RESULTS = ("StepResult", "StepLog", "RowFailure", "Progress")


def test_a_run_spells_out_every_option_with_its_default_and_an_asynchronous_one_has_the_same() -> None:
    run = inspect.signature(Step.run)
    assert inspect.signature(Step.run_async) == run
    assert inspect.iscoroutinefunction(Step.run_async)
    options = {name: item for name, item in run.parameters.items() if name not in ("self", "executor")}
    assert all(item.kind is inspect.Parameter.KEYWORD_ONLY for name, item in options.items() if name != "input_data")
    request = inspect.signature(RunRequest).parameters
    assert [(item.name, item.default, item.annotation) for item in options.values()] == [
        (item.name, item.default, item.annotation) for item in request.values()
    ]


def test_a_run_says_what_each_option_means() -> None:
    text = inspect.getdoc(Step.run) or ""
    assert [
        name for name in inspect.signature(Step.run).parameters if name != "self" and f"    {name}: " not in text
    ] == []


@pytest.mark.parametrize("name", RESULTS)
def test_every_field_of_a_result_says_what_it_is(name: str) -> None:
    tree = ast.parse(Path(result.__file__).read_text("utf-8"))
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    after = {
        ast.unparse(item.target): isinstance(follows, ast.Expr) and isinstance(follows.value, ast.Constant)
        for item, follows in pairwise(body)
        if isinstance(item, ast.AnnAssign)
    }
    assert len(after) >= 2
    assert [field for field, is_said in after.items() if not is_said] == []
