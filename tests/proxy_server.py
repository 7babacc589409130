"""A real forward proxy on loopback: absolute-form for http, CONNECT for https, with or without credentials and TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import h11
from tests.servers import LONGEST_WAIT_SECONDS

_BYTES = 65_536


class ForwardProxy:
    """A proxy that is up from construction to `close`.

    `seen` has method and target of every request as it came, `headers_seen` the headers (names in small letters),
    `connections` counts those to the proxy. With `credentials` (`user:password`) everybody else gets 407. `names` are
    hosts that lead to 127.0.0.1 here: the proxy's own resolver. With `answer` every CONNECT gets these bytes, then the
    connection is closed (`hangs`: is not, but nothing more happens).
    """

    def __init__(
        self,
        *,
        credentials: str | None = None,
        tls: ssl.SSLContext | None = None,
        names: tuple[str, ...] = (),
        answer: bytes | None = None,
        hangs: bool = False,
    ) -> None:
        self.seen: list[tuple[str, str]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.connections = 0
        self._credentials = credentials
        self._tls = tls
        self._names = names
        self._answer = answer
        self._hangs = hangs
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="proxy-server", daemon=True)
        self._thread.start()
        assert started.wait(LONGEST_WAIT_SECONDS)

    @property
    def url(self) -> str:
        """What `--proxy` takes."""
        user = "" if self._credentials is None else f"{self._credentials}@"
        return f"{'http' if self._tls is None else 'https'}://{user}{self.authority}"

    @property
    def authority(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop, with everything under way."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LONGEST_WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, started: threading.Event) -> None:
        async def serve() -> None:
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
            self.port = int(server.sockets[0].getsockname()[1])
            started.set()
            await self._stop.wait()
            server.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (OSError, h11.ProtocolError, asyncio.CancelledError):
            # Clients of these tests go away in the middle; what matters is asserted at the client.
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = h11.Connection(h11.SERVER)
        while True:
            request = await _event(client, reader)
            if not isinstance(request, h11.Request):
                return
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
            method, target = request.method.decode(), request.target.decode()
            self.seen.append((method, target))
            self.headers_seen.append(headers)
            if self._answer is not None or self._hangs:
                writer.write(self._answer or b"")
                await writer.drain()
                await (self._stop.wait() if self._hangs else asyncio.sleep(0))
                return
            if self._credentials is not None and headers.get("proxy-authorization") != _basic(self._credentials):
                await self._refuse(client, writer, reader)
                if client.our_state is not h11.DONE:
                    return
                client.start_next_cycle()
            elif method == "CONNECT":
                await self._tunnel(target, reader, writer)
                return
            else:
                await self._forward(request, client, reader, writer)
                client.start_next_cycle()

    async def _refuse(self, client: h11.Connection, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        while not isinstance(await _event(client, reader), (h11.EndOfMessage, h11.ConnectionClosed)):
            pass
        body = b"credentials, please: " + (self._credentials or "").encode()
        head = [("Proxy-Authenticate", "Basic realm=proxy"), ("Content-Length", str(len(body)))]
        response = h11.Response(status_code=407, headers=head, reason=b"Who are you?")
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(client.send(event) or b"")
        await writer.drain()

    async def _tunnel(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self._connect(target)
        try:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await writer.drain()
            ways = [_copy(reader, server_writer), _copy(server_reader, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        finally:
            server_writer.transport.abort()

    async def _forward(
        self, request: h11.Request, client: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(request.target.decode())
        server_reader, server_writer = await self._connect(parts.netloc)
        server = h11.Connection(h11.CLIENT)
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        own = [(name, value) for name, value in request.headers if not name.startswith(b"proxy-")]
        outgoing = h11.Request(method=request.method, target=path.encode(), headers=own)

        async def relay(source: Callable[[], Awaitable[Any]], send: Callable[[Any], bytes | None], out: Any) -> None:
            while True:
                event = await source()
                if isinstance(event, h11.ConnectionClosed):
                    raise h11.RemoteProtocolError("closed")
                out.write(send(event) or b"")
                await out.drain()
                if isinstance(event, h11.EndOfMessage):
                    return

        try:
            server_writer.write(server.send(outgoing) or b"")
            await relay(lambda: _event(client, reader), server.send, server_writer)
            await relay(lambda: _event(server, server_reader), client.send, writer)
        finally:
            server_writer.transport.abort()

    async def _connect(self, authority: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = authority.rpartition(":") if authority.rpartition(":")[2].isdigit() else (authority, "", "80")
        host = "127.0.0.1" if host in self._names else host.strip("[]")
        return await asyncio.open_connection(host, int(port))


def _basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_BYTES))
    return event


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_BYTES):
        writer.write(data)
        await writer.drain()
