"""What runs have used, added up by tenant, hour, project and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, select, tuple_

from ..quotas.budgets import Budget, Spent, Window
from ..quotas.refusals import Owner
from ..runs.costs import charges_of
from .prepared import Prepared, bound, upsert
from .tables import COSTS, COUNTS, usage

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions

_HOUR = 3600
_MICROSECONDS = 1_000_000
_KEY = ("tenant", "hour", "project", "key_id")
_PLACE = ("hour", "tenant", "project", "key_id")


class UsageFilter(NamedTuple):
    """Whose usage: in the hours that begin in a range, of one tenant, key or project if it is named.

    `project` "" is that of keys without one.
    """

    tenant: str | None
    since: float
    until: float
    key_id: str | None = None
    project: str | None = None


class UsagePlace(NamedTuple):
    """A line of usage among all; `hour` is the second of the epoch at which it begins."""

    hour: int
    tenant: str
    project: str
    key_id: str


def hour_of(seconds: float) -> int:
    """The beginning of the hour in which a time lies, both in seconds of the epoch."""
    return int(seconds) // _HOUR * _HOUR


class UsageRows:
    """What runs have used, added up in the transaction that puts it on their records."""

    def __init__(self, engine: Engine) -> None:
        names = (*UsagePlace._fields, *COUNTS)
        new = upsert(usage, engine).values(bound(names))
        added = {name: usage.c[name] + new.excluded[name] for name in COUNTS}
        self._add = Prepared(new.on_conflict_do_update(index_elements=_KEY, set_=added), names, engine)

    def add(self, connection: Connection, sums: Mapping[UsagePlace, Sequence[int]]) -> None:
        """Add to lines of usage, the numbers in the order of `COUNTS`."""
        self._add.execute(connection, [(*place, *counts) for place, counts in sums.items()])


class UsageStorage:
    """Rows of usage."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    async def hours(self, asked: UsageFilter) -> list[dict[str, int]]:
        """The usage by the hour, oldest first."""
        sums = [func.sum(usage.c[name]).label(name) for name in COUNTS]
        query = select(usage.c.hour, *sums).where(*_rules(asked)).group_by(usage.c.hour).order_by(usage.c.hour)

        def work(connection: Connection) -> list[dict[str, int]]:
            # PostgreSQL adds up to Decimal.
            return [{name: int(value) for name, value in row._mapping.items()} for row in connection.execute(query)]

        return await self._storage.read(work)

    async def lines(self, asked: UsageFilter, after: UsagePlace | None, most: int) -> list[dict[str, Any]]:
        """The usage by hour, tenant, project and key, oldest first: at most so many lines behind a place."""
        columns = [usage.c[name] for name in (*_PLACE, *COUNTS)]
        query = select(*columns).where(*_rules(asked)).order_by(*(usage.c[name] for name in _PLACE)).limit(most)
        if after is not None:
            query = query.where(tuple_(*(usage.c[name] for name in _PLACE)) > tuple_(*after))

        def work(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(query)]

        return await self._storage.read(work)

    async def cpu_seconds_of_all(self, since: float) -> dict[str, float]:
        """The processor seconds of every tenant that has used some since a full hour."""
        query = select(usage.c.tenant, func.sum(usage.c.cpu_us)).where(usage.c.hour >= since).group_by(usage.c.tenant)

        def work(connection: Connection) -> dict[str, float]:
            return {name: int(used) / _MICROSECONDS for name, used in connection.execute(query)}

        return await self._storage.read(work)

    def spent(self, tenant: str, owner: Owner, name: str, budgets: Sequence[Budget], now: float) -> list[Spent]:
        """What of budgets is used in the windows that are now; nothing is known of minutes."""
        with self._storage.database.read() as connection:
            return _spent(connection, tenant, owner, name, budgets, now)

    def spent_before(
        self, tenant: str, owner: Owner, name: str, budgets: Sequence[Budget], now: float
    ) -> asyncio.Future[list[Spent]]:
        """The same, behind everything that is to be written by now."""
        return self._storage.write(lambda connection: _spent(connection, tenant, owner, name, budgets, now))


def _rules(asked: UsageFilter) -> list[ColumnElement[bool]]:
    rules: list[ColumnElement[bool]] = [usage.c.hour >= int(asked.since), usage.c.hour < asked.until]
    if asked.tenant is not None:
        rules.append(usage.c.tenant == asked.tenant)
    if asked.key_id is not None:
        rules.append(usage.c.key_id == asked.key_id)
    if asked.project is not None:
        rules.append(usage.c.project == asked.project)
    return rules


def _spent(
    connection: Connection, tenant: str, owner: Owner, name: str, budgets: Sequence[Budget], now: float
) -> list[Spent]:
    found = []
    for budget in budgets:
        if budget.window is Window.MINUTE:
            continue
        since = budget.window.start(budget.window.number(now))
        rules = [usage.c.tenant == tenant, usage.c.hour >= int(since)]
        if owner is not Owner.TENANT:
            rules.append((usage.c.project if owner is Owner.PROJECT else usage.c.key_id) == name)
        sums = [func.coalesce(func.sum(usage.c[column]), 0).label(column) for column in COSTS]
        row = connection.execute(select(*sums).where(*rules)).one()
        charges = charges_of({column: int(value) for column, value in row._mapping.items()})
        found.append(Spent(budget, since, charges[budget.dimension]))
    return found
