"""`AsyncOperator`: the same as `Operator` for a program with an event loop."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Unpack

from . import operator_operations as operations
from .async_steps import AsyncAsk
from .operations import KeyOptions, TenantOptions

if TYPE_CHECKING:
    from ..server.api.admin import TenantDocument, TenantsDocument
    from ..server.api.audit import AdminAuditPage
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import QuotasDocument
    from ..server.api.usage import UsageDocument
    from ..server.api.workers import DrainDocument, WorkersDocument


class AsyncOperator:
    """What the operator's key may do, as `client.operator`. `tenant=None` in keys means the operator's own."""

    def __init__(self, ask: AsyncAsk) -> None:
        self._ask = ask

    async def tenants(self, *, after: str = "", limit: int = 100) -> TenantsDocument:
        """A page of tenants by name, with what they have queued and running."""
        return await self._ask(operations.get_tenants(after, limit))

    async def tenant(self, name: str) -> TenantDocument:
        """A tenant with its rules, and what it has queued and running."""
        return await self._ask(operations.get_tenant(name))

    async def set_tenant(self, name: str, **options: Unpack[TenantOptions]) -> TenantDocument:
        """Make a tenant, or give it other rules: all of them, those that are left out included."""
        return await self._ask(operations.set_tenant(name, options))

    async def delete_tenant(self, name: str, *, cancel: bool = False) -> None:
        """Delete a tenant with everything of it; with `cancel` its runs, too, that have not ended."""
        return await self._ask(operations.delete_tenant(name, cancel=cancel))

    async def pause(self, tenant: str) -> TenantDocument:
        """Start no more runs of a tenant."""
        return await self._ask(operations.pause_tenant(tenant, paused=True))

    async def resume(self, tenant: str) -> TenantDocument:
        """Start the runs of a tenant again."""
        return await self._ask(operations.pause_tenant(tenant, paused=False))

    async def quotas(self, tenant: str) -> QuotasDocument:
        """What a tenant may have, and what of it is taken."""
        return await self._ask(operations.get_tenant_quotas(tenant))

    async def keys(self, tenant: str | None = None) -> KeyList:
        """The keys of a tenant, newest first; nobody can see their texts."""
        return await self._ask(operations.get_keys(tenant))

    async def issue_key(self, tenant: str, **options: Unpack[KeyOptions]) -> IssuedKey:
        """A key of a tenant, which nobody can be shown again."""
        return await self._ask(operations.issue_key(tenant, options))

    async def issue_own_key(self, *, name: str | None = None, lifetime_seconds: float | None = None) -> IssuedKey:
        """Another key of the operator's, which nobody can be shown again."""
        return await self._ask(operations.issue_own_key(name, lifetime_seconds))

    async def rotate_key(
        self, key_id: str, *, tenant: str | None = None, overlap_seconds: float | None = None
    ) -> IssuedKey:
        """A key in the place of another one, which stays valid for a day, or so long."""
        return await self._ask(operations.rotate_key(tenant, key_id, overlap_seconds))

    async def revoke_key(self, key_id: str, *, tenant: str | None = None) -> KeyDocument:
        """Have a key accepted no more."""
        return await self._ask(operations.delete_key(tenant, key_id))

    async def usage(
        self, tenant: str | None = None, *, days: int = 31, since: datetime | None = None,
        until: datetime | None = None,
    ) -> UsageDocument:  # fmt: skip
        """What the runs of a tenant, or of all, have used, by the hour."""
        return await self._ask(operations.get_usage(tenant, days, since, until))

    async def audit(
        self, tenant: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> AdminAuditPage:  # fmt: skip
        """A page of what was changed, newest first, with the anchor to keep elsewhere."""
        return await self._ask(operations.get_audit(tenant, limit, cursor))

    async def workers(self) -> WorkersDocument:
        """The worker processes."""
        return await self._ask(operations.get_workers())

    async def restart_workers(self) -> WorkersDocument:
        """Replace every worker process, one after the other, without losing a run."""
        return await self._ask(operations.restart_workers())

    async def drain(self) -> DrainDocument:
        """End the server as SIGTERM does."""
        return await self._ask(operations.drain())
