"""The bench's own arithmetic, and kernels that do what they say."""

from __future__ import annotations

import pytest
from tests.bench import kernels
from tests.bench.measure import Line, Samples, geometric_mean, in_turns, line, percentile


def test_percentiles_are_nearest_ranks() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([7.0], 99) == 7


def test_the_geometric_mean_is_the_root_of_the_product() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)


def test_a_line_compares_medians_with_its_target() -> None:
    samples = Samples(guest=[0.003, 0.001, 0.002], native=[0.001])
    met = line("x", samples, limit=2)
    assert (met.guest, met.guest_p99, met.native, met.ratio, met.met, met.target) == (2, 3, 1, 2, True, "<= 2x")
    assert line("x", samples, limit=1.9).met is False
    assert line("x", samples).met is None
    assert Line(name="x", guest=1).ratio is None


def test_guest_and_native_are_measured_in_turns_and_the_first_round_is_dropped() -> None:
    order: list[str] = []

    def side(name: str) -> list[float]:
        order.append(name)
        return [float(len(order))]

    samples = in_turns(2, lambda: side("guest"), lambda: side("native"))
    assert order == ["guest", "native"] * 3
    assert samples == Samples(guest=[3, 5], native=[4, 6])


@pytest.mark.parametrize("name", kernels.PURE_PYTHON)
def test_a_kernel_gives_its_answer(name: str) -> None:
    space: dict[str, object] = {}
    exec(kernels.PURE_PYTHON[name], space)
    work = space["work"]
    assert callable(work)
    assert work() == {
        "fib": 75025,
        "integer loop": 920_012,
        "dicts": [("k0", 151), ("k1", 151), ("k10", 151)],
        "classes": 1_201_140_000,
        "json": 4000,
    }.get(name)
