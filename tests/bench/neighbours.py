"""The delay of a neighbour: a trivial run beside each shape of work that is dear for the host."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

from tests.bench.context import Context
from tests.bench.measure import Line
from tests.neighbour import worst_delay
from tests.shapes import BY_NAME, NEIGHBOURS, SHAPES, attack, conditions

MOST_MS = 20
TRIES = 3
"""Of each shape; the median of what was worst in each counts, for others use the machine, too."""


def worst_neighbour_delay(context: Context) -> Iterator[Line]:
    """By how much a run took longer, at worst, while something else went on in the same process; over all shapes.

    What a process loads once, at its first host call, is loaded before.
    """
    first = BY_NAME["synchronous calls that nobody answers"]
    with conditions(first) as given:
        attack(context.executor, first, given)
    found: list[tuple[float, str, int]] = []
    for shape in SHAPES:
        for who in shape.neighbours:
            statement, options = NEIGHBOURS[who]
            with conditions(shape) as given:
                work = partial(attack, context.executor, shape, given)
                delays = [worst_delay(context.executor, work, statement, **options) for _ in range(TRIES)]
            added = statistics.median(delay.added for delay in delays)
            found.append((added * 1e3, f"{shape.name}, the neighbour is {who}", sum(delay.runs for delay in delays)))
    found.sort(reverse=True)
    added, name, _ = found[0]
    yield Line(
        name="worst neighbour delay", guest=added, target=f"<= {MOST_MS} ms", met=added <= MOST_MS,
        samples=sum(runs for _, _, runs in found), comment=name,
    )  # fmt: skip
    for added, name, runs in [] if context.quick else found[1:5]:
        yield Line(name=f"  {name}"[:53], guest=added, samples=runs)


ALL = {"neighbours": worst_neighbour_delay}
