"""`RunStore`: what a step needs of a database. Synchronous, safe for threads and after a fork."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError, WasmexecError
from ..result import LogRecord, Usage
from ..status import Status
from . import _checkpoints, _codec, _logs, _migrate, _output, _recordings, _runs
from ._database import Database, resolve_url
from ._reading import StoredRuns
from ._recordings import Recorder
from ._tables import NAME_CHARACTERS
from .bounds import StoreBounds
from .errors import CheckpointConflictError, StepNotFoundError, StoreLimitError
from .records import (
    Advance,
    Checkpoint,
    JsonValue,
    RowError,
    RunHandle,
    RunRecord,
)


class RunStore(StoredRuns):
    """Opened by `RunStore.open`; every call is one transaction, and what it stores is bounded by `StoreBounds`.

    Text must have its secrets masked before it comes here.
    """

    def __init__(self, database: Database, bounds: StoreBounds) -> None:
        super().__init__(database)
        self._bounds = bounds
        self._recorders: dict[int, Recorder] = {}

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str] | None = None,
        *,
        bounds: StoreBounds | None = None,
        busy_timeout_seconds: float = 30.0,
        create: bool = True,
    ) -> Self:
        """Open a store and bring its tables up to date, whoever else does so at the same time.

        `url` is a file, sqlite:///FILE or postgresql+psycopg://…; None is WASMEXEC_STORE, else a file in the user's
        data folder. With `create` false a missing SQLite file is an error.

        Raises:
            ConfigError: the URL or the timeout.
            StoreOpenError: unreachable, something else's database, or (StoreVersionError) a newer wasmexec's.
            StoreBusyError: others hold it for longer than the timeout.
        """
        if not 0 < busy_timeout_seconds <= 86_400:
            raise ConfigError(f"run store: busy_timeout_seconds must be from 0 to 86,400, not {busy_timeout_seconds}")
        resolved = resolve_url(url)
        database = Database(resolved, busy_timeout_seconds=busy_timeout_seconds, create=create)
        try:
            _migrate.prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database, bounds or StoreBounds())

    @property
    def url(self) -> str:
        """Where it is, the password hidden."""
        return self._database.url

    def close(self) -> None:
        """Close the connections; running runs stay running."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Runs

    def begin_run(
        self,
        step: str,
        *,
        definition: str | None = None,
        processing: str | None = None,
        trigger: str = "api",
        attributes: Mapping[str, JsonValue] | None = None,
        replay_of: int | None = None,
    ) -> RunHandle:
        """Write a running run and read the checkpoint it starts from; runs of dead processes are abandoned.

        `definition` is a text to find again with `definition(record.definition_sha256)`.

        Raises:
            ConfigError: the name, or attributes that are not JSON.
            StoreLimitError: the definition or the attributes are too large.
        """
        _check_name(step)
        values: dict[str, Any] = {
            "processing": None if processing is None else _codec.clean(processing, 40),
            "trigger": _codec.clean(trigger, 40),
            "replay_of": replay_of,
        }
        if attributes:
            values["attributes"] = _codec.to_json(dict(attributes), "attributes", self._bounds.attributes_bytes)
        if definition is not None:
            size = len(definition.encode("utf-8", "surrogatepass"))
            if size > self._bounds.definition_bytes:
                raise StoreLimitError("the definition", limit=self._bounds.definition_bytes, used=size)
        with self._database.write() as connection:
            if definition is not None:
                values["definition_sha256"] = _runs.store_definition(connection, definition)
            return _runs.begin(connection, step, values, _now())

    def append_logs(
        self,
        run: RunHandle,
        records: Iterable[LogRecord | tuple[int, LogRecord]],
        *,
        execution: int | None = None,
    ) -> None:
        """Add log lines, plain (of `execution`) or as (execution, line); what the bounds do not take is counted.

        Raises:
            RunStateError: the run has ended.
        """
        with self._database.write() as connection:
            _logs.append(connection, run.run_id, records, execution, self._bounds)

    def append_row_errors(self, run: RunHandle, errors: Iterable[RowError]) -> None:
        """Add input rows that failed.

        Raises:
            RunStateError: the run has ended.
        """
        with self._database.write() as connection:
            _logs.append_row_errors(connection, run.run_id, errors, self._bounds)

    def append_output(
        self,
        run: RunHandle,
        rows: Sequence[Mapping[str, Any]] | bytes,
        *,
        count: int | None = None,
        source_rows: Sequence[int] | None = None,
    ) -> None:
        """Add accepted rows, or their JSON array and `count`; they can be read once the run has finished with success.

        `source_rows` are the indexes of the input rows they came from, one each.

        Raises:
            ConfigError: not JSON, or the counts do not fit together.
            StoreLimitError: too large; nothing was added.
            RunStateError: the run has ended.
        """
        chunks = _output.encode(rows, count, source_rows, self._bounds)
        if chunks:
            with self._database.write() as connection:
                _output.append(connection, run.run_id, chunks, self._bounds)

    def finish(
        self,
        run: RunHandle,
        *,
        status: Status,
        usage: Usage | None = None,
        error: WasmexecError | None = None,
        rows_in: int = 0,
        rows_out: int = 0,
        rows_failed: int = 0,
        executions: int = 1,
        log_dropped: int = 0,
        warnings: Sequence[str] = (),
        logs: Iterable[LogRecord | tuple[int, LogRecord]] = (),
        local_variables: Mapping[str, JsonValue] | None = None,
        advance: Advance | None = None,
    ) -> RunRecord:
        """End a run: its record, `logs`, its recording's seal and the new checkpoint are one transaction.

        Raises:
            CheckpointConflictError: the checkpoint is no longer the one the run began with. Nothing was advanced, the
                run's record says so (state "conflict", status 303); its rows must not be used.
            RunStateError: the run has ended already.
            StoreLimitError: the checkpoint or the local variables are too large; nothing was stored, the run goes on.
            ConfigError: an advance without success, or values that are not JSON.
        """
        if advance is not None and not status.succeeded:
            raise ConfigError(f"a run with status {int(status)} cannot advance the checkpoint")
        bounds = self._bounds
        values: dict[str, Any] = {
            "status": int(status),
            "status_name": status.name.lower(),
            "usage": _codec.to_json((usage or Usage()).as_dict(), "usage", 65_536),
            "error": None if error is None else self._error(error),
            "rows_in": rows_in,
            "rows_out": rows_out,
            "rows_failed": rows_failed,
            "executions": executions,
            "warnings": self._warnings(warnings),
            "local_variables": None
            if local_variables is None
            else _codec.to_json(dict(local_variables), "local variables", bounds.local_variables_bytes),
        }
        value = None if advance is None else _codec.to_json(advance.value, "the checkpoint", bounds.checkpoint_bytes)
        with contextlib.ExitStack() as held:
            recorder = self._recorders.get(run.run_id)
            if recorder is not None:
                held.enter_context(recorder.lock)
            with self._database.write() as connection:
                found = _runs.lock_running(connection, run.run_id)
                _logs.append(connection, run.run_id, logs, None, bounds)
                if recorder is not None:
                    recorder.store(connection, seal=True)
                if log_dropped:
                    _logs.count_dropped(connection, run.run_id, log_dropped)
                lost = None
                if value is not None:
                    lost = self._advance(connection, run, found.step_id, value, values)
                values["state"] = "finished" if lost is None else "conflict"
                values["ended_at"] = _now()
                _runs.end(connection, run.run_id, values, keeps_output=lost is None and status.succeeded)
                record = _runs.get(connection, run.run_id)
            if recorder is not None:
                recorder.settle(close=True)
        self._recorders.pop(run.run_id, None)
        if lost is not None:
            raise lost
        return record

    def _advance(
        self, connection: Any, run: RunHandle, step_id: int, value: str, values: dict[str, Any]
    ) -> CheckpointConflictError | None:
        """Swap the checkpoint within the transaction of `finish`, or turn `values` into the record of a loser."""
        history = self._bounds.checkpoint_history
        version = _checkpoints.swap(
            connection, step_id, run.checkpoint.version, value, "run", run_id=run.run_id, now=_now(), history=history
        )
        if version is not None:
            values["checkpoint_version_after"] = version
            values["checkpoint_after"] = value
            return None
        lost = _checkpoints.conflict(connection, step_id, run.checkpoint.version, run.run_id)
        values["status"] = int(Status.CANCELLED)
        values["status_name"] = Status.CANCELLED.name.lower()
        values["error"] = self._error(lost)
        return lost

    def abandon(self, run_id: int, reason: str = "") -> RunRecord:
        """End a run by hand that nobody will finish, such as one of a machine that is gone.

        Raises:
            RunNotFoundError, RunStateError
        """
        with self._database.write() as connection:
            _runs.lock_running(connection, run_id)
            _runs.abandon(connection, run_id, _codec.clean(reason, 1000), _now())
            return _runs.get(connection, run_id)

    def abandon_dead(self, step: str | None = None) -> list[int]:
        """End the runs (of one step, or all) whose process died on this machine; returns their numbers."""
        with self._database.write() as connection:
            step_id = None if step is None else self._step_id(connection, step)
            return _runs.abandon_dead(connection, step_id, _now())

    def delete_run(self, run_id: int) -> None:
        """Delete an ended run with all that belongs to it; the checkpoint and its history stay.

        Raises:
            RunNotFoundError, RunStateError
        """
        with self._database.write() as connection:
            _runs.delete_run(connection, run_id)

    def prune(self, step: str, *, keep: int) -> int:
        """Delete the ended runs of a step except the newest `keep`; returns how many. Raises: StepNotFoundError."""
        if keep < 0:
            raise ConfigError(f"prune: keep must not be negative, not {keep}")
        with self._database.write() as connection:
            self._step_id(connection, step)
            return _runs.prune(connection, step, keep)

    # Checkpoints

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
        _check_name(step)
        text = _codec.to_json(value, "the checkpoint", self._bounds.checkpoint_bytes)
        history = self._bounds.checkpoint_history
        while True:
            with self._database.write() as connection:
                step_id = _checkpoints.ensure_step(connection, step, _now())
                version = expect_version
                if version is None:
                    version = _checkpoints.current(connection, step_id).version
                if _checkpoints.swap(
                    connection, step_id, version, text, cause, run_id=None, now=_now(), history=history
                ):
                    return _checkpoints.current(connection, step_id)
                if expect_version is not None:
                    raise _checkpoints.conflict(connection, step_id, expect_version, None)

    # Recordings

    def record(self, run: RunHandle, *, meta: Mapping[str, JsonValue] | None = None) -> Recorder:
        """Start the recording of a running run; `finish` of this store seals it.

        Raises:
            ConfigError: it is being recorded already, or `meta` is not JSON.
            RunStateError: the run has ended.
        """
        with self._database.write() as connection:
            _recordings.start(connection, run.run_id, meta, self._bounds)
        recorder = Recorder(run.run_id, self._bounds, self._database.write)
        self._recorders[run.run_id] = recorder
        return recorder

    # Helpers

    def _error(self, error: WasmexecError) -> str:
        fields = {"type": type(error).__name__, "message": error.message, **error.fields()}
        return _codec.error_json(fields, self._bounds.error_bytes)

    def _warnings(self, warnings: Sequence[str]) -> str | None:
        if not warnings:
            return None
        kept = [_codec.clean(text, self._bounds.warning_bytes) for text in warnings[: self._bounds.warnings]]
        if len(warnings) > len(kept):
            kept[-1] = f"… and {len(warnings) - len(kept) + 1:,} more warnings"
        return _codec.to_json(kept, "warnings", _runs.MAX_ID)

    def _step_id(self, connection: Any, step: str) -> int:
        step_id = _checkpoints.find_step(connection, step)
        if step_id is None:
            raise StepNotFoundError(step)
        return step_id


def _now() -> datetime:
    return datetime.now(UTC)


def _check_name(step: str) -> None:
    if not isinstance(step, str) or not 1 <= len(step) <= NAME_CHARACTERS or not step.isprintable():
        raise ConfigError(f"a step's name is 1 to {NAME_CHARACTERS} printable characters, not {step!r:.200}")
