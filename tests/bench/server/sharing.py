"""Numbers 8 and 9: what tenants get who share a machine."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterator

from tests.bench.measure import percentile
from tests.bench.server.context import SCHEMA, TRIVIAL, Check, Context
from tests.bench.server.load import Connection, run, run_body, run_for
from tests.server.live_server import LiveServer, Tenant, wait_until

_LIGHT = run_body(TRIVIAL, output_schema=SCHEMA)
_TENANTS = 100


def a_noisy_tenant(context: Context) -> Iterator[Check]:
    """Number 8: loops of 30 s in every slot of one tenant, and another one's small runs."""
    with context.server() as server:
        light, heavy = server.tenant("light"), server.tenant("heavy")
        pause = 0.01

        def measure() -> list[float]:
            seconds = context.seconds(20)
            return run(run_for(seconds, server.port, light.key, _LIGHT, pause=lambda: pause)).times

        alone = measure()
        runs = [heavy.start("while True:\n    pass", limits={"cpu_seconds": 30, "wall_seconds": 60}) for _ in range(16)]
        wait_until(lambda: heavy.counts["executing"] >= 2)
        beside = measure()
        for run_id in runs:
            heavy.cancel(run_id)
    for name, percent, bound in (("p50", 50, 0.0), ("p99", 99, 10.0)):
        before, now = percentile(alone, percent) * 1e3, percentile(beside, percent) * 1e3
        most = bound + 2 * before
        yield Check(
            number="8", what=f"beside loops of 30 s in every slot: {name} (alone {before:.1f} ms)",
            measured=f"{now:.1f} ms", target=f"<= {most:.1f} ms", met=now <= most,
        )  # fmt: skip


def many_equal_tenants(context: Context) -> Iterator[Check]:
    """Number 9: so many tenants who always want more, with runs of 1 to 100 ms; then three of other weights."""
    with context.server(settings="max_queued_bytes = 268435456") as server:
        tenants = [server.tenant(f"equal-{number}") for number in range(_TENANTS)]
        # Each has statements of one cost, from 1 to 100 ms.
        costs = [round(4000 * (1 + 99 * number / (_TENANTS - 1))) for number in range(_TENANTS)]
        used = run(_backlogged(server, tenants, costs, context.seconds(120)))
    index = sum(used) ** 2 / (len(used) * sum(one * one for one in used))
    yield Check(
        number="9", what=f"{_TENANTS} equal tenants, runs of 1 to 100 ms: Jain index of their processor time",
        measured=f"{index:.4f}", target=">= 0.98", met=index >= 0.98,
    )  # fmt: skip
    weights = (1, 2, 4)
    with context.server() as server:
        tenants = [server.tenant(f"weight-{weight}", weight=weight) for weight in weights]
        used = run(_backlogged(server, tenants, [40_000] * 3, context.seconds(30), under_way=8))
    shares = [one / weight for one, weight in zip(used, weights, strict=True)]
    worst = max(abs(share / statistics.mean(shares) - 1) for share in shares)
    yield Check(
        number="9", what="weights 1:2:4: furthest from its share", measured=f"{worst:.1%}", target="<= 5 %",
        met=worst <= 0.05,
    )  # fmt: skip


async def _backlogged(
    server: LiveServer, tenants: list[Tenant], loops: list[int], seconds: float, *, under_way: int = 2
) -> list[float]:
    """The processor time that each has got by its usage; each always has so many runs under way."""
    until = time.monotonic() + seconds
    used = [0.0] * len(tenants)

    async def one(number: int) -> None:
        body = run_body(f"total = 0\nfor number in range({loops[number]}):\n    total += number\nreturn []")
        async with _connected(server, tenants[number]) as connection:
            while time.monotonic() < until:
                answer = await connection.ask("POST", "/v1/runs", body)
                assert answer.status == 200, answer.body
                if time.monotonic() < until:
                    used[number] += answer.json()["usage"]["cpu_seconds"]

    await asyncio.gather(*(one(number) for number in range(len(tenants)) for _ in range(under_way)))
    return used


@contextlib.asynccontextmanager
async def _connected(server: LiveServer, tenant: Tenant) -> AsyncIterator[Connection]:
    connection = Connection(server.port, tenant.key)
    await connection.open()
    try:
        yield connection
    finally:
        connection.close()
