"""Grants, redirects and names that change their mind: what is connected to, and what is asked there."""

from __future__ import annotations

import asyncio
import ipaddress
import urllib.parse
from collections.abc import Sequence
from functools import cache
from typing import Any
from unittest import mock

import httpcore
from tests.fuzz.draw import Draw
from tests.fuzz.targets.network import address_of_any_kind, is_inside
from tests.http_caller import Caller

from wasmexec import ConfigError
from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.capability import HttpCapability
from wasmexec._hostcalls.http.egress import EgressPolicy
from wasmexec._hostcalls.usage import UsageCounter
from wasmexec.grants import DEFAULT_METHODS, Grants, HttpGrant
from wasmexec.limits import Limits

_PARTS = (
    "a.test", "*.b.test", "*.", "*", "GET", "POST", ",", " ", "http://", "https://", ":80", ":443", ":8080", ":0", "/",
    ":99999", "127.0.0.1", "[::1]", "::1", "[fe80::1]", "A.TEST.", "0x7f.1", "ü.test", "@", "?", "x" * 64, ".", "-",
    "TRACE", "CONNECT", "get", "\n", "\0", "２",
)  # fmt: skip
_HOSTS = (
    "a.test",
    "x.b.test",
    "y.x.b.test",
    "b.test",
    "127.0.0.1",
    "10.0.0.1",
    "evil.test",
    "xb.test",
    "a.test.evil.test",
)
_MOST_HOPS = 6
_PUBLIC = ("93.184.216.34", "2606:2800:220:1::1")


def grants(data: bytes) -> None:
    """A text is a grant, which can be written and read again as the same one, or a ConfigError; it covers its own."""
    draw = Draw(data)
    text = draw.choose(["", "GET ", "GET,POST ", "TRACE ", "GET,CONNECT "]) + draw.choose(["", "http://", "https://"])
    text += draw.choose(["a.test", "*.b.test", "127.0.0.1", "[::1]", ""]) + draw.choose(["", ":80", ":8080", "/"])
    if draw.chance(2):
        text = "".join(draw.choose(_PARTS) for _ in range(draw.below(6))) + (draw.text(6) if draw.chance(3) else "")
    try:
        grant = HttpGrant.parse(text, allow_private=draw.chance(2))
    except ConfigError as error:
        assert len(str(error)) < 2000
        return
    if len(grant.ports) == 1 or tuple(grant.ports) == (80, 443):
        again = HttpGrant.parse(grant.text, allow_private=grant.allow_private)
        assert (again.host, set(again.methods), set(again.schemes)) == (
            grant.host,
            set(grant.methods),
            set(grant.schemes),
        )
        assert set(again.ports) == set(grant.ports), f"{text!r} is {grant}, {grant.text!r} is {again}"
    assert not {"CONNECT", "TRACE"} & set(grant.methods)
    method, scheme = draw.choose(["GET", "POST", "DELETE", "TRACE"]), draw.choose(["http", "https"])
    host, port = draw.choose(_HOSTS), draw.choose([80, 443, 8080, 22])
    try:
        target = EgressPolicy([grant]).target(method, f"{scheme}://{host}:{port}/")
    except HostCallError as error:
        assert error.code in ("bad_request", "denied")
        is_granted = False
    else:
        assert (target.scheme, target.host, target.port) == (scheme, host, port)
        is_granted = True
    assert is_granted == _covers(grant, method, scheme, host, port), f"{text!r}: {method} {scheme}://{host}:{port}"


def _covers(grant: HttpGrant, method: str, scheme: str, host: str, port: int) -> bool:
    name = grant.host
    named = host == name if name[:2] != "*." else len(host) > len(name) - 1 and host[-len(name) + 1 :] == name[1:]
    return named and method in grant.methods and scheme in grant.schemes and port in grant.ports


class _World:
    """Names that resolve as the data say, differently every time, and a server at every address.

    `answers` are what each name has resolved to, `connected` the addresses and the bytes that were sent there.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.answers: dict[str, list[list[str]]] = {}
        self.connected: list[tuple[str, int, bytearray]] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The resolver of the host."""
        draw = self._draw
        if draw.chance(10):
            raise OSError("no such name")
        found = [
            draw.choose(_PUBLIC) if not draw.chance(3) else address_of_any_kind(draw) for _ in range(draw.below(3))
        ]
        self.answers.setdefault(host, []).append(found)
        return found

    async def connect(self, host: str, port: int, *_: object) -> httpcore.AsyncNetworkStream:
        """The sink behind every check: nothing leaves this process."""
        if self._draw.chance(10):
            raise httpcore.ConnectError("nobody is there")
        sent = bytearray()
        self.connected.append((host, port, sent))
        return _Stream(self, sent)

    def answer(self) -> bytes:
        """What a server says to a request: mostly that it is to be asked elsewhere."""
        draw = self._draw
        if draw.chance(3):
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        place = _place(draw).encode("latin-1", "replace").replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")
        status = draw.choose([b"302 Found", b"301 x", b"307 x", b"308 x", b"303 x"])
        return b"HTTP/1.1 %b\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, place)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection to a server of the world, which answers each request when it is there."""

    def __init__(self, world: _World, sent: bytearray) -> None:
        self._world = world
        self._sent = sent
        self._waiting = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        piece, self._waiting = self._waiting[:max_bytes], self._waiting[max_bytes:]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._sent += buffer
        if bytes(buffer).endswith(b"\r\n\r\n"):
            self._waiting += self._world.answer()

    async def aclose(self) -> None:
        self._waiting = b""

    async def start_tls(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


_GRANTED = (
    HttpGrant("a.test"),
    HttpGrant("*.b.test", ports=(80,), methods=("GET",)),
    HttpGrant("c.test", ports=(8080,), schemes=("http",), allow_private=True),
    HttpGrant("127.0.0.1", ports=(8080,), schemes=("http",), allow_private=True),
)


def _place(draw: Draw) -> str:
    if draw.chance(6):
        return draw.text(12)
    host = draw.choose(["a.test", "x.b.test", "c.test", "b.test", "evil.test", "127.0.0.1", "169.254.169.254", "[::1]"])
    port = draw.choose(["", "", ":80", ":8080", ":22"])
    return draw.choose(["http://", "http://", "http://", "//", "https://", "http:\\\\", "/"]) + host + port + "/p"


def redirects(data: bytes) -> None:
    """Wherever servers send a statement, and whatever names resolve to: only what is granted is connected to."""
    draw = Draw(data)
    world = _World(draw)
    with mock.patch.object(httpcore.AnyIOBackend, "connect_tcp", world.connect):
        _loop().run_until_complete(_follow(draw, world))
    for address, port, sent in world.connected:
        _check_connection(world, address, port, bytes(sent))


async def _follow(draw: Draw, world: _World) -> None:
    usage = UsageCounter()
    limits = Limits(http_bytes=20_000, http_requests=5)
    capability = HttpCapability(Grants(http=_GRANTED), limits, usage, resolver=world.resolve)
    caller = Caller(capability, usage)
    url, method = _place(draw), draw.choose(["GET", "GET", "POST"])
    try:
        async with asyncio.timeout(5):
            for _ in range(_MOST_HOPS):
                try:
                    head, _ = await caller.open(url, method=method)
                except HostCallError as error:
                    assert error.code in ("bad_request", "denied", "limit", "connect", "read", "protocol"), error.code
                    url = _place(draw)
                    continue
                await caller.close()
                places = [value for name, value in head["headers"] if name.lower() == "location"]
                if not places:
                    break
                try:
                    url = urllib.parse.urljoin(url, places[0])
                except ValueError:
                    break
    finally:
        await capability.aclose()
    assert usage.http_requests <= 5, "more requests than the limit"


def _check_connection(world: _World, address: str, port: int, sent: bytes) -> None:
    for request in filter(None, sent.split(b"\r\n\r\n")):
        start, *lines = request.decode("latin-1").split("\r\n")
        method = start.split(" ")[0]
        assert method in DEFAULT_METHODS
        (authority,) = [line.partition(": ")[2] for line in lines if line.lower().startswith("host:")]
        parsed = urllib.parse.urlsplit("//" + authority)
        host = parsed.hostname or ""
        assert (parsed.port or port) == port, "a request to another port than it says"
        granted = [
            grant
            for grant in _GRANTED
            if any(_covers(grant, method, scheme, host, port) for scheme in ("http", "https"))
        ]
        assert granted, f"{method} {host}:{port} is not granted"
        if host == "127.0.0.1":
            assert address == host
            continue
        answers = [found for found in world.answers.get(host, ()) if address in found]
        assert answers, f"{host} never was {address}"
        if not any(grant.allow_private for grant in granted):
            inside = [[text for text in found if is_inside(ipaddress.ip_address(text))] for found in answers]
            assert not all(inside), f"{host} was {answers}"
        else:
            kind = ipaddress.ip_address(address)
            assert not any((kind.is_link_local, kind.is_multicast, kind.is_unspecified)), f"{host} was {address}"


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()
