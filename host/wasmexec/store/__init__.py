"""The run store: steps, runs, logs, checkpoints with their history, output and recordings, in SQLite or PostgreSQL.

Importing this is cheap; SQLAlchemy is loaded when `RunStore` is first used.
"""

from typing import TYPE_CHECKING

from ..recording.exchange import HttpExchange
from .bounds import StoreBounds
from .errors import (
    CheckpointConflictError,
    RecordingNotFoundError,
    RunLostError,
    RunNotFoundError,
    RunStateError,
    StepNotFoundError,
    StoreBusyError,
    StoreError,
    StoreLimitError,
    StoreLostError,
    StoreOpenError,
    StoreVersionError,
)
from .records import (
    Advance,
    Checkpoint,
    CheckpointCause,
    CheckpointPage,
    JsonValue,
    LogPage,
    OutputRow,
    RecordedPart,
    Recording,
    RowError,
    RowErrorPage,
    RunHandle,
    RunPage,
    RunRecord,
    RunState,
    StepRecord,
    StoredLog,
)

if TYPE_CHECKING:
    from .recordings import Recorder
    from .run_store import RunStore

__all__ = [
    "Advance",
    "Checkpoint",
    "CheckpointCause",
    "CheckpointConflictError",
    "CheckpointPage",
    "HttpExchange",
    "JsonValue",
    "LogPage",
    "OutputRow",
    "RecordedPart",
    "Recorder",
    "Recording",
    "RecordingNotFoundError",
    "RowError",
    "RowErrorPage",
    "RunHandle",
    "RunLostError",
    "RunNotFoundError",
    "RunPage",
    "RunRecord",
    "RunState",
    "RunStateError",
    "RunStore",
    "StepNotFoundError",
    "StepRecord",
    "StoreBounds",
    "StoreBusyError",
    "StoreError",
    "StoreLimitError",
    "StoreLostError",
    "StoreOpenError",
    "StoreVersionError",
    "StoredLog",
]


def __getattr__(name: str) -> object:
    if name == "RunStore":
        from .run_store import RunStore

        return RunStore
    if name == "Recorder":
        from .recordings import Recorder

        return Recorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
