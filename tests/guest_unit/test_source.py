"""statement.py: lines and columns are CPython's own, whatever characters and line ends a statement has."""

from __future__ import annotations

import ast
import io
import string
import tokenize
import types
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wasmexec_guest import statement
from wasmexec_guest.statement import Source, StatementRefused

# Characters that str.splitlines takes for line ends and CPython's tokenizer does not, and some of each width in UTF-8.
ODD = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029äß€𝄞\u0301\t "
LITERAL = st.text(ODD + "abc", max_size=8)
LINE_END = st.sampled_from(["\n", "\r\n", "\r"])
NAME = st.sampled_from(["a", "name", "größe", "名前", "_x1", "𝐱"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Statements of a few lines: assignments of odd literals and uses of names, with odd line ends."""
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        line = draw(
            st.one_of(
                st.builds("{} = '{}'; {}".format, NAME, LITERAL, NAME),
                st.builds("# {}".format, LITERAL),
                st.builds("{}('''{}{}{}''', {})".format, NAME, LITERAL, LINE_END, LITERAL, NAME),
                st.just(""),
            )
        )
        lines.append(line + draw(LINE_END))
    return draw(st.sampled_from(["", "\ufeff"])) + "".join(lines)


@given(texts())
def test_the_lines_are_those_of_cpythons_tokenizer(text: str) -> None:
    source = Source(text)
    tokens = list(tokenize.generate_tokens(io.StringIO("\n".join(source.lines), newline="\n").readline))
    for token in tokens:
        if token.type == tokenize.NAME:
            line, column = token.start
            assert source.line(line)[column:].startswith(token.string)
    names = [node for node in ast.walk(statement.parse(source)) if isinstance(node, ast.Name)]
    by_tree = sorted((node.lineno, source.column(node.lineno, node.col_offset) - 1) for node in names)
    assert by_tree == [token.start for token in tokens if token.type == tokenize.NAME]


@given(texts(), st.sampled_from(["x: int = 1", "def f(a: int): pass", "def f() -> int: pass"]), LINE_END)
def test_a_type_hint_is_reported_where_it_stands(text: str, line: str, end: str) -> None:
    source = Source(text + line + end)
    [problem] = statement.type_hints(source, statement.parse(source).body)
    assert problem["rule"] == "type-hint"
    assert problem["text"] == line == source.line(problem["line"])
    assert (problem["end_line"], problem["end_column"]) == (problem["line"], problem["column"] + 3)
    assert line[problem["column"] - 1 :].startswith("int")


@given(texts())
def test_a_syntax_error_is_where_cpython_sees_it(text: str) -> None:
    broken = text + "a = = 1\n"
    with pytest.raises(StatementRefused) as caught:
        statement.parse(Source(broken))
    [problem] = caught.value.problems
    assert (problem["text"], problem["column"]) == ("a = = 1", 5)
    assert Source(broken).line(problem["line"]) == "a = = 1"
    assert 'File "<statement>"' in str(caught.value.as_error()["rendered"])


def code_or_refusal(text: str) -> types.CodeType | StatementRefused:
    try:
        return statement.compile_statement(text)
    except StatementRefused as refused:
        return refused


@given(
    st.text(max_size=60)
    | st.text(string.printable, max_size=60)
    | st.text("()[]{}:;'\"\\\n\t#=,.*@ifdefyrnwx01 \0\ud800")
)
def test_any_text_is_code_or_refused_with_a_place_inside_it(text: str) -> None:
    outcome = code_or_refusal(text)
    if isinstance(outcome, types.CodeType):
        return
    assert outcome.problems
    assert outcome.as_error()["kind"] == "syntax"
    source = Source(text)
    for problem in outcome.problems:
        assert 1 <= problem["line"] <= len(source.lines)
        assert problem["column"] >= 1
        assert problem["text"] == source.line(problem["line"])[: statement.MAX_TEXT_CHARS]
        assert problem["message"]


@given(st.text(), st.integers(-3, 10), st.integers(0, 100))
def test_no_place_is_outside_of_every_text(text: str, line: int, offset: int) -> None:
    source = Source(text)
    assert source.line(line) in ("", *source.lines)
    assert 1 <= source.column(line, offset) <= len(source.line(line)) + 1


@given(st.text("abä€𝄞", max_size=20), st.integers(0, 20))
def test_a_column_counts_characters_where_the_tree_counts_bytes(text: str, index: int) -> None:
    assume(index <= len(text))
    assert Source(text).column(1, len(text[:index].encode())) == index + 1


def run(text: str) -> Any:
    """What a statement without `await` returns."""
    function = types.FunctionType(statement.compile_statement(text), {"__builtins__": __builtins__})
    try:
        function().send(None)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("return 1", 1),
        ("return 1;", 1),
        ("x = 1", statement.MISSING_RETURN),
        ("", statement.MISSING_RETURN),
        ("# only a comment", statement.MISSING_RETURN),
        ("return '''a\n  b\n'''", "a\n  b\n"),
        ("def f():\n\treturn 2\nreturn f()", 2),
        ("\ufeffreturn 3", 3),
        ("if True:\r\n    return 4\r\n", 4),
        ("class A:\n    _x = 5\nreturn A._x", 5),
        ("return [x async for x in y] if False else 6", 6),
    ],
)
def test_a_statement_is_the_body_of_a_function(text: str, value: object) -> None:
    assert run(text) == value


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("yield", 1, 1),
        ("x = [(yield 1)]", 1, 7),
        ("def f(a=(yield)): pass", 1, 10),
        ("\n\nlambda a=(yield): a", 3, 11),
        ("@(yield)\nclass A: pass", 1, 3),
        ("await (yield)", 1, 8),
        ("yield from x", 1, 1),
    ],
)
def test_a_yield_of_the_statement_itself_is_refused(text: str, line: int, column: int) -> None:
    with pytest.raises(StatementRefused) as caught:
        statement.compile_statement(text)
    [problem] = caught.value.problems
    assert (problem["rule"], problem["line"], problem["column"]) == ("yield", line, column)


@pytest.mark.parametrize(
    "text", ["def f():\n    yield 1", "f = lambda: (yield)", "class A:\n    def f(self):\n        yield"]
)
def test_a_yield_of_an_inner_function_is_allowed(text: str) -> None:
    assert isinstance(statement.compile_statement(text), types.CodeType)


@pytest.mark.parametrize(
    ("text", "kind"), [("(" * 300, "syntax"), ("-" * 100_000 + "1", "syntax"), ("a" + "." * 5, "syntax")]
)
def test_too_much_nesting_is_refused_not_a_crash(text: str, kind: str) -> None:
    with pytest.raises(StatementRefused) as caught:
        statement.compile_statement(text)
    assert caught.value.problems[0]["rule"] == kind
