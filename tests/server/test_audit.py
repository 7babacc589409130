"""The audit log: a chain in which every change, deletion, insertion and truncation of a row is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.store.postgres import postgres_server

from wasmexec.cli import main
from wasmexec.errors import ConfigError
from wasmexec.server.storage.audit import Anchor, Verdict, audit, changes, verify, verify_store
from wasmexec.server.storage.tables import metadata
from wasmexec.server.tenants.keys import Actor
from wasmexec.store.database import Database, resolve_url

ROWS = 1203
"""More than are read at once."""
COPIED = (
    'INSERT INTO wx_server_audit SELECT {}, at, tenant, "by", actor, action, target, detail, hash '
    "FROM wx_server_audit WHERE number = 700"
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a chain, to be copied."""
    file = tmp_path_factory.mktemp("audit") / "store.sqlite3"
    database = Database(resolve_url(file), busy_timeout_seconds=5, create=True)
    with database.write() as connection:
        metadata.create_all(connection)
        for number in range(ROWS):
            audit(connection, Actor("acme", "k1"), "acme", "secret.put", f"s{number}", {"after": {"version": number}})
    database.close()
    return file


@pytest.fixture
def store(chain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(chain, tmp_path))


@pytest.fixture
def database(store: Path) -> Iterator[Database]:
    database = Database(resolve_url(store), busy_timeout_seconds=5, create=False)
    yield database
    database.close()


def test_a_chain_that_nobody_has_touched_is_whole(chain: Path) -> None:
    verdict = verify_store(str(chain), None)
    assert (verdict.anchor.rows, verdict.broken, verdict.why) == (ROWS, None, None)
    assert verify_store(str(chain), verdict.anchor) == verdict
    assert Anchor.parse(str(verdict.anchor)) == verdict.anchor


def test_the_hash_is_the_documented_one(chain: Path) -> None:
    """Whoever has the rows can follow the chain without us."""
    connection = sqlite3.connect(chain)
    before = bytes(32)
    for *content, found in connection.execute("SELECT * FROM wx_server_audit ORDER BY number"):
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(before + text.encode()).digest() == found
        before = found
    connection.close()


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE wx_server_audit SET at = at + 1 WHERE number = 700", 700),
        ("UPDATE wx_server_audit SET tenant = 'globex' WHERE number = 1", 1),
        ("UPDATE wx_server_audit SET \"by\" = 'operator' WHERE number = 2", 2),
        ("UPDATE wx_server_audit SET actor = 'k2' WHERE number = 1203", 1203),
        ("UPDATE wx_server_audit SET action = 'secret.delete' WHERE number = 700", 700),
        ("UPDATE wx_server_audit SET target = 'x' WHERE number = 500", 500),
        ("UPDATE wx_server_audit SET detail = '{}' WHERE number = 501", 501),
        ("UPDATE wx_server_audit SET hash = zeroblob(32) WHERE number = 700", 700),
        ("UPDATE wx_server_audit SET at = 'never' WHERE number = 9", 9),
        ("DELETE FROM wx_server_audit WHERE number = 700", 700),
        ("DELETE FROM wx_server_audit WHERE number <= 3", 1),
        ("DELETE FROM wx_server_audit WHERE number BETWEEN 400 AND 1200", 400),
        ("UPDATE wx_server_audit SET number = 2000 WHERE number = 700", 700),
        (COPIED.format(1204), 1204),
        (COPIED.format(0), 1),
    ],
)  # fmt: skip
def test_a_row_that_was_changed_taken_out_or_put_in_is_found(database: Database, change: str, broken: int) -> None:
    with database.read() as connection:
        assert verify(connection).broken is None
    with database.write() as connection:
        assert connection.execute(text(change)).rowcount > 0
    with database.read() as connection:
        assert verify(connection).broken == broken


def test_postgresql_finds_the_same() -> None:
    with postgres_server() as server:
        url = server.new_database()
        database = Database(resolve_url(url), busy_timeout_seconds=5, create=True)
        with database.write() as connection:
            metadata.create_all(connection)
            for number in range(1, 21):
                audit(connection, Actor("acme", "k1"), "acme", "secret.put", "é\u2028", {"after": {"version": number}})
        whole = verify_store(url, None).anchor
        assert whole.rows == 20
        assert verify_store(url, whole).broken is None
        for change, broken in (
            ("UPDATE wx_server_audit SET at = at + 1 WHERE number = 7", 7),
            ("UPDATE wx_server_audit SET detail = '{}' WHERE number = 20", 20),
            ("UPDATE wx_server_audit SET hash = decode(repeat('00', 32), 'hex') WHERE number = 7", 7),
            ("DELETE FROM wx_server_audit WHERE number = 7", 7),
            ("DELETE FROM wx_server_audit WHERE number > 15", 16),
            (COPIED.replace("700", "7").format(21), 21),
            (COPIED.replace("700", "7").format(-1), 1),
        ):
            with database.engine.connect() as connection:
                assert connection.execute(text(change)).rowcount > 0
                assert verify(connection, whole).broken == broken, change
                connection.rollback()
        assert verify_store(url, whole).broken is None
        database.close()


def anchor_of(database: Database) -> Verdict:
    with database.read() as connection:
        return verify(connection)


def test_rows_cut_off_at_the_end_are_found_by_an_anchor(database: Database) -> None:
    whole = anchor_of(database).anchor
    with database.write() as connection:
        connection.execute(text("DELETE FROM wx_server_audit WHERE number > 1000"))
    assert anchor_of(database).broken is None
    with database.read() as connection:
        found = verify(connection, whole)
    assert (found.broken, found.why) == (1001, "the anchor has 1,203 rows; the last are missing")


def test_a_chain_made_anew_is_found_by_an_anchor(database: Database) -> None:
    whole = anchor_of(database).anchor
    with database.write() as connection:
        connection.execute(text("DELETE FROM wx_server_audit WHERE number > 1000"))
        for number in range(1000, ROWS + 5):
            audit(connection, Actor("acme", "k1"), "acme", "secret.put", f"s{number}", {})
    assert anchor_of(database).broken is None
    with database.read() as connection:
        found = verify(connection, whole)
    assert (found.broken, found.why) == (ROWS, "it, or a row before it, is not the one of the anchor")


def test_the_command_says_what_is_wrong_and_what_to_keep(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "audit", "verify", "--store", str(store)]) == 0
    said = capfd.readouterr()
    assert "the audit log is whole: 1,203 rows" in said.err
    anchor = said.out.strip()
    assert main(["serve", "audit", "verify", "--store", str(store), "--anchor", anchor]) == 0
    connection = sqlite3.connect(store)
    connection.execute("DELETE FROM wx_server_audit WHERE number = 1203")
    connection.commit()
    connection.close()
    capfd.readouterr()
    assert main(["serve", "audit", "verify", "--store", str(store)]) == 0
    assert main(["serve", "audit", "verify", "--store", str(store), "--anchor", anchor]) == 1
    assert "the audit log is broken at row 1,203: the anchor has 1,203 rows" in capfd.readouterr().err
    assert main(["serve", "audit", "verify", "--store", str(store), "--anchor", "12"]) == 2
    assert main(["serve", "audit", "verify", "--store", str(store) + "x"]) != 0
    assert "there is no run store at" in capfd.readouterr().err
    assert main(["serve", "--store", str(store), "audit", "verify"]) == 2


@pytest.mark.parametrize("wrong", ["", "1", ":", "1:ab", "-1:" + "0" * 64, "x:" + "0" * 64, "1:" + "0" * 63 + "x"])
def test_what_is_no_anchor_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="an anchor is ROWS:HASH"):
        Anchor.parse(wrong)


def test_only_what_differs_is_told() -> None:
    assert changes({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": None}) == {
        "before": {"b": 2, "c": 3}, "after": {"b": 4},
    }  # fmt: skip
