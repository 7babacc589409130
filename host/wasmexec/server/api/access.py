"""`Access`: who asks, by the key of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems import ProblemError
from ..tenants.keys import KeyRecord, Scope

if TYPE_CHECKING:
    from ...workers.files import MemoryFile
    from ..config import ServerConfig
    from ..http.request import Request
    from ..http.spool import Spool
    from ..tenants.directory import Directory, Tenant

SMALL_BODY_BYTES = 256 * 1024


class Access:
    """What every resource asks before it answers; bodies of documents are bounded here, too."""

    def __init__(self, config: ServerConfig, directory: Directory) -> None:
        self._config = config
        self._directory = directory

    def tenant(self, request: Request, scope: Scope, *, is_free: bool = False) -> tuple[Tenant, KeyRecord]:
        """The tenant who asks, and the key, which has the scope.

        The request is counted by the rates that hold for the key, once, unless it `is_free`: cancelling is, for it
        only gives back. Bytes are those of the body, as they are announced.

        Raises:
            ProblemError: 401, 403, 429.
        """
        key = self._authorized(request, scope)
        tenant = self._directory.tenants.get(key.tenant)
        if tenant is None:
            raise ProblemError(403, "key.tenant", "this key is the operator's; runs need a key of a tenant")
        request.tenant = tenant.name
        if not is_free and request.counted is None:
            request.counted = (tenant, key.id)
            request.answer_headers.update(self._directory.take_rate(tenant, key.id, request.announced_bytes or 0))
        return tenant, key

    def operator(self, request: Request) -> KeyRecord:
        """The key, which is the operator's.

        Raises:
            ProblemError: 401, 403.
        """
        return self._authorized(request, Scope.ADMIN)

    def _authorized(self, request: Request, scope: Scope) -> KeyRecord:
        key = self._directory.authorize(request.header(b"authorization"), scope)
        request.key_id = key.id
        return key

    async def small_body(self, request: Request) -> bytes:
        """The body of a request that carries a document, not data.

        Raises:
            ProblemError: 408, 413, 415, 429.
            Disconnected: the client has gone.
        """
        return await self._body(request, min(self._config.max_body_bytes, SMALL_BODY_BYTES))

    async def large_body(self, request: Request) -> bytes:
        """The body of a request that carries data.

        Raises:
            ProblemError: 408, 413, 415, 429.
            Disconnected: the client has gone.
        """
        return await self._body(request, self._config.max_body_bytes)

    async def long_body(self, request: Request, spool: Spool) -> bytes | MemoryFile:
        """As `large_body`; a long one is a file. See `Request.long_body`.

        Raises:
            ProblemError: 408, 413, 415, 429, 503.
            Disconnected: the client has gone.
        """
        body = await request.long_body(self._config.max_body_bytes, self._config.body_seconds, spool)
        self._count_bytes(request)
        return body

    async def _body(self, request: Request, most: int) -> bytes:
        body = await request.body(most, self._config.body_seconds)
        self._count_bytes(request)
        return body

    def _count_bytes(self, request: Request) -> None:
        """Raises: ProblemError: 429."""
        if request.announced_bytes is None and request.counted is not None:
            # Its length is known only now.
            tenant, key_id = request.counted
            headers = self._directory.take_rate(tenant, key_id, request.bytes_in, is_new=False)
            request.answer_headers.update(headers)
