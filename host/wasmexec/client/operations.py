"""Every operation as a `Call`: which path, what is sent, what comes back, and whether it may be asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..server.documents import LogDocument, RunDocument, TenantRequest
from .calls import Call, encoded, path_of

if TYPE_CHECKING:
    from ..server.api.audit import AuditPage
    from ..server.api.health import LiveDocument, ReadyDocument
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import PartDocument, QuotasDocument
    from ..server.api.run_list import RunPage
    from ..server.api.secrets import SecretList, StoredSecretDocument
    from ..server.api.usage import UsageDocument


_AFTER_SECONDS = 60.0
"""How long an answer may take beyond the time for which the server was asked to wait."""


class RunOptions(TypedDict, total=False):
    """What a run may have beside its statement, as for `Executor.run`; JSON values."""

    input_data: Any
    extra_inputs: list[Any]
    output_schema: Any
    checkpoint: Any
    local_variables: dict[str, Any]
    limits: dict[str, int | float]
    grants: dict[str, list[str]]
    secrets: dict[str, Any]
    max_wait_seconds: float | None
    stored_secrets: dict[str, str]
    record: bool


class ReplayOptions(TypedDict, total=False):
    """What a replay may have in place of what was recorded; the secrets of the run are given again, all of them."""

    statement: str | None
    output_schema: Any
    limits: dict[str, int | float]
    secrets: dict[str, Any]
    stored_secrets: dict[str, str]


class RunFilter(TypedDict, total=False):
    """Which runs of a list, and how many of them; `cursor` is the `next` of the page before."""

    state: Literal["queued", "running", "ended"] | None
    status: int | None
    created_after: datetime | None
    created_before: datetime | None
    cursor: str | None
    limit: int


class QuotaOptions(TypedDict, total=False):
    """Rates and budgets; None is no rule, and what is left out is as the server has it."""

    requests_per_second: float | None
    requests_burst: float | None
    bytes_per_second: float | None
    bytes_burst: float | None
    cpu_seconds_per_minute: float | None
    cpu_seconds_per_day: float | None
    cpu_seconds_per_month: float | None
    gb_seconds_per_minute: float | None
    gb_seconds_per_day: float | None
    gb_seconds_per_month: float | None
    egress_bytes_per_minute: int | None
    egress_bytes_per_day: int | None
    egress_bytes_per_month: int | None
    rows_per_minute: int | None
    rows_per_day: int | None
    rows_per_month: int | None
    log_bytes_per_minute: int | None
    log_bytes_per_day: int | None
    log_bytes_per_month: int | None


class TenantOptions(QuotaOptions, total=False):
    """The rules of a tenant."""

    weight: int
    limits: dict[str, int | float]
    grants: dict[str, list[str]]
    max_queued: int | None
    max_executing: int | None
    max_asleep: int | None
    max_streams: int | None
    max_stored_runs: int | None
    max_steps: int | None
    max_secrets: int | None
    max_keys: int | None
    max_wait_seconds: float
    repeat_lost: Literal["safe", "always", "never"]
    trace_requests: bool
    paused: bool | None


class PartOptions(QuotaOptions, total=False):
    """The rules of a project or a key; what is left out is the tenant's to say."""

    limits: dict[str, int | float]
    grants: dict[str, list[str]] | None


def post_run(
    statement: str, options: RunOptions, *, prefer: str | None, idempotency_key: str | None,
    timeout_seconds: float | None = None,
) -> Call[RunDocument]:  # fmt: skip
    """Run a statement. With a key of the request it runs once, however often it is asked for."""
    return Call(
        method="POST", path=path_of("runs"), answer=RunDocument, body=encoded({"statement": statement, **options}),
        headers=run_headers(prefer, idempotency_key), is_repeatable=idempotency_key is not None,
        timeout_seconds=timeout_seconds,
    )  # fmt: skip


def post_durable(
    statement: str, options: RunOptions, wait_seconds: int | None, *, idempotency_key: str | None
) -> Call[RunDocument]:
    """Have a run stored, and be answered at once, or when it ends if it does within so long."""
    prefer, timeout = "respond-async", None
    if wait_seconds is not None:
        prefer, timeout = f"wait={wait_seconds}", wait_seconds + _AFTER_SECONDS
    return post_run(statement, options, prefer=prefer, idempotency_key=idempotency_key, timeout_seconds=timeout)


def post_replay(
    run_id: str, options: ReplayOptions, *, idempotency_key: str | None, timeout_seconds: float | None
) -> Call[RunDocument]:
    """Run again from a recording."""
    return Call(
        method="POST", path=path_of("runs", run_id, action="replay"), answer=RunDocument, body=encoded({**options}),
        headers=run_headers(None, idempotency_key), is_repeatable=idempotency_key is not None,
        timeout_seconds=timeout_seconds,
    )  # fmt: skip


def run_headers(prefer: str | None, idempotency_key: str | None) -> dict[str, str]:
    """The headers of a request for a run: what its client wishes, and its key."""
    return given(**{"Prefer": prefer, "Idempotency-Key": idempotency_key})


def get_runs(which: RunFilter) -> Call[RunPage]:
    """A page of the tenant's runs."""
    from ..server.api.run_list import RunPage

    return get(RunPage, "runs", **texts(**which))


def delete_run(run_id: str) -> Call[None]:
    """Delete a run. Asked twice, the second finds none, so it is not."""
    return Call(method="DELETE", path=path_of("runs", run_id), answer=None, is_repeatable=False)


def get_recording(run_id: str) -> Call[dict[str, Any]]:
    """What decided a recorded run."""
    return get(dict[str, Any], "runs", run_id, "recording")


def get_run(run_id: str) -> Call[RunDocument]:
    """How a run is."""
    return get(RunDocument, "runs", run_id)


def get_rows(run_id: str) -> Call[list[Any]]:
    """The rows of a run."""
    return get(list[Any], "runs", run_id, "rows")


def get_logs(run_id: str) -> Call[list[LogDocument]]:
    """The log of a run."""
    return get(list[LogDocument], "runs", run_id, "logs")


def cancel_run(run_id: str) -> Call[RunDocument]:
    """End a run; one that has ended stays as it is, so that it may be asked twice."""
    return Call(method="POST", path=path_of("runs", run_id, action="cancel"), answer=RunDocument, is_repeatable=True)


def get_usage(days: int, since: datetime | None, until: datetime | None) -> Call[UsageDocument]:
    """What the tenant's runs have used."""
    from ..server.api.usage import UsageDocument

    return get(UsageDocument, "usage", **texts(days=days, since=since, until=until, format="json"))


def get_quotas() -> Call[QuotasDocument]:
    """What the tenant may have."""
    from ..server.api.quotas import QuotasDocument

    return get(QuotasDocument, "quotas")


def get_audit(limit: int, cursor: str | None) -> Call[AuditPage]:
    """A page of the tenant's audit log."""
    from ..server.api.audit import AuditPage

    return get(AuditPage, "audit", **texts(limit=limit, cursor=cursor))


def get_part(kind: Literal["projects", "keys"], name: str) -> Call[PartDocument]:
    """The rules of a project or a key."""
    from ..server.api.quotas import PartDocument

    return get(PartDocument, "quotas", kind, name)


def put_part(kind: Literal["projects", "keys"], name: str, options: PartOptions) -> Call[PartDocument]:
    """Give a project or a key rules: the same twice is the same."""
    from ..server.api.quotas import PartDocument

    path = path_of("quotas", kind, name)
    return Call(method="PUT", path=path, answer=PartDocument, body=encoded({**options}), is_repeatable=True)


def delete_part(kind: Literal["projects", "keys"], name: str) -> Call[None]:
    """Have a project or a key without rules of its own: it has none after the second time, either."""
    return Call(method="DELETE", path=path_of("quotas", kind, name), answer=None, is_repeatable=True)


def get_live() -> Call[LiveDocument]:
    """Whether the server lives."""
    from ..server.api.health import LiveDocument

    return Call(method="GET", path="/livez", answer=LiveDocument, is_repeatable=True)


def get_ready() -> Call[ReadyDocument]:
    """Whether statements get through; that they do not is an answer, too."""
    from ..server.api.health import ReadyDocument

    return Call(method="GET", path="/readyz", answer=ReadyDocument, is_repeatable=True, good=(200, 503))


def get_openapi() -> Call[dict[str, Any]]:
    """The document of the API."""
    return Call(method="GET", path="/v1/openapi.json", answer=dict[str, Any], is_repeatable=True)


def put_tenant(name: str, options: TenantOptions) -> Call[TenantRequest]:
    """Make a tenant or give it other rules: the same twice is the same."""
    body = encoded({"name": name, **options})
    return Call(
        method="POST", path=path_of("admin", "tenants"), answer=TenantRequest, body=body, is_repeatable=True
    )  # fmt: skip


class KeyOptions(TypedDict, total=False):
    """What a new key may have: `scopes` are run and read if nothing is said."""

    name: str | None
    scopes: Sequence[str]
    lifetime_seconds: float | None
    project: str | None


def get_keys() -> Call[KeyList]:
    """The tenant's keys."""
    from ..server.api.keys import KeyList

    return get(KeyList, "keys")


def post_key(options: KeyOptions) -> Call[IssuedKey]:
    """Issue a key of the tenant itself."""
    return new_key(path_of("keys"), options)


def new_key(path: str, options: KeyOptions) -> Call[IssuedKey]:
    """Issue a key: twice would be two."""
    from ..server.api.keys import IssuedKey

    body = encoded({name: list(value) if name == "scopes" else value for name, value in given(**options).items()})
    return Call(method="POST", path=path, answer=IssuedKey, body=body, is_repeatable=False)


def rotate_key(key_id: str, overlap_seconds: float | None) -> Call[IssuedKey]:
    """Put a key in the place of another."""
    return rotated_key(path_of("keys", key_id, action="rotate"), overlap_seconds)


def rotated_key(path: str, overlap_seconds: float | None) -> Call[IssuedKey]:
    """Put the key of a path in the place of another: twice would be two."""
    from ..server.api.keys import IssuedKey

    body = encoded(given(overlap_seconds=overlap_seconds))
    return Call(method="POST", path=path, answer=IssuedKey, body=body, is_repeatable=False)


def delete_key(key_id: str) -> Call[KeyDocument]:
    """Revoke a key."""
    from ..server.api.keys import KeyDocument

    return Call(method="DELETE", path=path_of("keys", key_id), answer=KeyDocument, is_repeatable=True)


def get_secrets() -> Call[SecretList]:
    """What secrets are stored."""
    from ..server.api.secrets import SecretList

    return get(SecretList, "secrets")


def put_secret(name: str, value: str, hosts: Sequence[str], also_in: Sequence[str]) -> Call[StoredSecretDocument]:
    """Store a secret: the same twice is the same."""
    from ..server.api.secrets import StoredSecretDocument

    body = encoded({"value": value, "hosts": list(hosts), "also_in": list(also_in)})
    path = path_of("secrets", name)
    return Call(method="PUT", path=path, answer=StoredSecretDocument, body=body, is_repeatable=True)


def delete_secret(name: str) -> Call[None]:
    """Delete a stored secret. Asked twice, the second finds none, so it is not."""
    return Call(method="DELETE", path=path_of("secrets", name), answer=None, is_repeatable=False)


def given(**members: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def texts(**members: Any) -> dict[str, str]:
    """The parameters of a query, without those that are None."""
    found = given(**members)
    return {name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in found.items()}


def get(answer: Any, *parts: str, **query: str) -> Call[Any]:
    """A request that changes nothing."""
    return Call(method="GET", path=path_of(*parts), answer=answer, query=query, is_repeatable=True)
