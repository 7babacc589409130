"""The thread that writes: what waits together is one transaction, and one that fails harms no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from wasmexec.server.storage.writer import Writer
from wasmexec.store.database import Database, resolve_url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(resolve_url(tmp_path / "store.sqlite3"), busy_timeout_seconds=5, create=True)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE item (n INTEGER PRIMARY KEY, batch INTEGER)"))
    yield database
    database.close()


def rows(database: Database) -> list[int]:
    with database.read() as connection:
        return [row.n for row in connection.execute(text("SELECT n FROM item ORDER BY n"))]


def adding(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO item (n) VALUES (:n)"), {"n": n})
        return n

    return work


def test_what_waits_together_is_one_transaction_and_one_that_fails_harms_no_other(database: Database) -> None:
    async def use() -> list[int | BaseException]:
        writer = Writer(database, asyncio.get_running_loop())
        begun, go_on = threading.Event(), threading.Event()

        def block(connection: Connection) -> int:
            begun.set()
            go_on.wait(10)
            return 0

        first = writer.put(block)
        begun.wait(10)
        futures = [first, *(writer.put(adding(n)) for n in (1, 2, 2, 3))]
        seen = rows(database)
        go_on.set()
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert seen == []
        # All of it is on disk before anybody is told.
        assert rows(database) == [1, 2, 3]
        writer.close()
        return outcomes

    outcomes = asyncio.run(use())
    assert [outcome for outcome in outcomes if not isinstance(outcome, BaseException)] == [0, 1, 2, 3]
    assert [type(outcome).__name__ for outcome in outcomes if isinstance(outcome, BaseException)] == ["StoreError"]


def test_what_was_put_before_the_end_is_stored(database: Database) -> None:
    async def use() -> None:
        writer = Writer(database, asyncio.get_running_loop())
        for n in range(300):
            writer.put(adding(n))
        writer.close()

    asyncio.run(use())
    assert rows(database) == list(range(300))
