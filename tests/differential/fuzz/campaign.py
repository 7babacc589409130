"""One run of the fuzzer: batches of cases to both sides, comparison, confirmation, counts that outlive it."""

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.differential.fuzz import cases, comparing, known, sides
from tests.differential.fuzz.cases import Case
from tests.differential.fuzz.comparing import Difference

FOLDER = Path(__file__).resolve().parents[3] / "build" / "fuzz-differential"
BATCH = 400
SAVE_SECONDS = 5.0
MOST_CONFIRMED = 3
"""Of findings that look alike so many are run again by themselves; the others are counted."""


@dataclass
class Counts:
    """What has been compared with one image and one reference.

    next_seed: every case with a smaller number has been compared. stamp: names image and reference.
    """

    stamp: str
    next_seed: int = 0
    pairs: int = 0
    same: int = 0
    poisoned: int = 0
    raised: int = 0
    listed: int = 0
    faults: int = 0
    findings: int = 0
    seconds: float = 0.0
    families: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Pairs a second."""
        return self.pairs / self.seconds if self.seconds else 0.0

    def line(self) -> str:
        """One line for people."""
        poisoned = 100 * self.poisoned / self.pairs if self.pairs else 0.0
        return (
            f"{self.pairs:,} pairs in {self.seconds:,.0f} s ({self.rate:,.0f}/s) · {self.findings:,} findings · "
            f"{self.listed:,} listed, {self.faults:,} of known faults · {poisoned:.1f} % poisoned"
        )


def load_counts(stamp: str, folder: Path = FOLDER) -> Counts:
    """The counts of earlier runs with the same image and reference; none if there were none."""
    try:
        stored = json.loads((folder / "counts.json").read_text("utf-8"))
    except (OSError, ValueError):
        return Counts(stamp)
    if stored.pop("stamp", None) != stamp:
        return Counts(stamp)
    return Counts(stamp, **{**stored, "families": Counter(stored["families"])})


def save_counts(counts: Counts, folder: Path = FOLDER) -> None:
    """Store the counts; a reader sees the old or the new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "counts.json.new"
    new.write_text(json.dumps(vars(counts), indent=1) + "\n", "utf-8")
    new.replace(folder / "counts.json")


@dataclass(frozen=True)
class Finding:
    """A case that differs, and is not listed; `case` is as short as it could be made.

    steady: it differs by itself, too, not only after the other cases of its batch.
    """

    case: Case
    difference: Difference
    steady: bool

    @property
    def likeness(self) -> tuple[str, str]:
        """What findings of one cause mostly have in common: the way and the last call."""
        return self.difference.way, self.case.recipe.rpartition(" > ")[2]

    def text(self) -> str:
        """The program that shows it, runnable, with both answers."""
        company = "" if self.steady else "# by itself it is the same: it differs after others of its batch\n"
        facts = (("native", self.difference.native), ("guest", self.difference.guest))
        answers = "".join(f"# {side}: {text}\n".replace("\r", "\\r") for side, text in facts)
        shown = "print(left)\nprint(right)" if self.case.family == "relations" else "print(repr(result))"
        return (
            f"# {self.difference.way}: {self.case.recipe}\n{answers}{company}"
            f"# python -m tests.differential.fuzz --case {self.case.seed}\n"
            f"import datetime, decimal, io, json, math\nimport numpy as np\nimport pandas as pd\n"
            f"{self.case.program}\n{shown}\n"
        )


@dataclass
class _Batch:
    counts: Counter[str]
    families: Counter[str]
    unlisted: list[tuple[Case, Difference]]


class Campaign:
    """Compares cases on both sides; `alone` asks the guest only and judges relations.

    Every public method is for one thread. A context manager: it has a native process of its own.
    """

    def __init__(
        self, guest: sides.Guest, counts: Counts, *, jobs: int = 2, alone: bool = False, batch: int = BATCH,
        expected: Sequence[known.Entry] = (), faults: Sequence[known.Entry] = (),
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:  # fmt: skip
        self.counts = counts
        self.findings: list[Finding] = []
        self._guest = guest
        self._jobs = jobs
        self._alone = alone
        self._batch = batch
        self._expected = expected
        self._faults = faults
        self._on_finding = on_finding
        self._native = sides.Native()
        self._alike: Counter[tuple[str, str]] = Counter()
        self._next = counts.next_seed
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._done: queue.Queue[_Batch | BaseException] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._native.close()

    def run(
        self, *, pairs: int | None = None, seconds: float | None = None, save: Callable[[Counts], None] | None = None,
        progress: Callable[[Counts], None] | None = None,
    ) -> None:  # fmt: skip
        """Compare so many pairs, or for so long, in batches; a run that is interrupted keeps what it has.

        Raises: KeyboardInterrupt: after the counts have been saved.
        """
        began = saved = time.monotonic()
        before, last = self.counts.seconds, None if pairs is None else self.counts.next_seed + pairs
        threads = [threading.Thread(target=self._work, args=(last,), daemon=True) for _ in range(self._jobs)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) or not self._done.empty():
                self._take_one()
                now = time.monotonic()
                self.counts.seconds = before + now - began
                if progress is not None:
                    progress(self.counts)
                if save is not None and now - saved > SAVE_SECONDS:
                    saved = now
                    save(self.counts)
                if seconds is not None and now - began >= seconds:
                    self._stop.set()
        finally:
            self._stop.set()
            if save is not None:
                save(self.counts)
        for thread in threads:
            thread.join()

    def _take_one(self) -> None:
        try:
            batch = self._done.get(timeout=0.5)
        except queue.Empty:
            return
        if isinstance(batch, BaseException):
            self._stop.set()
            raise batch
        for name, count in batch.counts.items():
            setattr(self.counts, name, getattr(self.counts, name) + count)
        self.counts.families.update(batch.families)
        for case, difference in batch.unlisted:
            self._found(case, difference)
        with self._lock:
            self.counts.next_seed = min(self._running, default=self._next)

    def _found(self, case: Case, difference: Difference) -> None:
        finding = Finding(case, difference, steady=True)
        self._alike[finding.likeness] += 1
        self.counts.findings += 1
        if self._alike[finding.likeness] <= MOST_CONFIRMED:
            confirmed = self.confirm(case, difference)
            self.findings.append(confirmed)
            if self._on_finding is not None:
                self._on_finding(confirmed)

    def confirm(self, case: Case, difference: Difference) -> Finding:
        """Run the case again without the others of its batch, and its beginnings, of which the shortest is taken."""
        tries = [*case.shortened(), case]
        for shorter, found in zip(tries, self.compare_each(tries), strict=True):
            if found is not None and (found.way == difference.way or shorter is case):
                alone = self.compare_each([shorter])[0]
                if alone is not None:
                    return Finding(shorter, alone, steady=True)
        return Finding(case, difference, steady=False)

    def compare_each(self, tries: Sequence[Case]) -> list[Difference | None]:
        """Compare these cases in one fresh instance and, unless alone, one process."""
        programs = [case.program for case in tries]
        guest = sides.answer_all(programs, self._guest.ask)
        if self._alone:
            return [comparing.judge_alone(answer) for answer in guest]
        native = sides.answer_all(programs, self._native.ask)
        return [
            comparing.compare(one, other, case.tolerance) for case, one, other in zip(tries, native, guest, strict=True)
        ]

    def _work(self, last: int | None) -> None:
        try:
            with sides.Native() as native, ThreadPoolExecutor(1) as beside:
                while (seeds := self._take_seeds(last)) is not None:
                    made = [cases.make(seed) for seed in seeds]
                    batch = self._compare(made, native, beside)
                    with self._lock:
                        self._running.discard(seeds.start)
                    self._done.put(batch)
        except BaseException as error:
            self._done.put(error)

    def _take_seeds(self, last: int | None) -> range | None:
        with self._lock:
            start, end = self._next, self._next + self._batch
            if last is not None:
                end = min(end, last)
            if self._stop.is_set() or start >= end:
                return None
            self._next = end
            self._running.add(start)
        return range(start, end)

    def _compare(self, made: Sequence[Case], native: sides.Native, beside: ThreadPoolExecutor) -> _Batch:
        programs = [case.program for case in made]
        native_answers = None if self._alone else beside.submit(sides.answer_all, programs, native.ask)
        guest_answers = sides.answer_all(programs, self._guest.ask)
        pairs = zip(
            made, guest_answers if native_answers is None else native_answers.result(), guest_answers, strict=True
        )
        batch = _Batch(Counter(pairs=len(made)), Counter(case.family for case in made), [])
        for case, one, other in pairs:
            if comparing.is_poisoned(one, other):
                batch.counts["poisoned"] += 1
                continue
            difference = comparing.judge_alone(other) if self._alone else comparing.compare(one, other, case.tolerance)
            batch.counts["raised"] += one.startswith('{"raises"')
            if difference is None:
                batch.counts["same"] += 1
            elif known.covering(self._expected, case.program, difference):
                batch.counts["listed"] += 1
            elif known.covering(self._faults, case.program, difference):
                batch.counts["faults"] += 1
            else:
                batch.unlisted.append((case, difference))
        return batch
