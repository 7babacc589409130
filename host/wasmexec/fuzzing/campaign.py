"""`Campaign`: stored findings first, then the corpus, the step's cases, and new inputs until time is up."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from ..errors import TimeLimitError
from ..result import Result
from . import judging
from .draw import RandomDraw, chance
from .finding import Finding
from .inputs import FuzzInput
from .shrink import Shrinker
from .store import FuzzStore
from .target import Target

Outcome: TypeAlias = Literal["FIXED", "FAILED", "CHANGED", "ERROR"]
_DEEP_EVERY = 16
_MOST_CONFIRMED = 3
_MOST_CORPUS = 2000
_AHEAD = 3
_MOST_UNFIT = 1000
"""One after the other; then nothing that fits is to be expected."""


@dataclass(slots=True)
class Summary:
    """What a campaign did: `branches` are passed of all, `never` the lines of those that were not.

    `unfit` inputs were made and not run, for the schemas do not take them (or do, where they must not).
    """

    seed: int = 0
    runs: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    branches: tuple[int, int] = (0, 0)
    never: list[int] = field(default_factory=list)
    unfit: int = 0
    undecided: int = 0
    stable: int = 100
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a campaign ends: after so many seconds, or so many runs; `seed` decides the new inputs."""

    seconds: float = 60.0
    runs: int | None = None
    seed: int = 0
    first: int = 0
    jobs: int = 2


class Campaign:
    """One run of the fuzzer over a target."""

    def __init__(
        self, target: Target, store: FuzzStore, bounds: Bounds, on_finding: Callable[[Finding], object]
    ) -> None:
        self._target = target
        self._store = store
        self._bounds = bounds
        self._on_finding = on_finding
        self._ended: queue.SimpleQueue[tuple[FuzzInput, Result | BaseException]] = queue.SimpleQueue()
        self._corpus: list[FuzzInput] = []
        self._features: set[tuple[int, int]] = set()
        self._shapes: set[tuple[object, ...]] = set()
        self._rough: dict[tuple[object, ...], int] = {}
        self._found: dict[str, Finding] = {}
        self._made = bounds.first
        self._unstable = self._checked = 0
        self.summary = Summary(seed=bounds.seed)

    def run(self) -> Summary:
        """Run it to its end. Interrupted (KeyboardInterrupt), it keeps what it has, and says so."""
        started = time.monotonic()
        first_run = self._target.runs
        try:
            self._go(started, first_run)
            self._shrink()
        except KeyboardInterrupt:
            self.summary.is_stopped = True
        finally:
            self._store.keep_state({"seed": self._bounds.seed, "made": self._made, "runs": self._target.runs})
        summary = self.summary
        summary.runs, summary.seconds = self._target.runs - first_run, time.monotonic() - started
        summary.findings = list(self._found.values())
        summary.stable = 100 if not self._checked else round(100 * (1 - self._unstable / self._checked))
        probed = self._target.probed
        if probed is not None:
            passed = {index for index, _ in self._features}
            summary.branches = len(passed), len(probed.lines)
            never = {line for index, line in enumerate(probed.lines) if index not in passed}
            summary.never = sorted(never)
        return summary

    def _go(self, started: float, first_run: int) -> None:
        bounds, inputs = self._bounds, self._inputs()
        under_way = unfit = 0
        is_over = False
        while under_way or not is_over:
            while not is_over and under_way < bounds.jobs * _AHEAD:
                is_over = time.monotonic() - started > bounds.seconds or (
                    bounds.runs is not None and self._target.runs - first_run >= bounds.runs
                )
                given = None if is_over else next(inputs)
                if given is None:
                    unfit += 1
                    is_over = is_over or unfit >= _MOST_UNFIT
                    break
                unfit = 0
                self._target.runs += 1
                under_way += 1
                prepared = self._target.prepared(given, with_probes=True)
                prepared.submit(partial(self._put, given), **self._target.arguments(given))
            if under_way:
                given, result = self._ended.get()
                under_way -= 1
                if isinstance(result, BaseException):
                    raise result
                self._take(given, result)

    def _put(self, given: FuzzInput, result: Result | BaseException) -> None:
        self._ended.put((given, result))

    def _inputs(self) -> Iterator[FuzzInput | None]:
        """Old inputs that fit the mode, then new ones, without end: None in the place of one that does not fit."""
        target = self._target
        stored = [finding.input for finding in self._store.findings()]
        for given in [*stored, *self._store.corpus(), *target.starting.inputs]:
            if target.fits(given):
                yield given
        while True:
            draw = RandomDraw(f"{self._bounds.seed}:{self._made}")
            self._made += 1
            is_mutated = bool(self._corpus) and chance(draw, 60)
            given = target.mutator.mutate(draw, self._corpus) if is_mutated else target.draw_input(draw)
            is_fit = target.fits(given)
            self.summary.unfit += not is_fit
            yield given if is_fit else None

    def _take(self, given: FuzzInput, result: Result) -> None:
        target = self._target
        if isinstance(result.error, TimeLimitError):
            self.summary.undecided += 1
            return
        hits = target.probed.hits(result.logs) if target.probed is not None else frozenset[tuple[int, int]]()
        shape = (int(result.status), min(len(result.rows), 3), type(result.error).__name__)
        is_new = not hits <= self._features or shape not in self._shapes
        self._features |= hits
        self._shapes.add(shape)
        verdict = target.judge(given, result)
        if verdict is not None:
            self._suspect(given, (verdict.kind, verdict.exception, verdict.line, verdict.fingerprint))
        elif is_new or self._checked * _DEEP_EVERY < target.runs or target.options.property_statement is not None:
            self._look_deeper(given, result)
        if is_new and len(self._corpus) < _MOST_CORPUS:
            self._corpus.append(given)
            if verdict is None:
                self._store.keep_input(given)

    def _look_deeper(self, given: FuzzInput, result: Result) -> None:
        if result.error is not None:
            return
        self._checked += 1
        verdict = self._target.deep_verdict(given, result)
        if verdict is not None:
            self._unstable += verdict.kind == "nondeterministic"
            self._suspect(given, (verdict.kind, verdict.exception, verdict.line, verdict.fingerprint))

    def _suspect(self, given: FuzzInput, rough: tuple[object, ...]) -> None:
        """Confirm with the statement as it is; the same suspicion is followed up a few times only."""
        self._rough[rough] = self._rough.get(rough, 0) + 1
        if self._rough[rough] > _MOST_CONFIRMED:
            return
        finding = self._target.check(given)
        if finding is None:
            return
        self._rough[rough] = _MOST_CONFIRMED
        known = self._found.get(finding.id)
        if known is None:
            self._found[finding.id] = finding
            stored = next((item for item in self._store.findings() if item.id == finding.id), None)
            if stored is not None:
                self._found[finding.id] = finding = stored
            self._store.keep_finding(finding)
            self._on_finding(finding)

    def _shrink(self) -> None:
        for finding in list(self._found.values()):
            if not finding.is_minimal:
                smaller = Shrinker(self._target, finding).run()
                self._found[finding.id] = smaller
                self._store.keep_finding(smaller)


def replay(target: Target, finding: Finding) -> tuple[Outcome, str]:
    """Run a finding's input again: FIXED, FAILED, CHANGED (something else is wrong now) or ERROR, and a sentence."""
    if target.options.needed_by(finding.verdict.kind) != finding.needs:
        return "ERROR", f"it was found with {finding.needs or 'the usual options'}: replay it with that"
    if not target.fits(finding.input):
        return "CHANGED", "the input schema no longer takes the input"
    result = target.run(finding.input)
    if judging.is_undecided(result) and finding.verdict.kind != "slow":
        return "ERROR", str(result.error)
    found = target.again(finding.input, finding.verdict) or target.verdict(finding.input)
    if found is None:
        return "FIXED", "nothing is wrong with this input any more"
    if found.fingerprint == finding.id:
        return "FAILED", found.message
    return "CHANGED", f"now {found.kind}: {' '.join(filter(None, (found.exception, found.message)))}"
