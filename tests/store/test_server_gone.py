"""The database server goes away under a step, in the middle of a run and at its end, and may come back."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.step.helpers import make_step, write_step
from tests.store.postgres import PostgresServer, postgres_server

import wasmexec
from wasmexec import Status
from wasmexec.step import Spool
from wasmexec.store import RunLostError, RunRecord, RunStore, StoreLostError, StoreOpenError

COMMAND = [sys.executable, "-m", "wasmexec", "step"]
NEXT = "return [{'id': (DATA_CHECKPOINT or 0) + 1}]"
LOST = (
    "; run 2 is lost: none of its rows were delivered and the checkpoint is as it was. "
    "Run the step again once the run store is back"
)
UNKNOWN = (
    "; whether run 2 was stored is not known. Once the run store is back, `wasmexec step show 2` tells: if it has "
    "finished, its rows (--rows) and its checkpoint are there; if not, nothing is, and the step can be run again"
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that these tests may stop."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(own_server: PostgresServer) -> Iterator[str]:
    """An empty database of it; whatever happened, the server runs afterwards."""
    yield own_server.new_database()
    own_server.stop()
    own_server.start()


class Rows:
    """Rows with so many log lines each that they go to the store in between; `stop` is called at one of them."""

    def __init__(self, stop: Any) -> None:
        self.stop = stop
        self.given = 0

    def __iter__(self) -> Iterator[dict[str, int]]:
        for number in range(2000):
            if number == 40:
                self.stop()
            self.given += 1
            yield {"id": number}


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
def test_a_server_that_goes_away_in_the_middle_costs_the_run_and_nothing_else(
    tmp_path: Path, executor: wasmexec.Executor, own_server: PostgresServer, url: str, how: signal.Signals
) -> None:
    statement = "for number in range(100):\n    log.info(number)\nreturn INPUT_DATA"
    step = make_step(tmp_path, statement, checkpoint_column="id")
    target = tmp_path / "out.jsonl"
    with RunStore.open(url) as store:
        assert step.run([{"id": 7}], executor=executor, store=store).checkpoint_advanced
        rows = Rows(lambda: own_server.stop(how))
        with pytest.raises(RunLostError, match=r"^the (connection to the )?run store ") as lost:
            step.run(rows, executor=executor, store=store, output=Spool(target, "jsonl"), processes=1)
        assert lost.value.message.endswith(LOST)
        assert (lost.value.run_id, lost.value.may_be_stored) == (2, False)
        assert pickle.loads(pickle.dumps(lost.value)).run_id == 2
        # It ended at once, not at the end of its input.
        assert rows.given < 500
        assert not target.exists()
        with pytest.raises(StoreLostError, match=r"^the run store cannot be reached: "):
            store.checkpoint("step")
        with pytest.raises(StoreOpenError):
            RunStore.open(url)
        own_server.start()
        checkpoint = store.checkpoint("step")
        assert (checkpoint.value, checkpoint.version, store.get_run(2).state) == (7, 1, "running")
        assert next(iter(store.output(1))).row == {"id": 7}
        again = step.run([{"id": 8}], executor=executor, store=store)
        assert (again.status, again.checkpoint, store.checkpoint("step").version) == (200, 8, 2)
        # This process lives, and knows that it gave the run up.
        assert [run.state for run in store.runs("step").runs] == ["finished", "abandoned", "finished"]


class GoesAtTheEnd(RunStore):
    """Its server goes away in the transaction that ends a run: before its commit, or just after."""

    server: PostgresServer
    after_commit = False
    is_armed = False

    def _end(self, *arguments: Any) -> RunRecord:
        record = super()._end(*arguments)
        if self.is_armed and self.after_commit:
            self.is_armed = False
            self.server.stop()
            raise StoreLostError("the connection to the run store broke: as its answer was on the way")
        return record

    def _advance(self, connection: Connection, run: Any, value: str) -> dict[str, Any]:
        changes = super()._advance(connection, run, value)
        if self.is_armed and not self.after_commit:
            self.is_armed = False
            self.server.stop()
        return changes


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_server_that_goes_away_at_the_end_leaves_all_or_nothing_and_the_error_says_how_to_tell(
    tmp_path: Path, executor: wasmexec.Executor, own_server: PostgresServer, url: str, after_commit: bool
) -> None:
    step = make_step(tmp_path, NEXT, checkpoint_column="id", processing="bulk")
    target = tmp_path / "out.jsonl"
    with GoesAtTheEnd.open(url) as store:
        store.server, store.after_commit = own_server, after_commit
        step.run(executor=executor, store=store)
        store.is_armed = True
        with pytest.raises(RunLostError) as lost:
            step.run(executor=executor, store=store, output=Spool(target, "jsonl"))
        assert lost.value.message.endswith(UNKNOWN)
        assert (lost.value.run_id, lost.value.may_be_stored) == (2, True)
        assert not target.exists()
        own_server.start()
        expected = ("finished", 2, 2, [{"id": 2}]) if after_commit else ("running", 1, 1, None)
        run, checkpoint = store.get_run(2), store.checkpoint("step")
        rows = [item.row for item in store.output(2)] if after_commit else None
        assert (run.state, checkpoint.value, checkpoint.version, rows) == expected
        again = step.run(executor=executor, store=store)
        assert (again.status, again.rows) == (Status.FINISHED, [{"id": expected[1] + 1}])
        assert store.checkpoint("step").version == expected[2] + 1
        assert store.get_run(2).state == ("finished" if after_commit else "abandoned")


def test_a_server_that_is_restarted_during_a_run_does_no_harm(
    tmp_path: Path, executor: wasmexec.Executor, own_server: PostgresServer, url: str
) -> None:
    def restart() -> None:
        own_server.stop()
        own_server.start()

    step = make_step(tmp_path, "log.info('x')\nreturn INPUT_DATA", checkpoint_column="id")
    with RunStore.open(url) as store:
        result = step.run(Rows(restart), executor=executor, store=store, processes=1)
        assert (result.status, result.rows_out, result.checkpoint) == (Status.FINISHED, 2000, 1999)
        assert [item.row["id"] for item in store.output(1)] == list(range(2000))
        assert store.checkpoint("step").value == 1999


def test_the_command_says_what_was_lost_and_the_next_run_works(
    tmp_path: Path, own_server: PostgresServer, url: str
) -> None:
    environment = {**os.environ, "WASMEXEC_STORE": url}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip

    write_step(
        tmp_path, f"log.info('here')\nawait sleep(INPUT_DATA)\n{NEXT}", checkpoint_column="id", processing="bulk"
    )
    (tmp_path / "short.json").write_text("0")
    (tmp_path / "long.json").write_text("8")
    assert call("run", "step.step.yaml", "--input", "short.json", "--format", "jsonl").stdout == '{"id":1}\n'
    with subprocess.Popen(
        [*COMMAND, "run", "step.step.yaml", "--input", "long.json"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline().endswith(" here\n")
        own_server.stop()
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (3, "")
    [line] = err.splitlines()
    assert (
        line.startswith("error: the run store cannot be reached: ") or "the connection to the run store broke" in line
    )
    assert line.endswith(LOST)
    unreachable = call("run", "step.step.yaml", "--input", "short.json")
    assert (unreachable.returncode, unreachable.stdout) == (3, "")
    own_server.start()
    assert call("run", "step.step.yaml", "--input", "short.json", "--format", "jsonl").stdout == '{"id":2}\n'
    assert call("show", "2").stdout.count("the run was abandoned: its process died") == 1
