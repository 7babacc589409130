"""`Broker`: a worker process asks its parent for connections, and gets them as sockets.

One channel of messages for each worker, JSON in both directions, of at most `MESSAGE_BYTES`:

    to the parent    {"id", "host", "port", "private", "seconds"}
    from the parent  {"id", "failure": [code, text] or null}, with the socket if there is no failure
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

from .._hostcalls.error import HostCallError

MESSAGE_BYTES = 8192


class Broker:
    """A `Connector` on one event loop; `channel` is the socket to the parent."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[socket.socket]] = {}
        self._is_watched = False

    async def connect(self, host: str, port: int, *, allow_private: bool, seconds: float) -> socket.socket:
        """See `Connector`."""
        loop = asyncio.get_running_loop()
        if not self._is_watched:
            loop.add_reader(self._channel.fileno(), self._receive)
            self._is_watched = True
        number = next(self._numbers)
        content = {"id": number, "host": host, "port": port, "private": allow_private, "seconds": seconds}
        answer: asyncio.Future[socket.socket] = loop.create_future()
        self._waiting[number] = answer
        try:
            await loop.sock_sendall(self._channel, json.dumps(content).encode())
            return await answer
        except OSError as error:
            raise HostCallError("connect", f"nobody makes connections any more: {error.strerror}") from None
        except asyncio.CancelledError:
            # It may have come in the same turn of the loop.
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().close()
            raise
        finally:
            del self._waiting[number]

    def _receive(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        if not data:
            # The parent has ended, and this process is about to.
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            return
        content = json.loads(data)
        made = socket.socket(fileno=descriptors[0]) if descriptors else None
        waiting = self._waiting.get(content["id"])
        if waiting is None or waiting.done():
            # Whoever asked for it has given up.
            if made is not None:
                made.close()
        elif made is not None:
            waiting.set_result(made)
        else:
            waiting.set_exception(HostCallError(*content["failure"]))
