"""Every operation as a `Call`: which path, what is sent, what comes back, and whether it may be asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..server.documents import LogDocument, RunDocument, TenantRequest
from .calls import Call, encoded, path_of

if TYPE_CHECKING:
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import QuotasDocument
    from ..server.api.secrets import SecretList, StoredSecretDocument
    from ..server.api.usage import UsageDocument


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


def post_run(
    statement: str, options: RunOptions, *, is_durable: bool, idempotency_key: str | None,
    timeout_seconds: float | None = None,
) -> Call[RunDocument]:  # fmt: skip
    """Run a statement. With a key of the request it runs once, however often it is asked for."""
    headers = {"Prefer": "respond-async"} if is_durable else {}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return Call(
        method="POST", path=path_of("runs"), answer=RunDocument, body=encoded({"statement": statement, **options}),
        headers=headers, is_repeatable=idempotency_key is not None, timeout_seconds=timeout_seconds,
    )  # fmt: skip


def get_run(run_id: str) -> Call[RunDocument]:
    """How a run is."""
    return _get(RunDocument, "runs", run_id)


def get_rows(run_id: str) -> Call[list[Any]]:
    """The rows of a run."""
    return _get(list[Any], "runs", run_id, "rows")


def get_logs(run_id: str) -> Call[list[LogDocument]]:
    """The log of a run."""
    return _get(list[LogDocument], "runs", run_id, "logs")


def cancel_run(run_id: str) -> Call[RunDocument]:
    """End a run; one that has ended stays as it is, so that it may be asked twice."""
    return Call(method="POST", path=path_of("runs", run_id, action="cancel"), answer=RunDocument, is_repeatable=True)


def get_usage(days: int) -> Call[UsageDocument]:
    """What the tenant's runs have used."""
    from ..server.api.usage import UsageDocument

    return _get(UsageDocument, "usage", days=str(days), format="json")


def get_quotas() -> Call[QuotasDocument]:
    """What the tenant may have."""
    from ..server.api.quotas import QuotasDocument

    return _get(QuotasDocument, "quotas")


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


def issue_key(tenant: str, options: KeyOptions) -> Call[IssuedKey]:
    """Issue a key of a tenant."""
    return _new_key(path_of("admin", "tenants", tenant, "keys"), options)


def get_keys() -> Call[KeyList]:
    """The tenant's keys."""
    from ..server.api.keys import KeyList

    return _get(KeyList, "keys")


def post_key(options: KeyOptions) -> Call[IssuedKey]:
    """Issue a key of the tenant itself."""
    return _new_key(path_of("keys"), options)


def _new_key(path: str, options: KeyOptions) -> Call[IssuedKey]:
    from ..server.api.keys import IssuedKey

    body = encoded({name: list(value) if name == "scopes" else value for name, value in _given(**options).items()})
    return Call(method="POST", path=path, answer=IssuedKey, body=body, is_repeatable=False)


def rotate_key(key_id: str, overlap_seconds: float | None) -> Call[IssuedKey]:
    """Put a key in the place of another."""
    from ..server.api.keys import IssuedKey

    path, body = path_of("keys", key_id, action="rotate"), encoded(_given(overlap_seconds=overlap_seconds))
    return Call(method="POST", path=path, answer=IssuedKey, body=body, is_repeatable=False)


def delete_key(key_id: str) -> Call[KeyDocument]:
    """Revoke a key."""
    from ..server.api.keys import KeyDocument

    return Call(method="DELETE", path=path_of("keys", key_id), answer=KeyDocument, is_repeatable=True)


def get_secrets() -> Call[SecretList]:
    """What secrets are stored."""
    from ..server.api.secrets import SecretList

    return _get(SecretList, "secrets")


def put_secret(name: str, value: str, hosts: Sequence[str], also_in: Sequence[str]) -> Call[StoredSecretDocument]:
    """Store a secret: the same twice is the same."""
    from ..server.api.secrets import StoredSecretDocument

    body = encoded({"value": value, "hosts": list(hosts), "also_in": list(also_in)})
    path = path_of("secrets", name)
    return Call(method="PUT", path=path, answer=StoredSecretDocument, body=body, is_repeatable=True)


def delete_secret(name: str) -> Call[None]:
    """Delete a stored secret. Asked twice, the second finds none, so it is not."""
    return Call(method="DELETE", path=path_of("secrets", name), answer=None, is_repeatable=False)


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _get(answer: Any, *parts: str, **query: str) -> Call[Any]:
    return Call(method="GET", path=path_of(*parts), answer=answer, query=query, is_repeatable=True)
