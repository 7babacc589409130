"""A scheduler with a few tenants, and what tests ask it."""

from __future__ import annotations

from typing import Any

from wasmexec.server.scheduling.scheduler import Scheduler, TenantRules, Waiting


def scheduler(slots: int = 4, tenants: str = "ab", spare: int | None = None, **rules: Any) -> Scheduler:
    made = Scheduler(slots=slots, spare=spare)
    for name in tenants:
        made.set_tenant(name, TenantRules(**rules))
    return made


def submit(made: Scheduler, *runs: str, now: float = 0.0, statement: str = "s", **options: Any) -> None:
    """Runs are named after their tenant: `a1` is one of `a`."""
    for run in runs:
        assert made.submit(run, tenant=run[0], statement=statement, now=now, **options) is None


def started(made: Scheduler, most: int = 1000) -> list[str]:
    found: list[str] = []
    while len(found) < most and (start := made.start_next()) is not None:
        found.append(start.run)
    made.check()
    return found


def learned(made: Scheduler, tenant: str, seconds: float, statement: str = "s") -> None:
    """Have the tenant known for runs that take so long."""
    for number in range(30):
        submit(made, f"{tenant}-{number}", statement=statement)
        assert started(made) == [f"{tenant}-{number}"]
        made.end(f"{tenant}-{number}", seconds)


def waits(made: Scheduler, run: str, now: float = 0.0) -> Waiting:
    answer = made.why_waiting(run, now)
    assert answer is not None
    return answer
