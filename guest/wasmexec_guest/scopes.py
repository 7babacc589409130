"""Which names a statement binds and reads in which of its functions, classes and comprehensions.

The statement itself is a function too. Nothing is evaluated; every pass is a loop, so that no depth ends in recursion.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
ScopeNode: TypeAlias = FunctionNode | ast.Lambda | ast.ClassDef | Comprehension | None

_CODE_NAMES = {
    ast.Lambda: "<lambda>", ast.ListComp: "<listcomp>", ast.SetComp: "<setcomp>", ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}  # fmt: skip
_GIVEN = frozenset((*vars(builtins), "log", "sleep", "gather", "DATA_CHECKPOINT", "LocalVariable", "__name__"))
_INPUT = re.compile(r"INPUT_DATA(?:[2-9]|[1-9][0-9]+)?")


def is_given(name: str) -> bool:
    """Whether every statement finds this name without binding it."""
    return name in _GIVEN or _INPUT.fullmatch(name) is not None


@dataclass(eq=False)
class Scope:
    """One function, class or comprehension; `node` is None for the statement itself."""

    node: ScopeNode
    parent: Scope | None
    bound: dict[str, list[ast.AST]] = field(default_factory=dict)
    read: dict[str, list[ast.Name]] = field(default_factory=dict)
    augmented: dict[str, int] = field(default_factory=dict)
    declared_global: dict[str, ast.Global] = field(default_factory=dict)
    declared_nonlocal: dict[str, ast.Nonlocal] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    dropped: list[ast.Call] = field(default_factory=list)
    local_items: list[tuple[str, ast.Subscript]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its code object."""
        node = self.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return node.name
        return "<statement>" if node is None else _CODE_NAMES[type(node)]

    @property
    def title(self) -> str:
        """How messages call it."""
        match self.node:
            case None:
                return "the statement"
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return f"{self.node.name}()"
            case ast.ClassDef():
                return f"class {self.node.name}"
            case ast.Lambda():
                return "the lambda"
        return "the comprehension"

    def owns(self, name: str) -> bool:
        """Whether `name` is a variable of this very scope."""
        return name in self.bound and name not in self.declared_global and name not in self.declared_nonlocal

    def owner(self, name: str) -> Scope | None:
        """The scope whose variable `name` means when it is read here; None when it is global."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.declared_global:
                return None
            if scope.owns(name) and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope
            scope = scope.parent
        return None


def analyse(body: list[ast.stmt]) -> list[Scope]:
    """Every scope of a statement with this body; the first is the statement's own."""
    scopes = [Scope(None, None)]
    waiting: list[tuple[ast.AST, Scope]] = [(node, scopes[0]) for node in reversed(body)]
    while waiting:
        node, scope = waiting.pop()
        inner = _inner_scope(node, scope)
        if inner is not None:
            scopes.append(inner)
        waiting += reversed([(part, inner if is_inside and inner else scope) for part, is_inside in _parts(node)])
        _note(node, scope)
    return scopes


def _inner_scope(node: ast.AST, scope: Scope) -> Scope | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | Comprehension):
        inner = Scope(node, scope)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            args = node.args
            for arg in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg):
                if arg is not None:
                    inner.bound.setdefault(arg.arg, []).append(arg)
        return inner
    return None


def _parts(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The children of a node, and whether they belong to the scope that it opens."""
    outside: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        outside = [*getattr(node, "decorator_list", ()), *node.args.defaults, *node.args.kw_defaults]
        inside: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
    elif isinstance(node, ast.ClassDef):
        outside = [*node.decorator_list, *node.bases, *node.keywords]
        inside = [*node.body]
    elif isinstance(node, Comprehension):
        first, *others = node.generators
        outside = [first.iter]
        inside = [first.target, *first.ifs, *others]
        inside += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    else:
        inside = [*ast.iter_child_nodes(node)]
    yield from ((part, False) for part in outside if part is not None)
    yield from ((part, True) for part in inside)


def _note(node: ast.AST, scope: Scope) -> None:
    """Put down what a node binds, reads or declares."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            scope.read.setdefault(name, []).append(node)
        case ast.Name(id=name):
            scope.bound.setdefault(name, []).append(node)
        case ast.NamedExpr(target=ast.Name(id=name)):
            outer = scope
            while isinstance(outer.node, Comprehension) and outer.parent is not None:
                outer = outer.parent
            outer.bound.setdefault(name, []).append(node)
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if any(
            read.id == name for read in read_at_once(value)
        ):
            scope.augmented[name] = scope.augmented.get(name, 0) + 1
        case ast.AugAssign(target=ast.Name(id=name)):
            scope.augmented[name] = scope.augmented.get(name, 0) + 1
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            scope.bound.setdefault(name, []).append(node)
        case ast.Import() | ast.ImportFrom():
            for alias in node.names:
                scope.bound.setdefault(alias.asname or alias.name.partition(".")[0], []).append(alias)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            scope.bound.setdefault(name, []).append(node)
        case ast.MatchMapping(rest=str(name)):
            scope.bound.setdefault(name, []).append(node)
        case ast.Global():
            scope.declared_global |= dict.fromkeys(node.names, node)
        case ast.Nonlocal():
            scope.declared_nonlocal |= dict.fromkeys(node.names, node)
        case ast.Call():
            scope.calls.append(node)
        case ast.Expr(value=ast.Call() as call):
            scope.dropped.append(call)
        case ast.Return(value=ast.Call() as call) if scope.node is None:
            scope.dropped.append(call)
        case ast.Subscript(
            value=ast.Call(func=ast.Name(id="locals" | "vars"), args=[]),
            slice=ast.Constant(value=str(name)),
            ctx=ast.Store(),
        ):
            scope.local_items.append((name, node))


def read_at_once(expression: ast.AST) -> Iterator[ast.Name]:
    """The names that are read when `expression` is evaluated, those within lambdas and generators left out."""
    waiting: list[tuple[ast.AST, frozenset[str]]] = [(expression, frozenset())]
    while waiting:
        node, inner = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in inner:
            yield node
        if isinstance(node, Comprehension):
            waiting.append((node.generators[0].iter, inner))
            if isinstance(node, ast.GeneratorExp):
                continue
            targets = [part for generator in node.generators for part in ast.walk(generator.target)]
            inner |= {part.id for part in targets if isinstance(part, ast.Name)}
        if not isinstance(node, ast.Lambda):
            waiting += [(part, inner) for part in ast.iter_child_nodes(node)]


def names_made_by(code: str) -> set[str]:
    """The names that running `code` would bind at its top level; empty if it does not parse."""
    try:
        return set(analyse(ast.parse(code).body)[0].bound) - {"*"}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def exec_calls(scopes: list[Scope]) -> Iterator[ast.Call]:
    """Every `exec(code)` without a namespace of its own."""
    for scope in scopes:
        for call in scope.calls:
            match call:
                case ast.Call(func=ast.Name(id="exec"), args=[_], keywords=[]) if scope.owner("exec") is None:
                    yield call
