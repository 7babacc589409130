"""The document that tells of a run of a step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ...status import Status
from ..documents import WaitingDocument

if TYPE_CHECKING:
    from ...store.records import RunRecord
    from ..storage.step_runs import StoredStepRun
    from .step_run import StepRun


class StepRunDocument(Struct, kw_only=True, omit_defaults=True):
    """A run of a step; what has not happened yet is null or left out.

    `state` is queued, running or ended; `status` is one of docs/statuses.md. `rows_read`, `rows_done` and `rows_failed`
    are input rows, `row_count` those that were delivered. `checkpoint_version` is there if the run has set it.
    """

    id: str
    step: str
    version: int
    state: str
    attempts: int
    created_at: str
    started_at: str | None
    ended_at: str | None
    status: int | None = None
    waiting: WaitingDocument | None = None
    rows_read: int | None = None
    rows_done: int | None = None
    rows_failed: int | None = None
    row_count: int | None = None
    executions: int | None = None
    log_count: int | None = None
    log_dropped: int | None = None
    checkpoint: Any = msgspec.UNSET
    checkpoint_version: int | None = None
    local_variables: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    warnings: list[str] | None = None
    usage: dict[str, int | float] | None = None


def document_of(
    record: StoredStepRun, stored: RunRecord | None, live: StepRun | None = None, waits_behind: int | None = None
) -> StepRunDocument:
    """A run as it is on record; `live` if this server has it, `waits_behind` so many of its tenant if it waits."""
    state = "running" if live is not None and live.handle is not None and record.state == "queued" else record.state
    found = StepRunDocument(
        id=record.id, step=record.step, version=record.version, state=state,
        attempts=record.attempts if live is None else live.attempts, created_at=moment(record.created_at),
        started_at=_moment(record.started_at), ended_at=_moment(record.ended_at),
    )  # fmt: skip
    if state == "ended":
        _tell_end(found, record, stored)
    elif waits_behind is not None:
        found.waiting = WaitingDocument(
            rule="step_processes", detail="runs of steps are under way in all processes that there are for them, or in "
            "as many as one tenant may have", changed_by="operator", position=waits_behind + 1,
        )  # fmt: skip
    if live is not None and live.progress is not None:
        progress = live.progress
        found.rows_read, found.rows_done, found.rows_failed = (
            progress.rows_read, progress.rows_done, progress.rows_failed
        )  # fmt: skip
    if live is not None and live.flow is not None:
        found.executions = live.flow.executions
        problem = live.flow.waits_for
        if problem is not None:
            found.waiting = WaitingDocument(
                rule=problem.rule, detail=str(problem), changed_by=str(problem.members.get("changed_by", "operator")),
                value=problem.members.get("value"),
            )  # fmt: skip
    return found


def moment(at: float | datetime) -> str:
    """A time as answers have it."""
    when = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return when.isoformat(timespec="milliseconds")


def _moment(at: float | None) -> str | None:
    return None if at is None else moment(at)


def _tell_end(found: StepRunDocument, record: StoredStepRun, stored: RunRecord | None) -> None:
    if record.status is not None:
        found.status = record.status
        found.error = None if record.error is None else msgspec.json.decode(record.error)
        return
    if stored is None:
        return
    found.status = int(Status.RUNTIME_FAILED if stored.status is None else stored.status)
    found.error = stored.error
    if stored.state == "conflict":
        # The run store names runs by numbers that count those of all tenants.
        text = "the checkpoint was changed by another run or by hand in the meantime; nothing was delivered"
        found.error = {"type": "CheckpointConflictError", "message": text}
    found.rows_read = stored.rows_in
    found.rows_failed = stored.rows_failed
    found.rows_done = stored.rows_in
    found.row_count = stored.output_rows
    found.executions = stored.executions
    found.log_count, found.log_dropped = stored.log_records, stored.log_dropped
    if stored.checkpoint_version_after is not None:
        found.checkpoint, found.checkpoint_version = stored.checkpoint_after, stored.checkpoint_version_after
    found.local_variables = stored.local_variables
    found.warnings = list(stored.warnings)
    found.usage = stored.usage.as_dict()
