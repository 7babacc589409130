"""The image's own sine, cosine, tangent and their inverses are at most 0.502 of a digit off, by integer arithmetic."""

import math
import random

import pytest

import wasmexec

BITS = 1200
ONE = 1 << BITS
MOST_OFF = 0.502

random_number = random.Random(5)


def spread(least: int, most: int, count: int) -> list[float]:
    """Numbers of either sign whose exponents lie between the two."""
    return [
        math.ldexp(random_number.uniform(1, 2) * random_number.choice((1, -1)), random_number.randint(least, most - 1))
        for _ in range(count)
    ]


NUMBERS = [*spread(-30, 0, 500), *spread(-2, 5, 1500), *spread(5, 30, 300), *spread(30, 1000, 100)]
NEAR_TURNS = [math.nextafter(k * math.pi / 4, towards) for k in range(1, 200) for towards in (0, k * math.pi / 4, 1e9)]
WITHIN_ONE = [*spread(-30, 0, 500), *spread(-3, 0, 1000), *(math.copysign(1 - abs(x), x) for x in spread(-52, -1, 300))]
PAIRS = list(zip(spread(-20, 20, 1500), spread(-20, 20, 1500), strict=True))

STATEMENT = """
import math
numbers, within_one, pairs = INPUT_DATA
return [{
    "sin": [math.sin(x) for x in numbers],
    "cos": [math.cos(x) for x in numbers],
    "tan": [math.tan(x) for x in numbers],
    "atan": [math.atan(x) for x in numbers],
    "asin": [math.asin(x) for x in within_one],
    "acos": [math.acos(x) for x in within_one],
    "atan2": [math.atan2(y, x) for y, x in pairs],
}]
"""


def scaled(number: float) -> int:
    """The number in units of 2 ** -BITS."""
    numerator, denominator = number.as_integer_ratio()
    return numerator * ONE // denominator


def arctangent_of_inverse(number: int) -> int:
    """atan(1 / number), by its series."""
    total, power, step = 0, ONE // number, 1
    while power:
        total += (-power if step & 2 else power) // step
        power //= number * number
        step += 2
    return total


HALF_PI = 2 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239))


def sine_and_cosine(angle: float) -> tuple[int, int]:
    """Both by their series, after whole quarter turns are taken away."""
    whole = scaled(angle)
    turns = (2 * whole + HALF_PI) // (2 * HALF_PI)
    rest = whole - turns * HALF_PI
    sums, term, step = [0, 0], ONE, 0
    while abs(term) > 1:
        sums[step % 2] += -term if step & 2 else term
        step += 1
        term = term * rest // ONE // step
    cosine, sine = sums
    return [(sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine)][turns % 4]


def digits_off(found: float, exact: int) -> float:
    """The distance in units of the last digit of `found`."""
    return abs(scaled(found) - exact) / ONE / math.ulp(found)


def angle_off(found: float, y: int, x: int) -> float:
    """How far `found` is from the angle of (x, y), in units of its last digit."""
    sine, cosine = sine_and_cosine(found)
    across, along = y * cosine - x * sine, x * cosine + y * sine
    return abs(across * ONE // along) / ONE / math.ulp(found)


@pytest.fixture(scope="module")
def found(executor: wasmexec.Executor) -> dict[str, list[float]]:
    """What the guest computes."""
    result = executor.run(STATEMENT, input_data=[[*NUMBERS, *NEAR_TURNS], WITHIN_ONE, PAIRS])
    result.raise_for_status()
    assert result.rows is not None
    return dict(result.rows[0])


def test_sines_cosines_and_tangents_are_as_near_as_doubles_get(found: dict[str, list[float]]) -> None:
    worst = {"sin": 0.0, "cos": 0.0, "tan": 0.0}
    for index, angle in enumerate((*NUMBERS, *NEAR_TURNS)):
        sine, cosine = sine_and_cosine(angle)
        exact = {"sin": sine, "cos": cosine, "tan": sine * ONE // cosine}
        for name, value in exact.items():
            worst[name] = max(worst[name], digits_off(found[name][index], value))
    assert max(worst.values()) < MOST_OFF, worst


def test_inverse_functions_are_as_near_as_doubles_get(found: dict[str, list[float]]) -> None:
    worst = dict.fromkeys(("atan", "asin", "acos", "atan2"), 0.0)
    for index, number in enumerate((*NUMBERS, *NEAR_TURNS)):
        worst["atan"] = max(worst["atan"], angle_off(found["atan"][index], scaled(number), ONE))
    for index, number in enumerate(WITHIN_ONE):
        leg, other = scaled(number), math.isqrt(ONE * ONE - scaled(number) ** 2)
        worst["asin"] = max(worst["asin"], angle_off(found["asin"][index], leg, other))
        worst["acos"] = max(worst["acos"], angle_off(found["acos"][index], other, leg))
    for index, (y, x) in enumerate(PAIRS):
        worst["atan2"] = max(worst["atan2"], angle_off(found["atan2"][index], scaled(y), scaled(x)))
    assert max(worst.values()) < MOST_OFF, worst


def test_the_reference_notices_a_result_that_is_one_digit_off() -> None:
    sine, _ = sine_and_cosine(0.5)
    assert digits_off(math.sin(0.5), sine) < MOST_OFF < digits_off(math.nextafter(math.sin(0.5), 1), sine)
    assert angle_off(math.atan(0.5), ONE, 2 * ONE) < MOST_OFF
    assert angle_off(math.nextafter(math.atan(0.5), 1), ONE, 2 * ONE) > MOST_OFF
