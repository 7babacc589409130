"""Numbers 4, 16, 17 and 19: large bodies, runs that are cancelled, clients that hang up, hostile bodies."""

from __future__ import annotations

import gzip
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
from tests.bench.server.context import Check, Context
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

_MIB = 1024 * 1024
_STATES = {"queued": 0.005, "computing": 0.05, "asleep": 0.02, "in HTTP": 0.05}


def how_soon_it_is_cancelled(context: Context) -> Iterator[Check]:
    """Number 16."""
    tries = 5 if context.quick else 20
    with context.server("[limits]\nwall_seconds = 600\ncpu_seconds = 600") as server, WebServer() as web:
        grant = {"http_private": [f"GET 127.0.0.1:{web.port}"]}
        tenant = server.tenant("cancels", grants=grant)
        full = server.tenant("full", max_executing=1)
        full.start("while True:\n    pass", limits={"cpu_seconds": 600, "wall_seconds": 600})

        def start(state: str) -> tuple[Tenant, str]:
            if state == "queued":
                run_id = full.start("return []")
                return full, run_id
            if state == "computing":
                run_id = tenant.start("while True:\n    pass")
                tenant.until(run_id, state="running")
            elif state == "asleep":
                run_id = tenant.start("await sleep(60)")
                tenant.until(run_id, state="running", is_asleep=True)
            else:
                run_id = tenant.start(f"import httpx\nhttpx.get('{web.url('/slow?seconds=30')}')", grants=grant)
                tenant.until(run_id, state="running", is_asleep=True)
                time.sleep(0.05)
            return tenant, run_id

        for state, most in _STATES.items():
            found = []
            for _ in range(tries):
                owner, run_id = start(state)
                began = time.perf_counter()
                assert owner.cancel(run_id)["status"] == 303
                found.append(time.perf_counter() - began)
            seconds = statistics.median(found)
            yield Check(
                number="16", what=f"cancel, {state}: until the answer 303, median of {tries}",
                measured=f"{seconds * 1e3:.1f} ms", target=f"<= {most * 1e3:g} ms", met=seconds <= most,
            )  # fmt: skip


def a_client_that_hangs_up(context: Context) -> Iterator[Check]:
    """Number 17."""
    found = []
    with context.server() as server:
        tenant = server.tenant("hangs-up")
        body = json.dumps({"statement": "await sleep(30)"}).encode()
        head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
        for _ in range(5 if context.quick else 20):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                wait_until(lambda: tenant.counts["asleep"] == 1)
            began = time.perf_counter()
            wait_until(lambda: tenant.is_idle)
            found.append(time.perf_counter() - began)
    seconds = statistics.median(found)
    yield Check(
        number="17", what="the client hangs up: until its run is gone", measured=f"{seconds * 1e3:.1f} ms",
        target="<= 100 ms", met=seconds <= 0.1,
    )  # fmt: skip


def hostile_bodies(context: Context) -> Iterator[Check]:
    """Number 19: what is announced, slow, wide, deep or packed is refused, and leaves nothing behind."""
    settings = "body_seconds = 2.0\nhead_seconds = 2.0"
    with context.server(settings) as server:
        tenant = server.tenant("hostile")
        front = psutil.Process(server.process.pid)
        tenant.run("return []")
        most = [front.memory_info().rss]
        before, ended = most[0], threading.Event()

        def watch() -> None:
            while not ended.wait(0.002):
                most[0] = max(most[0], front.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            refused = {name: attack(server, tenant) for name, attack in _ATTACKS.items()}
        finally:
            ended.set()
            watcher.join()
        assert tenant.run("return []").status_code == 200
    wrong = [f"{name}: {status}" for name, status in refused.items() if not (400 <= status < 500 or status == 0)]
    yield Check(
        number="19", what=f"hostile bodies ({', '.join(refused)})", measured="; ".join(wrong) or "all refused",
        target="refused", met=not wrong,
    )  # fmt: skip
    grown = (most[0] - before) / _MIB
    yield Check(
        number="19", what="  memory of the front meanwhile", measured=f"+{grown:.0f} MiB", target="< 50 MB",
        met=grown < 50,
    )  # fmt: skip


def _announced(server: LiveServer, tenant: Tenant) -> int:
    return _raw(server, tenant, b"", length=10 * 1024**3)


def _slow(server: LiveServer, tenant: Tenant) -> int:
    """A byte now and then."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(_head(tenant, 1000))
        until = time.monotonic() + 10
        connection.settimeout(0.3)
        while time.monotonic() < until:
            connection.sendall(b" ")
            with suppress(TimeoutError):
                return _status(connection.recv(4096))
    return 200


def _many_keys(server: LiveServer, tenant: Tenant) -> int:
    body = json.dumps({"statement": "return []"} | {f"key{number}": number for number in range(100_000)})
    return _raw(server, tenant, body.encode())


def _deep(server: LiveServer, tenant: Tenant) -> int:
    body = b'{"statement": "return []", "limits": ' + b'{"a":' * 500_000 + b"1" + b"}" * 500_001
    return _raw(server, tenant, body)


def _packed(server: LiveServer, tenant: Tenant) -> int:
    body = gzip.compress(b'{"statement": "' + b" " * (200 * _MIB))
    return _raw(server, tenant, body, more="Content-Encoding: gzip\r\n")


def _long_head(server: LiveServer, tenant: Tenant) -> int:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(10)
        with suppress(OSError):
            connection.sendall(b"POST /v1/runs HTTP/1.1\r\n")
            for number in range(100_000):
                connection.sendall(f"x-{number}: {'y' * 100}\r\n".encode())
            return _status(connection.recv(4096))
    return 0


_ATTACKS: dict[str, Callable[[LiveServer, Tenant], int]] = {
    "10 GB announced": _announced, "slow bytes": _slow, "100,000 keys": _many_keys, "deep": _deep,
    "a gzip bomb": _packed, "a head without end": _long_head,
}  # fmt: skip


def _head(tenant: Tenant, length: int, more: str = "") -> bytes:
    head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
    return f"{head}{more}Content-Length: {length}\r\n\r\n".encode()


def _raw(server: LiveServer, tenant: Tenant, body: bytes, *, length: int | None = None, more: str = "") -> int:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(30)
        with suppress(OSError):
            connection.sendall(_head(tenant, len(body) if length is None else length, more) + body)
        return _status(connection.recv(4096))


def _status(answer: bytes) -> int:
    """0 if the connection was closed instead."""
    return int(answer.split()[1]) if answer else 0
