"""The list of modules that a statement may import (contract C2), and the `__import__` that enforces it.

A listed `a` permits `import a` and `from a import anything`, never `import a.b`. The gate binds the statement's own
frames; what a listed module imports for itself is its own business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import importadvice

LISTED = (
    "string", "math", "itertools", "random", "warnings", "base64", "io", "json", "xml", "ssl", "time", "datetime",
    "yaml", "httpx", "pandas", "numpy", "deepdiff", "passlib.hash", "jose", "jose.backends", "jose.constants",
    "jose.utils", "openai", "matplotlib", "matplotlib.pyplot",
)  # fmt: skip

Import = Callable[..., Any]


def refusal(name: str, names: Sequence[str] | None, level: int, not_in_image: Mapping[str, str]) -> str | None:
    """Why `name`, or `names` from it, may not be imported, or None if it may.

    `not_in_image`: listed name -> image that lacks it.
    """
    if level:
        return "relative imports are not possible: a statement is not part of a package"
    if name in not_in_image:
        return f"{name!r} is listed, not in this image ({not_in_image[name]!r})"
    if name in LISTED:
        return None
    said = importadvice.advice(name, names or (), LISTED, not_in_image)
    return f"import of {name!r} is not allowed: it is not in the list; {said}"


def make_import(real_import: Import, not_in_image: Mapping[str, str]) -> Import:
    """The `__import__` of the statement's frames.

    Raises: ImportError: the name is not listed, is not in this image, or the import is relative.
    """
    allowed = frozenset(LISTED) - not_in_image.keys()

    def __import__(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and name in allowed:
            return real_import(name, globals, locals, fromlist, 0)
        if type(fromlist) is list and not fromlist and globals is locals is not None and level == 0:
            # Source: PyImport_Import. A library's C code that imports while a frame of the statement is the innermost
            # one (`str(array.dtype)`, `time.strptime`) comes through here, always with an empty list.
            return real_import(name, globals, locals, fromlist, 0)
        if not isinstance(name, str):
            raise TypeError("module name must be a string")
        names = [item for item in fromlist or () if isinstance(item, str)]
        raise ImportError(refusal(name, names, level, not_in_image), name=name)

    return __import__
