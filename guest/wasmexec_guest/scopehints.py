"""What to write where a name means something else than in a script, because a statement is a function.

The static check and the errors of a run say it in the same words. Loaded before the snapshot, and looked at only when
a statement is checked or has failed.
"""

from __future__ import annotations

import ast
import re
import sys
from types import CodeType

from . import importadvice, importgate
from .scopes import Scope, analyse, exec_calls, is_given, names_made_by

_NAME = re.compile(r"(?:variable|name) '(\w{1,100})'")
_NOT_AWAITED = re.compile(r"'coroutine'|\bcoroutine object\b|of type 'coroutine'")
_MAX_CODE_CHARS = 80
_MODULES = {"np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot", "mpl": "matplotlib", "dt": "datetime"}


def of_global(name: str) -> str:
    """`global` for a variable of the statement."""
    return f"{name!r} is a variable of the statement, which is a function: write `nonlocal {name}`, not `global {name}`"


def of_own(name: str, scope: Scope, outer: Scope | None) -> str:
    """A variable that is read before it has a value, because it is assigned in the same function."""
    made = f"{name!r} is assigned in {scope.title}, and so a variable of {scope.title} from its first line on"
    if outer is not None and isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"{made}: write `nonlocal {name}` first in {scope.title}"
    return f"{made}: give the result another name, `new_{name.lower()} = ...`"


def of_class(name: str, scope: Scope, owner: str) -> str:
    """A name of a class body, read in a function or comprehension within."""
    if isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"{name!r} is a name of class {owner}, which its methods do not see: write `{owner}.{name}`"
    return f"{name!r} is a name of class {owner}, which {scope.title} in it does not see: assign it before the class"


def of_exec(name: str) -> str:
    """A variable that `exec` was to make."""
    return f'in a function exec() makes no variables: write `names = {{}}`, `exec(code, names)`, then `names["{name}"]`'


def of_locals(name: str) -> str:
    """A variable that `locals()[...] = ...` was to make."""
    return f"in a function locals() is a copy, and {name!r} no variable for being in it: use a dict of your own"


def of_query(name: str) -> str:
    """`@name` in a query, in a function that does not use the name otherwise."""
    return (
        f"the expression sees only variables of the function that it stands in, and {name!r} is none of them: "
        f'add the argument `local_dict={{"{name}": {name}}}`'
    )


def of_async(function: str | None) -> str:
    """`await` where it is not possible."""
    if function is None:
        return "a lambda cannot await: write an `async def` instead"
    return f"write `async def {function}(...)`, and `await {function}(...)` where it is called"


def of_import(name: str) -> str | None:
    """A module that nobody imported."""
    if name in _MODULES:
        return f"write `import {_MODULES[name]} as {name}`"
    if name in importgate.LISTED:
        return f"write `import {name}`"
    served = importadvice.served(name, () if "pandas" in sys.modules else ("pandas",))
    return None if served is None else f"{name!r} is not among the modules of the list; {served}"


def of_ending(body: list[ast.stmt], source: str) -> str | None:
    """The last line of a statement that ends without a return."""
    match body[-1] if body else None:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), body=[*_, ast.Expr(value=value)]):
            place = " there"
        case ast.Expr(value=ast.Call(func=ast.Name(id="print") | ast.Attribute(value=ast.Name(id="log")))):
            return None
        case ast.Expr(value=value):
            place = ""
        case _:
            return None
    text = ast.get_source_segment(source, value)
    short = text is not None and "\n" not in text and len(text) <= _MAX_CODE_CHARS
    return f"write `return {text}`{place}" if short and not isinstance(value, ast.Constant) else None


def sentence(text: str | None) -> str:
    """A hint as it follows CPython's own message."""
    return f". {text[0].upper()}{text[1:]}" if text else ""


def for_error(error: BaseException, source: str, code: CodeType | None) -> str | None:
    """What to write instead, if `error` has to do with what a name means; `code` is the innermost of the statement."""
    text = str(error)
    if isinstance(error, TypeError | AttributeError):
        return _of_awaiting(text)
    if not isinstance(error, NameError):
        return None
    try:
        scopes = analyse(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = _NAME.search(text)
    name = getattr(error, "name", None) or (found.group(1) if found else None)
    scope = _scope_of(code, scopes)
    if not isinstance(name, str) or scope is None:
        return None
    if isinstance(error, UnboundLocalError):
        return _of_unbound(name, scope)
    if "free variable" in text:
        return f"{name!r} has no value yet: assign it above the line that calls {scope.title}"
    if type(error) is not NameError:
        # Source: pandas.errors.UndefinedVariableError, of `query` and `eval`.
        return _of_query(name, scope, text)
    return _of_undefined(name, scope, scopes)


def _of_query(name: str, scope: Scope, text: str) -> str | None:
    owner = scope.owner(name)
    if owner is scope and text.startswith("name "):
        return f"A variable is written `@{name}` in it"
    if owner in (None, scope):
        return None
    return of_query(name)


def _of_awaiting(text: str) -> str | None:
    if _NOT_AWAITED.search(text):
        return "A coroutine was not awaited: write `await` before the call that made it"
    if "'async_generator'" in text:
        return "Write `async for`, or `[row async for row in ...]`"
    if "'async for' requires" in text:
        return "Write `for` without `async`"
    if "asynchronous context manager protocol" in text:
        return "Write `with` without `async`"
    if "context manager protocol" in text and "Async" in text:
        return "Write `async with`"
    if "can't be used in 'await' expression" in text:
        return "It is no coroutine: leave out the `await`"
    return None


def _of_unbound(name: str, scope: Scope) -> str | None:
    nodes = scope.bound.get(name, [])
    if any(isinstance(node, ast.ExceptHandler) for node in nodes):
        return f"An `except ... as {name}` forgets {name!r} at its end: keep it under another name, `problem = {name}`"
    if any(isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del) for node in nodes):
        return f"{name!r} was deleted with `del`"
    outer = None if scope.parent is None else scope.parent.owner(name)
    return of_own(name, scope, outer) if outer is not None or is_given(name) else None


def _of_undefined(name: str, scope: Scope, scopes: list[Scope]) -> str | None:
    if name in scope.declared_global and scopes[0].owns(name):
        return of_global(name)
    owner = class_around(name, scope)
    if owner is not None:
        return of_class(name, scope, owner)
    for call in exec_calls(scopes):
        argument = call.args[0]
        if not isinstance(argument, ast.Constant) or name in names_made_by(str(argument.value)):
            return of_exec(name)
    if any(written == name for other in scopes for written, _ in other.local_items):
        return of_locals(name)
    elsewhere = [
        other for other in scopes if other.owns(name) and isinstance(other.node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    if elsewhere:
        return f"{name!r} is a variable of {elsewhere[0].title} alone: return it from there"
    return of_import(name)


def class_around(name: str, scope: Scope) -> str | None:
    """The class that `scope` lies in directly and that binds `name`."""
    outer = scope.parent
    if outer is not None and isinstance(outer.node, ast.ClassDef) and outer.owns(name) and scope.owner(name) is None:
        return outer.node.name
    return None


def _scope_of(code: CodeType | None, scopes: list[Scope]) -> Scope | None:
    """The scope that `code` was compiled from."""
    if code is None:
        return None
    for scope in scopes:
        node = scope.node
        if scope.name != code.co_name:
            continue
        first = (
            0 if node is None else min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        )
        if node is None or first == code.co_firstlineno:
            return scope
    return None
