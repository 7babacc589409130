"""Content stamps: two stages with the same stamp have the same output."""

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wasmbuild.recipe import Recipe, module_file
from wasmbuild.sources import Source

# Raised when the meaning of a finished stage folder changes, so that old ones are not taken.
FORMAT = 1

# These decide nothing about a recipe's own output, only about the image made from it.
_NOT_STAMPED = frozenset({"smoke.py", "warmup.py", "recipe.toml"})


def stamp_of(*parts: object) -> str:
    """Hexadecimal sha256 over JSON-able parts."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def code_hash(path: Path) -> str:
    """sha256 of what a file does: of Python its syntax tree; comments, docstrings and layout must rebuild nothing."""
    if path.suffix != ".py":
        return file_hash(path)
    tree = ast.parse(path.read_bytes(), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder that a build may read, in a fixed order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".orig", ".swp")
    )


def folder_hashes(
    folder: Path, leave_out: Iterable[str] = (), hash_of: Callable[[Path], str] = file_hash
) -> dict[str, str]:
    """The hash of every file below a folder, by relative path; `leave_out` names files at its top."""
    skipped = set(leave_out)
    found = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    return {name: hash_of(path) for name, path in found.items() if name not in skipped}


def recipe_stamp(recipe: Recipe, sources: Mapping[str, Source], dependencies: Mapping[str, str], toolchain: str) -> str:
    """The stamp of a recipe's output.

    Covers what the build reads: the recipe's folder but for smoke.py and warmup.py, its archives, the outputs it
    depends on (by their stamps), the toolchain, and the wasmbuild modules in `uses`. What recipe.toml says about the
    image (modules, preload, drop, estimates) is left out: it must not rebuild anything.
    """
    uses = ("pure",) if recipe.kind == "pure" else recipe.uses
    return stamp_of(
        "recipe",
        recipe.name,
        recipe.version,
        recipe.kind,
        [sources[key].sha256 for key in recipe.sources],
        [[name, dependencies[name]] for name in sorted(recipe.depends)],
        "" if recipe.kind == "pure" else toolchain,
        folder_hashes(recipe.folder, _NOT_STAMPED, code_hash),
        {module: code_hash(module_file(module)) for module in uses},
    )
