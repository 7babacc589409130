"""`cancel()` acts at any moment of an execution, also while it is the host that works."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.neighbour import cancel_delay
from tests.shapes import BY_NAME, SHAPES, Shape, attack, conditions

from wasmexec import Executor, Limits, Status

pytestmark = pytest.mark.timing
MOST_SECONDS = 0.15
"""Three times what is promised."""
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
PHASES: dict[str, str] = {
    "computing": "while True:\n    pass",
    "computing in C": "return [{'a': sum(range(10**12))}]",
    "sleeping": "await sleep(60)\nreturn []",
    "sleeping synchronously": "import time\ntime.sleep(60)\nreturn []",
    "a log flood": "while True:\n    log.info('x')",
    "many short sleeps": "while True:\n    await sleep(0)",
}
"""What goes on until it is cancelled."""


@pytest.mark.parametrize("statement", PHASES.values(), ids=PHASES)
def test_what_the_guest_does_is_cancelled_at_once(executor: Executor, statement: str) -> None:
    for after in (0.05, 0.5):
        seconds, result = cancel_delay(executor, statement, after, limits=Limits(wall_seconds=60, cpu_seconds=30))
        assert result.status == Status.CANCELLED
        assert seconds < MOST_SECONDS, after


ALONE = [shape for shape in SHAPES if shape.csv is None and shape.parallel == 1]


@pytest.mark.parametrize("shape", ALONE, ids=lambda shape: shape.name)
def test_what_the_host_does_is_cancelled_at_once(executor: Executor, shape: Shape) -> None:
    """At several moments of the time that the shape takes alone, whichever phase that is."""
    with conditions(shape) as options:
        start = time.perf_counter()
        attack(executor, shape, options)
        whole = min(time.perf_counter() - start, 10.0)
    found: dict[float, Any] = {}
    for fraction in FRACTIONS:
        with conditions(shape) as options:
            seconds, result = cancel_delay(executor, shape.statement, whole * fraction, **options)
        found[fraction] = round(seconds, 3), int(result.status)
    assert max(seconds for seconds, _ in found.values()) < MOST_SECONDS, (whole, found)


def test_an_answer_that_never_comes_is_not_waited_for(executor: Executor) -> None:
    shape = BY_NAME["synchronous calls that nobody answers"]
    with conditions(shape) as options:
        seconds, result = cancel_delay(executor, shape.statement, 0.3, **{**options, "limits": Limits()})
    assert result.status == Status.CANCELLED
    assert seconds < MOST_SECONDS
