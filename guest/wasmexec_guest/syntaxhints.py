"""What to write instead of what CPython refuses in a function, and a statement is one.

Loaded before the snapshot and looked at only when a statement does not compile.
"""

from __future__ import annotations

import ast
import sys

from . import importadvice, importgate, scopehints
from .scopes import Scope, analyse, is_given


def hint(message: str, line: int, body: list[ast.stmt]) -> str:
    """The sentence that follows the compiler's own `message` for `line`, or nothing."""
    try:
        return scopehints.sentence(_hint(message, line, body))
    except (RecursionError, MemoryError):
        return ""


def _hint(message: str, line: int, body: list[ast.stmt]) -> str | None:
    if message == "import * only allowed at module level":
        return _star_import(line, body)
    if message.endswith("outside async function") or message.startswith("asynchronous comprehension outside"):
        return _async_hint(line, body)
    if message.startswith("no binding for nonlocal"):
        return _nonlocal_hint(message.split("'")[1], line, body)
    if message.startswith("from __future__ imports"):
        return "The statement is the body of a function: leave it out"
    if message == "'return' outside function":
        return "A class body cannot return"
    return None


def _star_import(line: int, body: list[ast.stmt]) -> str | None:
    """The import of those names that the statement uses."""
    node = next(
        (n for n in _walk(body) if isinstance(n, ast.ImportFrom) and n.lineno == line and n.names[0].name == "*"), None
    )
    if node is None or node.module is None:
        return None
    if node.module not in importgate.LISTED:
        said = importadvice.advice(node.module, (), importgate.LISTED, ())
        return f"the statement is a function, and {node.module!r} is not in the list; {said}"
    module = sys.modules.get(node.module)
    scopes = analyse(body)
    names = {
        name for scope in scopes for name in scope.read
        if scope.owner(name) is None and not is_given(name) and name in vars(module or ast)
    }  # fmt: skip
    used = ", ".join(sorted(names)[:10]) if module is not None else ""
    line_of_code = f"from {node.module} import {used}" if used else f"import {node.module}"
    return f"the statement is a function: write `{line_of_code}`"


def _async_hint(line: int, body: list[ast.stmt]) -> str | None:
    function = _function_at(line, body)
    if function is None or isinstance(function.node, ast.AsyncFunctionDef | ast.ClassDef):
        return None
    return scopehints.of_async(function.name if isinstance(function.node, ast.FunctionDef) else None)


def _nonlocal_hint(name: str, line: int, body: list[ast.stmt]) -> str:
    function = _function_at(line, body)
    if function is None:
        return f"The statement itself is the function: leave `nonlocal {name}` out"
    if is_given(name):
        return f"{name!r} is there in every statement, and nobody's variable: use another name"
    return f"Assign {name!r} in the statement first, above {function.title}"


def _function_at(line: int, body: list[ast.stmt]) -> Scope | None:
    """The innermost function (or lambda) of the statement that `line` is in."""
    found = None
    for scope in analyse(body):
        node = scope.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.lineno <= line:
            found = scope if line <= (node.end_lineno or node.lineno) else found
    return found


def _walk(body: list[ast.stmt]) -> list[ast.AST]:
    return [node for part in body for node in ast.walk(part)]
