"""Writes the constants and tables of our own mathematics as C, worked out with integers: `tables.py tables.h`."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

_BITS = 256
_ONE = 1 << _BITS
_LEADING_BITS = 26
_LOG10_2_BITS = 40
_LOG10_2_SINGLE_BITS = 17


def header() -> str:
    """The text of tables.h."""
    pi, ln10 = 4 * _arctangent(_ONE), _logarithm(10)
    log10_2 = _logarithm(2) * _ONE // ln10
    lines = [
        "#ifndef WX_TABLES_H",
        "#define WX_TABLES_H",
        '#include "pairs.h"',
        f"static const double QUARTER_PI = {_double(pi // 4)};",
        f"static const pair HALF_PI = {_pair(pi // 2)};",
        f"static const pair PI = {_pair(pi)};",
        f"static const double LN2 = {_double(_logarithm(2))};",
        f"static const double LN10_INVERSE = {_double(_ONE * _ONE // ln10)};",
        "/* The first halves are so short that they are exact times an exponent. */",
        f"static const pair LOG10_2 = {_pair(log10_2, _LOG10_2_BITS)};",
        f"static const pair LOG10_2_SINGLE = {_pair(log10_2, _LOG10_2_SINGLE_BITS)};",
        "",
        "typedef struct {",
        "    double sine, sine_rest, cosine, cosine_rest;",
        "} circle_entry;",
        "/* Of i / 64, the first halves with 26 bits. */",
        "static const circle_entry CIRCLE[] = {",
        *(f"    {line}," for line in _circle()),
        "};",
        "/* Of i / 64. */",
        "static const pair ARCTANGENT[] = {",
        *(f"    {_pair(_arctangent(index * _ONE // 64))}," for index in range(65)),
        "};",
        "#endif",
    ]
    return "\n".join([*lines, ""])


def _circle() -> Iterator[str]:
    for index in range(52):
        sine, cosine = _sine_and_cosine(index * _ONE // 64)
        yield f"{_pair(sine, _LEADING_BITS)[:-1]}, {_pair(cosine, _LEADING_BITS)[1:]}"


def _pair(value: int, bits: int | None = None) -> str:
    """A number as C writes a pair; with `bits`, its first half is that many bits of it, cut."""
    drop = max(value.bit_length() - bits, 0) if bits else 0
    first = value >> drop << drop if bits else _rounded(value)
    return f"{{{_hex(first)}, {_hex(_rounded(value - first))}}}"


def _double(value: int) -> str:
    return _hex(_rounded(value))


def _rounded(value: int) -> int:
    """To 53 bits."""
    drop = max(value.bit_length() - 53, 0)
    return (value + (1 << drop >> 1)) >> drop << drop


def _hex(value: int) -> str:
    return (value / _ONE).hex()


def _sine_and_cosine(angle: int) -> tuple[int, int]:
    sums, term, step = [0, 0], _ONE, 0
    while term:
        sums[step % 2] += -term if step & 2 else term
        step += 1
        term = term * angle // _ONE // step
    return sums[1], sums[0]


def _arctangent(tangent: int) -> int:
    if not tangent:
        return 0
    # Half the angle three times, since the series is slow near 1.
    for _ in range(3):
        hypotenuse = math.isqrt(_ONE * _ONE + tangent * tangent)
        tangent = tangent * _ONE // (_ONE + hypotenuse)
    total, power, step = 0, tangent, 1
    while power:
        total += (-power if step & 2 else power) // step
        power = power * tangent // _ONE * tangent // _ONE
        step += 2
    return total << 3


def _logarithm(number: int) -> int:
    """The natural logarithm of a small integer: twice the inverse hyperbolic tangent of (n - 1) / (n + 1)."""
    ratio = (number - 1) * _ONE // (number + 1)
    total, power, step = 0, ratio, 1
    while power:
        total += power // step
        power = power * ratio // _ONE * ratio // _ONE
        step += 2
    return 2 * total


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(header(), encoding="utf-8")
