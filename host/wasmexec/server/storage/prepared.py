"""Statements for many rows at once, compiled once for the driver: making one takes longer than executing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, bindparam
from sqlalchemy.dialects import postgresql, sqlite


class Prepared:
    """One statement; rows are tuples of the values of `names`, in that order."""

    def __init__(self, statement: Insert | Update | Delete, names: Sequence[str], engine: Engine) -> None:
        style = "qmark" if engine.dialect.name == "sqlite" else "format"
        compiled = statement.compile(dialect=type(engine.dialect)(paramstyle=style))  # type: ignore[call-arg]
        self._sql = str(compiled)
        # Values go to the driver as they are: of the types that are used here, it knows all.
        self._order = [names.index(name) for name in getattr(compiled, "positiontup", None) or ()]
        self._is_ordered = self._order == list(range(len(names)))

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute it for every row; how many rows of the database that has changed."""
        if not self._is_ordered:
            rows = [tuple([row[place] for place in self._order]) for row in rows]
        return connection.exec_driver_sql(self._sql, list(rows)).rowcount


def bound(names: Sequence[str]) -> dict[str, Any]:
    """A parameter for each column."""
    return {name: bindparam(name) for name in names}


def upsert(table: Table, engine: Engine) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what is done on a conflict, in the words of the database."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)
