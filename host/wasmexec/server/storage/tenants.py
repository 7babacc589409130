"""Tenants in the database: read once, at the start; this process alone changes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, Delete, delete, insert, select, update

from ..documents import TenantRequest
from ..quotas.refusals import Owner
from ..tenants.keys import Actor
from .attachments import drop_attachments
from .audit import TENANT_CREATE, audit, changes
from .tables import accounts, keys, metadata, runs, tenants

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions


_KEPT: Final = frozenset(("wx_server_audit",))
"""What is said of a tenant stays when it is gone: the rows are chained by hash."""
_MOST_TOGETHER = 500


class TenantStorage:
    """Rows of tenants."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def documents(self) -> list[TenantRequest]:
        """All of them."""
        with self._storage.database.read() as connection:
            found = connection.execute(select(tenants.c.document)).scalars()
            return [msgspec.json.decode(document, type=TenantRequest) for document in found]

    def put(self, tenant: TenantRequest, actor: Actor) -> asyncio.Future[None]:
        """Store a tenant, or another state of one."""
        document = msgspec.json.encode(tenant).decode()
        is_it = tenants.c.name == tenant.name

        def work(connection: Connection) -> None:
            old = connection.execute(select(tenants.c.document).where(is_it)).scalar()
            if old is None:
                row = {"name": tenant.name, "document": document, "created_at": time.time()}
                connection.execute(insert(tenants).values(row))
            else:
                connection.execute(update(tenants).where(is_it).values(document=document))
            changed = changes({} if old is None else msgspec.json.decode(old), msgspec.json.decode(document))
            if changed["after"]:
                action = TENANT_CREATE if old is None else "tenant.change"
                audit(connection, actor, tenant.name, action, tenant.name, changed)

        return self._storage.write(work)

    async def remove(self, name: str, actor: Actor) -> None:
        """Delete a tenant and every row that is its own, its keys first and itself last, so that it can be repeated.

        Piece by piece: others have their writes in between.
        """
        of_keys = select(keys.c.id).where(keys.c.tenant == name)
        owner, owner_id = accounts.c.owner, accounts.c.owner_id
        mine = ((owner == Owner.TENANT.value) & (owner_id == name)) | (
            (owner == Owner.PROJECT.value) & owner_id.startswith(f"{name}/", autoescape=True)
        )
        await self._storage.write(_deletion(delete(accounts).where(mine | owner_id.in_(of_keys))))
        owned = [
            table for table in metadata.sorted_tables
            if "tenant" in table.c and table is not runs and table.name not in _KEPT
        ]  # fmt: skip
        for table in sorted(owned, key=lambda table: table is not keys):
            await self._storage.write(_deletion(delete(table).where(table.c.tenant == name)))
        while await self._storage.write(partial(_delete_some_runs, name)):
            pass

        def work(connection: Connection) -> None:
            connection.execute(delete(tenants).where(tenants.c.name == name))
            audit(connection, actor, name, "tenant.delete", name, {})

        await self._storage.write(work)


def _delete_some_runs(tenant: str, connection: Connection) -> int:
    """With what runs have beside their rows; how many that were."""
    ids = connection.execute(select(runs.c.id).where(runs.c.tenant == tenant).limit(_MOST_TOGETHER)).scalars().all()
    drop_attachments(connection, ids)
    return connection.execute(delete(runs).where(runs.c.id.in_(ids))).rowcount


def _deletion(statement: Delete) -> Callable[[Connection], int]:
    """How many rows it deletes."""

    def work(connection: Connection) -> int:
        return connection.execute(statement).rowcount

    return work
