"""Brings a database to the tables of this version when it is opened, whoever else opens it at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from .database import Database, use_write_ahead_log
from .errors import StoreOpenError, StoreVersionError
from .tables import VERSION_TABLE

# In order; the last one is what this code works with. A test compares it with the scripts.
REVISIONS = ("0001", "0002")
MIGRATIONS = Path(__file__).with_name("migrations")
_ADVISORY_LOCK = 0x7761_736D_6578_6563
_one_at_a_time = threading.Lock()  # Alembic's context is a global of its process


def prepare(database: Database, *, is_shared: bool = False) -> None:
    """Make or migrate the tables if need be; a database that is up to date costs one query.

    `is_shared`: an SQLite file may have tables of the caller's beside them.

    Every step happens in one transaction under a lock, so a process that dies leaves the old tables.

    Raises:
        StoreVersionError: the database is newer than this code; it is left as it is.
        StoreOpenError: it belongs to something else.
        StoreBusyError: others hold it for too long.
    """
    if database.is_sqlite:
        use_write_ahead_log(database)
    with database.read() as connection:
        if _is_current(connection, database, is_shared):
            return
    with _one_at_a_time, database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        if not _is_current(connection, database, is_shared):
            upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to `revision` inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _is_current(connection: Connection, database: Database, is_shared: bool) -> bool:
    inspector = inspect(connection)
    if not inspector.has_table(VERSION_TABLE):
        # PostgreSQL databases are often shared; a SQLite file is one thing's.
        if database.is_sqlite and not is_shared and inspector.get_table_names():
            raise StoreOpenError(f"{database.url}: this SQLite file holds something else, not a run store")
        return False
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is not None and found not in REVISIONS:
        raise StoreVersionError(str(found), REVISIONS[-1])
    return found == REVISIONS[-1]
