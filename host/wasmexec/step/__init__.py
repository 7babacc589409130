"""Steps: statements that are run again and again, with schemas, a checkpoint, local variables and a history."""

from ..rows.spool import Spool
from .file.definition import StepDefinition
from .file.mistakes import Mistake, StepFileError
from .result import Progress, RowFailure, StepLog, StepResult
from .running.cancellation import Cancellation
from .running.request import UNSET
from .running.totals import Output
from .step import Step

__all__ = [
    "UNSET",
    "Cancellation",
    "Mistake",
    "Output",
    "Progress",
    "RowFailure",
    "Spool",
    "Step",
    "StepDefinition",
    "StepFileError",
    "StepLog",
    "StepResult",
]
