"""One HTTP request as the host carries it out, without its transport: it yields operations and takes their replies.

It knows neither of blocking and awaiting nor of a client library. Whoever drives it (`drivers.py`, and the callbacks of
`aiohttp.py`) sends each operation that it yields to the host and the reply back in; an operation that failed is thrown
in. The operations are those of PROTOCOL.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import HostCallError

WHOLE_BODY_BYTES = 64 * 1024
"""A body of at most this size whose end is known goes along with the request."""
WRITE_BYTES = 64 * 1024
READ_BYTES = 128 * 1024

T = TypeVar("T")
Operation = tuple[str, dict[str, object], bytes]
"""What a host call takes: its name, its arguments, its blob."""
Steps = Generator[Operation, Any, T]
"""To begin it is sent None, then a `Reply` after each operation; a failure that is thrown in comes out again."""

_streams = itertools.count(1)


class HostRequest:
    """One request and its response; at most one of its steps is under way, `close` may come in the middle of it.

    Attributes:
        stream: its number, which no other request of this execution has; 0 before it is opened.
        is_open: whether the host still has it: neither read to its end nor failed nor closed.
        head: of the response, None until the server answers, which it may do before it has the whole body.
        has_ended: whether the whole body of the response has arrived.
    """

    def __init__(self) -> None:
        self.stream = 0
        self.is_open = False
        self.head: Mapping[str, Any] | None = None
        self.has_ended = False
        self._arrived = b""

    def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        timeout: Mapping[str, float | None],
        body: bytes | None,
    ) -> Steps[None]:
        """Begin, with the whole body, or with None for one that `write` sends; header texts are Latin-1.

        Raises: ValueError: a timeout is not a number.
        """
        limits = {name: timeout_seconds(value) for name, value in timeout.items()}
        kind = "streamed" if body is None else "whole" if body else "none"
        self.stream, self.is_open = next(_streams), True
        arguments = {"method": method, "url": url, "headers": headers, "timeout": limits, "body": kind}
        return self._operation("http.open", arguments, body or b"")

    def write(self, data: bytes, *, is_last: bool = False, read_seconds: float | None = None) -> Steps[None]:
        """Send a part of the body, or nothing if the server has answered already.

        The response has its head after the last part. `read_seconds` replaces the timeout given at the opening.

        Raises: ValueError: a timeout is not a number.
        """
        # The last part may be empty, no other one is.
        for start in range(0, len(data) or int(is_last), WRITE_BYTES):
            if self.head is not None:
                return
            arguments: dict[str, object] = {}
            if is_last and start + WRITE_BYTES >= len(data):
                arguments["end"] = True
                if read_seconds is not None:
                    arguments["read_timeout"] = timeout_seconds(read_seconds)
            yield from self._operation("http.write", arguments, data[start : start + WRITE_BYTES])

    def read(self) -> Steps[bytes]:
        """The next bytes of the response's body, b"" at its end."""
        while not self._arrived and not self.has_ended:
            yield from self._operation("http.read", {"max_bytes": READ_BYTES})
        return self.take()

    def take(self) -> bytes:
        """What has arrived of the response's body since the last time."""
        data, self._arrived = self._arrived, b""
        return data

    def close(self) -> Steps[None]:
        """End the request, wherever it is; nothing is left to do if it has ended."""
        if self.is_open:
            self.is_open = False
            yield "http.close", {"stream": self.stream}, b""

    def _operation(self, name: str, arguments: Mapping[str, object], body: bytes = b"") -> Steps[None]:
        try:
            reply, data = yield name, {"stream": self.stream, **arguments}, body
        except HostCallError:
            # An operation that failed has ended the request on the host.
            self.is_open = False
            raise
        if not reply:
            return
        if self.head is None:
            self.head = reply
        self._arrived, self.has_ended = data, reply["eof"]
        self.is_open = self.is_open and not self.has_ended


def timeout_seconds(value: float | None) -> float | None:
    """A timeout as JSON can say it: None for no limit, which an infinite one is too.

    Raises: ValueError: it is not a number.
    """
    if value is None or value == math.inf:
        return None
    seconds = float(value)
    if math.isnan(seconds):
        raise ValueError("a timeout must be a number of seconds, not nan")
    return seconds
