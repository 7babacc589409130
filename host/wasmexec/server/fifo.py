"""`Fifo`: first come, first served, as long as a tenant has not as many executing as it may."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Run


class Fifo:
    """The runs that wait."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run, *, first: bool = False) -> None:
        """Have a run wait; `first`: before all others."""
        self._runs[run.id] = run
        if first:
            self._runs.move_to_end(run.id, last=False)

    def remove(self, run: Run) -> None:
        """It does not wait any more."""
        self._runs.pop(run.id, None)

    def next(self) -> Run | None:
        """The run whose turn it is; it does not wait any more."""
        run = next((run for run in self._runs.values() if run.tenant.may_execute), None)
        if run is not None:
            del self._runs[run.id]
        return run

    def why_waiting(self, run: Run) -> tuple[str, int]:
        """The rule by which a run waits, and how many are before it."""
        position = list(self._runs).index(run.id)
        return ("slots" if run.tenant.may_execute else "tenant.max_executing"), position
