"""What an execution leaves behind: status, rows, log, error and what it used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .errors import WasmexecError
from .status import Status

if TYPE_CHECKING:
    from .replay import ReplayReport

LEVELS = ("trace", "debug", "info", "warn", "error")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of the log: `time` in seconds since the epoch, `level` one of LEVELS, `message` masked text."""

    time: float
    level: str
    message: str

    def as_dict(self) -> dict[str, object]:
        """The record as JSON-able values, its time in ISO 8601 (UTC)."""
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return {"time": moment, "level": self.level, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the execution used; `peak_memory_bytes` is linear memory, the image included."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    output_bytes: int = 0
    http_requests: int = 0
    http_bytes_sent: int = 0
    http_bytes_received: int = 0

    def as_dict(self) -> dict[str, float]:
        """The counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Outcome of one execution; a failed one is a `Result` too, see `raise_for_status`.

    `replay` is there when it was the replay of a recording.
    """

    status: Status
    rows: list[dict[str, Any]] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    log_dropped: int = 0
    error: WasmexecError | None = None
    usage: Usage = field(default_factory=Usage)
    warnings: list[str] = field(default_factory=list)
    replay: ReplayReport | None = None

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
    """One finding of `Executor.check`: lines and columns count from 1.

    `rule` is "syntax", "type-hint", "import", "scope", "yield" or "return"; `text` is the line of the statement.
    """

    rule: str
    message: str
    line: int
    column: int
    end_line: int | None = None
    end_column: int | None = None
    text: str = ""

    def as_dict(self) -> dict[str, object]:
        """The finding as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}
