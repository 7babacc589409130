"""Quotas over HTTP: every rule with what of it is used, and the rules that a tenant gives its projects and keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ..documents import GrantsDocument, Name, PartRules
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..problems import ProblemError, not_found
from ..quotas.refusals import Owner
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..quotas.refusals import Number
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.directory import Directory, Tenant
    from ..tenants.keys import Actor, KeyRecord
    from ..tenants.rule_sets import RuleSet
    from .access import Access

_decoder = msgspec.json.Decoder(PartRules)


class QuotaRule(Struct):
    """One rule: `value` is what it allows (null: no bound), `used` what of that is taken now, where that is counted.

    Rates have a `burst`, of which `used` is taken; budgets have what runs have `reserved`, and when the next window
    begins; limits hold for each run by itself.
    """

    rule: str
    owner: str
    owner_id: str
    changed_by: str
    value: int | float | None
    used: int | float | None = None
    reserved: int | float | None = None
    burst: float | None = None
    resets_at: str | None = None


class RunCounts(Struct):
    """A tenant's runs that have not ended, and how many there may be; null is no bound."""

    queued: int
    max_queued: int
    executing: int
    max_executing: int | None
    asleep: int


class QuotasDocument(Struct):
    """What the asking key may have, by the rules of its tenant, its project and its own."""

    tenant: str
    weight: int
    runs: RunCounts
    limits: dict[str, int | float]
    grants: GrantsDocument
    rules: list[QuotaRule]


class PartDocument(Struct):
    """The rules of a project or a key, and what of them is used."""

    owner: str
    id: str
    rules: PartRules
    quotas: list[QuotaRule]


class QuotasApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, directory: Directory, runs: Runs) -> None:
        self._access = access
        self._storage = storage
        self._directory = directory
        self._runs = runs

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/quotas", GET=Operation(
                handler=self.get_quotas, scope=Scope.READ, answers={200: QuotasDocument},
            )),
            *(
                route(f"/v1/quotas/{kind}/{{name}}", GET=Operation(
                    handler=self.get_part, scope=Scope.KEYS, answers={200: PartDocument},
                ), PUT=Operation(
                    handler=self.put_part, scope=Scope.KEYS, body=PartRules, answers={200: PartDocument},
                    problems=(408, 409, 413, 415),
                ), DELETE=Operation(
                    handler=self.delete_part, scope=Scope.KEYS, answers={204: None},
                ))
                for kind in _OWNERS
            ),
            route("/v1/admin/tenants/{name}/quotas", GET=Operation(
                handler=self.get_of_tenant, scope=Scope.ADMIN, answers={200: QuotasDocument},
            )),
        )  # fmt: skip

    async def get_quotas(self, request: Request) -> Answered:
        """Every rule that holds for the asking key: its value, what is used, when that resets, who may change it."""
        tenant, key = self._access.tenant(request, Scope.READ)
        return await self._all(tenant, key.id)

    async def get_of_tenant(self, request: Request) -> Answered:
        """Every rule of a tenant, without those of its projects and keys."""
        self._access.operator(request)
        tenant = self._directory.tenants.get(request.parts["name"])
        if tenant is None:
            raise not_found()
        return await self._all(tenant, "")

    async def _all(self, tenant: Tenant, key_id: str) -> Answered:
        """What a key may have; "" is one that has no rules but its tenant's."""
        limits, executing = tenant.limits_for(key_id, {}), tenant.executing
        # What is live is known without the store, which may be away.
        has_rule = tenant.document.max_steps is not None
        steps = await self._storage.steps.count(tenant.name) if has_rule else None
        rules = [*self._counts(tenant, steps), *(rule for one in tenant.rule_sets(key_id) for rule in self._rules(one))]
        return json_answer(200, QuotasDocument(
            tenant=tenant.name, weight=tenant.document.weight,
            runs=RunCounts(
                queued=len(tenant.queued), max_queued=tenant.max_queued, executing=executing,
                max_executing=tenant.document.max_executing, asleep=len(tenant.running) - executing,
            ),
            limits={name: getattr(limits, name) for name in type(limits).__slots__},
            grants=tenant.document.grants, rules=rules,
        ))  # fmt: skip

    async def get_part(self, request: Request) -> Answered:
        """The rules of a project or a key of the tenant, and what of them is used."""
        tenant, owner, name, _ = self._part(request)
        return self._told(owner, name, tenant.parts.get((owner, name)))

    async def put_part(self, request: Request) -> Answered:
        """Give a project or a key of the tenant rules below the tenant's; the strictest of all decides."""
        tenant, owner, name, actor = self._part(request, is_change=True)
        rules = decode_body(await self._access.small_body(request), _decoder)
        return self._told(owner, name, await self._directory.put_part(tenant, owner, name, rules, actor))

    async def delete_part(self, request: Request) -> Answered:
        """Have a project or a key of the tenant without rules of its own."""
        tenant, owner, name, actor = self._part(request, is_change=True)
        await self._directory.delete_part(tenant, owner, name, actor)
        return Answered(204, b"")

    def _part(self, request: Request, *, is_change: bool = False) -> tuple[Tenant, Owner, str, Actor]:
        """Whose rules are meant, and who asks; the key may see and change them.

        SECURITY: a key of a project sets no rules: it could loosen those that it is held to.

        Raises:
            ProblemError: 403, 404.
        """
        tenant, key = self._access.tenant(request, Scope.KEYS)
        owner, name = _OWNERS[request.scope["path"].split("/")[3]], request.parts["name"]
        if owner is Owner.KEY and self._directory.keys.find(tenant.name, name) is None:
            raise not_found()
        if owner is Owner.PROJECT and not _is_name(name):
            raise not_found()
        if key.project is not None and (is_change or not self._is_own(key, owner, name)):
            text = f"this key is of the project {key.project}; rules are set, and others' seen, by keys of no project"
            raise ProblemError(403, "key.project", text, changed_by="tenant")
        return tenant, owner, name, key.actor

    @staticmethod
    def _is_own(key: KeyRecord, owner: Owner, name: str) -> bool:
        return name == (key.project if owner is Owner.PROJECT else key.id)

    def _told(self, owner: Owner, name: str, rules: RuleSet | None) -> Answered:
        document = PartRules() if rules is None else rules.rules
        assert isinstance(document, PartRules)
        quotas = [] if rules is None else list(self._rules(rules))
        return json_answer(200, PartDocument(owner.value, name, document, quotas))

    def _counts(self, tenant: Tenant, steps: int | None) -> Iterator[QuotaRule]:
        document, executing = tenant.document, tenant.executing
        counts: dict[str, tuple[int | None, int | None]] = {
            "executing": (document.max_executing, executing),
            "asleep": (document.max_asleep, len(tenant.running) - executing),
            "queued": (tenant.max_queued, len(tenant.queued)),
            "streams": (document.max_streams, len(tenant.streams)),
            "stored_runs": (document.max_stored_runs, self._runs.recorder.counts.get(tenant.name)),
            "steps": (document.max_steps, steps),
            "secrets": (document.max_secrets, len(tenant.secrets)),
            "keys": (document.max_keys, self._directory.keys.count(tenant.name)),
        }
        for name, (value, used) in counts.items():
            yield _rule(f"count.{name}", Owner.TENANT, tenant.name, value, used)
        yield _rule("schedule.start_by", Owner.TENANT, tenant.name, document.max_wait_seconds)

    def _rules(self, rules: RuleSet) -> Iterator[QuotaRule]:
        owner, owner_id = rules.account.owner, rules.account.owner_id
        for charge in rules.charges(0):
            rule = _rule(f"rate.{charge.unit}", owner, owner_id, charge.rate.per_second)
            rule.used, rule.burst = self._directory.rate_used(charge), charge.rate.burst
            yield rule
        for spent in rules.account.spent(time.time()):
            name = f"budget.{spent.budget.dimension}.{spent.budget.window}"
            rule = _rule(name, owner, owner_id, spent.budget.limit, spent.used)
            rule.reserved = spent.reserved
            rule.resets_at = datetime.fromtimestamp(spent.resets_at, UTC).isoformat(timespec="seconds")
            yield rule
        if rules.ceiling is not None:
            named = rules.rules.limits if isinstance(rules.rules, PartRules) else type(rules.ceiling.limits).__slots__
            for name in named:
                yield _rule(f"limit.{name}", owner, owner_id, getattr(rules.ceiling.limits, name))


_OWNERS = {"projects": Owner.PROJECT, "keys": Owner.KEY}


def _is_name(text: str) -> bool:
    try:
        msgspec.convert(text, Name)
    except msgspec.ValidationError:
        return False
    return True


def _rule(name: str, owner: Owner, owner_id: str, value: Number | None, used: Number | None = None) -> QuotaRule:
    return QuotaRule(name, owner.value, owner_id, owner.changed_by, value, used)
