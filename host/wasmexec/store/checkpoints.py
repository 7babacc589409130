"""Checkpoints: one number per step that is compared and swapped, and the values by version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, select, update

from .codec import from_json
from .database import insert_or_ignore
from .errors import CheckpointConflictError
from .records import Checkpoint, CheckpointCause, CheckpointPage, StepRecord
from .tables import checkpoints, runs, steps

_COLUMNS = (
    checkpoints.c.version,
    checkpoints.c.value,
    checkpoints.c.cause,
    checkpoints.c.run_id,
    checkpoints.c.changed_at,
)


def find_step(connection: Connection, name: str) -> int | None:
    """The number of a step; None if nothing is stored of it."""
    return connection.execute(select(steps.c.id).where(steps.c.name == name)).scalar()


def ensure_step(connection: Connection, name: str, now: datetime) -> int:
    """The number of a step, made if need be, also when another transaction makes it right now."""
    found = find_step(connection, name)
    if found is not None:
        return found
    insert_or_ignore(connection, steps, {"name": name, "created_at": now, "checkpoint_version": 0})
    return int(connection.execute(select(steps.c.id).where(steps.c.name == name)).scalar_one())


def current(connection: Connection, step_id: int) -> Checkpoint:
    """The present checkpoint of a step, version and value of one moment."""
    return _with_checkpoint(connection.execute(_steps().where(steps.c.id == step_id)).one())


def swap(
    connection: Connection,
    step_id: int,
    expected_version: int,
    value: str,
    cause: CheckpointCause,
    *,
    run_id: int | None,
    now: datetime,
    history: int,
) -> int | None:
    """Store the next version if the present one is `expected_version`, and return it; None: it is another one.

    A concurrent swap that is not committed yet is waited for. The caller's transaction makes it final.
    """
    new = expected_version + 1
    changed = connection.execute(
        update(steps)
        .where(steps.c.id == step_id, steps.c.checkpoint_version == expected_version)
        .values(checkpoint_version=new)
    )
    if changed.rowcount != 1:
        return None
    row = {"step_id": step_id, "version": new, "value": value, "cause": cause, "run_id": run_id, "changed_at": now}
    connection.execute(insert(checkpoints).values(row))
    if new > history:
        connection.execute(
            delete(checkpoints).where(checkpoints.c.step_id == step_id, checkpoints.c.version <= new - history)
        )
    return new


def delete_step(connection: Connection, step_id: int) -> None:
    """Delete a step that has no runs, with the history of its checkpoint."""
    connection.execute(delete(checkpoints).where(checkpoints.c.step_id == step_id))
    connection.execute(delete(steps).where(steps.c.id == step_id))


def conflict(
    connection: Connection, step_id: int, expected_version: int, run_id: int | None
) -> CheckpointConflictError:
    """The error that tells a loser who won."""
    winner = current(connection, step_id)
    return CheckpointConflictError(
        winner.step,
        run_id=run_id,
        expected_version=expected_version,
        found_version=winner.version,
        winner_run_id=winner.run_id,
        winner_cause=winner.cause,
    )


def page(connection: Connection, step: str, before_version: int | None, limit: int) -> CheckpointPage:
    """The history, newest first."""
    query = (
        select(*_COLUMNS)
        .join_from(checkpoints, steps, checkpoints.c.step_id == steps.c.id)
        .where(steps.c.name == step)
        .order_by(checkpoints.c.version.desc())
        .limit(limit + 1)
    )
    if before_version is not None:
        query = query.where(checkpoints.c.version < before_version)
    found = [_checkpoint(step, row) for row in connection.execute(query)]
    more = len(found) > limit
    return CheckpointPage(
        checkpoints=tuple(found[:limit]), next_before_version=found[limit - 1].version if more else None
    )


def list_steps(connection: Connection, name: str | None = None) -> list[StepRecord]:
    """All steps by name, or the one of that name."""
    query = _steps().order_by(steps.c.name)
    if name is not None:
        query = query.where(steps.c.name == name)
    return [
        StepRecord(
            name=row.name,
            created_at=row.created_at,
            checkpoint=_with_checkpoint(row),
            last_run_id=row.last_run_id,
        )
        for row in connection.execute(query)
    ]


def _steps() -> Select[Any]:
    last = select(func.max(runs.c.id)).where(runs.c.step_id == steps.c.id).scalar_subquery()
    present = and_(checkpoints.c.step_id == steps.c.id, checkpoints.c.version == steps.c.checkpoint_version)
    return select(steps.c.name, steps.c.created_at, last.label("last_run_id"), *_COLUMNS).select_from(
        steps.outerjoin(checkpoints, present)
    )


def _with_checkpoint(row: Any) -> Checkpoint:
    return Checkpoint(step=row.name) if row.version is None else _checkpoint(row.name, row)


def _checkpoint(step: str, row: Any) -> Checkpoint:
    return Checkpoint(
        step=step,
        value=from_json(row.value, f"the checkpoint of step {step!r}"),
        version=row.version,
        cause=row.cause,
        run_id=row.run_id,
        changed_at=row.changed_at,
    )
