"""Runs programs and writes each answer as one JSON text. This very file runs in the guest and on native CPython.

A program sets `result`, or `left` and `right` that must be the same. Its answer is an object with `is` (the result as a
tree), or `same` (true, or both trees), or `raises` (type and message), or `poisoned` (what it ran out of); and with
`warns` (category and message of each warning) and `bound` (the magnitude that rounding errors are measured against),
where there are any. A tree holds JSON values as they are; everything else is a list that starts with a name:
`["array", dtype, shape, items]`.
"""

import datetime
import decimal
import importlib
import io
import json
import math
import random
import re
import warnings
import zlib
from typing import Any

np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")

MOST_ITEMS = 1_500
"""Of a longer array, a checksum and some of its items are written."""
MOST_SUMMED = 1 << 20
MOST_CHARS = 4_000
DEPTH = 7
_ADDRESS = re.compile(r"0x[0-9a-f]{6,16}")
NAMES: dict[str, Any] = {
    "np": np, "pd": pd, "datetime": datetime, "decimal": decimal, "io": io, "math": math, "json": json,
}  # fmt: skip


def answer(program: str) -> str:
    """The answer to one program."""
    scope = dict(NAMES)
    if "random" in program:
        np.random.seed(0)
        random.seed(0)
    found: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(program, "<program>", "exec"), scope)
            found = _outcome(scope)
        except MemoryError:
            found = {"poisoned": "MemoryError"}
        except Exception as error:
            found = {"raises": [type(error).__name__, _text(str(error))]}
    if caught:
        found["warns"] = [[one.category.__name__, _text(str(one.message))] for one in caught]
    return json.dumps(found)


def _outcome(scope: dict[str, Any]) -> dict[str, Any]:
    if "left" in scope:
        left, right = json.dumps(tree(scope["left"])), json.dumps(tree(scope["right"]))
        return {"same": True if left == right else [json.loads(left), json.loads(right)]}
    found = {"is": tree(scope["result"])}
    if "bound" in scope:
        bound = float(scope["bound"])
        found["bound"] = bound if math.isfinite(bound) else None
    return found


def tree(value: Any, depth: int = DEPTH) -> Any:
    """The tree of a value."""
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is float:
        return value
    if kind is str:
        return _text(value)
    if depth == 0:
        return ["deep", kind.__name__]
    if kind is np.ndarray:
        return _array(value, depth)
    if kind is list or kind is tuple:
        return [kind.__name__, *(tree(item, depth - 1) for item in value[:MOST_ITEMS])]
    if kind is dict:
        return ["dict", *([tree(key, depth - 1), tree(item, depth - 1)] for key, item in value.items())]
    if isinstance(value, np.generic):
        return ["scalar", value.dtype.str, _array(np.asarray(value), depth)[-1]]
    if isinstance(value, pd.DataFrame):
        columns = [_values(column, depth) for column in value._iter_column_arrays()]
        return ["frame", kind.__name__, list(value.shape), tree(value.index), tree(value.columns), columns]
    if isinstance(value, pd.Series):
        return ["series", tree(value.name), tree(value.index), _values(value._values, depth)]
    if isinstance(value, pd.Index):
        return _index(value, depth)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return _values(value, depth)
    return _other(value, kind, depth)


def _other(value: Any, kind: type, depth: int) -> Any:
    if kind is complex:
        return ["complex", value.real, value.imag]
    if kind is bytes:
        return ["bytes", value[:MOST_CHARS].decode("latin-1"), len(value)]
    if isinstance(value, np.ma.MaskedArray):
        return ["masked", _array(np.asarray(value.filled()), depth), _array(np.ma.getmaskarray(value), depth)]
    if isinstance(value, np.ndarray):
        return [kind.__name__, _array(np.asarray(value), depth)]
    if isinstance(value, (list, tuple)):
        return [kind.__name__, *(tree(item, depth - 1) for item in value)]
    if isinstance(value, dict):
        return [kind.__name__, *([tree(key, depth - 1), tree(item, depth - 1)] for key, item in value.items())]
    if isinstance(value, (set, frozenset)):
        return [kind.__name__, *sorted(json.dumps(tree(item, depth - 1)) for item in value)]
    if isinstance(value, np.dtype):
        return ["dtype", value.str, value.name, str(value)]
    return ["other", kind.__name__, _text(repr(value))]


def _array(value: Any, depth: int) -> list[Any]:
    head = ["array", value.dtype.str, list(value.shape)]
    kind = value.dtype.kind
    if value.size > MOST_ITEMS:
        return [*head, _large(value)]
    if kind in "biuf":
        return [*head, value.tolist()]
    if kind == "c":
        return [*head, [value.real.tolist(), value.imag.tolist()]]
    if kind in "mM":
        return [*head, value.astype("i8").tolist()]
    if kind == "O":
        return [*head, [tree(item, depth - 1) for item in value.reshape(-1).tolist()]]
    return [*head, _text(repr(value.tolist()))]


def _large(value: Any) -> list[Any]:
    """Corners of what is large by its shape alone; else a checksum, which is of no use for floats, and some items."""
    ends = [tree(value[(place,) * value.ndim].item(), 2) for place in (0, -1)]
    if 0 in value.strides or value.size > MOST_SUMMED or value.dtype.kind == "O":
        return ["corners", *ends]
    if value.dtype.kind in "fc":
        flat = value.reshape(-1)
        return ["some", *(tree(item, 2) for item in flat[:: max(1, len(flat) // 200)].tolist()), *ends]
    return ["sum", zlib.crc32(np.ascontiguousarray(value).tobytes()), *ends]


def _values(value: Any, depth: int) -> Any:
    """The values of a column or an index, whatever array holds them."""
    if isinstance(value, np.ndarray):
        return tree(value, depth)
    dtype = str(value.dtype)
    if len(value) > MOST_ITEMS:
        return ["long", dtype, len(value), [tree(item, 3) for item in value[:: len(value) // 100]]]
    if isinstance(value, pd.Categorical):
        categories = value.categories
        some = tree(categories) if len(categories) <= MOST_ITEMS else [len(categories), str(categories.dtype)]
        used = tree(categories[value.codes[value.codes >= 0]].tolist())
        return ["categorical", value.ordered, some, value.codes.dtype.str, value.codes.tolist(), used]
    if isinstance(value, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        return ["nullable", dtype, value._mask.tolist(), value._data[~value._mask].tolist()]
    if isinstance(value, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray, pd.arrays.PeriodArray)):
        return ["times", dtype, str(getattr(value, "freq", None)), value.asi8.tolist()]
    if isinstance(value, pd.arrays.IntervalArray):
        return ["intervals", dtype, tree(value.left, 3), tree(value.right, 3)]
    if isinstance(value, pd.arrays.SparseArray):
        return ["sparse", dtype, tree(value.to_dense(), 2), tree(value.sp_index.indices, 2)]
    return ["extension", dtype, [tree(item, depth - 1) for item in value]]


def _index(value: Any, depth: int) -> Any:
    kind = type(value).__name__
    if isinstance(value, pd.RangeIndex):
        return [kind, tree(value.name), value.start, value.stop, value.step]
    if isinstance(value, pd.MultiIndex):
        codes = [[each.dtype.str, each.tolist()] if len(each) <= MOST_ITEMS else each.dtype.str for each in value.codes]
        levels = [[len(level), str(level.dtype)] for level in value.levels]
        return [kind, tree(list(value.names)), levels, codes, tree(value[:MOST_ITEMS].tolist())]
    return [kind, tree(value.name), _values(value._values, depth)]


def _text(text: str) -> str:
    """A text without addresses; of a long one its start, its length and a checksum."""
    text = _ADDRESS.sub("0x…", text) if "0x" in text else text
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[:MOST_CHARS]} … {len(text)} characters, {zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"
