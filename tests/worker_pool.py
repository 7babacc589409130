"""Worker processes for tests: an order, and what became of each execution."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.reading import ROOT

from wasmexec import Grants, Limits, Result
from wasmexec.schema import row_schema
from wasmexec.workers.figures import ProcessLimits, ProcessStatistics
from wasmexec.workers.order import Order
from wasmexec.workers.pool import Processes

PATIENCE_SECONDS = 60.0


def make_order(
    statement: str = "return INPUT_DATA", image: Path = Path("none"), schema: Any = None, **limits: Any
) -> Order:
    """An order for a statement that returns rows with an `id` and whatever else, if `schema` allows that."""
    output = row_schema.prepare(schema or {"type": "object"}, "strict")
    return Order(
        image=image, statement=statement, output=output, extra_inputs=[],
        checkpoint=None, local_variables={}, limits=Limits(**limits), grants=Grants(), secrets={},
    )  # fmt: skip


def liar(what: str) -> list[str]:
    """The command of `lying_worker.py`."""
    return [sys.executable, str(ROOT / "tests" / "lying_worker.py"), what]


def wait_until(condition: Callable[[], object]) -> None:
    """Return once it holds; fail after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class Pool:
    """`Processes` that are ready, and the outcomes of their executions in the order they came; closed at its end."""

    def __init__(
        self, order: Order, processes: int = 1, limit: int = 4, *, command: list[str] | None = None,
        is_ready: bool = True, **rules: Any,
    ) -> None:  # fmt: skip
        self.before_telling: Callable[[], object] = lambda: None
        self.outcomes: list[tuple[int, Result | BaseException]] = []
        self._changed = threading.Condition()
        self.processes = Processes(
            order, self._done, limit, processes, process_limits=ProcessLimits(**rules), command=command
        )
        if is_ready:
            wait_until(lambda: self.processes.is_ready or self.processes.has_failed)
            assert not self.processes.has_failed

    @property
    def statistics(self) -> ProcessStatistics:
        return self.processes.statistics()

    def start(self, *indexes: int) -> None:
        """Start executions whose input has their index as `id`."""
        for index in indexes:
            self.processes.start(index, b'[{"id":%d}]' % index)

    def results(self, count: int) -> dict[int, Result]:
        """All outcomes so far, once there are so many; each execution has one."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outcomes) >= count, PATIENCE_SECONDS), self.outcomes
            found: dict[int, Result] = {}
            for index, outcome in self.outcomes:
                assert index not in found
                assert isinstance(outcome, Result), outcome
                found[index] = outcome
            return found

    def run(self, *indexes: int) -> list[int]:
        """Start executions and wait for all; the status of each."""
        before = len(self.outcomes)
        self.start(*indexes)
        results = self.results(before + len(indexes))
        return [results[index].status for index in indexes]

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.processes.close()

    def _done(self, index: int, outcome: Result | BaseException) -> None:
        self.before_telling()
        with self._changed:
            self.outcomes.append((index, outcome))
            self._changed.notify_all()
