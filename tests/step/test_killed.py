"""A step that is killed at any moment: checkpoint, record, stored rows and output file belong together."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.step.helpers import write_step

from wasmexec.store import RunStore

KILLS = 10


def test_a_killed_run_leaves_all_or_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    statement = """
    start = DATA_CHECKPOINT or 0
    return [{"id": start + number} for number in range(1, 2001)]
    """
    write_step(tmp_path, statement, checkpoint_column="id", processing="bulk")
    environment = {**os.environ, "WASMEXEC_STORE": str(tmp_path / "runs.sqlite3")}
    command = [sys.executable, "-m", "wasmexec", "step", "run", "step.step.yaml", "--output", "out.jsonl"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    started = time.monotonic()
    assert start().wait(60) == 0
    whole = time.monotonic() - started
    chance = random.Random(20261123)
    finished = 1
    for _ in range(KILLS):
        process = start()
        # Most of the time it is still starting; what matters is at the end.
        time.sleep(whole * chance.uniform(0.5, 1.1))
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        with RunStore.open(tmp_path / "runs.sqlite3") as store:
            checkpoint = store.checkpoint("step")
            runs = [run for run in store.runs("step", limit=100).runs if run.state == "finished"]
            rows = [item.row["id"] for run in reversed(runs) for item in store.output(run.run_id)]
        finished = len(runs)
        assert checkpoint.value == finished * 2000
        assert checkpoint.version == finished
        assert rows == list(range(1, finished * 2000 + 1))
        delivered = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        # The file is replaced after the record: at worst it is still that of the run before.
        assert delivered in (rows[-2000:], rows[-4000:-2000])
    assert start().wait(60) == 0
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        assert store.checkpoint("step").value == (finished + 1) * 2000
        assert {run.state for run in store.runs("step", limit=100).runs} <= {"finished", "abandoned"}
