"""Grants: what an execution may reach in the world; nothing unless granted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ._hosts import bracketed, is_address, normalise_host
from .errors import ConfigError

if TYPE_CHECKING:
    from ._hostcalls.recorded import RecordedHttp

DEFAULT_PORTS = (80, 443)
DEFAULT_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class HttpGrant:
    """HTTP and HTTPS requests to one host, or to every name below one (`*.example.com`, not `example.com` itself).

    `host` is a name, a wildcard or an IP address and is kept in one spelling. `allow_private` also lets the host be
    on a private network or on this machine. `ca_file` is a PEM file whose certificates are trusted for this host
    *instead of* the system's.

    Raises:
        ConfigError: a field is not what it must be, or `ca_file` cannot be loaded.
    """

    host: str
    _: KW_ONLY
    ports: Sequence[int] = DEFAULT_PORTS
    methods: Sequence[str] = DEFAULT_METHODS
    allow_private: bool = False
    ca_file: str | Path | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the fields are frozen for everyone else
        set_field(self, "host", checked_host(self.host))
        set_field(self, "ports", _checked_ports(self.ports))
        set_field(self, "methods", _checked_methods(self.methods))
        if not isinstance(self.allow_private, bool):
            raise ConfigError("grants: allow_private must be True or False")
        if self.ca_file is not None:
            set_field(self, "ca_file", _checked_ca_file(self.ca_file))

    @classmethod
    def parse(cls, text: str, *, allow_private: bool = False) -> HttpGrant:
        """The grant that `HOST` or `HOST:PORT` stands for, as in `--allow-http`; IPv6 addresses in brackets.

        Raises:
            ConfigError: the text is no such grant.
        """
        if not isinstance(text, str):
            raise ConfigError(f"grants: an http grant must be a string or an HttpGrant, not {type(text).__name__}")
        if "/" in text or "@" in text:
            raise ConfigError(f"grants: {text!r} must be HOST or HOST:PORT, not a URL")
        match = _WITH_PORT.fullmatch(text.strip())
        if match is None:
            return cls(host=text.strip(), allow_private=allow_private)
        return cls(host=match["host"], ports=(int(match["port"]),), allow_private=allow_private)

    @property
    def text(self) -> str:
        """The host as `--allow-http` takes it, with the port when there is only one."""
        return bracketed(self.host) + (f":{self.ports[0]}" if len(self.ports) == 1 else "")

    def covers_host(self, host: str) -> bool:
        """Whether a normalised host is the one granted, or below the granted wildcard."""
        return host == self.host or (self.host.startswith("*.") and host.endswith(self.host[1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What one execution may reach; the default is nothing.

    `http` takes `"api.example.com"`, `"api.example.com:8443"`, `"*.example.com"` and `HttpGrant`s; what any of them
    permits is permitted. It is kept as a tuple of `HttpGrant`. With `recorded`, permitted requests get its answers and
    nothing is connected: for tests.

    Raises:
        ConfigError: one of them is not a grant.
    """

    http: Sequence[str | HttpGrant] = ()
    recorded: RecordedHttp | None = None

    def __post_init__(self) -> None:
        if isinstance(self.http, str) or not isinstance(self.http, Iterable):
            raise ConfigError('grants: http must be a list of hosts, such as http=["api.example.com"]')
        grants = tuple(item if isinstance(item, HttpGrant) else HttpGrant.parse(item) for item in self.http)
        object.__setattr__(self, "http", grants)

    @property
    def http_grants(self) -> tuple[HttpGrant, ...]:
        """`http` with its real type."""
        return tuple(item for item in self.http if isinstance(item, HttpGrant))


def checked_host(host: object, subject: str = "grants") -> str:
    """One spelling of a host or wildcard; `subject` begins the message.

    Raises:
        ConfigError: it is neither.
    """
    if not isinstance(host, str):
        raise ConfigError(f"{subject}: host must be a string, not {type(host).__name__}")
    wildcard, name = ("*.", host[2:]) if host.startswith("*.") else ("", host)
    if "*" in name:
        raise ConfigError(f"{subject}: {host!r}: a wildcard stands for whole labels at the start: *.example.com")
    try:
        name = normalise_host(name, unicode_names=True)
    except ValueError as error:
        raise ConfigError(f"{subject}: host {host!r} {error}") from None
    if wildcard and (is_address(name) or "." not in name):
        raise ConfigError(f"{subject}: {host!r} is too wide: a wildcard needs a name of at least two labels after it")
    return wildcard + name


def _checked_ports(ports: object) -> tuple[int, ...]:
    if isinstance(ports, (str, bytes)) or not isinstance(ports, Iterable):
        raise ConfigError("grants: ports must be a sequence of port numbers")
    checked = tuple(dict.fromkeys(ports))
    for port in checked:
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65_535:
            raise ConfigError(f"grants: port must be from 1 to 65,535, not {port!r}")
    if not checked:
        raise ConfigError("grants: ports must name at least one port")
    return checked


def _checked_methods(methods: object) -> tuple[str, ...]:
    if isinstance(methods, (str, bytes)) or not isinstance(methods, Iterable):
        raise ConfigError('grants: methods must be a sequence, such as ("GET", "POST")')
    checked = tuple(dict.fromkeys(methods))
    for method in checked:
        if not isinstance(method, str) or not _METHOD.fullmatch(method):
            raise ConfigError(f"grants: method must be in capital letters, such as 'GET', not {method!r}")
        if method in {"CONNECT", "TRACE"}:
            raise ConfigError(f"grants: method {method} cannot be granted")
    if not checked:
        raise ConfigError("grants: methods must name at least one method")
    return checked


def _checked_ca_file(ca_file: object) -> str:
    if not isinstance(ca_file, (str, Path)):
        raise ConfigError(f"grants: ca_file must be a path, not {type(ca_file).__name__}")
    import ssl

    path = str(Path(ca_file).absolute())
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"grants: ca_file {path} cannot be loaded: {error}") from None
    return path
