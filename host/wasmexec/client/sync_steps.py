"""`Steps`: the steps of a tenant."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
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


class Ask(Protocol):
    """Has a client ask something."""

    def __call__(self, call: Call[T]) -> T: ...


class Steps:
    """The steps of a tenant, as `client.steps`: each with its versions, its checkpoint and its runs.

    `if_version` changes something only if that is its present version, 0 if there is none yet; else it is a `Conflict`.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def all(self) -> StepList:
        """The steps by name, with their present versions."""
        return self._ask(operations.get_steps())

    def get(self, name: str, version: int | None = None) -> StepDocument:
        """A version of a step, or the present one, which also tells those that are kept."""
        return self._ask(operations.get_step(name, version))

    def put(self, name: str, document: dict[str, Any], *, if_version: int | None = None) -> StepDocument:
        """Make a step, or a new version if its document is another: the keys of a step file, such as `statement`."""
        return self._ask(operations.put_step(name, document, if_version))

    def delete(self, name: str, *, if_version: int | None = None) -> None:
        """Delete a step that has no runs under way, with its versions, its checkpoint and its runs."""
        return self._ask(operations.delete_step(name, if_version))

    def checkpoint(self, name: str) -> CheckpointDocument:
        """What the next run sees as DATA_CHECKPOINT."""
        return self._ask(operations.get_checkpoint(name))

    def set_checkpoint(self, name: str, value: Any, *, if_version: int | None = None) -> CheckpointDocument:
        """Set it to any JSON value; a run that is under way loses against it."""
        return self._ask(operations.put_checkpoint(name, value, if_version))

    def reset_checkpoint(self, name: str, *, if_version: int | None = None) -> CheckpointDocument:
        """Set it to null, as a new version."""
        return self._ask(operations.delete_checkpoint(name, if_version))

    def start(
        self, name: str, input_data: Any = None, *, idempotency_key: str | None = None,
        **options: Unpack[StepRunOptions],
    ) -> StepRunDocument:  # fmt: skip
        """Have a step run on rows, by itself or row by row as it says; returns once that is on disk.

        It runs once, however often the client has to ask: without an `idempotency_key` the client makes one.
        """
        key = idempotency_key or secrets.token_urlsafe(18)
        return self._ask(operations.post_step_run(name, input_data, options, idempotency_key=key))

    def runs(self, name: str, *, limit: int = 50, cursor: str | None = None) -> StepRunList:
        """A page of the runs of a step, newest first."""
        return self._ask(operations.get_step_runs(name, limit, cursor))

    def run(self, name: str, run_id: str) -> StepRunDocument:
        """How a run is: its state, its counts, its error."""
        return self._ask(operations.get_step_run(name, run_id))

    def watch(self, name: str, run_id: str, *, timeout_seconds: float) -> Iterator[StepRunDocument]:
        """A run as it is now, and again whenever that has changed, to its end; looked at once a second at the latest.

        Raises:
            AnswerOverdue: it has not ended within this time; it goes on.
        """
        pauses, last = Pauses(timeout_seconds), None
        while True:
            run = self.run(name, run_id)
            if run != last:
                yield run
            if run.state == "ended":
                return
            last = run
            time.sleep(pauses.next(run_id))

    def wait(self, name: str, run_id: str, *, timeout_seconds: float) -> StepRunDocument:
        """A run once it has ended.

        Raises:
            AnswerOverdue: it has not within this time; it goes on.
        """
        pauses = Pauses(timeout_seconds)
        while (run := self.run(name, run_id)).state != "ended":
            time.sleep(pauses.next(run_id))
        return run

    def rows(self, name: str, run_id: str) -> list[dict[str, Any]]:
        """The rows that a run has delivered."""
        return self._ask(operations.get_step_rows(name, run_id))

    def logs(self, name: str, run_id: str, *, after: int = 0, limit: int = 1000) -> LogLines:
        """The log of a run so far, from behind a line; `row` is the number of the input row."""
        return self._ask(operations.get_step_logs(name, run_id, after, limit))

    def errors(self, name: str, run_id: str, *, after: int = 0, limit: int = 1000) -> FailedRows:
        """The input rows of a run that failed, from behind one, with their errors."""
        return self._ask(operations.get_step_errors(name, run_id, after, limit))

    def cancel(self, name: str, run_id: str) -> StepRunDocument:
        """End a run with status 303; one that has ended stays as it is."""
        return self._ask(operations.cancel_step_run(name, run_id))
