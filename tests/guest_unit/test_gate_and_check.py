"""importgate.py and check.py: gate and check agree on every name, and what the check says holds when it runs."""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec_guest import check as checking
from wasmexec_guest import importgate, statement
from wasmexec_guest.importgate import LISTED
from wasmexec_guest.statement import Problem, Source, StatementRefused

PART = st.sampled_from(
    ["os", "json", "decoder", "jose", "utils", "matplotlib", "pyplot", "xml", "etree", "panda", "名前", "_a"]
)
NAMES = st.sampled_from(LISTED) | st.lists(PART, min_size=1, max_size=4).map(".".join)
LACKING = st.sets(st.sampled_from(LISTED), max_size=3).map(lambda names: dict.fromkeys(names, "small"))


def real_import(name: str, *rest: object) -> Any:
    return types.SimpleNamespace(name=name, x=rest)


def by_gate(text: str, lacking: dict[str, str]) -> str | None:
    """The refusal of a statement's imports when it runs, None if they are let through."""
    gate = importgate.make_import(real_import, lacking)
    try:
        exec(text, {"__builtins__": {"__import__": gate}})
    except ImportError as error:
        # The gate let it through, and what stands in for the module has no such attribute.
        return None if str(error).startswith("cannot import name") else str(error)
    return None


@given(NAMES, LACKING)
def test_the_gate_lets_exactly_the_listed_names_of_the_image_through(name: str, lacking: dict[str, str]) -> None:
    refused = by_gate(f"__import__({name!r})", lacking)
    assert (refused is None) is (name in LISTED and name not in lacking)
    assert refused is None or repr(name) in refused


@given(NAMES, LACKING, st.sampled_from(["import {}", "import {} as y", "from {} import x", "__import__('{}')"]))
def test_the_check_says_of_an_import_what_the_gate_says(name: str, lacking: dict[str, str], form: str) -> None:
    text = form.format(name)
    found = [problem["message"] for problem in checking.check(f"{text}\nreturn []", lacking)]
    refused = by_gate(text, lacking)
    assert found == ([] if refused is None else [refused])


@pytest.mark.parametrize("text", ["from .json import x", "from ..json import x", "from . import json"])
def test_a_relative_import_is_refused_by_both(text: str) -> None:
    [problem] = checking.check(f"{text}\nreturn []", {})
    assert problem["rule"] == "import"
    assert "relative" in problem["message"]
    assert problem["message"] == by_gate(text, {})


@pytest.mark.parametrize("name", [None, 1, b"json", ["json"]])
def test_a_name_that_is_no_text_is_a_type_error(name: Any) -> None:
    with pytest.raises(TypeError):
        importgate.make_import(real_import, {})(name)


class Sly(str):
    """Pretends to be listed when it is compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("json")


def test_a_name_of_a_class_of_its_own_gets_no_further_than_the_statement_could_anyway() -> None:
    # The gate is contract, not containment: what counts is that nothing breaks.
    assert importgate.make_import(real_import, {})(Sly("os")).name == "os"


def test_what_c_code_imports_for_itself_passes() -> None:
    names: dict[str, object] = {}
    assert importgate.make_import(real_import, {})("_strptime", names, names, [], 0).name == "_strptime"
    with pytest.raises(ImportError):
        importgate.make_import(real_import, {})("_strptime", names, {}, [], 0)


def blocks(depth: int) -> st.SearchStrategy[list[str]]:
    """Lines of a block; `c()` is a condition that the test decides."""
    simple = st.sampled_from([["pass"], ["return []"], ["raise E"], ["x = 1"]])
    if depth == 0:
        return st.lists(simple, min_size=1, max_size=2).map(join)
    inner = blocks(depth - 1).map(indent)
    loop = st.one_of(
        inner, inner.map(lambda lines: [*lines, "  break"]), inner.map(lambda lines: ["  if c(): break", *lines])
    )
    compound = st.one_of(
        st.builds(lambda a, b: ["if c():", *a, "else:", *b], inner, inner),
        st.builds(lambda a: ["if c():", *a], inner),
        st.builds(lambda a, b: ["try:", *a, "except E:", *b], inner, inner),
        st.builds(lambda a, b: ["try:", *a, "finally:", *b], inner, inner),
        st.builds(lambda a, b, d: ["try:", *a, "except E:", *b, "else:", *d], inner, inner, inner),
        st.builds(lambda a: ["while c():", *a], loop),
        st.builds(lambda a: ["while True:", *a], loop),
        st.builds(lambda a, b: ["for _ in (1, 2):", *a, "else:", *b], loop, inner),
        st.builds(lambda a: ["with w:", *a], inner),
        st.builds(lambda a, b: ["match c():", *indent(["case True:", *a, "case _:", *b])], inner, inner),
        st.builds(lambda a: ["match c():", *indent(["case True:", *a])], inner),
        st.builds(lambda a: ["def f():", *a], inner),
    )
    return st.lists(simple | compound, min_size=1, max_size=3).map(join)


def join(parts: list[list[str]]) -> list[str]:
    return [line for part in parts for line in part]


def indent(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


class Expected(Exception):
    """What the programs raise themselves."""


class TooLong(BaseException):
    """The program asked for more conditions than there are."""


class Context:
    """Passes everything on."""

    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def falls_off(text: str, conditions: list[bool]) -> bool:
    """Whether the statement, run with these conditions, ends without a return."""
    left = list(conditions)

    def condition() -> bool:
        if not left:
            raise TooLong
        return left.pop()

    names = {"c": condition, "E": Expected, "w": Context(), "__builtins__": __builtins__}
    function = types.FunctionType(statement.compile_statement(text), names)
    try:
        function().send(None)
    except StopIteration as end:
        return bool(end.value == statement.MISSING_RETURN)
    except (Expected, TooLong):
        pass
    return False


def endless(text: str) -> bool:
    """Whether the program has a loop without a condition that nothing ends."""
    return any(
        isinstance(node, ast.While)
        and isinstance(node.test, ast.Constant)
        and not any(isinstance(part, ast.Call) for part in ast.walk(node))
        for node in ast.walk(ast.parse("async def f():\n" + "\n".join(indent(text.split("\n")))))
    )


@given(blocks(2), st.lists(st.lists(st.booleans(), max_size=12), min_size=1, max_size=8))
def test_a_statement_that_the_check_lets_pass_never_falls_off_its_end(lines: list[str], runs: list[list[bool]]) -> None:
    text = "\n".join(lines)
    problems = [
        problem for problem in checking.check(text, {}) if problem["message"].startswith("the statement can end")
    ]
    if not problems and not endless(text):
        assert not any(falls_off(text, conditions) for conditions in runs)


@pytest.mark.parametrize(
    ("text", "conditions", "falls"),
    [
        ("if c():\n  return []", [False], True),
        ("if c():\n  return []", [True], False),
        ("while True:\n  if c(): break", [True], True),
    ],
)
def test_the_programs_really_fall_off_or_not(text: str, conditions: list[bool], falls: bool) -> None:
    assert falls_off(text, conditions) is falls
    assert any(problem["rule"] == "return" for problem in checking.check(text, {}))


def refusals(text: str) -> Sequence[Problem]:
    """Why a statement does not compile; empty if it does."""
    try:
        statement.compile_statement(text)
    except StatementRefused as refused:
        return refused.problems
    return ()


@given(st.text("abc()[]:;='\\\n\t #,.*@ifdefyrnwx01\0ä", max_size=50))
def test_the_check_finds_a_problem_in_whatever_does_not_compile(text: str) -> None:
    problems = checking.check(text, {})
    refused = refusals(text)
    assert [problem for problem in refused if problem not in problems] == []
    assert refused or {problem["rule"] for problem in problems} <= {"import", "return"}
    places = [(problem["line"], problem["column"]) for problem in problems]
    assert places == sorted(places)
    assert all(1 <= line <= len(Source(text).lines) for line, _ in places)


def test_a_statement_of_many_problems_has_the_first_thousand() -> None:
    problems = checking.check("import os\n" * 1100, {})
    assert len(problems) == checking.MAX_PROBLEMS
    assert problems[-1]["line"] == checking.MAX_PROBLEMS
