"""What is recorded, masked and compared for one execution is its own work: within its limits, cancelled at once, and
no neighbour stands still for it."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
from tests.http_caller import private_grant
from tests.neighbour import MOST_SECONDS, cancel_delay, least_delay, peak_bytes
from tests.servers import WebServer

from wasmexec import Executor, Grants, Limits, MemoryRecorder, Status

MIB = 1024 * 1024
SIZE = 60 * MIB
SECRETS = {
    f"KEY{number}": "".join(random.Random(number).choices(string.ascii_letters + string.digits, k=40))
    for number in range(5)
}
FETCH = """
import httpx
response = httpx.get(LocalVariable.Server)
return [{"size": len(response.content)}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def fetching(server: WebServer, size: int = SIZE, **options: Any) -> dict[str, Any]:
    """The options of a recorded run with one large answer and five secrets."""
    return {
        "local_variables": {"Server": server.url(f"/bytes?size={size}")},
        "grants": Grants(http=[private_grant(server.authority)]),
        "secrets": SECRETS,
        "recorder": MemoryRecorder(),
        **options,
    }


@pytest.mark.timing
def test_masking_a_large_answer_stops_no_neighbour(executor: Executor, server: WebServer) -> None:
    recorded: list[MemoryRecorder] = []
    results: list[Any] = []

    def attack() -> None:
        recorded.append(MemoryRecorder())
        results.append(executor.run(FETCH, **fetching(server, recorder=recorded[-1])))

    found = least_delay(executor, attack)
    assert (results[0].status, results[0].rows) == (Status.FINISHED, [{"size": SIZE}])
    assert len(recorded[0].recording().exchanges[0].response_body) == SIZE
    assert found.runs > 20
    # Seven tenths of a second when the answer was searched as a whole, two hundredths in pieces.
    assert found.added < MOST_SECONDS


@pytest.mark.timing
def test_masking_counts_as_processor_time_and_ends_at_its_limit(executor: Executor, server: WebServer) -> None:
    options = fetching(server)
    result = executor.run(FETCH, **options)
    assert result.status is Status.FINISHED
    plain = executor.run(FETCH, **fetching(server, recorder=None))
    assert result.usage.cpu_seconds > plain.usage.cpu_seconds + 0.3
    limit = plain.usage.cpu_seconds + 0.3
    options = fetching(server, limits=Limits(cpu_seconds=limit))
    result = executor.run(FETCH, **options)
    assert (result.status, result.rows) == (Status.TIMED_OUT, [])
    assert result.usage.cpu_seconds < limit + 0.3
    assert result.warnings == [NOT_RECORDED]
    assert (options["recorder"].parts, options["recorder"].exchanges) == ([], [])


NOT_RECORDED = "there was no time left to record the execution, or to compare it with its recording"


@pytest.mark.timing
def test_masking_is_cancelled_at_once(executor: Executor, server: WebServer) -> None:
    plain = executor.run(FETCH, **fetching(server, recorder=None)).usage.wall_seconds
    for after in (plain + 0.2, plain + 0.5):
        options = fetching(server)
        seconds, result = cancel_delay(executor, FETCH, after, **options)
        assert seconds < 0.25
        assert result.status in (Status.CANCELLED, Status.FINISHED)
        assert bool(options["recorder"].parts) is (result.status is Status.FINISHED)


ROWS = """
key = LocalVariable.KEY0
return [{"number": number, "text": ("%s " % key) + "x" * 1000} for number in range(30_000)]
"""


@pytest.mark.timing
def test_rows_that_hold_a_secret_are_masked_without_stopping_a_neighbour(executor: Executor) -> None:
    recorders: list[MemoryRecorder] = []
    results: list[Any] = []

    def attack() -> None:
        recorders.append(MemoryRecorder())
        results.append(executor.run(ROWS, secrets=SECRETS, recorder=recorders[-1]))

    found = least_delay(executor, attack)
    assert (results[0].status, results[0].warnings) == (Status.FINISHED, [])
    assert results[0].rows[-1]["text"].startswith(SECRETS["KEY0"])
    recorded = recorders[0].recording().rows
    assert recorded is not None
    assert recorded.count(b'"text":"*** xxx') == 30_000
    assert SECRETS["KEY0"].encode() not in recorded
    assert found.added < MOST_SECONDS


def test_recording_takes_memory_for_what_it_keeps() -> None:
    """Rows and an answer of 30 MB, with secrets in them: the recording itself, and some copies while it is made."""
    program = f"""
recorder = wasmexec.MemoryRecorder()
def work():
    result = executor.run({ROWS!r}, secrets={SECRETS!r}, recorder=recorder)
    return [int(result.status), result.usage.output_bytes, len(recorder.recording().rows)]
measured(work)
"""
    used, (status, size, kept) = peak_bytes(program)
    assert status == Status.FINISHED
    assert kept > 30_000_000
    assert used - GUEST_BYTES < 12 * size + 8 * MIB


GUEST_BYTES = 200 * MIB
"""What the guest's own memory may add, which its limit bounds."""

MANY = "return [{'number': number, 'a': 'x' * 20} for number in range(100_000)]"


@pytest.mark.timing
def test_a_replay_of_other_rows_is_compared_within_its_limits(executor: Executor) -> None:
    recorder = MemoryRecorder()
    executor.run(MANY, recorder=recorder).raise_for_status()
    recording = recorder.recording()
    same = executor.run(MANY, replay=recording)
    assert same.replay is not None
    assert same.replay.is_identical
    shifted = MANY.replace("range(100_000)", "range(1, 100_001)")
    results: list[Any] = []
    found = least_delay(executor, lambda: results.append(executor.run(shifted, replay=recording)))
    assert [(item.kind, item.recorded, item.replayed) for item in results[0].replay.rows] == [
        ("missing", 0, None),
        ("added", None, 99_999),
    ]
    assert found.added < MOST_SECONDS
    plain = executor.run(shifted).usage.cpu_seconds
    compared = executor.run(shifted, replay=recording).usage.cpu_seconds
    limit = plain + (compared - plain) / 2
    ended = executor.run(shifted, replay=recording, limits=Limits(cpu_seconds=limit))
    assert (ended.status, ended.replay, ended.rows) == (Status.TIMED_OUT, None, [])
    assert ended.warnings == [NOT_RECORDED]
    assert ended.usage.cpu_seconds < limit + 0.2


def test_what_ended_at_a_limit_is_recorded_all_the_same(executor: Executor) -> None:
    """As long as that takes no time to speak of."""
    recorder = MemoryRecorder()
    result = executor.run("while True: pass", recorder=recorder, limits=Limits(cpu_seconds=0.3), secrets=SECRETS)
    assert (result.status, result.warnings) == (Status.TIMED_OUT, [])
    assert recorder.recording().ending == "cpu"
