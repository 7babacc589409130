"""Servers on each kind of store: an SQLite file, and a real PostgreSQL that is started when the first test needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.postgres import PostgresServer, postgres_server

STORES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module", params=STORES)
def new_store(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """The `store` of a `LiveServer` in a folder, an empty one."""
    if request.param == "sqlite":
        return lambda folder: "store.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda folder: server.new_database()
