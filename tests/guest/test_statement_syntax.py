"""Contract C3: what does not compile is refused before anything runs, with line, column, text and caret."""

import pytest

from wasmexec import Executor, StatementSyntaxError, Status

YIELD = (
    "'yield' is not allowed at the top level: the statement is the body of an async function whose returned list is "
    "the output; collect the rows in a list and return it"
)
EFFECT = "log.info('this must not run')\n"


def refused(executor: Executor, statement: str) -> StatementSyntaxError:
    result = executor.run(statement)
    assert result.status is Status.CONFIG_REFUSED
    assert result.logs == []
    assert isinstance(result.error, StatementSyntaxError)
    return result.error


@pytest.mark.parametrize(
    ("statement", "column", "what"),
    [
        ("x: int = 1", 4, "'x'"),
        ("x: int", 4, "'x'"),
        ("(x): int = 1", 6, "'x'"),
        ("a.b: int = 1", 6, "'a.b'"),
        ('a["k"]: int = 1', 9, """'a['k']'"""),
        ("def f(a: int): pass", 10, "parameter 'a' of f()"),
        ("def f(a: int, /): pass", 10, "parameter 'a' of f()"),
        ("def f(*, a: int): pass", 13, "parameter 'a' of f()"),
        ("def f(*rest: int): pass", 14, "parameter 'rest' of f()"),
        ("def f(**rest: int): pass", 15, "parameter 'rest' of f()"),
        ("def f() -> int: pass", 12, "the value that f() returns"),
        ("async def f(a: int): pass", 16, "parameter 'a' of f()"),
        ("async def f() -> int: pass", 18, "the value that f() returns"),
        ('naïve = "é"; x: int = 1', 17, "'x'"),
    ],
)
def test_every_kind_of_type_hint_is_a_syntax_error(executor: Executor, statement: str, column: int, what: str) -> None:
    error = refused(executor, f"{EFFECT}{statement}\nreturn []")
    assert error.rule == "type-hint"
    assert error.message == f"type hints are not allowed: remove the one of {what}"
    assert (error.line, error.column, error.text) == (2, column, statement)


@pytest.mark.parametrize(
    ("before", "indent"),
    [
        ("class A:", 1),
        ("def outer():", 1),
        ("if True:", 1),
        ("for i in []:", 1),
        ("while False:", 1),
        ("with open('x') as f:", 1),
        ("try:\n    pass\nfinally:", 1),
        ("try:\n    pass\nexcept ValueError:", 1),
        ("try:\n    pass\nexcept* ValueError:", 1),
        ("for i in []:\n    pass\nelse:", 1),
        ("match 1:\n    case 1:", 2),
        ("class A:\n    async def f(self):\n        async with a:\n            if True:", 4),
    ],
)
def test_type_hints_are_found_however_deep(executor: Executor, before: str, indent: int) -> None:
    error = refused(executor, f"{before}\n{'    ' * indent}value: str = ''\nreturn []")
    assert error.rule == "type-hint"
    assert (error.line, error.column) == (before.count("\n") + 2, 4 * indent + 8)


def test_what_looks_like_a_type_hint_but_is_none_runs(executor: Executor) -> None:
    statement = """
table = {"x": int}
f = lambda x: int
part = [1, 2, 3][1:2]
def g(a, b=1):  # type: (int, int) -> int
    return a
return [{"part": part, "g": g(1), "f": f(0)("7"), "t": table["x"]("8")}]
"""
    result = executor.run(statement)
    assert result.rows == [{"part": [2], "g": 1, "f": 7, "t": 8}]


@pytest.mark.parametrize(
    ("statement", "line", "column"),
    [
        ("yield 1", 1, 1),
        ("yield", 1, 1),
        ("x = yield from []", 1, 5),
        ("for row in []:\n    yield row\nreturn []", 2, 5),
        ("yield 1\nreturn [1]", 1, 1),
        ("@(yield)\ndef f(): pass", 1, 3),
        ("def f(a=(yield)): pass", 1, 10),
    ],
)
def test_yield_at_the_top_level_has_its_own_message(executor: Executor, statement: str, line: int, column: int) -> None:
    error = refused(executor, statement)
    assert error.rule == "yield"
    assert error.message == YIELD
    assert (error.line, error.column) == (line, column)


def test_yield_inside_a_function_is_no_concern(executor: Executor) -> None:
    assert executor.run("def f():\n    yield {'a': 1}\nreturn list(f())").rows == [{"a": 1}]


@pytest.mark.parametrize(
    ("statement", "line", "column", "message"),
    [
        ("x = [1,\nreturn x", 1, 5, "'[' was never closed"),
        ("x = 1\n  y = 2", 2, 2, "unexpected indent"),
        ("if True:\nreturn []", 2, 1, "expected an indented block after 'if' statement on line 1"),
        ("return [", 1, 8, "'[' was never closed"),
        ("a b", 1, 3, "invalid syntax"),
        ('é = 1; 2 = "ö"', 1, 8, "cannot assign to literal here. Maybe you meant '==' instead of '='?"),
        ("é = 1; nonlocal x", 1, 8, "no binding for nonlocal 'x' found"),
        ("break", 1, 1, "'break' outside loop"),
        ("def f():\n    await sleep(1)", 2, 5, "'await' outside async function"),
        ("from math import *", 1, 18, "import * only allowed at module level"),
        ("x = 1\nfrom __future__ import division", 2, 1,
         "from __future__ imports must occur at the beginning of the file"),
        ("def f(a, a): pass", 1, 10, "duplicate argument 'a' in function definition"),
        ("x = 'abc", 1, 5, "unterminated string literal (detected at line 1)"),
        ("class C:\n    yield 1", 2, 5, "'yield' outside function"),
    ],
)  # fmt: skip
def test_cpythons_own_syntax_errors_come_with_their_place(
    executor: Executor, statement: str, line: int, column: int, message: str
) -> None:
    error = refused(executor, f"{EFFECT}{statement}")
    assert error.rule == "syntax"
    # A hint may follow: test_scopes.py.
    own_message = error.message.partition(". The ")[0].partition(". Write ")[0]
    assert own_message.replace("on line 2", "on line 1").replace("at line 2", "at line 1") == message
    assert (error.line, error.column) == (line + 1, column)


def test_the_rendering_is_that_of_cpython(executor: Executor) -> None:
    assert refused(executor, "a = 1\nb = a +\nreturn []").rendered == (
        '  File "<statement>", line 2\n    b = a +\n           ^\nSyntaxError: invalid syntax\n'
    )
    assert refused(executor, "if a:\n    b = 1\n   c = 2").rendered == (
        '  File "<statement>", line 3\n'
        "    c = 2\n"
        "         ^\n"
        "IndentationError: unindent does not match any outer indentation level\n"
    )


def test_a_hint_over_several_lines_is_underlined_to_the_end_of_its_first(executor: Executor) -> None:
    assert refused(executor, "x: dict[\n    str, int\n] = {}").rendered == (
        '  File "<statement>", line 1\n'
        "    x: dict[\n"
        "       ^^^^^\n"
        "SyntaxError: type hints are not allowed: remove the one of 'x'\n"
    )


def test_a_null_byte_is_a_syntax_error(executor: Executor) -> None:
    error = refused(executor, "x = 1\ny = '\0'\nreturn []")
    assert (error.message, error.line, error.column) == ("the statement holds a null byte", 2, 6)


@pytest.mark.parametrize(
    "statement",
    [
        "-" * 100_000 + "1",
        "x = " + "(" * 150 + "1" + ")" * 150,
        "x = " + "[" * 99_000,
        "not " * 50_000 + "1",
        "x" + ".a" * 100_000,
        "x = " + "+".join(["1"] * 100_000),
        "".join(f"{' ' * depth}if 1:\n" for depth in range(200)),
        "f(" * 199 + ")" * 199,
        "lambda: " * 20_000 + "1",
        "if 1: pass\n" + "elif 1: pass\n" * 20_000,
        "x = " + "{'a': " * 150 + "1" + "}" * 150,
        "async def f():\n return " + "await " * 50_000 + "1",
        "1" + " if 1 else 1" * 50_000,
        "f'" + "{" * 300 + "'",
    ],
)
def test_nesting_however_deep_ends_in_a_syntax_error_or_runs_but_never_traps(
    executor: Executor, statement: str
) -> None:
    result = executor.run(statement)
    assert result.status in (Status.CONFIG_REFUSED, Status.OUTPUT_REFUSED, Status.STATEMENT_RAISED)
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


def test_nesting_that_the_parser_gives_up_on_is_called_by_its_name(executor: Executor) -> None:
    error = refused(executor, "-" * 100_000 + "1")
    assert (error.rule, error.message, error.line) == ("syntax", "the statement is nested too deeply", 1)
    assert error.text == "-" * 500


def test_a_syntax_warning_goes_to_the_log(executor: Executor) -> None:
    result = executor.run("x = 1\nif x is 1:\n    pass\nreturn []")
    assert [(record.level, record.message) for record in result.logs] == [
        ("warn", 'SyntaxWarning: "is" with a literal. Did you mean "=="? (line 2)')
    ]
