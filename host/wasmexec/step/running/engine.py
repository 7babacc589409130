"""`Engine`: where the executions of a run take place; `OwnEngine`: in this process and worker processes of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ...errors import ConfigError
from ...result import Result
from ..result import StepLog
from .backends import Backend, Backends

if TYPE_CHECKING:
    from ...executor import Executor
    from ...workers.local import Done
    from ...workers.order import Order
    from .run_state import RunState

MAX_PROCESSES = 64
Ended: TypeAlias = "Callable[[Result | BaseException], None]"


class Engine(Protocol):
    """What executes the statement of a run."""

    @property
    def image(self) -> Path:
        """The manifest of the image."""

    def backend(self, run: RunState, order: Order) -> Callable[[Done], Backend]:
        """What makes the backend that executes the rows of a run.

        Raises:
            ConfigError: what was asked for makes no sense.
        """

    def once(self, run: RunState, order: Order, data: bytes | None, ended: Ended) -> Callable[[], None]:
        """Execute once, and have `ended` called; what cancels it."""


class OwnEngine:
    """An executor of this process; the rows of long inputs go to worker processes."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def image(self) -> Path:
        """The manifest of the image."""
        return self._executor.image.manifest

    def backend(self, run: RunState, order: Order) -> Callable[[Done], Backend]:
        """This process at first, see `Backends`."""
        from ...workers.local import LocalBackend
        from ...workers.pool import Processes

        processes, concurrency = _processes(run), run.definition.concurrency
        return partial(
            Backends,
            local=partial(LocalBackend, self._executor, order, limit=concurrency, recorder=run.recorder),
            pool=partial(Processes, order, limit=concurrency, processes=processes) if processes > 1 else None,
            warn=run.totals.warn,
        )

    def once(self, run: RunState, order: Order, data: bytes | None, ended: Ended) -> Callable[[], None]:
        """In this process; records of the log are told as they come."""
        options: dict[str, Any] = order.inputs()
        on_log = run.request.on_log
        if on_log is not None:
            options["on_log"] = lambda record: on_log(StepLog(None, record))
        if run.recorder is not None:
            options["recorder"] = run.recorder
        prepared = self._executor.prepare(order.statement, **order.conditions())
        return prepared.submit(ended, input_data=data, **options)


def _processes(run: RunState) -> int:
    wanted = run.request.processes
    if wanted is not None and (
        isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MAX_PROCESSES
    ):
        raise ConfigError(f"processes must be a whole number from 1 to {MAX_PROCESSES}, not {wanted!r}")
    if run.request.canned_http is not None or run.recorder is not None:
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted or available, run.definition.concurrency)
