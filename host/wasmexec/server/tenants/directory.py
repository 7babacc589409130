"""Tenants and their keys as the running server knows them: who asks, what may be asked, what is live."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ...grants import Grants
from ...limits import Limits
from ...secret import Secret
from ..documents import PartRules, SecretDocument, TenantRequest
from ..problems import ProblemError
from ..quotas.budgets import Account, Budget, Dimension, Spent, reserve_all
from ..quotas.ceilings import Ceiling
from ..quotas.rates import RateCharge, Rates, Unit
from ..quotas.refusals import Number, Owner, check_count
from ..quotas.rules import budgets_of, rates_of
from ..scheduling.fair_queue import TenantRules
from .estimates import CostEstimates
from .key_ring import KeyRing
from .keys import OPERATOR, Actor, Key, KeyRecord, KeyRefused, Rotation, Scope, find
from .rule_sets import RuleSet, ceiling_of_part, grants_of, grants_within, limits_within
from .secrets import StoredSecret, seal_secret

if TYPE_CHECKING:
    from ..storage.storage import Storage

MOST_PARTS: Final = 1000
"""Projects and keys of one tenant that have rules of their own."""
_BEARER = "bearer "
_MOST_ACCEPTED = 100_000


class LiveRun(Protocol):
    """What a tenant has to know of a run."""

    @property
    def is_asleep(self) -> bool:
        """Whether it runs and holds no slot."""
        ...


class PricedRun(Protocol):
    """What budgets have to know of a run."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def key_id(self) -> str:
        """The key that asked for it."""
        ...

    @property
    def statement(self) -> str:
        """What runs of its kind have in common."""
        ...

    @property
    def limits(self) -> Limits:
        """Those that are in force."""
        ...

    @property
    def has_grants(self) -> bool:
        """Whether it may reach anything."""
        ...


class Tenant:
    """One tenant: what it may do, and its runs that have not ended; their number is never kept apart from them."""

    def __init__(self, document: TenantRequest, server_limits: Limits, max_queued: int):
        self.queued: dict[str, LiveRun] = {}
        self.running: dict[str, LiveRun] = {}
        self.streams: set[object] = set()
        """Open streams of events and lines, which are counted here and nowhere else."""
        self.secrets: dict[str, StoredSecret] = {}
        self.name = document.name
        self.own = RuleSet(Owner.TENANT, document.name)
        self.parts: dict[tuple[Owner, str], RuleSet] = {}
        """The rules of its projects and keys, by their names and ids."""
        self.projects: dict[str, str] = {}
        """Of keys that belong to one."""
        self._estimates = CostEstimates()
        self.is_deleted = False
        self.change(document, server_limits, max_queued)

    def change(self, document: TenantRequest, server_limits: Limits, max_queued: int) -> list[Budget]:
        """Other rules from now on, for what is admitted from now on; the budgets among them that are new.

        Where the server allows less than it did, so does the tenant.

        Raises:
            ConfigError: a rule makes no sense.
        """
        self.ceiling = ceiling_of(document, server_limits)
        self.usual_limits = limits_within([self.ceiling], {})
        new = self.own.change(document, self.ceiling)
        self.document = document
        self.max_queued = max_queued if document.max_queued is None else document.max_queued
        return new

    @property
    def executing(self) -> int:
        """Runs that hold a slot."""
        return sum(not run.is_asleep for run in self.running.values())

    @property
    def rules(self) -> TenantRules:
        """What the scheduler has to know."""
        document = self.document
        return TenantRules(
            weight=document.weight, max_executing=document.max_executing, max_asleep=document.max_asleep,
            max_queued=self.max_queued, max_wait_seconds=document.max_wait_seconds,
            is_paused=bool(document.paused),
        )  # fmt: skip

    def refuse_inactive(self, *, is_durable: bool) -> None:
        """Return if it takes runs: while it is paused only those that may wait for as long as that takes.

        Raises:
            ProblemError: 503; 401: it is no more.
        """
        if self.is_deleted:
            raise ProblemError(401, "key.unknown", "there is no such API key", changed_by="operator")
        if self.document.paused and not is_durable:
            raise ProblemError(
                503, "tenant.paused", f"the operator has paused the tenant {self.name}; with Prefer: respond-async a "
                "run waits until it goes on", changed_by="operator",
            )  # fmt: skip

    def rule_sets(self, key_id: str) -> tuple[RuleSet, ...]:
        """The rules that hold for a key: the tenant's, those of its project, its own."""
        if not self.parts:
            return (self.own,)
        owners = ((Owner.PROJECT, self.projects.get(key_id, "")), (Owner.KEY, key_id))
        return (self.own, *(part for owner in owners if (part := self.parts.get(owner)) is not None))

    def limits_for(self, key_id: str, asked: Mapping[str, int | float]) -> Limits:
        """The limits of a run that asks for these with a key.

        Raises:
            ConfigError: there is no such limit, or a value makes no sense.
            ProblemError: 400: one is more than a ceiling.
        """
        if not asked and not self.parts:
            return self.usual_limits
        return limits_within(self._ceilings(key_id), asked)

    def grants_for(self, key_id: str, asked: Grants) -> Grants:
        """What a run may reach that asks for this with a key.

        Raises:
            ProblemError: 400: it is more than a ceiling permits.
        """
        return grants_within(self._ceilings(key_id), asked)

    def reserve(self, run: PricedRun, cpu_seconds: float, now: float, *, is_admitted: bool = False) -> None:
        """Set aside what a run is expected to take, in every budget that holds for it, or in none.

        `cpu_seconds` is what the scheduler expects; for a run that `is_admitted` already there is always room.

        Raises:
            ProblemError: 429.
        """
        accounts = [rules.account for rules in self.rule_sets(run.key_id)]
        dimensions = _dimensions(accounts)
        estimate = self._estimates.of(
            dimensions, run.statement, cpu_seconds, run.limits, has_grants=run.has_grants
        ) if dimensions else {}  # fmt: skip
        if is_admitted:
            for account in accounts:
                account.admit(run.id, estimate)
        elif (refusal := reserve_all(accounts, run.id, estimate, now)) is not None:
            raise ProblemError.of(refusal)

    def grow(self, run: PricedRun, cpu_seconds: float) -> None:
        """What a live run has used so far."""
        for rules in self.rule_sets(run.key_id):
            if run.id in rules.account:
                rules.account.grow(run.id, {Dimension.CPU_SECONDS: cpu_seconds})

    def settle(self, run: PricedRun, truth: Mapping[Dimension, Number], now: float) -> None:
        """A run has ended, and is charged for what it took, also to budgets that have come since it was admitted.

        One that was withdrawn has taken nothing: `truth` is empty.
        """
        accounts = [rules.account for rules in self.rule_sets(run.key_id)]
        for account in accounts:
            if run.id not in account:
                account.admit(run.id, {})
            account.settle(run.id, truth, now)
        if truth:
            self._estimates.learn(_dimensions(accounts), run.statement, truth)

    def accounts(self, key_id: str) -> list[Account]:
        """Those that runs of a key are charged to and that have a budget."""
        return [rules.account for rules in self.rule_sets(key_id) if rules.account.dimensions]

    def _ceilings(self, key_id: str) -> list[Ceiling]:
        return [rules.ceiling for rules in self.rule_sets(key_id) if rules.ceiling is not None]


class Directory:
    """All tenants and keys."""

    def __init__(self, storage: Storage, server_limits: Limits, max_queued: int) -> None:
        self._storage = storage
        self._server_limits = server_limits
        self._max_queued = max_queued
        self._rates = Rates()
        self.keys = KeyRing(storage, self._keys_changed)
        self._accepted: dict[bytes, str] = {}
        """Which key a header had, by its digest: reading and checking it takes as long as all else of a request."""
        self.tenants = {
            document.name: Tenant(document, server_limits, max_queued) for document in storage.tenants.documents()
        }
        for record in self.keys.records.values():
            self._note_project(record)
        for secret in storage.secrets.all():
            if (known := self.tenants.get(secret.tenant)) is not None:
                known.secrets[secret.name] = secret
        for tenant, owner, name, rules in storage.accounts.part_rules():
            part = self.tenants[tenant].parts[owner, name] = RuleSet(owner, _owner_id(tenant, owner, name))
            part.change(rules, ceiling_of_part(owner, rules))
        self._count_what_was_used()

    @property
    def has_admin_key(self) -> bool:
        """Whether a key for the operator has been issued that is valid."""
        return bool(self.keys.valid(OPERATOR, time.time()))

    def authorize(self, authorization: str | None, scope: Scope) -> KeyRecord:
        """The key of a request, which must have a scope.

        Raises:
            ProblemError: 401, 403.
        """
        if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
            raise ProblemError(
                401,
                "key",
                "the request needs an API key: Authorization: Bearer wx_...",
                headers={"WWW-Authenticate": "Bearer"},
            )
        # SECURITY: what is looked up is a digest, so the time that takes tells nothing of any key.
        digest = hashlib.sha256(authorization.encode("utf-8", "replace")).digest()
        accepted = self.keys.records.get(self._accepted.get(digest, ""))
        now = time.time()
        if accepted is not None and accepted.is_valid(now) and scope in accepted.scopes:
            return accepted
        try:
            key = Key.parse(authorization[len(_BEARER) :].strip())
            record = find(key, self.keys.records.get(key.id), now)
            if len(self._accepted) < _MOST_ACCEPTED:
                self._accepted[digest] = record.id
            record.require(scope)
        except KeyRefused as refusal:
            status = 403 if refusal.rule == "scope" else 401
            headers = {} if status == 403 else {"WWW-Authenticate": "Bearer"}
            raise ProblemError(
                status, f"key.{refusal.rule}", refusal.message, headers=headers, changed_by="tenant"
            ) from None
        return record

    def take_rate(self, tenant: Tenant, key_id: str, size: int, *, is_new: bool = True) -> dict[str, str]:
        """Count a request and the bytes of its body, in every rate that holds for its key, or in none.

        The answer is headers that tell what is left. A request that was counted before (not `is_new`) is not counted
        again, its bytes are.

        Raises:
            ProblemError: 429.
        """
        sets = tenant.rule_sets(key_id)
        charges = [item for rules in sets for item in rules.charges(size) if is_new or item.unit is Unit.BYTES]
        if not charges:
            return {}
        now = time.monotonic()
        refusal = self._rates.take(charges, now)
        headers = self._rates.headers(charges, now)
        if refusal is not None:
            problem = ProblemError.of(refusal)
            problem.headers |= headers
            raise problem
        return headers

    def rate_used(self, charge: RateCharge) -> float:
        """What of the burst of a rate is taken now."""
        return self._rates.used(charge, time.monotonic())

    async def put_tenant(self, document: TenantRequest, actor: Actor) -> Tenant:
        """Make a tenant, or change one.

        Raises:
            ProblemError, ConfigError: a rule makes no sense.
        """
        if document.name == OPERATOR:
            raise ProblemError(409, "tenant.name", f"the name {OPERATOR!r} is taken; choose another")
        before = self.tenants.get(document.name)
        if document.paused is None:
            document.paused = before is not None and bool(before.document.paused)
        # Refused before anything is stored.
        limits_within([Ceiling(owner=Owner.SERVER, limits=self._server_limits)], document.limits)
        made = Tenant(document, self._server_limits, self._max_queued)
        await self._storage.tenants.put(document, actor)
        known = self.tenants.setdefault(document.name, made)
        new = known.change(document, self._server_limits, self._max_queued)
        await self._count_earlier(known.name, Owner.TENANT, known.name, known.own, new)
        return known

    async def put_part(self, tenant: Tenant, owner: Owner, name: str, rules: PartRules, actor: Actor) -> RuleSet:
        """Give a project or a key other rules; those that say nothing are none.

        Raises:
            ConfigError: a rule makes no sense.
            ProblemError: 400, 409: more than the tenant may have, too many projects and keys with rules.
        """
        ceiling = ceiling_of_part(owner, rules)
        limits_within([tenant.ceiling], rules.limits)
        if rules.grants is not None:
            grants_within([tenant.ceiling], grants_of(rules.grants))
        rates_of(rules)
        is_known = (owner, name) in tenant.parts
        refusal = (
            None if is_known else check_count("rule_sets", tenant.parts, MOST_PARTS, owner=Owner.SERVER, status=409)
        )
        if refusal is not None:
            raise ProblemError.of(refusal)
        await self._storage.accounts.put_rules(tenant.name, owner, name, rules, actor)
        part = tenant.parts.setdefault((owner, name), RuleSet(owner, _owner_id(tenant.name, owner, name)))
        new = part.change(rules, ceiling)
        await self._count_earlier(tenant.name, owner, name, part, new)
        return part

    async def delete_part(self, tenant: Tenant, owner: Owner, name: str, actor: Actor) -> None:
        """Have a project or a key without rules of its own."""
        await self._storage.accounts.delete_rules(tenant.name, owner, name, actor)
        self._forget_part(tenant, owner, name)

    async def put_secret(self, tenant: Tenant, name: str, document: SecretDocument, actor: Actor) -> StoredSecret:
        """Store a secret of a tenant, or another value in its place.

        Raises:
            ConfigError: the value cannot be bound to hosts, or one is not a host.
            ProblemError: 409: the tenant has as many as it may.
        """
        secret = Secret(document.value, hosts=document.hosts, also_in=document.also_in)
        sealed = seal_secret(self._storage.vault, tenant.name, name, secret, time.time())
        stored = await self._storage.secrets.put(sealed, tenant.document.max_secrets, actor)
        tenant.secrets[name] = stored
        return stored

    async def delete_secret(self, tenant: Tenant, name: str, actor: Actor) -> None:
        """Forget a secret of a tenant.

        Raises:
            ProblemError: 404.
        """
        await self._storage.secrets.delete(tenant.name, name, actor)
        tenant.secrets.pop(name, None)

    async def rotate_key(
        self, issuer: KeyRecord, tenant: str, key_id: str, overlap_seconds: float, lifetime_seconds: float | None
    ) -> Rotation:
        """A key in place of the newest of a name, as `KeyRing.rotate`, with the rules that the old one has.

        Raises:
            ProblemError: 403, 404, 409.
        """
        turn = await self.keys.rotate(issuer, tenant, key_id, overlap_seconds, lifetime_seconds)
        known, replaced = self.tenants.get(tenant), turn.changed[0].id
        part = None if known is None else known.parts.get((Owner.KEY, replaced))
        if known is not None and part is not None and isinstance(part.rules, PartRules):
            # Nobody has seen the new key yet.
            await self.put_part(known, Owner.KEY, turn.record.id, part.rules, issuer.actor)
        return turn

    def _keys_changed(self, record: KeyRecord, forgotten: Collection[str]) -> None:
        """A key is there, or is in another state; what was kept of others of its tenant is gone."""
        self._note_project(record)
        tenant = self.tenants.get(record.tenant)
        if tenant is not None:
            for key_id in forgotten:
                tenant.projects.pop(key_id, None)
                self._forget_part(tenant, Owner.KEY, key_id)

    @staticmethod
    def _forget_part(tenant: Tenant, owner: Owner, name: str) -> None:
        part = tenant.parts.get((owner, name))
        if part is None:
            return
        part.change(PartRules(), None)
        if not len(part.account):
            del tenant.parts[owner, name]

    async def remove_tenant(self, tenant: Tenant, actor: Actor) -> None:
        """Delete a tenant that has no runs, and all that is stored of it; its keys are not accepted from now on.

        Raises:
            StoreError: not all of it is deleted; the tenant is there again, so that it can be tried again.
        """
        tenant.is_deleted = True
        ended = self.keys.forget(tenant.name)
        del self.tenants[tenant.name]
        try:
            await self._storage.steps.delete_all(tenant.name)
            await self._storage.tenants.remove(tenant.name, actor)
        except BaseException:
            tenant.is_deleted = False
            self.tenants[tenant.name] = tenant
            self.keys.know_again(ended)
            raise

    def _note_project(self, record: KeyRecord) -> None:
        tenant = self.tenants.get(record.tenant)
        if tenant is not None and record.project is not None:
            tenant.projects[record.id] = record.project

    def _count_what_was_used(self) -> None:
        """Go on with the budgets as the last process left them; what it did not have is counted from usage."""
        saved, now = self._storage.accounts.spent(), time.time()
        for tenant in self.tenants.values():
            for (owner, name), rules in [((Owner.TENANT, tenant.name), tenant.own), *tenant.parts.items()]:
                kept = saved.get((owner, rules.account.owner_id), {})
                budgets = budgets_of(rules.rules)
                known = [
                    Spent(budget, *kept[key])
                    for budget in budgets if (key := (budget.dimension, budget.window)) in kept
                ]  # fmt: skip
                others = [budget for budget in budgets if (budget.dimension, budget.window) not in kept]
                if others:
                    known += self._storage.usage.spent(tenant.name, owner, name, others, now)
                rules.account.add_earlier(known, now)

    async def _count_earlier(
        self, tenant: str, owner: Owner, name: str, rules: RuleSet, budgets: Sequence[Budget]
    ) -> None:
        """Have new budgets include what was used of the day and the month before there were any."""
        if budgets:
            now = time.time()
            rules.account.add_earlier(await self._storage.usage.spent_before(tenant, owner, name, budgets, now), now)


def ceiling_of(document: TenantRequest, server_limits: Limits) -> Ceiling:
    """The ceiling of a tenant's runs, never above the server's.

    Raises: ConfigError: as `Tenant.change`.
    """
    own = {name: min(value, getattr(server_limits, name, value)) for name, value in document.limits.items()}
    limits = {name: getattr(server_limits, name) for name in Limits.__slots__} | own
    return Ceiling(limits=Limits(**limits), grants=grants_of(document.grants))


def _dimensions(accounts: Sequence[Account]) -> frozenset[Dimension]:
    if len(accounts) == 1:
        return accounts[0].dimensions
    return frozenset[Dimension]().union(*(account.dimensions for account in accounts))


def _owner_id(tenant: str, owner: Owner, name: str) -> str:
    """Projects of several tenants may have one name; ids of keys are everybody's."""
    return f"{tenant}/{name}" if owner is Owner.PROJECT else name
