"""The thread that writes: what waits together is one transaction, one that fails harms no other, and what is patient
is kept while the store is away."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, text

from wasmexec.server.storage.owner import Owner
from wasmexec.server.storage.prepared import Prepared, bound
from wasmexec.server.storage.upgrade import upgrade
from wasmexec.server.storage.writer import GATHER_SECONDS, Writer
from wasmexec.store.database import Database, resolve_url, use_write_ahead_log
from wasmexec.store.errors import StoreBusyError, StoreError, StoreLostError


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    database = Database(resolve_url(tmp_path / "store.sqlite3"), busy_timeout_seconds=0.05, create=True)
    owner = Owner(database)
    use_write_ahead_log(database)
    with owner.begin() as connection:
        upgrade(connection)
        owner.take(connection)
        connection.execute(text("CREATE TABLE item (n INTEGER PRIMARY KEY, batch INTEGER)"))
    yield owner
    owner.close()
    database.close()


def new_writer(owner: Owner) -> Writer:
    return Writer(owner, asyncio.get_running_loop(), lambda error: None)


def rows(tmp_path: Path) -> list[int]:
    connection = sqlite3.connect(tmp_path / "store.sqlite3")
    found = [row[0] for row in connection.execute("SELECT n FROM item ORDER BY n")]
    connection.close()
    return found


def adding(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO item (n) VALUES (:n)"), {"n": n})
        return n

    return work


class Items:
    """A kind of row; how many were stored by each call."""

    place = 0

    def __init__(self) -> None:
        self.calls: list[int] = []

    def store(self, connection: Connection, rows: Sequence[int]) -> None:
        self.calls.append(len(rows))
        connection.exec_driver_sql("INSERT INTO item (n) VALUES (?)", [(n,) for n in rows])

    def store_again(self, connection: Connection, row: int) -> None:
        connection.exec_driver_sql("INSERT OR IGNORE INTO item (n) VALUES (?)", (row,))


def test_what_waits_together_is_one_transaction_and_one_that_fails_harms_no_other(owner: Owner, tmp_path: Path) -> None:
    async def use() -> list[int | BaseException]:
        writer = new_writer(owner)
        begun, go_on = threading.Event(), threading.Event()

        def block(connection: Connection) -> int:
            begun.set()
            go_on.wait(10)
            return 0

        first = writer.do(block)
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
        futures = [first, *(writer.do(adding(n)) for n in (1, 2, 2, 3))]
        seen = rows(tmp_path)
        go_on.set()
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert seen == []
        # All of it is on disk before anybody is told.
        assert rows(tmp_path) == [1, 2, 3]
        await writer.close()
        return outcomes

    outcomes = asyncio.run(use())
    assert [outcome for outcome in outcomes if not isinstance(outcome, BaseException)] == [0, 1, 2, 3]
    assert [type(outcome).__name__ for outcome in outcomes if isinstance(outcome, BaseException)] == ["StoreError"]


def test_what_was_put_before_the_end_is_stored_many_rows_at_a_time(owner: Owner, tmp_path: Path) -> None:
    items, told = Items(), []

    async def use() -> None:
        writer = new_writer(owner)
        for n in range(450):
            writer.put(items, n, lambda result, error: told.append(error), is_urgent=False, is_patient=True)
        await writer.close()
        late = writer.do(adding(1000))
        with pytest.raises(StoreLostError):
            await late

    asyncio.run(use())
    assert rows(tmp_path) == list(range(450))
    assert told == [None] * 450
    assert items.calls == [200, 200, 50]


def test_a_row_that_is_stored_already_is_stored_once(owner: Owner, tmp_path: Path) -> None:
    async def use() -> list[Exception | None]:
        writer, told = new_writer(owner), list[Exception | None]()
        await writer.store(Items(), 7)
        for n in (6, 7, 8):
            writer.put(Items(), n, lambda result, error: told.append(error), is_urgent=False, is_patient=True)
        await asyncio.sleep(20 * GATHER_SECONDS)
        await writer.close()
        return told

    assert asyncio.run(use()) == [None] * 3
    assert rows(tmp_path) == [6, 7, 8]


def test_while_the_store_is_away_what_is_patient_is_kept_and_the_rest_fails_at_once(
    owner: Owner, tmp_path: Path
) -> None:
    items, told, back = Items(), list[Any](), list[float]()

    async def use() -> None:
        writer = new_writer(owner)
        writer.when_back(lambda: back.append(writer.away_seconds))
        other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writer.put(items, 1, lambda result, error: told.append(error), is_urgent=True, is_patient=True, size=10_000)
        with pytest.raises(StoreBusyError):
            await writer.do(adding(2))
        assert writer.away_seconds > 0
        for _ in range(2):
            with pytest.raises(StoreLostError):
                await asyncio.wait_for(writer.do(adding(3)), 0.02)
        writer.put(items, 4, lambda result, error: told.append(error), is_urgent=False, is_patient=True)
        assert 10_000 < writer.waiting_bytes < 12_000
        assert told == []
        other.execute("ROLLBACK")
        other.close()
        while writer.away_seconds:
            await asyncio.sleep(0.01)
        await writer.do(adding(5))
        assert writer.waiting_bytes == 0
        await writer.close()

    asyncio.run(use())
    assert rows(tmp_path) == [1, 4, 5]
    assert (told, back) == ([None, None], [0.0])


def test_what_is_urgent_is_synced_and_the_rest_a_second_later_at_most(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def note(connection: Connection) -> None:
        synced.append(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    class Noted(Items):
        def store(self, connection: Connection, rows: Sequence[int]) -> None:
            note(connection)

    # What an idle writer does.
    monkeypatch.setattr(owner, "touch", note)

    async def use() -> None:
        writer, noted = new_writer(owner), Noted()
        writer.put(noted, 1, lambda result, error: None, is_urgent=False, is_patient=True)
        await asyncio.sleep(10 * GATHER_SECONDS)
        await writer.store(noted, 2)
        until = asyncio.get_running_loop().time() + 1.3
        while asyncio.get_running_loop().time() < until:
            writer.put(noted, 3, lambda result, error: None, is_urgent=False, is_patient=True)
            await asyncio.sleep(2 * GATHER_SECONDS)
        await writer.close()

    asyncio.run(use())
    # NORMAL is 1, FULL is 2.
    assert synced[:2] == [1, 2]
    assert set(synced[2:10]) == {1}
    assert 1 <= synced[2:].count(2) <= 3


def test_an_error_of_the_store_is_no_error_of_what_is_told(owner: Owner) -> None:
    async def use() -> None:
        writer = new_writer(owner)
        with pytest.raises(StoreError, match="no such table"):
            await writer.do(lambda connection: connection.execute(text("SELECT * FROM absent")))
        with pytest.raises(ZeroDivisionError):
            await writer.do(lambda connection: 1 // 0)
        assert writer.away_seconds == 0
        await writer.close()

    asyncio.run(use())


@pytest.mark.parametrize("count", [1, 2, 3, 498, 499, 500, 998, 999, 1000, 2345])
def test_rows_that_are_inserted_together_are_each_there_once(owner: Owner, count: int) -> None:
    item = Table("item", MetaData(), Column("n", Integer), Column("batch", Integer))
    with owner.begin() as connection:
        names = ("n", "batch")
        prepared = Prepared(insert(item).values(bound(names)), names, connection.engine)
        assert prepared.execute(connection, [(number, -number) for number in range(count)]) == count
        found = connection.execute(text("SELECT n, batch FROM item ORDER BY n")).all()
    assert [tuple(row) for row in found] == [(number, -number) for number in range(count)]


def test_of_rows_that_are_inserted_together_none_is_there_if_one_cannot_be(owner: Owner, tmp_path: Path) -> None:
    item = Table("item", MetaData(), Column("n", Integer), Column("batch", Integer))

    def insert_all() -> None:
        with owner.begin() as connection:
            names = ("n", "batch")
            prepared = Prepared(insert(item).values(bound(names)), names, connection.engine)
            prepared.execute(connection, [*((number, 0) for number in range(600)), (3, 0)])

    with pytest.raises(StoreError, match="UNIQUE"):
        insert_all()
    assert rows(tmp_path) == []
