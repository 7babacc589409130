"""What can go wrong with a run store, with typed, picklable fields.

::

    WasmexecError
      StoreError                    the database refused, or is damaged
        StoreOpenError              unreachable, not a run store, driver missing
          StoreVersionError         written by a newer wasmexec
        StoreLostError              the connection broke in the middle
          RunLostError              ... of a run of a step
        StoreBusyError              locked by others for too long
        StoreLimitError             a value that must be kept whole is too large
        CheckpointConflictError     the checkpoint changed since the run began
        RunStateError               the run is not in the state that the call needs
        RunNotFoundError            StepNotFoundError   RecordingNotFoundError
"""

from __future__ import annotations

from ..errors import WasmexecError


class StoreError(WasmexecError):
    """The run store failed; nothing of the call was stored."""


class StoreOpenError(StoreError):
    """The store cannot be opened: unreachable, not a run store, or the driver is missing."""


class StoreVersionError(StoreOpenError):
    """The database was written by a newer wasmexec: `found` is its revision, `newest_known` ours."""

    def __init__(self, found: str, newest_known: str) -> None:
        super().__init__(
            f"the run store has revision {found}, and this wasmexec knows revisions up to {newest_known}: "
            "it was written by a newer version; update wasmexec, nothing was changed"
        )
        self.found = found
        self.newest_known = newest_known


class StoreLostError(StoreError):
    """The database is out of reach, or the connection broke: then whether the last call was stored is not known."""


class RunLostError(StoreLostError):
    """The connection broke while run `run_id` was under way; its rows were not delivered.

    `may_be_stored` is true if it broke when the run was ended: then the record says which it is.
    """

    def __init__(self, reason: str, *, run_id: int, may_be_stored: bool) -> None:
        if may_be_stored:
            lost = (
                f"whether run {run_id} was stored is not known. Once the run store is back, `wasmexec step show "
                f"{run_id}` tells: if it has finished, its rows (--rows) and its checkpoint are there; if not, nothing "
                "is, and the step can be run again"
            )
        else:
            lost = (
                f"run {run_id} is lost: none of its rows were delivered and the checkpoint is as it was. Run the step "
                "again once the run store is back"
            )
        super().__init__(f"{reason}; {lost}")
        self.reason = reason
        self.run_id = run_id
        self.may_be_stored = may_be_stored


class StoreBusyError(StoreError):
    """Others held the database for longer than the busy timeout."""


class StoreLimitError(StoreError):
    """A value that must be kept whole is too large: `what` names it, `limit` and `used` are bytes or counts."""

    def __init__(self, what: str, *, limit: int, used: int) -> None:
        super().__init__(f"{what} is too large for the run store: {used:,}, at most {limit:,}")
        self.what = what
        self.limit = limit
        self.used = used


class CheckpointConflictError(StoreError):
    """The checkpoint of `step` changed in the meantime, so nothing was advanced.

    `run_id` is the run that lost (None for a change by hand), `expected_version` the one it started from,
    `found_version` the present one, made by `winner_run_id` or, if that is None, by hand (`winner_cause`).
    """

    def __init__(
        self,
        step: str,
        *,
        run_id: int | None,
        expected_version: int,
        found_version: int,
        winner_run_id: int | None,
        winner_cause: str,
    ) -> None:
        winner = f"run {winner_run_id}" if winner_run_id is not None else f"hand ({winner_cause})"
        loser = "this change" if run_id is None else f"run {run_id}"
        super().__init__(
            f"the checkpoint of step {step!r} was changed by {winner} in the meantime "
            f"(version {found_version}, {loser} started from {expected_version}); nothing was advanced"
        )
        self.step = step
        self.run_id = run_id
        self.expected_version = expected_version
        self.found_version = found_version
        self.winner_run_id = winner_run_id
        self.winner_cause = winner_cause


class RunStateError(StoreError):
    """Run `run_id` is in state `state`, which the call does not allow."""

    def __init__(self, run_id: int, state: str, wanted: str) -> None:
        super().__init__(f"run {run_id} is {state}, it must be {wanted}")
        self.run_id = run_id
        self.state = state
        self.wanted = wanted


class RunNotFoundError(StoreError):
    """There is no run `run_id`."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class StepNotFoundError(StoreError):
    """No run or checkpoint of a step of this name is stored."""

    def __init__(self, step: str) -> None:
        super().__init__(f"nothing is stored of a step named {step!r}")
        self.step = step


class RecordingNotFoundError(StoreError):
    """Run `run_id` was not recorded."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"run {run_id} was not recorded")
        self.run_id = run_id
