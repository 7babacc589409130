"""The operator's part over HTTP: tenants."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..documents import Name, TenantRequest
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..problems import ProblemError
from ..quotas.budgets import Window
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs
    from ..steps.step_runs import StepRuns
    from ..storage.storage import Storage
    from ..tenants.directory import Directory, Tenant
    from ..tenants.keys import Actor
    from .access import Access

_END_SECONDS = 5.0
"""For the runs of a tenant that is deleted to end."""
_tenant_decoder = msgspec.json.Decoder(TenantRequest)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_EXAMPLES = {
    "a name is enough": {"name": "acme"},
    "rules": {
        "name": "acme", "weight": 2, "limits": {"wall_seconds": 10}, "grants": {"http": ["GET https://api.example.com"]},
        "max_queued": 100, "max_executing": 4, "requests_per_second": 50, "cpu_seconds_per_day": 3600,
    },
}  # fmt: skip
_RULES_EXAMPLES = {"for a tenant that pays little": {"max_executing": 1, "cpu_seconds_per_day": 600}}


class TenantRules(TenantRequest, forbid_unknown_fields=True, kw_only=True):
    """The rules of a tenant whose name is in the address; the name in the body may be left out, or is the same."""

    name: Name | UnsetType = UNSET  # type: ignore[assignment]


class TenantDocument(Struct):
    """A tenant: its `rules`, and its figures now; `cpu_seconds_today` is on record since midnight in UTC."""

    name: str
    paused: bool
    queued: int
    executing: int
    asleep: int
    cpu_seconds_today: float
    rules: TenantRequest


class TenantsDocument(Struct):
    """A page of tenants by name; `next` is the `after` of the next page, null at the end."""

    tenants: list[TenantDocument]
    next: str | None


class TenantsQuery(Struct, forbid_unknown_fields=True):
    """Which page."""

    after: Annotated[str, Meta(max_length=63)] = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class DeletionQuery(Struct, forbid_unknown_fields=True):
    """Whether its runs are to be cancelled; without it a tenant that has some is not deleted."""

    cancel: bool = False


class AdminApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, directory: Directory, runs: Runs, step_runs: StepRuns) -> None:
        self._step_runs = step_runs
        self._access = access
        self._storage = storage
        self._directory = directory
        self._runs = runs

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        changed: dict[int, Any] = {200: TenantDocument}
        return (
            route("/v1/admin/tenants",
                GET=Operation(
                    handler=self.get_tenants, scope=Scope.ADMIN, query=TenantsQuery, answers={200: TenantsDocument},
                ),
                POST=Operation(
                    handler=self.post_tenant, scope=Scope.ADMIN, body=TenantRequest,
                    answers={200: TenantRequest, 201: TenantRequest}, problems=(409,), examples=_EXAMPLES,
                ),
            ),
            route("/v1/admin/tenants/{name}",
                GET=Operation(handler=self.get_tenant, scope=Scope.ADMIN, answers=changed),
                PUT=Operation(
                    handler=self.put_tenant, scope=Scope.ADMIN, body=TenantRules,
                    answers={200: TenantDocument, 201: TenantDocument}, problems=(409,), examples=_RULES_EXAMPLES,
                ),
                DELETE=Operation(
                    handler=self.delete_tenant, scope=Scope.ADMIN, query=DeletionQuery, answers={204: None},
                    problems=(409,),
                ),
            ),
            route("/v1/admin/tenants/{name}:pause", POST=Operation(
                handler=self.post_pause, scope=Scope.ADMIN, answers=changed,
            )),
            route("/v1/admin/tenants/{name}:resume", POST=Operation(
                handler=self.post_resume, scope=Scope.ADMIN, answers=changed,
            )),
        )  # fmt: skip

    async def get_tenants(self, request: Request) -> Answered:
        """The tenants by name, with what they have queued and running now."""
        self._access.operator(request)
        query = request.query(TenantsQuery)
        names = sorted(name for name in self._directory.tenants if name > query.after)
        spent = await self._spent_today()
        page = [self._directory.tenants[name] for name in names[: query.limit] if name in self._directory.tenants]
        more = page[-1].name if len(names) > query.limit and page else None
        return json_answer(200, TenantsDocument([_document(tenant, spent) for tenant in page], more))

    async def get_tenant(self, request: Request) -> Answered:
        """One tenant, with what it has queued and running now."""
        self._access.operator(request)
        return json_answer(200, _document(self._tenant(request), await self._spent_today()))

    async def post_tenant(self, request: Request) -> Answered:
        """Make a tenant, or give one other rules."""
        key = self._access.operator(request)
        document = decode_body(await self._access.small_body(request), _tenant_decoder)
        tenant, is_new = await self._put(document, key.actor)
        return json_answer(201 if is_new else 200, tenant.document)

    async def put_tenant(self, request: Request) -> Answered:
        """Make a tenant, or give one other rules; the name may be left out of the body, or must be the same."""
        key = self._access.operator(request)
        name = request.parts["name"]
        content = decode_body(await self._access.small_body(request), _object_decoder)
        try:
            document = msgspec.convert({"name": name, **content}, TenantRequest)
        except msgspec.ValidationError as error:
            raise ProblemError(400, "body", str(error)) from None
        if document.name != name:
            raise ProblemError(400, "tenant.name", f"the body is about {document.name}, the address about {name}")
        tenant, is_new = await self._put(document, key.actor)
        return json_answer(201 if is_new else 200, _document(tenant, await self._spent_today()))

    async def delete_tenant(self, request: Request) -> Answered:
        """Delete a tenant with its keys, its runs and their usage: a later one of that name finds nothing of it."""
        key = self._access.operator(request)
        query, tenant = request.query(DeletionQuery), self._tenant(request)
        if query.cancel:
            await self._cancel_all(tenant)
        live = len(list(self._runs.of_tenant(tenant))) + len(self._step_runs.of_tenant(tenant))
        if live:
            raise ProblemError(
                409, "tenant.runs", f"the tenant {tenant.name} has {live:,} runs that have not ended; cancel them with "
                "?cancel=true", used=live, changed_by="operator",
            )  # fmt: skip
        # No other request is served between this and the look at its runs.
        self._runs.forget(tenant)
        try:
            await self._directory.remove_tenant(tenant, key.actor)
        except BaseException:
            self._runs.know(tenant)
            raise
        return Answered(204, b"")

    async def post_pause(self, request: Request) -> Answered:
        """Start no more runs of a tenant: what runs may end, what was accepted waits, synchronous ones are refused."""
        return await self._set_paused(request, paused=True)

    async def post_resume(self, request: Request) -> Answered:
        """Start the runs of a tenant again."""
        return await self._set_paused(request, paused=False)

    async def _put(self, document: TenantRequest, actor: Actor) -> tuple[Tenant, bool]:
        is_new = document.name not in self._directory.tenants
        tenant = await self._directory.put_tenant(document, actor)
        await self._runs.recorder.know(tenant)
        self._runs.know(tenant)
        return tenant, is_new

    async def _set_paused(self, request: Request, *, paused: bool) -> Answered:
        key = self._access.operator(request)
        document = msgspec.structs.replace(self._tenant(request).document, paused=paused)
        tenant, _ = await self._put(document, key.actor)
        return json_answer(200, _document(tenant, await self._spent_today()))

    async def _cancel_all(self, tenant: Tenant) -> None:
        """Cancel its runs and wait until their ends are on record, which takes milliseconds as a rule."""
        until = time.monotonic() + _END_SECONDS
        while time.monotonic() < until:
            runs, step_runs = list(self._runs.of_tenant(tenant)), self._step_runs.of_tenant(tenant)
            if not runs and not step_runs:
                return
            for step_run in step_runs:
                self._step_runs.cancel(step_run)
            for run in runs:
                self._runs.cancel(run)
            await asyncio.sleep(0.01)

    def _tenant(self, request: Request) -> Tenant:
        """Raises: ProblemError: 404."""
        name = request.parts["name"]
        tenant = self._directory.tenants.get(name)
        if tenant is None:
            raise ProblemError(404, "tenant", f"there is no tenant {name}")
        return tenant

    async def _spent_today(self) -> dict[str, float]:
        midnight = Window.DAY.start(Window.DAY.number(time.time()))
        return await self._storage.usage.cpu_seconds_of_all(midnight)


def _document(tenant: Tenant, spent: dict[str, float]) -> TenantDocument:
    executing = tenant.executing
    return TenantDocument(
        name=tenant.name, paused=bool(tenant.document.paused), queued=len(tenant.queued), executing=executing,
        asleep=len(tenant.running) - executing, cpu_seconds_today=spent.get(tenant.name, 0.0), rules=tenant.document,
    )  # fmt: skip
