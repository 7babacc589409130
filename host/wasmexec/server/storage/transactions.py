"""`Transactions`: what the rows of each kind need of the storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection

from ...store.database import Database
from .writer import Kind, Writer

if TYPE_CHECKING:
    from ..vault.vault import Vault
    from .kept import KeptVault
    from .readers import Readers

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

    @property
    def kept(self) -> KeptVault:
        """Seals what is kept of runs that have ended."""
        ...

    @property
    def writer(self) -> Writer:
        """The thread that writes, for what need not be on disk at once."""
        ...

    @property
    def readers(self) -> Readers:
        """The threads that read, for what is not one transaction."""
        ...

    def write(self, work: Callable[[Connection], _T], told: Callable[[_T], None] | None = None) -> asyncio.Future[_T]:
        """Have something done by the thread that writes; the future is done once it is on disk."""
        ...

    def put(self, kind: Kind, row: Any, *, size: int = 0) -> asyncio.Future[None]:
        """Have a row of a kind stored as soon as can be; the future is done once it is on disk."""
        ...

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Have something read beside the loop."""
        ...
