"""The static check: every problem of a statement that can be seen without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from . import checkscopes, importgate, scopehints, statement
from .statement import Problem, Source

MAX_PROBLEMS = 1000
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NO_RETURN = "the statement can end here without a return: its last line must return a list of objects"
_BARE_RETURN = "the statement must return a list of objects: return [] when there are no rows"


def check(text: str, not_in_image: Mapping[str, str]) -> list[Problem]:
    """The problems of a statement in source order, MAX_PROBLEMS at most; empty when there are none.

    A statement that CPython cannot parse has one problem. Imports are judged by the gate's own rule, wherever they
    stand; the end of the statement by what can be reached, conditions not evaluated.
    """
    source = Source(text)
    try:
        tree = statement.parse(source)
    except statement.StatementRefused as refused:
        return list(refused.problems)
    body = tree.body
    try:
        problems = [
            *statement.type_hints(source, body),
            *statement.top_level_yields(source, body),
            *refused_imports(source, body, not_in_image),
            *missing_returns(source, body),
            *(source.problem("scope", message, node) for node, message in checkscopes.findings(body)),
        ]
        statement.build(source, tree)
    except statement.StatementRefused as refused:
        problems += [problem for problem in refused.problems if problem not in problems]
    return sorted(problems, key=lambda problem: (problem["line"], problem["column"]))[:MAX_PROBLEMS]


def refused_imports(source: Source, body: list[ast.stmt], not_in_image: Mapping[str, str]) -> Iterator[Problem]:
    """A problem for each import that the gate would refuse, `__import__("...")` of a constant included."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        waiting += ast.iter_child_nodes(node)
        for name, items, level, place in _imported(node):
            message = importgate.refusal(name, items, level, not_in_image)
            if message is not None and name != "__future__":
                yield source.problem("import", message, place)


def _imported(node: ast.AST) -> Iterator[tuple[str, list[str], int, ast.AST]]:
    """What a node imports: the module, the names from it, the level, and the place."""
    match node:
        case ast.Import():
            yield from ((alias.name, [], 0, alias) for alias in node.names)
        case ast.ImportFrom():
            yield node.module or "", [alias.name for alias in node.names], node.level, node
        case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *others], keywords=[]):
            items = []
            if len(others) > 2 and isinstance(others[2], ast.List | ast.Tuple):
                items = [item.value for item in others[2].elts if isinstance(item, ast.Constant)]
            if len(others) < 4:
                yield name, [item for item in items if isinstance(item, str)], 0, node


def missing_returns(source: Source, body: list[ast.stmt]) -> Iterator[Problem]:
    """A problem where the statement can end without a return, and for each return without a value."""
    try:
        falls_through = _falls_through(body)
    except RecursionError:
        falls_through = False
    if falls_through:
        more = scopehints.of_ending(body, source.text)
        message = _NO_RETURN if more is None else f"{_NO_RETURN}; {more}"
        yield (
            source.problem("return", message, body[-1])
            if body
            else source.problem_at("return", message, len(source.lines))
        )
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return) and node.value is None:
            yield source.problem("return", _BARE_RETURN, node)
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _falls_through(body: list[ast.stmt]) -> bool:
    """Whether the end of `body` can be reached."""
    return not any(_ends(node) for node in body)


def _ends(node: ast.stmt) -> bool:
    """Whether nothing after `node` in its block is ever reached."""
    match node:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.If():
            return not (_falls_through(node.body) or _falls_through(node.orelse))
        case ast.With() | ast.AsyncWith():
            return not _falls_through(node.body)
        case ast.While(test=ast.Constant(value=value)) if value:
            return not _has_break(node.body)
        case ast.For() | ast.AsyncFor() | ast.While():
            return not _falls_through(node.orelse) and not _has_break(node.body)
        case ast.Try() | ast.TryStar():
            if not _falls_through(node.finalbody):
                return True
            whole = [*node.body, *node.orelse]
            return not _falls_through(whole) and not any(_falls_through(handler.body) for handler in node.handlers)
        case ast.Match():
            catches_all = any(
                case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
                for case in node.cases
            )
            return catches_all and not any(_falls_through(case.body) for case in node.cases)
        case _:
            return False


def _has_break(body: list[ast.stmt]) -> bool:
    """Whether a `break` in `body` leaves the loop that `body` belongs to."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            waiting += node.orelse
        elif not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)
    return False
