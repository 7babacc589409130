"""`Storage`: what the server keeps in its SQLite file. Writes are futures that are done once they are on disk."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Update, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert

from ..store.database import Database, resolve_url, use_write_ahead_log
from ..store.errors import StoreOpenError
from .documents import TenantRequest
from .keys import KeyRecord, parse_scopes
from .records import EndedRun, StoredRun
from .tables import COSTS, COUNTS, VERSION, keys, metadata, properties, runs, tenants, usage
from .writer import Writer

_BUSY_SECONDS = 5.0
_HOUR = 3600
_MICROSECONDS = 1_000_000
_T = TypeVar("_T")


def _end_statement() -> Update:
    changed = [column.name for column in runs.c if column.name not in ("id", "tenant", "key_id", "created_at")]
    waiting = update(runs).where(runs.c.id == bindparam("run_id"), runs.c.state != "ended")
    return waiting.values({name: bindparam(name) for name in changed})


def _usage_statement() -> Insert:
    new = upsert(usage).values({column.name: bindparam(column.name) for column in usage.c})
    added = {name: usage.c[name] + new.excluded[name] for name in COUNTS}
    return new.on_conflict_do_update(index_elements=["tenant", "hour"], set_=added)


# Made once: making one takes longer than executing it.
_INSERT_WAITING = insert(runs).values({
    **{name: bindparam(name) for name in ("id", "tenant", "key_id", "created_at", "order", "input", "wall_seconds",
                                          "has_grants")},
    "state": "queued", "may_have_effects": 0, "attempts": 0,
})  # fmt: skip
_INSERT_ENDED = insert(runs).values({column.name: bindparam(column.name) for column in runs.c})
_END = _end_statement()
_ADD_USAGE = _usage_statement()


class Storage:
    """The file, its writer and its readers.

    Raises:
        StoreError: the file cannot be opened, another server has it, or it is of another version.
    """

    def __init__(self, file: str, loop: asyncio.AbstractEventLoop) -> None:
        url = resolve_url(file)
        self._claim = _claim(str(url.database))
        self._database = Database(url, busy_timeout_seconds=_BUSY_SECONDS, create=True)
        use_write_ahead_log(self._database)
        with self._database.write() as connection:
            metadata.create_all(connection)
            _check_version(connection)
        self._writer = Writer(self._database, loop)
        self._readers = ThreadPoolExecutor(2, "wasmexec-reader")

    def close(self) -> None:
        """Store what is waiting, and close the file."""
        self._writer.close()
        self._readers.shutdown()
        self._database.close()
        self._claim.close()

    # Tenants and keys: read once, at the start; this process alone changes them.

    def tenant_documents(self) -> list[TenantRequest]:
        """All of them."""
        with self._database.read() as connection:
            found = connection.execute(select(tenants.c.document)).scalars()
            return [msgspec.json.decode(document, type=TenantRequest) for document in found]

    def key_records(self) -> list[KeyRecord]:
        """The records of all keys."""
        with self._database.read() as connection:
            return [_key_of(row) for row in connection.execute(select(keys))]

    def add_tenant(self, tenant: TenantRequest) -> asyncio.Future[None]:
        """Store a tenant, or another state of one."""
        document = msgspec.json.encode(tenant).decode()

        def work(connection: Connection) -> None:
            row = {"name": tenant.name, "document": document, "created_at": time.time()}
            connection.execute(
                upsert(tenants).values(row).on_conflict_do_update(index_elements=["name"], set_={"document": document})
            )

        return self._writer.put(work)

    def add_key(self, record: KeyRecord) -> asyncio.Future[None]:
        """Store a key."""

        def work(connection: Connection) -> None:
            connection.execute(insert(keys).values(
                id=record.id, tenant=record.tenant, name=record.name, digest=record.digest,
                scopes=" ".join(sorted(record.scopes)), created_at=record.created_at, expires_at=record.expires_at,
                revoked_at=record.revoked_at,
            ))  # fmt: skip

        return self._writer.put(work)

    # Runs.

    def add_run(self, run: StoredRun) -> asyncio.Future[None]:
        """Store a run that waits: when this is done it can be acknowledged."""

        row = {
            "id": run.id, "tenant": run.tenant, "key_id": run.key_id, "created_at": run.created_at, "order": run.order,
            "input": run.input, "wall_seconds": run.wall_seconds, "has_grants": int(run.has_grants),
        }  # fmt: skip

        def work(connection: Connection) -> None:
            connection.execute(_INSERT_WAITING, row)

        return self._writer.put(work)

    def note_start(self, run_id: str, attempts: int, *, may_have_effects: bool) -> asyncio.Future[None]:
        """Note that an attempt begins."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(attempts=attempts, may_have_effects=int(may_have_effects), started_at=time.time())
            )

        return self._writer.put(work)

    def end_run(self, run: EndedRun) -> asyncio.Future[None]:
        """Record the end of a run and its usage, in one transaction, once."""

        def work(connection: Connection) -> None:
            row = _ended_row(run)
            if run.is_new:
                # It was never waiting for anybody else.
                connection.execute(_INSERT_ENDED, row)
            elif connection.execute(_END, {**row, "run_id": run.id}).rowcount != 1:
                return
            connection.execute(_ADD_USAGE, _usage_row(run, row))

        return self._writer.put(work)

    def unfinished(self) -> list[StoredRun]:
        """The runs that were accepted and have not ended, oldest first."""
        columns = [runs.c[name] for name in StoredRun._fields]
        with self._database.read() as connection:
            found = connection.execute(select(*columns).where(runs.c.state != "ended").order_by(runs.c.created_at))
            return [_stored(row) for row in found]

    async def run(self, run_id: str, tenant: str) -> dict[str, Any] | None:
        """The record of a run of a tenant without its payloads; None if there is none."""
        left_out = ("order", "input", "rows", "logs")
        columns = [column for column in runs.c if column.name not in left_out]
        has_rows = runs.c.rows.is_not(None).label("has_rows")

        def work(connection: Connection) -> dict[str, Any] | None:
            row = connection.execute(
                select(*columns, has_rows).where(runs.c.id == run_id, runs.c.tenant == tenant)
            ).first()
            return None if row is None else dict(row._mapping)

        return await self._read(work)

    async def payload(self, run_id: str, name: str) -> bytes | None:
        """The rows or the logs of a run as JSON; None if they are not kept."""

        def work(connection: Connection) -> bytes | None:
            found: bytes | None = connection.execute(select(runs.c[name]).where(runs.c.id == run_id)).scalar()
            return found

        return await self._read(work)

    async def usage(self, tenant: str, since: float) -> list[dict[str, int]]:
        """The usage of a tenant by the hour, oldest first."""
        columns = [usage.c.hour, *(usage.c[name] for name in COUNTS)]
        query = select(*columns).where(usage.c.tenant == tenant, usage.c.hour >= int(since)).order_by(usage.c.hour)

        def work(connection: Connection) -> list[dict[str, int]]:
            return [dict(row._mapping) for row in connection.execute(query)]

        return await self._read(work)

    def cpu_used(self, tenant: str, since: float) -> float:
        """The processor seconds that a tenant's runs have used since a full hour."""
        query = select(func.coalesce(func.sum(usage.c.cpu_us), 0)).where(
            usage.c.tenant == tenant, usage.c.hour >= since
        )
        with self._database.read() as connection:
            return float(connection.execute(query).scalar_one()) / _MICROSECONDS

    async def _read(self, work: Callable[[Connection], _T]) -> _T:
        def read() -> _T:
            with self._database.read() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


def _claim(file: str) -> IO[str]:
    """A lock that only one server has, until it is closed or the process is gone: what runs is known to one.

    Raises:
        StoreOpenError: another one has it.
    """
    try:
        lock = open(f"{file}.lock", "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise StoreOpenError(f"the store {file} cannot be locked: {error.strerror}") from None
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                lock.close()
                text = f"another server uses the store {file}; stop it, or give this one a file of its own (--store)"
                raise StoreOpenError(text) from None
            time.sleep(0.05)
        else:
            return lock


def _stored(row: Row[Any]) -> StoredRun:
    flags = {"may_have_effects": bool(row.may_have_effects), "has_grants": bool(row.has_grants)}
    return StoredRun(**{**row._mapping, **flags})


def _check_version(connection: Connection) -> None:
    connection.execute(upsert(properties).values(name="version", value=str(VERSION)).on_conflict_do_nothing())
    found = connection.execute(select(properties.c.value).where(properties.c.name == "version")).scalar_one()
    if found != str(VERSION):
        raise StoreOpenError(f"the store has the tables of version {found}, this server those of {VERSION}")
    connection.execute(text("PRAGMA optimize"))


def _key_of(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id, tenant=row.tenant, name=row.name, digest=row.digest, scopes=parse_scopes(row.scopes.split()),
        created_at=row.created_at, expires_at=row.expires_at, revoked_at=row.revoked_at,
    )  # fmt: skip


def _ended_row(run: EndedRun) -> dict[str, Any]:
    answer, used = run.answer, run.answer.usage
    return {
        "id": run.id, "tenant": run.tenant, "key_id": run.key_id, "state": "ended",
        "may_have_effects": int(used.http_requests > 0), "created_at": run.created_at, "started_at": run.started_at,
        "ended_at": run.ended_at, "attempts": run.attempts, "order": None, "input": None,
        "wall_seconds": run.wall_seconds, "has_grants": int(run.has_grants), "status": int(answer.status),
        "cpu_us": round((used.cpu_seconds + run.lost_cpu_seconds) * _MICROSECONDS),
        "wall_us": round(used.wall_seconds * _MICROSECONDS), "peak_memory_bytes": used.peak_memory_bytes,
        "output_bytes": used.output_bytes, "http_requests": used.http_requests,
        "http_bytes_sent": used.http_bytes_sent, "http_bytes_received": used.http_bytes_received,
        "row_count": answer.row_count, "log_count": answer.log_count, "log_dropped": answer.log_dropped,
        "rows": answer.rows if run.keep_rows else None, "logs": answer.logs if run.keep_rows else None,
        "error": answer.error, "warnings": answer.warnings,
    }  # fmt: skip


def _usage_row(run: EndedRun, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant": run.tenant, "hour": int(run.ended_at) // _HOUR * _HOUR, "runs": 1,
        "failed": int(not run.answer.status.succeeded), **{name: row[name] for name in COSTS},
    }  # fmt: skip
