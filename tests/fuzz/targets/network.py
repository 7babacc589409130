"""What goes to the network: where, and in which bytes."""

from __future__ import annotations

import asyncio
import ipaddress
import urllib.parse
from collections.abc import Sequence
from functools import cache
from typing import Any

import h11
import httptools
from tests.fuzz.draw import Draw

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import EgressPolicy, Target, check_unresolved, checked_addresses
from wasmexec._hostcalls.http.message import parse_request
from wasmexec.grants import HttpGrant
from wasmexec.limits import Limits

_PORTS = (80, 443, 8080)
_PARTS = (
    "http", "https", "HTTP", "://", ":", "/", "//", "\\", "@", "?", "#", "[", "]", "%", ".", "a.test", "A.TEST",
    "b.test", "evil.test", "x.b.test", "127.0.0.1", "::1", "0x7f.1", ":80", ":8080", ":443", ":0", "%2f", "\u3002",
    "ａ.test", "a.test.", " ", "\t", "\n", "\0", "user:pw@", "..", ";", "localhost", "169.254.169.254",
)  # fmt: skip


@cache
def _policy() -> EgressPolicy:
    grants = [
        HttpGrant("a.test", ports=_PORTS, methods=("GET", "POST", "PUT", "HEAD", "DELETE")),
        HttpGrant("*.b.test", ports=(443,), schemes=("https",)),
    ]
    return EgressPolicy(grants)


def _url(draw: Draw) -> str:
    if draw.chance(40):
        return "http://a.test/" + "x" * draw.choose([65_000, 65_523, 66_000])
    if draw.chance(3):
        return draw.text(40)
    if draw.chance(2):
        scheme, host = draw.choose(["http://", "https://", "HTTPS://"]), draw.choose(["a.test", "x.b.test", "b.test"])
        port = draw.choose(["", ":80", ":443", ":8080", ":8081", ":22", f":{draw.integer()}"])
        return draw.choose(["", "", "", "x"]) + scheme + host + port + draw.choose(["/", "", "/a?b", "?b", *_PARTS])
    start = "http://a.test" if not draw.chance(3) else ""
    return start + "".join(draw.choose(_PARTS) for _ in range(draw.below(8)))


def urls(data: bytes) -> None:
    """A URL that is permitted leads where a grant says, and another parser reads the same host and port in it."""
    draw = Draw(data)
    url = _url(draw)
    try:
        target = _policy().target("GET", url)
    except HostCallError as error:
        assert error.code in ("bad_request", "denied")
        assert str(error).isprintable()
        return
    _check_target(target)
    parsed = urllib.parse.urlsplit(url)
    assert parsed.scheme == target.scheme
    assert (parsed.hostname or "").rstrip(".") == target.host, url
    assert (parsed.port or {"http": 80, "https": 443}[target.scheme]) == target.port
    assert parsed.username is None


def _check_target(target: Target) -> None:
    is_wild = target.host.endswith(".b.test") and (target.scheme, target.port) == ("https", 443)
    assert is_wild or (target.host == "a.test" and target.port in _PORTS), f"{target} is not granted"
    assert not {0x20, 0x0A, 0x0D, 0x09, 0} & set(target.path)
    assert target.path.startswith(b"/")


def addresses(data: bytes) -> None:
    """Only addresses of the public internet are connected to, whatever a name resolves to, and only those it gave."""
    draw = Draw(data)
    if draw.chance(4):
        _check_unresolved(draw)
        return
    answers = [address_of_any_kind(draw) for _ in range(1 + draw.below(3))]

    fails = draw.choose([None, None, OSError(5, "no such name"), OSError(), UnicodeError(), "empty"])

    async def resolver(host: str, port: int) -> Sequence[str]:
        if isinstance(fails, Exception):
            raise fails
        return () if fails else answers

    try:
        found = asyncio.run(checked_addresses("a.test", 443, allow_private=False, resolver=resolver))
    except HostCallError as error:
        assert error.code == "denied" or (error.code == "connect" and fails is not None)
        return
    assert fails is None
    assert set(found) <= set(answers)
    for text in found:
        assert not is_inside(ipaddress.ip_address(text)), f"{text} was let through"


def _check_unresolved(draw: Draw) -> None:
    """What a proxy is asked for is no address of the inside, and no name of the machine itself."""
    known = ("localhost", "a.localhost", "metadata.google.internal", "a.test", "ip6-loopback", "instance-data")
    host = draw.choose(known) if draw.chance(2) else address_of_any_kind(draw)
    is_private, found = draw.chance(3), True
    try:
        check_unresolved(host, 80, allow_private=is_private)
    except HostCallError as error:
        assert error.code == "denied"
        found = False
    is_name = host in known
    if not is_private and found:
        assert host == "a.test" if is_name else not is_inside(ipaddress.ip_address(host)), f"{host} was let through"


def address_of_any_kind(draw: Draw) -> str:
    known = ("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1")
    kind = draw.below(6)
    near = bytes(draw.choose([(169, 254), (10, 0), (172, 16), (172, 31), (192, 168), (100, 64), (198, 18), (127, 1)]))
    random = ipaddress.IPv4Address(draw.take(4) if draw.chance(2) else near + draw.take(2))
    packed = ipaddress.ip_address(draw.choose(known)) if kind < 2 else random
    if kind in (0, 2):
        return str(packed)
    if kind == 1:
        prefix = draw.choose(["::ffff:", "64:ff9b::", "::", "::ffff:0:"])
        return prefix + str(packed)
    if kind == 3:
        return str(ipaddress.IPv6Address(bytes.fromhex("2002") + packed.packed + draw.take(10)))
    start = draw.choose(["fc", "fe80", "ff02", "2606", "2001", "0000", "fec0", "20010db8"])
    return str(ipaddress.IPv6Address((bytes.fromhex(start) + draw.take(16))[:16]))


def is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the standard library, too, knows it as one that is not of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: Any = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_inside(inner)
    return (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        or address.is_private
    )  # fmt: skip


def requests(data: bytes) -> None:
    """What a guest asks for becomes exactly one request, the same to two independent parsers."""
    draw = Draw(data)
    headers: Any = [[_header_name(draw), _header_value(draw)] for _ in range(draw.below(5))]
    blob = draw.binary(20)
    url = "http://a.test" + draw.choose(["/", "", "?q", "/a b", "/a\r\nx: y", "/" + draw.text(10)])
    args = {
        "method": draw.choose(["GET", "POST", "get", "P\r\n", "PUT", draw.text(6)]),
        "url": url, "headers": headers if not draw.chance(8) else draw.value(3),
        "body": draw.choose(["none", "whole", "whole", "none", "whole", "streamed", 1]),
    }  # fmt: skip
    if draw.chance(3):
        names, times = ["connect", "read", "write", "pool", "other"], [1, 0.5, None, -1, True, "x", float("inf")]
        args["timeout"] = {draw.choose(names): draw.choose(times)} if not draw.chance(4) else draw.value(1)
    limits = Limits() if not draw.chance(4) else Limits(http_headers=2, http_header_bytes=40)
    try:
        request = parse_request(args, blob, _policy(), limits)
    except HostCallError as error:
        assert error.code in ("bad_request", "denied", "limit")
        return
    for name, value in headers if args["headers"] is headers else ():
        assert name.lower() != "host" or value.lower() in ("a.test", "a.test:80"), "a Host header of its own"
    assert len(request.headers) <= limits.http_headers + 4
    if args["body"] == "streamed":
        framing = [name for name, _ in request.headers if name in (b"Content-Length", b"Transfer-Encoding")]
        assert len(framing) == 1, "a body that has no length, or two"
        return
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers)
    body = request.body or b""
    wire = b"%b %b HTTP/1.1\r\n%b\r\n%b" % (request.method.encode(), request.target.path, fields, body)
    by_h11, by_httptools = _read_h11(wire), _read_httptools(wire)
    framed = any(name.lower() == b"content-length" for name, _ in request.headers)
    expected = (request.method, request.target.path, len(request.headers), body if framed else b"")
    assert framed or not body, f"a body without a length: {wire!r}"
    assert by_h11 == expected, f"h11 reads {by_h11} from {wire!r}"
    assert by_httptools == expected, f"httptools reads {by_httptools} from {wire!r}"


def _header_name(draw: Draw) -> str:
    known = (
        "accept", "Content-Length", "Transfer-Encoding", "Connection", "Host", "X-A", "Expect", "TE", "Cookie",
        "Upgrade",
    )  # fmt: skip
    return draw.choose(known) if not draw.chance(3) else draw.text(8)


def _header_value(draw: Draw) -> str:
    known = ("a", "0", "5", "chunked", "close", "keep-alive, x-a", "a.test", "", "5, 5", "é", "100-continue")
    return draw.choose(known) if not draw.chance(3) else draw.text(8)


def _read_h11(wire: bytes) -> tuple[str, bytes, int, bytes]:
    server = h11.Connection(h11.SERVER)
    server.receive_data(wire)
    event = server.next_event()
    assert isinstance(event, h11.Request), event
    body = b""
    while isinstance(part := server.next_event(), h11.Data):
        body += bytes(part.data)
    assert isinstance(part, h11.EndOfMessage), part
    assert server.trailing_data[0] == b"", "there is more than one request"
    return event.method.decode(), event.target, len(list(event.headers)), body


class _Seen:
    """What httptools calls."""

    def __init__(self) -> None:
        self.requests = self.headers = 0
        self.url = self.body = b""

    def on_message_begin(self) -> None:
        self.requests += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers += 1

    def on_body(self, body: bytes) -> None:
        self.body += body


def _read_httptools(wire: bytes) -> tuple[str, bytes, int, bytes]:
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(wire)
    assert seen.requests == 1, "there is more than one request"
    return parser.get_method().decode(), seen.url, seen.headers, seen.body
