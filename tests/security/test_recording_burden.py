"""What is recorded, masked and compared for one execution is its own work: within its limits, cancelled at once, and
no neighbour stands still for it."""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.http_caller import private_grant
from tests.neighbour import cancel_delay, worst_delay
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
    alone = worst_delay(executor, lambda: executor.run(FETCH, **fetching(server, recorder=None)))
    options = fetching(server)
    results: list[Any] = []
    found = worst_delay(executor, lambda: results.append(executor.run(FETCH, **options)))
    (result,) = results
    print("without a recorder", alone, "with", found, result.usage)
    assert (result.status, result.rows) == (Status.FINISHED, [{"size": SIZE}])
    assert len(options["recorder"].recording().exchanges[0].response_body) == SIZE
    assert found.runs > 20
    assert found.added < 0.06


@pytest.mark.timing
def test_masking_counts_as_processor_time_and_ends_at_its_limit(executor: Executor, server: WebServer) -> None:
    options = fetching(server)
    before = time.process_time()
    result = executor.run(FETCH, **options)
    spent = time.process_time() - before
    print(spent, result.usage)
    assert result.status is Status.FINISHED
    plain = executor.run(FETCH, **fetching(server, recorder=None))
    assert result.usage.cpu_seconds > plain.usage.cpu_seconds + 0.3
    limit = plain.usage.cpu_seconds + 0.3
    options = fetching(server, limits=Limits(cpu_seconds=limit))
    start = time.process_time()
    result = executor.run(FETCH, **options)
    print(time.process_time() - start, result.error, result.warnings)
    assert (result.status, result.rows) == (Status.TIMED_OUT, [])
    assert result.usage.cpu_seconds < limit + 0.3
    assert result.warnings == [NOT_RECORDED]
    assert (options["recorder"].parts, options["recorder"].exchanges) == ([], [])


NOT_RECORDED = "there was no time left to record the execution, or to compare it with its recording"


@pytest.mark.timing
def test_masking_is_cancelled_at_once(executor: Executor, server: WebServer) -> None:
    started = threading.Event()
    plain = executor.run(FETCH, **fetching(server, recorder=None)).usage.wall_seconds
    for after in (plain + 0.2, plain + 0.5):
        options = fetching(server)
        seconds, result = cancel_delay(executor, FETCH, after, **options)
        print(seconds, result.status, result.warnings)
        assert seconds < 0.15
        assert result.status in (Status.CANCELLED, Status.FINISHED)
    assert not started.is_set()
