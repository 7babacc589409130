"""Recordings go into the run store and come out of it for a replay, each execution of a run by itself."""

from __future__ import annotations

from pathlib import Path

import orjson
from tests.http_caller import private_grant
from tests.servers import WebServer

from wasmexec import Executor, ForExecution, Grants, Recording
from wasmexec.store import RunStore

STATEMENT = """
import httpx, random, time
with httpx.stream("GET", LocalVariable.Server + "/chunks?count=3&size=4&pause=0.01") as response:
    pieces = [{"data": data.hex(), "at": time.time()} for data in response.iter_raw()]
print(len(pieces))
return [{"in": INPUT_DATA, "draw": random.random(), "pieces": pieces}]
"""


def test_a_stored_run_is_replayed_execution_by_execution(executor: Executor, tmp_path: Path) -> None:
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        run = store.begin_run("orders")
        recorder = store.record(run)
        with WebServer() as server:
            results = [
                executor.run(
                    STATEMENT,
                    input_data=[number],
                    local_variables={"Server": server.url("")},
                    grants=Grants(http=[private_grant(server.authority)]),
                    recorder=ForExecution(recorder, number),
                )
                for number in range(3)
            ]
        store.finish(run, status=results[0].status, executions=3)
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        assert store.recording(run.run_id).is_complete
        for number, result in enumerate(results):
            result.raise_for_status()
            recording = Recording.from_parts(
                store.recorded_parts(run.run_id, execution=number),
                store.recorded_exchanges(run.run_id, execution=number),
            )
            again = executor.run(
                recording.statement,
                input_data=recording.inputs[0],
                local_variables=orjson.loads(recording.local_variables),
                replay=recording,
            )
            assert (again.rows, again.logs, again.warnings) == (result.rows, result.logs, [])
            assert again.replay is not None
            assert again.replay.is_identical
    assert len({result.rows[0]["draw"] for result in results}) == 3
