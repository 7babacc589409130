"""What the tests of replays share: statements that are recorded with one server, and run again without it."""

from __future__ import annotations

from typing import Any

import orjson
from tests.guest.test_deterministic import MODULES
from tests.http_caller import private_grant

from wasmexec import Executor, Grants, MemoryRecorder, Recording, ReplayReport, Result

HEAD = MODULES + "import httpx, time\nasyncio = modules['asyncio']\nserver = LocalVariable.Server\n"


def record(
    executor: Executor, statement: str, authority: str = "127.0.0.1:1", **options: Any
) -> tuple[Result, Recording]:
    """Run a statement that may reach one server, and the recording of that."""
    recorder = MemoryRecorder()
    result = executor.run(
        HEAD + statement,
        local_variables={"Server": f"http://{authority}"},
        grants=Grants(http=[private_grant(authority)]),
        recorder=recorder,
        **options,
    )
    assert result.warnings == []
    return result, recorder.recording()


def replay(executor: Executor, recording: Recording, statement: str | None = None, **options: Any) -> Result:
    """Run it again, edited if a statement is given, without any grant."""
    variables = orjson.loads(recording.local_variables)
    statement = recording.statement if statement is None else HEAD + statement
    return executor.run(statement, local_variables=variables, replay=recording, **options)


def report(result: Result) -> ReplayReport:
    """The report of a replay."""
    assert result.replay is not None
    return result.replay


def as_bytes(result: Result) -> bytes:
    """All of a result that must not differ."""
    return orjson.dumps(
        [
            result.status,
            result.rows,
            [[item.time, item.level, item.message] for item in result.logs],
            None if result.error is None else [type(result.error).__name__, result.error.message],
        ]
    )


def check_replays(executor: Executor, result: Result, recording: Recording, **options: Any) -> Result:
    """It must come out the same, three times."""
    for _ in range(3):
        again = replay(executor, recording, **options)
        assert as_bytes(again) == as_bytes(result)
        assert report(again).is_identical, report(again)
        assert report(again).requests == ()
        assert report(again).are_rows_identical
        assert report(again).is_log_identical
    return again
