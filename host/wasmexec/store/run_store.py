"""`RunStore`: what a step needs of a database. Synchronous, safe for threads and after a fork."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from ..errors import ConfigError, WasmexecError
from ..result import LogRecord, Usage
from ..rows.block import RowBlock
from ..status import Status
from . import checkpoints, codec, migrate, output, recordings, runs
from . import logs as log_table
from .bounds import StoreBounds
from .chunks import Chunk, encode_chunks
from .database import Database, resolve_url
from .errors import (
    CheckpointConflictError,
    RunNotFoundError,
    RunStateError,
    StoreError,
    StoreLimitError,
    StoreLostError,
    StoreOpenError,
)
from .recordings import Recorder
from .records import Advance, JsonValue, RowError, RunHandle, RunRecord
from .seals import UNSEALED, Seals
from .upkeep import StoreUpkeep, check_name, utc_now


class RunStore(StoreUpkeep):
    """Opened by `RunStore.open`; every call is one transaction, and what it stores is bounded by `StoreBounds`.

    Text must have its secrets masked before it comes here.
    """

    def __init__(self, database: Database, bounds: StoreBounds, seals: Seals = UNSEALED) -> None:
        super().__init__(database, bounds, seals)
        self._recorders: dict[int, Recorder] = {}
        self._given_up: dict[int, str] = {}

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
            migrate.prepare(database)
        except BaseException as error:
            database.close()
            if isinstance(error, StoreError) and type(error) in (StoreError, StoreLostError):
                raise StoreOpenError(error.message) from error
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
        check_name(step)
        values: dict[str, Any] = {
            "processing": None if processing is None else codec.clean(processing, 40),
            "trigger": codec.clean(trigger, 40),
            "replay_of": replay_of,
        }
        if attributes:
            values["attributes"] = codec.to_json(dict(attributes), "attributes", self._bounds.attributes_bytes)
        if definition is not None:
            size = len(definition.encode("utf-8", "surrogatepass"))
            if size > self._bounds.definition_bytes:
                raise StoreLimitError("the definition", limit=self._bounds.definition_bytes, used=size)
        with self._database.write() as connection:
            if definition is not None:
                values["definition_sha256"] = runs.store_definition(connection, definition)
            given_up = dict(self._given_up)
            for run_id, reason in given_up.items():
                with contextlib.suppress(RunStateError, RunNotFoundError):
                    runs.lock_running(connection, run_id)
                    runs.abandon(connection, run_id, reason, utc_now())
            handle = runs.begin(connection, step, values, utc_now())
        for run_id in given_up:
            self._given_up.pop(run_id, None)
        return handle

    def give_up(self, run: RunHandle, reason: str) -> None:
        """Have the next `begin_run` abandon a run that this process cannot end now, because the store is gone."""
        self._recorders.pop(run.run_id, None)
        self._given_up[run.run_id] = reason

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
        lines = list(records)
        with self._database.write() as connection:
            log_table.append(connection, run.run_id, lines, execution, self._bounds, self._seals)

    def append_row_errors(self, run: RunHandle, errors: Iterable[RowError]) -> None:
        """Add input rows that failed.

        Raises:
            RunStateError: the run has ended.
        """
        found = list(errors)
        with self._database.write() as connection:
            log_table.append_row_errors(connection, run.run_id, found, self._bounds, self._seals)

    def append_output(
        self,
        run: RunHandle,
        rows: Sequence[Mapping[str, Any]] | RowBlock | bytes,
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
        self.append_chunks(run, encode_chunks(rows, count, source_rows, self._bounds))

    def append_chunks(self, run: RunHandle, chunks: list[Chunk]) -> None:
        """Add accepted rows that are compressed already.

        Raises:
            StoreLimitError: the run's rows would be too many; nothing was added.
            RunStateError: the run has ended.
        """
        if chunks:
            with self._database.write() as connection:
                output.append(connection, run.run_id, chunks, self._bounds, self._seals)

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

        When the connection breaks, it looks whether that was stored, and tries once more if not.

        Raises:
            CheckpointConflictError: the checkpoint is no longer the one the run began with. Nothing was advanced, the
                run's record says so (state "conflict", status 303); its rows must not be used.
            RunStateError: the run has ended already.
            StoreLimitError: the checkpoint or the local variables are too large; nothing was stored, the run goes on.
            ConfigError: an advance without success, or values that are not JSON.
            StoreLostError: the connection broke again; call `get_run` to see what was stored.
        """
        if advance is not None and not status.succeeded:
            raise ConfigError(f"a run with status {int(status)} cannot advance the checkpoint")
        bounds = self._bounds
        values: dict[str, Any] = {
            "status": int(status),
            "status_name": status.name.lower(),
            "usage": codec.to_json((usage or Usage()).as_dict(), "usage", 65_536),
            "error": None if error is None else self._error(error),
            "rows_in": rows_in,
            "rows_out": rows_out,
            "rows_failed": rows_failed,
            "executions": executions,
            "warnings": self._warnings(warnings),
            "local_variables": None
            if local_variables is None
            else codec.to_json(dict(local_variables), "local variables", bounds.local_variables_bytes),
        }
        value = None if advance is None else codec.to_json(advance.value, "the checkpoint", bounds.checkpoint_bytes)
        records = list(logs)
        recorder = self._recorders.get(run.run_id)
        with contextlib.nullcontext() if recorder is None else recorder.lock:
            record = self._end_surely(
                run.run_id, lambda: self._end(run.run_id, values, value, records, log_dropped, recorder)
            )
            if recorder is not None:
                recorder.settle(close=True)
        self._recorders.pop(run.run_id, None)
        if record.state == "conflict":
            raise _conflict_of(record)
        return record

    def _end_surely(self, run_id: int, end: Callable[[], RunRecord]) -> RunRecord:
        """Call `end` until it is known to be stored, once, at most twice."""
        try:
            return end()
        except StoreLostError:
            # The connection may have broken after the commit; then a second try finds the run ended.
            with contextlib.suppress(RunStateError):
                return end()
        record = self.get_run(run_id)
        if record.state not in ("finished", "conflict"):
            raise RunStateError(run_id, record.state, "running")
        return record

    def _end(
        self,
        run_id: int,
        values: Mapping[str, Any],
        checkpoint: str | None,
        logs: Sequence[LogRecord | tuple[int, LogRecord]],
        log_dropped: int,
        recorder: Recorder | None,
    ) -> RunRecord:
        with self._database.write() as connection:
            found = runs.lock_running(connection, run_id)
            log_table.append(connection, run_id, logs, None, self._bounds, self._seals)
            if log_dropped:
                log_table.count_dropped(connection, run_id, log_dropped)
            if recorder is not None:
                recorder.store(connection, seal=True)
            ending = {"state": "finished", **values, "ended_at": utc_now()}
            if checkpoint is not None:
                ending |= self._advance(connection, found, checkpoint)
            keeps_output = ending["state"] == "finished" and Status(ending["status"]).succeeded
            runs.end(connection, run_id, ending, keeps_output=keeps_output)
            return runs.get(connection, run_id)

    def _advance(self, connection: Connection, run: Any, value: str) -> dict[str, Any]:
        """Swap the checkpoint in the transaction that ends the run; returns what that makes of the run's row."""
        version = checkpoints.swap(
            connection,
            run.step_id,
            run.checkpoint_version_before,
            value,
            "run",
            run_id=run.id,
            now=utc_now(),
            history=self._bounds.checkpoint_history,
        )
        if version is not None:
            return {"checkpoint_version_after": version, "checkpoint_after": value}
        lost = checkpoints.conflict(connection, run.step_id, run.checkpoint_version_before, run.id)
        status = Status.CANCELLED
        return {
            "state": "conflict",
            "status": int(status),
            "status_name": status.name.lower(),
            "error": self._error(lost),
        }

    # Recordings

    def record(self, run: RunHandle, *, meta: Mapping[str, JsonValue] | None = None) -> Recorder:
        """Start the recording of a running run; `finish` of this store seals it.

        Raises:
            ConfigError: it is being recorded already, or `meta` is not JSON.
            RunStateError: the run has ended.
        """
        with self._database.write() as connection:
            recordings.start(connection, run.run_id, meta, self._bounds)
        recorder = Recorder(run.run_id, self._bounds, self._database.write)
        self._recorders[run.run_id] = recorder
        return recorder

    # Helpers

    def _error(self, error: WasmexecError) -> str:
        fields = {"type": type(error).__name__, "message": error.message, **error.fields()}
        return codec.error_json(fields, self._bounds.error_bytes)

    def _warnings(self, warnings: Sequence[str]) -> str | None:
        if not warnings:
            return None
        kept = [codec.clean(text, self._bounds.warning_bytes) for text in warnings[: self._bounds.warnings]]
        if len(warnings) > len(kept):
            kept[-1] = f"… and {len(warnings) - len(kept) + 1:,} more warnings"
        return codec.to_json(kept, "warnings", runs.MAX_ID)


def _conflict_of(record: RunRecord) -> CheckpointConflictError:
    fields = {name: value for name, value in (record.error or {}).items() if name not in ("type", "message")}
    return CheckpointConflictError(**fields)
