"""`StepRun`: one run of a step from its acceptance to its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Raw, Struct

from ...result import Usage
from ..documents import NULL, raw_field
from ..runs.costs import MICROSECONDS, charges_of
from ..storage.step_runs import Ending
from ..storage.tables import COSTS
from .messages import Plan

if TYPE_CHECKING:
    from ...errors import WasmexecError
    from ...limits import Limits
    from ...status import Status
    from ...store.records import RunHandle
    from ..storage.step_runs import StoredStepRun
    from ..tenants.directory import Tenant
    from .flow import Flow
    from .messages import ProgressTold
    from .process import StepProcess

SILENT_SECONDS: Final = 300.0
"""For which a process may say nothing while nothing of it is under way."""


class StepRunRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/steps/{name}/runs; the names are those of `Step.run`."""

    input_data: Raw = raw_field(NULL)
    extra_inputs: list[Raw] = []
    local_variables: dict[str, Raw] = {}
    secrets: dict[str, str] = {}
    stored_secrets: dict[str, str] = {}
    """The names of stored ones by the names that the step has for them; they have the value of when it begins."""


class ProcessWork(NamedTuple):
    """What a process of a step run has done, as a run that budgets are charged for, see `PricedRun`."""

    id: str
    key_id: str
    statement: str
    limits: Limits
    has_grants: bool


@dataclass(slots=True, eq=False, kw_only=True)
class StepRun:
    """A run that was accepted and has not ended; `record` is what the store had of it when it was accepted.

    `plan`, `handle`, `process`, `flow` and `progress` are those of the present attempt. What it was asked with is in
    the store, and has `size` bytes there as far as that is known.
    """

    record: StoredStepRun
    tenant: Tenant
    size: int = 0
    is_stored: bool = False
    plan: Plan = field(default_factory=Plan)
    attempts: int = 0
    has_grants: bool = False
    handle: RunHandle | None = None
    process: StepProcess | None = None
    flow: Flow | None = None
    progress: ProgressTold | None = None
    is_cancelled: bool = False
    heard_at: float = 0.0
    process_us: int = 0
    """Microseconds of processor time that the process of this attempt has used, as far as it was looked at."""
    charged: dict[str, int] = field(default_factory=dict)
    """What has been added to its tenant's usage of this attempt."""
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    @property
    def _work(self) -> ProcessWork:
        """What its process does, as budgets see it."""
        limits = self.tenant.usual_limits
        return ProcessWork(f"process.{self.id}", self.record.key_id, f"process.{self.record.step}", limits, False)

    @property
    def is_silent(self) -> bool:
        """Whether its process has said nothing for too long, and waits for nothing."""
        is_waiting = self.flow is not None and not self.flow.is_idle
        return not is_waiting and time.monotonic() - self.heard_at > SILENT_SECONDS

    @property
    def usage(self) -> Usage:
        """What this attempt has used, in its executions and in its process."""
        executions = Usage() if self.flow is None else self.flow.usage
        return executions.plus(Usage(cpu_seconds=self.process_us / MICROSECONDS))

    def begin(self, plan: Plan, handle: RunHandle, *, has_grants: bool) -> None:
        """A new attempt."""
        self.plan = plan
        self.handle = handle
        self.has_grants = has_grants
        self.attempts += 1
        self.process = self.flow = self.progress = None
        self.process_us = 0
        self.charged = {}
        self.note_heard()

    def note_heard(self) -> None:
        """Its process has said something, or been told something."""
        self.heard_at = time.monotonic()

    def note_process(self) -> None:
        """Look at what its process has used, and have its tenant charged for what is more than the last time."""
        if self.process is None:
            return
        new = round(self.process.cpu_seconds * MICROSECONDS) - self.process_us
        if new > 0:
            self.process_us += new
            self.tenant.settle(self._work, charges_of({**dict.fromkeys(COSTS, 0), "cpu_us": new}), time.time())

    def failed(self, status: Status, error: WasmexecError) -> Ending:
        """The end of a run that its process has nothing to say about."""
        self.note_process()
        progress = self.progress
        return Ending(
            status, error, self.usage, executions=0 if self.flow is None else self.flow.executions,
            rows_in=0 if progress is None else progress.rows_read,
            rows_failed=0 if progress is None else progress.rows_failed,
        )  # fmt: skip

    def new_costs(self) -> dict[str, int]:
        """What this attempt has used since this was asked last, in whole counts, to be charged."""
        total = {} if self.flow is None else dict(self.flow.costs)
        total["cpu_us"] = total.get("cpu_us", 0) + self.process_us
        new = {name: count - self.charged.get(name, 0) for name, count in total.items()}
        self.charged = total
        return {name: count for name, count in new.items() if count}


def job_limits(limits: Limits) -> dict[str, int | float]:
    """Limits by name."""
    return {name: getattr(limits, name) for name in limits.__slots__}
