"""A soak of a minute's part: what a process holds besides memory is the same after some hundreds of executions more."""

from __future__ import annotations

import pytest
from tests.soak.kinds import KINDS
from tests.soak.process import Held, growth
from tests.soak.soak import soak


@pytest.mark.timing
def test_descriptors_threads_and_mappings_stay_the_same() -> None:
    rounds = len(KINDS) * 4
    found, wrong = soak(rounds * 3, every=rounds)
    assert not wrong
    assert [item.runs for item in found] == [rounds, 2 * rounds, 3 * rounds]
    assert found[2].descriptors == found[1].descriptors
    assert found[2].threads == found[1].threads
    # Some of an allocator's arenas come and go.
    assert abs(found[2].mappings - found[1].mappings) < 10


def test_what_grows_is_seen() -> None:
    def memory(held: int, allocated: int, blocks: int) -> list[Held]:
        return [
            Held(1000 * number, 1, 1, 1, 0, held * number, allocated * number, blocks * number) for number in range(10)
        ]

    grown = growth(memory(2_000_000, 1_000_000, 300))
    assert tuple(round(value, 6) for value in grown) == (2, 1, 300)
    assert tuple(map(abs, growth(memory(0, 0, 0)[:1]))) == (0, 0, 0)
