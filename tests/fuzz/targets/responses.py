"""What servers of the internet answer: the same meaning as in another parser, or an error that has a name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

import h11
from tests.fuzz.draw import Draw
from tests.http_caller import Caller, private_grant

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.capability import HttpCapability
from wasmexec._hostcalls.usage import UsageCounter
from wasmexec.grants import Grants
from wasmexec.limits import Limits

_LIMITS = Limits(http_bytes=20_000)
_SECONDS = 5.0
_CODES = {"protocol", "read", "limit", "connect", "read_timeout"}


class _Server:
    """A server on loopback that sends the pieces it is given, one after the other, and hangs up."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pieces: Sequence[bytes] = ()
        server = self.loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._server = server

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    async def fetch(self, method: str) -> tuple[int, bytes] | str:
        """Status and body, or the code of an error."""
        capability = HttpCapability(Grants(http=[private_grant(self.authority)]), _LIMITS, UsageCounter())
        try:
            async with asyncio.timeout(_SECONDS):
                return await Caller(capability, UsageCounter()).fetch(f"http://{self.authority}/", method=method)
        except HostCallError as error:
            return error.code
        finally:
            await capability.aclose()


@cache
def _server() -> _Server:
    return _Server()


def responses(data: bytes) -> None:
    """A response has the status and the body that h11 reads in it, however it is cut, or it is an error with a name."""
    draw = Draw(data)
    method = "GET" if not draw.chance(6) else "HEAD"
    answer = _answer(draw)
    server = _server()
    server.pieces = _cut(draw, answer)
    found = server.loop.run_until_complete(server.fetch(method))
    expected = _read(answer, method)
    if isinstance(found, str):
        assert found in _CODES, found
        assert expected is None or len(answer) > 10_000, f"{found} for {answer!r}, which is {expected}"
    else:
        assert found == expected, f"{found} from {answer!r}, not {expected}"
    assert isinstance(found, str) or len(found[1]) <= _LIMITS.http_bytes


def _cut(draw: Draw, answer: bytes) -> list[bytes]:
    pieces, at = [], 0
    for _ in range(draw.below(4)):
        size = draw.below(60)
        pieces.append(answer[at : at + size])
        at += size
    return [*filter(None, pieces), answer[at:]]


def _answer(draw: Draw) -> bytes:
    if draw.chance(6):
        return draw.rest()
    start = draw.choose([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 x", b"HTTP/1.0 200 OK", b"HTTP/1.1 304 x", b"HTTP/1.1 999"])
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" if draw.chance(6) else b""
    lines = [start if not draw.chance(8) else draw.binary(20)]
    body = draw.binary(40)
    framing = draw.below(5)
    if framing == 1:
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == 2:
        lines.append(b"Transfer-Encoding: chunked")
        body = _chunks(draw, body)
    elif framing == 3:
        lines.append(b"Content-Length: " + draw.choose([b"5", b"-1", b"+5", b"5, 5", b"99999999999999999999", b"0x5"]))
    for _ in range(draw.below(4)):
        names = (b"X-A", b"Set-Cookie", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Content-Encoding")
        name = draw.choose(names) if not draw.chance(5) else draw.binary(6)
        value = draw.choose([b"a", b"chunked", b"5", b"close", b"gzip", b"", draw.binary(10)])
        lines.append(name + b":" + draw.choose([b" ", b"", b"\t", b"\r\n "]) + value)
    end = draw.choose([b"\r\n", b"\r\n", b"\n"])
    return interim + end.join(lines) + 2 * end + body + draw.choose([b"", b"", b"more"])


def _chunks(draw: Draw, body: bytes) -> bytes:
    found = b""
    while body:
        size = 1 + draw.below(8)
        piece, body = body[:size], body[size:]
        told = len(piece) if not draw.chance(16) else draw.integer()
        found += b"%x%b\r\n%b\r\n" % (told, draw.choose([b"", b"", b";a=b", b" "]), piece)
    return found + draw.choose([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"0\n\n", b"00\r\n\r\n"])


def _read(answer: bytes, method: str) -> tuple[int, bytes] | None:
    """What h11 reads in all of it at once; None if that is no whole response."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        client.receive_data(answer)
        client.receive_data(b"")
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body
