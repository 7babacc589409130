"""An execution that is ended in the middle of a connection leaves no socket: neither open nor to the collector."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from tests.http_caller import private_grant
from tests.neighbour import cancel_delay

from wasmexec import Executor, Grants, Status

FETCH = """import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
async with httpx.AsyncClient(timeout=None) as client:
    await asyncio.gather(*(client.get(LocalVariable.Server) for _ in range(8)))
"""
MOMENTS = [0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1]
"""Seconds after the start."""


def listening(stack: ExitStack) -> tuple[socket.socket, str]:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
    return listener, f"127.0.0.1:{listener.getsockname()[1]}"


def silent(stack: ExitStack) -> str:
    """A server that takes connections, and says nothing."""
    return listening(stack)[1]


def talking(stack: ExitStack) -> str:
    """A server that begins a record of TLS and never ends it."""
    listener, authority = listening(stack)

    def serve() -> None:
        with ExitStack() as connections:
            while True:
                try:
                    connection = connections.enter_context(listener.accept()[0])
                    connection.sendall(b"\x16\x03\x03\x40\x00")
                except OSError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    stack.callback(thread.join)
    stack.callback(listener.shutdown, socket.SHUT_RDWR)
    return authority


def full(stack: ExitStack) -> str:
    """A server that takes no connection any more: the system leaves the others in the middle of it."""
    listener, authority = listening(stack)
    listener.listen(0)
    for _ in range(2):
        connection = stack.enter_context(socket.socket())
        connection.setblocking(False)
        connection.connect_ex(listener.getsockname())
    return authority


@pytest.fixture
def left() -> Iterator[list[warnings.WarningMessage]]:
    """What the collector found that should have been closed."""
    gc.collect()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        yield found


def states() -> list[str]:
    return [connection.status for connection in psutil.Process().net_connections("tcp4")]


@pytest.mark.parametrize(
    ("server", "scheme", "state"),
    [(silent, "https", "ESTABLISHED"), (talking, "https", "ESTABLISHED"), (full, "http", "SYN_SENT")],
)
def test_whoever_is_cancelled_leaves_no_socket(
    executor: Executor, server: Callable[[ExitStack], str], scheme: str, state: str,
    left: list[warnings.WarningMessage],
) -> None:  # fmt: skip
    with ExitStack() as stack:
        authority = server(stack)
        given: dict[str, Any] = {
            "local_variables": {"Server": f"{scheme}://{authority}/"},
            "grants": Grants(http=[private_grant(authority)]),
        }
        before = states().count(state)
        cancel = executor.submit(FETCH, lambda result: None, **given)
        until = time.monotonic() + 10
        # The control: it came so far.
        while states().count(state) < before + 8:
            assert time.monotonic() < until, states()
            time.sleep(0.01)
        cancel()
        for moment in MOMENTS:
            _, result = cancel_delay(executor, FETCH, moment, **given)
            assert result.status == Status.CANCELLED
        while states().count(state) > before:
            assert time.monotonic() < until, states()
            time.sleep(0.01)
        gc.collect()
        assert [str(warning.message) for warning in left] == []


def test_a_socket_that_is_left_is_noticed(left: list[warnings.WarningMessage]) -> None:
    socket.socket()
    gc.collect()
    assert len(left) == 1
