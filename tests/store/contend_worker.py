"""Adds 1 to a checkpoint until it has won that often; prints wins and losses: `python contend_worker.py URL WINS`.

It says "ready" first and begins when it is sent a line.
"""

from __future__ import annotations

import sys
import time

from wasmexec import Status
from wasmexec.store import Advance, CheckpointConflictError, RunStore


def main(url: str, wins: int) -> None:
    won = lost = 0
    with RunStore.open(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        while won < wins:
            run = store.begin_run("s")
            # Everybody else gets the chance to begin from the same checkpoint.
            time.sleep(0.002)
            value = run.checkpoint.value or 0
            assert isinstance(value, int)
            try:
                store.finish(run, status=Status.FINISHED, advance=Advance(value + 1))
                won += 1
            except CheckpointConflictError:
                lost += 1
    print(won, lost)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
