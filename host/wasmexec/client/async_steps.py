"""`AsyncSteps`: the same as `Steps` for a program with an event loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack

from . import step_operations as operations
from .calls import Call
from .step_operations import StepDocument, StepRunOptions
from .wire import Pauses

if TYPE_CHECKING:
    from ..server.api.step_runs import FailedRows, LogLines, StepRunList
    from ..server.api.steps import CheckpointDocument, StepList
    from ..server.steps.documents import StepRunDocument

T = TypeVar("T")


class AsyncAsk(Protocol):
    """Has a client ask something."""

    async def __call__(self, call: Call[T]) -> T: ...


class AsyncSteps:
    """The steps of a tenant, as `client.steps`: each with its versions, its checkpoint and its runs.

    `if_version` changes something only if that is its present version, 0 if there is none yet; else it is a `Conflict`.
    """

    def __init__(self, ask: AsyncAsk) -> None:
        self._ask = ask

    async def all(self) -> StepList:
        """The steps by name, with their present versions."""
        return await self._ask(operations.get_steps())

    async def get(self, name: str, version: int | None = None) -> StepDocument:
        """A version of a step, or the present one, which also tells those that are kept."""
        return await self._ask(operations.get_step(name, version))

    async def put(self, name: str, document: dict[str, Any], *, if_version: int | None = None) -> StepDocument:
        """Make a step, or a new version if its document is another: the keys of a step file, such as `statement`."""
        return await self._ask(operations.put_step(name, document, if_version))

    async def delete(self, name: str, *, if_version: int | None = None) -> None:
        """Delete a step that has no runs under way, with its versions, its checkpoint and its runs."""
        return await self._ask(operations.delete_step(name, if_version))

    async def checkpoint(self, name: str) -> CheckpointDocument:
        """What the next run sees as DATA_CHECKPOINT."""
        return await self._ask(operations.get_checkpoint(name))

    async def set_checkpoint(self, name: str, value: Any, *, if_version: int | None = None) -> CheckpointDocument:
        """Set it to any JSON value; a run that is under way loses against it."""
        return await self._ask(operations.put_checkpoint(name, value, if_version))

    async def reset_checkpoint(self, name: str, *, if_version: int | None = None) -> CheckpointDocument:
        """Set it to null, as a new version."""
        return await self._ask(operations.delete_checkpoint(name, if_version))

    async def start(
        self, name: str, input_data: Any = None, *, idempotency_key: str | None = None,
        **options: Unpack[StepRunOptions],
    ) -> StepRunDocument:  # fmt: skip
        """Have a step run on rows, by itself or row by row as it says; returns once that is on disk.

        It runs once, however often the client has to ask: without an `idempotency_key` the client makes one.
        """
        key = idempotency_key or secrets.token_urlsafe(18)
        return await self._ask(operations.post_step_run(name, input_data, options, idempotency_key=key))

    async def runs(self, name: str, *, limit: int = 50, cursor: str | None = None) -> StepRunList:
        """A page of the runs of a step, newest first."""
        return await self._ask(operations.get_step_runs(name, limit, cursor))

    async def run(self, name: str, run_id: str) -> StepRunDocument:
        """How a run is: its state, its counts, its error."""
        return await self._ask(operations.get_step_run(name, run_id))

    async def watch(self, name: str, run_id: str, *, timeout_seconds: float) -> AsyncIterator[StepRunDocument]:
        """A run as it is now, and again whenever that has changed, to its end; looked at once a second at the latest.

        Raises:
            AnswerOverdue: it has not ended within this time; it goes on.
        """
        pauses, last = Pauses(timeout_seconds), None
        while True:
            run = await self.run(name, run_id)
            if run != last:
                yield run
            if run.state == "ended":
                return
            last = run
            await asyncio.sleep(pauses.next(run_id))

    async def wait(self, name: str, run_id: str, *, timeout_seconds: float) -> StepRunDocument:
        """A run once it has ended.

        Raises:
            AnswerOverdue: it has not within this time; it goes on.
        """
        pauses = Pauses(timeout_seconds)
        while (run := await self.run(name, run_id)).state != "ended":
            await asyncio.sleep(pauses.next(run_id))
        return run

    async def rows(self, name: str, run_id: str) -> list[dict[str, Any]]:
        """The rows that a run has delivered."""
        return await self._ask(operations.get_step_rows(name, run_id))

    async def logs(self, name: str, run_id: str, *, after: int = 0, limit: int = 1000) -> LogLines:
        """The log of a run so far, from behind a line; `row` is the number of the input row."""
        return await self._ask(operations.get_step_logs(name, run_id, after, limit))

    async def errors(self, name: str, run_id: str, *, after: int = 0, limit: int = 1000) -> FailedRows:
        """The input rows of a run that failed, from behind one, with their errors."""
        return await self._ask(operations.get_step_errors(name, run_id, after, limit))

    async def cancel(self, name: str, run_id: str) -> StepRunDocument:
        """End a run with status 303; one that has ended stays as it is."""
        return await self._ask(operations.cancel_step_run(name, run_id))
