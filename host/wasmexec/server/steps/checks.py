"""`Checks`: documents of steps are read by processes of their own, few at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ...errors import WasmexecError
from ...workers.messages import BadMessage
from ..problems import ProblemError
from .messages import Job, Plan, rooms_for_plan, told
from .process import StepProcess

if TYPE_CHECKING:
    from ..tenants.directory import Tenant
    from .enclosure import StepEnclosure

AT_ONCE: Final = 2
WAITING: Final = 100
SECONDS: Final = 30.0
MOST_TOLD: Final = 20
"""Mistakes in one answer."""


class Checks:
    """One process for each document; of one tenant one after the other, so that the others get their turn."""

    def __init__(self, enclosure: StepEnclosure) -> None:
        self._enclosure = enclosure
        self._room = asyncio.Semaphore(AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting = 0

    async def plan_of(self, tenant: Tenant, name: str, document: bytes) -> Plan:
        """What a document asks for.

        Raises:
            ProblemError: 400: it has mistakes, or takes too long to read; 503: too many are being read.
        """
        if self._waiting >= WAITING:
            raise ProblemError(
                503, "server.checks", f"{WAITING} documents are being read; ask again", value=WAITING,
                changed_by="nobody", headers={"Retry-After": "2"}, retry_after_seconds=2,
            )  # fmt: skip
        self._waiting += 1
        lock = self._locks.setdefault(tenant.name, asyncio.Lock())
        try:
            async with lock, self._room:
                plan = await _read(self._enclosure, name, document)
        finally:
            self._waiting -= 1
        if plan.mistakes:
            first = plan.mistakes[0]
            raise ProblemError(
                400, "step", f"line {first.line}, column {first.column}: {first.message}", changed_by="tenant",
                mistakes=[
                    {"line": item.line, "column": item.column, "message": item.message}
                    for item in plan.mistakes[:MOST_TOLD]
                ],
            )  # fmt: skip
        return plan


async def _read(enclosure: StepEnclosure, name: str, document: bytes) -> Plan:
    try:
        process = StepProcess(enclosure, rooms_for_plan(), Job(name=name, document=document))
    except OSError as error:
        raise WasmexecError(f"no process can be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(SECONDS):
            frame = await process.next()
        if frame is None:
            raise BadMessage("nothing")
        plan: Plan = told(frame.body, Plan)
    except (BadMessage, TimeoutError):
        raise ProblemError(
            400, "step", f"the document could not be read within {SECONDS:g} s and the memory that there is for it",
            changed_by="tenant",
        ) from None  # fmt: skip
    finally:
        await process.close()
    return plan
