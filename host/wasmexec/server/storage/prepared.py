"""Statements for many rows at once, compiled once for the driver: making one takes longer than executing it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, bindparam
from sqlalchemy.dialects import postgresql, sqlite

_MOST_PARAMETERS: Final = 999
"""Of one statement, as every SQLite takes them."""


class Prepared:
    """One statement; rows are tuples of the values of `names`, in that order."""

    def __init__(self, statement: Insert | Update | Delete, names: Sequence[str], engine: Engine) -> None:
        self._is_sqlite = engine.dialect.name == "sqlite"
        style = "qmark" if self._is_sqlite else "format"
        compiled = statement.compile(dialect=type(engine.dialect)(paramstyle=style))  # type: ignore[call-arg]
        self._sql = str(compiled)
        # Values go to the driver as they are: of the types that are used here, it knows all.
        self._order = [names.index(name) for name in getattr(compiled, "positiontup", None) or ()]
        self._is_ordered = self._order == list(range(len(names)))
        self._together = _together(self._sql, len(names)) if self._is_sqlite and isinstance(statement, Insert) else []

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute it for every row; how many rows of the database that has changed."""
        if not self._is_ordered:
            rows = [tuple([row[place] for place in self._order]) for row in rows]
        if not self._together:
            return connection.exec_driver_sql(self._sql, list(rows)).rowcount
        changed = at = 0
        # The driver's own call: SQLAlchemy's takes longer than all that is done here.
        cursor = connection.connection.cursor()
        for count, sql in self._together:
            while len(rows) - at >= count:
                cursor.execute(sql, list(chain.from_iterable(rows[at : at + count])))
                changed += cursor.rowcount
                at += count
        cursor.close()
        return changed


def _together(sql: str, width: int) -> list[tuple[int, str]]:
    """Statements that insert so many rows at once, the largest number first.

    For each step of a statement SQLite's driver lets go of the interpreter's lock, and has to wait for it afterwards:
    with a row in each, the loop and the thread that writes hinder each other.
    """
    row = f"({', '.join('?' * width)})"
    before, found, after = sql.partition(f"VALUES {row}")
    assert found, sql
    most = (_MOST_PARAMETERS // width).bit_length()
    counts = [2**power for power in reversed(range(most))]
    return [(count, f"{before}VALUES {', '.join([row] * count)}{after}") for count in counts]


def bound(names: Sequence[str]) -> dict[str, Any]:
    """A parameter for each column."""
    return {name: bindparam(name) for name in names}


def upsert(table: Table, engine: Engine) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what is done on a conflict, in the words of the database."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)
