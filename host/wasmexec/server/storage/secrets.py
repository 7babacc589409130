"""Stored secrets in the database: read once, at the start; this process alone changes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from ..problems import ProblemError, not_found
from ..quotas.refusals import check_count
from ..tenants.keys import Actor
from ..tenants.secrets import StoredSecret
from .audit import audit
from .tables import secrets

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions


class SecretStorage:
    """Rows of stored secrets."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def all(self) -> list[StoredSecret]:
        """Those of all tenants."""
        with self._storage.database.read() as connection:
            return [self._secret(row) for row in connection.execute(select(secrets))]

    def put(self, secret: StoredSecret, most: int | None, actor: Actor) -> asyncio.Future[StoredSecret]:
        """Store a secret, or another version of it: what has been stored.

        The future raises ProblemError, 409, if the tenant would have more than `most`.
        """
        is_it = _is(secret.tenant, secret.name)

        def work(connection: Connection) -> StoredSecret:
            old = connection.execute(select(secrets).where(is_it)).first()
            if old is None:
                _refuse_one_more(connection, secret.tenant, most)
                new = secret
                connection.execute(insert(secrets).values(_row(new)))
            else:
                new = replace(secret, version=old.version + 1, created_at=old.created_at)
                connection.execute(update(secrets).where(is_it).values(_row(new)))
            before = {} if old is None else _told(self._secret(old))
            audit(connection, actor, secret.tenant, "secret.put", secret.name, {"before": before, "after": _told(new)})
            return new

        return self._storage.write(work)

    def delete(self, tenant: str, name: str, actor: Actor) -> asyncio.Future[None]:
        """Have it gone. The future raises ProblemError, 404, if it is not there."""

        def work(connection: Connection) -> None:
            if connection.execute(delete(secrets).where(_is(tenant, name))).rowcount != 1:
                raise not_found()
            audit(connection, actor, tenant, "secret.delete", name, {})

        return self._storage.write(work)

    def _secret(self, row: Row[Any]) -> StoredSecret:
        return StoredSecret(vault=self._storage.vault, **row._mapping)


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return (secrets.c.tenant == tenant) & (secrets.c.name == name)


def _row(secret: StoredSecret) -> dict[str, Any]:
    return {column.name: getattr(secret, column.name) for column in secrets.c}


def _told(secret: StoredSecret) -> dict[str, Any]:
    """What the audit log has of it."""
    return {
        "version": secret.version, "hosts": msgspec.json.decode(secret.hosts),
        "also_in": msgspec.json.decode(secret.also_in),
    }  # fmt: skip


def _refuse_one_more(connection: Connection, tenant: str, most: int | None) -> None:
    """Raises: ProblemError: 409: the tenant has as many as it may."""
    if most is None:
        return
    has = connection.execute(select(func.count()).where(secrets.c.tenant == tenant)).scalar_one()
    refusal = check_count("secrets", range(has), most, status=409)
    if refusal is not None:
        raise ProblemError.of(refusal)
