"""What every check of the server needs, and the lines that it gives."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server.live_server import LiveServer

import wasmexec

TRIVIAL = "return [{'a': 1}]"
SCHEMA = [{"name": "a", "type": "integer"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the table: its number there, what was measured, and whether that is enough."""

    number: str
    what: str
    measured: str
    target: str
    met: bool


@dataclass(frozen=True, slots=True)
class Context:
    """`quick` takes fewer samples and shorter times."""

    executor: wasmexec.Executor
    folder: Path
    quick: bool

    def seconds(self, full: float) -> float:
        """How long to measure."""
        return max(3.0, full / 6) if self.quick else full

    @contextlib.contextmanager
    def server(self, settings: str = "", **options: Any) -> Iterator[LiveServer]:
        """A server of its own, ready."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with LiveServer(folder, settings=settings, **options) as server:
            yield server.until_ready()

    def library_seconds(self, times: int = 300) -> list[float]:
        """What the same trivial run takes in the library, each time."""
        found = []
        for _ in range(times):
            began = time.perf_counter()
            result = self.executor.run(TRIVIAL, output_schema=SCHEMA)
            found.append(time.perf_counter() - began)
            assert result.status == wasmexec.Status.FINISHED, result.error
        return found

    @property
    def library_p50(self) -> float:
        """The median of that."""
        return statistics.median(self.library_seconds())
