"""`Storage`: what the server keeps in its database, SQLite or PostgreSQL. Writes are done once they are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from ...store.database import Database, resolve_url, use_write_ahead_log
from .accounts import AccountStorage
from .attachments import AttachmentStorage
from .audit import AuditStorage
from .idempotency import RequestKeyStorage
from .keys import KeyStorage
from .owner import Owner
from .readers import Readers
from .runs import RunStorage
from .sealing import open_vault
from .secrets import SecretStorage
from .step_runs import StepRunStorage
from .steps import StepStorage
from .tenants import TenantStorage
from .upgrade import upgrade
from .usage import UsageStorage
from .writer import Kind, Writer

_BUSY_SECONDS = 1.0
"""Nobody else writes; an operator's tool that does, makes the store one that is out of reach."""
_END_SECONDS = 1.0
"""For those who read to end."""
_T = TypeVar("_T")


class Storage:
    """The database, its one owner's writer, its readers, and each kind of row by its name.

    `place` is a file or a URL; `key_file` opens what is sealed. `taken` is done once another server has the store, with
    the error that tells so.

    Raises:
        ConfigError: the key file cannot be used, or is not the store's.
        StoreError: it cannot be opened, another server has it, or a newer one has written it.
    """

    def __init__(
        self, place: str, key_file: Path, loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:  # fmt: skip
        self.database = Database(resolve_url(place), busy_timeout_seconds=_BUSY_SECONDS, create=True)
        self._owner = Owner(self.database)
        try:
            if self.database.is_sqlite:
                use_write_ahead_log(self.database)
            with self._owner.begin() as connection:
                upgrade(connection)
                self._owner.take(connection)
            self.kept = open_vault(self.database, key_file)
            self.vault = self.kept.vault
        except BaseException:
            self._owner.close()
            raise
        self.taken: asyncio.Future[Exception] = loop.create_future()
        self.writer = Writer(self._owner, loop, self._is_taken, on_commit)
        self.runs = RunStorage(self)
        self.attachments = AttachmentStorage(self)
        self.tenants = TenantStorage(self)
        self.keys = KeyStorage(self)
        self.secrets = SecretStorage(self)
        self.audit = AuditStorage(self)
        self.usage = UsageStorage(self)
        self.accounts = AccountStorage(self)
        self.steps = StepStorage(self)
        self.step_runs = StepRunStorage(self)
        self.request_keys = RequestKeyStorage(self)
        self.readers = Readers(2, loop)

    async def close(self) -> None:
        """Store what is waiting, and close the database."""
        has_ended = await self.writer.close()
        have_ended = await self.readers.close(_END_SECONDS)
        # What the database does not let go ends with the process.
        if has_ended:
            self._owner.close()
        if has_ended and have_ended:
            self.database.close()

    @property
    def waiting_writes(self) -> int:
        """What waits for the thread that writes."""
        return self.writer.waiting

    def write(self, work: Callable[[Connection], _T], told: Callable[[_T], None] | None = None) -> asyncio.Future[_T]:
        """Have something done by the thread that writes; the future is done once it is on disk.

        `told` gets the result, too, before anything is told of what was written later.
        """
        return self.writer.do(work, told)

    def put(self, kind: Kind, row: Any, *, size: int = 0) -> asyncio.Future[None]:
        """Have a row of a kind stored, as soon as can be; the future is done once it is on disk."""
        return self.writer.store(kind, row, size=size)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Have something read beside the loop."""

        def read() -> _T:
            with self.database.read() as connection:
                return work(connection)

        return await self.readers.do(read)

    def _is_taken(self, error: Exception) -> None:
        if not self.taken.done():
            self.taken.set_result(error)
