"""How often a mathematical function of the guest gives another last digit than natively: a table, and rates for tests.

    python -m tests.differential.mathematics                 every function, over 100,000 arguments
    python -m tests.differential.mathematics math numpy.exp  those whose name begins so
    python -m tests.differential.mathematics --count 5000    fewer arguments

Results count as different when their bits are, or when one side raises and the other does not; any NaN is a NaN. Both
sides get the same arguments, made without any function that is measured: a sixth each of small ones, below 1, below 16,
below 1024, next to 1, and of any exponent, subnormal ones included.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tests import reference

import wasmexec

RANGES = ("< 2**-10", "< 1", "< 16", "< 1024", "near 1", "any")
NATIVE_RUNNER = Path(__file__).with_name("native_runner.py")
_LIMITS = wasmexec.Limits(cpu_seconds=300, wall_seconds=600, output_bytes=64_000_000)

_STATEMENT = """
import base64, math
import numpy as np
np.seterr(all="ignore")
random = np.random.Generator(np.random.PCG64(SEED))

def numbers(count):
    parts = [(random.integers(-2**53, 2**53, count) * 2.0**-53) * width for width in (2.0**-10, 1.0, 16.0, 1024.0)]
    parts.append(1 + random.integers(-2**45, 2**45, count) * 2.0**-52)
    bits = random.integers(0, 2**63, count) * 2 + random.integers(0, 2, count)
    bits = np.where(bits >> 52 & 0x7ff == 0x7ff, bits ^ (1 << 61), bits)
    parts.append(bits.view(np.float64))
    return np.concatenate(parts)

def within(values, domain):
    if domain == "positive":
        return abs(values)
    if domain == "unit":
        return np.where(abs(values) > 1, 1 / values, values)
    if domain == "from 1":
        return np.maximum(np.where(abs(values) < 1, 1 / abs(values), abs(values)), 1.0)
    return values

def each(call, *arguments):
    found = []
    for values in zip(*(argument.tolist() for argument in arguments)):
        try:
            found.append(call(*values))
        except ValueError:
            found.append(-1.25e300)
        except OverflowError:
            found.append(-1.5e300)
    return np.array(found)

def distance(a, b):
    return math.dist((a, b), (b, 1.0))

def bits(values):
    halves = values.view(values.real.dtype)
    return np.where(np.isnan(halves), np.array(math.nan, halves.dtype), halves).tobytes()

first, second = numbers(COUNT), numbers(COUNT)
third, fourth = random.permutation(first), random.permutation(second)
found = {}
for name, call, domain, kind in CASES:
    x, y = within(first, domain), second
    if kind == "c16":
        x, y = first + 1j * third, second + 1j * fourth
    elif kind == "c8":
        x, y = (first + 1j * third).astype("c8"), (second + 1j * fourth).astype("c8")
    elif kind:
        x, y = x.astype(kind), y.astype(kind)
    found[name] = base64.b64encode(bits(eval(call))).decode()
return [found]
"""


@dataclass(frozen=True)
class Case:
    """One function: its name in the table, the expression that both sides evaluate, and its arguments."""

    name: str
    expression: str
    domain: str
    kind: str

    @property
    def halves(self) -> int:
        """Numbers per result."""
        return 2 if self.kind.startswith("c") else 1

    @property
    def width(self) -> int:
        """Bytes of a number of the result."""
        return {"": 8, "f8": 8, "c16": 8, "f4": 4, "c8": 4, "f2": 2}[self.kind]


@dataclass
class Rates:
    """Results per range, and how many of them differ."""

    results: dict[str, int] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """Of all results, how many differ."""
        return 100 * sum(self.differing.values()) / sum(self.results.values())

    def percent_in(self, name: str) -> float:
        """Of one range."""
        return 100 * self.differing[name] / self.results[name]


_DOMAINS = {
    "asin": "unit", "acos": "unit", "arcsin": "unit", "arccos": "unit", "atanh": "unit", "arctanh": "unit",
    "acosh": "from 1", "arccosh": "from 1", "log": "positive", "log2": "positive", "log10": "positive",
    "sqrt": "positive", "pow": "positive", "power": "positive", "float_power": "positive",
}  # fmt: skip
_OF_ONE = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt",
)  # fmt: skip
_OF_MATH = ("erf", "erfc", "gamma", "lgamma")
_OF_TWO_OF_MATH = ("atan2", "pow", "hypot", "fmod", "remainder")
_OF_NUMPY = ("sinc", "i0")
_OF_TWO_OF_NUMPY = ("arctan2", "power", "hypot", "fmod", "remainder", "logaddexp", "logaddexp2", "float_power")
_OF_COMPLEX = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
               "exp", "log", "log10", "sqrt")  # fmt: skip
_NUMPY_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
                "atanh": "arctanh"}  # fmt: skip
_REALS = {"f8": "float64", "f4": "float32", "f2": "float16"}
_COMPLEX = {"c16": "complex128", "c8": "complex64"}


def _cases() -> Iterator[Case]:
    for name in (*_OF_ONE, *_OF_MATH):
        yield Case(f"math.{name}", f"each(math.{name}, x)", _DOMAINS.get(name, "any"), "")
    for name in _OF_TWO_OF_MATH:
        yield Case(f"math.{name}", f"each(math.{name}, x, y)", _DOMAINS.get(name, "any"), "")
    yield Case("math.dist", "each(distance, x, y)", "any", "")
    for kind, of in _REALS.items():
        for name in (*_OF_ONE, *_OF_NUMPY):
            mine = _NUMPY_NAMES.get(name, name)
            yield Case(f"numpy.{mine} {of}", f"np.{mine}(x)", _DOMAINS.get(mine, "any"), kind)
        for name in _OF_TWO_OF_NUMPY:
            yield Case(f"numpy.{name} {of}", f"np.{name}(x, y).astype(x.dtype)", _DOMAINS.get(name, "any"), kind)
    for kind, of in _COMPLEX.items():
        for name in (*_OF_COMPLEX, "expm1", "log1p", "log2"):
            mine = _NUMPY_NAMES.get(name, name)
            yield Case(f"numpy.{mine} {of}", f"np.{mine}(x)", "any", kind)
        yield Case(f"numpy.power {of}", "np.power(x, y)", "any", kind)


CASES = tuple(_cases())


LISTED = {
    "math.cbrt": 57.0,
    "numpy.cbrt float64": 57.0,
    "numpy.tan float32": 3.7,
    "numpy.arcsin float32": 2.7,
    "numpy.arccos float32": 1.2,
    "numpy.cbrt float32": 11.0,
    "numpy.sin complex128": 0.8,
    "numpy.cos complex128": 0.7,
    "numpy.sinh complex128": 0.7,
    "numpy.cosh complex128": 0.7,
    "numpy.exp complex128": 0.6,
    "numpy.power complex128": 0.5,
    "numpy.sin complex64": 3.6,
    "numpy.cos complex64": 3.0,
    "numpy.tan complex64": 1.7,
    "numpy.arcsin complex64": 1.7,
    "numpy.arccos complex64": 1.5,
    "numpy.sinh complex64": 2.7,
    "numpy.cosh complex64": 3.1,
    "numpy.tanh complex64": 1.7,
    "numpy.arcsinh complex64": 1.6,
    "numpy.arccosh complex64": 1.5,
    "numpy.exp complex64": 1.8,
    "numpy.log complex64": 1.2,
    "numpy.log10 complex64": 1.2,
    "numpy.expm1 complex64": 2.2,
    "numpy.power complex64": 7.5,
}
"""Percent of results that may differ by the name of the case, above what the test allows elsewhere."""


def measure(cases: Iterable[Case], count: int, executor: wasmexec.Executor, seed: int = 1) -> dict[str, Rates]:
    """How often the two sides differ, by the name of the case; `count` arguments, a multiple of the ranges."""
    cases = tuple(cases)
    listed = [(case.name, case.expression, case.domain, case.kind) for case in cases]
    settings = {"SEED": seed, "COUNT": count // len(RANGES), "CASES": listed}
    statement = "\n".join(f"{name} = {value!r}" for name, value in settings.items()) + _STATEMENT
    done = reference.run("-I", NATIVE_RUNNER, standard_input=json.dumps([statement]))
    assert done.returncode == 0, done.stderr
    native = json.loads(done.stdout)[0]["rows"][0]
    result = executor.run(statement, limits=_LIMITS)
    result.raise_for_status()
    assert result.rows is not None
    guest = result.rows[0]
    return {case.name: rates(case, native[case.name], guest[case.name]) for case in cases}


def rates(case: Case, native: str, guest: str) -> Rates:
    """Compares the results of both sides, base64 of their bytes."""
    one, other = base64.b64decode(native), base64.b64decode(guest)
    step = case.width * case.halves
    assert len(one) == len(other)
    differing = [one[place : place + step] != other[place : place + step] for place in range(0, len(one), step)]
    size = len(differing) // len(RANGES)
    return Rates(
        results=dict.fromkeys(RANGES, size),
        differing={name: sum(differing[index * size : (index + 1) * size]) for index, name in enumerate(RANGES)},
    )


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--count", default=100_000, show_default=True, help="Arguments per function.")
def main(names: tuple[str, ...], count: int) -> None:
    """Print the table."""
    chosen = [case for case in CASES if not names or case.name.startswith(names)]
    table = Table("percent that differ", "all", *RANGES)
    with wasmexec.Executor() as executor:
        for case in track(chosen, console=Console(stderr=True)):
            found = measure([case], count, executor)[case.name]
            table.add_row(case.name, *(f"{value:.3f}" for value in (found.percent, *map(found.percent_in, RANGES))))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
