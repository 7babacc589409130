"""Tenants and their keys as the running server knows them: who asks, what may be asked, what is live."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from ...grants import Grants, HttpGrant
from ...limits import Limits
from ..documents import GrantsDocument, TenantRequest
from ..problems import ProblemError
from ..quotas.budgets import Account, Budget, Dimension, Spent
from ..quotas.ceilings import Ceiling
from ..quotas.rates import RateCharge, Rates, Unit
from ..quotas.refusals import Owner
from ..quotas.rules import budgets_of, rates_of
from ..scheduling.fair_queue import TenantRules
from .keys import Key, KeyRecord, KeyRefused, Scope, find

if TYPE_CHECKING:
    from ..storage.storage import Storage

OPERATOR = "operator"
"""The name in place of a tenant's that the operator's own keys have."""
_FIRST_ESTIMATE = 0.01
"""Seconds of processor time of a run of which nothing is known."""
_NEWEST = 0.2
_BEARER = "bearer "
_MOST_ACCEPTED = 100_000


class LiveRun(Protocol):
    """What a tenant has to know of a run."""

    @property
    def is_asleep(self) -> bool:
        """Whether it runs and holds no slot."""
        ...


class Tenant:
    """One tenant: what it may do, and its runs that have not ended; their number is never kept apart from them."""

    def __init__(self, document: TenantRequest, server_limits: Limits, max_queued: int, spent: Iterable[Spent] = ()):
        self.queued: dict[str, LiveRun] = {}
        self.running: dict[str, LiveRun] = {}
        self.streams: set[object] = set()
        """Open streams of events and lines, which are counted here and nowhere else."""
        self.cpu_estimate = _FIRST_ESTIMATE
        self.name = document.name
        self.account = Account(Owner.TENANT, document.name, (), spent)
        self.change(document, server_limits, max_queued)

    def change(self, document: TenantRequest, server_limits: Limits, max_queued: int) -> None:
        """Other rules from now on, for what is admitted from now on.

        Raises:
            ConfigError: a rule makes no sense.
            ProblemError: a limit is more than the server's.
        """
        self.ceiling = ceiling_of(document, server_limits)
        self.usual_limits = limits_within(self.ceiling, {})
        self.account.change(budgets_of(document))
        self.rate = rates_of(document).get(Unit.REQUESTS)
        self.document = document
        self.max_queued = max_queued if document.max_queued is None else document.max_queued

    @property
    def executing(self) -> int:
        """Runs that hold a slot."""
        return sum(not run.is_asleep for run in self.running.values())

    @property
    def rules(self) -> TenantRules:
        """What the scheduler has to know."""
        document = self.document
        return TenantRules(
            weight=document.weight, max_executing=document.max_executing, max_queued=self.max_queued,
            max_wait_seconds=document.max_wait_seconds,
        )  # fmt: skip

    def refuse_unpaid(self, now: float) -> None:
        """Return if there is a budget for one more run.

        Raises:
            ProblemError: 429.
        """
        refusal = self.account.refusal(self.estimate, now)
        if refusal is not None:
            raise ProblemError.of(refusal)

    @property
    def estimate(self) -> dict[Dimension, float]:
        """What one more run will take, as far as anybody knows."""
        return {Dimension.CPU_SECONDS: self.cpu_estimate}

    def learn(self, cpu_seconds: float) -> None:
        """A run of it has taken so much."""
        self.cpu_estimate += _NEWEST * (cpu_seconds - self.cpu_estimate)


class Directory:
    """All tenants and keys."""

    def __init__(self, storage: Storage, server_limits: Limits, max_queued: int) -> None:
        self._storage = storage
        self._server_limits = server_limits
        self._max_queued = max_queued
        self._rates = Rates()
        self._keys = {record.id: record for record in storage.tenants.key_records()}
        self._accepted: dict[bytes, str] = {}
        """Which key a header had, by its digest: reading and checking it takes as long as all else of a request."""
        self.tenants: dict[str, Tenant] = {}
        now = time.time()
        for document in storage.tenants.documents():
            spent = [_spent(storage, document.name, budget, now) for budget in budgets_of(document)]
            self.tenants[document.name] = Tenant(document, server_limits, max_queued, spent)

    @property
    def has_admin_key(self) -> bool:
        """Whether a key for the operator has been issued that is valid."""
        now = time.time()
        return any(Scope.ADMIN in record.scopes and record.is_valid(now) for record in self._keys.values())

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
        known = self._accepted.get(digest)
        now = time.time()
        if known is not None and self._keys[known].is_valid(now) and scope in self._keys[known].scopes:
            return self._keys[known]
        try:
            key = Key.parse(authorization[len(_BEARER) :].strip())
            record = find(key, self._keys.get(key.id), now)
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

    def charges(self, tenant: Tenant) -> list[RateCharge]:
        """What one request takes of the rates."""
        if tenant.rate is None:
            return []
        return [RateCharge(Owner.TENANT, tenant.name, Unit.REQUESTS, tenant.rate)]

    def take_rate(self, tenant: Tenant) -> dict[str, str]:
        """Count a request; headers that tell what is left.

        Raises:
            ProblemError: 429.
        """
        charges = self.charges(tenant)
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

    async def put_tenant(self, document: TenantRequest) -> Tenant:
        """Make a tenant, or change one.

        Raises:
            ProblemError, ConfigError: a rule makes no sense.
        """
        if document.name == OPERATOR:
            raise ProblemError(409, "tenant.name", f"the name {OPERATOR!r} is taken; choose another")
        # Refused before anything is stored.
        made = Tenant(document, self._server_limits, self._max_queued)
        await self._storage.tenants.put(document)
        known = self.tenants.setdefault(document.name, made)
        known.change(document, self._server_limits, self._max_queued)
        return known

    async def put_key(self, record: KeyRecord) -> None:
        """Have a key accepted from now on."""
        await self._storage.tenants.add_key(record)
        self._keys[record.id] = record


def ceiling_of(document: TenantRequest, server_limits: Limits) -> Ceiling:
    """The ceiling of a tenant's runs, within the server's.

    Raises: ConfigError, ProblemError: as `Tenant.change`.
    """
    asked = {**{name: getattr(server_limits, name) for name in Limits.__slots__}, **document.limits}
    return Ceiling(limits=limits_within(Ceiling(limits=server_limits), asked), grants=grants_of(document.grants))


def limits_within(ceiling: Ceiling, asked: Mapping[str, int | float]) -> Limits:
    """The limits of a run that asks for these.

    Raises:
        ConfigError: there is no such limit, or a value makes no sense.
        ProblemError: one is more than the ceiling.
    """
    limits = ceiling.limits_for(asked)
    if not isinstance(limits, Limits):
        raise ProblemError.of(limits)
    return limits


def grants_of(document: GrantsDocument) -> Grants:
    """The grants that a document asks for.

    Raises:
        ConfigError: one is not a grant.
    """
    private = [HttpGrant.parse(text, allow_private=True) for text in document.http_private]
    return Grants(http=[*document.http, *private])


def _spent(storage: Storage, tenant: str, budget: Budget, now: float) -> Spent:
    """What of a budget is on record, in the window that is now."""
    since = budget.window.start(budget.window.number(now))
    return Spent(budget, since, storage.usage.cpu_seconds(tenant, since))
