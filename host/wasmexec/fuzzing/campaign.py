"""`Campaign`: stored findings first, then the corpus, the step's cases, and new inputs until time is up."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from . import judging
from .finding import Finding
from .inputs import FuzzInput
from .jobs import Assignment, Gone, Heard, Job, JobEvent, Jobs
from .notices import Counts, Notice, Novelty, Suspicion
from .searching import MOST_SUSPICIONS, Ended, Search
from .shrink import Shrinker
from .store import FuzzStore
from .target import Target

Outcome: TypeAlias = Literal["FIXED", "FAILED", "CHANGED", "ERROR"]
_NO_END = 2**62
_ALONE_SECONDS = 0.5
_END_SECONDS = 5.0
"""For what jobs have under way when the campaign is over."""
_PATIENCE_SECONDS = 300.0


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
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a campaign ends: after so many seconds, or so many runs; `seed` decides the new inputs.

    `jobs` searches go on at the same time, each in a process with its own inputs. The numbers of inputs begin at
    `first`.
    """

    seconds: float = 60.0
    runs: int | None = None
    seed: int = 0
    first: int = 0
    jobs: int = 2


class Campaign:
    """One run of the fuzzer over a target: a search here, more of them in processes of their own, and what they find.

    Here findings are confirmed, kept and made small. An input with something new is handed on to the other searches.
    """

    def __init__(
        self, target: Target, store: FuzzStore, bounds: Bounds, on_finding: Callable[[Finding], object]
    ) -> None:
        self._target = target
        self._store = store
        self._bounds = bounds
        self._on_finding = on_finding
        self._events: queue.SimpleQueue[Ended | JobEvent] = queue.SimpleQueue()
        self._search = Search(
            target, str(bounds.seed), self._events.put, self._notice, first=bounds.first,
            first_inputs=self._old_inputs(),
        )  # fmt: skip
        self._jobs = Jobs(self._events.put)
        self._novelties: list[Novelty] = []
        self._suspected: dict[str, int] = {}
        self._found: dict[str, Finding] = {}
        self._first_run = target.runs
        self._started = 0.0
        self._missing = bounds.jobs - 1
        """Jobs that have not been started yet."""
        self.summary = Summary(seed=bounds.seed)

    def run(self) -> Summary:
        """Run it to its end. Interrupted (KeyboardInterrupt), it keeps what it has, and says so."""
        self._started = time.monotonic()
        summary = self.summary
        try:
            self._go()
            self._shrink()
        except KeyboardInterrupt:
            summary.is_stopped = True
        finally:
            self._jobs.kill()
            made = max(counts.made for counts in self._counts)
            self._store.keep_state({"seed": self._bounds.seed, "made": made, "runs": self._runs})
        summary.runs, summary.seconds = self._runs, time.monotonic() - self._started
        summary.findings = list(self._found.values())
        summary.unfit = sum(counts.unfit for counts in self._counts)
        summary.undecided = sum(counts.undecided for counts in self._counts)
        checked, unstable = (sum(getattr(item, name) for item in self._counts) for name in ("checked", "unstable"))
        summary.stable = 100 if not checked else round(100 * (1 - unstable / checked))
        summary.notes = self._jobs.notes
        probed = self._target.probed
        if probed is not None:
            passed = {index for index, _ in self._search.passed}
            summary.branches = len(passed), len(probed.lines)
            never = {line for index, line in enumerate(probed.lines) if index not in passed}
            summary.never = sorted(never)
        return summary

    @property
    def _runs(self) -> int:
        """Executions of all searches, and those of confirming and shrinking."""
        return self._target.runs - self._first_run + self._jobs.runs

    @property
    def _counts(self) -> list[Counts]:
        return [self._search.counts, *self._jobs.counts]

    @property
    def _is_over(self) -> bool:
        bounds = self._bounds
        if time.monotonic() - self._started > bounds.seconds:
            return True
        return self._search.is_exhausted or (bounds.runs is not None and self._runs >= bounds.runs)

    def _left(self) -> int:
        """Executions that nobody has been granted."""
        return _NO_END if self._bounds.runs is None else self._bounds.runs - self._runs - self._jobs.owed

    def _go(self) -> None:
        search, jobs = self._search, self._jobs
        while not self._is_over:
            self._start_jobs()
            jobs.grant(self._left)
            left = self._left()
            search.fill(left)
            if not self._take_next(None if search.under_way else 0.0 if left > 0 else _PATIENCE_SECONDS) and left <= 0:
                for job in list(jobs):
                    jobs.lose(job, f"it has said nothing for {_PATIENCE_SECONDS:g} s")
        jobs.end()
        until = time.monotonic() + _END_SECONDS
        while search.under_way or (any(jobs) and time.monotonic() < until):
            self._take_next(None if search.under_way else _END_SECONDS)

    def _take_next(self, seconds: float | None) -> bool:
        """Take the next event; False if none comes within so many seconds (None: one comes)."""
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return False
        match event:
            case Ended():
                self._search.take(event)
            case Gone(job, why):
                self._jobs.lose(job, why)
            case Heard(job, notice):
                if not self._hear(job, notice):
                    self._jobs.lose(job, "it has told what cannot be")
        return True

    def _start_jobs(self) -> None:
        """Once it is worth while: many campaigns are over before a process has loaded an image."""
        if self._missing == 0:
            return
        seconds = time.monotonic() - self._started
        runs = self._bounds.runs
        needs_more = runs is None or (runs - self._runs) * seconds > self._runs * _ALONE_SECONDS
        if seconds < _ALONE_SECONDS or not needs_more:
            return
        target, bounds = self._target, self._bounds
        for number in range(1, self._missing + 1):
            assignment = Assignment(
                definition=target.definition, options=target.options, image=target.executor.image.manifest,
                stream=f"{bounds.seed}.{number}", first=bounds.first,
            )  # fmt: skip
            self._jobs.start(assignment)
        self._missing = 0
        for novelty in self._novelties:
            self._jobs.tell(novelty)

    def _hear(self, job: Job, notice: Notice) -> bool:
        """Take what a job tells; False if it cannot be true."""
        match notice:
            case Counts():
                return job.note(notice)
            case Novelty(hits=hits):
                probes = 0 if self._target.probed is None else len(self._target.probed.lines)
                if any(index >= probes for index, _ in hits):
                    return False
                if self._search.is_new(hits, notice.shape):
                    self._search.learn(notice)
                    self._keep(notice, job)
            case Suspicion(input=given, mark=mark) if self._target.fits(given):
                self._suspect(given, mark)
        return True

    def _notice(self, notice: Notice) -> None:
        """Take what the search here tells."""
        match notice:
            case Novelty():
                self._keep(notice, None)
            case Suspicion(input=given, mark=mark):
                self._suspect(given, mark)

    def _keep(self, novelty: Novelty, finder: Job | None) -> None:
        self._novelties.append(novelty)
        self._jobs.tell(novelty, finder)
        if novelty.is_clean:
            self._store.keep_input(novelty.input)

    def _old_inputs(self) -> Iterator[FuzzInput]:
        yield from [finding.input for finding in self._store.findings()]
        yield from self._store.corpus()
        yield from self._target.starting.inputs

    def _suspect(self, given: FuzzInput, mark: str) -> None:
        """Confirm with the statement as it is; the same suspicion is followed up a few times only."""
        self._suspected[mark] = self._suspected.get(mark, 0) + 1
        if self._suspected[mark] > MOST_SUSPICIONS:
            return
        finding = self._target.check(given)
        if finding is None:
            return
        self._suspected[mark] = MOST_SUSPICIONS
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
