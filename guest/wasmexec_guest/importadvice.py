"""What a refused import is answered with: the line to write, what serves the purpose, or the list of names.

Loaded before the snapshot and looked at only when an import fails.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Collection, Sequence

from . import texts
from .importtable import TABLE

_MAX_NAME_CHARS = 100
"""SECURITY: comparing names takes quadratic time, and the name is the statement's."""

_NEAR = 0.76
_NEAR_IN_TABLE = 0.85
_by_name = {name: advice for advice in TABLE for name in advice.names.split()}


def advice(name: str, names: Sequence[str], listed: Collection[str], missing: Collection[str]) -> str:
    """What to write instead of importing `name`, or `names` from it.

    `listed` are the names that may be imported, `missing` those of them that this image lacks.
    """
    name = texts.for_cut(name, _MAX_NAME_CHARS)[:_MAX_NAME_CHARS]
    return (
        (served(f"{name}.{names[0]}"[:_MAX_NAME_CHARS], missing) if names else None)
        or served(name, missing)
        or _way_in(name, names, listed, missing)
        or served(name.partition(".")[0], missing)
        or _meant(name, listed, missing)
        or f"the listed names are {', '.join(sorted(listed))}"
    )


def served(name: str, missing: Collection[str] = ()) -> str | None:
    """What the table says of a module `name`."""
    entry = _by_name.get(name) or _by_name.get(name.lower())
    if entry is None:
        return None
    return entry.small if missing and entry.small is not None else entry.full


def _way_in(name: str, names: Sequence[str], listed: Collection[str], missing: Collection[str]) -> str | None:
    """The line that leads to something inside a listed package, or to a package of which only modules are listed."""
    package = name
    while package not in listed:
        package, _, _ = package.rpartition(".")
        if not package:
            return _way_by_module(name, names, listed)
    if package in missing:
        return f"{package!r} is listed, but not in this image"
    first, *rest = name.removeprefix(f"{package}.").split(".")
    if not _has(package, first):
        return _meant(name, listed, missing) or f"{package!r} is listed, but has no {'.'.join([first, *rest])!r}"
    path = ".".join([first, *rest])
    used = [f"{path}.{item}" for item in names if item != "*"] or ([path] if rest else [])
    if rest and not _reaches(package, [first, *rest]):
        return f"{package!r} is listed, but has no {path!r}"
    return f"write `from {package} import {first}`" + (f", then {_code(used)}" if used else "")


def _way_by_module(name: str, names: Sequence[str], listed: Collection[str]) -> str | None:
    """`passlib.context`, where `passlib.hash` is listed and `passlib` is not."""
    package, *rest = name.split(".")
    module = next((item for item in listed if item.startswith(f"{package}.")), None)
    if module is None:
        return None
    used = [f"{name}.{item}" for item in names if item != "*" and f"{name}.{item}" != module] or (
        [name] if rest else []
    )
    if rest and not _reaches(package, rest):
        return None
    return f"write `import {module}`" + (f", then {_code(used)}" if used else "")


def _code(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names[:3])


def _has(package: str, name: str) -> bool:
    """Whether `from package import name` would work; nothing is imported to find out."""
    if _reaches(package, [name]):
        return True
    try:
        return importlib.util.find_spec(f"{package}.{name}") is not None
    except (ImportError, ValueError):
        return False


def _reaches(package: str, path: Sequence[str]) -> bool:
    found: object = sys.modules.get(package)
    for name in path:
        try:
            found = getattr(found, name)
        except Exception:  # a module's own `__getattr__` may raise anything
            return False
    return True


def _meant(name: str, listed: Collection[str], missing: Collection[str]) -> str | None:
    """A listed name, or one of the table, that `name` is a misspelling of."""
    lower = name.lower()
    near = difflib.get_close_matches(lower, listed, 1, _NEAR) or [
        item for item in listed if len(item) > 2 and sorted(item) == sorted(lower)
    ]
    if near:
        return f"did you mean {near[0]!r}?"
    near = difflib.get_close_matches(lower, _by_name, 1, _NEAR_IN_TABLE) if len(lower) > 3 else []
    return served(near[0], missing) if near else None
