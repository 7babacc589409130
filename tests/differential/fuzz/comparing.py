"""Whether two answers are the same, and in which way not: exact but for floats, which have the case's tolerance."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.differential.fuzz.cases import EXACT, Tolerance

WAYS = (
    "dies", "only the guest raises", "only native raises", "exception", "warnings", "dtype", "shape", "not a number",
    "last digits", "value", "relation", "relation on both sides",
)  # fmt: skip
_DIGITS = {"f2": 2**-10, "f4": 2**-23, "f8": 2**-52, "c8": 2**-23, "c16": 2**-52}
_LEAST = {"f2": 2**-24, "f4": 2**-149, "c8": 2**-149}
_CLOSE = 2**12
"""In units of the last digit: what is further apart than this is another value, what is nearer other last digits."""
_SCALAR, _ARRAY = 3, 4
"""Members of the trees of a numpy scalar and of an array."""


@dataclass(frozen=True)
class Difference:
    """How two answers differ: one of WAYS, and the first place with what is there on each side."""

    way: str
    native: str
    guest: str

    def __str__(self) -> str:
        return f"{self.way}: {self.native} | {self.guest}"


@dataclass(frozen=True)
class _Apart:
    """Two parts of the trees that are not the same."""

    way: str
    native: Any
    guest: Any


def is_poisoned(*answers: str) -> bool:
    """Whether a side ran out of something: the case neither passes nor fails."""
    return any(answer.startswith('{"poisoned"') for answer in answers)


def judge_alone(guest: str) -> Difference | None:
    """What the guest's answer says by itself: a relation that does not hold, or its death."""
    if guest.startswith('{"dies"'):
        return Difference("dies", "", guest)
    if guest.startswith('{"same": [['):
        left, right = json.loads(guest)["same"]
        apart = next(_walk(left, right, EXACT, 0.0, "f8"), None)
        return None if apart is None else Difference("relation", _short(apart.native), _short(apart.guest))
    return None


def compare(native: str, guest: str, tolerance: Tolerance = EXACT) -> Difference | None:
    """How two answers differ, None if they are the same within the tolerance; a relation counts by itself, too."""
    if is_poisoned(native, guest):
        return None
    alone = judge_alone(guest)
    if alone is not None and alone.way == "dies":
        return Difference("dies", _short(native), _short(guest))
    if alone is not None:
        both = judge_alone(native) is not None
        return Difference("relation on both sides" if both else "relation", alone.native, alone.guest)
    if native == guest:
        return None
    one, other = json.loads(native), json.loads(guest)
    if "dies" in one:
        return Difference("dies", _short(native), _short(guest))
    raised = "raises" in one, "raises" in other
    if raised != (False, False):
        way = {(False, True): "only the guest raises", (True, False): "only native raises"}.get(raised, "exception")
        if one.get("raises") != other.get("raises"):
            return Difference(way, _short(one), _short(other))
    elif "same" in one or "same" in other:
        if one["same"] is not True:
            return Difference("value", _short(one), _short(other))
    else:
        apart = next(_walk(one["is"], other["is"], tolerance, one.get("bound") or 0.0, "f8"), None)
        if apart is not None:
            return Difference(apart.way, _short(apart.native), _short(apart.guest))
    if one.get("warns") != other.get("warns"):
        return Difference("warnings", _short(one.get("warns", [])), _short(other.get("warns", [])))
    return None


def _walk(native: Any, guest: Any, tolerance: Tolerance, bound: float, dtype: str) -> Iterator[_Apart]:
    """The places that differ; those beyond a difference of kind or length are left out."""
    if type(native) is not type(guest):
        yield _Apart("value", native, guest)
    elif isinstance(native, float):
        yield from _floats(native, guest, tolerance, bound, dtype)
    elif not isinstance(native, list):
        if native != guest:
            yield _Apart("value", native, guest)
    elif _is_array(native) and _is_array(guest):
        if native[1] != guest[1]:
            yield _Apart("dtype", native, guest)
        elif len(native) == _ARRAY and native[2] != guest[2]:
            yield _Apart("shape", native, guest)
        else:
            largest = max((abs(x) for x in _numbers(native[-1])), default=0.0) if tolerance.rule == "norm" else bound
            yield from _walk(native[-1], guest[-1], tolerance, largest, native[1][1:])
    elif len(native) != len(guest):
        yield _Apart("shape", native, guest)
    else:
        for one, other in zip(native, guest, strict=True):
            yield from _walk(one, other, tolerance, bound, dtype)


def _is_array(tree: list[Any]) -> bool:
    return len(tree) in (_SCALAR, _ARRAY) and tree[0] in ("array", "scalar") and isinstance(tree[1], str)


def _numbers(tree: Any) -> Iterator[float]:
    if isinstance(tree, float) and math.isfinite(tree):
        yield tree
    elif isinstance(tree, list):
        for item in tree:
            yield from _numbers(item)


def _floats(native: float, guest: float, tolerance: Tolerance, bound: float, dtype: str) -> Iterator[_Apart]:
    if native == guest and math.copysign(1, native) == math.copysign(1, guest):
        return
    if math.isnan(native) or math.isnan(guest):
        if not (math.isnan(native) and math.isnan(guest)):
            yield _Apart("not a number", native, guest)
        return
    size = max(abs(native), abs(guest))
    apart = abs(native - guest)
    digit = _DIGITS.get(dtype, 2**-52)
    if tolerance.rule == "ulps":
        allowed = max(tolerance.amount * digit * size, tolerance.amount * _LEAST.get(dtype, 5e-324))
    elif tolerance.rule == "reduction":
        allowed = 64 * digit * max(size, bound)
    elif tolerance.rule == "norm":
        allowed = tolerance.amount * digit * max(size, bound, 1.0)
    else:
        allowed = -1.0
    if apart <= allowed:
        return
    yield _Apart("last digits" if apart <= _CLOSE * digit * size else "value", native, guest)


def _short(value: Any, most: int = 600) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]} …"
