"""Tenants and keys in the database: read once, at the start; this process alone changes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from ..documents import TenantRequest
from ..tenants.keys import KeyRecord, parse_scopes
from .tables import keys, tenants

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions


class TenantStorage:
    """Rows of tenants and of their keys."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def documents(self) -> list[TenantRequest]:
        """All of them."""
        with self._storage.database.read() as connection:
            found = connection.execute(select(tenants.c.document)).scalars()
            return [msgspec.json.decode(document, type=TenantRequest) for document in found]

    def key_records(self) -> list[KeyRecord]:
        """The records of all keys."""
        with self._storage.database.read() as connection:
            return [_key_of(row) for row in connection.execute(select(keys))]

    def put(self, tenant: TenantRequest) -> asyncio.Future[None]:
        """Store a tenant, or another state of one."""
        document = msgspec.json.encode(tenant).decode()

        def work(connection: Connection) -> None:
            row = {"name": tenant.name, "document": document, "created_at": time.time()}
            connection.execute(
                upsert(tenants).values(row).on_conflict_do_update(index_elements=["name"], set_={"document": document})
            )

        return self._storage.write(work)

    def add_key(self, record: KeyRecord) -> asyncio.Future[None]:
        """Store a key."""

        def work(connection: Connection) -> None:
            connection.execute(insert(keys).values(
                id=record.id, tenant=record.tenant, name=record.name, digest=record.digest,
                scopes=" ".join(sorted(record.scopes)), created_at=record.created_at, expires_at=record.expires_at,
                revoked_at=record.revoked_at, project=record.project,
            ))  # fmt: skip

        return self._storage.write(work)


def _key_of(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id, tenant=row.tenant, name=row.name, digest=row.digest, scopes=parse_scopes(row.scopes.split()),
        created_at=row.created_at, expires_at=row.expires_at, revoked_at=row.revoked_at, project=row.project,
    )  # fmt: skip
