"""The delay of a neighbour: a trivial run beside each shape of work that is dear for the host."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.bench.context import Context
from tests.bench.measure import Line
from tests.neighbour import worst_delay
from tests.shapes import BY_NAME, NEIGHBOURS, SHAPES, attack, conditions

import wasmexec

MOST_MS = 20
_MANY = max(shape.parallel for shape in SHAPES)
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
    beside = [worst_delay(context.executor, partial(_many_at_once, context.executor)) for _ in range(TRIES)]
    found.sort(reverse=True)
    added, name, _ = found[0]
    yield Line(
        name="worst neighbour delay", guest=added, target=f"<= {MOST_MS} ms", met=added <= MOST_MS,
        samples=sum(runs for _, _, runs in found), comment=name,
    )  # fmt: skip
    yield Line(
        name=f"  {_MANY} at once that return []", guest=statistics.median(delay.added for delay in beside) * 1e3,
        samples=sum(delay.runs for delay in beside), comment="what so many statements cost whatever they do",
    )  # fmt: skip
    for added, name, runs in [] if context.quick else found[1:5]:
        yield Line(name=f"  {name}"[:53], guest=added, samples=runs)


def _many_at_once(executor: wasmexec.Executor) -> None:
    """The control: as many statements as the shapes have that are many, and none of them has anything done for it."""
    with ThreadPoolExecutor(_MANY) as threads:
        for run in [threads.submit(executor.run, "return []") for _ in range(_MANY)]:
            run.result()


ALL = {"neighbours": worst_neighbour_delay}
