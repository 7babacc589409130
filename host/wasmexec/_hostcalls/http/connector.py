"""Who makes the connections of this process: itself, or whoever started it.

A process with its second wall up has no `connect`. Apart from `brokered.py` because that imports httpcore.
"""

from __future__ import annotations

import socket
from typing import Protocol


class Connector(Protocol):
    """Has connections made."""

    async def connect(self, host: str, port: int, *, allow_private: bool, seconds: float) -> socket.socket:
        """A connection to a granted host; `allow_private`: it may be on a private network.

        Raises:
            HostCallError: "denied", an address is refused; "connect", none is found, or none answers;
                "connect_timeout".
        """
        ...


_connector: Connector | None = None


def use_connector(connector: Connector) -> None:
    """Have every connection of this process made by it from now on."""
    global _connector
    _connector = connector


def connector_in_use() -> Connector | None:
    """Who makes the connections of this process; None: itself."""
    return _connector
