"""`StoredCounts`: how many runs of a tenant are on record, for tenants that have a rule about that.

Counted in the database, and from then on by what this process, the only one that writes it, records and deletes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..storage.storage import Storage


class StoredCounts:
    """Counts by tenant; of others than those that were asked for nothing is known."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._counts: dict[str, int] = {}

    def __getitem__(self, tenant: str) -> int:
        return self._counts[tenant]

    def get(self, tenant: str) -> int | None:
        """The count of a tenant; None if nothing is known of it."""
        return self._counts.get(tenant)

    async def know(self, tenant: str) -> None:
        """Count the runs of a tenant, unless that is done. Raises: StoreError."""
        if tenant in self._counts:
            return
        await self._storage.write(
            lambda connection: self._storage.runs.count_ended(connection, tenant),
            partial(self._note, tenant),
        )

    def forget(self, tenant: str) -> None:
        """The tenant is no more."""
        self._counts.pop(tenant, None)

    def _note(self, tenant: str, count: int) -> None:
        self._counts.setdefault(tenant, count)

    def add(self, tenant: str, change: int) -> None:
        """So many more are on record, or fewer."""
        if tenant in self._counts:
            self._counts[tenant] += change
