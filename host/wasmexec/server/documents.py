"""What requests and answers are made of; payloads stay the bytes that they are.

SECURITY: the front never parses inputs, schemas or rows: `msgspec.Raw` is looked at only for where it ends.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, overload

import msgspec
from msgspec import Meta, Raw, Struct

from .quotas.rules import QuotaRules
from .tenants.keys import Scope

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


def raw_field(default: Raw) -> Raw:
    """A field with such a default; from a factory, for msgspec cannot put a Raw into the schema of a struct."""
    made: Raw = msgspec.field(default_factory=lambda: default)
    return made


class SecretDocument(Struct, forbid_unknown_fields=True):
    """A secret that the statement never holds: it is put into requests to some hosts."""

    value: str
    hosts: _Texts
    """Where it may be sent."""
    also_in: _Texts = []
    """Parts of a request beside headers in which it may stand: url, body."""


class GrantsDocument(Struct, forbid_unknown_fields=True):
    """What a run may reach, written as for --allow-http."""

    http: _Texts = []
    """Such as "GET https://api.example.com"."""
    http_private: _Texts = []
    """The same, on private networks, too."""


class RunRequest(Struct, forbid_unknown_fields=True):
    """A statement and what it gets; the names are those of `Executor.run`."""

    statement: Annotated[str, Meta(max_length=MAX_STATEMENT)]
    """The Python code; it returns its rows."""
    input_data: Raw = raw_field(NULL)
    """What the statement finds as INPUT_DATA: any JSON, as a rule a list of objects."""
    extra_inputs: Annotated[list[Raw], Meta(max_length=64)] = []
    """INPUT_DATA2, INPUT_DATA3 and so on."""
    output_schema: Raw = raw_field(NULL)
    """A JSON schema that every row has to match."""
    checkpoint: Raw = raw_field(NULL)
    """What the statement finds as DATA_CHECKPOINT."""
    local_variables: Raw = raw_field(Raw(b"{}"))
    """Members of LocalVariable."""
    limits: dict[str, int | float] = {}
    """Limits by name, each at most the tenant's."""
    grants: GrantsDocument = msgspec.field(default_factory=GrantsDocument)
    secrets: dict[str, str | SecretDocument] = {}
    """Secrets by name; a text is one that the statement may read."""
    max_wait_seconds: Annotated[float, Meta(ge=0, le=10**9)] | None = None
    """How long it may wait for its start, at most the tenant's."""
    stored_secrets: Annotated[dict[str, Annotated[str, Meta(max_length=64)]], Meta(max_length=MOST_SECRETS)] = {}
    """More secrets: the names of stored ones by the names that the statement has for them."""
    record: bool = False


class ReplayRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/runs/{id}:replay; all else is as it was recorded.

    `secrets` and `stored_secrets` have all of the recorded run, whose values are kept nowhere.
    """

    statement: Annotated[str, Meta(max_length=MAX_STATEMENT)] | None = None
    output_schema: Raw | None = None
    limits: dict[str, int | float] = {}
    secrets: dict[str, str | SecretDocument] = {}
    stored_secrets: Annotated[dict[str, Annotated[str, Meta(max_length=64)]], Meta(max_length=MOST_SECRETS)] = {}


class WaitingDocument(Struct):
    """Why a run waits: by which rule, at which place, until when as far as that is known."""

    rule: str
    detail: str
    changed_by: str
    """Who may change the rule: tenant, operator, nobody."""
    value: Any = None
    """What the rule allows."""
    position: int | None = None
    """Its place among the tenant's own runs; the next one has 1."""
    expected_start: str | None = None


class LogDocument(Struct):
    """A message of a run's log."""

    time: str
    """ISO 8601, UTC."""
    level: str
    message: str


class ErrorDocument(Struct, omit_defaults=True):
    """Why a run has no rows; which members there are depends on `type`."""

    type: str
    """A class of `wasmexec.errors`: StatementRaised, CpuLimitError, OutputError, GuestLostError."""
    message: str
    line: int | None = None
    """Of the statement."""
    column: int | None = None
    function: str | None = None
    text: str | None = None
    rendered: str | None = None
    type_name: str | None = None
    """Of the exception that the statement raised."""
    exception_message: str | None = None
    traceback: str | None = None
    limit: float | None = None
    used: float | None = None
    pointer: str | None = None
    """The JSON pointer of what was refused."""
    rule: str | None = None
    value: Any = None
    fix: str | None = None
    """What to write instead."""
    trap: str | None = None
    detail: str | None = None


class UsedDocument(Struct):
    """What a run has used."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    output_bytes: int
    http_requests: int
    http_bytes_sent: int
    http_bytes_received: int


class RunDocument(Struct, omit_defaults=True):
    """A run as answers tell of it; what has not happened yet is null or left out.

    `rows` and `logs` are only in the answer to a synchronous run, `replay` only in that to a replay. `limits` and
    `grants` are those that are in force; they are not on record.
    """

    id: str
    state: Literal["queued", "running", "ended"]
    attempts: int
    """How often it was begun: more than once if a worker process died under it."""
    created_at: str
    """ISO 8601, UTC, as all times."""
    started_at: str | None
    ended_at: str | None
    is_asleep: bool | None = None
    """Whether it sleeps or waits for HTTP, and holds no slot."""
    cpu_seconds: float | None = None
    """What it has used so far, while it runs."""
    waiting: WaitingDocument | None = None
    """Why it waits, while it does."""
    status: int | None = None
    """How it ended: 200 rows, 201 none, 202 rows and warnings; 300 to 307 and 400 failed."""
    row_count: int | None = None
    log_count: int | None = None
    log_dropped: int | None = None
    has_rows: bool | None = None
    """Whether its rows and log are kept."""
    rows: list[Any] | None = None
    logs: list[LogDocument] | None = None
    error: ErrorDocument | None = None
    warnings: list[str] | None = None
    usage: UsedDocument | None = None
    limits: dict[str, int | float] | None = None
    grants: GrantsDocument | None = None
    replay: dict[str, Any] | None = None


class TenantRequest(QuotaRules, forbid_unknown_fields=True, kw_only=True):
    """A tenant and its rules; 0 is none, null is no rule."""

    name: Name
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    """Its share of the processors when others want them, too."""
    limits: dict[str, int | float] = msgspec.field(default_factory=dict)
    """The most that each of its runs may use, at most the server's."""
    grants: GrantsDocument = msgspec.field(default_factory=GrantsDocument)
    """What its runs may reach."""
    max_queued: _Count = None
    """Runs that wait; null: as the server has it."""
    max_executing: _Count = None
    """Runs that compute at once."""
    max_asleep: _Count = None
    max_streams: _Count = 1000
    max_stored_runs: _Count = None
    max_steps: _Count = None
    max_secrets: _Count = None
    max_keys: _Count = None
    max_wait_seconds: Annotated[float, Meta(ge=0, le=10**9)] = 86_400.0
    """How long a run may wait for its start."""
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
    """What a new key is to be."""

    name: Name | None = None
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=20)] = msgspec.field(
        default_factory=lambda: [Scope.RUN, Scope.READ]
    )
    lifetime_seconds: Annotated[float, Meta(gt=0, le=10**9)] | None = None
    """Null: it does not expire."""
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
    limits: Raw
    grants: PackedGrants
    secrets: dict[str, tuple[str, list[str] | None, list[str] | None]]
    wakes_freely: bool
    traceparent: str | None = None

    record: bool = False
    replay: Raw = NULL


class RecordedOrder(Struct):
    """What of a packed order is kept beside the recording of its run, to replay it; of its secrets the names."""

    statement: str
    schema: Raw
    limits: dict[str, int | float]
    secrets: dict[str, Raw]


@overload
def time_text(seconds: float) -> str: ...
@overload
def time_text(seconds: float | None) -> str | None: ...
def time_text(seconds: float | None) -> str | None:
    """A time in seconds of the epoch as answers have it: ISO 8601 in UTC; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
