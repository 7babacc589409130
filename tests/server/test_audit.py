"""The audit log: a chain in which every change, deletion, insertion and truncation of a row is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from tests.server.live_server import LiveServer, wait_until
from tests.store.postgres import postgres_server

from wasmexec.cli import main
from wasmexec.errors import ConfigError
from wasmexec.server.storage import audit as audit_module
from wasmexec.server.storage.audit import (
    CUT,
    Anchor,
    AuditRow,
    Verdict,
    _chained,
    audit,
    changes,
    cut,
    verify,
    verify_store,
)  # fmt: skip
from wasmexec.server.storage.tables import audit as table
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


DAYS = 86_400 * 1_000_000


def aged(database: Database, days: int, rows: int) -> None:
    """As many rows more, of so many days ago."""
    with database.write() as connection:
        for number in range(rows):
            audit(connection, Actor("acme", "k1"), "acme", "secret.put", f"s{number}", {})
            # The time is part of the hash.
            last = connection.execute(select(table).order_by(table.c.number.desc()).limit(1)).one()
            row = AuditRow(*last)._replace(at=last.at - days * DAYS)
            before = connection.execute(select(table.c.hash).where(table.c.number == row.number - 1)).scalar()
            changed = {"at": row.at, "hash": _chained(before or bytes(32), row)}
            connection.execute(update(table).where(table.c.number == row.number).values(changed))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with an empty log."""
    with ExitStack() as stack:
        place: str | Path = tmp_path / "empty.sqlite3"
        if request.param == "postgresql":
            place = stack.enter_context(postgres_server()).new_database()
        database = Database(resolve_url(place), busy_timeout_seconds=5, create=True)
        with database.write() as connection:
            metadata.create_all(connection)
        yield database
        database.close()


def do_cut(database: Database, days: float) -> bool:
    with database.write() as connection:
        return cut(connection, days * 86_400)


def judged(database: Database, anchor: Anchor | None = None) -> Verdict:
    with database.read() as connection:
        return verify(connection, anchor)


def test_old_rows_are_deleted_and_what_is_left_is_still_proved(empty: Database) -> None:
    assert do_cut(empty, 1) is False
    aged(empty, 100, 10)
    old = judged(empty).anchor
    aged(empty, 50, 10)
    middle = judged(empty).anchor
    aged(empty, 0, 5)
    # Nothing is old enough, or so little that it can wait for a day.
    for days in (101, 99.5):
        assert do_cut(empty, days) is False
        assert judged(empty) == Verdict(judged(empty).anchor, cut=0)
    assert do_cut(empty, 90) is False
    found = judged(empty)
    assert (found.cut, found.anchor.rows, found.broken) == (10, 26, None)
    assert judged(empty, old) == found
    assert judged(empty, middle) == found
    with empty.read() as connection:
        told = connection.execute(select(table).order_by(table.c.number.desc()).limit(1)).one()
    assert (told.tenant, told.by, told.action) == ("operator", "server", CUT)
    assert json.loads(told.detail) == {"rows": 10, "hash": old.hash.hex()}
    # Again, with the row of the first time left; what comes then is chained as ever.
    assert do_cut(empty, 40) is False
    aged(empty, 0, 3)
    found = judged(empty)
    assert (found.cut, found.anchor.rows, found.broken) == (20, 30, None)
    assert judged(empty, middle) == found
    assert judged(empty, found.anchor) == found
    # SECURITY: an anchor of what is gone proves nothing, and another one of the same number neither.
    for anchor in (old, Anchor(20, bytes(32))):
        assert judged(empty, anchor).broken == 21
        assert "it proves nothing of what is left" in (judged(empty, anchor).why or "")


def test_a_deletion_by_somebody_else_is_found_all_the_same(empty: Database) -> None:
    aged(empty, 100, 10)
    aged(empty, 0, 10)
    do_cut(empty, 90)
    hash_of_12 = next(row.hash for row in rows_of(empty) if row.number == 12)
    whole = judged(empty).anchor
    lie = json.dumps({"rows": 12, "hash": hash_of_12.hex()}, separators=(",", ":"))
    for changes_made, broken in (
        (["DELETE FROM wx_server_audit WHERE number <= 12"], 11),
        (["DELETE FROM wx_server_audit WHERE number = 21"], 1),
        (["DELETE FROM wx_server_audit WHERE number <= 12",
          f"UPDATE wx_server_audit SET detail = '{lie}' WHERE number = 21"], 21),
        (["UPDATE wx_server_audit SET detail = '{}' WHERE number = 21"], 1),
        (["UPDATE wx_server_audit SET action = 'x' WHERE number = 21"], 1),
        (["UPDATE wx_server_audit SET target = 'x' WHERE number = 11"], 11),
    ):  # fmt: skip
        with empty.engine.connect() as connection:
            for change in changes_made:
                assert connection.execute(text(change.replace(":", "\\:"))).rowcount > 0
            assert verify(connection, whole).broken == broken, changes_made
            connection.rollback()
    # Whoever chains all anew is found by the anchor alone.
    assert judged(empty, whole).broken is None


def rows_of(database: Database) -> list[AuditRow]:
    with database.read() as connection:
        return [AuditRow(*row) for row in connection.execute(select(table).order_by(table.c.number))]


def test_a_long_log_is_deleted_in_parts(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "_MOST_CUT", 4)
    aged(empty, 100, 10)
    assert [do_cut(empty, 90) for _ in range(4)] == [True, True, False, False]
    found = judged(empty)
    assert (found.cut, found.anchor.rows, found.broken) == (10, 13, None)


def test_a_server_deletes_what_is_older_than_it_is_told_to_keep(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LiveServer(tmp_path) as server:
        admin = server.admin
        server.ask("POST", "/v1/admin/tenants", admin, {"name": "acme"})
        assert server.terminate() == 0
    database = Database(resolve_url(tmp_path / "store.sqlite3"), busy_timeout_seconds=5, create=False)
    aged(database, 10, 5)
    # Its first rows are older than the server: all are of ten days ago now.
    with database.write() as connection:
        before = bytes(32)
        for found in connection.execute(select(table).order_by(table.c.number)).all():
            row = AuditRow(*found)
            row = row._replace(at=min(row.at, time.time_ns() // 1000 - 10 * DAYS))
            row = row._replace(hash=_chained(before, row))
            connection.execute(update(table).where(table.c.number == row.number).values(at=row.at, hash=row.hash))
            before = row.hash
    count = judged(database).anchor.rows
    with LiveServer(tmp_path, admin=admin, settings="keep_audit_days = 5") as server:
        page = "/v1/admin/audit?limit=200"
        wait_until(lambda: len(server.ask("GET", page, admin).json()["records"]) == 1)
        (record,) = server.ask("GET", page, admin).json()["records"]
        assert (record["action"], record["number"]) == (CUT, count + 1)
        server.ask("POST", "/v1/admin/tenants", admin, {"name": "globex"})
        assert main(["serve", "audit", "verify", "--store", str(tmp_path / "store.sqlite3")]) == 0
        said = f"the audit log is whole from row {count + 1} to {count + 2}; older ones were deleted"
        assert said in capfd.readouterr().err
        assert server.terminate() == 0
    database.close()


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
