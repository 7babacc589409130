"""Plays the guest before the http capability: opens streams, reads them to the end, and notes what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.capability import HttpCapability
from wasmexec._hostcalls.http.egress import Resolver
from wasmexec._hostcalls.http.placeholders import Placeholder
from wasmexec._hostcalls.usage import UsageCounter
from wasmexec.grants import Grants, HttpGrant
from wasmexec.limits import Limits
from wasmexec.proxy import Proxy


class Caller:
    """Plays the guest: opens streams and reads them to the end."""

    def __init__(self, capability: HttpCapability, usage: UsageCounter) -> None:
        self.capability = capability
        self.usage = usage
        self.last_stream = 0

    async def open(self, url: str, blob: bytes = b"", **args: Any) -> tuple[dict[str, Any], bytes]:
        self.last_stream += 1
        whole = {"stream": self.last_stream, "method": "GET", "url": url, "body": "whole" if blob else "none", **args}
        return await self.capability.perform("http.open", whole, blob)

    async def write(self, piece: bytes, *, end: bool = False, stream: int = 0) -> tuple[dict[str, Any], bytes]:
        args = {"stream": stream or self.last_stream, "end": end}
        return await self.capability.perform("http.write", args, piece)

    async def read(self, max_bytes: int = 262_144, stream: int = 0) -> tuple[bool, bytes]:
        args = {"stream": stream or self.last_stream, "max_bytes": max_bytes}
        reply, data = await self.capability.perform("http.read", args, b"")
        return reply["eof"] is True, data

    async def close(self, stream: int = 0) -> None:
        assert await self.capability.perform("http.close", {"stream": stream or self.last_stream}, b"") == ({}, b"")

    async def fetch(self, url: str, blob: bytes = b"", **args: Any) -> tuple[int, bytes]:
        """Status and whole body."""
        head, body = await self.open(url, blob, **args)
        stream, eof = args.get("stream", self.last_stream), head["eof"]
        while not eof:
            eof, data = await self.read(stream=stream)
            body += data
        return head["status"], body


def private_grant(authority: str) -> HttpGrant:
    """A grant of one server on this machine, `HOST:PORT`."""
    grant = HttpGrant.parse(authority, allow_private=True)
    assert len(grant.ports) == 1
    return grant


def play(
    granted: str | Sequence[HttpGrant],
    script: Callable[[Caller], Awaitable[None]],
    *,
    resolver: Resolver | None = None,
    placeholders: Sequence[Placeholder] = (),
    ca_file: str | None = None,
    proxy: Proxy | str | None = None,
    **limits: Any,
) -> UsageCounter:
    """Run a script of operations with these grants, or with a private one of `HOST:PORT`; nothing may be left over."""
    http = [private_grant(granted)] if isinstance(granted, str) else granted
    grants = Grants(http=http, ca_file=ca_file, proxy=proxy)

    async def run() -> UsageCounter:
        usage = UsageCounter()
        capability = HttpCapability(grants, Limits(**limits), usage, placeholders=placeholders, resolver=resolver)
        try:
            async with asyncio.timeout(30):
                await script(Caller(capability, usage))
        finally:
            await capability.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return usage

    return asyncio.run(run())


def answering(*addresses: str) -> Resolver:
    """A resolver that gives these addresses for every name."""

    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolver


async def failure(awaitable: Awaitable[object]) -> tuple[str, str]:
    """Code and message of an operation that must fail."""
    with pytest.raises(HostCallError) as caught:
        await awaitable
    return caught.value.code, caught.value.message
