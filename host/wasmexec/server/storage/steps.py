"""Steps in the database: their documents by version, and their checkpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Select, delete, func, insert, select

from ...rows.json_text import decode
from ...store import migrate
from ...store.bounds import StoreBounds
from ...store.codec import sha256
from ...store.database import Joined
from ...store.errors import CheckpointConflictError, StoreLimitError
from ...store.records import Checkpoint
from ...store.run_store import RunStore
from ...store.seals import UNSEALED, Seals
from ..quotas.refusals import Refusal, check_count
from ..tenants.keys import Actor
from .audit import audit
from .idempotency import drop_answers
from .tables import step_runs, step_versions

if TYPE_CHECKING:
    from .transactions import Transactions

MOST_VERSIONS = 100
"""So many of a step are kept; older ones go."""
BOUNDS = StoreBounds()


class StoredStep(NamedTuple):
    """One version of a step; `plan` is what its document asks for, see `steps.messages.Plan`."""

    name: str
    version: int
    document: bytes
    plan: bytes
    created_at: float


class Mismatch(NamedTuple):
    """There is another version than the request expected; 0: no step, no checkpoint."""

    version: int


class InUse(NamedTuple):
    """A step has runs that have not ended."""

    runs: int


def stored_name(tenant: str, step: str) -> str:
    """Under which name the run store has a step.

    SECURITY: no tenant's name has a slash, so those of two tenants are never the same.
    """
    return f"{tenant}/{step}"


def tenant_of(stored: str) -> str:
    """Whose step has such a name."""
    return stored.partition("/")[0]


def joined(connection: Connection, seals: Seals = UNSEALED) -> RunStore:
    """The run store within a transaction of the writer: what it stores is stored with the rest of that, or not."""
    return RunStore(Joined(connection), BOUNDS, seals)


class StepStorage:
    """Rows of steps."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage
        self._prepared: asyncio.Future[None] | None = None

    async def prepare(self) -> None:
        """See that the tables of the run store are there: most servers that have no steps need none.

        Raises:
            StoreError: they cannot be made.
        """
        if self._prepared is None or (self._prepared.done() and self._prepared.exception() is not None):
            work = partial(migrate.prepare, self._storage.database, is_shared=True)
            self._prepared = asyncio.ensure_future(self._storage.readers.do(work))
        await asyncio.shield(self._prepared)

    async def count(self, tenant: str) -> int:
        """How many steps a tenant has."""
        return await self._storage.read(lambda connection: len(_names(connection, tenant)))

    async def put(
        self,
        tenant: str,
        name: str,
        document: bytes,
        plan: bytes,
        *,
        expected: Callable[[int], bool],
        most: int | None,
        actor: Actor,
    ) -> tuple[StoredStep, bool] | Refusal | Mismatch:
        """Store a step, as a new version if it is another; whether it is.

        `expected` is asked whether the present version is the one that was meant; `most` is how many steps the tenant
        may have, None if there is no such rule.
        """
        await self.prepare()

        def work(connection: Connection) -> tuple[StoredStep, bool] | Refusal | Mismatch:
            present = _latest(connection, tenant, name)
            version = 0 if present is None else present.version
            if not expected(version):
                return Mismatch(version)
            if present is None and most is not None:
                refusal = check_count("steps", _names(connection, tenant), most, status=409)
                if refusal is not None:
                    return refusal
            if present is not None and present.document == document:
                return present, False
            new = StoredStep(name, version + 1, document, plan, time.time())
            connection.execute(insert(step_versions).values(tenant=tenant, **new._asdict()))
            connection.execute(delete(step_versions).where(
                step_versions.c.tenant == tenant, step_versions.c.name == name,
                step_versions.c.version <= new.version - MOST_VERSIONS,
            ))  # fmt: skip
            audit(connection, actor, tenant, "step.put", name, {"version": new.version, "sha256": sha256(document)})
            return new, True

        return await self._storage.write(work)

    async def latest(self, tenant: str, name: str) -> StoredStep | None:
        """The present version of a step; None if there is no such step."""
        return await self._storage.read(lambda connection: _latest(connection, tenant, name))

    async def version(self, tenant: str, name: str, version: int) -> StoredStep | None:
        """A version of a step; None if there is none, or not any more."""

        def work(connection: Connection) -> StoredStep | None:
            query = _select().where(
                step_versions.c.tenant == tenant, step_versions.c.name == name, step_versions.c.version == version
            )
            row = connection.execute(query).one_or_none()
            return None if row is None else StoredStep(*row)

        return await self._storage.read(work)

    async def versions(self, tenant: str, name: str) -> list[tuple[int, float]]:
        """The versions of a step that are kept, and when each was made, newest first."""

        def work(connection: Connection) -> list[tuple[int, float]]:
            query = select(step_versions.c.version, step_versions.c.created_at).where(
                step_versions.c.tenant == tenant, step_versions.c.name == name
            )
            found = connection.execute(query.order_by(step_versions.c.version.desc()))
            return [(row.version, row.created_at) for row in found]

        return await self._storage.read(work)

    async def list(self, tenant: str) -> list[tuple[str, int, float]]:
        """The steps of a tenant by name, with their present version and when that was made."""

        def work(connection: Connection) -> list[tuple[str, int, float]]:
            query = (
                select(
                    step_versions.c.name, func.max(step_versions.c.version).label("version"),
                    func.max(step_versions.c.created_at).label("created_at"),
                )
                .where(step_versions.c.tenant == tenant)
                .group_by(step_versions.c.name)
                .order_by(step_versions.c.name)
            )  # fmt: skip
            return [(row.name, row.version, row.created_at) for row in connection.execute(query)]

        return await self._storage.read(work)

    async def delete(
        self, tenant: str, name: str, *, expected: Callable[[int], bool], actor: Actor
    ) -> StoredStep | Mismatch | InUse | None:
        """Delete a step with its versions, checkpoint and runs; None if there is none."""
        await self.prepare()

        def work(connection: Connection) -> StoredStep | Mismatch | InUse | None:
            present = _latest(connection, tenant, name)
            if present is None:
                return None
            if not expected(present.version):
                return Mismatch(present.version)
            mine = (step_runs.c.tenant == tenant, step_runs.c.step == name)
            live = select(func.count()).select_from(step_runs).where(*mine, step_runs.c.state != "ended")
            count = connection.execute(live).scalar_one()
            if count:
                return InUse(count)
            _delete(tenant, name, connection)
            audit(connection, actor, tenant, "step.delete", name, {"version": present.version})
            return present

        return await self._storage.write(work)

    async def delete_all(self, tenant: str) -> None:
        """Delete every step of a tenant that has no runs which have not ended, one after the other."""
        await self.prepare()
        names = await self._storage.read(lambda connection: _names(connection, tenant))
        for name in sorted(names):
            await self._storage.write(partial(_delete, tenant, name))

    async def checkpoint(self, tenant: str, name: str) -> Checkpoint | None:
        """The checkpoint of a step, version 0 if it never had one; None if there is no such step."""
        await self.prepare()

        def work(connection: Connection) -> Checkpoint | None:
            if _latest(connection, tenant, name) is None:
                return None
            return joined(connection).checkpoint(stored_name(tenant, name))

        return await self._storage.read(work)

    async def set_checkpoint(
        self, tenant: str, name: str, value: bytes | None, *, expect_version: int | None, actor: Actor
    ) -> Checkpoint | Mismatch | StoreLimitError | None:
        """Set the checkpoint of a step to a JSON text, or reset it (None); a run under way loses against it.

        Raises:
            ValueError: the value is no JSON that is kept.
        """
        await self.prepare()
        read = None if value is None else decode(value)

        def work(connection: Connection) -> Checkpoint | Mismatch | StoreLimitError | None:
            if _latest(connection, tenant, name) is None:
                return None
            store, full = joined(connection), stored_name(tenant, name)
            try:
                if value is None:
                    changed = store.reset_checkpoint(full, expect_version=expect_version)
                else:
                    changed = store.set_checkpoint(full, read, expect_version=expect_version)
            except CheckpointConflictError as conflict:
                return Mismatch(conflict.found_version)
            except StoreLimitError as error:
                return error
            # SECURITY: the value is the tenant's data, and not for a log that is kept for good.
            audit(connection, actor, tenant, f"checkpoint.{changed.cause}", name, {"version": changed.version})
            return changed

        return await self._storage.write(work)


def _delete(tenant: str, name: str, connection: Connection) -> None:
    """A step with its versions, checkpoint and runs."""
    mine = (step_runs.c.tenant == tenant, step_runs.c.step == name)
    drop_answers(connection, select(step_runs.c.id).where(*mine))
    connection.execute(delete(step_runs).where(*mine))
    connection.execute(delete(step_versions).where(step_versions.c.tenant == tenant, step_versions.c.name == name))
    joined(connection).delete_step(stored_name(tenant, name))


def _select() -> Select[Any]:
    return select(*(step_versions.c[name] for name in StoredStep._fields))


def _latest(connection: Connection, tenant: str, name: str) -> StoredStep | None:
    query = _select().where(step_versions.c.tenant == tenant, step_versions.c.name == name)
    row = connection.execute(query.order_by(step_versions.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else StoredStep(*row)


def _names(connection: Connection, tenant: str) -> set[str]:
    return set(
        connection.execute(select(step_versions.c.name).where(step_versions.c.tenant == tenant).distinct()).scalars()
    )
