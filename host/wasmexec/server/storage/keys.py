"""API keys in the database: read once, at the start; this process alone changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from ..problems import ProblemError
from ..quotas.refusals import Owner, check_count
from ..tenants.keys import Actor, KeyRecord, parse_scopes
from .audit import audit
from .tables import keys, part_rules

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions


class KeyStorage:
    """Rows of keys."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def all(self) -> list[KeyRecord]:
        """The records of all keys."""
        with self._storage.database.read() as connection:
            return [_record(row) for row in connection.execute(select(keys))]

    def change(
        self,
        actor: Actor,
        action: str,
        record: KeyRecord,
        detail: Mapping[str, Any],
        *,
        changed: Collection[KeyRecord] = (),
        forgotten: Collection[str] = (),
        most: int | None = None,
    ) -> asyncio.Future[None]:
        """Store a new key or another state of one, and of others that change with it; the ids in `forgotten` go.

        The future raises ProblemError, 409, if the tenant would have more than `most` names of valid keys.
        """  # fmt: skip

        def work(connection: Connection) -> None:
            if most is not None:
                _refuse_one_more(connection, record, most)
            for item in (record, *changed):
                row = _row(item)
                if connection.execute(update(keys).where(keys.c.id == item.id).values(row)).rowcount == 0:
                    connection.execute(insert(keys).values(row))
            if forgotten:
                connection.execute(delete(keys).where(keys.c.id.in_(forgotten)))
                is_theirs = (part_rules.c.tenant == record.tenant) & (part_rules.c.owner == Owner.KEY.value)
                connection.execute(delete(part_rules).where(is_theirs, part_rules.c.name.in_(forgotten)))
            audit(connection, actor, record.tenant, action, record.id, detail)

        return self._storage.write(work)


def _refuse_one_more(connection: Connection, record: KeyRecord, most: int) -> None:
    """Raises: ProblemError: 409: the tenant has as many as it may."""
    is_valid = [or_(column.is_(None), column > record.created_at) for column in (keys.c.expires_at, keys.c.revoked_at)]
    query = select(func.count(keys.c.name.distinct())).where(keys.c.tenant == record.tenant, *is_valid)
    refusal = check_count("keys", range(connection.execute(query).scalar_one()), most, status=409)
    if refusal is not None:
        raise ProblemError.of(refusal)


def _row(record: KeyRecord) -> dict[str, Any]:
    row = {column.name: getattr(record, column.name) for column in keys.c}
    return row | {"scopes": " ".join(sorted(record.scopes))}


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(**{**row._mapping, "scopes": parse_scopes(row.scopes.split())})
