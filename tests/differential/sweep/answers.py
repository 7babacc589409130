"""Evaluates expressions and writes each answer as a text. This very file runs in the guest and on native CPython.

`run(expressions, report)` reports each answer as one line of JSON, `[number, text]`, as soon as it is there: when the
process dies, the next number is what it died of. A text says everything that must be equal: types, dtypes, shapes,
every digit, the order of a set, the type and message of an exception.
"""

import hashlib
import importlib
import itertools
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MODULES = (
    "array", "bisect", "calendar", "cmath", "collections", "copy", "datetime", "decimal", "errno", "fractions",
    "functools", "heapq", "io", "itertools", "json", "locale", "math", "operator", "os", "random", "re", "statistics",
    "string", "struct", "sys", "time", "uuid", "zoneinfo",
)  # fmt: skip
SHORT = {"np": "numpy", "pd": "pandas"}
MOST_ITEMS = 2_000
"""Of what is longer a digest is written, or its corners where it takes no memory."""
MOST_DIGESTED = 200_000
MOST_CHARS = 20_000
DEPTH = 8


def namespace() -> dict[str, Any]:
    """What an expression sees; a module that cannot be imported is not there."""
    names: dict[str, Any] = {}
    for name in (*MODULES, *SHORT.values()):
        try:
            names[name] = importlib.import_module(name)
        except ImportError:
            continue
    names.update({short: names[name] for short, name in SHORT.items() if name in names})
    return names


def run(expressions: Iterable[tuple[int, str]], report: Callable[[str], object]) -> None:
    """Evaluate each numbered expression, all in the same state."""
    names = namespace()
    for number, text in expressions:
        report(json.dumps([number, answer(text, names)]))


def answer(text: str, names: dict[str, Any]) -> str:
    """What one expression gives."""
    names["random"].seed(0)
    names["numpy"].random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = describe(eval(text, dict(names)))
        except Exception as error:
            found = f"raises {_error(error)}"
    if len(found) > MOST_CHARS:
        return f"{found[:MOST_CHARS]} … {len(found)} characters, {_digest(found.encode())}"
    return found


def describe(value: Any, depth: int = DEPTH) -> str:
    """The text of a value."""
    kind = type(value)
    name = kind.__name__
    if depth == 0:
        return f"{name} …"
    if value is None or kind in (bool, int, float, complex, str, bytes, range, slice):
        return repr(value)
    if kind.__module__.partition(".")[0] == "numpy":
        return _numpy(value, name, depth)
    if kind.__module__.partition(".")[0] == "pandas":
        return _pandas(value, name, depth)
    if isinstance(value, dict):
        pairs = (f"{describe(k, depth - 1)}: {describe(v, depth - 1)}" for k, v in _first(value.items()))
        return f"{name}{{{', '.join(pairs)}}} of {len(value)}"
    if isinstance(value, (tuple, list, set, frozenset)) or kind in _sequences():
        return f"{name}({', '.join(describe(item, depth - 1) for item in _first(value))}) of {len(value)}"
    if isinstance(value, BaseException):
        return _error(value)
    if isinstance(value, Iterator):
        return f"{name}({', '.join(describe(item, depth - 1) for item in itertools.islice(value, 12))} …)"
    return f"{name} {_plain(value)}"


def _numpy(value: Any, name: str, depth: int) -> str:
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ma.MaskedArray):
        return f"{name} {value.dtype.str} {value.shape} mask {describe(numpy.asarray(value.mask), 2)} {_items(value)}"
    if isinstance(value, numpy.ndarray):
        return f"{name} {value.dtype.str} {value.shape} {_items(value)}"
    if isinstance(value, numpy.generic):
        return f"{name} {value.dtype.str} {value.item()!r}"
    if isinstance(value, numpy.dtype):
        return f"dtype {value.str} {value.name} {value.itemsize} {value!r}"
    if isinstance(value, Iterator):
        return f"{name}({', '.join(describe(item, depth - 1) for item in itertools.islice(value, 12))} …)"
    return f"{name} {_plain(value)}"


def _items(value: Any) -> str:
    if value.size <= MOST_ITEMS:
        return _plain(value.tolist())
    if value.size <= MOST_DIGESTED:
        return _digest(repr(value.tolist()).encode())
    ends = [value[(place,) * value.ndim] for place in (0, -1)]
    return " … ".join(_plain(end.item()) for end in ends)


def _pandas(value: Any, name: str, depth: int) -> str:
    pandas = sys.modules["pandas"]
    if value is pandas.NaT or value is pandas.NA:
        return repr(value)
    if isinstance(value, pandas.DataFrame):
        columns = (f"{describe(label, 2)} = {_column(value.iloc[:, at])}" for at, label in enumerate(value.columns))
        return f"{name} {value.shape} index {_pandas(value.index, type(value.index).__name__, 2)} {'; '.join(columns)}"
    if isinstance(value, pandas.Series):
        index = _pandas(value.index, type(value.index).__name__, 2)
        return f"{name} {value.name!r} {_column(value)} index {index}"
    if isinstance(value, pandas.MultiIndex):
        return f"{name} {list(value.names)} {[str(c.dtype) for c in value.codes]} {_plain(value.tolist())}"
    if isinstance(value, pandas.RangeIndex):
        return f"{name} {value.dtype} {value.start} {value.stop} {value.step} {value.name!r}"
    if isinstance(value, pandas.Index):
        return f"{name} {value.name!r} {_column(value)}"
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return f"{name} {_column(value)}"
    if isinstance(value, Iterator):
        return f"{name}({', '.join(describe(item, depth - 1) for item in itertools.islice(value, 12))} …)"
    return f"{name} {_plain(value)}"


def _column(value: Any) -> str:
    codes = getattr(value, "codes", None)
    if codes is None and hasattr(value, "cat"):
        codes = value.cat.codes
    extra = "" if codes is None else f" codes {codes.dtype}"
    return f"{value.dtype}{extra} {len(value)} {_plain([describe(item, 3) for item in itertools.islice(value, 500)])}"


def _sequences() -> tuple[type, ...]:
    collections = sys.modules["collections"]
    return (collections.deque, type({}.keys()), type({}.values()), type({}.items()))


def _first(items: Iterable[Any]) -> Iterator[Any]:
    return itertools.islice(items, MOST_ITEMS)


def _plain(value: Any) -> str:
    """What `repr` says, without what differs from process to process."""
    return re.sub(r"0x[0-9a-f]{6,16}", "0x…", repr(value))


def _digest(data: bytes) -> str:
    return f"sha1 {hashlib.sha1(data).hexdigest()}"


def _error(error: BaseException) -> str:
    extra = f" errno {error.errno}" if isinstance(error, OSError) else ""
    return re.sub(r"0x[0-9a-f]{6,16}", "0x…", f"{type(error).__name__}{extra}: {error}")
