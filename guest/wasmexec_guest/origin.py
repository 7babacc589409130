"""Where the returned value comes from, as far as the text of the statement shows it: for advice that can be pasted.

Loaded before the snapshot and looked at only when an output is refused.
"""

from __future__ import annotations

import ast
from typing import NamedTuple, TypeGuard

_MAX_CODE_CHARS = 80
_FRAME_METHODS = frozenset((
    "iterrows", "itertuples", "to_csv", "to_dict", "to_html", "to_json", "to_markdown", "to_numpy", "to_records",
    "to_string", "values",
))  # fmt: skip
_CLOSED = (
    ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp,
    ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.JoinedStr,
)  # fmt: skip
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Origin(NamedTuple):
    """Pieces of the statement, None where they cannot be known or are too long to be shown.

    `returned` is what stands behind its one `return`, `frame` the frame (or Series) that this was made of,
    `is_made_there` whether by the `return` itself, `dumped` what `json.dumps` made text of.
    """

    returned: str | None = None
    frame: str | None = None
    is_made_there: bool = False
    dumped: str | None = None
    uses_pandas: bool = False


def find(source: str) -> Origin:
    """Look at a statement that has run, and so parses."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Origin()
    uses_pandas = "pandas" in source
    values: list[ast.expr] = []
    assigned: dict[str, list[ast.expr]] = {}
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, ast.Return) and node.value is not None:
            values.append(node.value)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(node.value)
        waiting += ast.iter_child_nodes(node)
    if len(values) != 1:
        return Origin(uses_pandas=uses_pandas)
    [value] = values
    made = value
    if isinstance(value, ast.Name) and len(assigned.get(value.id, ())) == 1:
        [made] = assigned[value.id]
    frame = next((node.value for node in ast.walk(made) if _is_taken(node)), None)
    return Origin(
        returned=_code(source, value), frame=_code(source, frame), is_made_there=made is value,
        dumped=_code(source, _dumped(made)), uses_pandas=uses_pandas,
    )  # fmt: skip


def _is_taken(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr in _FRAME_METHODS


def _dumped(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Attribute(attr="dumps") | ast.Name(id="dumps"), args=[value, *_]):
            return value
    return None


def _code(source: str, node: ast.AST | None) -> str | None:
    """The text of an expression, ready to be followed by a dot, if it is one line and not long."""
    text = None if node is None else ast.get_source_segment(source, node)
    if text is None or "\n" in text or len(text) > _MAX_CODE_CHARS:
        return None
    return text if isinstance(node, _CLOSED) and not (isinstance(node, ast.Tuple) and text[0] != "(") else f"({text})"
