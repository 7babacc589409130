"""Numbers 1, 2, 3, 5, 7 and 11: what HTTP adds, how much a front and a machine can do, how soon they begin."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from tests.bench.measure import percentile
from tests.bench.server.context import SCHEMA, TRIVIAL, Check, Context
from tests.bench.server.load import run, run_body, run_for
from tests.server.live_server import LiveServer, Tenant, wait_until

_BODY = run_body(TRIVIAL, output_schema=SCHEMA)
_ASLEEP = 1000


def what_http_adds(context: Context) -> Iterator[Check]:
    """Number 1."""
    extra, tail = [], []
    with context.server() as server:
        tenant = server.tenant("one")
        for _ in range(3 if context.quick else 7):
            library = context.library_seconds(200)
            over_http = run(run_for(0.6, server.port, tenant.key, _BODY)).times
            extra.append(statistics.median(over_http) - statistics.median(library))
            tail.append(percentile(over_http, 99) - statistics.median(library))
    for name, found, most in (("p50", extra, 0.5), ("p99", tail, 1.5)):
        value = statistics.median(found) * 1e3
        yield Check(
            number="1", what=f"one client: HTTP {name} minus library p50", measured=f"{value:.2f} ms",
            target=f"<= {most} ms", met=value <= most,
        )  # fmt: skip


def what_a_front_can_do(context: Context) -> Iterator[Check]:
    """Number 2: with workers that run nothing."""
    with noop_server(context) as server:
        tenant = server.tenant("many", max_queued=1000)
        os.sched_setaffinity(server.process.pid, {0})
        before = sum(psutil.Process(server.process.pid).cpu_times()[:2])
        found = run(run_for(context.seconds(20), server.port, tenant.key, _BODY, connections=64))
        used = sum(psutil.Process(server.process.pid).cpu_times()[:2]) - before
    rate, worst = found.per_second, percentile(found.times, 99) * 1e3
    yield Check(
        number="2", what="no-op workers, 64 connections, one core: runs a second", measured=f"{rate:,.0f}",
        target=">= 6,000", met=rate >= 6000,
    )  # fmt: skip
    yield Check(number="2", what="  p99", measured=f"{worst:.1f} ms", target="<= 20 ms", met=worst <= 20)
    yield Check(
        number="2", what="  processor time of the front a run", measured=f"{used / len(found.times) * 1e3:.3f} ms",
        target="<= 0.125 ms", met=used / len(found.times) <= 0.000125,
    )  # fmt: skip


def what_a_machine_can_do(context: Context) -> Iterator[Check]:
    """Number 3: real guests on both processors, and what the memory does meanwhile."""
    with context.server() as server:
        tenant = server.tenant("all")
        library = context.library_p50
        minutes = [run(_load(server, tenant, context.seconds(60) if number else 20.0)) for number in (0, 1)]
        first = _resident(server)
        last = run(_load(server, tenant, context.seconds(240)))
        grown = _resident(server) / first - 1
    del minutes
    bound = 0.8 * 2 / (library + 0.0002)
    yield Check(
        number="3", what="real guests, two processors: runs a second", measured=f"{last:,.0f}",
        target=f">= {bound:,.0f}", met=last >= bound,
    )  # fmt: skip
    yield Check(
        number="3", what="  resident memory of all processes after the first minute", measured=f"{grown:+.1%}",
        target="< +5 %", met=grown < 0.05,
    )  # fmt: skip


def many_that_sleep(context: Context) -> Iterator[Check]:
    """Number 5: so many statements asleep, and light load beside them."""
    with context.server(settings="max_queued = 2000") as server:
        tenant, light = server.tenant("asleep", max_queued=2000), server.tenant("light")
        alone = statistics.median(run(run_for(4.0, server.port, light.key, _BODY)).times)
        threads = psutil.Process(server.process.pid).num_threads()
        runs = [tenant.start("await sleep(600)", limits={"wall_seconds": 60}) for _ in range(_ASLEEP)]
        wait_until(lambda: tenant.counts["asleep"] == len(runs), 120)
        beside = statistics.median(run(run_for(4.0, server.port, light.key, _BODY)).times)
        threads = max(threads, psutil.Process(server.process.pid).num_threads())
        for run_id in runs:
            tenant.cancel(run_id)
    ratio = beside / alone
    yield Check(
        number="5", what=f"{_ASLEEP:,} asleep: p50 beside them over alone", measured=f"{ratio:.2f}x", target="<= 1.2x",
        met=ratio <= 1.2,
    )  # fmt: skip
    yield Check(number="5", what="  threads of the front", measured=str(threads), target="<= 4", met=threads <= 4)


def how_soon_it_begins(context: Context) -> Iterator[Check]:
    """Number 7, first half: from nothing to the first result. The image is loaded, as after the first start ever."""
    found = []
    for number in range(3 if context.quick else 7):
        folder = context.folder / f"start-{number}"
        folder.mkdir()
        began = time.monotonic()
        with LiveServer(folder) as server:
            tenant = server.tenant("first")
            assert tenant.run(TRIVIAL).status_code == 200
            found.append(time.monotonic() - began)
    seconds = statistics.median(found)
    yield Check(
        number="7", what="from nothing to the first result", measured=f"{seconds:.2f} s", target="<= 1 s",
        met=seconds <= 1.0,
    )  # fmt: skip


def one_tenant_alone(context: Context) -> Iterator[Check]:
    """Number 11: a tenant that nobody shares the machine with gets all of it."""
    statement = "total = 0\nfor number in range(4_000_000):\n    total += number\nreturn []"
    with context.server() as server:
        tenant = server.tenant("alone")
        body = run_body(statement)
        run(run_for(1.0, server.port, tenant.key, body, connections=8))
        before, began = tenant.usage["cpu_us"], time.monotonic()
        run(run_for(context.seconds(20), server.port, tenant.key, body, connections=8))
        share = (tenant.usage["cpu_us"] - before) / 1e6 / (time.monotonic() - began) / (os.cpu_count() or 1)
    yield Check(
        number="11", what="one tenant alone: of the machine's processor time", measured=f"{share:.1%}",
        target=">= 97 %", met=share >= 0.97,
    )  # fmt: skip


def noop_server(context: Context) -> LiveServer:
    """A server whose workers run nothing."""
    program = [sys.executable, str(Path(__file__).with_name("noop_server.py"))]
    folder = context.folder / f"noop-{time.monotonic_ns()}"
    folder.mkdir()
    return LiveServer(folder, settings="slots = 64", program=program)


async def _load(server: LiveServer, tenant: Tenant, seconds: float) -> float:
    return (await run_for(seconds, server.port, tenant.key, _BODY, connections=8)).per_second


def _resident(server: LiveServer) -> int:
    process = psutil.Process(server.process.pid)
    return sum(item.memory_info().rss for item in (process, *process.children(recursive=True)))
