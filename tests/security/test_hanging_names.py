"""Names whose lookup never ends: who asked for them ends at its limits, and nobody else has to wait for a lookup.

The hang is the operating system's function, replaced in this process and in the child that helps out.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.servers import WebServer

from wasmexec import Executor, Grants, HttpGrant, Limits, Status
from wasmexec._hostcalls.http import lookup_child
from wasmexec._hostcalls.http.resolver import MAX_ABANDONED, MAX_THREADS, MAX_WAITED_FOR, Resolver, shared_resolver

HANGING = f"""
import runpy, socket, time
real = socket.getaddrinfo
def hang(host, *more, **options):
    return time.sleep(1000) if host.startswith("hang") else real(host, *more, **options)
socket.getaddrinfo = hang
runpy.run_path({lookup_child.__file__!r}, run_name="__main__")
"""
ASK = """import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
async with httpx.AsyncClient(timeout=None) as client:
    await asyncio.gather(*(client.get(f"http://hang{number}.example.com/") for number in range(4)))
"""
GET = "import httpx\nreturn [{'text': httpx.get(LocalVariable.Server).text}]"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that are being looked up and never found."""
    real = socket.getaddrinfo
    names: list[str] = []
    ended = threading.Event()

    def hang(host: str, *more: Any, **options: Any) -> Any:
        if not host.startswith("hang"):
            return real(host, *more, **options)
        names.append(host)
        ended.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(shared_resolver(), "_command", (sys.executable, "-c", HANGING))
    yield names
    ended.set()
    shared_resolver().close()
    while shared_resolver()._threads:
        time.sleep(0.01)


@pytest.mark.timing
def test_names_that_hang_end_with_their_execution_and_hold_nobody_up(executor: Executor, hanging: list[str]) -> None:
    hostile: dict[str, Any] = {"grants": Grants(http=["*.example.com"]), "limits": Limits(wall_seconds=0.3)}
    with WebServer() as server:
        mine: dict[str, Any] = {
            "grants": Grants(http=[HttpGrant("localhost", ports=(server.port,), allow_private=True)]),
            "local_variables": {"Server": server.url("/hello", "localhost")},
        }
        for _ in range(3):
            threads = [threading.Thread(target=executor.run, args=(ASK,), kwargs=hostile) for _ in range(12)]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            found = executor.run(GET, **mine)
            assert (found.status, found.rows) == (Status.FINISHED, [{"text": "hello"}])
            for thread in threads:
                thread.join()
            assert time.monotonic() - start < 1.5
        start = time.monotonic()
        assert executor.run(GET, **mine).rows == [{"text": "hello"}]
        assert time.monotonic() - start < 0.5
    # The control: they hang, as many as there are threads for it, and the others do in the child.
    assert len(hanging) == MAX_THREADS


def resolver(hanging: list[str]) -> Resolver:
    return Resolver((sys.executable, "-c", HANGING))


def test_a_child_that_is_full_of_lookups_given_up_is_replaced(hanging: list[str]) -> None:
    lookups = resolver(hanging)

    async def main() -> None:
        stuck = [asyncio.ensure_future(lookups(f"hang{number}", 80)) for number in range(MAX_THREADS)]
        await asyncio.sleep(0.1)
        assert len(hanging) == MAX_THREADS
        assert (await lookups("localhost", 80))[0] in ("127.0.0.1", "::1")
        child = lookups._child
        assert child is not None
        patient = asyncio.ensure_future(lookups("hang-patiently", 80))
        for _ in range(2):
            given_up = [asyncio.ensure_future(lookups(f"hang{number}", 80)) for number in range(MAX_ABANDONED - 1)]
            await asyncio.sleep(0.1)
            for task in given_up:
                task.cancel()
            await asyncio.wait(given_up)
        assert lookups._child is not child
        assert not patient.done()
        assert (await lookups("localhost", 80))[0] in ("127.0.0.1", "::1")
        with pytest.raises(OSError, match=r"not known|No address|failure"):
            await lookups("no-such-name.invalid", 80)
        for task in (*stuck, patient):
            task.cancel()
        await asyncio.wait([*stuck, patient])

    asyncio.run(main())
    lookups.close()


def test_so_many_names_are_looked_up_at_once_and_no_more(hanging: list[str]) -> None:
    lookups = resolver(hanging)

    async def main() -> None:
        stuck = [asyncio.ensure_future(lookups(f"hang{number}", 80)) for number in range(MAX_WAITED_FOR)]
        await asyncio.sleep(0)
        text = f"^{MAX_WAITED_FOR} other names are being looked up at this moment, and none is answered$"
        with pytest.raises(OSError, match=text):
            await lookups("localhost", 80)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)
        assert (await lookups("localhost", 80))[0] in ("127.0.0.1", "::1")

    asyncio.run(main())
    lookups.close()


def test_a_child_that_dies_or_lies_is_an_error_and_the_next_one_works(hanging: list[str]) -> None:
    lookups = resolver(hanging)

    async def main() -> None:
        stuck = [asyncio.ensure_future(lookups(f"hang{number}", 80)) for number in range(MAX_THREADS)]
        await asyncio.sleep(0.1)
        for program in ("pass", "print('[]', flush=True); input()", "print('nonsense', flush=True); input()"):
            lookups._command = (sys.executable, "-c", program)
            with pytest.raises(OSError, match=r"^the process that looks names up (has ended|failed: .*)$"):
                await lookups("localhost", 80)
        lookups._command = ("/no/such/program",)
        with pytest.raises(OSError, match=r"^the process that looks names up failed"):
            await lookups("localhost", 80)
        lookups._command = (sys.executable, "-c", HANGING)
        assert (await lookups("localhost", 80))[0] in ("127.0.0.1", "::1")
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)

    asyncio.run(main())
    lookups.close()


class Hasty(threading.Thread):
    """Has ended before anybody goes on."""

    def start(self) -> None:
        super().start()
        self.join()


def test_a_child_that_has_ended_before_it_is_asked_is_an_error(
    hanging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = Resolver(("/no/such/program",))

    async def main() -> None:
        stuck = [asyncio.ensure_future(lookups(f"hang{number}", 80)) for number in range(MAX_THREADS)]
        await asyncio.sleep(0.1)
        monkeypatch.setattr(threading, "Thread", Hasty)
        async with asyncio.timeout(5):
            with pytest.raises(OSError, match=r"^the process that looks names up failed"):
                await lookups("localhost", 80)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)

    asyncio.run(main())
    lookups.close()
