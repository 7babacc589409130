"""Shows a running build: what is being built, how far, and how long is left.

A live display on a terminal, plain lines elsewhere. All methods may be called from any thread.
"""

import sys
import threading
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_PLAIN_EVERY_SECONDS = 20.0
_PLAIN_WORTH_SECONDS = 2.0


class Progress(Protocol):
    """Receives what happens in a build."""

    def plan(self, estimates: Mapping[str, float], depends: Mapping[str, tuple[str, ...]]) -> None:
        """The stages that will run: estimated seconds, and what each waits for."""

    def started(self, name: str) -> None: ...

    def update(self, name: str, done: int, total: int, what: str) -> None:
        """How far one running stage is; `total` 0 if unknown."""

    def finished(self, name: str, seconds: float, outcome: str) -> None:
        """`outcome` is done, failed or stopped."""

    def tick(self) -> None:
        """Called now and then while stages run."""

    def note(self, text: str) -> None: ...

    def close(self) -> None:
        """The stages have ended; the display is taken down."""


class SilentProgress:
    """Shows nothing."""

    def plan(self, estimates: Mapping[str, float], depends: Mapping[str, tuple[str, ...]]) -> None: ...

    def started(self, name: str) -> None: ...

    def update(self, name: str, done: int, total: int, what: str) -> None: ...

    def finished(self, name: str, seconds: float, outcome: str) -> None: ...

    def tick(self) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


class Ledger:
    """Which stages are waiting, running and finished, and the time left that follows from it."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.estimates: dict[str, float] = {}
        self.depends: dict[str, tuple[str, ...]] = {}
        self.finished: set[str] = set()
        self.began: dict[str, float] = {}
        self.state: dict[str, tuple[int, int, str]] = {}

    def left_of(self, name: str, now: float) -> float:
        """Seconds one unfinished stage still needs."""
        estimate = self.estimates.get(name, 1.0)
        if name not in self.began:
            return estimate
        elapsed = now - self.began[name]
        done, total, _ = self.state.get(name, (0, 0, ""))
        by_estimate = max(estimate - elapsed, estimate * 0.05)
        # A stage's own count is trusted in the middle, where it says more than a figure from another machine.
        if total > 0 and done / total > 0.2:
            return (by_estimate + elapsed * (total - done) / max(done, 1)) / 2
        return by_estimate

    def seconds_left(self, now: float) -> float:
        """The longer of the longest remaining chain and the remaining work shared by all workers."""
        unfinished = [name for name in self.estimates if name not in self.finished]
        left = {name: self.left_of(name, now) for name in unfinished}
        chain: dict[str, float] = {}
        for name in unfinished:
            chain[name] = left[name] + max((chain.get(d, 0.0) for d in self.depends.get(name, ())), default=0.0)
        return max(max(chain.values(), default=0.0), sum(left.values()) / self.workers)

    def describe(self, name: str) -> str:
        """How far a running stage says it is, such as `12/40 objects`."""
        done, total, what = self.state.get(name, (0, 0, ""))
        if not total:
            return what
        if total > 1 << 20:
            return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB {what}".rstrip()
        return f"{done}/{total} {what}".rstrip()


def format_seconds(seconds: float) -> str:
    """`7 s`, `1 min 5 s`."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


class _Base:
    def __init__(self, workers: int) -> None:
        self.lock = threading.RLock()
        self.ledger = Ledger(workers)
        self.build_began = time.monotonic()

    def plan(self, estimates: Mapping[str, float], depends: Mapping[str, tuple[str, ...]]) -> None:
        with self.lock:
            self.ledger.estimates.update(estimates)
            self.ledger.depends.update(depends)

    def started(self, name: str) -> None:
        with self.lock:
            self.ledger.began[name] = time.monotonic()

    def update(self, name: str, done: int, total: int, what: str) -> None:
        with self.lock:
            self.ledger.state[name] = (done, total, what)

    def finished(self, name: str, seconds: float, outcome: str) -> None:
        with self.lock:
            self.ledger.finished.add(name)
            self.ledger.began.pop(name, None)

    def tick(self) -> None: ...

    def summary(self) -> str:
        ledger = self.ledger
        left = format_seconds(ledger.seconds_left(time.monotonic()))
        elapsed = format_seconds(time.monotonic() - self.build_began)
        return f"{len(ledger.finished)} of {len(ledger.estimates)} stages done, {elapsed} gone, about {left} left"


class PlainProgress(_Base):
    """One line for each event, and a summary now and then."""

    def __init__(self, stream: TextIO | None = None, workers: int = 2) -> None:
        super().__init__(workers)
        self.stream = stream or sys.stderr
        self._last = time.monotonic()

    def plan(self, estimates: Mapping[str, float], depends: Mapping[str, tuple[str, ...]]) -> None:
        super().plan(estimates, depends)
        with self.lock:
            left = format_seconds(self.ledger.seconds_left(time.monotonic()))
            self._print(f"{len(estimates)} stages to build, about {left}")

    def started(self, name: str) -> None:
        super().started(name)
        with self.lock:
            if self.ledger.estimates.get(name, 0) >= _PLAIN_WORTH_SECONDS:
                self._print(f"{name}: started")

    def tick(self) -> None:
        with self.lock:
            if time.monotonic() - self._last >= _PLAIN_EVERY_SECONDS:
                running = ", ".join(f"{n} {self.ledger.describe(n)}".strip() for n in self.ledger.began)
                self._print(f"{self.summary()}; now {running}")

    def finished(self, name: str, seconds: float, outcome: str) -> None:
        super().finished(name, seconds, outcome)
        with self.lock:
            # Dozens of small archives and packages would hide what takes time.
            if seconds >= _PLAIN_WORTH_SECONDS or outcome != "done":
                self._print(f"{name}: {outcome} in {seconds:.1f} s ({self.summary()})")

    def note(self, text: str) -> None:
        with self.lock:
            self._print(text)

    def close(self) -> None: ...

    def _print(self, text: str) -> None:
        self._last = time.monotonic()
        print(text, file=self.stream, flush=True)


class LiveProgress(_Base):
    """A table of the running stages that redraws itself, below the finished ones."""

    def __init__(self, console: Console | None = None, workers: int = 2) -> None:
        super().__init__(workers)
        self.console = console or Console(stderr=True)
        self._live: Live | None = None

    def plan(self, estimates: Mapping[str, float], depends: Mapping[str, tuple[str, ...]]) -> None:
        super().plan(estimates, depends)
        with self.lock:
            if self._live is None:
                self._live = Live(
                    console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True
                )
                self._live.start()

    def finished(self, name: str, seconds: float, outcome: str) -> None:
        super().finished(name, seconds, outcome)
        # Archives and quick stages would only scroll the slow ones away.
        if seconds >= 1 or outcome != "done":
            self.console.print(Text(f"{name}: {outcome} in {format_seconds(seconds)}", style="dim"))

    def note(self, text: str) -> None:
        self.console.print(Text(text))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> Group:
        with self.lock:
            now = time.monotonic()
            table = Table.grid(padding=(0, 2))
            for name, began in self.ledger.began.items():
                table.add_row(Text(name, style="bold"), format_seconds(now - began), Text(self.ledger.describe(name)))
            return Group(table, Text(self.summary()))


def progress_for(stream: TextIO | None = None, workers: int = 2) -> PlainProgress | LiveProgress:
    """The live display if `stream` (standard error by default) is a terminal, else plain lines."""
    stream = stream or sys.stderr
    if stream.isatty():
        return LiveProgress(Console(file=stream), workers)
    return PlainProgress(stream, workers)
