"""`Engine`: where the executions of a run take place; `OwnEngine`: in this process and worker processes of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ...errors import ConfigError
from ...result import Result
from ..result import StepLog
from .backends import Backend, Backends

if TYPE_CHECKING:
    from ...executor import Executor
    from ...recording import Recorder
    from ...workers.local import Done
    from ...workers.order import Order

MAX_PROCESSES = 64
Ended: TypeAlias = "Callable[[Result | BaseException], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a run wants of its executions: see `Step.run`; `warn` takes what its user should know."""

    concurrency: int
    processes: int | None
    recorder: Recorder | None
    on_log: Callable[[StepLog], None] | None
    warn: Callable[[str], None]


class Engine(Protocol):
    """What executes the statement of a run."""

    @property
    def image(self) -> Path:
        """The manifest of the image."""

    def backend(self, order: Order, wishes: Wishes) -> Callable[[Done], Backend]:
        """What makes the backend that executes the rows of a run.

        Raises:
            ConfigError: what was asked for makes no sense.
        """

    def once(self, order: Order, wishes: Wishes, data: bytes | None, ended: Ended) -> Callable[[], None]:
        """Execute once, and have `ended` called; what cancels it."""


class OwnEngine:
    """An executor of this process; the rows of long inputs go to worker processes."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def image(self) -> Path:
        """The manifest of the image."""
        return self._executor.image.manifest

    def backend(self, order: Order, wishes: Wishes) -> Callable[[Done], Backend]:
        """This process at first, see `Backends`."""
        from ...workers.local import LocalBackend
        from ...workers.pool import Processes

        processes, concurrency = _processes(order, wishes), wishes.concurrency
        return partial(
            Backends,
            local=partial(LocalBackend, self._executor, order, limit=concurrency, recorder=wishes.recorder),
            pool=partial(Processes, order, limit=concurrency, processes=processes) if processes > 1 else None,
            warn=wishes.warn,
        )

    def once(self, order: Order, wishes: Wishes, data: bytes | None, ended: Ended) -> Callable[[], None]:
        """In this process; records of the log are told as they come."""
        options: dict[str, Any] = order.inputs()
        on_log = wishes.on_log
        if on_log is not None:
            options["on_log"] = lambda record: on_log(StepLog(None, record))
        if wishes.recorder is not None:
            options["recorder"] = wishes.recorder
        prepared = self._executor.prepare(order.statement, **order.conditions())
        return prepared.submit(ended, input_data=data, **options)


def _processes(order: Order, wishes: Wishes) -> int:
    wanted = wishes.processes
    if wanted is not None and (
        isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MAX_PROCESSES
    ):
        raise ConfigError(f"processes must be a whole number from 1 to {MAX_PROCESSES}, not {wanted!r}")
    if order.canned_http is not None or wishes.recorder is not None:
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted or available, wishes.concurrency)
