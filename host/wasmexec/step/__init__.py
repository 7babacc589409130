"""Steps: statements that are run again and again, with schemas, a checkpoint, local variables and a history."""

from .definition import StepDefinition
from .mistakes import Mistake, StepFileError
from .result import Progress, RowFailure, StepLog, StepResult
from .run import UNSET, Cancellation
from .spool import Spool
from .step import Step
from .tally import Output

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
