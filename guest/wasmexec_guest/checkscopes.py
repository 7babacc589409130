"""The part of the static check that is about names: what fails, or does nothing, because a statement is a function.

Only what is certain is a problem: a line that must fail if it is reached, or that cannot do what it is for. Lines in
a `try` are not judged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from . import scopehints
from .scopes import Scope, analyse, exec_calls, is_given, names_made_by, read_at_once

Finding = tuple[ast.AST, str]

_QUERIED = re.compile(r"@([A-Za-z_][A-Za-z0-9_]{0,99})")


def findings(body: list[ast.stmt]) -> Iterator[Finding]:
    """Each place in a statement and what is wrong with it, in no particular order."""
    scopes = analyse(body)
    is_tried = _tried_lines(body)
    set_inside = {name for scope in scopes for name in scope.declared_nonlocal}
    for scope in scopes:
        lines = body if scope.node is None else getattr(scope.node, "body", [])
        for node, message in (
            *_wrong_globals(scope, scopes[0]),
            *_read_before_assigned(scope, lines, set_inside),
            *_class_names(scope),
            *_made_by_locals(scope),
            *_never_awaited(scope),
            *_lists_to_gather(scope),
        ):
            if not is_tried(getattr(node, "lineno", 0)):
                yield node, message
    yield from _made_by_exec(scopes)
    yield from _queries(scopes)


def _tried_lines(body: list[ast.stmt]) -> Callable[[int], bool]:
    """Tells whether a line is in a `try` with handlers."""
    lines: set[int] = set()
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Try | ast.TryStar) and node.handlers:
            # All below is tried as well and need not be looked into, so every line is taken once.
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        else:
            waiting += ast.iter_child_nodes(node)
    return lines.__contains__


def _wrong_globals(scope: Scope, statement: Scope) -> Iterator[Finding]:
    """`global name` for a variable of the statement."""
    for name, node in scope.declared_global.items():
        if scope is not statement and statement.owns(name):
            yield node, scopehints.of_global(name)


def _read_before_assigned(scope: Scope, lines: list[ast.stmt], set_inside: set[str]) -> Iterator[Finding]:
    """A function's own variable that is read where it cannot have a value yet, and has one outside.

    `set_inside` are names that an inner function may give their first value.
    """
    if not isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef | None):
        return
    first_bound = {name: min(map(_place, nodes)) for name, nodes in scope.bound.items()}
    reads: dict[str, ast.AST] = {
        name: scope.bound[name][0] for name, count in scope.augmented.items() if count == len(scope.bound[name])
    }
    for line in lines:
        for read in _read_at_once(line):
            if read.id in first_bound and _place(line) <= first_bound[read.id]:
                reads.setdefault(read.id, read)
    for name, node in reads.items():
        outer = None if scope.parent is None else scope.parent.owner(name)
        if scope.owns(name) and name not in set_inside and (outer is not None or is_given(name)):
            yield node, scopehints.of_own(name, scope, outer)


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _read_at_once(line: ast.stmt) -> Iterator[ast.Name]:
    """The names that a line of a function's body reads before it can bind any."""
    first: ast.AST | None = None
    match line:
        case ast.AugAssign(target=ast.Name() as target):
            yield target
            first = line.value
        case ast.Assign() | ast.AugAssign() | ast.Expr() | ast.Return():
            first = line.value
        case ast.If() | ast.While() | ast.Assert():
            first = line.test
        case ast.For() | ast.AsyncFor():
            first = line.iter
        case ast.With() | ast.AsyncWith():
            first = line.items[0].context_expr
        case ast.Match():
            first = line.subject
    if first is not None:
        yield from read_at_once(first)


def _class_names(scope: Scope) -> Iterator[Finding]:
    """A name of a class body, read in a method or comprehension of it."""
    for name, nodes in scope.read.items():
        owner = None if is_given(name) else scopehints.class_around(name, scope)
        if owner is not None:
            yield nodes[0], scopehints.of_class(name, scope, owner)


def _made_by_exec(scopes: list[Scope]) -> Iterator[Finding]:
    """A name that only an `exec` was to bind."""
    made: set[str] = set()
    for call in exec_calls(scopes):
        argument = call.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            made |= names_made_by(argument.value)
    made.difference_update(*(scope.declared_global for scope in scopes))
    for scope in scopes if made else ():
        for name, nodes in scope.read.items():
            if name in made and scope.owner(name) is None and not is_given(name):
                made.discard(name)
                yield nodes[0], scopehints.of_exec(name)


def _made_by_locals(scope: Scope) -> Iterator[Finding]:
    if not isinstance(scope.node, ast.ClassDef):
        for name, node in scope.local_items:
            yield node, scopehints.of_locals(name)


def _queries(scopes: list[Scope]) -> Iterator[Finding]:
    """`frame.query("x > @limit")` in a function that does not use `limit` otherwise, so that it is none of its own."""
    used: dict[Scope, set[str]] | None = None
    for scope in scopes[1:]:
        for call in scope.calls:
            match call:
                case ast.Call(func=ast.Attribute(attr="query" | "eval"), args=[ast.Constant(value=str(text)), *_]) if (
                    not any(keyword.arg in ("local_dict", "level", None) for keyword in call.keywords)
                ):
                    used = _used_within(scopes) if used is None else used
                    for name in dict.fromkeys(_QUERIED.findall(text)):
                        if scope.owner(name) not in (None, scope) and name not in used[scope]:
                            yield call, scopehints.of_query(name)


def _used_within(scopes: list[Scope]) -> dict[Scope, set[str]]:
    """The names that each scope, or one in it, reads or sets, so that it has the outer ones as variables too."""
    used: dict[Scope, set[str]] = {scope: set() for scope in scopes}
    for scope in scopes:
        outer: Scope | None = scope
        while outer is not None:
            used[outer].update(scope.read, scope.declared_nonlocal)
            outer = outer.parent
    return used


def _never_awaited(scope: Scope) -> Iterator[Finding]:
    """A call of a coroutine function whose result nothing is done with."""
    for call in scope.dropped:
        if isinstance(call.func, ast.Name) and is_coroutine_function(call.func.id, scope):
            yield call, f"{call.func.id}() only makes a coroutine: write `await {call.func.id}(...)`"


def is_coroutine_function(name: str, scope: Scope) -> bool:
    """Whether `name` is an `async def` of the statement, without `yield`, or one that every statement has."""
    owner = scope.owner(name)
    if owner is None:
        return name in ("sleep", "gather")
    nodes = owner.bound[name]
    return len(nodes) == 1 and isinstance(nodes[0], ast.AsyncFunctionDef) and not _yields(nodes[0])


def _yields(function: ast.AsyncFunctionDef) -> bool:
    return any(isinstance(node, ast.Yield) for node in ast.walk(function))


def _lists_to_gather(scope: Scope) -> Iterator[Finding]:
    """`gather([...])`."""
    for call in scope.calls:
        match call:
            case ast.Call(
                func=ast.Name(id="gather"),
                args=[ast.List() | ast.Tuple() | ast.ListComp() | ast.GeneratorExp() as argument],
            ) if scope.owner("gather") is None:
                yield argument, "gather() takes awaitables one by one, not a list: write `gather(*calls)`"
