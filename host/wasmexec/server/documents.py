"""What requests and answers are made of; payloads stay the bytes that they are.

SECURITY: the front never parses inputs, schemas or rows: `msgspec.Raw` is looked at only for where it ends.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, overload

import msgspec
from msgspec import Meta, Raw, Struct

from .quotas.rules import QuotaRules

NULL = Raw(b"null")
MAX_STATEMENT = 1024 * 1024
MAX_SCHEMA_BYTES = 128 * 1024
"""A schema is compiled with the interpreter's lock of a worker held: some 15 ms for this."""
MOST_SECRETS = 256
"""As many as the library takes for a run."""
Name = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9](-?[a-z0-9])*$")]
"""Of a tenant, a project or a key."""
_Count = Annotated[int, Meta(ge=0, le=10**12)] | None
_Texts = Annotated[list[Annotated[str, Meta(max_length=2000)]], Meta(max_length=200)]


class SecretDocument(Struct, forbid_unknown_fields=True):
    """A secret that the statement never holds."""

    value: str
    hosts: _Texts
    also_in: _Texts = []


class GrantsDocument(Struct, forbid_unknown_fields=True):
    """What a run may reach, written as for --allow-http; `http_private` also on private networks."""

    http: _Texts = []
    http_private: _Texts = []


class RunRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/runs; the names are those of `Executor.run`."""

    statement: Annotated[str, Meta(max_length=MAX_STATEMENT)]
    input_data: Raw = NULL
    extra_inputs: Annotated[list[Raw], Meta(max_length=64)] = []
    output_schema: Raw = NULL
    checkpoint: Raw = NULL
    local_variables: Raw = Raw(b"{}")
    limits: dict[str, int | float] = {}
    grants: GrantsDocument = msgspec.field(default_factory=GrantsDocument)
    secrets: dict[str, str | SecretDocument] = {}
    max_wait_seconds: Annotated[float, Meta(ge=0, le=10**9)] | None = None
    stored_secrets: Annotated[dict[str, Annotated[str, Meta(max_length=64)]], Meta(max_length=MOST_SECRETS)] = {}
    """More secrets: the names of stored ones by the names that the statement has for them."""


class WaitingDocument(Struct):
    """Why a run waits: by which rule, at which place, until when as far as that is known."""

    rule: str
    detail: str
    changed_by: str
    value: Any = None
    position: int | None = None
    expected_start: str | None = None


class RunDocument(Struct, omit_defaults=True):
    """A run as answers tell of it; what has not happened yet is null or left out.

    `rows` and `logs` are only in the answer to a synchronous run. `limits` and `grants` are those that are in force;
    they are not on record.
    """

    id: str
    state: str
    attempts: int
    created_at: str
    started_at: str | None
    ended_at: str | None
    is_asleep: bool | None = None
    cpu_seconds: float | None = None
    waiting: WaitingDocument | None = None
    status: int | None = None
    row_count: int | None = None
    log_count: int | None = None
    log_dropped: int | None = None
    has_rows: bool | None = None
    rows: list[Any] | None = None
    logs: list[dict[str, Any]] | None = None
    error: dict[str, Any] | None = None
    warnings: list[str] | None = None
    usage: dict[str, int | float] | None = None
    limits: dict[str, int | float] | None = None
    grants: GrantsDocument | None = None


class TenantRequest(QuotaRules, forbid_unknown_fields=True, kw_only=True):
    """What the operator says of a tenant, and what is kept of it; 0 is none, null is no rule."""

    name: Name
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    limits: dict[str, int | float] = msgspec.field(default_factory=dict)
    grants: GrantsDocument = msgspec.field(default_factory=GrantsDocument)
    max_queued: _Count = None
    max_executing: _Count = None
    max_asleep: _Count = None
    max_streams: _Count = None
    max_stored_runs: _Count = None
    max_steps: _Count = None
    max_secrets: _Count = None
    max_keys: _Count = None
    max_wait_seconds: Annotated[float, Meta(ge=0, le=10**9)] = 86_400.0
    repeat_lost: Literal["safe", "always", "never"] = "safe"
    trace_requests: bool = False
    """Whether HTTP requests of its runs carry `traceparent`: those who are asked could tell whose trace it is."""
    paused: bool | None = None
    """Whether none of its runs start; null leaves it as it is."""


class PartRules(QuotaRules, forbid_unknown_fields=True, kw_only=True):
    """The rules of a project or a key of a tenant; null and what is left out is the tenant's to say."""

    limits: dict[str, int | float] = msgspec.field(default_factory=dict)
    grants: GrantsDocument | None = None


class KeyRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/keys and of POST /v1/admin/tenants/{name}/keys; without a name the key has one of its id."""

    name: Name | None = None
    scopes: Annotated[list[str], Meta(min_length=1, max_length=20)] = msgspec.field(
        default_factory=lambda: ["run", "read"]
    )
    lifetime_seconds: Annotated[float, Meta(gt=0, le=10**9)] | None = None
    project: Name | None = None


class PackedGrants(Struct):
    """The grants of a packed order."""

    http: list[dict[str, Any]]
    ca_file: str | None
    proxy: dict[str, object] | None


class PackedOrder(Struct):
    """What `workers.order.Order.unpack` reads; it contains the secrets."""

    image: str
    statement: str
    schema: Raw
    mode: str
    extra_inputs: list[bytes | None]
    checkpoint: Raw
    local_variables: Raw
    limits: dict[str, object]
    grants: PackedGrants
    secrets: dict[str, tuple[str, list[str] | None, list[str] | None]]
    wakes_freely: bool
    traceparent: str | None = None


@overload
def time_text(seconds: float) -> str: ...
@overload
def time_text(seconds: float | None) -> str | None: ...
def time_text(seconds: float | None) -> str | None:
    """A time in seconds of the epoch as answers have it: ISO 8601 in UTC; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
