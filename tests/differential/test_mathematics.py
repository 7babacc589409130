"""Mathematical functions end on native's last digit as often as the page of differences says."""

import base64
import json
import math
import struct

import pytest
from tests import reference
from tests.differential import mathematics

import wasmexec

COUNT = 6000
ELSEWHERE = 0.35
"""Percent of results that may differ where nothing else is said, over a fixed sample."""

SPECIAL = """
import math
import numpy as np
np.seterr(all="ignore")
nan, inf = math.nan, math.inf
numbers = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, 22.0, -22.0, 709.0, 710.4, 711.0, -745.0, 1e22, 1e300, -1e300, inf,
    -inf, nan, 5e-324, -5e-324, 2.0**-1022, 2.0**-1074 * 3, 2.0**-30, -2.0**-54, 1 + 2.0**-52, 1 - 2.0**-53,
    1.7976931348623157e308, 1000.0, 0.001, 1e-5, 8.0, 27.0, 2.0**29, -2.0**29, math.pi, math.pi / 2, math.pi / 4,
]
singles = [float(np.float32(number)) for number in numbers]

def each(call, arguments):
    found = []
    for values in arguments:
        try:
            found.append(repr(float(call(*values))))
        except (ValueError, OverflowError) as error:
            found.append(f"{type(error).__name__}: {error}")
    return found

pairs = [(a, b) for a in numbers for b in numbers]
found = {}
for name in ONE:
    found[f"math.{name}"] = each(getattr(math, name), [(number,) for number in numbers])
for name in TWO:
    found[f"math.{name}"] = each(getattr(math, name), pairs)
for name in NUMPY_ONE:
    found[f"numpy.{name} float64"] = each(getattr(np, name), [(np.float64(number),) for number in numbers])
    found[f"numpy.{name} float32"] = each(getattr(np, name), [(np.float32(number),) for number in singles])
for name in NUMPY_TWO:
    found[f"numpy.{name} float64"] = each(getattr(np, name), [(np.float64(a), np.float64(b)) for a, b in pairs])
    found[f"numpy.{name} float32"] = each(
        getattr(np, name), [(np.float32(a), np.float32(b)) for a in singles for b in singles]
    )
return [found]
"""
ONE = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "exp2",
    "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "erf", "erfc", "gamma", "lgamma",
)  # fmt: skip
NUMPY_ONE = (
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt",
)  # fmt: skip


def near(one: str, other: str, *, digits: float) -> bool:
    """Whether two texts are the same, or finite numbers of one sign that close (relatively)."""
    if one == other:
        return True
    try:
        a, b = float(one), float(other)
    except ValueError:
        return False
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= digits * abs(a)


@pytest.mark.timeout(300)
def test_special_values_and_errors_are_natives(executor: wasmexec.Executor) -> None:
    names = {
        "ONE": ONE,
        "TWO": ("atan2", "pow", "hypot"),
        "NUMPY_ONE": NUMPY_ONE,
        "NUMPY_TWO": ("arctan2", "power", "hypot"),
    }
    statement = "\n".join(f"{name} = {value!r}" for name, value in names.items()) + SPECIAL
    done = reference.run("-I", mathematics.NATIVE_RUNNER, standard_input=json.dumps([statement]))
    native = json.loads(done.stdout)[0]["rows"][0]
    result = executor.run(statement)
    result.raise_for_status()
    assert result.rows is not None
    guest = result.rows[0]
    different = {
        name: pairs
        for name, texts in native.items()
        if (
            pairs := [
                (one, other)
                for one, other in zip(texts, guest[name], strict=True)
                if not near(one, other, digits=2.0**-21 if name.endswith("float32") else 2.0**-50)
            ]
        )
    }
    assert not different


@pytest.mark.timeout(600)
def test_last_digits_are_natives_as_often_as_the_page_says(executor: wasmexec.Executor) -> None:
    rates = mathematics.measure(mathematics.CASES, COUNT, executor)
    listed = mathematics.LISTED
    over = {name: found.percent for name, found in rates.items() if found.percent > listed.get(name, ELSEWHERE)}
    assert not over
    assert not [name for name in listed if name not in rates]


def test_one_changed_digit_is_one_result_that_differs() -> None:
    case = mathematics.Case("sample", "x", "any", "f8")
    values = [0.1 * index for index in range(60)]
    one = base64.b64encode(struct.pack("<60d", *values)).decode()
    values[59] = math.nextafter(values[59], 9)
    other = base64.b64encode(struct.pack("<60d", *values)).decode()
    assert mathematics.rates(case, one, one).percent == 0
    found = mathematics.rates(case, one, other)
    assert (found.percent_in("any"), found.percent_in("< 1")) == (10, 0)
