"""Shrinking: fewer rows, fewer keys, simpler values, as long as the finding is the same and the schema takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .finding import Finding
from .inputs import FuzzInput
from .target import Target

MAX_RUNS = 500
MAX_SECONDS = 30.0


class Shrinker:
    """Makes the input of one finding smaller; what was reached can be gone on with later."""

    def __init__(
        self, target: Target, finding: Finding, *, max_runs: int = MAX_RUNS, max_seconds: float = MAX_SECONDS
    ) -> None:
        self._target = target
        self._finding = finding
        self._max_runs = max_runs
        self._until = time.monotonic() + max_seconds
        self._tried: set[str] = set()
        self._runs = 0

    def run(self) -> Finding:
        """The same finding by the smallest input that was found within the bounds; it says whether that is the end."""
        best = self._finding.input
        start = 0
        while True:
            # From where the last step was found, for what stands before it was in vain a moment ago; then from the top.
            start, smaller = self._first_from(start, best)
            if smaller is not None:
                best = smaller
            elif start:
                start = 0
            else:
                break
        runs = self._finding.shrink_runs + self._runs
        return replace(self._finding, input=best, is_minimal=not self._is_over, shrink_runs=runs)

    def _first_from(self, start: int, best: FuzzInput) -> tuple[int, FuzzInput | None]:
        """The first simpler input from a position on that shows the same, and its position; None if none does."""
        for at, smaller in enumerate(_smaller(best)):
            if self._is_over:
                break
            if at >= start and _measure(smaller) < _measure(best) and self._is_same(smaller):
                return at, smaller
        return start, None

    @property
    def _is_over(self) -> bool:
        return self._runs >= self._max_runs or time.monotonic() > self._until

    def _is_same(self, smaller: FuzzInput) -> bool:
        if smaller.key in self._tried or not self._target.fits(smaller):
            return False
        self._tried.add(smaller.key)
        self._runs += 1
        verdict = self._target.again(smaller, self._finding.verdict)
        return verdict is not None and verdict.fingerprint == self._finding.id


def _smaller(given: FuzzInput) -> Iterator[FuzzInput]:
    """Simpler inputs, the greatest steps first."""
    for index, rows in enumerate(given.inputs):
        for fewer in _shorter(rows or []):
            yield _with(given, index, fewer)
    if given.checkpoint is not None:
        yield replace(given, checkpoint=None)
    for name in given.local_variables:
        yield replace(given, local_variables={key: item for key, item in given.local_variables.items() if key != name})
    for index, rows in enumerate(given.inputs):
        for at, row in enumerate(rows or []):
            for simpler in _simpler(row):
                yield _with(given, index, [*(rows or [])[:at], simpler, *(rows or [])[at + 1 :]])


def _with(given: FuzzInput, index: int, rows: list[Any]) -> FuzzInput:
    return replace(given, inputs=[*given.inputs[:index], rows, *given.inputs[index + 1 :]])


def _shorter(rows: list[Any]) -> Iterator[list[Any]]:
    """Parts of a list, and the list without parts: from halves down to single items."""
    size = len(rows) // 2 or len(rows)
    if rows:
        yield []
    while size:
        for start in range(0, len(rows), size):
            if size < len(rows):
                yield rows[start : start + size]
                yield rows[:start] + rows[start + size :]
        size //= 2


def _simpler(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        plain = {key: _plainest(item) for key, item in value.items()}
        if plain != value:
            yield plain
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
        for key, item in value.items():
            for simpler in _simpler(item):
                yield {**value, key: simpler}
    elif isinstance(value, list):
        yield from _shorter(value)
        for at, item in enumerate(value):
            for simpler in _simpler(item):
                yield [*value[:at], simpler, *value[at + 1 :]]
    elif isinstance(value, bool):
        yield False
    elif isinstance(value, (int, float)):
        yield from _simpler_numbers(value)
    elif isinstance(value, str):
        yield from ("", "a", "0", "2026-01-01", "2026-01-01T00:00:00")
        half = len(value) // 2
        yield from (value[:half], value[half:], value[:-1], value[1:])
        yield from (value[:at] + "a" + value[at + 1 :] for at in range(min(len(value), 20)))


def _simpler_numbers(value: float) -> Iterator[float]:
    yield from (0, 1, -1) if isinstance(value, int) else (0, 1, 0.0, 1.0, -1.0)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        yield int(value)
    if isinstance(value, int):
        # Towards zero by ever smaller steps, which finds a bound within some dozens of them.
        sign = 1 if value > 0 else -1
        yield from (value - sign * (abs(value) >> shift) for shift in range(1, abs(value).bit_length()))
    else:
        yield from (value / 2, value - 1 if value > 0 else value + 1)
    if isinstance(value, float):
        yield from (float(round(value)), round(value, 1)) if abs(value) < 1e15 else ()


def _plainest(value: Any) -> Any:
    """The simplest value of the same type."""
    if isinstance(value, bool) or value is None:
        return False if value is not None else None
    if isinstance(value, (int, float)):
        return 0
    return "" if isinstance(value, str) else [] if isinstance(value, list) else value


def _measure(given: FuzzInput) -> tuple[float, float]:
    """How complex an input is: rows first, then the values in them; shrinking only ever goes down."""
    more = (0 if given.checkpoint is None else 5) + 5 * len(given.local_variables)
    return sum(len(rows or ()) for rows in given.inputs), more + sum(_weigh(rows) for rows in given.inputs)


def _weigh(value: Any) -> float:
    if isinstance(value, dict):
        return 1 + sum(2 + _weigh(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(2 + _weigh(item) for item in value)
    if value is None:
        return 0.5
    if isinstance(value, bool):
        return 0.1 * value
    if isinstance(value, (int, float)):
        return _weigh_number(value)
    text = str(value)
    return 0.1 + len(text) + 0.5 * sum(character != "a" for character in text) if text else 0


def _weigh_number(value: float) -> float:
    if value == 0:
        return 0.0 if isinstance(value, int) else 0.05
    is_whole = isinstance(value, int) or value.is_integer()
    size = abs(int(value)).bit_length()
    # Among numbers of one length the smaller is the simpler.
    fine = abs(value) / 2.0 ** max(size, 1) if size < 1000 else 1
    return 0.2 + size * 0.1 + fine * 0.05 + (0 if is_whole else len(repr(value)) * 0.2) + 0.1 * (value < 0)
