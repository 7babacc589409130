"""The operator's part over HTTP: tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..documents import TenantRequest
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs
    from ..tenants.directory import Directory
    from .access import Access

_tenant_decoder = msgspec.json.Decoder(TenantRequest)


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
        )  # fmt: skip

    async def post_tenant(self, request: Request) -> Answered:
        """Make a tenant, or give one other rules."""
        key = self._access.operator(request)
        document = decode_body(await self._access.small_body(request), _tenant_decoder)
        is_new = document.name not in self._directory.tenants
        tenant = await self._directory.put_tenant(document, key.actor)
        self._runs.know(tenant)
        return json_answer(201 if is_new else 200, tenant.document)
