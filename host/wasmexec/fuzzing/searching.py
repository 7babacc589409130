"""`Search`: draw an input, run it, notice what is new or wrong; again and again, with a few executions under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from ..errors import TimeLimitError
from ..result import Result
from .draw import RandomDraw, chance
from .finding import Verdict
from .inputs import FuzzInput
from .notices import Counts, Hits, Notice, Novelty, Shape, Suspicion
from .target import Target

MOST_SUSPICIONS = 3
"""Inputs with the same mark that are told; more of them show nothing else."""
_DEEP_EVERY = 16
_MOST_CORPUS = 2000
_AHEAD = 3
_MOST_UNFIT = 1000
"""One after the other; then nothing that fits is to be expected."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution of a search that has ended; the exception is a fault of our own code."""

    input: FuzzInput
    result: Result | BaseException


class Search:
    """A search over a target: `fill` starts executions, `take` is given each that has ended.

    `stream` and the number of the input, from `first` on, decide what is drawn; what others have learnt decides what
    of it is changed. `first_inputs` are run before. It calls `end` on other threads, `tell` within `take`.
    """

    def __init__(
        self, target: Target, stream: str, end: Callable[[Ended], object], tell: Callable[[Notice], object], *,
        first: int = 0, first_inputs: Iterable[FuzzInput] = (),
    ) -> None:  # fmt: skip
        self.counts = Counts(made=first)
        self.under_way = 0
        self.passed: set[tuple[int, int]] = set()
        self._target = target
        self._stream = stream
        self._end = end
        self._tell = tell
        self._inputs = self._all_inputs(first_inputs)
        self._unfit = 0
        self._corpus: list[FuzzInput] = []
        self._shapes: set[Shape] = set()
        self._marks: dict[str, int] = {}

    @property
    def is_exhausted(self) -> bool:
        """Whether of many inputs in a row not one was fit to be run."""
        return self._unfit >= _MOST_UNFIT

    def fill(self, most: int) -> None:
        """Start executions, at most so many, until a few are under way, or an input does not fit."""
        while most > 0 and self.under_way < _AHEAD and not self.is_exhausted:
            given = next(self._inputs)
            if given is None:
                self._unfit += 1
                return
            self._unfit = 0
            most -= 1
            self.under_way += 1
            self._target.submit(given, partial(self._ended, given))

    def take(self, ended: Ended) -> None:
        """Look at an execution that has ended.

        Raises: BaseException: our own code was at fault.
        """
        self.under_way -= 1
        given, result = ended.input, ended.result
        if isinstance(result, BaseException):
            raise result
        if isinstance(result.error, TimeLimitError):
            self.counts.undecided += 1
            return
        target = self._target
        hits: Hits = target.probed.hits(result.logs) if target.probed is not None else frozenset()
        shape = (int(result.status), min(len(result.rows), 3), type(result.error).__name__)
        is_new = self.is_new(hits, shape)
        verdict = target.judge(given, result)
        if verdict is not None:
            self._suspect(given, verdict)
        elif is_new or self.counts.checked * _DEEP_EVERY < target.runs or target.options.property_statement is not None:
            self._look_deeper(given, result)
        if is_new:
            novelty = Novelty(input=given, hits=hits, shape=shape, is_clean=verdict is None)
            self.learn(novelty)
            self._tell(novelty)

    def is_new(self, hits: Hits, shape: Shape) -> bool:
        """Whether nothing that is known passes these probes, or ends so."""
        return not hits <= self.passed or shape not in self._shapes

    def learn(self, novelty: Novelty) -> None:
        """Take an input, of its own or of another search, for one that is worth changing."""
        self.passed |= novelty.hits
        self._shapes.add(novelty.shape)
        if len(self._corpus) < _MOST_CORPUS:
            self._corpus.append(novelty.input)

    def _ended(self, given: FuzzInput, result: Result | BaseException) -> None:
        self._end(Ended(given, result))

    def _all_inputs(self, first_inputs: Iterable[FuzzInput]) -> Iterator[FuzzInput | None]:
        """Old inputs that fit the mode, then new ones, without end: None in the place of one that does not fit."""
        target, counts = self._target, self.counts
        for given in first_inputs:
            if target.fits(given):
                yield given
        while True:
            draw = RandomDraw(f"{self._stream}:{counts.made}")
            counts.made += 1
            is_mutated = bool(self._corpus) and chance(draw, 60)
            given = target.mutator.mutate(draw, self._corpus) if is_mutated else target.draw_input(draw)
            is_fit = target.fits(given)
            counts.unfit += not is_fit
            yield given if is_fit else None

    def _look_deeper(self, given: FuzzInput, result: Result) -> None:
        if result.error is not None:
            return
        self.counts.checked += 1
        verdict = self._target.deep_verdict(given, result)
        if verdict is not None:
            self.counts.unstable += verdict.kind == "nondeterministic"
            self._suspect(given, verdict)

    def _suspect(self, given: FuzzInput, verdict: Verdict) -> None:
        # With probes in it the statement has other lines: the line tells apart what their texts do not.
        mark = f"{verdict.fingerprint}:{verdict.line}"
        self._marks[mark] = self._marks.get(mark, 0) + 1
        if self._marks[mark] <= MOST_SUSPICIONS:
            self._tell(Suspicion(input=given, mark=mark))
