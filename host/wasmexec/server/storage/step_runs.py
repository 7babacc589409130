"""Runs of steps in the database: as they wait, what they deliver, and how they end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, update

from ...errors import WasmexecError
from ...result import LogRecord, Usage
from ...status import Status
from ...store.chunks import Chunk
from ...store.errors import CheckpointConflictError, StoreLimitError
from ...store.records import Advance, LogPage, RowError, RowErrorPage, RunHandle, RunRecord
from ..runs.records import KeptAnswer, SavedAccount
from ..vault.places import step_request_place
from .accounts import AccountRows
from .idempotency import KeyRows, drop_answers
from .kept import StepSeals
from .steps import joined, stored_name, tenant_of
from .tables import COSTS, COUNTS, step_runs
from .usage import UsagePlace, UsageRows, hour_of

if TYPE_CHECKING:
    import asyncio

    from ...store.run_store import RunStore
    from .transactions import Transactions

KEPT_RUNS = 100
_MOST_DELETED = 5
"""At the end of one run."""


class StoredStepRun(NamedTuple):
    """A run of a step as it is on record, without what it was asked with.

    `store_run` is its number in the run store once it has begun; `status` and `error` are its own if it has none there.
    """

    id: str
    tenant: str
    step: str
    version: int
    key_id: str
    project: str | None
    state: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    attempts: int
    may_have_effects: int
    store_run: int | None
    status: int | None
    error: str | None


class Charge(NamedTuple):
    """What is to be added to the record of a run and to its tenant's usage, and how the budgets stand with that."""

    counts: Mapping[str, int] = {}
    accounts: tuple[SavedAccount, ...] = ()

    def ended(self, *, failed: bool) -> Charge:
        """The same at the end of a run."""
        return Charge({**self.counts, "runs": 1, "failed": int(failed)}, self.accounts)


class Ending(NamedTuple):
    """How a run ends, if the store agrees."""

    status: Status
    error: WasmexecError | None
    usage: Usage
    executions: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_failed: int = 0
    log_dropped: int = 0
    warnings: tuple[str, ...] = ()
    local_variables: Mapping[str, Any] | None = None
    advance: Advance | None = None


class StepRunStorage:
    """Rows of runs of steps; of each step the newest `keep` that have ended stay."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage
        self._usage = UsageRows(storage.database.engine)
        self._accounts = AccountRows(storage.database.engine)
        self._keys = KeyRows(storage.database.engine, storage.kept)
        self.keep = KEPT_RUNS

    def add(self, run: StoredStepRun, request: bytes, kept: KeptAnswer | None = None) -> asyncio.Future[None]:
        """Store a run that waits, and the answer to its request if that has a key: then it can be acknowledged."""

        vault = self._storage.vault

        def work(connection: Connection) -> None:
            sealed = vault.seal(request, step_request_place(run.tenant, run.id))
            connection.execute(insert(step_runs).values(request=sealed, **run._asdict()))
            if kept is not None:
                self._keys.store(connection, [kept])

        return self._storage.write(work)

    def begin(
        self, run: StoredStepRun, document: bytes, *, processing: str, may_have_effects: bool
    ) -> asyncio.Future[RunHandle]:
        """Begin an attempt: from now on the run store has a run that is under way."""

        def work(connection: Connection) -> RunHandle:
            handle = joined(connection).begin_run(
                stored_name(run.tenant, run.step), definition=document.decode(), processing=processing, trigger="http",
                attributes={"id": run.id, "version": run.version},
            )  # fmt: skip
            values = {
                "state": "running", "store_run": handle.run_id, "attempts": step_runs.c.attempts + 1,
                "may_have_effects": int(may_have_effects),
                "started_at": func.coalesce(step_runs.c.started_at, time.time()),
            }  # fmt: skip
            connection.execute(update(step_runs).where(step_runs.c.id == run.id).values(values))
            return handle

        return self._storage.write(work)

    def append_chunk(self, handle: RunHandle, chunk: Chunk) -> asyncio.Future[StoreLimitError | None]:
        """Add rows, which count once the run has ended well; what does not fit is told."""

        def work(connection: Connection) -> StoreLimitError | None:
            try:
                self._sealed(connection, handle.step).append_chunks(handle, [chunk])
            except StoreLimitError as error:
                return error
            return None

        return self._storage.write(work)

    def append_logs(self, handle: RunHandle, lines: list[LogRecord | tuple[int, LogRecord]]) -> asyncio.Future[None]:
        """Add lines of the log."""
        return self._storage.write(lambda connection: self._sealed(connection, handle.step).append_logs(handle, lines))

    def append_failures(self, handle: RunHandle, failures: list[RowError]) -> asyncio.Future[None]:
        """Add input rows that failed."""
        return self._storage.write(
            lambda connection: self._sealed(connection, handle.step).append_row_errors(handle, failures)
        )

    def charge(self, run: StoredStepRun, charge: Charge) -> asyncio.Future[None]:
        """Add what a run has used since the last time."""
        return self._storage.write(lambda connection: self._charge(connection, run, charge))

    def end(
        self, run: StoredStepRun, handle: RunHandle, ending: Ending, charge: Charge
    ) -> asyncio.Future[StoreLimitError | None]:
        """End a run, its checkpoint, its record and its usage in one transaction.

        A conflict of checkpoints is an end, too; with a `StoreLimitError` nothing was stored and the run goes on.
        """

        def work(connection: Connection) -> StoreLimitError | None:
            store = joined(connection)
            if connection.execute(select(step_runs.c.state).where(step_runs.c.id == run.id)).scalar_one() == "ended":
                # The connection broke just as this was stored.
                return None
            try:
                record = store.finish(handle, **ending._asdict())
            except StoreLimitError as error:
                return error
            except CheckpointConflictError:
                # The store has written how it ended.
                record = store.get_run(handle.run_id)
            failed = record.status is None or not record.status.succeeded
            _end(connection, run, None, None)
            self._charge(connection, run, charge.ended(failed=failed))
            _forget_old(connection, run, self.keep)
            return None

        return self._storage.write(work)

    def abandon(self, run: StoredStepRun, reason: str, charge: Charge, *, is_over: bool) -> asyncio.Future[None]:
        """End an attempt that nobody will finish, and the run with it if it `is_over`; else it waits again."""

        def work(connection: Connection) -> None:
            store = joined(connection)
            if run.store_run is not None and store.get_run(run.store_run).state == "running":
                store.abandon(run.store_run, reason)
            if is_over:
                _end(connection, run, None, None)
            elif run.store_run is not None:
                values = {"state": "queued", "store_run": None}
                connection.execute(update(step_runs).where(step_runs.c.id == run.id).values(values))
                store.delete_run(run.store_run)
            self._charge(connection, run, charge.ended(failed=True) if is_over else charge)

        return self._storage.write(work)

    def refuse(self, run: StoredStepRun, status: Status, error: str) -> asyncio.Future[None]:
        """End a run that has not begun; `error` is a JSON text."""

        def work(connection: Connection) -> None:
            _end(connection, run, int(status), error)
            self._charge(connection, run, Charge().ended(failed=True))

        return self._storage.write(work)

    def unfinished(self) -> list[StoredStepRun]:
        """The runs that were accepted and have not ended, oldest first."""
        query = _select().where(step_runs.c.state != "ended").order_by(step_runs.c.created_at)
        with self._storage.database.read() as connection:
            return [StoredStepRun(*row) for row in connection.execute(query)]

    async def request(self, run: StoredStepRun) -> bytes:
        """What a run was asked with.

        Raises:
            SealError: it was changed.
        """

        def work(connection: Connection) -> bytes:
            found = connection.execute(select(step_runs.c.request).where(step_runs.c.id == run.id)).scalar_one()
            return self._storage.vault.open(bytes(found), step_request_place(run.tenant, run.id))

        return await self._storage.read(work)

    async def find(self, tenant: str, step: str, run_id: str) -> tuple[StoredStepRun, RunRecord | None] | None:
        """A run of a step of a tenant, and what the run store has of its last attempt; None if there is none."""

        def work(connection: Connection) -> tuple[StoredStepRun, RunRecord | None] | None:
            mine = (step_runs.c.tenant == tenant, step_runs.c.step == step, step_runs.c.id == run_id)
            row = connection.execute(_select().where(*mine)).one_or_none()
            return None if row is None else _with_record(connection, StoredStepRun(*row))

        return await self._storage.read(work)

    async def page(
        self, tenant: str, step: str, *, before: tuple[float, str] | None, limit: int
    ) -> list[tuple[StoredStepRun, RunRecord | None]]:
        """Runs of a step, newest first, from behind one that is given by its time and id."""

        def work(connection: Connection) -> list[tuple[StoredStepRun, RunRecord | None]]:
            query = _select().where(step_runs.c.tenant == tenant, step_runs.c.step == step)
            if before is not None:
                moment, run_id = before
                earlier = and_(step_runs.c.created_at == moment, step_runs.c.id < run_id)
                query = query.where(or_(step_runs.c.created_at < moment, earlier))
            query = query.order_by(step_runs.c.created_at.desc(), step_runs.c.id.desc()).limit(limit)
            return [_with_record(connection, StoredStepRun(*row)) for row in connection.execute(query).all()]

        return await self._storage.read(work)

    async def rows(self, step: str, store_run: int) -> AsyncIterator[bytes]:
        """The rows of a run that has ended well, as JSON arrays, one after the other.

        `step` is its stored name, here and below. Raises: SealError: they were changed, or are another run's.
        """
        after = 0
        while (found := await self._storage.read(partial(self._chunk, step, store_run, after))) is not None:
            after, text = found
            yield text

    async def logs(self, step: str, store_run: int, after: int, limit: int) -> LogPage:
        """Lines of the log after a number. Raises: SealError: as `rows`."""
        return await self._storage.read(
            lambda connection: self._sealed(connection, step).logs(store_run, after=after, limit=limit)
        )

    async def failures(self, step: str, store_run: int, after: int, limit: int) -> RowErrorPage:
        """Input rows that failed, after a number. Raises: SealError: as `rows`."""
        return await self._storage.read(
            lambda connection: self._sealed(connection, step).row_errors(store_run, after=after, limit=limit)
        )

    def _sealed(self, connection: Connection, step: str) -> RunStore:
        """The run store, which seals rows, log and failed rows for the tenant of a step."""
        return joined(connection, StepSeals(self._storage.kept, tenant_of(step)))

    def _chunk(self, step: str, store_run: int, after: int, connection: Connection) -> tuple[int, bytes] | None:
        return self._sealed(connection, step).output_text(store_run, after)

    def _charge(self, connection: Connection, run: StoredStepRun, charge: Charge) -> None:
        """Add to the record of a run and to the usage of its tenant, which is the sum of the records."""
        counts = charge.counts
        added = {name: step_runs.c[name] + counts[name] for name in COSTS if counts.get(name)}
        if added:
            connection.execute(update(step_runs).where(step_runs.c.id == run.id).values(added))
        if any(counts.values()):
            place = UsagePlace(hour_of(time.time()), run.tenant, run.project or "", run.key_id)
            self._usage.add(connection, {place: [counts.get(name, 0) for name in COUNTS]})
            self._accounts.store(connection, charge.accounts)


def _select() -> Select[Any]:
    return select(*(step_runs.c[name] for name in StoredStepRun._fields))


def _with_record(connection: Connection, run: StoredStepRun) -> tuple[StoredStepRun, RunRecord | None]:
    return run, None if run.store_run is None else joined(connection).get_run(run.store_run)


def _end(connection: Connection, run: StoredStepRun, status: int | None, error: str | None) -> None:
    values = {"state": "ended", "ended_at": time.time(), "request": None, "status": status, "error": error}
    connection.execute(update(step_runs).where(step_runs.c.id == run.id).values(values))


def _forget_old(connection: Connection, run: StoredStepRun, keep: int) -> None:
    """Delete some of the oldest that have ended, if there are more than are kept."""
    mine = (step_runs.c.tenant == run.tenant, step_runs.c.step == run.step, step_runs.c.state == "ended")
    query = select(step_runs.c.id, step_runs.c.store_run).where(*mine)
    old = connection.execute(query.order_by(step_runs.c.created_at.desc()).offset(keep).limit(_MOST_DELETED)).all()
    for item in old:
        connection.execute(delete(step_runs).where(step_runs.c.id == item.id))
        drop_answers(connection, [item.id])
        if item.store_run is not None:
            joined(connection).delete_run(item.store_run)
