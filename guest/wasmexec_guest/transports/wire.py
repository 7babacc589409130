"""The two ends of HTTP/1.1 that a client library sees of a connection: it writes a request and reads a response.

Libraries without a seam above their connections write and read HTTP themselves. Here their bytes become the fields of a
host call, and the host's answer becomes bytes again, in the framing that the server chose: a response that came in
chunks comes in chunks, one for each piece that the host hands over, so nothing waits for more than has arrived.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .request import WHOLE_BODY_BYTES, HostRequest, Steps

_MAX_HEAD_BYTES = 256 * 1024
_MAX_CHUNK_LINE_BYTES = 1024
# int() takes signs, underscores and spaces besides, and no more than 4,300 decimal digits.
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,12}")


class WireError(ValueError):
    """What a library wrote is no HTTP/1.1 request."""


class RequestReader:
    """Takes one request apart as it is written.

    Attributes:
        method, target, headers: of the request, once `has_head`; the header texts are Latin-1.
        length: of the body by its Content-Length, 0 without a body, None if it is chunked.
        is_complete: whether everything has been written.
    """

    def __init__(self) -> None:
        self.method = self.target = ""
        self.headers: list[tuple[str, str]] = []
        self.length: int | None = 0
        self.has_head = False
        self.is_complete = False
        self._buffer = bytearray()
        self._body = bytearray()
        self._left = 0
        self._in_trailer = False

    @property
    def is_small(self) -> bool:
        """Whether the body is so small that it can wait for its end and go along with the request."""
        return self.length is not None and self.length <= WHOLE_BODY_BYTES

    def header(self, name: str) -> str | None:
        """The first value of a header, its name in small letters."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def feed(self, data: bytes) -> None:
        """Take what was written. What goes beyond the length that the request declares is dropped.

        Raises: WireError: it is no request.
        """
        if self.is_complete:
            return
        if not self.has_head:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MAX_HEAD_BYTES:
                    raise WireError("the head of the request does not end")
                return
            head = bytes(self._buffer[:end])
            data = bytes(self._buffer[end + 4 :])
            self._buffer.clear()
            self._read_head(head)
        if self.length is None:
            self._buffer += data
            self._read_chunks()
        else:
            data = data[: self._left]
            self._left -= len(data)
            self._body += data
            self.is_complete = self._left == 0

    def take(self, most: int) -> bytes:
        """The next bytes of the body, at most so many; b"" if nothing has been written since."""
        data = bytes(self._body[:most])
        del self._body[:most]
        return data

    def opening(self, request: HostRequest, base: str, timeout: Mapping[str, float | None]) -> Steps[None]:
        """The beginning of a request to `base`: with its body if that is small, which must be complete then."""
        body = self.take(WHOLE_BODY_BYTES) if self.is_small else None
        return request.open(self.method, base + self.target, self.headers, timeout=timeout, body=body)

    @property
    def waiting_bytes(self) -> int:
        """How much of the body `take` has not given yet."""
        return len(self._body)

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        try:
            self.method, self.target, _ = first.split(" ")
        except ValueError:
            raise WireError("the request line has not three words") from None
        for line in lines:
            if line[:1] in (" ", "\t") and self.headers:
                name, value = self.headers[-1]
                self.headers[-1] = (name, f"{value} {line.strip()}")
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise WireError("a header has no colon")
            self.headers.append((name, value.strip(" \t")))
        self.has_head = True
        declared = self.header("content-length")
        if "chunked" in (self.header("transfer-encoding") or "").lower():
            self.length = None
        elif declared is not None:
            if not _LENGTH.fullmatch(declared):
                raise WireError("Content-Length is not a number")
            self.length = self._left = int(declared)

    def _read_chunks(self) -> None:
        buffer = self._buffer
        while buffer:
            if self._left:
                # The line end behind each chunk belongs to it.
                size = min(self._left, len(buffer))
                self._body += buffer[: max(0, min(size, self._left - 2))]
                self._left -= size
                del buffer[:size]
                continue
            end = buffer.find(b"\r\n")
            if end < 0:
                if len(buffer) > _MAX_CHUNK_LINE_BYTES:
                    raise WireError("a chunk has no size")
                return
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            if self._in_trailer:
                if not line:
                    self.is_complete = True
                    return
                continue
            digits = line.partition(b";")[0]
            if not _CHUNK_SIZE.fullmatch(digits):
                raise WireError("a chunk has no size")
            size = int(digits, 16)
            if size:
                self._left = size + 2
            else:
                self._in_trailer = True


class ResponseWriter:
    """Puts one response together from what the host says: its head, then the pieces of its body."""

    def __init__(self, method: str, head: Mapping[str, Any]) -> None:
        headers: list[list[str]] = head["headers"]
        has_body = method != "HEAD" and head["status"] not in (204, 304)
        self._chunked = has_body and any(name.lower() == "transfer-encoding" for name, _ in headers)
        lines = [f"{head['http_version']} {head['status']} {head['reason']}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.ends_with_connection = (
            has_body and not self._chunked and not any(name.lower() == "content-length" for name, _ in headers)
        )

    def body(self, data: bytes, *, eof: bool) -> bytes:
        """The bytes for a piece of the body."""
        if not self._chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk + b"0\r\n\r\n" if eof else chunk


def base_url(scheme: str, host: str, port: int | None) -> str:
    """What stands before the target of a request in its URL."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"
