"""Tenants in the database: read once, at the start; this process alone changes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, insert, select, update

from ..documents import TenantRequest
from ..tenants.keys import Actor
from .audit import audit, changes
from .tables import tenants

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions


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
                action = "tenant.create" if old is None else "tenant.change"
                audit(connection, actor, tenant.name, action, tenant.name, changed)

        return self._storage.write(work)
