"""Runs in the database, from their acceptance to their end, with their usage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Update, bindparam, insert, select, update

from ..runs.costs import costs_of
from ..runs.records import EndedRun, StoredRun
from ..vault.places import input_place, order_place
from .accounts import save_accounts
from .tables import COSTS, runs
from .usage import add_usage

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions

_HOUR = 3600


def _end_statement() -> Update:
    changed = [column.name for column in runs.c if column.name not in ("id", "tenant", "key_id", "created_at")]
    waiting = update(runs).where(runs.c.id == bindparam("run_id"), runs.c.state != "ended")
    return waiting.values({name: bindparam(name) for name in changed})


# Made once: making one takes longer than executing it.
_INSERT_WAITING = insert(runs).values({
    **{name: bindparam(name) for name in ("id", "tenant", "key_id", "created_at", "order", "input", "wall_seconds",
                                          "has_grants")},
    "state": "queued", "may_have_effects": 0, "attempts": 0,
})  # fmt: skip
_INSERT_ENDED = insert(runs).values({column.name: bindparam(column.name) for column in runs.c})
_END = _end_statement()


class RunStorage:
    """Rows of runs."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def add(self, run: StoredRun) -> asyncio.Future[None]:
        """Store a run that waits: when this is done it can be acknowledged."""
        vault = self._storage.vault
        row = {
            "id": run.id, "tenant": run.tenant, "key_id": run.key_id, "created_at": run.created_at,
            "wall_seconds": run.wall_seconds, "has_grants": int(run.has_grants),
        }  # fmt: skip

        def work(connection: Connection) -> None:
            order = vault.seal(run.order, order_place(run.tenant, run.id))
            data = vault.seal(run.input, input_place(run.tenant, run.id))
            connection.execute(_INSERT_WAITING, {**row, "order": order, "input": data})

        return self._storage.write(work)

    def note_start(self, run_id: str, attempts: int, *, may_have_effects: bool) -> asyncio.Future[None]:
        """Note that an attempt begins."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(attempts=attempts, may_have_effects=int(may_have_effects), started_at=time.time())
            )

        return self._storage.write(work)

    def end(self, run: EndedRun) -> asyncio.Future[None]:
        """Record the end of a run and its usage, in one transaction, once."""

        def work(connection: Connection) -> None:
            row = _ended_row(run)
            if run.is_new:
                # It was never waiting for anybody else.
                connection.execute(_INSERT_ENDED, row)
            elif connection.execute(_END, {**row, "run_id": run.id}).rowcount != 1:
                return
            add_usage(connection, _usage_row(run, row))
            save_accounts(connection, run.accounts)

        return self._storage.write(work)

    def unfinished(self) -> list[StoredRun]:
        """The runs that were accepted and have not ended, oldest first."""
        columns = [runs.c[name] for name in StoredRun._fields]
        with self._storage.database.read() as connection:
            found = connection.execute(select(*columns).where(runs.c.state != "ended").order_by(runs.c.created_at))
            return [self._stored(row) for row in found]

    async def find(self, run_id: str, tenant: str) -> dict[str, Any] | None:
        """The record of a run of a tenant without its payloads; None if there is none."""
        left_out = ("order", "input", "rows", "logs")
        columns = [column for column in runs.c if column.name not in left_out]
        has_rows = runs.c.rows.is_not(None).label("has_rows")

        def work(connection: Connection) -> dict[str, Any] | None:
            row = connection.execute(
                select(*columns, has_rows).where(runs.c.id == run_id, runs.c.tenant == tenant)
            ).first()
            return None if row is None else dict(row._mapping)

        return await self._storage.read(work)

    async def payload(self, run_id: str, name: str) -> bytes | None:
        """The rows or the logs of a run as JSON; None if they are not kept."""

        def work(connection: Connection) -> bytes | None:
            found: bytes | None = connection.execute(select(runs.c[name]).where(runs.c.id == run_id)).scalar()
            return found

        return await self._storage.read(work)

    def _stored(self, row: Row[Any]) -> StoredRun:
        """Raises: SealError: it was changed, or is another run's."""
        vault = self._storage.vault
        return StoredRun(**{
            **row._mapping, "may_have_effects": bool(row.may_have_effects), "has_grants": bool(row.has_grants),
            "order": vault.open(row.order, order_place(row.tenant, row.id)),
            "input": vault.open(row.input, input_place(row.tenant, row.id)),
        })  # fmt: skip


def _ended_row(run: EndedRun) -> dict[str, Any]:
    answer, used = run.answer, run.answer.usage
    return {
        "id": run.id, "tenant": run.tenant, "key_id": run.key_id, "state": "ended",
        "may_have_effects": int(used.http_requests > 0), "created_at": run.created_at, "started_at": run.started_at,
        "ended_at": run.ended_at, "attempts": run.attempts, "order": None, "input": None,
        "wall_seconds": run.wall_seconds, "has_grants": int(run.has_grants), "status": int(answer.status),
        **costs_of(answer, run.lost_cpu_seconds), "peak_memory_bytes": used.peak_memory_bytes,
        "log_dropped": answer.log_dropped, "project": run.project,
        "rows": answer.rows if run.keep_rows else None, "logs": answer.logs if run.keep_rows else None,
        "error": answer.error, "warnings": answer.warnings,
    }  # fmt: skip


def _usage_row(run: EndedRun, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant": run.tenant, "hour": int(run.ended_at) // _HOUR * _HOUR, "project": run.project or "",
        "key_id": run.key_id, "runs": 1,
        "failed": int(not run.answer.status.succeeded), **{name: row[name] for name in COSTS},
    }  # fmt: skip
