"""`Storage`: what the server keeps in its SQLite file. Writes are futures that are done once they are on disk."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.sqlite import insert as upsert

from ...store.database import Database, resolve_url, use_write_ahead_log
from ...store.errors import StoreOpenError
from .accounts import AccountStorage
from .audit import AuditStorage
from .keys import KeyStorage
from .runs import RunStorage
from .sealing import open_vault
from .secrets import SecretStorage
from .step_runs import StepRunStorage
from .steps import StepStorage
from .tables import VERSION, metadata, properties
from .tenants import TenantStorage
from .usage import UsageStorage
from .writer import Writer

_BUSY_SECONDS = 5.0
_T = TypeVar("_T")


class Storage:
    """The database, its writer and its readers, and each kind of row by its name; `key_file` opens what is sealed.

    Raises:
        ConfigError: the key file cannot be used, or is not the store's.
        StoreError: the file cannot be opened, another server has it, or it is of another version.
    """

    def __init__(
        self, file: str, key_file: Path, loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:  # fmt: skip
        url = resolve_url(file)
        self._claim = _claim(str(url.database))
        self.database = Database(url, busy_timeout_seconds=_BUSY_SECONDS, create=True)
        use_write_ahead_log(self.database)
        with self.database.write() as connection:
            metadata.create_all(connection)
            _check_version(connection)
        self.vault = open_vault(self.database, key_file)
        self._writer = Writer(self.database, loop, on_commit)
        self.runs = RunStorage(self)
        self.tenants = TenantStorage(self)
        self.keys = KeyStorage(self)
        self.secrets = SecretStorage(self)
        self.audit = AuditStorage(self)
        self.usage = UsageStorage(self)
        self.accounts = AccountStorage(self)
        self.steps = StepStorage(self)
        self.step_runs = StepRunStorage(self)
        self._readers = ThreadPoolExecutor(2, "wasmexec-reader")

    def close(self) -> None:
        """Store what is waiting, and close the file."""
        self._writer.close()
        self._readers.shutdown()
        self.database.close()
        self._claim.close()

    @property
    def waiting_writes(self) -> int:
        """What waits for the thread that writes."""
        return self._writer.waiting

    def write(self, work: Callable[[Connection], _T]) -> asyncio.Future[_T]:
        """Have something done by the thread that writes; the future is done once it is on disk."""
        return self._writer.put(work)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Have something read beside the loop."""

        def read() -> _T:
            with self.database.read() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


def _claim(file: str) -> IO[str]:
    """A lock that only one server has, until it is closed or the process is gone: what runs is known to one.

    Raises:
        StoreOpenError: another one has it.
    """
    try:
        lock = open(f"{file}.lock", "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise StoreOpenError(f"the store {file} cannot be locked: {error.strerror}") from None
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                lock.close()
                text = f"another server uses the store {file}; stop it, or give this one a file of its own (--store)"
                raise StoreOpenError(text) from None
            time.sleep(0.05)
        else:
            return lock


def _check_version(connection: Connection) -> None:
    connection.execute(upsert(properties).values(name="version", value=str(VERSION)).on_conflict_do_nothing())
    found = connection.execute(select(properties.c.value).where(properties.c.name == "version")).scalar_one()
    if found != str(VERSION):
        raise StoreOpenError(f"the store has the tables of version {found}, this server those of {VERSION}")
    connection.execute(text("PRAGMA optimize"))
