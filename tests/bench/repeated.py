"""What it costs to run a statement again: its code is kept, so its length hardly counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.cases import TRIVIAL
from tests.bench.context import Context
from tests.bench.measure import Line, percentile, timed

FOLDER = Path(__file__).with_name("statements")
INPUTS: dict[str, list[dict[str, Any]]] = {"lines_50": [], "lines_200": []}
"""No rows: what is measured is the statement, not its work."""
MORE_MILLISECONDS = {"lines_50": 0.25, "lines_200": 0.5}


def read(name: str) -> str:
    """The text of a statement of the bench."""
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def again(context: Context) -> Iterator[Line]:
    """Fresh runs of real statements that have run before, in turns with the trivial one."""
    statements = {"trivial": (TRIVIAL, None), **{name: (read(name), INPUTS[name]) for name in INPUTS}}
    seconds: dict[str, list[float]] = {name: [] for name in statements}
    for number in range(context.rounds(24) + 1):
        for name, (statement, rows) in statements.items():
            run = partial(context.run, statement, input_data=rows)
            found = timed(run, 40)
            seconds[name] += found if number else []
    trivial = median(seconds["trivial"]) * 1e3
    for name, most in MORE_MILLISECONDS.items():
        middle = median(seconds[name]) * 1e3
        yield Line(
            name=f"fresh run of a statement of {name.removeprefix('lines_')} lines, run before", guest=middle,
            guest_p99=percentile(seconds[name], 99) * 1e3, target=f"<= trivial + {most:g}",
            met=middle <= trivial + most, samples=len(seconds[name]), comment=f"trivial: {trivial:.2f} ms, in turns",
        )  # fmt: skip


def first(context: Context) -> Iterator[Line]:
    """First runs: every text is new, so the guest that runs it compiles it; `prepare` and one run beside it."""
    for name, rows in INPUTS.items():
        text = read(name)
        seconds: dict[str, list[float]] = {"run": [], "prepare": [], "prepared run": []}
        for number in range(context.rounds(24)):
            started = time.perf_counter()
            context.run(f"{text}\n# {number} {time.time_ns()}", input_data=rows)
            seconds["run"].append(time.perf_counter() - started)
            started = time.perf_counter()
            prepared = context.executor.prepare(f"{text}\n# {number} {time.time_ns()}")
            seconds["prepare"].append(time.perf_counter() - started)
            started = time.perf_counter()
            prepared.run(input_data=rows).raise_for_status()
            seconds["prepared run"].append(time.perf_counter() - started)
        middle = {what: median(found) * 1e3 for what, found in seconds.items()}
        yield Line(
            name=f"first run of a statement of {name.removeprefix('lines_')} lines", guest=middle["run"],
            guest_p99=percentile(seconds["run"], 99) * 1e3, samples=len(seconds["run"]),
            comment=f"prepare {middle['prepare']:.1f} ms, its first run {middle['prepared run']:.2f} ms",
        )  # fmt: skip


ALL = {"again": again, "first": first}
