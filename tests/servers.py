"""Real HTTP/1.1 servers on loopback: each answers by its path, counts what it sees and is stopped by its user.

`WebServer` speaks HTTP through the standard library, `ScriptedServer` sends the bytes it is given, however wrong.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

LONGEST_WAIT_SECONDS = 10.0


class WebServer:
    """A server that is up from construction to `close`.

    `requests` and `headers_seen` have the path and the headers (names in small letters) of every request, `bodies_seen`
    the bodies that came to /echo, `has_client_certificate` is about each connection with TLS. Paths, with their query
    parameters:

    ========================= ==================================================================================
    /hello                    `hello`, as text
    /echo                     JSON of the request: method, path, headers, body
    /status?code=             that status, no body
    /bytes?size=              so many bytes, with Content-Length
    /chunks?count=&size=&pause=  chunked, `pause` seconds between the chunks
    /slow?seconds=            `slow` after so long
    /stall?size=              so many bytes of twice as many, then nothing until the client goes
    /meet?count=              `met` when so many requests are in here at once; 504 when they do not come
    /redirect?to=&status=     that status (302) with that Location
    /set-cookie?name=&value=  a cookie
    /gzip                     JSON, compressed
    /headers?size=            a response with a header of that size
    /raw?hex=                 these bytes, whatever they are; then the connection is closed
    /upload                   JSON of a streamed body: size, sha256, how it was framed
    ========================= ==================================================================================
    """

    handler: ClassVar[type[WebHandler]]

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.bodies_seen: list[bytes] = []
        self.has_client_certificate: list[bool] = []
        self.connections = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.closing = threading.Event()
        self.changed = threading.Condition()
        self._server = _Server(self, host, tls)
        self.scheme = "http" if tls is None else "https"
        self.host = host
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="web-server", daemon=True
        )
        self._thread.start()

    @property
    def authority(self) -> str:
        """`host:port` as in a URL and in a grant."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def url(self, path: str = "/", host: str | None = None) -> str:
        """The URL of a path, under another name of this machine if `host` is given."""
        authority = self.authority if host is None else f"{host}:{self.port}"
        return f"{self.scheme}://{authority}{path}"

    def close(self) -> None:
        """Stop, with the requests under way."""
        self.closing.set()
        with self.changed:
            self.changed.notify_all()
        self._server.shutdown()
        self._thread.join(LONGEST_WAIT_SECONDS)
        self._server.server_close()

    def wait_until(self, ready: Callable[[], bool], seconds: float = LONGEST_WAIT_SECONDS) -> bool:
        """Whether the counters come to a state in time."""
        with self.changed:
            return self.changed.wait_for(lambda: ready() or self.closing.is_set(), seconds) and ready()

    @contextmanager
    def counted(self, path: str) -> Iterator[None]:
        """Count a request as in flight."""
        with self.changed:
            self.requests.append(path)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.in_flight -= 1
                self.changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, web: WebServer, host: str, tls: ssl.SSLContext | None) -> None:
        self.web = web
        self.tls = tls
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, 0), web.handler)

    def server_bind(self) -> None:
        # The base class looks its own name up, which takes seconds on machines without a resolver.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.web.changed:
            self.web.connections += 1
        request.settimeout(LONGEST_WAIT_SECONDS)
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secured:
            self.web.has_client_certificate.append(bool(secured.getpeercert(binary_form=True)))
            super().finish_request(secured, client_address)

    def shutdown_request(self, request: Any) -> None:
        try:
            super().shutdown_request(request)
        except OSError:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients of these tests go away in the middle; what matters is asserted at the client."""


class WebHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection: the path `/a/b-c` is the method `path_a_b_c`."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet, or each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = 256 * 1024
    server: _Server

    def handle_one_request(self) -> None:
        """Answer by method-independent path."""
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        name = parts.path.strip("/").replace("-", "_").replace("/", "_") or "hello"
        answer = getattr(self, f"path_{name}", None)
        self.server.web.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        with self.server.web.counted(self.path):
            if answer is None:
                self.reply(404, b"no such path")
            else:
                answer({key: values[-1] for key, values in parse_qs(parts.query).items()})
            self.wfile.flush()

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def body_pieces(self) -> Iterator[bytes]:
        """The request body as it comes, chunked or not."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(100), 16):
                yield self.rfile.read(size)
                self.rfile.readline(10)
            self.rfile.readline(10)
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, 65_536))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def path_hello(self, query: dict[str, str]) -> None:
        self.reply(200, b"hello", {"Content-Type": "text/plain"})

    def path_echo(self, query: dict[str, str]) -> None:
        body = b"".join(self.body_pieces())
        self.server.web.bodies_seen.append(body)
        self.reply_json(
            {
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode("latin-1"),
            }
        )

    def path_status(self, query: dict[str, str]) -> None:
        self.reply(int(query["code"]))

    def path_bytes(self, query: dict[str, str]) -> None:
        self.reply(200, b"x" * int(query["size"]))

    def path_chunks(self, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(int(query["count"])):
            piece = str(number % 10).encode() * int(query.get("size", 1))
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if "pause" in query:
                self.wfile.flush()
                self.server.web.closing.wait(float(query["pause"]))
        self.wfile.write(b"0\r\n\r\n")

    def path_slow(self, query: dict[str, str]) -> None:
        self.server.web.closing.wait(float(query["seconds"]))
        self.reply(200, b"slow")

    def path_stall(self, query: dict[str, str]) -> None:
        size = int(query["size"])
        self.send_response(200)
        self.send_header("Content-Length", str(2 * size))
        self.end_headers()
        self.wfile.write(b"x" * size)
        self.wfile.flush()
        self.close_connection = True
        self.rfile.read(1)

    def path_meet(self, query: dict[str, str]) -> None:
        web, count = self.server.web, int(query["count"])
        met = web.wait_until(lambda: web.most_in_flight >= count)
        self.reply(200 if met else 504, b"met" if met else b"alone")

    def path_redirect(self, query: dict[str, str]) -> None:
        b"".join(self.body_pieces())
        self.reply(int(query.get("status", 302)), b"", {"Location": query["to"]})

    def path_set_cookie(self, query: dict[str, str]) -> None:
        self.reply(200, b"set", {"Set-Cookie": f"{query['name']}={query['value']}; Path=/"})

    def path_gzip(self, query: dict[str, str]) -> None:
        body = gzip.compress(json.dumps({"text": "x" * 1000}).encode())
        self.reply(200, body, {"Content-Type": "application/json", "Content-Encoding": "gzip"})

    def path_headers(self, query: dict[str, str]) -> None:
        size = int(query["size"])
        # Lines of at most 8 KB, because clients limit those too.
        lengths = [8000] * (size // 8000) + [size % 8000]
        self.reply(200, b"", {f"X-{number}": "h" * length for number, length in enumerate(lengths)})

    def path_raw(self, query: dict[str, str]) -> None:
        self.wfile.write(bytes.fromhex(query.get("hex", "")))
        self.close_connection = True

    def path_upload(self, query: dict[str, str]) -> None:
        digest, size, pieces = hashlib.sha256(), 0, 0
        for piece in self.body_pieces():
            digest.update(piece)
            size += len(piece)
            pieces += 1
        self.reply_json(
            {
                "size": size,
                "sha256": digest.hexdigest(),
                "pieces": pieces,
                "content_length": self.headers.get("Content-Length"),
                "transfer_encoding": self.headers.get("Transfer-Encoding"),
            }
        )

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""


WebServer.handler = WebHandler


class ScriptedServer:
    """A server that answers the requests of its first connections with the given bytes, then closes each connection.

    `received` has what each connection sent, up to the end of its headers.
    """

    def __init__(self, *answers: bytes, port: int = 0) -> None:
        self.received: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(LONGEST_WAIT_SECONDS)
        self.port = int(self._listener.getsockname()[1])
        self.authority = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, name="scripted-server", daemon=True)
        self._thread.start()

    def url(self, path: str = "/") -> str:
        """The URL of a path."""
        return f"http://{self.authority}{path}"

    def close(self) -> None:
        """Stop; unused answers are dropped."""
        with socket.socket() as wake:
            wake.connect_ex(("127.0.0.1", self.port))
        self._thread.join(LONGEST_WAIT_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(LONGEST_WAIT_SECONDS)
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65_536)
                    if not piece:
                        return
                    data += piece
                self.received.append(data)
                connection.sendall(answer)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def unused_port() -> int:
    """A port on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def elapsed(since: float) -> float:
    """Seconds since a `time.monotonic()`."""
    return time.monotonic() - since
