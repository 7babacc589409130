"""Connections that the front makes for a worker: what a worker that lies gets, and what one that does not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.server.live_server import LiveServer, wait_until
from tests.servers import WebServer

from wasmexec.grants import HttpGrant
from wasmexec.server.runs import egress as egress_module
from wasmexec.server.runs.egress import Egress
from wasmexec.workers.broker import MESSAGE_BYTES, Broker

PRIVATE = HttpGrant.parse("127.0.0.1:8080", allow_private=True)
NAMED = HttpGrant.parse("*.example.com")


class Channel:
    """The worker's end."""

    def __init__(self, egress: Egress) -> None:
        self.socket = socket.socket(fileno=os.dup(egress.theirs.fileno()))
        egress.theirs.close()
        self.socket.setblocking(False)
        self.loop = asyncio.get_running_loop()

    async def say(self, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        await self.loop.sock_sendall(self.socket, data)

    async def hear(self) -> tuple[dict[str, Any] | None, list[int]]:
        """The next answer, None if there will be none."""
        came = asyncio.Event()
        self.loop.add_reader(self.socket.fileno(), came.set)
        try:
            await asyncio.wait_for(came.wait(), 10)
        finally:
            self.loop.remove_reader(self.socket.fileno())
        data, descriptors, _, _ = socket.recv_fds(self.socket, MESSAGE_BYTES, 4)
        return (json.loads(data) if data else None), list(descriptors)

    async def ask(self, host: str, port: int, *, private: bool = False, seconds: float = 5.0) -> Any:
        """Ask for a connection; the failure."""
        await self.say({"id": 7, "host": host, "port": port, "private": private, "seconds": seconds})
        answer, descriptors = await self.hear()
        for descriptor in descriptors:
            os.close(descriptor)
        assert answer is not None
        assert answer["id"] == 7
        assert (answer["failure"] is None) is (len(descriptors) == 1)
        return answer["failure"]


@asynccontextmanager
async def worker(grants: Sequence[HttpGrant], names: dict[str, list[str]] | None = None) -> AsyncIterator[Channel]:
    async def resolver(host: str, port: int) -> list[str]:
        return (names or {})[host]

    egress = Egress(lambda: grants, resolver)
    channel = Channel(egress)
    try:
        yield channel
    finally:
        channel.socket.close()
        egress.close()


def test_a_worker_gets_connections_to_what_its_runs_were_granted_and_to_nothing_else() -> None:
    async def use() -> None:
        with socket.create_server(("127.0.0.1", 0)) as granted, socket.create_server(("127.0.0.1", 0)) as other:
            port, denied = granted.getsockname()[1], other.getsockname()[1]
            grants = [HttpGrant.parse(f"127.0.0.1:{port}", allow_private=True), HttpGrant.parse("public.example.com")]
            names = {"public.example.com": ["127.0.0.1"]}
            async with worker(grants, names) as channel:
                assert await channel.ask("127.0.0.1", port, private=True) is None
                code, text = await channel.ask("127.0.0.1", denied, private=True)
                assert (code, text) == ("denied", f"HTTP to 127.0.0.1:{denied} is not granted")
                # A name that leads to this machine is no grant of this machine.
                code, text = await channel.ask("public.example.com", 80)
                assert code == "denied"
                assert "resolves to a loopback address" in text
                for host in ("127.1", "localhost", "PUBLIC.example.com", "a\n"):
                    assert (await channel.ask(host, port, private=True))[0] == "denied"
                # Nobody was granted it on a private network.
                assert (await channel.ask("public.example.com", 80, private=True))[0] == "denied"
                granted.settimeout(5)
                granted.accept()[0].close()
                other.setblocking(False)
                with pytest.raises(BlockingIOError):
                    other.accept()

    asyncio.run(use())


def test_the_grants_are_those_of_the_moment() -> None:
    async def use() -> None:
        grants: list[HttpGrant] = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            async with worker(grants) as channel:
                assert (await channel.ask("127.0.0.1", port, private=True))[0] == "denied"
                grants.append(HttpGrant.parse(f"127.0.0.1:{port}", allow_private=True))
                assert await channel.ask("127.0.0.1", port, private=True) is None
                grants.clear()
                assert (await channel.ask("127.0.0.1", port, private=True))[0] == "denied"

    asyncio.run(use())


def test_metadata_of_the_cloud_is_reached_by_no_name() -> None:
    async def use() -> None:
        names = {"a.example.com": ["169.254.169.254"], "b.example.com": ["8.8.8.8", "10.0.0.1"]}
        async with worker([NAMED], names) as channel:
            assert "metadata" in (await channel.ask("a.example.com", 80))[1]
            # One forbidden address among several refuses them all.
            assert "private" in (await channel.ask("b.example.com", 443))[1]

    asyncio.run(use())


@pytest.mark.parametrize(
    "said",
    [
        b"{", b"[]", b'{"id": 1}', b"\xff\xfe", {"id": 1, "host": "a", "port": 0, "private": True, "seconds": 1},
        {"id": 1, "host": "a", "port": 80, "private": 1, "seconds": 1},
        {"id": 1, "host": "a" * 300, "port": 80, "private": True, "seconds": 1},
        {"id": 1, "host": "a", "port": 80, "private": True, "seconds": 1e9},
        {"id": 1, "host": "a", "port": 80, "private": True, "seconds": 1, "more": 1},
    ],
)  # fmt: skip
def test_a_worker_that_asks_for_nonsense_gets_nothing_any_more(said: Any) -> None:
    async def use() -> None:
        async with worker([PRIVATE]) as channel:
            await channel.say(said)
            assert await channel.hear() == (None, [])

    asyncio.run(use())


def test_many_at_once_are_refused_and_connections_that_hang_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_module, "MOST_AT_ONCE", 2)

    async def use() -> None:
        async def hangs(host: str, port: int) -> list[str]:
            await asyncio.sleep(60)
            return []

        egress = Egress(lambda: [NAMED], hangs)
        channel = Channel(egress)
        try:
            asked = {"host": "a.example.com", "port": 80, "private": False, "seconds": 0.2}
            for number in range(3):
                await channel.say({"id": number, **asked})
            failures = {}
            for _ in range(3):
                answer, _ = await channel.hear()
                assert answer is not None
                failures[answer["id"]] = answer["failure"]
            assert failures[2] == ["connect", "2 connections of this worker are being made already"]
            assert failures[0] == failures[1] == ["connect_timeout", "no connection to a.example.com:80 in 0.2 s"]
            assert not egress._tasks
        finally:
            channel.socket.close()
            egress.close()

    asyncio.run(use())


def test_who_gives_up_gets_no_socket_later() -> None:
    async def use() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            async with worker([HttpGrant.parse(f"127.0.0.1:{port}", allow_private=True)]) as channel:
                broker = Broker(channel.socket)
                before = psutil.Process().num_fds()
                for _ in range(20):
                    asking = asyncio.ensure_future(broker.connect("127.0.0.1", port, allow_private=True, seconds=5))
                    await asyncio.sleep(0)
                    asking.cancel()
                    with suppress(asyncio.CancelledError):
                        (await asking).close()
                made = await broker.connect("127.0.0.1", port, allow_private=True, seconds=5)
                assert made.getpeername() == ("127.0.0.1", port)
                made.close()
                await asyncio.sleep(0.05)
                assert psutil.Process().num_fds() <= before + 1

    asyncio.run(use())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with LiveServer(tmp_path_factory.mktemp("walled"), settings='wall = "required"') as running:
        yield running.until_ready()


def status_of(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_worker_of_a_server_is_behind_its_wall(server: LiveServer) -> None:
    wait_until(lambda: server.client.get("/readyz").json()["workers"] == 2)
    assert len(server.workers) == 2
    for process in server.workers:
        status = status_of(process)
        assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16)) == ("1", "2", 0)
        assert int(status["CapBnd"], 16) == 0
        assert set(process.environ()) <= {
            "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "MALLOC_ARENA_MAX", "LC_CTYPE",
        }  # fmt: skip
        # All of its threads.
        for thread in process.threads():
            text = Path(f"/proc/{process.pid}/task/{thread.id}/status").read_text()
            assert "Seccomp:\t2\n" in text
    # The control: what nobody put behind a wall.
    assert status_of(psutil.Process(server.process.pid))["Seccomp"] == "0"


def test_memories_are_used_again_behind_the_wall(server: LiveServer) -> None:
    """It needs calls that little else does, and without them every run is slower, and nothing else tells."""
    tenant = server.tenant("again")
    for _ in range(6):
        assert tenant.run("return []").json()["status"] == 201
    maps = [Path(f"/proc/{process.pid}/maps").read_text() for process in server.workers]
    assert any("memfd:wasmexec-image" in text for text in maps)


def test_a_statement_behind_the_wall_reaches_what_it_was_granted(server: LiveServer) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}", "localhost:1"]}
        tenant = server.tenant("reaches", grants=grants)
        asks = "import httpx\nanswer = await httpx.AsyncClient().get('{}')\nreturn [{{'status': answer.status_code}}]"
        answer = tenant.run(asks.format(web.url()), grants=grants).json()
        assert (answer["status"], answer["rows"]) == (200, [{"status": 200}])
        refused = tenant.run(asks.format(web.url()), grants={"http_private": ["localhost:1"]}).json()
        assert f"HTTP to 127.0.0.1:{web.port} is not granted" in refused["error"]["message"]
        nobody = tenant.run(asks.format("http://localhost:1/"), grants=grants).json()
        assert "refused" in nobody["error"]["message"].lower()
        assert len(web.requests) == 1


def test_long_rows_are_parsed_in_a_child_behind_the_same_wall(server: LiveServer) -> None:
    tenant = server.tenant("long")
    other = tenant.start("await sleep(20)")
    tenant.until(other, is_asleep=True)
    answer = tenant.run("return [{'a': 'x' * 1000} for _ in range(3000)]").json()
    assert (answer["status"], answer["row_count"]) == (200, 3000)
    children = [child for process in server.workers for child in process.children()]
    assert children
    assert {status_of(child)["Seccomp"] for child in children} == {"2"}
    tenant.cancel(other)
