"""`Retention`: deletes what has been kept for long enough, a little at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from ...store.errors import StoreError
from .audit import cut
from .idempotency import delete_expired

if TYPE_CHECKING:
    from .runs import Counted
    from .storage import Storage

SWEEP_SECONDS: Final = 60.0
_FIRST_SECONDS = 1.0
_MOST_TOGETHER = 200
_PAUSE_SECONDS = 0.05
"""After each transaction: what others write goes between."""
_DAY = 86_400.0
_log = logging.getLogger(__name__)


class Retention:
    """Runs that ended so many days ago, keys of requests older than a day, old rows of the audit log; usage stays."""

    def __init__(self, storage: Storage, keep_runs_days: int, keep_audit_days: int, counted: Counted) -> None:
        self._storage = storage
        self._keep_seconds = keep_runs_days * _DAY
        self._keep_audit_seconds = keep_audit_days * _DAY
        self._counted = counted

    async def sweep_often(self) -> None:
        """Sweep for as long as the server lives."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self._sweep()
            except StoreError as error:
                _log.warning("old runs are deleted later: %s", error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _sweep(self) -> None:
        runs, write = self._storage.runs, self._storage.write
        before = time.time() - self._keep_seconds
        while sum((await runs.delete_older(before, _MOST_TOGETHER, self._counted)).values()) == _MOST_TOGETHER:
            await asyncio.sleep(_PAUSE_SECONDS)
        while await write(lambda connection: delete_expired(connection, _MOST_TOGETHER)) == _MOST_TOGETHER:
            await asyncio.sleep(_PAUSE_SECONDS)
        while await write(lambda connection: cut(connection, self._keep_audit_seconds)):
            await asyncio.sleep(_PAUSE_SECONDS)
