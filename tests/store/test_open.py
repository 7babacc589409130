"""Opening: URLs, whose database it is, versions, many openers at once, broken connections."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.store.postgres import PostgresServer

from wasmexec import ConfigError, Status
from wasmexec.store import (
    Advance,
    CheckpointConflictError,
    RunStore,
    StoreBusyError,
    StoreError,
    StoreLostError,
    StoreOpenError,
    StoreVersionError,
)
from wasmexec.store.database import resolve_url
from wasmexec.store.migrate import REVISIONS


def run_python(code: str, *arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


def test_importing_is_cheap_until_a_store_is_opened() -> None:
    code = (
        "import sys, wasmexec\nassert 'wasmexec.store' not in sys.modules\nimport wasmexec.store\n"
        "print('sqlalchemy' in sys.modules)\nwasmexec.store.RunStore\n"
        "print('sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    )
    assert run_python(code).split() == ["False", "True", "False"]


def test_a_store_that_is_up_to_date_opens_without_alembic(url: str, store: RunStore) -> None:
    code = (
        "import sys\nfrom wasmexec.store import RunStore\nRunStore.open(sys.argv[1])\nprint('alembic' in sys.modules)"
    )
    assert run_python(code, url).split() == ["False"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "run store: expected a file or a URL; a store in memory would be lost with the process"),
        (":memory:", "run store: expected a file or a URL; a store in memory would be lost with the process"),
        ("sqlite://", "run store: sqlite needs a file: sqlite:///FILE"),
        ("sqlite:///:memory:", "run store: sqlite needs a file: sqlite:///FILE"),
        ("sqlite:///file:x?mode=memory&uri=true", "run store: sqlite needs a file: sqlite:///FILE"),
        (
            "mysql://user:secret@host/db",
            "run store: 'mysql' is not supported; use sqlite:///FILE or postgresql+psycopg://…",
        ),
        (
            "postgresql+psycopg2://user:secret@host/db",
            "run store: 'postgresql+psycopg2' is not supported; use sqlite:///FILE or postgresql+psycopg://…",
        ),
        (
            "postgresql://user:secret@host:port/db",
            "run store: the URL cannot be read; expected sqlite:///FILE or postgresql://…",
        ),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunStore.open(url)
    assert caught.value.message == message


def test_a_path_a_url_and_the_environment_open_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new folder" / "runs é.sqlite3"
    with RunStore.open(file) as store:
        store.set_checkpoint("s", 1)
        assert resolve_url(store.url).database == str(file)
    monkeypatch.setenv("WASMEXEC_STORE", str(file))
    with RunStore.open() as store:
        assert store.checkpoint("s").value == 1
    monkeypatch.chdir(file.parent)
    with RunStore.open(f"sqlite:///{file.name}") as store:
        assert store.checkpoint("s").value == 1


def test_without_a_name_the_store_is_in_the_users_data_folder(tmp_path: Path) -> None:
    code = "from wasmexec.store import RunStore\nprint(RunStore.open().url)"
    environment = {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "WASMEXEC_STORE": ""}
    assert run_python(code, **environment).strip() == f"sqlite:///{tmp_path}/wasmexec/runs.sqlite3"


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    with RunStore.open(tmp_path / "x.db") as store:
        store.set_checkpoint("s", 1)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_missing_file_is_made_only_if_wanted(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenError, match=rf"^there is no run store at {tmp_path}/x.db$"):
        RunStore.open(tmp_path / "x.db", create=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreOpenError, match=r"cannot be made: File exists$"):
        RunStore.open(Path(__file__) / "x.db")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreOpenError, match=r"this SQLite file holds something else, not a run store$"):
        RunStore.open(other)
    connection = sqlite3.connect(other)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()
    text_file = tmp_path / "text"
    text_file.write_text("just text " * 1000)
    with pytest.raises(StoreOpenError, match=r"^not a run store, or damaged: file is not a database$"):
        RunStore.open(text_file)
    assert text_file.read_text() == "just text " * 1000


def test_a_newer_database_is_refused_and_left_alone(url: str) -> None:
    RunStore.open(url).close()
    engine = create_engine(resolve_url(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE wx_version SET version_num = '9999'"))
    with pytest.raises(StoreVersionError) as caught:
        RunStore.open(url)
    assert (caught.value.found, caught.value.newest_known) == ("9999", REVISIONS[-1])
    assert caught.value.message == (
        f"the run store has revision 9999, and this wasmexec knows revisions up to {REVISIONS[-1]}: "
        "it was written by a newer version; update wasmexec, nothing was changed"
    )
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM wx_version")).scalar() == "9999"
        connection.execute(text(f"UPDATE wx_version SET version_num = '{REVISIONS[-1]}'"))
    engine.dispose()
    RunStore.open(url).close()


OPEN_AND_RUN = """
import sys, time
from wasmexec import Status
from wasmexec.store import Advance, RunStore
import sqlalchemy.dialects.sqlite, psycopg, alembic.command, wasmexec.store.run_store
sys.stdin.readline()
with RunStore.open(sys.argv[1]) as store:
    store.finish(store.begin_run(sys.argv[2]), status=Status.FINISHED, advance=Advance(1))
"""


def test_many_processes_open_a_new_database_at_once(url: str) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", OPEN_AND_RUN, url, f"step {number}"], stdin=subprocess.PIPE, text=True)
        for number in range(5)
    ]
    time.sleep(1)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.close()
    assert [worker.wait(120) for worker in workers] == [0] * len(workers)
    with RunStore.open(url) as store:
        assert [step.checkpoint.value for step in store.steps()] == [1] * len(workers)


def test_many_threads_open_a_new_database_at_once(url: str) -> None:
    failures: list[BaseException] = []

    def open_one() -> None:
        try:
            with RunStore.open(url) as store:
                store.finish(store.begin_run("s"), status=Status.FINISHED)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with RunStore.open(url) as store:
        assert len(store.runs("s").runs) == 6


FORK_AND_OPEN = """
import os, sys, time
from wasmexec.store import RunStore
import sqlalchemy.dialects.sqlite, psycopg, alembic.command, wasmexec.store.run_store
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        RunStore.open(line.strip()).close()
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_a_process_killed_while_it_makes_the_tables_does_no_harm(
    tmp_path: Path, request: pytest.FixtureRequest, url: str
) -> None:
    server: PostgresServer | None = request.getfixturevalue("postgres") if url.startswith("postgresql") else None
    chance = random.Random(3)
    killed = complete = 0
    with subprocess.Popen(
        [sys.executable, "-c", FORK_AND_OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as zygote:
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        whole = 0.3
        for number in range(25):
            fresh = server.new_database() if server else f"sqlite:///{tmp_path / f'{number}.db'}"
            started = time.monotonic()
            zygote.stdin.write(f"{fresh}\n")
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            if number > 2:
                time.sleep(chance.uniform(0, whole * 1.1))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            status = int(zygote.stdout.readline())
            if number <= 2:
                whole = time.monotonic() - started
            killed += status != 0
            complete += status == 0
            with RunStore.open(fresh) as store:
                store.finish(store.begin_run("s"), status=Status.FINISHED, advance=Advance(number))
                assert store.checkpoint("s").value == number
        zygote.stdin.close()
    assert killed >= 8
    assert complete >= 3


def test_a_store_may_be_used_after_a_fork(url: str, store: RunStore) -> None:
    store.set_checkpoint("s", 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.finish(store.begin_run("s"), status=Status.FINISHED, advance=Advance(2))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.checkpoint("s").value == 2
    assert store.set_checkpoint("s", 3).version == 3


def test_waiting_for_others_ends_with_an_error_and_the_next_call_works(url: str, store: RunStore) -> None:
    store.set_checkpoint("s", 1)
    engine = create_engine(resolve_url(url))
    with RunStore.open(url, busy_timeout_seconds=0.2) as impatient:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN")
            connection.execute(text("UPDATE wx_steps SET checkpoint_version = checkpoint_version"))
            assert impatient.checkpoint("s").value == 1  # readers never wait
            with pytest.raises(StoreBusyError, match=r"^others hold the run store: "):
                impatient.set_checkpoint("s", 2)
            connection.rollback()
        assert impatient.set_checkpoint("s", 3).version == 2
    engine.dispose()


def kill_connections(postgres: PostgresServer) -> None:
    with postgres.connect("postgres") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND client_port = -1"
        )


def test_a_connection_that_broke_while_idle_is_replaced(postgres: PostgresServer) -> None:
    with RunStore.open(postgres.new_database()) as store:
        run = store.begin_run("s")
        kill_connections(postgres)
        store.finish(run, status=Status.FINISHED, advance=Advance(1))
        assert store.checkpoint("s").value == 1


class BreaksBeforeCommit(RunStore):
    """Loses its connection in the middle of the first transaction that ends a run."""

    breaks = 1
    postgres: PostgresServer

    def _advance(self, connection, run, value):  # type: ignore[no-untyped-def]
        changes = super()._advance(connection, run, value)
        if self.breaks:
            self.breaks -= 1
            kill_connections(self.postgres)
        return changes


@pytest.mark.parametrize("breaks", [1, 2])
def test_a_connection_that_breaks_before_the_commit_stores_nothing_and_finish_tries_once_more(
    postgres: PostgresServer, breaks: int
) -> None:
    with BreaksBeforeCommit.open(postgres.new_database()) as store:
        store.postgres, store.breaks = postgres, breaks
        run = store.begin_run("s")
        if breaks == 1:
            assert store.finish(run, status=Status.FINISHED, advance=Advance(1)).state == "finished"
        else:
            with pytest.raises(StoreLostError, match=r"^the connection to the run store broke: "):
                store.finish(run, status=Status.FINISHED, advance=Advance(1))
            assert (store.checkpoint("s").version, store.get_run(run.run_id).state) == (0, "running")
            store.finish(run, status=Status.FINISHED, advance=Advance(1))
        assert (store.checkpoint("s").version, store.checkpoint("s").value) == (1, 1)


class BreaksAfterCommit(RunStore):
    """Is told that the connection broke although everything was stored."""

    def _end(self, *arguments):  # type: ignore[no-untyped-def]
        already = self.get_run(arguments[0]).state
        record = super()._end(*arguments)
        if already == "running":
            raise StoreLostError("the connection to the run store broke: after the commit")
        return record


def test_a_connection_that_breaks_after_the_commit_advances_once(url: str) -> None:
    with BreaksAfterCommit.open(url) as store:
        first, second = store.begin_run("s"), store.begin_run("s")
        record = store.finish(first, status=Status.FINISHED, advance=Advance("once"))
        assert (record.state, record.checkpoint_version_after) == ("finished", 1)
        assert store.checkpoint("s").version == 1
        with pytest.raises(CheckpointConflictError) as caught:
            store.finish(second, status=Status.FINISHED, advance=Advance("twice"))
        assert (caught.value.winner_run_id, caught.value.found_version) == (first.run_id, 1)


def test_an_unreachable_server_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenError) as caught:
        RunStore.open(f"postgresql://me:secret@/db?host={tmp_path}")
    assert "connection" in caught.value.message
    assert "secret" not in caught.value.message


def test_the_url_hides_its_password(postgres: PostgresServer) -> None:
    url = postgres.new_database().replace("wasmexec@", "wasmexec:secret@")
    with RunStore.open(url) as store:
        assert "wasmexec:***@" in store.url
        with pytest.raises(StoreError) as caught:
            store.finish(store.begin_run("s"), status=Status.FINISHED, rows_in=2**70)
    assert "secret" not in str(caught.value)
    assert "wx_runs" not in str(caught.value)


def test_without_psycopg_the_message_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['psycopg'] = None\nfrom wasmexec.store import RunStore, StoreOpenError\n"
        "try:\n    RunStore.open('postgresql://h/d')\nexcept StoreOpenError as error:\n    print(error.message)"
    )
    assert run_python(code).strip() == (
        "run store: PostgreSQL needs psycopg, which is not installed: pip install 'wasmexec[postgres]'"
    )
