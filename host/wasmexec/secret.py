"""`Secret`: a value that a statement may send to certain hosts and never holds."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

from ._net.addresses import bracketed
from .errors import ConfigError
from .grants import checked_host

SHORTEST = 8
LONGEST = 4096
LEAST_BITS = 40
"""What a value must take to be guessed, at least; a statement can have millions of guesses tried in an hour."""
LEAST_DIFFERENT = 5
"""Different characters in it, at least."""
_KINDS = (string.digits, string.ascii_lowercase, string.ascii_uppercase, string.punctuation + " ")
ALSO_IN = ("url", "body")
_DEFAULT_PORT = {"http": 80, "https": 443}

# SECURITY: what stands in a header and cannot end it.
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ORIGIN = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[^\]]*\]|[^:\[\]/@?#]+)(?::(?P<port>[0-9]{1,5}))?/?")


class SecretOrigin(NamedTuple):
    """Where a secret may be sent: one scheme, one host or all below a wildcard, one port."""

    scheme: str
    host: str
    port: int

    def covers(self, scheme: str, host: str, port: int) -> bool:
        """Whether a request with this normalised host goes there."""
        named = host == self.host or (self.host.startswith("*.") and host.endswith(self.host[1:]))
        return named and (scheme, port) == (self.scheme, self.port)

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{'' if self.scheme == 'https' else 'http://'}{bracketed(self.host)}{port}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of `Executor.run(secrets={"NAME": Secret(value, hosts=[...])})` that stays with the host.

    The statement gets a placeholder in its place, random in every execution (unless a seed decides) and as long as the
    value. Where that stands in a header of a request to one of `hosts`, also inside the Base64 of basic authentication,
    the value is sent; in requests to anywhere else the placeholder stays what it is. What comes back has the
    placeholder in place of the value.

    `also_in` are the parts of a request besides headers where the value may stand, for OAuth client secrets and keys in
    a query: "url" (percent-encoded) and "body" (as its Content-Type wants it: percent-encoded in a form, escaped in
    JSON and XML). A placeholder that leaves there without that stays what it is, and a warning of the result says so.

    `hosts` are `"api.example.com"` and `"*.example.com"` (HTTPS, port 443), `"api.example.com:8443"` (HTTPS) and, where
    the value may travel in the clear, `"http://10.0.0.7:8080"`. They are no grants: those are given as well.

    Raises:
        ConfigError: the value cannot stand in a header, is shorter than 8 or longer than 4,096 characters, or is easily
            guessed; no hosts, or one that is not a host; an unknown part in `also_in`.
    """

    value: str = field(repr=False)
    _: KW_ONLY
    hosts: Sequence[str]
    also_in: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise ConfigError(f"a secret must be a str, not {type(self.value).__name__}")
        hosts = checked_hosts(self.hosts)
        if not SHORTEST <= len(self.value) <= LONGEST:
            raise ConfigError(
                f"a secret with hosts must have {SHORTEST} to {LONGEST:,} characters, not {len(self.value):,}; "
                "a plain string can be shorter or longer"
            )
        if not _VALUE.fullmatch(self.value):
            raise ConfigError("a secret with hosts must be printable ASCII, without spaces at its ends")
        if len(set(self.value)) < LEAST_DIFFERENT or _bits(self.value) < LEAST_BITS:
            raise ConfigError(
                "a secret with hosts must be hard to guess, for a server that it is sent to can be made to compare "
                "guesses: more characters, or more kinds of them"
            )
        object.__setattr__(self, "hosts", hosts)
        object.__setattr__(self, "also_in", checked_parts(self.also_in))

    @property
    def origins(self) -> tuple[SecretOrigin, ...]:
        """`hosts`, parsed."""
        return tuple(map(_parse_origin, self.hosts))


def checked_hosts(hosts: object) -> tuple[str, ...]:
    """The hosts that a secret may be sent to, each in one spelling.

    Raises:
        ConfigError: there are none, or one is not a host.
    """
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        raise ConfigError('a secret needs a list of hosts, such as hosts=["api.example.com"]')
    found = tuple(str(_parse_origin(host)) for host in hosts)
    if not found:
        raise ConfigError('a secret needs at least one host, such as hosts=["api.example.com"]')
    return found


def _bits(value: str) -> float:
    """How many bits a random value of this length, of these kinds of characters, has."""
    return len(value) * math.log2(sum(len(kind) for kind in _KINDS if any(letter in kind for letter in value)))


def checked_parts(parts: object) -> tuple[str, ...]:
    """The parts of a request besides headers where a secret may stand, in a fixed order.

    Raises:
        ConfigError: there is no such part.
    """
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        raise ConfigError('also_in must be a list of "url" and "body", such as also_in=["body"]')
    given = list(parts)
    for part in given:
        if part not in ALSO_IN:
            raise ConfigError(f'also_in: {part!r} is neither "url" nor "body"; headers are always allowed')
    return tuple(part for part in ALSO_IN if part in given)


def _parse_origin(text: object) -> SecretOrigin:
    if not isinstance(text, str):
        raise ConfigError(f"a host of a secret must be a string, not {type(text).__name__}")
    match = _ORIGIN.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} must be HOST or HOST:PORT, or http://HOST:PORT to send a secret in the clear")
    scheme = match["scheme"] or "https"
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 1 <= port <= 65_535:
        raise ConfigError(f"{text!r}: port must be from 1 to 65,535")
    return SecretOrigin(scheme, checked_host(match["host"], "secrets"), port)
