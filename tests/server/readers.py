"""Many readers of one live run at once, each on a connection of its own; what every one of them has read."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NamedTuple

from tests.server.live_server import Tenant

_READ_SECONDS = 120.0


class Event(NamedTuple):
    """One server-sent event."""

    id: str
    name: str
    data: Any


def events_of(text: str) -> list[Event]:
    """The events of a stream, without comments."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append(Event(fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def read_by_many(tenant: Tenant, path: str, readers: int) -> list[str]:
    """What each of so many readers of a stream was sent until it ended."""
    return asyncio.run(_read_by_many(tenant, path, readers))


async def _read_by_many(tenant: Tenant, path: str, readers: int) -> list[str]:
    async with asyncio.timeout(_READ_SECONDS):
        return await asyncio.gather(*(_read(tenant, path) for _ in range(readers)))


async def _read(tenant: Tenant, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", tenant.server.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
        "Accept: text/event-stream\r\nConnection: close\r\n\r\n".encode()
    )
    content = await reader.read(-1)
    writer.close()
    head, _, body = content.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    # Each chunk is sent with one write, and has its size before it.
    return re.sub(rb"(?:^|\r\n)[0-9a-f]+\r\n", b"", body).removesuffix(b"\r\n").decode()
