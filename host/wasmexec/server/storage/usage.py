"""What runs have used, added up by tenant and hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert

from .tables import COUNTS, usage

if TYPE_CHECKING:
    from .transactions import Transactions

_MICROSECONDS = 1_000_000


def _usage_statement() -> Insert:
    new = upsert(usage).values({column.name: bindparam(column.name) for column in usage.c})
    added = {name: usage.c[name] + new.excluded[name] for name in COUNTS}
    return new.on_conflict_do_update(index_elements=["tenant", "hour"], set_=added)


# Made once: making one takes longer than executing it.
_ADD = _usage_statement()


def add_usage(connection: Connection, row: Mapping[str, Any]) -> None:
    """Add what one run has used, in the transaction that ends it."""
    connection.execute(_ADD, row)


class UsageStorage:
    """Rows of usage."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    async def hours(self, tenant: str, since: float) -> list[dict[str, int]]:
        """The usage of a tenant by the hour, oldest first."""
        columns = [usage.c.hour, *(usage.c[name] for name in COUNTS)]
        query = select(*columns).where(usage.c.tenant == tenant, usage.c.hour >= int(since)).order_by(usage.c.hour)

        def work(connection: Connection) -> list[dict[str, int]]:
            return [dict(row._mapping) for row in connection.execute(query)]

        return await self._storage.read(work)

    def cpu_seconds(self, tenant: str, since: float) -> float:
        """The processor seconds that a tenant's runs have used since a full hour."""
        query = select(func.coalesce(func.sum(usage.c.cpu_us), 0)).where(
            usage.c.tenant == tenant, usage.c.hour >= since
        )
        with self._storage.database.read() as connection:
            return float(connection.execute(query).scalar_one()) / _MICROSECONDS
