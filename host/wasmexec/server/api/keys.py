"""API keys over HTTP: a tenant's own, and for the operator those of every tenant and its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from ..documents import KeyRequest, Name, time_text
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..problems import ProblemError
from ..tenants.keys import OPERATOR, Key, KeyRecord, Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..tenants.directory import Directory, Tenant
    from .access import Access

_DAY = 86_400


class RotationRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/keys/{id}:rotate: how long the old key stays valid, and how long the new one is.

    Without `lifetime_seconds` the new key has the lifetime of the old one.
    """

    overlap_seconds: Annotated[float, Meta(ge=0, le=10**9)] = _DAY
    lifetime_seconds: Annotated[float, Meta(gt=0, le=10**9)] | None = None


class AdminKeyRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/admin/keys."""

    name: Name | None = None
    lifetime_seconds: Annotated[float, Meta(gt=0, le=10**9)] | None = None


class KeyDocument(Struct):
    """A key without its text, which is kept nowhere; `state` is valid, expired or revoked."""

    id: str
    tenant: str
    name: str
    scopes: list[str]
    project: str | None
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class IssuedKey(Struct):
    """A new key; `key` is its text, in this answer only. `replaces` are keys that end because of it."""

    id: str
    tenant: str
    name: str
    scopes: list[str]
    project: str | None
    created_at: str
    expires_at: str | None
    key: str
    replaces: list[KeyDocument] = []


class KeyList(Struct):
    """Keys, newest first."""

    keys: list[KeyDocument]


_key_decoder = msgspec.json.Decoder(KeyRequest)
_admin_key_decoder = msgspec.json.Decoder(AdminKeyRequest)
_rotation_decoder = msgspec.json.Decoder(RotationRequest)

_EXAMPLES = {"for half a year, to look only": {"scopes": ["read"], "lifetime_seconds": 15_552_000}}


class KeysApi:
    """The handlers."""

    def __init__(self, access: Access, directory: Directory) -> None:
        self._access = access
        self._directory = directory

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        admin = "/v1/admin/tenants/{name}/keys"
        return (
            route("/v1/keys", GET=Operation(
                handler=self.get_keys, scope=Scope.KEYS, answers={200: KeyList},
            ), POST=Operation(
                handler=self.post_key, scope=Scope.KEYS, body=KeyRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,), examples=_EXAMPLES,
            )),
            route("/v1/keys/{id}:rotate", POST=Operation(
                handler=self.post_rotate, scope=Scope.KEYS, body=RotationRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,),
            )),
            route("/v1/keys/{id}", DELETE=Operation(
                handler=self.delete_key, scope=Scope.KEYS, answers={200: KeyDocument},
            )),
            route(admin, GET=Operation(
                handler=self.get_tenant_keys, scope=Scope.ADMIN, answers={200: KeyList},
            ), POST=Operation(
                handler=self.post_tenant_key, scope=Scope.ADMIN, body=KeyRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,), examples=_EXAMPLES,
            )),
            route(f"{admin}/{{id}}:rotate", POST=Operation(
                handler=self.post_tenant_rotate, scope=Scope.ADMIN, body=RotationRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,),
            )),
            route(f"{admin}/{{id}}", DELETE=Operation(
                handler=self.delete_tenant_key, scope=Scope.ADMIN, answers={200: KeyDocument},
            )),
            route("/v1/admin/keys", GET=Operation(
                handler=self.get_admin_keys, scope=Scope.ADMIN, answers={200: KeyList},
            ), POST=Operation(
                handler=self.post_admin_key, scope=Scope.ADMIN, body=AdminKeyRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,),
            )),
            route("/v1/admin/keys/{id}:rotate", POST=Operation(
                handler=self.post_admin_rotate, scope=Scope.ADMIN, body=RotationRequest, is_body_optional=True,
                answers={201: IssuedKey}, problems=(409,),
            )),
            route("/v1/admin/keys/{id}", DELETE=Operation(
                handler=self.delete_admin_key, scope=Scope.ADMIN, answers={200: KeyDocument}, problems=(409,),
            )),
        )  # fmt: skip

    async def get_keys(self, request: Request) -> Answered:
        """The tenant's keys, newest first, without their texts; to a key of a project those of that."""
        tenant, key = self._access.tenant(request, Scope.KEYS)
        return self._list(tenant.name, key.project)

    async def post_key(self, request: Request) -> Answered:
        """Issue a key with no more scopes than the one that asks; this answer is the only one that has its text."""
        tenant, issuer = self._access.tenant(request, Scope.KEYS)
        return await self._issue(request, issuer, tenant)

    async def post_rotate(self, request: Request) -> Answered:
        """Issue a key in place of one of the same name, which stays valid for a while."""
        tenant, issuer = self._access.tenant(request, Scope.KEYS)
        return await self._rotate(request, issuer, tenant.name)

    async def delete_key(self, request: Request) -> Answered:
        """Revoke a key: it is accepted no more. Runs that were asked for with it go on."""
        tenant, revoker = self._access.tenant(request, Scope.KEYS)
        return await self._revoke(request, revoker, tenant.name)

    async def get_tenant_keys(self, request: Request) -> Answered:
        """The keys of a tenant, newest first."""
        self._access.operator(request)
        return self._list(self._tenant(request).name)

    async def post_tenant_key(self, request: Request) -> Answered:
        """Issue a key for a tenant; this answer is the only one that has its text."""
        issuer = self._access.operator(request)
        return await self._issue(request, issuer, self._tenant(request))

    async def post_tenant_rotate(self, request: Request) -> Answered:
        """Issue a key in place of one of a tenant, which stays valid for a while."""
        issuer = self._access.operator(request)
        return await self._rotate(request, issuer, self._tenant(request).name)

    async def delete_tenant_key(self, request: Request) -> Answered:
        """Revoke a key of a tenant."""
        revoker = self._access.operator(request)
        return await self._revoke(request, revoker, self._tenant(request).name)

    async def get_admin_keys(self, request: Request) -> Answered:
        """The operator's own keys, newest first."""
        self._access.operator(request)
        return self._list(OPERATOR)

    async def post_admin_key(self, request: Request) -> Answered:
        """Issue another key for the operator; this answer is the only one that has its text."""
        issuer = self._access.operator(request)
        asked = decode_body(await self._access.small_body(request) or b"{}", _admin_key_decoder)
        key, record = await self._directory.keys.issue(
            issuer, tenant=OPERATOR, name=asked.name, scopes=[Scope.ADMIN], lifetime_seconds=asked.lifetime_seconds
        )
        return json_answer(201, _issued(key, record))

    async def post_admin_rotate(self, request: Request) -> Answered:
        """Issue a key in place of one of the operator's, which stays valid for a while."""
        return await self._rotate(request, self._access.operator(request), OPERATOR)

    async def delete_admin_key(self, request: Request) -> Answered:
        """Revoke a key of the operator's; the last valid one stays."""
        return await self._revoke(request, self._access.operator(request), OPERATOR)

    def _list(self, tenant: str, project: str | None = None) -> Answered:
        """Those of a project, or all."""
        found = (record for record in self._directory.keys.of(tenant) if project in (None, record.project))
        return json_answer(200, KeyList([key_document(record) for record in found]))

    async def _issue(self, request: Request, issuer: KeyRecord, tenant: Tenant) -> Answered:
        asked = decode_body(await self._access.small_body(request) or b"{}", _key_decoder)
        key, record = await self._directory.keys.issue(
            issuer, tenant=tenant.name, name=asked.name, scopes=asked.scopes, lifetime_seconds=asked.lifetime_seconds,
            project=asked.project, most=tenant.document.max_keys,
        )  # fmt: skip
        return json_answer(201, _issued(key, record))

    async def _rotate(self, request: Request, issuer: KeyRecord, tenant: str) -> Answered:
        asked = decode_body(await self._access.small_body(request) or b"{}", _rotation_decoder)
        turn = await self._directory.rotate_key(
            issuer, tenant, request.parts["id"], asked.overlap_seconds, asked.lifetime_seconds
        )
        issued = _issued(turn.key, turn.record)
        issued.replaces = [key_document(record) for record in turn.changed]
        return json_answer(201, issued)

    async def _revoke(self, request: Request, revoker: KeyRecord, tenant: str) -> Answered:
        return json_answer(200, key_document(await self._directory.keys.revoke(revoker, tenant, request.parts["id"])))

    def _tenant(self, request: Request) -> Tenant:
        """Raises: ProblemError: 404."""
        tenant = self._directory.tenants.get(request.parts["name"])
        if tenant is None:
            raise ProblemError(404, "tenant", f"there is no tenant {request.parts['name']}")
        return tenant


def key_document(record: KeyRecord) -> KeyDocument:
    """A key as answers tell of it."""
    now = time.time()
    is_revoked = record.revoked_at is not None and record.revoked_at <= now
    return KeyDocument(
        id=record.id, tenant=record.tenant, name=record.name, scopes=sorted(record.scopes),
        project=record.project, state="revoked" if is_revoked else "valid" if record.is_valid(now) else "expired",
        created_at=time_text(record.created_at), expires_at=time_text(record.expires_at),
        revoked_at=time_text(record.revoked_at),
    )  # fmt: skip


def _issued(key: Key, record: KeyRecord) -> IssuedKey:
    return IssuedKey(
        id=record.id, tenant=record.tenant, name=record.name, scopes=sorted(record.scopes),
        project=record.project, created_at=time_text(record.created_at),
        expires_at=time_text(record.expires_at), key=key.reveal(),
    )  # fmt: skip
