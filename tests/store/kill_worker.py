"""Advances checkpoints as fast as it can, to be killed: `python kill_worker.py URL whole|split`.

For each "start" it reads, it forks a child and prints its number; the child prints every version that `finish` has
acknowledged. "gone" says that the child has ended. A fork of a process that has imported everything starts in a
millisecond.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import psycopg  # noqa: F401 - imported once, not in every child
from sqlalchemy import Connection

from wasmexec import LogRecord, Status
from wasmexec.store import Advance, RunHandle, RunRecord, runs
from wasmexec.store.run_store import RunStore

STEP = "killed"


class SplitStore(RunStore):
    """What `finish` must not be: the checkpoint is committed first, the run's record afterwards."""

    def finish(self, run: RunHandle, *, advance: Advance | None = None, **values: Any) -> RunRecord:
        with self._database.write() as connection:
            found = runs.lock_running(connection, run.run_id)
            super()._advance(connection, found, str(run.checkpoint.version + 1))
        return super().finish(run, advance=advance, **values)

    def _advance(self, connection: Connection, run: Any, value: str) -> dict[str, Any]:
        return {"checkpoint_version_after": run.checkpoint_version_before + 1, "checkpoint_after": value}


def advance(store: RunStore, step: str) -> None:
    """One run: one checkpoint (its own version), one log line, one row and one recorded part."""
    run = store.begin_run(step)
    version = run.checkpoint.version + 1
    store.record(run).add("input", b"some input")
    store.append_output(run, [{"version": version}])
    log = LogRecord(0.0, "info", f"version {version}")
    store.finish(run, status=Status.FINISHED, rows_out=1, logs=[log], advance=Advance(version))
    os.write(1, b"%d\n" % version)


def main(url: str, kind: type[RunStore]) -> None:
    store = kind.open(url)
    for line in sys.stdin:
        # A child starts with what the parent has learnt, but with connections of its own.
        if line == "warm up\n":
            advance(store, STEP)
            store.close()
            continue
        child = os.fork()
        while child == 0:
            advance(store, STEP)
        os.write(1, b"pid %d\n" % child)
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1], SplitStore if sys.argv[2] == "split" else RunStore)
