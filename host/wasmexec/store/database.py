"""One engine per store: URLs, SQLite's and PostgreSQL's settings, transactions, and driver errors as ours."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import ConfigError, WasmexecError
from .errors import StoreBusyError, StoreError, StoreLostError, StoreOpenError

STORE_VARIABLE = "WASMEXEC_STORE"
_WRITES = "wasmexec_writes"
_SQLITE_BUSY = {5, 6}
_SQLITE_NO_DATABASE = {11, 26}
_POSTGRES_BUSY = {"55P03", "40P01", "40001"}
_POSTGRES_GONE = ("08", "57P")
"""Connections that broke, and a server that goes down or comes up. Those that never came about have no code."""
_IDLE_MILLISECONDS = 120_000
_inherited: list[object] = []


def resolve_url(url: str | os.PathLike[str] | None) -> URL:
    """The database that the caller means: a path, a URL, WASMEXEC_STORE, or a file in the user's data folder.

    Raises:
        ConfigError: no URL, or of a database that is not supported.
    """
    if url is None:
        url = os.environ.get(STORE_VARIABLE) or Path(platformdirs.user_data_dir("wasmexec"), "runs.sqlite3")
    text = os.fspath(url)
    if "://" not in text:
        if not text or text == ":memory:":
            raise ConfigError("run store: expected a file or a URL; a store in memory would be lost with the process")
        return URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError("run store: the URL cannot be read; expected sqlite:///FILE or postgresql://…") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if not parsed.database or parsed.database.startswith((":memory:", "file:")):
                raise ConfigError("run store: sqlite needs a file: sqlite:///FILE")
            return URL.create("sqlite", database=str(Path(parsed.database).expanduser().absolute()))
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"run store: {parsed.drivername!r} is not supported; use sqlite:///FILE or postgresql+psycopg://…"
    )


class Database:
    """The engine and its two kinds of transactions; safe for threads, and for children after a fork."""

    def __init__(self, url: URL, *, busy_timeout_seconds: float, create: bool) -> None:
        self.url = url.render_as_string(hide_password=True)
        self._process_id = os.getpid()
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.file = Path(str(url.database)) if self.is_sqlite else None
        if self.file is not None:
            _prepare_file(self.file, create=create)
        self.engine = _sqlite(url, busy_timeout_seconds) if self.is_sqlite else _postgres(url, busy_timeout_seconds)
        self._writer = self.engine.execution_options(**{_WRITES: True})

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            StoreError: also for what is read: who can write to the database can put anything anywhere, in SQLite of
                any type.
        """
        try:
            with self._transaction(self.engine) as connection:
                yield connection
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            if isinstance(error, WasmexecError):
                raise
            raise StoreError(f"the run store is damaged: {type(error).__name__}: {error}") from error

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is stored whole at the end, or not at all if the block raises."""
        with self._transaction(self._writer) as connection:
            yield connection

    def connect_to_write(self) -> Connection:
        """A connection for transactions that write, one after the other; its errors are the driver's."""
        return self._writer.connect()

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if os.getpid() != self._process_id:
            # The parent's connections must not be used here, and SQLite's not even be closed.
            _inherited.append(self.engine.pool)
            self.engine.dispose(close=False)
            self._process_id = os.getpid()
        try:
            with engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise translated(error) from error


class Joined(Database):
    """The database within a transaction that is open already: what is written is stored with the rest of that."""

    def __init__(self, connection: Connection) -> None:
        self.url = connection.engine.url.render_as_string(hide_password=True)
        self.is_sqlite = connection.dialect.name == "sqlite"
        self.engine = connection.engine
        self._writer = connection.engine.execution_options()
        self._connection = connection

    def close(self) -> None:
        """Whoever began the transaction ends it."""

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        yield self._connection


def insert_or_ignore(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row unless one with its key is there, also when another transaction inserts it right now."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(row).on_conflict_do_nothing())


def translated(error: SQLAlchemyError | sqlite3.Error) -> StoreError:
    """A driver's error as one of ours, without SQL and values."""
    if isinstance(error, PoolTimeout):
        return StoreBusyError("the run store has no free connection: too many threads use it at once")
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, SQLAlchemyError):
        return StoreError(f"run store: {type(error).__name__}: {error}")
    text = str(original).strip().partition("\n")[0]
    code, state = getattr(original, "sqlite_errorcode", None), getattr(original, "sqlstate", None)
    if (code is not None and code & 0xFF in _SQLITE_BUSY) or state in _POSTGRES_BUSY:
        return StoreBusyError(f"others hold the run store: {text}")
    if code is not None and code & 0xFF in _SQLITE_NO_DATABASE:
        return StoreOpenError(f"not a run store, or damaged: {text}")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return StoreLostError(f"the connection to the run store broke: {text}")
    if code is None and isinstance(error, OperationalError) and (state is None or state.startswith(_POSTGRES_GONE)):
        return StoreLostError(f"the run store cannot be reached: {text}")
    return StoreError(f"run store: {text}")


def _prepare_file(file: Path, *, create: bool) -> None:
    """A new file is for its owner only: it holds inputs and logs."""
    if file.exists():
        return
    if not create:
        raise StoreOpenError(f"there is no run store at {file}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreOpenError(f"the run store {file} cannot be made: {error.strerror}") from None


def _sqlite(url: URL, busy_timeout_seconds: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_timeout_seconds}, pool_timeout=busy_timeout_seconds)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        # The driver's own transactions would start late and end before CREATE TABLE.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        # FULL: what `finish` has returned survives a power cut too.
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer that begins as a reader could find out at its first change that it must start again.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def use_write_ahead_log(database: Database) -> None:
    """Readers never wait for a writer; the setting stays in the file.

    Raises:
        StoreOpenError: the file system cannot do it.
    """
    try:
        raw = database.engine.raw_connection()
        try:
            mode = raw.cursor().execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal":
                mode = raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()[0]
        finally:
            raw.close()
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise translated(error) from error
    if mode != "wal":
        raise StoreOpenError(f"{database.url}: SQLite cannot keep a write-ahead log on this file system")


def _postgres(url: URL, busy_timeout_seconds: float) -> Engine:
    milliseconds = max(1, round(busy_timeout_seconds * 1000))
    # A client whose machine vanished in the middle must not hold its locks for hours.
    ours = f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={_IDLE_MILLISECONDS}"
    query = {"connect_timeout": "10", **url.query, "options": f"{url.query.get('options', '')} {ours}".strip()}
    try:
        return create_engine(
            url.set(query=query),
            pool_pre_ping=True,
            pool_timeout=busy_timeout_seconds,
            isolation_level="READ COMMITTED",
        )
    except ModuleNotFoundError:
        raise StoreOpenError(
            "run store: PostgreSQL needs psycopg, which is not installed: pip install 'wasmexec[postgres]'"
        ) from None
