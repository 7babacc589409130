"""What an execution leaves behind: status, rows, log, error and what it used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from .errors import WasmexecError
from .rows.block import RowBlock
from .status import Status

if TYPE_CHECKING:
    from .replay import ReplayReport

Unserved: TypeAlias = Literal["", "denied", "unanswered"]
LEVELS = ("trace", "debug", "info", "warn", "error")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One message of the log."""

    time: float
    """Seconds since the epoch, of the host's clock; of the execution's own clock if that is seeded or replayed."""
    level: str
    """One of LEVELS."""
    message: str
    """Its text, secrets masked; "" for an empty one. One that was too long ends with ` … [cut: …]`."""

    def as_dict(self) -> dict[str, object]:
        """The record as JSON-able values, its time in ISO 8601 (UTC)."""
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return {"time": moment, "level": self.level, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the execution used; all zero if it never started."""

    wall_seconds: float = 0.0
    """From the moment a worker takes the statement to the end, waiting included; 0.0 if none took it."""
    cpu_seconds: float = 0.0
    """Processor time of the worker thread, what the host does around the guest included; 0.0 if none took it."""
    peak_memory_bytes: int = 0
    """The guest's linear memory at its largest, the image included; 0 if there was no instance."""
    output_bytes: int = 0
    """The accepted rows as JSON text; 0 if they were refused or there are none to refuse."""
    http_requests: int = 0
    """HTTP requests, each redirect hop counted, those that a replay answered too; 0 without any."""
    http_bytes_sent: int = 0
    """Bytes of heads and bodies of requests, over all of them; 0 without any, and in a replay."""
    http_bytes_received: int = 0
    """Bytes of heads and bodies of responses, over all of them; 0 without any, and in a replay."""

    def as_dict(self) -> dict[str, float]:
        """The counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def plus(self, other: Usage) -> Usage:
        """What two executions used together; of the memory what the larger one had."""
        return Usage(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
            output_bytes=self.output_bytes + other.output_bytes,
            http_requests=self.http_requests + other.http_requests,
            http_bytes_sent=self.http_bytes_sent + other.http_bytes_sent,
            http_bytes_received=self.http_bytes_received + other.http_bytes_received,
        )


class _Rows:
    """The field `rows`: given as a list or as a block, read as a list that is made when it is first asked for."""

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...
    @overload
    def __get__(self, instance: Result, owner: type) -> list[dict[str, Any]]: ...
    def __get__(self, instance: Result | None, owner: type) -> list[dict[str, Any]] | None:
        return None if instance is None else instance.block.rows

    def __set__(self, instance: Result, value: list[dict[str, Any]] | RowBlock | None) -> None:
        vars(instance)["_block"] = value if isinstance(value, RowBlock) else RowBlock(value or [])


@dataclass(frozen=True, kw_only=True)
class Result:
    """Outcome of one execution; a failed one is a `Result` too, see `raise_for_status`.

    Many rows are kept as text until somebody asks for `rows`; `block` has both, and gives them in pieces.
    """

    status: Status
    """How it ended; never empty."""
    rows: _Rows = _Rows()
    """What the statement returned, as the schema accepted it; empty if it was `[]` or there is an `error`."""
    logs: list[LogRecord] = field(default_factory=list)
    """What it logged, in order, also if it failed; empty if it logged nothing or never started."""
    log_dropped: int = 0
    """Messages that are missing in `logs` or cut there, by the limits of the log; 0 if it is complete."""
    error: WasmexecError | None = None
    """Why there are no rows; None with 200, 201 and 202."""
    usage: Usage = field(default_factory=Usage)
    """What it used."""
    warnings: list[str] = field(default_factory=list)
    """What the host has to say to the caller, secrets masked; empty most of the time."""
    replay: ReplayReport | None = None
    """What differs from the recording; None unless it was a replay that has started."""
    unserved: Unserved = field(default="", repr=False, compare=False)
    """What was wrong with its last HTTP request: no grant allows it, or no canned answer fits it; "" if neither.

    Known where it ran, and in no record of it.
    """

    @property
    def block(self) -> RowBlock:
        """The rows and their JSON Lines, each made of the other when it is first asked for."""
        block: RowBlock = vars(self)["_block"]
        return block

    def raise_for_status(self) -> None:
        """Raise `error` if the execution failed, else do nothing."""
        if self.error is not None:
            raise self.error

    def as_dict(self) -> dict[str, object]:
        """The whole record as JSON-able values."""
        error = self.error
        report = {} if self.replay is None else {"replay": self.replay.as_dict()}
        return {
            "status": int(self.status),
            "rows": self.rows,
            "logs": [record.as_dict() for record in self.logs],
            "log_dropped": self.log_dropped,
            "error": None
            if error is None
            else {"type": type(error).__name__, "message": error.message, **error.fields()},
            "usage": self.usage.as_dict(),
            "warnings": self.warnings,
            **report,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding of `Executor.check`."""

    rule: str
    """"syntax", "type-hint", "import", "scope", "yield" or "return"."""
    message: str
    """What is wrong and, where that is plain, what to write instead; never empty."""
    line: int
    """The line of the statement, from 1."""
    column: int
    """The column in that line, in characters from 1."""
    end_line: int | None = None
    """The line where it ends, from 1; None if that is not known."""
    end_column: int | None = None
    """The column behind its last character, from 1; None if that is not known."""
    text: str = ""
    """The whole line of the statement; "" if that is not known."""

    def as_dict(self) -> dict[str, object]:
        """The finding as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}
