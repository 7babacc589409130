"""Run other people's Python in fresh WebAssembly instances of CPython 3.11."""

from typing import TYPE_CHECKING

from .errors import (
    ConfigError,
    CpuLimitError,
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

if TYPE_CHECKING:
    from .step import Step, StepFileError, StepResult

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
    "InputSchemaError",
    "LimitError",
    "Limits",
    "LogRecord",
    "MemoryLimitError",
    "OutputError",
    "OutputLimitError",
    "Problem",
    "Result",
    "Schema",
    "SchemaError",
    "Secret",
    "StatementError",
    "StatementRaised",
    "StatementSyntaxError",
    "Status",
    "Step",
    "StepFileError",
    "StepResult",
    "TimeLimitError",
    "Usage",
    "WasmexecError",
]


def __getattr__(name: str) -> object:
    # Steps are imported when they are asked for: many programs only run statements.
    if name in ("Step", "StepFileError", "StepResult"):
        from . import step

        return getattr(step, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
