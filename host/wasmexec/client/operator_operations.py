"""Every operation of the operator's as a `Call`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .calls import Call, encoded, path_of
from .operations import KeyOptions, TenantOptions, get, given, new_key, rotated_key, texts

if TYPE_CHECKING:
    from ..server.api.admin import TenantDocument, TenantsDocument
    from ..server.api.audit import AdminAuditPage
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import QuotasDocument
    from ..server.api.usage import UsageDocument
    from ..server.api.workers import DrainDocument, WorkersDocument


def get_tenants(after: str, limit: int) -> Call[TenantsDocument]:
    """A page of tenants."""
    from ..server.api.admin import TenantsDocument

    return get(TenantsDocument, "admin", "tenants", **texts(after=after, limit=limit))


def get_tenant(name: str) -> Call[TenantDocument]:
    """A tenant."""
    from ..server.api.admin import TenantDocument

    return get(TenantDocument, "admin", "tenants", name)


def set_tenant(name: str, options: TenantOptions) -> Call[TenantDocument]:
    """Make a tenant or give it other rules: the same twice is the same."""
    from ..server.api.admin import TenantDocument

    path = path_of("admin", "tenants", name)
    return Call(method="PUT", path=path, answer=TenantDocument, body=encoded({**options}), is_repeatable=True)


def delete_tenant(name: str, *, cancel: bool) -> Call[None]:
    """Delete a tenant. Asked twice, the second finds none, so it is not."""
    query = {"cancel": "true"} if cancel else {}
    path = path_of("admin", "tenants", name)
    return Call(method="DELETE", path=path, answer=None, query=query, is_repeatable=False)


def pause_tenant(name: str, *, paused: bool) -> Call[TenantDocument]:
    """Have runs of a tenant start, or not."""
    from ..server.api.admin import TenantDocument

    path = path_of("admin", "tenants", name, action="pause" if paused else "resume")
    return Call(method="POST", path=path, answer=TenantDocument, is_repeatable=True)


def get_tenant_quotas(name: str) -> Call[QuotasDocument]:
    """What a tenant may have."""
    from ..server.api.quotas import QuotasDocument

    return get(QuotasDocument, "admin", "tenants", name, "quotas")


def get_keys(tenant: str | None) -> Call[KeyList]:
    """The keys of a tenant, or the operator's own."""
    from ..server.api.keys import KeyList

    return get(KeyList, *_keys(tenant))


def issue_key(tenant: str, options: KeyOptions) -> Call[IssuedKey]:
    """Issue a key of a tenant."""
    return new_key(path_of(*_keys(tenant)), options)


def issue_own_key(name: str | None, lifetime_seconds: float | None) -> Call[IssuedKey]:
    """Issue another key of the operator's."""
    from ..server.api.keys import IssuedKey

    body = encoded(given(name=name, lifetime_seconds=lifetime_seconds))
    return Call(method="POST", path=path_of(*_keys(None)), answer=IssuedKey, body=body, is_repeatable=False)


def rotate_key(tenant: str | None, key_id: str, overlap_seconds: float | None) -> Call[IssuedKey]:
    """Put a key in the place of another."""
    return rotated_key(path_of(*_keys(tenant), key_id, action="rotate"), overlap_seconds)


def delete_key(tenant: str | None, key_id: str) -> Call[KeyDocument]:
    """Revoke a key."""
    from ..server.api.keys import KeyDocument

    return Call(method="DELETE", path=path_of(*_keys(tenant), key_id), answer=KeyDocument, is_repeatable=True)


def get_usage(
    tenant: str | None, days: int, since: datetime | None, until: datetime | None
) -> Call[UsageDocument]:  # fmt: skip
    """What runs of a tenant or of all have used."""
    from ..server.api.usage import UsageDocument

    query = texts(tenant=tenant, days=days, since=since, until=until, format="json")
    return get(UsageDocument, "admin", "usage", **query)


def get_audit(tenant: str | None, limit: int, cursor: str | None) -> Call[AdminAuditPage]:
    """A page of the whole audit log."""
    from ..server.api.audit import AdminAuditPage

    return get(AdminAuditPage, "admin", "audit", **texts(tenant=tenant, limit=limit, cursor=cursor))


def get_workers() -> Call[WorkersDocument]:
    """The worker processes."""
    from ..server.api.workers import WorkersDocument

    return get(WorkersDocument, "admin", "workers")


def restart_workers() -> Call[WorkersDocument]:
    """Replace the worker processes: twice would be once more."""
    from ..server.api.workers import WorkersDocument

    path = path_of("admin", "workers", action="restart")
    return Call(method="POST", path=path, answer=WorkersDocument, is_repeatable=False)


def drain() -> Call[DrainDocument]:
    """End the server: it is not asked again, for it may be another one by then."""
    from ..server.api.workers import DrainDocument

    return Call(method="POST", path=path_of("admin", "drain"), answer=DrainDocument, is_repeatable=False)


def _keys(tenant: str | None) -> tuple[str, ...]:
    return ("admin", "keys") if tenant is None else ("admin", "tenants", tenant, "keys")
