"""Reads pages and sources as text, so that a test can compare what stands in two places without importing either."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Row = dict[str, str]
Value = int | float | str | tuple[str, ...]

_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.LShift: lambda left, right: int(left) << int(right),
}
_CODE = re.compile(r"`([^`]*)`")


def read(path: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def table(text: str, *columns: str) -> list[Row]:
    """The rows of the one Markdown table with these column names; a cell is its text, code marks and all.

    Raises:
        LookupError: there is no such table, more than one, or it is empty or ragged.
    """
    found: list[list[Row]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _cells(line) == list(columns) and _cells(lines[number + 1]) == ["---"] * len(columns):
            rows = []
            for below in lines[number + 2 :]:
                cells = _cells(below)
                if cells is None:
                    break
                if len(cells) != len(columns):
                    raise LookupError(f"a row of the table {columns} has {len(cells)} cells: {below}")
                rows.append(dict(zip(columns, cells, strict=True)))
            found.append(rows)
    if len(found) != 1 or not found[0]:
        raise LookupError(f"{len(found)} tables with the columns {columns}")
    return found[0]


def _cells(line: str) -> list[str] | None:
    stripped = line.strip()
    if not (stripped.startswith("|") and stripped.endswith("|") and len(stripped) > 1):
        return None
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", stripped[1:-1])]


def marked(cell: str) -> list[str]:
    """What stands between code marks in a cell."""
    return _CODE.findall(cell)


def block(text: str, language: str) -> str:
    """The fenced block of a page with this language.

    Raises:
        LookupError: there is none, or more than one.
    """
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    if len(found) != 1:
        raise LookupError(f"{len(found)} blocks of {language}")
    return str(found[0])


def python_constants(text: str) -> dict[str, Value]:
    """Every name that a module binds at its top, or a class in its body, to a number, a text or texts.

    `A, B = range(2)` counts too. Names of a class are `Class.NAME`.
    """
    found: dict[str, Value] = {}
    _collect(ast.parse(text).body, "", found)
    return found


def _collect(body: list[ast.stmt], prefix: str, found: dict[str, Value]) -> None:
    for node in body:
        match node:
            case ast.ClassDef():
                _collect(node.body, f"{prefix}{node.name}.", found)
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.Assign(targets=[ast.Name(id=name)], value=value)
            ):
                known = _value(value, prefix, found)
                if known is not None:
                    found[prefix + name] = known
            case ast.Assign(
                targets=[ast.Tuple(elts=names)],
                value=ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(count))]),
            ):
                assert len(names) == count
                found.update((ast.unparse(name), number) for number, name in enumerate(names))
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, item in zip(names, values, strict=True):
                    known = _value(item, prefix, found)
                    if known is not None:
                        found[ast.unparse(target)] = known


def _value(node: ast.expr, prefix: str, found: dict[str, Value]) -> Value | None:
    match node:
        case ast.Constant(value=int() | float() | str() as value) if not isinstance(value, bool):
            return value
        case ast.Name(id=name):
            return found.get(prefix + name, found.get(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _value(operand, prefix, found)
            return -number if isinstance(number, int | float) else None
        case ast.BinOp(left=left, op=op, right=right):
            values = [_value(side, prefix, found) for side in (left, right)]
            if type(op) not in _OPERATIONS or not all(isinstance(value, int | float) for value in values):
                return None
            first, second = values
            assert isinstance(first, int | float)
            assert isinstance(second, int | float)
            return _OPERATIONS[type(op)](first, second)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            texts = tuple(_value(item, prefix, found) for item in items)
            return tuple(text for text in texts if isinstance(text, str)) if all_texts(texts) else None
    return None


def all_texts(values: tuple[object, ...]) -> bool:
    """Whether there are values, each of them a text."""
    return bool(values) and all(isinstance(value, str) for value in values)


def c_constants(text: str) -> dict[str, int]:
    """Every name that an `enum` of a C file gives a number, counted as C counts."""
    found: dict[str, int] = {}
    without_comments = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for body in re.findall(r"\benum(?:\s+\w+)?\s*\{([^}]*)\}", without_comments):
        following = 0
        for entry in filter(None, (part.strip() for part in body.split(","))):
            name, _, expression = (part.strip() for part in entry.partition("="))
            if expression:
                value = _value(ast.parse(expression, mode="eval").body, "", {**found})
                assert isinstance(value, int), f"{entry}: the reader does not understand this"
                following = value
            found[name] = following
            following += 1
    return found
