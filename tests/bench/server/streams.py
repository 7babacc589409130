"""Number 6: many readers of one run; and what a log costs its run."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import Any

import psutil
from tests.bench.server.context import Check, Context
from tests.server.readers import events_of, read_by_many

_READERS = 1000
_MIB = 1024 * 1024


def many_readers(context: Context) -> Iterator[Check]:
    """Each of a thousand open readers gets every line, in order."""
    lines = 100 if context.quick else 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * _READERS)), hard))
    with context.server() as server:
        tenant = server.tenant("crowd", max_streams=_READERS)
        statement = (
            f"await sleep(3)\nfor number in range({lines}):\n    log.info(f'line {{number}}')\n    await sleep(0.01)"
        )
        run_id = tenant.start(statement + "\nreturn []")
        front = psutil.Process(server.process.pid)
        memory, used, began = front.memory_info().rss, _cpu_seconds(front.cpu_times()), time.perf_counter()
        texts = read_by_many(tenant, f"/v1/runs/{run_id}/events", _READERS)
        seconds, used = time.perf_counter() - began, _cpu_seconds(front.cpu_times()) - used
        grown = (front.memory_info().rss - memory) / _MIB
    wanted = [f"line {number}" for number in range(lines)]
    found = ([event.data["message"] for event in events_of(text) if event.name == "log"] for text in texts)
    good = sum(messages == wanted for messages in found)
    yield Check(
        number="6", what=f"readers of one run that had each of {lines} lines in order, in {seconds:.1f} s",
        measured=f"{good:,}", target=f"{_READERS:,}", met=good == _READERS,
    )  # fmt: skip
    cost = used / (lines * _READERS) * 1e6
    yield Check(
        number="6", what=f"  processor time of the front for a line to a reader; memory +{grown:.0f} MiB",
        measured=f"{cost:.1f} us", target="<= 50 us", met=cost <= 50,
    )  # fmt: skip


def _cpu_seconds(times: Any) -> float:
    return float(times.user + times.system)
