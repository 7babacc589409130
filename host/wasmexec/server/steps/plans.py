"""What a step asks for, held against what its tenant may, and the order that its executions share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...errors import ConfigError
from ...grants import Grants, HttpGrant
from ...secret import Secret
from ...workers.messages import BadMessage
from ..documents import PackedGrants, PackedOrder
from ..problems import ProblemError
from ..runs.admission import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...limits import Limits
    from ..tenants.directory import Tenant
    from .messages import Conditions, Plan, SecretTold

_encoder = msgspec.json.Encoder()


class Allowed(NamedTuple):
    """What the executions of a step may use and reach."""

    limits: Limits
    grants: Grants


def allowed_by(tenant: Tenant, key_id: str, plan: Plan) -> Allowed:
    """What a plan asks for, if its tenant may have that now, with this key.

    Raises:
        ProblemError: 400: a limit or a grant is more than the tenant's ceiling, or none at all.
    """
    try:
        asked = [HttpGrant(**msgspec.to_builtins(told)) for told in plan.grants]
        return Allowed(tenant.limits_for(key_id, plan.limits), tenant.grants_for(key_id, Grants(http=asked)))
    except ConfigError as error:
        raise ProblemError(400, "step", error.message, changed_by="tenant") from None


def pack_order(
    tenant: Tenant,
    plan: Plan,
    allowed: Allowed,
    conditions: Conditions,
    secrets: Mapping[str, str | Secret],
    checkpoint: bytes,
    image: str,
) -> bytes:
    """The order of all executions of a run.

    SECURITY: limits, grants, secrets and image are what the front says, whatever the process of the run may want.

    Raises:
        BadMessage: the process has told something that is no JSON.
    """
    limits = allowed.limits
    return _encoder.encode(PackedOrder(
        image=image, statement=plan.statement, schema=_one_value(plan.output, msgspec.Raw), mode=plan.mode,
        extra_inputs=conditions.extra_inputs, checkpoint=msgspec.Raw(checkpoint),
        local_variables=_one_value(conditions.local_variables, dict[str, msgspec.Raw]),
        limits=msgspec.Raw(_encoder.encode(limits)),
        grants=PackedGrants([dataclasses.asdict(grant) for grant in allowed.grants.http_grants], None, None),
        secrets={name: _bound(secrets[name], told) for name, told in plan.secrets.items()},
        wakes_freely=tenant.document.max_executing is None,
    ))  # fmt: skip


def _bound(secret: str | Secret, told: SecretTold) -> tuple[str, list[str] | None, list[str] | None]:
    """Value, hosts and places of a secret.

    SECURITY: where a stored one may go is what was stored with it, whatever the step says.
    """
    if isinstance(secret, Secret):
        return secret.value, list(secret.hosts), list(secret.also_in)
    return secret, list(told.hosts) or None, list(told.also_in) if told.hosts else None


def kind(plan: Plan) -> str:
    """The hash by which executions of this statement are known, those of single runs included."""
    return kind_of(plan.statement.encode("utf-8", "replace"))


def _one_value(text: bytes, kind: Any) -> msgspec.Raw:
    """A JSON text to be put into another.

    SECURITY: it is one value and nothing behind it, which would be another member of the order.
    """
    try:
        msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"a text that is no JSON: {str(error)[:200]}") from None
    return msgspec.Raw(text)
