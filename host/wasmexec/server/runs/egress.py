"""`Egress`: the connections of one worker process, which cannot make any: decided and made by the front.

SECURITY: a worker that a guest broke out of gets a connection only to a host and port that an execution which it has
at this moment was granted, at an address that the policy allows for it, and never more than `MOST_AT_ONCE` under way.
What is sent over a connection is the worker's business: methods and bound secrets are checked there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..._hostcalls.error import HostCallError
from ..._hostcalls.http.egress import Resolver, checked_addresses, resolve
from ..._net.addresses import bracketed, normalise_host
from ...grants import HttpGrant
from ...workers.broker import MESSAGE_BYTES

MOST_AT_ONCE = 256
LONGEST_SECONDS = 60.0


class _Asked(Struct, forbid_unknown_fields=True):
    """What a worker asks for."""

    id: Annotated[int, Meta(ge=0)]
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65_535)]
    private: bool
    seconds: Annotated[float, Meta(gt=0, le=LONGEST_SECONDS)]


_decoder = msgspec.json.Decoder(_Asked)


class Egress:
    """Makes connections for one worker, on the front's loop; `granted` tells what its executions may reach now.

    `theirs` is the worker's end of the channel, to be closed here once the worker has it.

    Raises:
        OSError: the system gives no sockets.
    """

    def __init__(self, granted: Callable[[], Iterable[HttpGrant]], resolver: Resolver = resolve) -> None:
        self._granted = granted
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._loop.add_reader(self._ours.fileno(), self._receive)

    def close(self) -> None:
        """Make no more of them, and drop those under way; idempotent."""
        if self._ours.fileno() >= 0:
            self._loop.remove_reader(self._ours.fileno())
        self._ours.close()
        self.theirs.close()
        for task in self._tasks:
            task.cancel()

    def _receive(self) -> None:
        """One message at a time: a worker that sends without end takes turns with everybody else."""
        try:
            data = self._ours.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            asked = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Its end, or what no worker of ours says.
            self.close()
            return
        if len(self._tasks) >= MOST_AT_ONCE:
            text = f"{MOST_AT_ONCE} connections of this worker are being made already"
            self._answer(asked.id, ["connect", text], None)
            return
        task = self._loop.create_task(self._serve(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, asked: _Asked) -> None:
        made, failure = None, None
        try:
            async with asyncio.timeout(asked.seconds):
                made = await self._connect(asked)
        except HostCallError as error:
            failure = [error.code, error.message]
        except TimeoutError:
            text = f"no connection to {bracketed(asked.host)}:{asked.port} in {asked.seconds:g} s"
            failure = ["connect_timeout", text]
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error) or "no connection"
            failure = ["connect", f"connection to {bracketed(asked.host)}:{asked.port} failed: {reason}"]
        self._answer(asked.id, failure, made)

    async def _connect(self, asked: _Asked) -> socket.socket:
        """Raises: HostCallError, OSError, TimeoutError."""
        self._check(asked)
        addresses = await checked_addresses(
            asked.host, asked.port, allow_private=asked.private, resolver=self._resolver
        )
        deadline = self._loop.time() + asked.seconds
        failures: list[OSError] = []
        for position, address in enumerate(addresses):
            # Each but the last has its share of the time left.
            share = (deadline - self._loop.time()) / (len(addresses) - position)
            try:
                return await asyncio.wait_for(self._connect_to(address, asked.port), share)
            except OSError as error:
                failures.append(error)
        raise failures[-1]

    def _check(self, asked: _Asked) -> None:
        """Raises: HostCallError: no execution of this worker may reach it."""
        try:
            is_plain = normalise_host(asked.host) == asked.host
        except ValueError:
            is_plain = False
        if not is_plain or not any(
            grant.covers_host(asked.host) and asked.port in grant.ports and grant.allow_private >= asked.private
            for grant in self._granted()
        ):
            raise HostCallError("denied", f"HTTP to {asked.host}:{asked.port} is not granted")

    async def _connect_to(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await self._loop.sock_connect(made, (address, port))
        except BaseException:
            made.close()
            raise
        return made

    def _answer(self, number: int, failure: Sequence[str] | None, made: socket.socket | None) -> None:
        """A worker that does not read its answers does without."""
        data = msgspec.json.encode({"id": number, "failure": failure})
        try:
            socket.send_fds(self._ours, [data], [] if made is None else [made.fileno()])
        except OSError:
            pass
        finally:
            if made is not None:
                made.close()
