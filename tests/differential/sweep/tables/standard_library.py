"""math, cmath, random, statistics, itertools, collections, errno, locale, os and the built-in types."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists
from tests.differential.sweep.tables.numpy_names import ARRAYS

ONE = lists.section("standard_library", "ONE")
TWO = [
    "atan2",
    "copysign",
    "fmod",
    "gcd",
    "hypot",
    "ldexp",
    "lcm",
    "log",
    "nextafter",
    "pow",
    "remainder",
    "comb",
    "perm",
    "dist",
    "isclose",
]
CMATH = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "log",
    "log10",
    "phase",
    "polar",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "isnan",
]
ARGUMENTS = lists.section("standard_library", "ARGUMENTS")
SAFE = "[{call} for x in {values} if {defined}]"
DOMAIN = {
    "acos": "abs(x) <= 1", "asin": "abs(x) <= 1", "atanh": "abs(x) < 1", "acosh": "x >= 1", "log": "x > 0",
    "log10": "x > 0", "log2": "x > 0", "log1p": "x > -1", "sqrt": "x >= 0",
    "gamma": "0 < x < 170", "lgamma": "x > 0", "exp": "x < 700", "expm1": "x < 700", "exp2": "x < 1000",
    "cosh": "abs(x) < 700", "sinh": "abs(x) < 700",
}  # fmt: skip
"""Where a function has a value."""
ODD = lists.section("standard_library", "ODD")
RANDOM = lists.section("standard_library", "RANDOM")
SEEDS = (
    "0",
    "1",
    "-1",
    "1.5",
    "-1.5",
    "2**70",
    "-2**70",
    "'text'",
    "b'bytes'",
    "True",
    "bytearray(b'x')",
    "float('inf')",
    "10**20 / 3",
)
BAD_SEEDS = ("(1, 2)", "[1]", "fractions.Fraction(1, 2)")
DISTRIBUTIONS = lists.section("standard_library", "DISTRIBUTIONS")
GENERATORS = lists.section("standard_library", "GENERATORS")
STATISTICS = lists.section("standard_library", "STATISTICS")
DATA = lists.section("standard_library", "DATA")
PAIRS_OF_DATA = lists.section("standard_library", "PAIRS_OF_DATA")
LIBRARY = lists.section("standard_library", "LIBRARY")
ENDLESS = ("factorial", "2**53 + 1")


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for name in ONE:
        defined = DOMAIN.get(name, "x == x")
        call = f"math.{name}(int(abs(x)) % 500)" if name in ("isqrt", "factorial") else f"math.{name}(x)"
        for values in ARGUMENTS[:-1]:
            yield "math", SAFE.format(call=call, values=values, defined=defined)
        yield from (("math", f"math.{name}({odd})") for odd in ODD if (name, odd) != ENDLESS)
    for name in TWO:
        for values in ARGUMENTS[:2]:
            yield "math", f"[math.{name}(abs(x) + 0.5, 2.75 + x / 9) for x in {values}]"
        for first in ODD[::3]:
            for second in ODD[::4]:
                yield "math", f"math.{name}({first}, {second})"
    for name in CMATH:
        yield "cmath", f"[cmath.{name}(complex(x, 0.3 - x / 3)) for x in {ARGUMENTS[0]} if abs(x) > 0.01]"
        yield from (("cmath", f"cmath.{name}({odd})") for odd in (*ODD, "complex('inf+nanj')", "complex('-0-infj')"))
    for name in ("math.pi", "math.e", "math.tau", "math.inf", "math.nan", "cmath.infj", "cmath.nanj"):
        yield "math", name
    for name in [
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arcsinh",
        "arctanh",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "cbrt",
    ]:
        for values in ARGUMENTS[:3]:
            for dtype in ("'f8'", "'f4'", "'c16'"):
                yield "numpy mathematics", f"np.{name}(np.array({values}, {dtype}))"
    for name in (
        "arctan2",
        "hypot",
        "power",
        "float_power",
        "logaddexp",
        "logaddexp2",
        "fmod",
        "remainder",
        "nextafter",
    ):
        for values in ARGUMENTS[:2]:
            for dtype in ("'f8'", "'f4'"):
                yield (
                    "numpy mathematics",
                    f"np.{name}(abs(np.array({values}, {dtype})) + 1, np.array({values}, {dtype}))",
                )
    for values in ARGUMENTS[:4]:
        for name in ("sum", "mean", "std", "var", "prod", "median", "cumsum"):
            yield "numpy mathematics", f"np.{name}(np.array({values}))"
    for seed in SEEDS:
        for call in RANDOM:
            yield "random", f"random.Random({seed}).{call}"
    yield from (("random", f"random.Random({seed})") for seed in BAD_SEEDS)
    for maker in GENERATORS:
        for seed in ("1", "2**32 - 1"):
            yield from (("numpy random", f"{maker.format(seed)}.{call}") for call in DISTRIBUTIONS)
    for name in STATISTICS:
        yield from (("statistics", f"statistics.{name}({data})") for data in DATA)
    yield from (
        ("statistics", f"statistics.{text}".replace("(NormalDist", "(statistics.NormalDist")) for text in PAIRS_OF_DATA
    )
    yield from (("standard library", text) for text in LIBRARY)
    yield from (("errno", f"errno.{name}") for name in ERRNO_NAMES)
    for array in ARRAYS:
        yield from (
            ("texts", text.format(array))
            for text in (
                "str({})",
                "repr({})",
                "{}.tobytes()",
                "memoryview({}).format",
                "{}.__array_interface__['typestr']",
            )
        )


ERRNO_NAMES = lists.section("standard_library", "ERRNO_NAMES")
