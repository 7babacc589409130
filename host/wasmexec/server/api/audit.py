"""The audit log over HTTP: what was changed, by whom; a tenant has its own part, the operator all of it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..documents import time_text
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..problems import ProblemError
from ..storage.audit import AuditRow
from ..tenants.keys import Scope
from ..vault.places import SealError, cursor_place

if TYPE_CHECKING:
    from ..http.request import Request
    from ..storage.storage import Storage
    from .access import Access

_MICROSECONDS = 1_000_000
_ALL = "*"
"""In place of a tenant's name: no tenant has it."""


class AuditQuery(Struct, forbid_unknown_fields=True):
    """Which page: `cursor` is the `next` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class AdminAuditQuery(AuditQuery, forbid_unknown_fields=True):
    """Which page, of one tenant or of all; the operator's own part is that of the tenant "operator"."""

    tenant: Annotated[str, Meta(max_length=63)] | None = None


class AuditRecord(Struct):
    """One change. `by` is whose key it was: a tenant, operator, or server for what it did of itself."""

    at: str
    by: str
    key_id: str
    action: str
    target: str
    detail: Any


class AdminAuditRecord(AuditRecord):
    """One change, in whose log it is, and its place in the chain."""

    tenant: str
    number: int
    hash: str


class AuditPage(Struct):
    """Changes, newest first; `next` is the cursor of the next page, null at the end."""

    records: list[AuditRecord]
    next: str | None


class AdminAuditPage(Struct):
    """Changes, newest first; `anchor` is to be kept elsewhere, for `audit verify --anchor`."""

    records: list[AdminAuditRecord]
    next: str | None
    anchor: str


class AuditApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage) -> None:
        self._access = access
        self._storage = storage

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/audit", GET=Operation(
                handler=self.get_audit, scope=Scope.READ, query=AuditQuery, answers={200: AuditPage},
            )),
            route("/v1/admin/audit", GET=Operation(
                handler=self.get_all, scope=Scope.ADMIN, query=AdminAuditQuery, answers={200: AdminAuditPage},
            )),
        )  # fmt: skip

    async def get_audit(self, request: Request) -> Answered:
        """What was changed of the tenant's: its rules, keys, secrets and steps, newest first."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        query = request.query(AuditQuery)
        rows, following = await self._page(query, tenant.name, tenant.name)
        return json_answer(200, AuditPage([AuditRecord(**_told(row)) for row in rows], following))

    async def get_all(self, request: Request) -> Answered:
        """What was changed by anybody, newest first, with the anchor of the chain as it is now."""
        self._access.operator(request)
        query = request.query(AdminAuditQuery)
        anchor = await self._storage.audit.anchor()
        rows, following = await self._page(query, query.tenant, _ALL)
        records = [
            AdminAuditRecord(**_told(row), tenant=row.tenant, number=row.number, hash=row.hash.hex()) for row in rows
        ]
        return json_answer(200, AdminAuditPage(records, following, str(anchor)))

    async def _page(self, query: AuditQuery, tenant: str | None, reader: str) -> tuple[list[AuditRow], str | None]:
        """One page, and the cursor of the next.

        SECURITY: a cursor is sealed for who reads: the numbers of rows would tell what other tenants do.
        """
        before = None if query.cursor is None else self._place(query.cursor, reader)
        rows = await self._storage.audit.page(tenant, before, query.limit + 1, is_own=reader == tenant)
        if len(rows) <= query.limit:
            return rows, None
        rows.pop()
        sealed = self._storage.vault.seal(str(rows[-1].number).encode(), cursor_place(reader))
        return rows, base64.urlsafe_b64encode(sealed).decode()

    def _place(self, cursor: str, reader: str) -> int:
        """Raises: ProblemError: 400."""
        try:
            sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
            return int(self._storage.vault.open(sealed, cursor_place(reader)))
        except (binascii.Error, ValueError, SealError):
            raise ProblemError(400, "query", "cursor: it is not the `next` of a page", changed_by="nobody") from None


def _told(row: AuditRow) -> dict[str, Any]:
    return {
        "at": time_text(row.at / _MICROSECONDS), "by": row.by, "key_id": row.actor, "action": row.action,
        "target": row.target, "detail": msgspec.json.decode(row.detail),
    }  # fmt: skip
