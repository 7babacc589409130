"""Coverage: a statement with a counter in each branch, and what it says of them when it ends.

The counters go into the text that is submitted, and come back as the last record of the log. Untrusted code writes
them: they guide the search and never judge, and a finding is confirmed with the statement as it is.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..result import LogRecord

_NAME = "_wasmexec_probes"
_MARK = "wasmexec-probes:"
_MOST = 4000
_MOST_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Probed:
    """A statement with probes: its text, and for each probe the line of the original that it is for."""

    text: str
    lines: Sequence[int]

    def hits(self, logs: Sequence[LogRecord]) -> frozenset[tuple[int, int]]:
        """Pairs of a probe and how often it was passed, as a power of two; none if the execution did not tell."""
        message = next((record.message for record in reversed(logs) if record.message.startswith(_MARK)), "")
        return frozenset() if len(message) > _MOST_TEXT else _hits(message, len(self.lines))


@lru_cache(maxsize=256)
def _hits(message: str, size: int) -> frozenset[tuple[int, int]]:
    """What a message says of so many probes; most executions say what another has said."""
    try:
        counts = json.loads(message.removeprefix(_MARK) or "[]")
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(counts, list) or len(counts) != size:
        return frozenset()
    return frozenset(
        (index, min(count.bit_length(), 16)) for index, count in enumerate(counts) if type(count) is int and count > 0
    )


def probed(statement: str) -> Probed | None:
    """The statement with probes; None where it has no branch, or cannot have them."""
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if any(_binds_log(node) for node in ast.walk(tree)):
        return None
    adder = _Adder()
    try:
        body = adder.visit(tree).body
        lines = adder.lines
        if not lines or len(lines) > _MOST:
            return None
        frame = ast.parse(
            f"{_NAME} = [0] * {len(lines)}\ntry:\n    pass\nfinally:\n    log.trace(f'{_MARK}{{{_NAME}}}')\n"
        )
        outer = frame.body[1]
        assert isinstance(outer, ast.Try)
        outer.body = body
        return Probed(ast.unparse(ast.fix_missing_locations(frame)), lines)
    except RecursionError:
        return None


class _Adder(ast.NodeTransformer):
    """Puts a counter at the beginning of each branch arm, loop, handler and function."""

    def __init__(self) -> None:
        self.lines: list[int] = []

    def visit(self, node: ast.AST) -> Any:
        """The node with probes in it."""
        self.generic_visit(node)
        match node:
            case ast.If() | ast.While():
                node.body = self._counted(node.body)
                node.orelse = self._arm(node.orelse, node)
            case ast.For() | ast.AsyncFor():
                node.body = self._counted(node.body)
                node.orelse = self._counted(node.orelse) if node.orelse else []
            case ast.Try():
                node.orelse = self._counted(node.orelse) if node.orelse else []
            case ast.ExceptHandler() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.match_case():
                node.body = self._counted(node.body)
            case ast.IfExp():
                node.body = self._value(node.body)
                node.orelse = self._value(node.orelse)
        return node

    def _arm(self, body: list[ast.stmt], node: ast.If | ast.While) -> list[ast.stmt]:
        """The other arm, which is there also where it is not written: then its line is that of the condition."""
        return self._counted(body) if body else [self._count(node.lineno)]

    def _counted(self, body: list[ast.stmt]) -> list[ast.stmt]:
        first = body[0]
        declares = isinstance(first, (ast.Nonlocal, ast.Global)) or (
            isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        )
        return [first, self._count(first.lineno), *body[1:]] if declares else [self._count(first.lineno), *body]

    def _count(self, line: int) -> ast.stmt:
        self.lines.append(line)
        [made] = ast.parse(f"{_NAME}[{len(self.lines) - 1}] += 1").body
        return made

    def _value(self, value: ast.expr) -> ast.expr:
        """`(count, value)[1]`: an expression counts by a method."""
        self.lines.append(value.lineno)
        number = len(self.lines) - 1
        [made] = ast.parse(f"({_NAME}.__setitem__({number}, {_NAME}[{number}] + 1), None)[1]").body
        assert isinstance(made, ast.Expr)
        assert isinstance(made.value, ast.Subscript)
        assert isinstance(made.value.value, ast.Tuple)
        made.value.value.elts[1] = value
        return made.value


def _binds_log(node: ast.AST) -> bool:
    """Whether the statement has another `log` than the one that tells."""
    match node:
        case ast.Name(id="log", ctx=ast.Store() | ast.Del()) | ast.arg(arg="log"):
            return True
        case ast.FunctionDef(name="log") | ast.AsyncFunctionDef(name="log") | ast.ClassDef(name="log"):
            return True
        case ast.alias(name=name, asname=asname):
            return (asname or name.partition(".")[0]) == "log"
        case ast.MatchAs(name="log") | ast.MatchStar(name="log") | ast.ExceptHandler(name="log"):
            return True
    return False
