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
from .operations import KeyOptions, QuotaOptions, RunOptions, TenantOptions
from .retries import Retries
from .sync_client import Client

__all__ = [
    "AnswerLost",
    "AnswerOverdue",
    "AsyncClient",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "ErrorDocument",
    "InvalidRequest",
    "KeyOptions",
    "KeyRejected",
    "LogDocument",
    "NotFound",
    "QuotaOptions",
    "RequestRefused",
    "Retries",
    "RunDocument",
    "RunEvent",
    "RunOptions",
    "ServerFailed",
    "ServerUnreachable",
    "TenantOptions",
    "TenantRequest",
    "TooMuch",
    "UsedDocument",
    "WaitingDocument",
]
