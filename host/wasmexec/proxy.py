"""`Proxy`: the HTTP proxy through which the host reaches the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote

from ._net.addresses import bracketed, is_address, normalise_host
from .errors import ConfigError

ENVIRONMENT = "env"
MAX_EXCEPTIONS = 1000
_MAX_CREDENTIAL_CHARACTERS = 1024
_DEFAULT_PORT = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?:(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://)?(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/?#\s]*))?@)?"
    r"(?P<host>\[[^\]]*\]|[^:\[\]/@?#\s]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_PORT = re.compile(r"[0-9]{1,5}")


class ProxyServer(NamedTuple):
    """One proxy: how it is reached (`http` or `https`) and what it is told about who we are."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str

    def __repr__(self) -> str:
        return f"ProxyServer({self.scheme}://{bracketed(self.host)}:{self.port})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Requests to http and https URLs go through these proxies; None: straight to the server.

    `http` and `https` are `"http://[USER:PASSWORD@]HOST:PORT"`, or `https://` for TLS to the proxy itself; characters
    that have a meaning in a URL are percent-encoded. `no_proxy` lists what is reached directly: `"example.com"` (and
    all names below it), `"10.0.0.0/8"`, `"192.0.2.7"`, each with or without `:PORT`, or `"*"`.

    The proxy resolves the names, so the host cannot see to which address one leads: see `Grants`.

    Raises:
        ConfigError: one of them is none; the message has no password.
    """

    http: str | None = field(default=None, repr=False)
    https: str | None = field(default=None, repr=False)
    no_proxy: Sequence[str] = ()

    def __post_init__(self) -> None:
        for url in (self.http, self.https):
            if url is not None:
                parse_server(url)
        if isinstance(self.no_proxy, str) or not isinstance(self.no_proxy, Iterable):
            raise ConfigError('proxy: no_proxy must be a list of hosts, such as no_proxy=["10.0.0.0/8"]')
        exceptions = tuple(self.no_proxy)
        if len(exceptions) > MAX_EXCEPTIONS:
            raise ConfigError(f"proxy: no_proxy has more than {MAX_EXCEPTIONS:,} hosts")
        for text in exceptions:
            _check_exception(text)
        object.__setattr__(self, "no_proxy", exceptions)

    @classmethod
    def parse(cls, text: str, no_proxy: Sequence[str] | None = None) -> Proxy:
        """The proxy that `URL` or `env` stands for, as in `--proxy`.

        Raises:
            ConfigError: it is neither.
        """
        if text == ENVIRONMENT:
            return cls.from_environment(no_proxy)
        return cls(http=text, https=text, no_proxy=no_proxy or ())

    @classmethod
    def from_environment(cls, no_proxy: Sequence[str] | None = None) -> Proxy:
        """What HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say (or the same in small letters).

        Of NO_PROXY what makes no sense is left out, as everybody does; `no_proxy` is used instead of it.

        Raises:
            ConfigError: a variable has no proxy, or one that is neither http nor https.
        """
        from urllib.request import getproxies_environment

        found = getproxies_environment()
        if no_proxy is None:
            no_proxy = [text for text in _split(found.get("no", "")) if _is_exception(text)][:MAX_EXCEPTIONS]
        urls: dict[str, str | None] = {}
        for scheme in _DEFAULT_PORT:
            name, url = next(((name, found[name]) for name in (scheme, "all") if found.get(name)), ("", None))
            if url is not None:
                parse_server(url, f"{name.upper()}_PROXY")
            urls[scheme] = url
        return cls(no_proxy=no_proxy, **urls)

    @property
    def has_password(self) -> bool:
        """Whether a URL carries credentials."""
        return any(url is not None and "@" in url for url in (self.http, self.https))

    def server_for(self, scheme: str, host: str, port: int) -> ProxyServer | None:
        """The proxy for a normalised host; None: it is reached directly."""
        url = self.http if scheme == "http" else self.https
        if url is None or any(_excepts(text, host, port) for text in self.no_proxy):
            return None
        return parse_server(url)


def split_exceptions(texts: Iterable[str]) -> list[str]:
    """The hosts in texts that separate them by commas or spaces, as NO_PROXY does."""
    return [item for text in texts for item in _split(text)]


def parse_server(url: object, subject: str = "proxy") -> ProxyServer:
    """The parts of a proxy's URL.

    SECURITY: a message about it has the scheme at most, for what is wrong may be the password.

    Raises:
        ConfigError: it is none.
    """
    match = _URL.fullmatch(url.strip()) if isinstance(url, str) else None
    if match is None:
        raise ConfigError(f"{subject}: it must be http://[USER:PASSWORD@]HOST:PORT, with %40 for an @ in the password")
    scheme = (match["scheme"] or "http").lower()
    if scheme not in _DEFAULT_PORT:
        raise ConfigError(f"{subject}: only http and https proxies are known, not {scheme}")
    try:
        host = normalise_host(match["host"], unicode_names=True)
    except ValueError as error:
        raise ConfigError(f"{subject}: the host {error}") from None
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 1 <= port <= 65_535:
        raise ConfigError(f"{subject}: port must be from 1 to 65,535, not {port}")
    user = None if match["user"] is None else unquote(match["user"])
    password = unquote(match["password"] or "")
    if max(len(user or ""), len(password)) > _MAX_CREDENTIAL_CHARACTERS or ":" in (user or ""):
        raise ConfigError(f"{subject}: the user name has a colon, or it or the password is too long")
    return ProxyServer(scheme, host, port, user, password)


def _split(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if item]


def _check_exception(text: object) -> None:
    if not isinstance(text, str) or not _is_exception(text):
        raise ConfigError(f"proxy: {text!r} in no_proxy is no host, such as example.com, 10.0.0.0/8 or *")


def _is_exception(text: str) -> bool:
    if text == "*":
        return True
    host, _ = _parts(text)
    if "/" in host:
        return _network(host) is not None
    try:
        normalise_host(host, unicode_names=True)
    except ValueError:
        return False
    return True


def _excepts(text: str, host: str, port: int) -> bool:
    if text == "*":
        return True
    name, only_port = _parts(text)
    if only_port not in (None, port):
        return False
    if is_address(host):
        network = _network(name)
        return network is not None and ip_address(host) in network
    if "/" in name:
        return False
    name = normalise_host(name, unicode_names=True)
    return host == name or host.endswith("." + name)


def _parts(text: str) -> tuple[str, int | None]:
    """Host (a name without leading dot or `*.`, an address, a network) and port of an entry."""
    host, _, port = text.rpartition(":")
    # The last colon of an IPv6 address without brackets begins no port.
    if not _PORT.fullmatch(port) or (":" in host and not host.endswith("]")):
        host, port = text, ""
    host = host.removeprefix("[").removesuffix("]").removeprefix("*").removeprefix(".")
    return host, int(port) if port else None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
