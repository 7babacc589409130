"""From the body of a request to a run that may wait: decoded, held against the tenant's ceiling, packed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from ...errors import ConfigError
from ...grants import Grants
from ...limits import Limits
from ...secret import Secret
from ..documents import (
    MAX_SCHEMA_BYTES,
    NULL,
    GrantsDocument,
    PackedGrants,
    PackedOrder,
    RecordedOrder,
    ReplayRequest,
    RunRequest,
    SecretDocument,
)
from ..http.request import decode_body
from ..problems import ProblemError
from ..quotas.refusals import Owner
from ..random_ids import new_token
from ..tenants.rule_sets import grants_of
from ..vault.places import SealError
from .run import Run

if TYPE_CHECKING:
    from ...workers.files import LongText
    from ..tenants.directory import Tenant
    from ..watching.run_trace import RunTrace

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(RunRequest)
_recorded_decoder = msgspec.json.Decoder(RecordedOrder)
_raw_decoder = msgspec.json.Decoder(Raw)
_encoder = msgspec.json.Encoder()
_NO_VARIABLES = Raw(b"{}")
_NOTHING = Grants()
_NOTHING_TEXT = _encoder.encode(GrantsDocument())


def new_run(
    tenant: Tenant, key_id: str, body: bytes, image: str, *, is_durable: bool, trace: RunTrace | None = None
) -> Run:
    """The run that a body asks for.

    Raises:
        ProblemError: 400: the body, a limit, a grant or a secret is refused.
    """
    return run_of(tenant, key_id, decode_body(body, _decoder), image, is_durable=is_durable, trace=trace)


def run_of(
    tenant: Tenant, key_id: str, request: RunRequest, image: str, *, is_durable: bool, trace: RunTrace | None = None,
    long_input: LongText | None = None,
) -> Run:  # fmt: skip
    """The run that a document asks for, whose input may be in a file.

    Raises:
        ProblemError: 400: a limit, a grant or a secret is refused.
    """
    _refuse_long(request.output_schema)
    if request.record and not is_durable:
        raise ProblemError(
            400, "record", "recordings are kept of runs that are kept: ask with Prefer: respond-async or wait=N",
            changed_by="tenant",
        )  # fmt: skip
    try:
        limits = tenant.limits_for(key_id, request.limits)
        # Who asks for nothing gets that under every ceiling.
        asks = bool(request.grants.http or request.grants.http_private)
        grants = tenant.grants_for(key_id, grants_of(request.grants)) if asks else _NOTHING
    except ConfigError as error:
        raise ProblemError(400, "request", error.message, changed_by="tenant") from None
    data = bytes(request.input_data) if long_input is None else long_input
    extra_inputs = [None if bytes(item) == b"null" else bytes(item) for item in request.extra_inputs]
    _check_size(limits, len(data) + sum(len(item) for item in extra_inputs if item is not None))
    held = {**request.secrets, **opened_secrets(tenant, request.secrets, request.stored_secrets)}
    order = PackedOrder(
        image=image, statement=request.statement, schema=request.output_schema, mode="strict",
        extra_inputs=extra_inputs,
        checkpoint=request.checkpoint, local_variables=request.local_variables,
        limits=_limits_text(limits),
        grants=PackedGrants([dataclasses.asdict(grant) for grant in grants.http_grants], None, None),
        secrets={name: _packed(secret) for name, secret in held.items()}, record=request.record,
        # Those that are counted wait for a slot each time.
        wakes_freely=tenant.document.max_executing is None,
        traceparent=trace.traceparent if trace is not None and tenant.document.trace_requests else None,
    )  # fmt: skip
    return _run(
        tenant, key_id, order, data, limits, grants, is_durable=is_durable, max_wait_seconds=request.max_wait_seconds,
        trace=trace,
    )  # fmt: skip


def replay_of(
    tenant: Tenant, key_id: str, request: ReplayRequest, order: bytes, recording: bytes, image: str, *,
    is_durable: bool, trace: RunTrace | None = None,
) -> Run:  # fmt: skip
    """The run that repeats a recorded one, of which `recorded_order` gave the order.

    Raises:
        ProblemError: 400: a secret is missing, or a limit is refused. 410: the recording is none.
    """
    recorded = _recorded_decoder.decode(order)
    try:
        # SECURITY: a worker wrote it, and it becomes a member of the order: it must be one value, and end with it.
        replay = _raw_decoder.decode(recording)
    except (ValueError, RecursionError):
        raise ProblemError(410, "run.recorded", "the recording is damaged") from None
    if request.output_schema is not None:
        _refuse_long(request.output_schema)
    held = {**request.secrets, **opened_secrets(tenant, request.secrets, request.stored_secrets)}
    missing = sorted(recorded.secrets.keys() - held.keys())
    if missing:
        raise ProblemError(
            400, "replay.secrets", f"secrets are kept nowhere: give {', '.join(missing)} again", value=missing,
            changed_by="tenant",
        )  # fmt: skip
    # What is allowed may have become less since.
    usual = {name: min(value, getattr(tenant.ceiling.limits, name)) for name, value in recorded.limits.items()}
    try:
        limits = tenant.limits_for(key_id, usual | request.limits)
    except ConfigError as error:
        raise ProblemError(400, "request", error.message, changed_by="tenant") from None
    packed = PackedOrder(
        image=image, statement=recorded.statement if request.statement is None else request.statement,
        schema=recorded.schema if request.output_schema is None else request.output_schema, mode="strict",
        extra_inputs=[], checkpoint=NULL, local_variables=_NO_VARIABLES,
        limits=_limits_text(limits),
        # Nothing is connected: the recording answers.
        grants=PackedGrants([], None, None),
        secrets={name: _packed(secret) for name, secret in held.items()},
        wakes_freely=tenant.document.max_executing is None, replay=replay,
    )  # fmt: skip
    return _run(tenant, key_id, packed, bytes(NULL), limits, Grants(), is_durable=is_durable, trace=trace)


def recorded_order(order: bytes) -> bytes:
    """What of a packed order is kept to replay its run: of its secrets the names."""
    recorded = _recorded_decoder.decode(order)
    recorded.secrets = dict.fromkeys(recorded.secrets, NULL)
    return _encoder.encode(recorded)


def _run(
    tenant: Tenant, key_id: str, order: PackedOrder, data: bytes | LongText, limits: Limits, grants: Grants, *,
    is_durable: bool, max_wait_seconds: float | None = None, trace: RunTrace | None = None,
) -> Run:  # fmt: skip
    return Run(
        id=f"run_{new_token()}", tenant=tenant, key_id=key_id, order=_encoder.encode(order), data=data,
        statement=kind_of(order.statement.encode("utf-8", "replace")), limits=limits,
        has_grants=bool(order.grants.http), is_durable=is_durable, created_at=time.time(),
        effective={
            "limits": bytes(_limits_text(limits)),
            "grants": _NOTHING_TEXT if grants is _NOTHING else _encoder.encode(_told(grants)),
        },
        max_wait_seconds=max_wait_seconds,
        trace=trace,
    )  # fmt: skip


@functools.lru_cache(maxsize=256)
def _limits_text(limits: Limits) -> Raw:
    """Limits as JSON: most runs have those of many others."""
    return Raw(_encoder.encode(limits))


def _refuse_long(schema: Raw) -> None:
    """Raises: ProblemError: 400: the schema is longer than what is compiled."""
    if len(schema) > MAX_SCHEMA_BYTES:
        raise ProblemError(
            400, "output_schema", f"the schema has {len(schema):,} bytes", value=MAX_SCHEMA_BYTES, asked=len(schema),
            changed_by="nobody",
        )  # fmt: skip


def _check_size(limits: Limits, size: int) -> None:
    """Return if inputs of so many bytes are within the limits. Raises: ProblemError: 400."""
    if size > limits.input_bytes:
        raise ProblemError(
            400, "limit.input_bytes", f"the inputs have {size:,} bytes, and the limits that are in force allow "
            f"{limits.input_bytes:,}", value=limits.input_bytes, asked=size, owner=Owner.TENANT.value,
            changed_by=Owner.TENANT.changed_by,
        )  # fmt: skip


def _told(grants: Grants) -> GrantsDocument:
    """Grants as they are asked for."""
    public = [grant.text for grant in grants.http_grants if not grant.allow_private]
    return GrantsDocument(public, [grant.text for grant in grants.http_grants if grant.allow_private])


def kind_of(data: bytes) -> str:
    """A hash by which runs of a kind are known."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def opened_secrets(tenant: Tenant, given: Collection[str], stored: Mapping[str, str]) -> dict[str, Secret]:
    """The `stored` secrets that a request names beside those `given`, with the values that they have now.

    Raises:
        ProblemError: 400: one is not there or cannot be opened, or another secret has its name.
    """
    found = {}
    for name, stored_name in stored.items():
        if name in given:
            text = f"the secret {name!r:.80} is in secrets and in stored_secrets"
            raise ProblemError(400, "secret.name", text, changed_by="tenant")
        secret = tenant.secrets.get(stored_name)
        if secret is None:
            text = f"there is no stored secret {stored_name!r:.80}"
            raise ProblemError(400, "secret.stored", text, asked=stored_name, changed_by="tenant")
        try:
            found[name] = secret.open()
        except SealError as error:
            _log.error("a stored secret of %s: %s", tenant.name, error)
            text = f"the stored secret {stored_name} cannot be opened; store it again"
            raise ProblemError(400, "secret.sealed", text, asked=stored_name, changed_by="tenant") from None
    return found


def _packed(secret: str | SecretDocument | Secret) -> tuple[str, list[str] | None, list[str] | None]:
    if isinstance(secret, str):
        return secret, None, None
    return secret.value, list(secret.hosts), list(secret.also_in)
