"""urllib3's connections over the host, and requests with them.

Pools, retries, timeouts, redirects, decompression and the errors of both libraries are the real ones. The host verifies
certificates, so `verify` changes nothing; what would need a connection of the guest's own is refused.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import urllib3.connection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from .http_client import SOCKET_EXCEPTIONS, Exceptions, HostSocket, refuse
from .wire import base_url


def _new_socket(connection: Any, scheme: str) -> HostSocket:
    if connection.proxy is not None or connection._tunnel_host:
        refuse("requests", "a proxy")
    if getattr(connection, "cert_file", None):
        refuse("requests", "a client certificate")
    if connection.source_address:
        refuse("requests", "source_address")

    # What urllib3 counts and reports as a failed connection; else it sees what a socket raises.
    failed = partial(NewConnectionError, connection)
    exceptions: Exceptions = dict(
        SOCKET_EXCEPTIONS, denied=failed, connect=failed, connect_timeout=partial(ConnectTimeoutError, connection)
    )
    base = base_url(scheme, connection.host, connection.port)
    return HostSocket(base, connection.timeout, exceptions, sends_at_once=False)


def install() -> None:
    """Give the connections of urllib3 the host's sockets."""

    def connect(self: Any) -> None:
        """Connect to the host and port of this connection."""
        self.sock = _new_socket(self, "http")

    def connect_tls(self: Any) -> None:
        """Connect to the host and port of this connection; the host verifies the certificate."""
        self.sock = _new_socket(self, "https")
        self.is_verified = True

    def is_connected(self: Any) -> bool:
        """Whether there is a connection; the host sees to it that it is not a dead one."""
        return self.sock is not None

    connect_tls.__name__ = "connect"
    urllib3.connection.HTTPConnection.connect = connect
    urllib3.connection.HTTPConnection.is_connected = property(is_connected)
    urllib3.connection.HTTPSConnection.connect = connect_tls
