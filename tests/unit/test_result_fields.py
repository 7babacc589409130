"""Every public field of a result says what it is: its unit and range, and when it is empty."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from tests.reading import read

CLASSES = {
    "host/wasmexec/result.py": ("LogRecord", "Usage", "Result", "Problem"),
    "host/wasmexec/step/result.py": ("StepLog", "RowFailure", "StepResult", "Progress"),
    "host/wasmexec/limits.py": ("Limits",),
}


def fields(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """Each public field of a class and the text below it, "" if there is none."""
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    for node, below in zip(found.body, [*found.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield node.target.id, text
                case _:
                    yield node.target.id, ""


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in CLASSES.items() for name in names])
def test_every_field_has_a_docstring(path: str, name: str) -> None:
    found = dict(fields(ast.parse(read(path)), name))
    assert len(found) >= 2
    assert [field for field, text in found.items() if len(text) < 5] == []


@pytest.mark.parametrize("name", CLASSES["host/wasmexec/result.py"])
def test_a_field_that_may_be_empty_says_when(name: str) -> None:
    [found] = [
        node
        for node in ast.parse(read("host/wasmexec/result.py")).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    texts = dict(fields(ast.parse(read("host/wasmexec/result.py")), name))
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            text, kind = texts[node.target.id], ast.unparse(node.annotation)
            word = "None" if "None" in kind else {"int": "0", "float": "0.0", "str": '""'}.get(kind, "")
            assert word in text, node.target.id
            if kind.startswith("list"):
                assert "empty" in text, node.target.id


def test_a_field_without_a_docstring_is_seen() -> None:
    tree = ast.parse('class A:\n    a: int\n    """From 1."""\n    b: int = 0\n    c: int\n    _d: int\n')
    assert dict(fields(tree, "A")) == {"a": "From 1.", "b": "", "c": ""}
