"""`Transactions`: what the rows of each kind need of the storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from ...store.database import Database
from ..vault.vault import Vault

_T = TypeVar("_T")


class Transactions(Protocol):
    """Reads and writes of one database, see `Storage`."""

    @property
    def database(self) -> Database:
        """For what is read before the loop turns."""
        ...

    @property
    def vault(self) -> Vault:
        """Seals what is secret."""
        ...

    def write(self, work: Callable[[Connection], _T]) -> asyncio.Future[_T]:
        """Have something done by the thread that writes; the future is done once it is on disk."""
        ...

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Have something read beside the loop."""
        ...
