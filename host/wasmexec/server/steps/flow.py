"""`Flow`: the executions of one step run, few of which are queued or executing at once among all others of its tenant.

A step of a million rows is a flow of a million executions: each is scheduled by itself, so that the single statements
of other tenants, and of the same one, come in between.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...result import Usage
from ...step.running.row_loop import WINDOW_BYTES
from ...workers.answers import Answer
from ...workers.messages import BadMessage
from ..problems import ProblemError
from ..runs.costs import costs_of
from ..runs.run import Run, cancelled_answer

if TYPE_CHECKING:
    from ...grants import HttpGrant
    from ...limits import Limits
    from ..runs.runs import Runs
    from ..tenants.directory import Tenant

UNTAKEN_BYTES: Final = 16 * 1024**2
"""Answers that the process has not taken: with more of them nothing new starts."""
_END_SECONDS = 4.0
"""Within which executions that are cancelled are gone, their worker with them if need be."""
_LOOK_SECONDS = 0.005
_AGAIN_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOrder:
    """What the executions have in common; `order` is packed, `kind` a hash of the statement."""

    tenant: Tenant
    key_id: str
    order: bytes
    kind: str
    limits: Limits
    http_grants: list[HttpGrant]
    concurrency: int


class Flow:
    """Executions from their arrival to their answer; `answered` is called for each, in the order they end.

    `untaken` tells how many bytes of answers wait to be taken, `share` how many executions may be there at once that do
    not sleep.
    """

    def __init__(
        self,
        runs: Runs,
        order: FlowOrder,
        answered: Callable[[int, Answer], None],
        *,
        untaken: Callable[[], int],
        share: Callable[[], int],
    ) -> None:
        self._runs = runs
        self._order = order
        self._answered = answered
        self._untaken = untaken
        self._share = share
        self._pending: deque[tuple[int, bytes]] = deque()
        self._live: dict[int, Run] = {}
        self._kept = runs.fleet.keep(order.order, order.http_grants)
        self._known: set[int] = set()
        self._held = 0
        self._name = f"flow.{secrets.token_urlsafe(12)}"
        self._again: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._is_cancelled = False
        self.usage = Usage()
        """What its executions have used, what went down with a worker included."""
        self.executions = 0
        self.costs: dict[str, int] = {}
        """What its executions have cost, by the names of `COSTS`: what their tenant was charged."""
        self._has_requested = False
        self.waits_for: ProblemError | None = None
        """Why no more rows start, if that is a rule."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is under way."""
        return not self._live and not self._pending

    @property
    def has_requested(self) -> bool:
        """Whether one of them has sent an HTTP request."""
        return self._has_requested or any(run.has_requested for run in self._live.values())

    @property
    def live(self) -> Iterator[Run]:
        """Its executions that wait or run."""
        return iter(tuple(self._live.values()))

    def add(self, index: int, data: bytes) -> None:
        """Take an execution, which starts when it is its turn.

        Raises:
            BadMessage: it is there already, or there are more than a run may have under way.
        """
        # As much as `RowLoop` has under way at most.
        most = max(2 * self._order.concurrency, 8)
        if index in self._known or len(self._known) >= most:
            raise BadMessage(f"execution {index}, which is there already, or one of too many")
        if self._known and self._held >= WINDOW_BYTES:
            raise BadMessage("inputs of too many bytes at once")
        self._known.add(index)
        self._held += len(data)
        if self._is_cancelled:
            self._settle(index, len(data), cancelled_answer())
            return
        self._pending.append((index, data))
        self._pump()

    def cancel(self) -> None:
        """End everything with status 303; what comes later, too."""
        self._is_cancelled = True
        pending, self._pending = self._pending, deque()
        for index, data in pending:
            self._settle(index, len(data), cancelled_answer())
        for run in self.live:
            self._runs.cancel(run)

    def go_on(self) -> None:
        """Answers have been taken: there may be room."""
        self._pump()

    async def close(self) -> None:
        """Nobody wants an answer any more: return once there is nothing of it left, and all that it cost is known."""
        self._answered = lambda index, answer: None
        self.cancel()
        self._runs.fleet.forget(self._kept)
        if self._again is not None:
            self._again.cancel()
        until = asyncio.get_running_loop().time() + _END_SECONDS
        while self._live and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_SECONDS)

    def _pump(self) -> None:
        """Hand over what there is room for."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._pending and self._has_room():
                index, data = self._pending[0]
                run = self._run(index, data)
                self._live[index] = run
                try:
                    self._runs.submit(run)
                except ProblemError as problem:
                    del self._live[index]
                    self._wait(problem)
                    return
                if self._pending and self._pending[0][0] == index:
                    self._pending.popleft()
                self.waits_for = None
        finally:
            self._is_pumping = False

    def _has_room(self) -> bool:
        """Whether one more may start: a quarter of the slots is free for others at once; those asleep count not."""
        if self._again is not None or len(self._live) >= self._order.concurrency:
            return False
        if self._untaken() > UNTAKEN_BYTES:
            return False
        most = self._share()
        if len(self._live) < most:
            return True
        return sum(not run.is_asleep for run in self._live.values()) < most

    def _wait(self, problem: ProblemError) -> None:
        """A rule lets no more in: try again when that can help."""
        self.waits_for = problem
        known = problem.members.get("retry_after_seconds")
        pause = known if isinstance(known, (int, float)) else _AGAIN_SECONDS
        pause = min(max(pause, _AGAIN_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._again = asyncio.get_running_loop().call_later(pause, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._pump()

    def _run(self, index: int, data: bytes) -> Run:
        order = self._order
        return Run(
            # No client can ask for it by this name, which no route takes.
            id=f"{self._name}.{index}", tenant=order.tenant, key_id=order.key_id, order=b"", kept=self._kept, data=data,
            statement=order.kind, limits=order.limits, has_grants=bool(order.http_grants), is_durable=False,
            created_at=time.time(), on_end=self._ended, on_sleep=self._pump,
        )  # fmt: skip

    def _ended(self, run: Run) -> None:
        index = int(run.id.rpartition(".")[2])
        del self._live[index]
        self._has_requested |= run.has_requested
        answer = run.answer
        assert answer is not None
        self.usage = self.usage.plus(answer.usage).plus(Usage(cpu_seconds=run.lost_cpu_seconds))
        self.executions += 1
        for name, count in costs_of(answer, run.lost_cpu_seconds).items():
            self.costs[name] = self.costs.get(name, 0) + count
        self._settle(index, len(run.data), answer)
        self._pump()

    def _settle(self, index: int, size: int, answer: Answer) -> None:
        self._known.discard(index)
        self._held -= size
        self._answered(index, answer)
