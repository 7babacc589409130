"""Run other people's Python in fresh WebAssembly instances of CPython 3.11."""

from .errors import (
    ConfigError,
    CpuLimitError,
    ExecutionCancelled,
    ExecutorClosedError,
    GuestLostError,
    ImageError,
    InputError,
    LimitError,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    StatementError,
    StatementRaised,
    StatementSyntaxError,
    TimeLimitError,
    WasmexecError,
)
from .executor import Executor
from .grants import Grants, HttpGrant
from .limits import Limits
from .result import LogRecord, Problem, Result, Usage
from .schema import Schema
from .secret import Secret
from .status import Status

__all__ = [
    "ConfigError",
    "CpuLimitError",
    "ExecutionCancelled",
    "Executor",
    "ExecutorClosedError",
    "Grants",
    "GuestLostError",
    "HttpGrant",
    "ImageError",
    "InputError",
    "LimitError",
    "Limits",
    "LogRecord",
    "MemoryLimitError",
    "OutputError",
    "OutputLimitError",
    "Problem",
    "Result",
    "Schema",
    "Secret",
    "StatementError",
    "StatementRaised",
    "StatementSyntaxError",
    "Status",
    "TimeLimitError",
    "Usage",
    "WasmexecError",
]
