"""A process killed at any moment leaves the old checkpoint and no finished run, or both new."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from tests.store import kill_worker

from wasmexec.store import RunStore
from wasmexec.store.database import resolve_url

KILLS = 200
LONGEST_LIFE_RUNS = 3


class Killer:
    """Starts workers and kills them after a few runs and a random part of one more.

    `acknowledged` is the last version of which a worker was told that it is stored.
    """

    def __init__(self, process: subprocess.Popen[str], seed: int) -> None:
        self._process = process
        self._random = random.Random(seed)
        self.acknowledged = 0
        for _ in range(5):
            self._command("warm up")
            started = time.monotonic()
            self._read_until("")
        self._run_seconds = time.monotonic() - started

    def kill_one(self) -> None:
        self._command("start")
        pid = self._read_until("pid")
        for _ in range(self._random.randrange(LONGEST_LIFE_RUNS)):
            started = time.monotonic()
            self._read_until("")
            self._run_seconds += (time.monotonic() - started - self._run_seconds) / 10
        time.sleep(self._random.uniform(0, self._run_seconds * 1.2))
        os.kill(pid, signal.SIGKILL)
        self._read_until("gone")

    def _command(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def _read_until(self, wanted: str) -> int:
        """Read lines up to the wanted word and return its number; "" wants the next acknowledgement."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == wanted:
                return int(number or 0)
            self.acknowledged = int(word)
            if not wanted:
                return 0
        raise AssertionError("the worker ended by itself")


@contextlib.contextmanager
def killing(url: str, mode: str, seed: int) -> Iterator[Killer]:
    script = Path(kill_worker.__file__)
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    with subprocess.Popen(
        [sys.executable, script, url, mode],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        try:
            yield Killer(process, seed)
        finally:
            process.kill()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(resolve_url(url))
    yield engine
    engine.dispose()


def violations(engine: Engine, acknowledged: int) -> list[str]:
    """What is wrong with the database, seen by plain SQL."""
    with engine.connect() as connection:

        def rows(query: str) -> list[tuple[object, ...]]:
            return [tuple(row) for row in connection.execute(text(query))]

        problems = [
            *(f"finished run {run} has no checkpoint" for (run,) in rows(
                "SELECT id FROM wx_runs r WHERE state = 'finished' AND NOT EXISTS (SELECT 1 FROM wx_checkpoints c "
                "WHERE c.run_id = r.id AND c.version = r.checkpoint_version_after AND c.value = r.checkpoint_after)"
            )),
            *(f"version {version} has no finished run" for (version,) in rows(
                "SELECT version FROM wx_checkpoints c WHERE NOT EXISTS (SELECT 1 FROM wx_runs r "
                "WHERE r.id = c.run_id AND r.state = 'finished' AND r.checkpoint_version_after = c.version)"
            )),
            *(f"version {version} has the value {value}" for version, value in rows(
                "SELECT version, value FROM wx_checkpoints WHERE value <> CAST(version AS TEXT)"
            )),
            *(f"finished run {run} lacks its log, output or recording" for (run,) in rows(
                "SELECT id FROM wx_runs r WHERE state = 'finished' AND ("
                "(SELECT count(*) FROM wx_logs l WHERE l.run_id = r.id) <> 1 OR "
                "(SELECT count(*) FROM wx_output o WHERE o.run_id = r.id) <> 1 OR "
                "(SELECT count(*) FROM wx_recordings k WHERE k.run_id = r.id AND is_sealed = 1 AND parts = 1) <> 1 OR "
                "(SELECT count(*) FROM wx_recorded_parts p WHERE p.run_id = r.id) <> 1)"
            )),
            *(f"ended run {run} kept a log or output that was never finished" for (run,) in rows(
                "SELECT id FROM wx_runs r WHERE state = 'abandoned' AND ("
                "EXISTS (SELECT 1 FROM wx_logs l WHERE l.run_id = r.id) OR "
                "EXISTS (SELECT 1 FROM wx_output o WHERE o.run_id = r.id))"
            )),
        ]  # fmt: skip
        (running,) = rows("SELECT count(*) FROM wx_runs WHERE state = 'running'")
        if running[0] not in (0, 1):
            problems.append(f"{running[0]} runs are running")
        found = rows("SELECT checkpoint_version FROM wx_steps")
        version = found[0][0] if found else 0
        if rows("SELECT count(*), max(version) FROM wx_checkpoints") != [(version, version or None)]:
            problems.append(f"the step is at version {version}, the history is not")
        if version not in (acknowledged, acknowledged + 1):
            problems.append(f"version {acknowledged} was acknowledged, the step is at version {version}")
    return problems


@pytest.mark.timeout(1800)
def test_a_killed_run_leaves_all_of_the_old_or_all_of_the_new(url: str, store: RunStore, engine: Engine) -> None:
    in_the_middle = 0
    with killing(url, "whole", seed=1) as killer:
        for number in range(KILLS):
            killer.kill_one()
            assert violations(engine, killer.acknowledged) == [], f"after kill {number + 1}"
            # As the next run would do.
            in_the_middle += len(store.abandon_dead())
            # A commit whose acknowledgement was cut off.
            killer.acknowledged = store.checkpoint(kill_worker.STEP).version
    # Otherwise the moments were not random enough to mean anything.
    assert KILLS / 4 < in_the_middle < KILLS
    assert killer.acknowledged > KILLS


def test_positive_control_a_split_transaction_is_found_out(
    url: str, store: RunStore, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    with kill_worker.SplitStore.open(url) as split:
        for _ in range(20):
            kill_worker.advance(split, kill_worker.STEP)
    capfd.readouterr()
    assert violations(engine, 20) == []  # nothing else is wrong with it
    with killing(url, "split", seed=2) as killer:
        for _ in range(KILLS):
            killer.kill_one()
            if problems := violations(engine, killer.acknowledged):
                break
            store.abandon_dead()
            killer.acknowledged = store.checkpoint(kill_worker.STEP).version
    assert any("has no finished run" in problem for problem in problems), problems
