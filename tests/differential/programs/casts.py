# === floats as integers that cannot hold them, one by one and in vectors
import numpy as np

values = [
    0.5,
    -1.5,
    3e9,
    2147483647.0,
    2147483648.0,
    -2147483648.0,
    -2147483649.0,
    -2147483904.0,
    4294967295.0,
    4294967296.0,
    5e9,
    -3e9,
    9.2e18,
    1e19,
    -1e19,
    2e19,
    1e30,
    np.inf,
    -np.inf,
    np.nan,
    65535.5,
    65536.0,
    -32769.0,
    255.9,
    256.0,
]
rows = []
with np.errstate(all="ignore"):
    for source in "efd":
        for target in "bBhHiIlLqQ":
            for count in (1, 3, 4, 5, 33):
                found = [np.full(count, np.array(value).astype(source)).astype(target).tolist() for value in values]
                rows.append({"cast": f"{source} to {target}, {count}", "found": found})
            strided = [np.full(18, np.array(value).astype(source))[::2].astype(target).tolist() for value in values]
            rows.append({"cast": f"{source} to {target}, strided", "found": strided})
            one = [np.array(value).astype(source)[()].astype(target).item() for value in values]
            rows.append({"cast": f"{source} to {target}, scalar", "found": one})
return rows

# === floating-point errors of whole divisions, remainders and exponentials
import numpy as np


def errors_of(function, *arguments):
    found = []
    for kind in ("over", "invalid", "divide"):
        try:
            with np.errstate(all="ignore"), np.errstate(**{kind: "raise"}):
                function(*arguments)
        except FloatingPointError as error:
            found.append(str(error))
    return found


rows = []
for code in "efd":
    kind = np.dtype(code).type
    tiny, large = np.finfo(code).tiny, np.finfo(code).max
    pairs = [(4, tiny), (-4, tiny), (large, tiny), (1, 0), (0, 0), (large, 0.5), (-large, 0.5), (7, 2), (1, 3)]
    for left, right in pairs:
        for function in (np.divmod, np.floor_divide, np.remainder, np.fmod):
            found = errors_of(function, np.array([left], code), np.array([right], code))
            rows.append({"call": f"{function.__name__} {code} {left} {right}", "found": found})
    for left, right in [(7, 2), (1, 3), (1, 0), (0, 0)]:
        found = errors_of(lambda a, b: a // b, kind(left), kind(right))
        rows.append({"call": f"// {code} {left} {right}", "found": found})
return rows

# === underflows of exponentials of float16, and none of whole divisions
import numpy as np

rows = []
for function in (np.exp, np.exp2, np.floor_divide):
    for code in "efd":
        arguments = (
            [np.array([-2000], code)] if function is not np.floor_divide else [np.array([1], code), np.array([3], code)]
        )
        try:
            with np.errstate(all="ignore"), np.errstate(under="raise"):
                found = str(function(*arguments))
        except FloatingPointError as error:
            found = str(error)
        rows.append({"call": f"{function.__name__} {code}", "found": found})
return rows

# === float32 and tanh as numpy computes them with AVX2 and FMA3
import numpy as np

numbers = np.concatenate(
    [
        np.linspace(-100, 100, 4001),
        np.linspace(-2, 2, 2001),
        np.geomspace(1e-40, 1e38, 500),
        -np.geomspace(1e-40, 1e38, 500),
        [0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, 88.73, -103.9, -104.0, -87.4, 71476.0, 71477.0, 117435.0, 117436.0],
    ]
)
rows = []
with np.errstate(all="ignore"):
    singles = numbers.astype(np.float32)
    for function in (np.exp, np.log, np.tanh, np.sin, np.cos):
        # Beyond these, sine and cosine are the C library's.
        if function in (np.sin, np.cos):
            singles = singles[~(abs(singles) > 71476)]
        found = function(singles)
        one_by_one = np.array([function(number) for number in singles[::97]])
        every_other = np.empty(2 * len(singles), np.float32)
        function(singles, out=every_other[::2])
        rows.append({
            "function": function.__name__,
            "bits": np.where(np.isnan(found), np.float32(0), found).view(np.uint32).tolist(),
            "nan": np.flatnonzero(np.isnan(found)).tolist(),
            "alike": [
                bool(np.array_equal(found[::97], one_by_one, equal_nan=True)),
                bool(np.array_equal(found, every_other[::2], equal_nan=True)),
                bool(np.array_equal(found[::3], function(singles[::3]), equal_nan=True)),
            ],
        })  # fmt: skip
    found = np.tanh(numbers)
    rows.append({"function": "tanh", "bits": np.where(np.isnan(found), 0.0, found).view(np.int64).tolist()})
    tiny = np.geomspace(5e-324, 1e-280, 200)
    rows.append({"function": "tanh of tiny numbers", "bits": np.tanh(tiny).view(np.int64).tolist()})
return rows

# === distances beyond 2**31, and what is refused
import numpy as np
import pandas as pd


def answer(function):
    try:
        return repr(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


rows = []
series, frame = pd.Series([1.0, 4.0]), pd.DataFrame({"a": [1.0, 2.0]})
for number in (2**31, 2**63 - 1, -(2**31) - 1, -(2**63), 2**63, 2**64):
    calls = {
        "diff": lambda: series.diff(number).tolist(),
        "frame diff": lambda: frame.diff(number).values.tolist(),
        "int diff": lambda: pd.Series([1, 2]).diff(number).tolist(),
        "group shift": lambda: frame.groupby([1, 1]).shift(number).values.tolist(),
        "group diff": lambda: frame.groupby([1, 1]).diff(number).values.tolist(),
        "shift": lambda: series.shift(number).tolist(),
        "rolling": lambda: series.rolling(number).sum().tolist(),
        "take": lambda: np.take(np.arange(3), number, mode="clip").tolist(),
        "repeat": lambda: np.repeat([], number).tolist(),
        "trace": lambda: np.array([[1]]).trace(number).tolist(),
        "axis": lambda: np.cumsum([1], axis=number).tolist(),
        "period": lambda: pd.Period("2020") + number,
        "int64": lambda: np.int64(number),
        "array": lambda: np.array([number], dtype=np.int64).tolist(),
    }
    rows.extend({"number": str(number), "call": name, "found": answer(call)} for name, call in calls.items())
return rows

# === mantissas and exponents of every kind of float
import math
import numpy as np

numbers = [0.0, -0.0, 1.0, -1.5, 5e-324, 2.0**-1022, 1e-40, 1.7e308, math.inf, -math.inf, math.nan, 3e38, 65504.0, 6e-8]
rows = []
with np.errstate(all="ignore"):
    for code in "efd":
        array = np.array(numbers * 3).astype(code)
        fractions, exponents = np.frexp(array)
        into = np.full(len(array), 77, np.int32)
        np.frexp(array, np.empty(len(array), code), into)
        again = np.ldexp(fractions, exponents)
        rows.append({
            "code": code, "fractions": str(fractions.tolist()), "exponents": exponents.tolist(), "into": into.tolist(),
            "again": bool(np.array_equal(again, array, equal_nan=True)),
            "one": [[str(part) for part in np.frexp(number)] for number in array[: len(numbers)]],
        })  # fmt: skip
rows.append({"math": [str(math.frexp(number)) for number in numbers]})
return rows

# === errors that ufunc.at finds
import numpy as np

rows = []
for code in "efd":
    large = np.finfo(code).max
    starts = [large, 1, 0, np.inf, np.nan, -large]
    for function in (np.add, np.subtract, np.multiply, np.divide, np.floor_divide):
        for step in (large, -large, 0, 2, 0.5, np.inf, np.nan, -np.inf):
            for indices in ([0], [1], [2], [3], [4], [5], [1] * 5, [0, -6, 0], [2, 1, 2], list(range(6)) * 60):
                numbers = np.array(starts, code)
                found = []
                for kind in ("divide", "over", "invalid"):
                    try:
                        with np.errstate(all="ignore"), np.errstate(**{kind: "raise"}):
                            function.at(numbers.copy(), indices, np.array(step, code))
                    except FloatingPointError as error:
                        found.append(str(error))
                with np.errstate(all="ignore"):
                    function.at(numbers, indices, np.array(step, code))
                rows.append({
                    "call": f"{function.__name__} {code} {step} {indices[:6]}",
                    "found": found,
                    "numbers": repr(numbers.tolist()),
                })  # fmt: skip
numbers = np.arange(10.0)
np.add.at(numbers, np.arange(2000) % 10, np.arange(2000.0))
rows.append({"call": "many", "found": [], "numbers": repr(numbers.tolist())})
return rows
