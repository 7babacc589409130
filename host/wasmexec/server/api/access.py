"""`Access`: who asks, by the key of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems import ProblemError
from ..tenants.keys import KeyRecord, Scope

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.request import Request
    from ..tenants.directory import Directory, Tenant

SMALL_BODY_BYTES = 256 * 1024


class Access:
    """What every resource asks before it answers; bodies of documents are bounded here, too."""

    def __init__(self, config: ServerConfig, directory: Directory) -> None:
        self._config = config
        self._directory = directory

    def tenant(self, request: Request, scope: Scope) -> tuple[Tenant, KeyRecord]:
        """The tenant who asks, and the key, which has the scope.

        Raises:
            ProblemError: 401, 403.
        """
        key = self._directory.authorize(request.header(b"authorization"), scope)
        tenant = self._directory.tenants.get(key.tenant)
        if tenant is None:
            raise ProblemError(403, "key.tenant", "this key is the operator's; runs need a key of a tenant")
        return tenant, key

    def operator(self, request: Request) -> KeyRecord:
        """The key, which is the operator's.

        Raises:
            ProblemError: 401, 403.
        """
        return self._directory.authorize(request.header(b"authorization"), Scope.ADMIN)

    async def small_body(self, request: Request) -> bytes:
        """The body of a request that carries a document, not data.

        Raises:
            ProblemError: 408, 413, 415.
            Disconnected: the client has gone.
        """
        most = min(self._config.max_body_bytes, SMALL_BODY_BYTES)
        return await request.body(most, self._config.body_seconds)

    async def large_body(self, request: Request) -> bytes:
        """The body of a request that carries data.

        Raises:
            ProblemError: 408, 413, 415.
            Disconnected: the client has gone.
        """
        return await request.body(self._config.max_body_bytes, self._config.body_seconds)
