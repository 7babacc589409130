"""Brings the tables of a store to those of this server, in the transaction in which it becomes the owner.

What was added (tables, columns with a default or none, indexes) is found by comparing, so that nobody has to write it
down twice. `_STEPS` has what cannot be found so, by the version that it leads to. There is no second set of migrations
beside that of run stores: these tables have one owner, who changes them alone, and a server starts in a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Inspector, inspect, select, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from ...store.errors import StoreOpenError, StoreVersionError
from .prepared import upsert
from .tables import VERSION, metadata, properties


def _to_2(connection: Connection) -> None:
    """Usage is added up by project and key, too; the index of all states is one of runs that have not ended."""
    connection.execute(text("DROP INDEX IF EXISTS ix_wx_server_runs_state"))
    counts = ("runs", "failed", "cpu_us", "wall_us", "http_requests", "http_bytes_sent", "http_bytes_received",
              "output_bytes", "row_count", "log_count")  # fmt: skip
    names = ", ".join(("tenant", "hour", *counts))
    connection.execute(
        text(
            f"INSERT INTO wx_server_usage_by_key ({names}, project, key_id, gb_us, log_bytes) "
            f"SELECT {names}, '', '', 0, 0 FROM wx_server_usage"
        )
    )
    connection.execute(text("DROP TABLE wx_server_usage"))


def _to_3(connection: Connection) -> None:
    """What is kept of ended runs is sealed, which `Resealing` sees to; older servers could not read it."""


_STEPS: Mapping[int, Callable[[Connection], None]] = {2: _to_2, 3: _to_3}


def upgrade(connection: Connection) -> None:
    """Make the tables, or bring them up to date; if they are, that takes two queries.

    Raises:
        StoreVersionError: a newer server has written them; nothing is changed.
        StoreOpenError: the version is none.
    """
    if not inspect(connection).has_table(properties.name):
        metadata.create_all(connection)
        _note(connection)
        return
    found = {row.name: row.value for row in connection.execute(select(properties))}
    version = _version(found.get("version"))
    if version == VERSION and found.get("tables") == _digest(connection):
        return
    _add_missing(connection, inspect(connection))
    for number in range(version + 1, VERSION + 1):
        _STEPS[number](connection)
    _note(connection)


def _version(found: str | None) -> int:
    if found is None or not found.isdecimal() or int(found) < 1:
        raise StoreOpenError(f"the tables of the store are of no version that there is: {found!r:.40}")
    if int(found) > VERSION:
        raise StoreVersionError(found, str(VERSION))
    return int(found)


def _add_missing(connection: Connection, inspector: Inspector) -> None:
    known = set(inspector.get_table_names())
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        if table.name not in known:
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {added}"))
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in indexes:
                connection.execute(CreateIndex(index))


def _digest(connection: Connection) -> str:
    """A hash of what makes the tables and indexes."""
    made = [str(CreateTable(table).compile(dialect=connection.dialect)) for table in metadata.sorted_tables]
    made += sorted(
        str(CreateIndex(index).compile(dialect=connection.dialect))
        for table in metadata.sorted_tables
        for index in table.indexes
    )
    return hashlib.sha256("\n".join(made).encode()).hexdigest()


def _note(connection: Connection) -> None:
    for name, value in (("version", str(VERSION)), ("tables", _digest(connection))):
        new = upsert(properties, connection.engine).values(name=name, value=value)
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
