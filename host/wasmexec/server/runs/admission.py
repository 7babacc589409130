"""From the body of a request to a run that may wait: decoded, held against the tenant's ceiling, packed."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from ...errors import ConfigError
from ...grants import Grants
from ..documents import MAX_SCHEMA_BYTES, PackedGrants, PackedOrder, RunRequest, SecretDocument
from ..http.request import decode_body
from ..problems import ProblemError
from ..tenants.directory import grants_of, limits_within
from .run import Run

if TYPE_CHECKING:
    from ..tenants.directory import Tenant

_decoder = msgspec.json.Decoder(RunRequest)
_encoder = msgspec.json.Encoder()


def new_run(tenant: Tenant, key_id: str, body: bytes, image: str, *, is_durable: bool) -> Run:
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
        limits = limits_within(tenant.ceiling, request.limits) if request.limits else tenant.usual_limits
        grants = tenant.ceiling.grants_for(grants_of(request.grants))
    except ConfigError as error:
        raise ProblemError(400, "request", error.message, changed_by="tenant") from None
    if not isinstance(grants, Grants):
        raise ProblemError.of(grants)
    order = PackedOrder(
        image=image, statement=request.statement, schema=request.output_schema, mode="strict",
        extra_inputs=[None if bytes(data) == b"null" else bytes(data) for data in request.extra_inputs],
        checkpoint=request.checkpoint, local_variables=request.local_variables,
        limits={name: getattr(limits, name) for name in limits.__slots__},
        grants=PackedGrants([dataclasses.asdict(grant) for grant in grants.http_grants], None, None),
        secrets={name: _packed(secret) for name, secret in request.secrets.items()},
    )  # fmt: skip
    return Run(
        id=f"run_{secrets.token_urlsafe(18)}", tenant=tenant, key_id=key_id, order=_encoder.encode(order),
        data=bytes(request.input_data),
        statement=kind_of(request.statement.encode("utf-8", "replace")),
        limits=limits, has_grants=bool(grants.http_grants), is_durable=is_durable,
        created_at=time.time(),
    )  # fmt: skip


def kind_of(data: bytes) -> str:
    """A hash by which runs of a kind are known."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _packed(secret: str | SecretDocument) -> tuple[str, list[str] | None, list[str] | None]:
    if isinstance(secret, str):
        return secret, None, None
    return secret.value, list(secret.hosts), list(secret.also_in)
