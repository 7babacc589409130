"""Grants: what an execution may reach in the world; nothing unless granted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._net.addresses import bracketed, is_address, normalise_host
from .errors import ConfigError

if TYPE_CHECKING:
    from .proxy import Proxy

DEFAULT_PORTS = (80, 443)
DEFAULT_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

DEFAULT_SCHEMES = ("http", "https")
_PORT_OF = {"http": 80, "https": 443}

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_GRANT = re.compile(
    r"(?:(?P<methods>[A-Z][A-Z0-9_-]*(?:\s*,\s*[A-Z][A-Z0-9_-]*)*)\s+)?(?:(?P<scheme>https?)://)?(?P<authority>[^/@?#]*)/?"
)
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class HttpGrant:
    """HTTP and HTTPS requests to one host, or to every name below one (`*.example.com`, not `example.com` itself).

    `host` is a name, a wildcard or an IP address and is kept in one spelling. `allow_private` also lets the host be
    on a private network or on this machine. `ca_file` is a PEM file whose certificates are trusted for this host
    *instead of* the system's. `client_cert` is a PEM file with the certificate that the host shows to a server that
    asks for one, and with its private key unless `client_key` has that; the guest sees neither.

    Raises:
        ConfigError: a field is not what it must be, or a file cannot be loaded.
    """

    host: str
    _: KW_ONLY
    ports: Sequence[int] = DEFAULT_PORTS
    methods: Sequence[str] = DEFAULT_METHODS
    schemes: Sequence[str] = DEFAULT_SCHEMES
    allow_private: bool = False
    ca_file: str | Path | None = None
    client_cert: str | Path | None = None
    client_key: str | Path | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the fields are frozen for everyone else
        set_field(self, "host", checked_host(self.host))
        set_field(self, "ports", _checked_ports(self.ports))
        set_field(self, "methods", _checked_methods(self.methods))
        set_field(self, "schemes", _checked_schemes(self.schemes))
        if not isinstance(self.allow_private, bool):
            raise ConfigError("grants: allow_private must be True or False")
        set_field(self, "ca_file", checked_ca_file(self.ca_file))
        set_field(self, "client_cert", _checked_path("client_cert", self.client_cert))
        set_field(self, "client_key", _checked_path("client_key", self.client_key))
        _check_identity(self.client_cert, self.client_key)

    @classmethod
    def parse(cls, text: str, *, allow_private: bool = False) -> HttpGrant:
        """The grant that a text stands for, as in `--allow-http`: `[METHOD,...] [http://|https://]HOST[:PORT]`.

        IPv6 addresses are in brackets. Without methods the usual ones are granted; `https://` leaves out http.

        Raises:
            ConfigError: the text is no such grant.
        """
        if not isinstance(text, str):
            raise ConfigError(f"grants: an http grant must be a string or an HttpGrant, not {type(text).__name__}")
        match = _GRANT.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f"grants: {text!r} must be HOST or HOST:PORT, not a URL with a path or a user name; "
                "methods and a scheme may stand before it: GET,POST https://HOST"
            )
        options: dict[str, Any] = {"allow_private": allow_private}
        if match["methods"] is not None:
            options["methods"] = re.split(r"\s*,\s*", match["methods"])
        if match["scheme"] is not None:
            options |= {"schemes": (match["scheme"],), "ports": (_PORT_OF[match["scheme"]],)}
        with_port = _WITH_PORT.fullmatch(match["authority"])
        if with_port is None:
            return cls(host=match["authority"], **options)
        return cls(host=with_port["host"], **{**options, "ports": (int(with_port["port"]),)})

    @property
    def text(self) -> str:
        """The grant as `--allow-http` takes it, with the port when there is only one."""
        methods = "" if self.methods == DEFAULT_METHODS else ",".join(self.methods) + " "
        scheme = f"{self.schemes[0]}://" if len(self.schemes) == 1 else ""
        return methods + scheme + bracketed(self.host) + (f":{self.ports[0]}" if len(self.ports) == 1 else "")

    def covers_host(self, host: str) -> bool:
        """Whether a normalised host is the one granted, or below the granted wildcard."""
        return host == self.host or (self.host.startswith("*.") and host.endswith(self.host[1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What one execution may reach, and how; the default is nothing.

    `http` takes `"api.example.com"`, `"GET,POST https://api.example.com:8443"`, `"*.example.com"` and `HttpGrant`s;
    what any of them permits is permitted. It is kept as a tuple of `HttpGrant`. `ca_file` is a PEM file of authorities
    that are trusted *besides* the system's, by all grants without one of their own.

    With `proxy` (`Proxy`, a URL, or `"env"` for what the environment says) requests go through it, and the proxy, not
    the host, resolves the names. The host still checks every request, each hop of a redirect, against the grants, and
    refuses addresses that are not public unless granted, and the names of this machine and of metadata services. That
    a granted name leads to no private address is then up to the proxy.

    Raises:
        ConfigError: one of them is not a grant, or not what it must be.
    """

    http: Sequence[str | HttpGrant] = ()
    ca_file: str | Path | None = None
    proxy: Proxy | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.http, str) or not isinstance(self.http, Iterable):
            raise ConfigError('grants: http must be a list of hosts, such as http=["api.example.com"]')
        grants = tuple(item if isinstance(item, HttpGrant) else HttpGrant.parse(item) for item in self.http)
        object.__setattr__(self, "http", grants)
        object.__setattr__(self, "ca_file", checked_ca_file(self.ca_file))
        object.__setattr__(self, "proxy", _checked_proxy(self.proxy))

    @property
    def http_grants(self) -> tuple[HttpGrant, ...]:
        """`http` with its real type."""
        return tuple(item for item in self.http if isinstance(item, HttpGrant))

    @property
    def http_proxy(self) -> Proxy | None:
        """`proxy` with its real type."""
        return self.proxy if not isinstance(self.proxy, str) else None


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


def _checked_schemes(schemes: object) -> tuple[str, ...]:
    if isinstance(schemes, (str, bytes)) or not isinstance(schemes, Iterable):
        raise ConfigError('grants: schemes must be a sequence, such as ("https",)')
    checked = tuple(dict.fromkeys(schemes))
    if not checked or not all(scheme in DEFAULT_SCHEMES for scheme in checked):
        raise ConfigError(f"grants: schemes must be http, https or both, not {checked!r}")
    return checked


def checked_ca_file(ca_file: object) -> str | None:
    """The absolute path of a file of certificates that can be loaded.

    Raises:
        ConfigError: it cannot.
    """
    path = _checked_path("ca_file", ca_file)
    if path is not None:
        from ._net.tls import TlsFileError, check_authorities

        try:
            check_authorities(path)
        except TlsFileError as error:
            raise ConfigError(f"grants: ca_file {path} cannot be loaded: {error.reason}") from None
    return path


def _checked_path(name: str, path: object) -> str | None:
    if path is None:
        return None
    if not isinstance(path, (str, Path)):
        raise ConfigError(f"grants: {name} must be a path, not {type(path).__name__}")
    return str(Path(path).absolute())


def _check_identity(client_cert: str | Path | None, client_key: str | Path | None) -> None:
    if client_cert is None:
        if client_key is not None:
            raise ConfigError("grants: client_key needs a client_cert")
        return
    from ._net.tls import TlsFileError, check_identity

    try:
        check_identity(str(client_cert), None if client_key is None else str(client_key))
    except TlsFileError as error:
        shown = f"client_cert {client_cert}" + ("" if client_key is None else f" with client_key {client_key}")
        raise ConfigError(f"grants: {shown} cannot be loaded: {error.reason}") from None


def _checked_proxy(proxy: object) -> Proxy | None:
    if proxy is None:
        return None
    from .proxy import Proxy

    if isinstance(proxy, str):
        return Proxy.parse(proxy)
    if not isinstance(proxy, Proxy):
        raise ConfigError(f"grants: proxy must be a Proxy, a URL or 'env', not {type(proxy).__name__}")
    return proxy
