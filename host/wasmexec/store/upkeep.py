"""What people do to a run store by hand: checkpoints set and reset, dead runs ended, old runs deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..errors import ConfigError
from . import checkpoints, codec, runs
from .bounds import StoreBounds
from .database import Database
from .errors import RunStateError, StepNotFoundError
from .reading import StoredRuns
from .records import Checkpoint, JsonValue, RunRecord
from .seals import UNSEALED, Seals
from .tables import NAME_CHARACTERS


class StoreUpkeep(StoredRuns):
    """Changes that do not belong to a run under way."""

    def __init__(self, database: Database, bounds: StoreBounds, seals: Seals = UNSEALED) -> None:
        super().__init__(database, seals)
        self._bounds = bounds

    def set_checkpoint(self, step: str, value: JsonValue, *, expect_version: int | None = None) -> Checkpoint:
        """Store a checkpoint by hand; a run that is under way will lose against it.

        Raises:
            CheckpointConflictError: the present version is not `expect_version`.
            StoreLimitError, ConfigError: the value is too large, or not JSON.
        """
        return self._change(step, value, "set", expect_version)

    def reset_checkpoint(self, step: str, *, expect_version: int | None = None) -> Checkpoint:
        """Make the checkpoint None again, as a new version; raises like `set_checkpoint`."""
        return self._change(step, None, "reset", expect_version)

    def _change(self, step: str, value: JsonValue, cause: Any, expect_version: int | None) -> Checkpoint:
        check_name(step)
        text = codec.to_json(value, "the checkpoint", self._bounds.checkpoint_bytes)
        history = self._bounds.checkpoint_history
        while True:
            with self._database.write() as connection:
                step_id = checkpoints.ensure_step(connection, step, utc_now())
                version = expect_version
                if version is None:
                    version = checkpoints.current(connection, step_id).version
                if checkpoints.swap(
                    connection, step_id, version, text, cause, run_id=None, now=utc_now(), history=history
                ):
                    return checkpoints.current(connection, step_id)
                if expect_version is not None:
                    raise checkpoints.conflict(connection, step_id, expect_version, None)

    def abandon(self, run_id: int, reason: str = "", *, even_if_alive: bool = True) -> RunRecord:
        """End a run by hand that nobody will finish, such as one of a machine that is gone.

        Raises:
            RunNotFoundError, RunStateError: also, without `even_if_alive`, if its process lives on this machine.
        """
        with self._database.write() as connection:
            row = runs.lock_running(connection, run_id)
            if not even_if_alive and runs.is_alive_here(row):
                alive = f"under way in process {row.process_id} of this machine"
                raise RunStateError(run_id, alive, "one whose process is gone")
            runs.abandon(connection, run_id, codec.clean(reason, 1000), utc_now())
            return runs.get(connection, run_id)

    def abandon_dead(self, step: str | None = None) -> list[int]:
        """End the runs (of one step, or all) whose process died on this machine; returns their numbers."""
        with self._database.write() as connection:
            step_id = None if step is None else self._step_id(connection, step)
            return runs.abandon_dead(connection, step_id, utc_now())

    def delete_run(self, run_id: int) -> None:
        """Delete an ended run with all that belongs to it; the checkpoint and its history stay.

        Raises:
            RunNotFoundError, RunStateError
        """
        with self._database.write() as connection:
            runs.delete_run(connection, run_id)

    def delete_step(self, step: str) -> None:
        """Delete all that is stored of a step, its checkpoint included; nothing if nothing is.

        Raises:
            RunStateError: a run of it is under way.
        """
        with self._database.write() as connection:
            step_id = checkpoints.find_step(connection, step)
            if step_id is not None:
                runs.refuse_if_running(connection, step_id)
                runs.prune(connection, step, 0)
                checkpoints.delete_step(connection, step_id)

    def prune(self, step: str, *, keep: int) -> int:
        """Delete the ended runs of a step except the newest `keep`; returns how many. Raises: StepNotFoundError."""
        if keep < 0:
            raise ConfigError(f"prune: keep must not be negative, not {keep}")
        with self._database.write() as connection:
            self._step_id(connection, step)
            return runs.prune(connection, step, keep)

    def _step_id(self, connection: Any, step: str) -> int:
        step_id = checkpoints.find_step(connection, step)
        if step_id is None:
            raise StepNotFoundError(step)
        return step_id


def utc_now() -> datetime:
    return datetime.now(UTC)


def check_name(step: str) -> None:
    if not isinstance(step, str) or not 1 <= len(step) <= NAME_CHARACTERS or not step.isprintable():
        raise ConfigError(f"a step's name is 1 to {NAME_CHARACTERS} printable characters, not {step!r:.200}")
