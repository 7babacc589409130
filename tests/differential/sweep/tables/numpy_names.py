"""Every public function of numpy, and every method of an array, over arrays of each type: the names are numpy's own."""

import importlib
from collections.abc import Iterator
from typing import Any

from tests.differential.sweep.tables import lists

MODULES = ("np", "np.linalg", "np.fft", "np.char", "np.ma", "np.lib.stride_tricks", "np.polynomial.polynomial")
ARRAYS = lists.section("numpy_names", "ARRAYS")
PAIRS = (
    ("np.array([3, 1, 2])", "np.array([1, 2, 4])"),
    ("np.array([0.5, 2.0])", "np.array([1.5, -1.0])"),
    ("np.array([[2.0, 1.0], [1.0, 3.0]])", "np.array([1.0, 2.0])"),
    ("np.array([True, False])", "np.array([True, True])"),
    ("np.array([3, 1, 2])", "1"),
    ("np.array([3, 1, 2], dtype=np.int16)", "np.array([1, 2, 4], dtype=np.uint16)"),
    ("2", "np.array([[1, 0, 2], [0, 3, 0]])"),
    ("np.array(['b', 'a'])", "'a'"),
    ("(2, 3)", "np.array([3, 1])"),
)
SCALARS = ("5", "(2, 3)", "2.5", "'i4'", "np.int64", "[[1, 2], [3, 4]]")
TRIPLES = (
    ("np.array([3, 1, 2])", "np.array([1, 2, 4])", "np.array([0, 1, 1])"),
    ("np.array([[1, 0, 2], [0, 3, 0]])", "1", "0"),
    ("0", "10", "3"),
)
LEFT_OUT = frozenset(lists.section("numpy_names", "LEFT_OUT"))
"""Names that are not called."""


def resolve(path: str) -> Any:
    """The object that a dotted path names."""
    short, *rest = path.split(".")
    found = importlib.import_module({"np": "numpy", "pd": "pandas"}[short])
    for name in rest:
        found = (
            importlib.import_module(f"{found.__name__}.{name}") if not hasattr(found, name) else getattr(found, name)
        )
    return found


def public_names(path: str) -> list[str]:
    """The public names of a module or class, in order."""
    owner = resolve(path)
    names = getattr(owner, "__all__", None) or dir(owner)
    return sorted({name for name in names if not name.startswith("_")})


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for module in MODULES:
        for name in public_names(module):
            found = getattr(resolve(module), name, None)
            if not callable(found) or name in LEFT_OUT or _is_exception(found):
                continue
            call = f"{module}.{name}"
            yield "numpy functions", f"{call}()"
            for arguments in (*ARRAYS, *SCALARS, *(", ".join(one) for one in (*PAIRS, *TRIPLES))):
                yield "numpy functions", f"{call}({arguments})"
    for name in public_names("np.ndarray"):
        for array in ARRAYS:
            if name in LEFT_OUT or name in ("ctypes", "data", "base", "flat"):
                continue
            if not callable(getattr(resolve("np.ndarray"), name)):
                yield "numpy methods", f"{array}.{name}"
                continue
            for arguments in ("", "0", "1", "-1", "[0, 1]", "'f8'", "np.array([1, 0])"):
                yield "numpy methods", f"{array}.{name}({arguments})"
    for name in public_names("np"):
        found = resolve(f"np.{name}")
        if isinstance(found, type) and issubclass(found, resolve("np.generic")):
            yield from (("numpy types", text.format(name=f"np.{name}")) for text in TYPES)
    yield from (("numpy types", f"np.dtype({code!r})") for code in (*"?bBhHiIlLqQpPefdgFDGSUOVmM", "n", "N"))
    yield from (("numpy types", f"np.dtype({word})") for word in ("int", "float", "bool", "complex", "str", "object"))


TYPES = lists.section("numpy_names", "TYPES")
"""What is asked of every scalar type."""


def _is_exception(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)
