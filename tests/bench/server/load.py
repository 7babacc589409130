"""A client that costs little: requests on connections that stay open, many at once, each timed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Answer:
    """The answer to one request."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """What its body is."""
        return json.loads(self.body)


class Connection:
    """One connection to a server on loopback; one request at a time."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """One request and its answer; `headers` are whole lines."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{headers}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        content = await self._reader.readexactly(int(found["content-length"]))
        return Answer(int(lines[0].split()[1]), found, content)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@dataclass(slots=True)
class Measured:
    """What some connections got in some seconds."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.times) / self.seconds


async def run_for(
    seconds: float, port: int, key: str, body: bytes, *, connections: int = 1, expect: int = 200,
    pause: Callable[[], float] | None = None,
) -> Measured:  # fmt: skip
    """Ask the same again and again, on so many connections; `pause` gives the seconds between two requests of one.

    Raises:
        AssertionError: an answer has another status than `expect`.
    """
    found = Measured()
    until = time.perf_counter() + seconds

    async def one() -> None:
        connection = Connection(port, key)
        await connection.open()
        while time.perf_counter() < until:
            began = time.perf_counter()
            answer = await connection.ask("POST", "/v1/runs", body)
            found.times.append(time.perf_counter() - began)
            assert answer.status == expect, answer.body
            if pause is not None:
                await asyncio.sleep(pause())
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    found.seconds = time.perf_counter() - began
    return found


def run_body(statement: str, **request: Any) -> bytes:
    """The body of a request for a run."""
    return json.dumps({"statement": statement, **request}).encode()
