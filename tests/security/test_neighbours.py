"""No execution keeps another one waiting: a neighbour's delay while each shape of dear work goes on beside it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.neighbour import MOST_SECONDS, least_delay, worst_delay
from tests.shapes import NEIGHBOURS, SHAPES, Shape, attack, conditions

from wasmexec import Executor

pytestmark = pytest.mark.timing
ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 4
PAIRS = [pytest.param(shape, who, id=f"{shape.name}, {who}") for shape in SHAPES for who in shape.neighbours]


@pytest.mark.parametrize(("shape", "who"), PAIRS)
def test_a_neighbour_hardly_waits(executor: Executor, shape: Shape, who: str) -> None:
    statement, options = NEIGHBOURS[who]
    with conditions(shape) as given:
        delay = least_delay(executor, lambda: attack(executor, shape, given), statement, **options)
    assert delay.runs > 0
    assert delay.added < MOST_SECONDS


FIRST = """
from tests.neighbour import worst_delay
from tests.shapes import BY_NAME, attack, conditions
import wasmexec
shape = BY_NAME["synchronous calls that nobody answers"]
with wasmexec.Executor() as executor, conditions(shape) as given:
    print(worst_delay(executor, lambda: attack(executor, shape, given)).added)
"""


def test_what_a_process_loads_at_its_first_call_keeps_no_neighbour_waiting() -> None:
    """A dozen statements wait for it: they take no place from others meanwhile."""

    def added() -> float:
        done = subprocess.run(
            [sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
        )
        return float(done.stdout)

    assert any(added() < MOST_SECONDS for _ in range(ROUNDS))


def test_a_thread_that_holds_the_interpreters_lock_is_noticed(executor: Executor) -> None:
    """The control: sorting a million numbers is one long step of the interpreter."""
    chance = random.Random(1)
    numbers = [chance.random() for _ in range(1_000_000)]

    def hold() -> None:
        for _ in range(5):
            sorted(numbers)
            time.sleep(0.01)

    delay = worst_delay(executor, hold)
    assert delay.added > MOST_SECONDS
