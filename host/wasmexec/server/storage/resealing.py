"""`Resealing`: what a start has left of sealing what is kept anew, a page at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...store.errors import StoreError

if TYPE_CHECKING:
    from .transactions import Transactions

_FIRST_SECONDS = 2.0
_PAUSE_SECONDS = 0.05
_AGAIN_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Resealing:
    """See the module."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    async def run(self) -> None:
        """Return once everything is sealed with the first key."""
        if self._storage.kept.rest is not None:
            await asyncio.sleep(_FIRST_SECONDS)
            await self._run()

    async def _run(self) -> None:
        kept, write = self._storage.kept, self._storage.write
        while (at := kept.rest) is not None:
            try:
                await write(kept.reseal_page)
                await asyncio.sleep(_PAUSE_SECONDS)
            except StoreError as error:
                kept.rest = at
                _log.warning("what is kept is sealed with the new key later: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)
        await write(kept.retire)
        kept.say_what_is_retired()
