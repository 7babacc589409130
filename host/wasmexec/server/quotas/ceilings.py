"""`Ceiling`: the most that each run of a tenant, project or key may have; a request may ask for less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from ...errors import ConfigError
from ...grants import Grants, HttpGrant
from ...limits import Limits
from .refusals import Number, Owner, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that the runs of a tenant, or of a project or key of one, may have each; a request can only tighten it.

    Files of certificates and the proxy come from the ceiling alone.
    """

    owner: Owner = Owner.TENANT
    limits: Limits = field(default_factory=Limits)
    grants: Grants | None = field(default_factory=Grants)
    """None: what somebody else's ceiling permits."""

    def limits_for(self, asked: Mapping[str, Number]) -> Limits | Refusal:
        """The limits of a run: what is asked for, else the default, never more than the ceiling.

        Raises:
            ConfigError: there is no such limit, or the value makes no sense.
        """
        wanted, usual = limits_of(asked), Limits()
        effective: dict[str, Number] = {}
        for name in (item.name for item in fields(Limits)):
            ceiling, value = getattr(self.limits, name), getattr(wanted, name)
            if name in asked and value > ceiling:
                return Refusal(
                    rule=f"limit.{name}",
                    owner=self.owner,
                    status=400,
                    value=ceiling,
                    asked=value,
                    message=f"limits: {name} must be at most {ceiling:,}, the {self.owner}'s ceiling, not {value:,}",
                )
            effective[name] = value if name in asked else min(getattr(usual, name), ceiling)
        return Limits(**effective)  # type: ignore[arg-type]

    def grants_for(self, asked: Grants) -> Grants | Refusal:
        """What a run may reach: what is asked for, if the ceiling permits all of it; without one, what was asked for.

        SECURITY: a request names no file of this machine and no proxy; both are the ceiling's.
        """
        if self.grants is None:
            return asked
        for name in ("ca_file", "proxy"):
            if getattr(asked, name) is not None:
                return self._refusal(f"grants: {name} is the operator's to say", f"grant.{name}", name, ())
        effective: list[HttpGrant] = []
        # The exact ones first: where two have certificates, theirs count.
        ceilings = sorted(self.grants.http_grants, key=lambda grant: grant.host.startswith("*."))
        for grant in asked.http_grants:
            if any(item is not None for item in (grant.ca_file, grant.client_cert, grant.client_key)):
                message = f"grants: {grant.text}: files of certificates are the operator's to say"
                return self._refusal(message, "grant.files", grant.text, ())
            over = [ceiling for ceiling in ceilings if ceiling.covers_host(grant.host)]
            if grant.allow_private:
                over = [ceiling for ceiling in over if ceiling.allow_private]
            if not _is_permitted(grant, over):
                private = " on private networks" if grant.allow_private else ""
                texts = tuple(ceiling.text for ceiling in ceilings)
                may = f"only {', '.join(texts)}" if texts else "nothing"
                message = f"grants: {grant.text}{private} is more than the {self.owner} may reach, which is {may}"
                return self._refusal(message, "grant.http", grant.text, texts)
            effective += (narrowed for ceiling in over if (narrowed := _narrowed(ceiling, grant)) is not None)
        return Grants(http=effective, ca_file=self.grants.ca_file, proxy=self.grants.proxy if effective else None)

    def _refusal(self, message: str, rule: str, asked: str, value: tuple[str, ...]) -> Refusal:
        return Refusal(rule=rule, owner=self.owner, status=400, value=value, asked=asked, message=message)


def _is_permitted(grant: HttpGrant, ceilings: Sequence[HttpGrant]) -> bool:
    """Whether every request that a grant permits is permitted by one of the ceilings, all of which cover its host."""
    for scheme in grant.schemes:
        for method in grant.methods:
            ports = {
                port for item in ceilings if scheme in item.schemes and method in item.methods for port in item.ports
            }
            if not ports.issuperset(grant.ports):
                return False
    return True


def _narrowed(ceiling: HttpGrant, grant: HttpGrant) -> HttpGrant | None:
    """What both permit, with the ceiling's certificates."""
    ports = [port for port in grant.ports if port in ceiling.ports]
    methods = [method for method in grant.methods if method in ceiling.methods]
    schemes = [scheme for scheme in grant.schemes if scheme in ceiling.schemes]
    if not (ports and methods and schemes):
        return None
    return replace(
        ceiling, host=grant.host, ports=ports, methods=methods, schemes=schemes, allow_private=grant.allow_private
    )


def limits_of(values: Mapping[str, Number]) -> Limits:
    """The limits of these values, the others as usual.

    Raises:
        ConfigError: there is no such limit, or a value makes no sense.
    """
    known = {item.name for item in fields(Limits)}
    for name in values:
        if name not in known:
            raise ConfigError(f"limits: there is no limit {name!r:.80}, only {', '.join(sorted(known))}")
    return Limits(**values)  # type: ignore[arg-type]
