"""Runs in the database, from their acceptance to their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from ..runs.records import EndedRun, NewRun, StartedRun, StoredRun
from ..vault.places import input_place, kept_place, order_place
from .attachments import drop_attachments, report_of_run
from .idempotency import drop_answers
from .run_rows import EndedRuns, ForgottenRuns, NewRuns, StartedRuns
from .tables import IS_UNFINISHED, runs

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions

PAGE = 200
"""How many of the runs that have not ended are read at once: some 8 ms of the loop."""
_PAYLOADS = ("order", "input", "rows", "logs")
_OPENED = {"error", "warnings", "replay"}
"""What of a record is sealed."""
_FIGURES = tuple(column for column in runs.c if column.name not in _PAYLOADS)
_HAS_ROWS = runs.c.rows.is_not(None).label("has_rows")


Counted: TypeAlias = Callable[[dict[str, int]], None]


class Place(NamedTuple):
    """Where a run stands among others by its age."""

    created_at: float
    id: str


class RunFilter(NamedTuple):
    """Which runs are asked for: times are seconds of the epoch, None is no rule, `before` a place in the list."""

    status: int | None = None
    created_after: float | None = None
    created_before: float | None = None
    before: Place | None = None


class RunStorage:
    """Rows of runs."""

    def __init__(self, storage: Transactions) -> None:
        engine = storage.database.engine
        self._storage = storage
        self._new, self._started = NewRuns(engine, storage.kept), StartedRuns(engine)
        self._ended, self._forgotten = EndedRuns(engine, storage.kept), ForgottenRuns(engine, storage.kept)

    # Written.

    def add(self, run: NewRun) -> asyncio.Future[None]:
        """Store a run that waits: when this is done it can be acknowledged; fails at once if the store is away."""
        return self._storage.put(self._new, run, size=len(run.order) + len(run.input))

    def note_start(self, run: StartedRun) -> asyncio.Future[None]:
        """Note that an attempt begins."""
        return self._storage.put(self._started, run)

    def end(self, run: EndedRun, told: Callable[[Any, Exception | None], None]) -> None:
        """Record the end of a run and its usage, in one transaction, once; kept until the store takes it."""
        answer, kept = run.answer, run.kept
        size = len(answer.error) + len(answer.warnings)
        size += len(answer.rows) + len(answer.logs) + len(answer.recording) if run.keep_rows else 0
        size += len(kept.body) if kept is not None and kept.body is not None else 0
        self._storage.writer.put(
            self._ended, run, told, is_urgent=run.keep_rows or kept is not None, is_patient=True, size=size
        )

    def forget(self, run_id: str) -> None:
        """Delete a run that was not acknowledged, and may have been stored all the same; kept as `end` is."""
        self._storage.writer.put(self._forgotten, run_id, lambda result, error: None, is_urgent=False, is_patient=True)

    def delete(self, run_id: str, tenant: str, counted: Counted) -> asyncio.Future[dict[str, int]]:
        """Delete a run that has ended, its rows and its log; its usage stays. As `delete_older`."""
        rules = (runs.c.id == run_id, runs.c.tenant == tenant)
        return self._storage.write(lambda connection: _delete(connection, *rules, most=1), counted)

    def delete_older(self, ended_before: float, most: int, counted: Counted) -> asyncio.Future[dict[str, int]]:
        """Delete at most so many runs that ended before a time; how many of each tenant, which `counted` is told, too.

        Before anything else is told of what was written later.
        """
        rule = runs.c.ended_at < ended_before
        return self._storage.write(lambda connection: _delete(connection, rule, most=most), counted)

    # Read.

    def count_unfinished(self) -> int:
        """How many were accepted and have not ended."""
        with self._storage.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(runs).where(IS_UNFINISHED)).scalar_one())

    def count_ended(self, connection: Connection, tenant: str) -> int:
        """How many runs of a tenant are on record."""
        query = select(func.count()).select_from(runs).where(runs.c.tenant == tenant, runs.c.state == "ended")
        return int(connection.execute(query).scalar_one())

    async def unfinished(self, after: Place | None) -> list[StoredRun]:
        """The next of the runs that were accepted and have not ended, oldest first, without what they are to do."""
        lengths = func.length(runs.c.order) + func.length(runs.c.input)
        columns = [lengths.label("size") if name == "size" else runs.c[name] for name in StoredRun._fields]
        query = select(*columns).where(IS_UNFINISHED).order_by(runs.c.created_at, runs.c.id).limit(PAGE)
        if after is not None:
            query = query.where(_is_younger(after))

        def work(connection: Connection) -> list[StoredRun]:
            return [
                StoredRun(*row)._replace(may_have_effects=bool(row.may_have_effects), has_grants=bool(row.has_grants))
                for row in connection.execute(query)
            ]

        return await self._storage.read(work)

    async def order(self, run_id: str) -> tuple[bytes, bytes] | None:
        """The order and the input of a run that has not ended; None if it has.

        Raises:
            SealError: they were changed, or are another run's.
        """
        vault, columns = self._storage.vault, (runs.c.tenant, runs.c.order, runs.c.input)

        def work(connection: Connection) -> tuple[bytes, bytes] | None:
            row = connection.execute(select(*columns).where(runs.c.id == run_id)).first()
            if row is None or row.order is None:
                return None
            order = vault.open(bytes(row.order), order_place(row.tenant, run_id))
            return order, vault.open(bytes(row.input), input_place(row.tenant, run_id))

        return await self._storage.read(work)

    async def find(self, run_id: str, tenant: str) -> dict[str, Any] | None:
        """The record of a run of a tenant without its payloads; None if there is none.

        Raises:
            SealError: what is kept of it was changed.
        """

        def work(connection: Connection) -> dict[str, Any] | None:
            query = select(*_FIGURES, _HAS_ROWS, report_of_run().label("replay")).where(
                runs.c.id == run_id, runs.c.tenant == tenant
            )
            row = connection.execute(query).first()
            return None if row is None else self._opened(dict(row._mapping))

        return await self._storage.read(work)

    async def ended(self, tenant: str, asked: RunFilter, most: int) -> list[dict[str, Any]]:
        """The records of a tenant's runs that have ended, newest first, without their payloads.

        Raises:
            SealError: what is kept of one was changed.
        """
        rules: list[ColumnElement[bool]] = [runs.c.tenant == tenant, runs.c.state == "ended"]
        if asked.status is not None:
            rules.append(runs.c.status == asked.status)
        if asked.created_after is not None:
            rules.append(runs.c.created_at > asked.created_after)
        if asked.created_before is not None:
            rules.append(runs.c.created_at < asked.created_before)
        if asked.before is not None:
            rules.append(_is_older(asked.before))
        query = select(*_FIGURES, _HAS_ROWS).where(*rules).order_by(runs.c.created_at.desc(), runs.c.id.desc())

        def work(connection: Connection) -> list[dict[str, Any]]:
            return [self._opened(dict(row._mapping)) for row in connection.execute(query.limit(most)).all()]

        return await self._storage.read(work)

    async def payload(self, run_id: str, name: str) -> bytes | None:
        """The rows or the logs of a run as JSON; None if they are not kept.

        Raises:
            SealError: they were changed, or are another run's.
        """
        column = runs.c[name]

        def work(connection: Connection) -> bytes | None:
            row = connection.execute(select(runs.c.tenant, column.label("data")).where(runs.c.id == run_id)).first()
            if row is None or row.data is None:
                return None
            return self._storage.kept.open(bytes(row.data), kept_place(row.tenant, run_id, name))

        return await self._storage.read(work)

    def _opened(self, record: dict[str, Any]) -> dict[str, Any]:
        """Raises: SealError: something was changed."""
        for name in _OPENED & record.keys():
            if record[name] is not None:
                place = kept_place(record["tenant"], record["id"], name)
                record[name] = self._storage.kept.open(bytes(record[name]), place)
        return record


def _delete(connection: Connection, *rules: ColumnElement[bool], most: int) -> dict[str, int]:
    old = select(runs.c.id, runs.c.tenant).where(runs.c.state == "ended", *rules).order_by(runs.c.ended_at).limit(most)
    found = connection.execute(old).all()
    ids = [row.id for row in found]
    drop_answers(connection, ids)
    drop_attachments(connection, ids)
    connection.execute(delete(runs).where(runs.c.id.in_(ids)))
    return dict(Counter(row.tenant for row in found))


def _is_older(place: Place) -> ColumnElement[bool]:
    same = and_(runs.c.created_at == place.created_at, runs.c.id < place.id)
    return and_(runs.c.created_at <= place.created_at, or_(runs.c.created_at < place.created_at, same))


def _is_younger(place: Place) -> ColumnElement[bool]:
    same = and_(runs.c.created_at == place.created_at, runs.c.id > place.id)
    return and_(runs.c.created_at >= place.created_at, or_(runs.c.created_at > place.created_at, same))
