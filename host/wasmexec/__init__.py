"""Run other people's Python in fresh WebAssembly instances of CPython 3.11."""

from typing import TYPE_CHECKING

from . import isolation as isolation  # isort: skip

from .errors import (
    ConfigError,
    CpuLimitError,
    DeliveryError,
    ExecutionCancelled,
    ExecutorClosedError,
    GuestLostError,
    ImageError,
    InputError,
    InputSchemaError,
    LimitError,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    SchemaError,
    SchemaMistake,
    StatementError,
    StatementRaised,
    StatementSyntaxError,
    TimeLimitError,
    WasmexecError,
)
from .executor import Executor
from .grants import Grants, HttpGrant
from .limits import Limits
from .prepared import Prepared
from .result import LogRecord, Problem, Result, Usage
from .schema import Schema
from .secret import Secret
from .statistics import Statistics
from .status import Status

if TYPE_CHECKING:
    from .canned import CannedAnswer, CannedHttp
    from .determinism import Deterministic
    from .proxy import Proxy
    from .recording import ForExecution, HttpExchange, MemoryRecorder, Recorder, Recording
    from .replay import ReplayReport, RequestDifference, RowDifference
    from .step import Step, StepFileError, StepResult

__all__ = [
    "CannedAnswer",
    "CannedHttp",
    "ConfigError",
    "CpuLimitError",
    "DeliveryError",
    "Deterministic",
    "ExecutionCancelled",
    "Executor",
    "ExecutorClosedError",
    "ForExecution",
    "Grants",
    "GuestLostError",
    "HttpExchange",
    "HttpGrant",
    "ImageError",
    "InputError",
    "InputSchemaError",
    "LimitError",
    "Limits",
    "LogRecord",
    "MemoryLimitError",
    "MemoryRecorder",
    "OutputError",
    "OutputLimitError",
    "Prepared",
    "Problem",
    "Proxy",
    "Recorder",
    "Recording",
    "ReplayReport",
    "RequestDifference",
    "Result",
    "RowDifference",
    "Schema",
    "SchemaError",
    "SchemaMistake",
    "Secret",
    "StatementError",
    "StatementRaised",
    "StatementSyntaxError",
    "Statistics",
    "Status",
    "Step",
    "StepFileError",
    "StepResult",
    "TimeLimitError",
    "Usage",
    "WasmexecError",
]

_IMPORTED_WHEN_ASKED_FOR = {
    "CannedAnswer": "canned",
    "CannedHttp": "canned",
    "Deterministic": "determinism",
    "ForExecution": "recording",
    "HttpExchange": "recording",
    "MemoryRecorder": "recording",
    "Proxy": "proxy",
    "Recorder": "recording",
    "Recording": "recording",
    "ReplayReport": "replay",
    "RequestDifference": "replay",
    "RowDifference": "replay",
    "Step": "step",
    "StepFileError": "step",
    "StepResult": "step",
}


def __getattr__(name: str) -> object:
    # Most programs run statements and need none of these.
    module = _IMPORTED_WHEN_ASKED_FOR.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{module}", __name__), name)
