"""Runs: begin, end, find."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..result import Usage
from ..status import Status
from . import checkpoints, codec
from .database import insert_or_ignore
from .errors import RunNotFoundError, RunStateError, StoreError
from .process import is_dead, this_process
from .records import RunHandle, RunPage, RunRecord, RunState
from .tables import definitions, output, recordings, runs, steps

MAX_ID = 2**63 - 1


def begin(connection: Connection, step: str, values: Mapping[str, Any], now: datetime) -> RunHandle:
    """Write a running run that starts from the step's present checkpoint."""
    step_id = checkpoints.ensure_step(connection, step, now)
    abandon_dead(connection, step_id, now)
    checkpoint = checkpoints.current(connection, step_id)
    process = this_process()
    row = {
        **dict.fromkeys(("rows_in", "rows_out", "rows_failed", "executions", "log_records", "log_bytes"), 0),
        **dict.fromkeys(("log_dropped", "row_errors", "row_errors_dropped"), 0),
        **values,
        "step_id": step_id,
        "state": "running",
        "started_at": now,
        "checkpoint_version_before": checkpoint.version,
        "checkpoint_before": codec.to_json(checkpoint.value, "the checkpoint", MAX_ID),
        "process_host": process.host,
        "process_scope": process.scope,
        "process_id": process.process_id,
        "process_start": process.start,
    }
    run_id = connection.execute(insert(runs).values(row).returning(runs.c.id)).scalar_one()
    return RunHandle(run_id=run_id, step=step, checkpoint=checkpoint, started_at=now)


def lock_running(connection: Connection, run_id: int, wanted: str = "running") -> Any:
    """The row of a running run; nobody else changes it before this transaction ends.

    Raises:
        RunNotFoundError, RunStateError
    """
    _check_id(run_id)
    row = connection.execute(select(runs).where(runs.c.id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise RunNotFoundError(run_id)
    if row.state != "running":
        raise RunStateError(run_id, row.state, wanted)
    return row


def end(connection: Connection, run_id: int, values: Mapping[str, Any], *, keeps_output: bool) -> None:
    """Write how a locked run ended; the rows of one that failed are dropped."""
    if not keeps_output:
        connection.execute(delete(output).where(output.c.run_id == run_id))
        values = {**values, "output_rows": 0, "output_bytes": 0, "output_chunks": 0}
    connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def abandon_dead(connection: Connection, step_id: int | None, now: datetime) -> list[int]:
    """End the runs whose process died on this machine since it was started; returns their numbers."""
    scope = this_process().scope
    if not scope:
        return []
    query = select(runs.c.id, runs.c.process_id, runs.c.process_start).where(
        runs.c.state == "running", runs.c.process_scope == scope
    )
    if step_id is not None:
        query = query.where(runs.c.step_id == step_id)
    # A row that another transaction changes right now is left to it.
    candidates = connection.execute(query.with_for_update(skip_locked=True)).all()
    dead = [row.id for row in candidates if is_dead(row.process_id, row.process_start)]
    for run_id in dead:
        abandon(connection, run_id, "its process died", now)
    return dead


def is_alive_here(row: Any) -> bool:
    """Whether the process of a run is one of this machine, and lives."""
    scope = this_process().scope
    return bool(scope) and row.process_scope == scope and not is_dead(row.process_id, row.process_start)


def abandon(connection: Connection, run_id: int, reason: str, now: datetime) -> None:
    """End a locked run that nobody will finish."""
    message = f"the run was abandoned: {reason}" if reason else "the run was abandoned"
    error = codec.error_json({"type": "Abandoned", "message": message}, 4096)
    end(connection, run_id, {"state": "abandoned", "ended_at": now, "error": error}, keeps_output=False)


def get(connection: Connection, run_id: int) -> RunRecord:
    """Raises: RunNotFoundError."""
    _check_id(run_id)
    row = connection.execute(_select().where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise RunNotFoundError(run_id)
    return _record(row)


def page(
    connection: Connection,
    step: str | None,
    states: Collection[RunState],
    statuses: Collection[Status],
    before_id: int | None,
    limit: int,
) -> RunPage:
    """Runs that match, newest first."""
    query = _select().order_by(runs.c.id.desc()).limit(limit + 1)
    if step is not None:
        query = query.where(runs.c.step_id == checkpoints.find_step(connection, step))
    if states:
        query = query.where(runs.c.state.in_(list(states)))
    if statuses:
        query = query.where(runs.c.status.in_([int(status) for status in statuses]))
    if before_id is not None:
        query = query.where(runs.c.id < min(before_id, MAX_ID))
    found = [_record(row) for row in connection.execute(query)]
    more = len(found) > limit
    return RunPage(runs=tuple(found[:limit]), next_before_id=found[limit - 1].run_id if more else None)


def delete_run(connection: Connection, run_id: int) -> None:
    """Raises: RunNotFoundError; RunStateError: it is running."""
    _check_id(run_id)
    row = connection.execute(select(runs.c.state).where(runs.c.id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise RunNotFoundError(run_id)
    if row.state == "running":
        raise RunStateError(run_id, row.state, "ended")
    connection.execute(delete(runs).where(runs.c.id == run_id))
    _drop_unused_definitions(connection)


def refuse_if_running(connection: Connection, step_id: int) -> None:
    """Raises: RunStateError: a run of the step has not ended."""
    query = select(runs.c.id).where(runs.c.step_id == step_id, runs.c.state == "running").limit(1)
    run_id = connection.execute(query).scalar()
    if run_id is not None:
        raise RunStateError(run_id, "running", "ended")


def prune(connection: Connection, step: str, keep: int) -> int:
    """Delete the ended runs of a step except the newest `keep`; returns how many."""
    step_id = checkpoints.find_step(connection, step)
    ended = runs.c.state != "running"
    newest = select(runs.c.id).where(runs.c.step_id == step_id, ended).order_by(runs.c.id.desc())
    oldest_kept = connection.execute(newest.offset(keep - 1).limit(1)).scalar() if keep else MAX_ID
    if oldest_kept is None:
        return 0
    condition = runs.c.id < oldest_kept if keep else runs.c.id <= oldest_kept
    deleted = connection.execute(delete(runs).where(runs.c.step_id == step_id, ended, condition)).rowcount
    _drop_unused_definitions(connection)
    return deleted


def store_definition(connection: Connection, text: str) -> str:
    """Keep a text once per content; returns its hash."""
    data = text.encode("utf-8", "surrogatepass")
    digest = codec.sha256(data)
    known = connection.execute(
        select(definitions.c.sha256).where(definitions.c.sha256 == digest).with_for_update(read=True)
    ).scalar()
    if known is None:
        row = {"sha256": digest, "text_bytes": len(data), "data": codec.pack(data)}
        insert_or_ignore(connection, definitions, row)
    return digest


def definition(connection: Connection, digest: str) -> str | None:
    row = connection.execute(select(definitions).where(definitions.c.sha256 == digest)).one_or_none()
    if row is None:
        return None
    data = codec.unpack(row.data, row.text_bytes, f"definition {digest[:12]}")
    if codec.sha256(data) != digest:
        raise StoreError(f"definition {digest[:12]} is damaged: its content does not match its hash")
    return data.decode("utf-8", "surrogatepass")


def _drop_unused_definitions(connection: Connection) -> None:
    used = exists().where(runs.c.definition_sha256 == definitions.c.sha256)
    # On PostgreSQL a run that begins right now may take one up again: then all of them stay until the next time.
    with contextlib.suppress(IntegrityError), connection.begin_nested():
        connection.execute(delete(definitions).where(~used))


def _check_id(run_id: int) -> None:
    if not 1 <= run_id <= MAX_ID:
        raise RunNotFoundError(run_id)


def _select() -> Select[Any]:
    return select(runs, steps.c.name.label("step"), recordings.c.run_id.label("recorded")).select_from(
        runs.join(steps, runs.c.step_id == steps.c.id).outerjoin(recordings, recordings.c.run_id == runs.c.id)
    )


def _record(row: Any) -> RunRecord:
    usage = {
        name: value
        for name, value in (codec.from_json(row.usage, f"the usage of run {row.id}") or {}).items()
        if name in Usage.__slots__
    }
    return RunRecord(
        run_id=row.id,
        step=row.step,
        state=row.state,
        status=None if row.status is None else Status(row.status),
        status_name=row.status_name,
        started_at=row.started_at,
        ended_at=row.ended_at,
        wall_seconds=None if row.ended_at is None else (row.ended_at - row.started_at).total_seconds(),
        usage=Usage(**usage),
        error=codec.from_json(row.error, f"the error of run {row.id}"),
        rows_in=row.rows_in,
        rows_out=row.rows_out,
        rows_failed=row.rows_failed,
        executions=row.executions,
        log_records=row.log_records,
        log_dropped=row.log_dropped,
        row_errors=row.row_errors,
        row_errors_dropped=row.row_errors_dropped,
        warnings=tuple(codec.from_json(row.warnings, f"the warnings of run {row.id}") or ()),
        checkpoint_version_before=row.checkpoint_version_before,
        checkpoint_before=codec.from_json(row.checkpoint_before, f"the checkpoint before run {row.id}"),
        checkpoint_version_after=row.checkpoint_version_after,
        checkpoint_after=codec.from_json(row.checkpoint_after, f"the checkpoint after run {row.id}"),
        local_variables=codec.from_json(row.local_variables, f"a local variable of run {row.id}"),
        processing=row.processing,
        trigger=row.trigger,
        attributes=codec.from_json(row.attributes, f"an attribute of run {row.id}") or {},
        definition_sha256=row.definition_sha256,
        replay_of=row.replay_of,
        has_recording=row.recorded is not None,
        output_rows=row.output_rows,
        output_bytes=row.output_bytes,
        process=f"{row.process_host}:{row.process_id}",
    )
