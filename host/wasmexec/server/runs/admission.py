"""From the body of a request to a run that may wait: decoded, held against the tenant's ceiling, packed."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import secrets
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...errors import ConfigError
from ...grants import Grants
from ...limits import Limits
from ...secret import Secret
from ..documents import MAX_SCHEMA_BYTES, GrantsDocument, PackedGrants, PackedOrder, RunRequest, SecretDocument
from ..http.request import decode_body
from ..problems import ProblemError
from ..quotas.refusals import Owner
from ..tenants.rule_sets import grants_of
from ..vault.vault import SealError
from .run import Run

if TYPE_CHECKING:
    from ..tenants.directory import Tenant
    from ..watching.run_trace import RunTrace

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(RunRequest)
_encoder = msgspec.json.Encoder()


def new_run(
    tenant: Tenant, key_id: str, body: bytes, image: str, *, is_durable: bool, trace: RunTrace | None = None
) -> Run:
    """The run that a body asks for.

    Raises:
        ProblemError: 400: the body, a limit, a grant or a secret is refused.
    """
    request = decode_body(body, _decoder)
    if len(request.output_schema) > MAX_SCHEMA_BYTES:
        raise ProblemError(
            400, "output_schema", f"the schema has {len(request.output_schema):,} bytes", value=MAX_SCHEMA_BYTES,
            asked=len(request.output_schema), changed_by="nobody",
        )  # fmt: skip
    try:
        limits = tenant.limits_for(key_id, request.limits)
        grants = tenant.grants_for(key_id, grants_of(request.grants))
    except ConfigError as error:
        raise ProblemError(400, "request", error.message, changed_by="tenant") from None
    data = bytes(request.input_data)
    extra_inputs = [None if bytes(item) == b"null" else bytes(item) for item in request.extra_inputs]
    _check_size(limits, len(data) + sum(len(item) for item in extra_inputs if item is not None))
    held = {**request.secrets, **opened_secrets(tenant, request.secrets, request.stored_secrets)}
    order = PackedOrder(
        image=image, statement=request.statement, schema=request.output_schema, mode="strict",
        extra_inputs=extra_inputs,
        checkpoint=request.checkpoint, local_variables=request.local_variables,
        limits={name: getattr(limits, name) for name in limits.__slots__},
        grants=PackedGrants([dataclasses.asdict(grant) for grant in grants.http_grants], None, None),
        secrets={name: _packed(secret) for name, secret in held.items()},
        # Those that are counted wait for a slot each time.
        wakes_freely=tenant.document.max_executing is None,
        traceparent=trace.traceparent if trace is not None and tenant.document.trace_requests else None,
    )  # fmt: skip
    return Run(
        id=f"run_{secrets.token_urlsafe(18)}", tenant=tenant, key_id=key_id, order=_encoder.encode(order),
        data=data,
        statement=kind_of(request.statement.encode("utf-8", "replace")),
        limits=limits, has_grants=bool(grants.http_grants), is_durable=is_durable,
        created_at=time.time(),
        effective={"limits": _encoder.encode(limits), "grants": _encoder.encode(_told(grants))},
        max_wait_seconds=request.max_wait_seconds,
        trace=trace,
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
