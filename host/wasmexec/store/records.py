"""What the run store gives back: plain frozen data. Times are aware datetimes in UTC."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal, TypeAlias

from ..recording.exchange import HttpExchange
from ..result import Usage
from ..status import Status
from .errors import StoreError

JsonValue: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
RunState: TypeAlias = Literal["running", "finished", "conflict", "abandoned"]
CheckpointCause: TypeAlias = Literal["never", "run", "set", "reset"]
STATES: tuple[RunState, ...] = ("running", "finished", "conflict", "abandoned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Base of the records: `as_dict` gives JSON-able values."""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name; times in ISO 8601, a status as its number, bytes in Base64."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Usage):
        return value.as_dict()
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Advance:
    """The checkpoint that a successful run stores: any JSON value, None included."""

    value: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Record):
    """One version of a step's checkpoint; version 0 with cause "never" stands for none."""

    step: str
    value: JsonValue = None
    version: int = 0
    cause: CheckpointCause = "never"
    run_id: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPage(Record):
    """Versions, newest first; `next_before_version` asks for the page after it, None at the end."""

    checkpoints: tuple[Checkpoint, ...]
    next_before_version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHandle(Record):
    """A run that has begun: `checkpoint` is what the statement must see and what `finish` checks against."""

    run_id: int
    step: str
    checkpoint: Checkpoint
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(Record):
    """All that is known of one run.

    `state` is "running", "finished" (whatever its status), "conflict" (it lost its checkpoint to another) or
    "abandoned" (its process died); `status` and `status_name` are contract C8's and None while it runs or when it was
    abandoned. `error` is {"type", "message", **fields}. The `…_after` fields are None unless the checkpoint advanced.
    """

    run_id: int
    step: str
    state: RunState
    status: Status | None
    status_name: str | None
    started_at: datetime
    ended_at: datetime | None
    wall_seconds: float | None
    usage: Usage
    error: dict[str, Any] | None
    rows_in: int
    rows_out: int
    rows_failed: int
    executions: int
    log_records: int
    log_dropped: int
    row_errors: int
    row_errors_dropped: int
    warnings: tuple[str, ...]
    checkpoint_version_before: int
    checkpoint_before: JsonValue
    checkpoint_version_after: int | None
    checkpoint_after: JsonValue
    local_variables: dict[str, Any] | None
    processing: str | None
    trigger: str
    attributes: dict[str, Any]
    definition_sha256: str | None
    replay_of: int | None
    has_recording: bool
    output_rows: int
    output_bytes: int
    process: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage(Record):
    """Runs, newest first; `next_before_id` asks for the page after it, None at the end."""

    runs: tuple[RunRecord, ...]
    next_before_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord(Record):
    """A step that was run, or whose checkpoint was set, at least once."""

    name: str
    created_at: datetime
    checkpoint: Checkpoint
    last_run_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog(Record):
    """One log line: `seq` counts from 1 in the run, `time` is seconds since the epoch."""

    seq: int
    time: float
    level: str
    message: str
    execution: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage(Record):
    """Log lines in order; `next_after` asks for the page after it, None at the end."""

    records: tuple[StoredLog, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError(Record):
    """An input row whose execution failed: `row` counts from 0, `error` is {"type", "message", **fields}."""

    row: int
    status: Status
    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowErrorPage(Record):
    """Row errors in the order they were stored; `next_after` asks for the page after it, None at the end."""

    errors: tuple[RowError, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow(Record):
    """One accepted output row and the index of the input row it came from, if that was given."""

    row: dict[str, Any]
    source_row: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording(Record):
    """What is known of a run's recording; an incomplete one cannot be replayed, `incomplete_reason` says why."""

    run_id: int
    is_complete: bool
    incomplete_reason: str
    meta: dict[str, Any]
    parts: int
    payload_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPart(Record):
    """One part of a recording, its payload verified against its hash."""

    seq: int
    kind: str
    execution: int
    meta: dict[str, Any]
    payload: bytes

    def as_exchange(self) -> HttpExchange:
        """What `Recorder.add_exchange` was given, if the kind is "http".

        Raises:
            StoreError: the part is damaged.
        """
        meta = dict(self.meta)
        try:
            split = meta.pop("request_bytes")
            for name in ("request_headers", "response_headers"):
                meta[name] = tuple((header, value) for header, value in meta[name])
            meta["response_chunks"] = tuple(meta["response_chunks"])
            body, response = self.payload[:split], self.payload[split:]
            return HttpExchange(**meta, request_body=body, response_body=response, execution=self.execution)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"part {self.seq} of the recording is damaged: {type(error).__name__}: {error}") from None
