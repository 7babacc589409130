"""Log lines and row errors of a run: appended under caps, read in pages."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update

from ..limits import RESERVE_RECORDS, LogRoom
from ..result import LEVELS, LogRecord
from ..status import Status
from .bounds import StoreBounds
from .codec import clean, error_json, from_json
from .records import LogPage, RowError, RowErrorPage, StoredLog
from .runs import lock_running
from .seals import LOG, ROW_ERROR, Seals, open_text, seal_text
from .tables import logs, row_errors, runs

_BATCH = 5_000


def append(
    connection: Connection,
    run_id: int,
    records: Iterable[LogRecord | tuple[int, LogRecord]],
    execution: int | None,
    bounds: StoreBounds,
    seals: Seals,
) -> None:
    """Add log lines to a running run, some with their execution; what its caps do not take is counted as dropped.

    Warnings and errors have a reserve beyond the caps, see `LogRoom`.
    """
    row = lock_running(connection, run_id)
    room, dropped = LogRoom(bounds.log_records, bounds.log_bytes, row.log_records, row.log_bytes), row.log_dropped
    batch: list[dict[str, object]] = []
    for item in records:
        number, record = item if isinstance(item, tuple) else (execution, item)
        message = clean(record.message, bounds.log_message_bytes)
        length, left = len(message.encode()), room.left(record.level)
        if 0 < left < length and record.level in RESERVE_RECORDS:
            message, length = clean(message, left), left
        if length > left:
            dropped += 1
            continue
        room.add(length)
        batch.append(
            {
                "run_id": run_id,
                "seq": room.records,
                "time": record.time if math.isfinite(record.time) else 0.0,
                "level": LEVELS.index(record.level) if record.level in LEVELS else len(LEVELS) - 1,
                "execution": number,
                "message": seal_text(seals, message, LOG, run_id, room.records),
            }
        )
        if len(batch) == _BATCH:
            connection.execute(insert(logs), batch)
            batch = []
    if batch:
        connection.execute(insert(logs), batch)
    if (room.records, dropped) != (row.log_records, row.log_dropped):
        values = {"log_records": room.records, "log_bytes": room.size, "log_dropped": dropped}
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def page(connection: Connection, run_id: int, after: int, limit: int, min_level: str, seals: Seals) -> LogPage:
    """Log lines in order, those of `min_level` and above."""
    query = (
        select(logs)
        .where(logs.c.run_id == run_id, logs.c.seq > after, logs.c.level >= LEVELS.index(min_level))
        .order_by(logs.c.seq)
        .limit(limit + 1)
    )
    found = [
        StoredLog(
            seq=row.seq,
            time=row.time,
            level=LEVELS[row.level],
            execution=row.execution,
            message=open_text(seals, row.message, LOG, run_id, row.seq),
        )
        for row in connection.execute(query).all()
    ]
    more = len(found) > limit
    return LogPage(records=tuple(found[:limit]), next_after=found[limit - 1].seq if more else None)


def append_row_errors(
    connection: Connection, run_id: int, errors: Iterable[RowError], bounds: StoreBounds, seals: Seals
) -> None:
    """Add refused rows to a running run; what its cap does not take is counted."""
    row = lock_running(connection, run_id)
    kept, dropped = row.row_errors, row.row_errors_dropped
    batch: list[dict[str, object]] = []
    for item in errors:
        if kept >= bounds.row_errors:
            dropped += 1
            continue
        kept += 1
        text = seal_text(seals, error_json(item.error, bounds.error_bytes), ROW_ERROR, run_id, kept)
        batch.append({"run_id": run_id, "seq": kept, "row": item.row, "status": int(item.status), "error": text})
        if len(batch) == _BATCH:
            connection.execute(insert(row_errors), batch)
            batch = []
    if batch:
        connection.execute(insert(row_errors), batch)
    if (kept, dropped) != (row.row_errors, row.row_errors_dropped):
        values = {"row_errors": kept, "row_errors_dropped": dropped}
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def row_error_page(connection: Connection, run_id: int, after: int, limit: int, seals: Seals) -> RowErrorPage:
    """Refused rows in the order they were stored."""
    query = (
        select(row_errors)
        .where(row_errors.c.run_id == run_id, row_errors.c.seq > after)
        .order_by(row_errors.c.seq)
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    found = tuple(
        RowError(
            row=row.row,
            status=Status(row.status),
            error=from_json(
                open_text(seals, row.error, ROW_ERROR, run_id, row.seq), f"row error {row.seq} of run {run_id}"
            ),
        )
        for row in rows[:limit]
    )
    return RowErrorPage(errors=found, next_after=rows[limit - 1].seq if len(rows) > limit else None)


def count_dropped(connection: Connection, run_id: int, dropped: int) -> None:
    """Add what was dropped before it came to the store."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(log_dropped=runs.c.log_dropped + dropped))
