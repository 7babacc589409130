"""Number 12: a tenant that offers ten times its rate gets its rate, and is told truly when to come again."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.bench.server.context import Check, Context
from tests.bench.server.load import Connection, run, run_body
from tests.server.live_server import LiveServer

PER_SECOND: Final = 100
BURST: Final = 50
OFFERED: Final = 1000
_CONNECTIONS = 40
_SLACK_SECONDS: Final = 0.05
"""What the answer that follows may come later than it could: it has to be asked for, and the server has other work."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal: when it was asked for and answered, and after how long it said that the next is free."""

    asked_at: float
    answered_at: float
    wait: float
    header: float


@dataclass(slots=True)
class Flood:
    """What became of a flood; times are seconds of `time.perf_counter`."""

    seconds: float = 0.0
    accepted: list[tuple[float, float]] = field(default_factory=list)
    """When each was asked for and answered."""
    refused: list[Refused] = field(default_factory=list)

    @property
    def expected(self) -> float:
        """How many were to be accepted."""
        return BURST + PER_SECOND * self.seconds

    @property
    def lies(self) -> list[str]:
        """Refusals whose time to try again was not true: one was accepted earlier, or none when it said."""
        asked = sorted(self.accepted)
        asked_at = [item[0] for item in asked]
        found = []
        for item in self.refused:
            earliest, latest = item.asked_at + item.wait, item.answered_at + item.wait
            behind = bisect.bisect_right(asked_at, item.answered_at)
            if behind < len(asked) and asked[behind][1] < earliest:
                found.append(f"told to wait for {item.wait:.4f} s, but one was accepted before")
            near = asked[max(0, behind - _CONNECTIONS) :]
            if latest < asked_at[-1] and not any(
                a <= latest + _SLACK_SECONDS and b >= earliest for a, b in near[: 4 * _CONNECTIONS]
            ):
                found.append(f"told to wait for {item.wait:.4f} s, but none was accepted then")
            if not item.wait <= item.header < item.wait + 1 + 1e-6:
                found.append(f"Retry-After: {item.header:g}, but {item.wait:.4f} s in the document")
        return found


def flood(server: LiveServer, seconds: float) -> Flood:
    """Offer `OFFERED` runs a second to a tenant that may have `PER_SECOND`, for so long."""
    tenant = server.tenant("floods", requests_per_second=PER_SECOND, requests_burst=BURST)
    return run(_flood(server.port, tenant.key, seconds))


async def _flood(port: int, key: str, seconds: float) -> Flood:
    found, body = Flood(), run_body("return []")
    numbers = iter(range(round(OFFERED * seconds)))
    connections = [Connection(port, key) for _ in range(_CONNECTIONS)]
    for connection in connections:
        await connection.open()
    began = time.perf_counter()

    async def one(connection: Connection) -> None:
        for number in numbers:
            await asyncio.sleep(began + number / OFFERED - time.perf_counter())
            asked_at = time.perf_counter()
            answer = await connection.ask("POST", "/v1/runs", body)
            answered_at = time.perf_counter()
            if answer.status == 200:
                found.accepted.append((asked_at, answered_at))
            else:
                problem = answer.json()
                assert (answer.status, problem["rule"]) == (429, "rate.requests"), answer.body
                wait, header = problem["retry_after_seconds"], float(answer.headers["retry-after"])
                found.refused.append(Refused(asked_at, answered_at, wait, header))

    await asyncio.gather(*(one(connection) for connection in connections))
    found.seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return found


def a_flood(context: Context) -> Iterator[Check]:
    """Number 12."""
    with context.server() as server:
        found = flood(server, context.seconds(60))
    difference = len(found.accepted) / found.expected - 1
    yield Check(
        number="12", what=f"{OFFERED}/s offered for {found.seconds:.0f} s to a rate of {PER_SECOND}/s, burst {BURST}",
        measured=f"{len(found.accepted):,} ({difference:+.1%})", target=f"{found.expected:,.0f} ± 1 %",
        met=abs(difference) <= 0.01,
    )  # fmt: skip
    yield Check(
        number="12", what=f"  of {len(found.refused):,} refusals, those whose time to try again was wrong",
        measured=str(len(found.lies)), target="0", met=not found.lies,
    )  # fmt: skip
