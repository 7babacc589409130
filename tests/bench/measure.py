"""Samples, lines of the report, and the native interpreter that is measured beside the guest."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType

from tests import reference

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the report; times in `unit`, `ratio` is guest over native, `met` None where there is no target."""

    name: str
    unit: str = "ms"
    guest: float
    guest_p99: float | None = None
    native: float | None = None
    target: str = ""
    met: bool | None = None
    samples: int = 1
    comment: str = ""

    @property
    def ratio(self) -> float | None:
        """Guest over native."""
        return None if not self.native else self.guest / self.native

    def as_dict(self) -> dict[str, object]:
        """All fields and the ratio."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(slots=True)
class Samples:
    """Seconds of the guest and of the native counterpart, taken in turns."""

    guest: list[float] = field(default_factory=list)
    native: list[float] = field(default_factory=list)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def geometric_mean(values: Iterable[float]) -> float:
    """The n-th root of the product."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def in_turns(
    rounds: int, guest: Callable[[], Iterable[float]], native: Callable[[], Iterable[float]] | None = None
) -> Samples:
    """Guest and native samples A B A B, so that a slow minute of the machine hits both.

    One round of each is thrown away before the first that counts.
    """
    samples = Samples()
    for number in range(rounds + 1):
        guest_seconds = list(guest())
        native_seconds = list(native()) if native is not None else []
        if number:
            samples.guest += guest_seconds
            samples.native += native_seconds
    return samples


def timed(action: Callable[[], object], times: int = 1) -> list[float]:
    """Seconds of each of some calls."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def line(name: str, samples: Samples, *, unit: str = "ms", comment: str = "", limit: float | None = None) -> Line:
    """Medians and p99; `limit` is the largest ratio to the native median that meets the target."""
    factor = {"s": 1, "ms": 1e3, "us": 1e6}[unit]
    guest = median(samples.guest)
    native = median(samples.native) if samples.native else None
    return Line(
        name=name,
        unit=unit,
        guest=guest * factor,
        guest_p99=percentile(samples.guest, 99) * factor,
        native=None if native is None else native * factor,
        target="" if limit is None else f"<= {limit:g}x",
        met=None if limit is None or native is None else guest / native <= limit,
        samples=len(samples.guest),
        comment=comment,
    )


class NativeWorker:
    """A native CPython with the guest's package versions that times Python code in its own process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [reference.python(), "-I", Path(__file__).with_name("native_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=reference.environment(),
        )

    def time(self, source: str, expression: str, times: int = 1) -> list[float]:
        """Execute `source` once per process, then time evaluating `expression`, in seconds each."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"source": source, "expression": expression, "times": times}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("the native worker has died")
        seconds: list[float] = json.loads(answer)
        return seconds

    def __enter__(self) -> NativeWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
