"""Connections that somebody else makes for this process: it names the host, and is handed a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpcore
from anyio.abc import SocketStream
from httpcore._backends.anyio import AnyIOStream

from ..._net.addresses import bracketed
from .connections import Backend, Meter
from .connector import Connector


class BrokeredBackend(Backend):
    """Has each connection made by a connector, which also looks the name up and checks the addresses."""

    def __init__(self, meter: Meter, connector: Connector, *, allow_private: bool) -> None:
        super().__init__(meter, _no_addresses)
        self._connector = connector
        self._allow_private = allow_private

    async def connect(self, host: str, port: int, seconds: float) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(seconds):
                made = await self._connector.connect(host, port, allow_private=self._allow_private, seconds=seconds)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {bracketed(host)}:{port} in {seconds:g} s") from None
        try:
            stream = await SocketStream.from_socket(made)
        except BaseException as error:
            made.close()
            if isinstance(error, OSError):
                raise httpcore.ConnectError(f"connection to {bracketed(host)}:{port} failed: it broke") from error
            raise
        return AnyIOStream(stream)


async def _no_addresses(host: str, port: int) -> Sequence[str]:
    raise AssertionError("names are looked up by the connector")
