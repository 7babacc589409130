"""A client that costs little: requests on connections that stay open, many at once, each timed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]+)\r\n", re.IGNORECASE)
_Found = TypeVar("_Found")


def run(work: Coroutine[Any, Any, _Found]) -> _Found:
    """What a coroutine returns, on the loop that costs least: client and server share the machine."""
    return uvloop.run(work)


class Answer:
    """The answer to one request."""

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status = status
        self.head = head
        self.body = body

    @property
    def headers(self) -> dict[str, str]:
        """By their names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")
        return dict(line.lower().split(": ", 1) for line in lines[1:] if line)

    def json(self) -> Any:
        """What its body is."""
        return json.loads(self.body)


class _Wire(asyncio.Protocol):
    """Puts an answer of a known length together; one at a time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answer] | None = None
        self._data = b""
        self._whole = 0
        self._head = 0

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        if not self._whole:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = end + 4
            found = _LENGTH.search(self._data, 0, self._head)
            assert found is not None, self._data[: self._head]
            self._whole = self._head + int(found[1])
        if len(self._data) >= self._whole:
            whole, self._data = self._data, b""
            answer, self.answer, size, self._whole = self.answer, None, self._whole, 0
            assert answer is not None
            assert len(whole) == size, "more came than one answer"
            if not answer.done():
                answer.set_result(Answer(int(whole[9:12]), whole[: self._head], whole[self._head :]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError("the server hung up"))


class Connection:
    """One connection to a server on loopback; one request at a time."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"

    async def open(self) -> None:
        """Connect."""
        self._loop = asyncio.get_running_loop()
        self._transport, self._wire = await self._loop.create_connection(_Wire, "127.0.0.1", self._port)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """One request and its answer; `headers` are whole lines."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{headers}Content-Length: {len(body)}\r\n\r\n"
        self._wire.answer = self._loop.create_future()
        self._transport.write(head.encode() + body)
        return await self._wire.answer

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


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
