"""A soak of a minute's part: what a process holds besides memory is the same after some hundreds of executions more."""

from __future__ import annotations

from tests.soak.kinds import KINDS
from tests.soak.process import Held, slope
from tests.soak.soak import soak


def test_descriptors_threads_and_mappings_stay_the_same() -> None:
    rounds = len(KINDS) * 4
    found, wrong = soak(rounds * 3, every=rounds)
    assert not wrong
    assert [item.runs for item in found] == [rounds, 2 * rounds, 3 * rounds]
    assert found[2].descriptors == found[1].descriptors
    assert found[2].threads == found[1].threads
    # Some of an allocator's arenas come and go.
    assert abs(found[2].mappings - found[1].mappings) < 10


def test_the_slope_is_that_of_the_line_which_fits_best() -> None:
    found = [Held(1000 * number, 1, 1, 1, 0, 5_000_000 + 2_000_000 * number, 0) for number in range(5)]
    assert round(slope(found), 9) == 2
    assert slope(found[:1]) == 0
