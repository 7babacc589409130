"""`Client` and `AsyncClient`: a server of `wasmexec serve` from Python; `wasmexec[client]` has what they need."""

try:
    import httpx as httpx
    import msgspec as msgspec
except ModuleNotFoundError as error:
    text = f"wasmexec.client needs {error.name}, which is not installed: pip install 'wasmexec[client]'"
    raise ModuleNotFoundError(text, name=error.name) from None

from ..server.documents import (
    ErrorDocument,
    LogDocument,
    RunDocument,
    TenantRequest,
    UsedDocument,
    WaitingDocument,
)
from .async_client import AsyncClient
from .async_operator import AsyncOperator
from .async_steps import AsyncSteps
from .batches import BatchItem
from .errors import (
    AnswerLost,
    AnswerOverdue,
    BadAnswer,
    ClientError,
    Conflict,
    InvalidRequest,
    KeyRejected,
    NotFound,
    RequestRefused,
    ServerFailed,
    ServerUnreachable,
    TooMuch,
)
from .following import RunEvent
from .operations import (
    KeyOptions,
    PartOptions,
    QuotaOptions,
    ReplayOptions,
    RunFilter,
    RunOptions,
    TenantOptions,
)
from .retries import Retries
from .step_operations import StepDocument, StepRunOptions
from .sync_client import Client
from .sync_operator import Operator
from .sync_steps import Steps

__all__ = [
    "AnswerLost",
    "AnswerOverdue",
    "AsyncClient",
    "AsyncOperator",
    "AsyncSteps",
    "BadAnswer",
    "BatchItem",
    "Client",
    "ClientError",
    "Conflict",
    "ErrorDocument",
    "InvalidRequest",
    "KeyOptions",
    "KeyRejected",
    "LogDocument",
    "NotFound",
    "Operator",
    "PartOptions",
    "QuotaOptions",
    "ReplayOptions",
    "RequestRefused",
    "Retries",
    "RunDocument",
    "RunEvent",
    "RunFilter",
    "RunOptions",
    "ServerFailed",
    "ServerUnreachable",
    "StepDocument",
    "StepRunOptions",
    "Steps",
    "TenantOptions",
    "TenantRequest",
    "TooMuch",
    "UsedDocument",
    "WaitingDocument",
]
