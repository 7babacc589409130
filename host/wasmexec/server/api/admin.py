"""The operator's part over HTTP: tenants and their keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from ..documents import KeyRequest, TenantRequest
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..problems import ProblemError
from ..tenants.keys import Scope, issue

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs
    from ..tenants.directory import Directory
    from .access import Access

_tenant_decoder = msgspec.json.Decoder(TenantRequest)
_key_decoder = msgspec.json.Decoder(KeyRequest)


class AdminApi:
    """The handlers."""

    def __init__(self, access: Access, directory: Directory, runs: Runs) -> None:
        self._access = access
        self._directory = directory
        self._runs = runs

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/admin/tenants", POST=Operation(
                handler=self.post_tenant, scope=Scope.ADMIN, body=TenantRequest,
                answers={200: TenantRequest, 201: TenantRequest}, problems=(408, 409, 413, 415),
            )),
            route("/v1/admin/tenants/{name}/keys", POST=Operation(
                handler=self.post_key, scope=Scope.ADMIN, body=KeyRequest, answers={201: dict[str, Any]},
                problems=(408, 413, 415),
            )),
        )  # fmt: skip

    async def post_tenant(self, request: Request) -> Answered:
        """Make a tenant, or give one other rules."""
        self._access.operator(request)
        document = decode_body(await self._access.small_body(request), _tenant_decoder)
        is_new = document.name not in self._directory.tenants
        tenant = await self._directory.put_tenant(document)
        self._runs.know(tenant)
        return json_answer(201 if is_new else 200, tenant.document)

    async def post_key(self, request: Request) -> Answered:
        """Issue a key for a tenant; this answer is the only one that has it."""
        self._access.operator(request)
        asked = decode_body(await self._access.small_body(request) or b"{}", _key_decoder)
        tenant = self._directory.tenants.get(request.parts["name"])
        if tenant is None:
            raise ProblemError(404, "tenant", f"there is no tenant {request.parts['name']}")
        if Scope.ADMIN in asked.scopes:
            raise ProblemError(400, "key.scope", "a tenant's key cannot have the scope admin, which is the operator's")
        key, record = issue(
            tenant=tenant.name, name=asked.name, scopes=asked.scopes, now=time.time(),
            lifetime_seconds=asked.lifetime_seconds, project=asked.project,
        )  # fmt: skip
        await self._directory.put_key(record)
        return json_answer(201, {
            "id": record.id, "key": key.reveal(), "tenant": tenant.name, "name": record.name,
            "scopes": sorted(record.scopes), "expires_at": record.expires_at, "project": record.project,
        })  # fmt: skip
