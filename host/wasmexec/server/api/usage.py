"""Usage and quotas over HTTP: what a tenant has used, and what it may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from ..http.operations import Answered, Operation, Route, json_answer, route
from ..storage.tables import COUNTS
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..storage.storage import Storage
    from .access import Access

_DAY = 86_400


class UsageQuery(Struct, forbid_unknown_fields=True):
    """How far back."""

    days: Annotated[int, Meta(ge=1, le=3660)] = 31


class UsageApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage) -> None:
        self._access = access
        self._storage = storage

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/usage", GET=Operation(
                handler=self.get_usage, scope=Scope.READ, query=UsageQuery, answers={200: dict[str, Any]},
            )),
            route("/v1/quotas", GET=Operation(
                handler=self.get_quotas, scope=Scope.READ, answers={200: dict[str, Any]},
            )),
        )  # fmt: skip

    async def get_usage(self, request: Request) -> Answered:
        """What the tenant's runs have used, by the hour."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        days = request.query(UsageQuery).days
        hours = await self._storage.usage.hours(tenant.name, time.time() - days * _DAY)
        total = {name: sum(hour[name] for hour in hours) for name in COUNTS}
        return json_answer(200, {"tenant": tenant.name, "days": days, "total": total, "hours": hours})

    async def get_quotas(self, request: Request) -> Answered:
        """What the tenant may have, and what of it is taken now."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        limits = tenant.ceiling.limits
        budgets = [
            {
                "rule": f"budget.{spent.budget.dimension}.{spent.budget.window}", "limit": spent.budget.limit,
                "used": spent.used, "reserved": spent.reserved, "resets_at": spent.resets_at,
            }
            for spent in tenant.account.spent(time.time())
        ]  # fmt: skip
        document = tenant.document
        return json_answer(200, {
            "tenant": tenant.name, "weight": document.weight,
            "limits": {name: getattr(limits, name) for name in type(limits).__slots__},
            "grants": document.grants,
            "runs": {
                "queued": len(tenant.queued), "max_queued": tenant.max_queued, "executing": tenant.executing,
                "max_executing": document.max_executing, "asleep": len(tenant.running) - tenant.executing,
            },
            "requests_per_second": None if tenant.rate is None else tenant.rate.per_second,
            "requests_burst": None if tenant.rate is None else tenant.rate.burst,
            "budgets": budgets,
        })  # fmt: skip
