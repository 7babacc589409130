"""A statement's text becomes the code of one async function, or the problems that keep it from doing so.

The statement is parsed as it stands and its AST put into an `async def`, so lines, columns and multi-line strings stay
as they were written. Beyond CPython's own syntax errors two things are refused: type hints, and `yield` at the top
level.
"""

from __future__ import annotations

import ast
import marshal
import re
import traceback
import types
from collections.abc import Iterator, Sequence
from inspect import CO_ASYNC_GENERATOR
from typing import NamedTuple, TypedDict

from . import errors, logs, syntaxhints, texts
from .errors import FILENAME

MAX_TEXT_CHARS = 500
"""Longest line of a statement that is shown whole."""

MISSING_RETURN = "\0the statement ended without a return\0"
"""What the function returns when the statement falls off its end; no statement returns it by accident."""

_EXTRA_INPUT = re.compile(r"INPUT_DATA(?:[2-9]|[1-9][0-9]+)\b")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPOUND = (
    *_FUNCTIONS, ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try,
    ast.TryStar, ast.Match,
)  # fmt: skip
_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
TOO_DEEP = "the statement is nested too deeply"
_YIELD = (
    "'yield' is not allowed at the top level: the statement is the body of an async function whose returned list is "
    "the output; collect the rows in a list and return it"
)


class Problem(TypedDict):
    """One thing that is wrong with a statement; lines and columns count from 1, columns in characters."""

    rule: str
    message: str
    line: int
    column: int
    end_line: int | None
    end_column: int | None
    text: str


class StatementRefused(Exception):
    """The statement does not compile; `problems` is never empty."""

    def __init__(self, problems: Sequence[Problem], kind: type[SyntaxError] = SyntaxError) -> None:
        super().__init__(problems[0]["message"])
        self.problems = problems
        self.kind = kind

    def as_error(self) -> dict[str, object]:
        """The error record of a done frame: the first problem, and the line with its caret as CPython shows it."""
        problem = self.problems[0]
        text, column, end_column = problem["text"], problem["column"], problem["end_column"]
        if end_column is not None and problem["end_line"] != problem["line"]:
            end_column = len(text) + 1
        shown = self.kind(
            problem["message"], (FILENAME, problem["line"], column, text, problem["line"], end_column or column + 1)
        )
        return {"kind": "syntax", **problem, "rendered": "".join(traceback.format_exception_only(shown))}


class Source:
    """The text of a statement, by lines."""

    __slots__ = ("lines", "text")

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.lines = errors.lines_of(text)

    def line(self, number: int) -> str:
        """Line `number`, from 1; empty if there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def shown_line(self, number: int) -> str:
        """Line `number` as far as it is shown."""
        return texts.for_cut(self.line(number), MAX_TEXT_CHARS)[:MAX_TEXT_CHARS]

    def column(self, number: int, utf8_offset: int) -> int:
        """The column, from 1, of a place that the AST gives in bytes from 0."""
        start = self.line(number).encode("utf-8", "surrogatepass")[:utf8_offset]
        return len(start.decode("utf-8", "replace")) + 1

    def problem(self, rule: str, message: str, node: ast.AST) -> Problem:
        """A problem at `node`."""
        assert isinstance(node, ast.stmt | ast.expr | ast.arg | ast.alias)
        end_line, end_offset = node.end_lineno, node.end_col_offset
        return {
            "rule": rule,
            "message": message,
            "line": node.lineno,
            "column": self.column(node.lineno, node.col_offset),
            "end_line": end_line,
            "end_column": None if end_line is None or end_offset is None else self.column(end_line, end_offset),
            "text": self.shown_line(node.lineno),
        }

    def problem_at(self, rule: str, message: str, line: int, column: int = 1) -> Problem:
        """A problem at one character."""
        return {
            "rule": rule, "message": message, "line": line, "column": column, "end_line": None, "end_column": None,
            "text": self.shown_line(line),
        }  # fmt: skip

    def syntax_problem(self, error: SyntaxError) -> Problem:
        """CPython's own syntax error as a problem."""
        line = min(max(error.lineno or 1, 1), len(self.lines))
        column, end_column = error.offset or 1, error.end_offset or 0
        if error.text is None:
            # From the compiler, which counts bytes; the parser counts characters.
            column = self.column(line, column - 1)
            end_column = self.column(error.end_lineno or line, end_column - 1) if end_column > 0 else 0
        return {
            "rule": "syntax",
            "message": error.msg,
            "line": line,
            "column": max(column, 1),
            "end_line": error.end_lineno if end_column > 0 else None,
            "end_column": end_column if end_column > 0 else None,
            "text": self.shown_line(line),
        }


def parse(source: Source) -> ast.Module:
    """The AST of the text.

    Raises: StatementRefused: it has none.
    """
    try:
        tree = compile(source.text, FILENAME, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        raise StatementRefused([source.syntax_problem(error)], type(error)) from None
    except UnicodeEncodeError as error:
        line = source.text.count("\n", 0, error.start) + 1
        message = "the statement holds a lone surrogate, which no UTF-8 text can"
        raise StatementRefused([source.problem_at("syntax", message, line)]) from None
    except ValueError:
        line = next(number for number, text in enumerate(source.lines, 1) if "\0" in text)
        column = source.line(line).index("\0") + 1
        raise StatementRefused([source.problem_at("syntax", "the statement holds a null byte", line, column)]) from None
    except (RecursionError, MemoryError):
        raise StatementRefused([source.problem_at("syntax", TOO_DEEP, 1)]) from None
    assert isinstance(tree, ast.Module)
    return tree


def statements_in(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement in `body`, also those in compound statements, functions and classes, in source order."""
    waiting = body[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _COMPOUND):
            parts: list[ast.stmt] = []
            for field in ("body", "handlers", "cases", "orelse", "finalbody"):
                for part in getattr(node, field, ()):
                    if isinstance(part, ast.stmt):
                        parts.append(part)
                    else:
                        parts += part.body
            waiting += parts[::-1]


def type_hints(source: Source, body: list[ast.stmt]) -> list[Problem]:
    """A problem for each annotation: of a variable, a parameter, a returned value."""
    found: list[Problem] = []

    def report(annotation: ast.expr | None, what: str) -> None:
        if annotation is not None:
            message = f"type hints are not allowed: remove the one of {what}"
            found.append(source.problem("type-hint", message, annotation))

    # Annotations occur in statements only: no expression has to be looked into.
    for node in statements_in(body):
        if isinstance(node, ast.AnnAssign):
            report(node.annotation, texts.for_cut(f"'{ast.unparse(node.target)}'", 100)[:100])
        elif isinstance(node, _FUNCTIONS):
            args = node.args
            parameters = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
            for parameter in parameters:
                if parameter is not None:
                    report(parameter.annotation, f"parameter '{parameter.arg}' of {node.name}()")
            report(node.returns, f"the value that {node.name}() returns")
    return found


def top_level_yields(source: Source, body: list[ast.stmt]) -> list[Problem]:
    """A problem for each `yield` that would belong to the statement itself."""
    found: list[Problem] = []
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            found.append(source.problem("yield", _YIELD, node))
        if isinstance(node, _FUNCTIONS):
            # Decorators and defaults are evaluated outside of the function.
            waiting += [*node.decorator_list, *node.args.defaults, *(x for x in node.args.kw_defaults if x is not None)]
        elif isinstance(node, ast.Lambda):
            waiting += [*node.args.defaults, *(x for x in node.args.kw_defaults if x is not None)]
        elif isinstance(node, ast.ClassDef):
            waiting += [*node.decorator_list, *node.bases, *node.keywords]
        else:
            waiting += ast.iter_child_nodes(node)
    return sorted(found, key=lambda problem: (problem["line"], problem["column"]))


def build(source: Source, tree: ast.Module) -> types.CodeType:
    """The code of the async function whose body is `tree`; `tree` must not be used afterwards.

    Raises: StatementRefused: CPython's compiler refuses it, or it yields.
    """
    body = tree.body
    last = len(source.lines)
    end = {"lineno": last, "col_offset": 0, "end_lineno": last, "end_col_offset": 0}
    missing = ast.Return(value=ast.Constant(MISSING_RETURN, None, **end), **end)
    function = ast.AsyncFunctionDef(
        name=FILENAME, args=_NO_ARGUMENTS, body=[*body, missing], decorator_list=[], lineno=1, col_offset=0,
        end_lineno=last, end_col_offset=0,
    )  # fmt: skip
    tree.body = [function]
    try:
        module: types.CodeType = compile(tree, FILENAME, "exec", 0, dont_inherit=True)
    except SyntaxError as error:
        problem = source.syntax_problem(error)
        problem["message"] += syntaxhints.hint(problem["message"], problem["line"], body)
        raise StatementRefused(top_level_yields(source, body) or [problem], type(error)) from None
    except (RecursionError, MemoryError):
        raise StatementRefused([source.problem_at("syntax", TOO_DEEP, 1)]) from None
    for constant in module.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_flags & CO_ASYNC_GENERATOR:
                break
            return constant
    raise StatementRefused(top_level_yields(source, body) or [source.problem_at("yield", _YIELD, 1)])


def compile_statement(text: str) -> types.CodeType:
    """The code of the async function whose body is `text`.

    Raises: StatementRefused: it has a syntax error, a type hint or a `yield` at the top level.
    """
    source = Source(text)
    errors.remember_source(text)
    tree = parse(source)
    hints = type_hints(source, tree.body)
    if hints:
        raise StatementRefused(hints)
    return build(source, tree)


class Compiled(NamedTuple):
    """A statement's code and what running it takes.

    records: what compiling it wrote to the log, levels and messages (warnings). extra_inputs: each INPUT_DATA<n> in it.
    may_suspend: whether it may wait. may_leave_coroutines: whether it may make some that nobody awaits.
    """

    code: types.CodeType
    records: list[tuple[int, str]]
    extra_inputs: list[str]
    may_suspend: bool
    may_leave_coroutines: bool


def compile_whole(text: str) -> Compiled:
    """The statement `text`, ready to run; what its compiler has to say goes to the log.

    Raises: StatementRefused: as `compile_statement`.
    """
    code = compile_statement(text)
    return Compiled(
        code, [], _EXTRA_INPUT.findall(text) if "INPUT_DATA" in text else [], "await" in text or "async" in text,
        "sleep" in text or "gather" in text or "sync" in text,
    )  # fmt: skip


def compile_to_bytes(text: str) -> bytes:
    """What `load_compiled` makes a statement of in another instance of the same image.

    Raises: StatementRefused: as `compile_statement`.
    """
    records: list[tuple[int, str]] = []
    with logs.diverted(records):
        compiled = compile_whole(text)
    return marshal.dumps((compiled.code, records, *compiled[2:]))


def load_compiled(data: bytes | memoryview, text: bytes) -> Compiled:
    """The statement `text` (UTF-8), from what `compile_to_bytes` gave; tells the log what its compiler said."""
    errors.remember_source(text)
    compiled = Compiled(*marshal.loads(data))
    for level, message in compiled.records:
        logs.emit(level, message)
    return compiled
