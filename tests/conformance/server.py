"""The server that httpx's tests talk to: it answers as that of upstream's conftest does, for both sides."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_SECONDS = 1.0
"""Upstream's: long enough for any timeout of the tests."""


@contextmanager
def serving() -> Iterator[str]:
    """A server on loopback; gives its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A client that went away after its timeout must not hold a thread.
    timeout = 30.0

    def _answer(self) -> None:
        body = self._body()
        path = self.path
        if path.startswith("/slow_response"):
            time.sleep(SLOW_SECONDS)
        if path.startswith("/status"):
            self._send(int(path.removeprefix("/status/").partition("?")[0]), "text/plain", b"Hello, world!")
        elif path.startswith("/echo_body"):
            self._send(200, "text/plain", body)
        elif path.startswith("/echo_binary"):
            self._send(200, "application/octet-stream", body)
        elif path.startswith("/echo_headers"):
            found = {name.capitalize(): value for name, value in self.headers.items()}
            self._send(200, "application/json", json.dumps(found).encode())
        elif path.startswith("/redirect_301"):
            self._send(301, None, b"", location="/")
        elif path.startswith("/json"):
            self._send(200, "application/json", b'{"Hello": "world!"}')
        else:
            self._send(200, "text/plain", b"Hello, world!")

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return found

    def _send(self, status: int, kind: str | None, body: bytes, **headers: str) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.capitalize(), value)
        has_body = status >= 200 and status not in (204, 304)
        if has_body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
