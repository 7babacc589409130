"""Host names and addresses in one spelling, and which addresses are not of the public internet.

Names that a resolver could read as an address in an odd spelling (`0x7f.1`, `2130706433`, `127.1`) are refused rather
than normalised: nobody writes them by accident, and every parser reads them differently.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

MAX_HOST_CHARACTERS = 253

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Source: IANA special-purpose address registries for IPv4 and IPv6, and the metadata addresses of the large clouds.
# Written out because `ipaddress.is_private` means different things in different patch releases of Python 3.11.
_METADATA = {
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
}  # fmt: skip
_SPECIAL_V4 = [
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "private"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
_SPECIAL_V6 = [
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100:0:0:1::/64", "reserved"),
        ("5f00::/16", "reserved"),
        ("100::/64", "reserved"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
]
_GLOBAL_V6 = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")

# Source: RFC 6761 6.3, the names in every Debian's /etc/hosts, and the clouds' documentation.
_LOOPBACK_NAMES = {"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"}
_METADATA_NAMES = {
    "metadata", "metadata.google.internal", "metadata.goog", "metadata.tencentyun.com", "instance-data",
    "instance-data.ec2.internal",
}  # fmt: skip

_WITH_PRIVATE_GRANT = {"loopback", "private", "carrier-grade NAT", "documentation"}
_WITH_PRIVATE_GRANT_BY_ADDRESS = _WITH_PRIVATE_GRANT | {"link-local", "metadata"}


def normalise_host(text: str, *, unicode_names: bool = False) -> str:
    """One spelling of a host name (lower case, A-labels, no trailing dot) or IP address (no brackets, shortest form).

    With `unicode_names` a name in Unicode becomes its A-labels (UTS 46), else it is refused.

    Raises:
        ValueError: it is none of these; the message ends a sentence that began with the host.
    """
    if not text:
        raise ValueError("is empty")
    if not text.isascii():
        if not unicode_names:
            raise ValueError("is not ASCII: write the name in its xn-- form")
        text = _to_a_labels(text)
    host = text.lower()
    if host.startswith("[") or ":" in host:
        return _normalise_ipv6(host)
    if host.endswith("."):
        host = host[:-1]
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise ValueError("is an IP address in an odd spelling: write it as four decimal numbers") from None
    if len(host) > MAX_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is not a host name")
    return host


def _to_a_labels(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"is not a host name ({error})") from None


def _normalise_ipv6(host: str) -> str:
    if host.startswith("["):
        if not host.endswith("]"):
            raise ValueError("is not a host name")
        host = host[1:-1]
    if "%" in host:
        raise ValueError("carries a zone: write the address without it")
    try:
        address = IPv6Address(host)
    except AddressValueError:
        raise ValueError("is not an IPv6 address") from None
    if address.ipv4_mapped is not None:
        raise ValueError("is an IPv4 address in an IPv6 spelling: write it as four decimal numbers")
    return str(address)


def is_address(host: str) -> bool:
    """Whether a normalised host is an IP address rather than a name."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def bracketed(host: str) -> str:
    """A normalised host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def address_kind(text: str) -> str | None:
    """What sort of special address this is ("loopback", "private", "metadata", ...); None for a public one.

    An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo) is what the address it carries is.

    Raises:
        ValueError: not an IP address.
    """
    if ":" not in text:
        return _kind_v4(IPv4Address(text))
    address = IPv6Address(text.partition("%")[0])
    if str(address) in _METADATA:
        return "metadata"
    if address in _MAPPED or address in _NAT64:
        return _kind_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        return _kind_v4(IPv4Address((int(address) >> 80) & 0xFFFFFFFF))
    if address in _TEREDO and address.teredo is not None:
        server, client = address.teredo
        return _kind_v4(server) or _kind_v4(client)
    for network, kind in _SPECIAL_V6:
        if address in network:
            return kind
    return None if address in _GLOBAL_V6 else "reserved"


def _kind_v4(address: IPv4Address) -> str | None:
    if str(address) in _METADATA:
        return "metadata"
    return next((kind for network, kind in _SPECIAL_V4 if address in network), None)


def name_kind(host: str) -> str | None:
    """What sort of special address a normalised name stands for wherever it is resolved; None for other names."""
    if host in _METADATA_NAMES:
        return "metadata"
    return "loopback" if host in _LOOPBACK_NAMES or host.endswith(".localhost") else None


def is_reachable(kind: str | None, *, allow_private: bool, granted_by_address: bool) -> bool:
    """Whether an address of this kind may be connected to.

    SECURITY: link-local and metadata addresses hand out credentials of the machine: a private grant reaches them only
    when it names that very address, never through a name. Multicast, unspecified and reserved ones are never reached.
    """
    if kind is None:
        return True
    return allow_private and kind in (_WITH_PRIVATE_GRANT_BY_ADDRESS if granted_by_address else _WITH_PRIVATE_GRANT)
