"""A store has one owner: a lock that only one server has, and the connection that writes.

SQLite: a lock of a file beside it, until it is closed or the process is gone. PostgreSQL: an advisory lock of the very
connection that writes, so that with the connection the lock is lost, and with it the way to write. The epoch, raised by
each owner, tells whether somebody else has had the store between two connections.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from ...store.database import Database, translated
from ...store.errors import StoreBusyError, StoreError, StoreLostError, StoreOpenError
from .tables import properties

PATIENCE_SECONDS = 5.0
"""How long the owner before may take to let go."""
_AGAIN_SECONDS = 0.05
_LOCK_CLASS = 0x7778_7372
_EPOCH = "epoch"
_TAKEN = "another server uses the store {store}; stop it, or give this one a store of its own (--store)"
_log = logging.getLogger(__name__)


class StoreTakenError(StoreError):
    """Another server has had the store meanwhile: what this one knows of its runs need not be so any more."""


class Owner:
    """Who alone may write, by the one connection that does; used by one thread at a time.

    Raises:
        StoreOpenError: another server has the store.
        StoreError: it cannot be opened.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._epoch: int | None = None
        self._connection: Connection | None = None
        self._is_synced = True
        self._lock = _lock_file(database) if database.is_sqlite else None
        try:
            self._connect_first()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self, *, is_synced: bool = True) -> Iterator[Connection]:
        """A transaction that is on disk once the block has ended.

        Unless it is not to be synced: then, in SQLite, it survives the end of this process, and a power cut only once
        a later one is synced.

        Raises:
            StoreTakenError: another server has had the store meanwhile.
            StoreLostError: the connection broke; if that was at the end, nobody knows whether it is stored.
            StoreError: nothing of it is stored.
        """
        try:
            if self._connection is None:
                self._connect()
            assert self._connection is not None
            self._sync(self._connection, is_synced=is_synced)
            with self._connection.begin():
                yield self._connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            failure = translated(error)
            if isinstance(failure, StoreLostError):
                self._drop()
            raise failure from error

    def take(self, connection: Connection) -> None:
        """Be the owner from this transaction on."""
        found = connection.execute(select(properties.c.value).where(properties.c.name == _EPOCH)).scalar()
        self._epoch = 1 if found is None else int(found) + 1
        if found is None:
            connection.execute(insert(properties).values(name=_EPOCH, value=str(self._epoch)))
        else:
            connection.execute(update(properties).where(properties.c.name == _EPOCH).values(value=str(self._epoch)))

    def touch(self, connection: Connection) -> None:
        """Write something, so that this transaction, synced, has all before it on disk; the epoch stays what it is."""
        same = update(properties).where(properties.c.name == _EPOCH).values(value=properties.c.value)
        connection.execute(same)

    def close(self) -> None:
        """Let whoever comes next have the store."""
        self._drop()
        if self._lock is not None:
            self._lock.close()

    def _connect_first(self) -> None:
        """Raises: StoreOpenError: the one before does not let go."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self.begin():
                    return
            except StoreBusyError:
                if self._database.is_sqlite:
                    raise
                if time.monotonic() > until:
                    raise StoreOpenError(_TAKEN.format(store=self._database.url)) from None
                time.sleep(_AGAIN_SECONDS)

    def _connect(self) -> None:
        """Raises: StoreTakenError, StoreBusyError: another server has it, for good or perhaps for a moment."""
        connection = self._connection = self._database.connect_to_write()
        if self._database.is_sqlite:
            return
        try:
            with connection.begin():
                self._check_epoch(connection)
                ours = {"class": _LOCK_CLASS}
                query = text("SELECT pg_try_advisory_lock(:class, hashtext(current_schema()))")
                if not connection.execute(query, ours).scalar():
                    raise StoreBusyError(_TAKEN.format(store=self._database.url))
                # It may have been another's until now.
                self._check_epoch(connection)
                _be_durable(connection)
        except BaseException:
            self._drop()
            raise

    def _sync(self, connection: Connection, *, is_synced: bool) -> None:
        if self._database.is_sqlite and is_synced is not self._is_synced:
            # Before a transaction begins; the driver's own call, for SQLAlchemy would begin one.
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA synchronous={'FULL' if is_synced else 'NORMAL'}")
            cursor.close()
            self._is_synced = is_synced

    def _check_epoch(self, connection: Connection) -> None:
        if self._epoch is None:
            return
        found = connection.execute(select(properties.c.value).where(properties.c.name == _EPOCH)).scalar_one()
        if found != str(self._epoch):
            raise StoreTakenError(f"another server has taken over the store {self._database.url}")

    def _drop(self) -> None:
        """Close the connection itself: one that went back to the pool would keep its lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
            self._is_synced = True


def _lock_file(database: Database) -> IO[str]:
    """Raises: StoreOpenError: another server has it."""
    assert database.file is not None
    file = database.file
    try:
        lock = open(f"{file}.lock", "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise StoreOpenError(f"the store {file} cannot be locked: {error.strerror}") from None
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                lock.close()
                raise StoreOpenError(_TAKEN.format(store=file)) from None
            time.sleep(_AGAIN_SECONDS)
        else:
            return lock


def _be_durable(connection: Connection) -> None:
    """What is acknowledged survives a power cut, whatever the defaults of the database are."""
    if connection.execute(text("SHOW synchronous_commit")).scalar() == "off":
        connection.execute(text("SET synchronous_commit TO on"))
    if connection.execute(text("SHOW fsync")).scalar() == "off":
        _log.warning("the database server runs with fsync = off: a power cut loses acknowledged runs")
