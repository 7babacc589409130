"""What drives requests: httpx's transports, blocking and awaiting, and `http.client`'s socket, over a scripted host.

aiohttp's is tested in the guest only: the library is not installed here.
"""

from __future__ import annotations

import contextlib
import http.client
import random
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guest_unit import stand_in
from tests.guest_unit.request_host import RequestHost
from tests.reading import marked, read, table

from wasmexec_guest.errors import HostCallError
from wasmexec_guest.loop import GuestLoop
from wasmexec_guest.transports import slots
from wasmexec_guest.transports.http_client import SOCKET_EXCEPTIONS, HostSocket
from wasmexec_guest.transports.httpx import AsyncHTTPTransport, HTTPTransport
from wasmexec_guest.transports.request import WRITE_BYTES

CODES = sorted(marked(row["error code"])[0] for row in table(read("guest/PROTOCOL.md"), "error code", "meaning"))
DATA = random.Random(7).randbytes(WRITE_BYTES + 9)
PARTS = st.lists(st.integers(1, 9) | st.just(WRITE_BYTES + 9), max_size=4).map(
    lambda sizes: [DATA[len(DATA) - size :] for size in sizes]
)
RESPONSES = st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4) | st.just([b""])
FAILURES = st.none() | st.integers(0, 9)
URL = "http://h/p"


class NoMore(Exception):
    """The body of a request breaks off."""


def parts_of(parts: Sequence[bytes], breaks_at: int | None) -> Iterator[bytes]:
    for number, part in enumerate(parts):
        if number == breaks_at:
            raise NoMore
        yield part


async def async_parts_of(parts: Sequence[bytes], breaks_at: int | None) -> AsyncIterator[bytes]:
    for part in parts_of(parts, breaks_at):
        yield part


def outcome_of(error: Exception) -> tuple[str, str]:
    return type(error).__name__, str(error)


def blocking(host: RequestHost, content: Any, *, reads: bool = True) -> object:
    """What httpx.Client makes of one request."""
    host.take_over()
    transport = HTTPTransport()
    try:
        with httpx.Client(transport=transport).stream("POST", URL, content=content) as response:
            return response.status_code, response.read() if reads else b""
    except (httpx.HTTPError, NoMore) as error:
        return outcome_of(error)
    finally:
        assert not transport._open


class Loop:
    """A loop of the guest whose host calls `host` carries out; `cancels_at` is the operation at which the task ends."""

    def __init__(self, host: RequestHost, cancels_at: int | None = None) -> None:
        self._host = host
        self._cancels_at = cancels_at

    def run(self, work: Coroutine[Any, Any, object]) -> object:
        """The work's result."""
        self._host.take_over()
        loop = GuestLoop()
        loop.enter()
        try:
            task = loop.create_task(work)
            loop.run_until_idle(task)
            while not task.done():
                self._answer(loop, task)
                loop.run_until_idle(task)
            result = task.result()
            assert slots.slots()._value == slots.MOST_IN_FLIGHT
            return result
        finally:
            slots.forget_slots()
            loop.leave()
            loop.close()

    def _answer(self, loop: GuestLoop, task: Any) -> None:
        calls, loop.new_calls = loop.new_calls, []
        assert calls, "the task waits for nothing"
        for call in calls:
            number = len(self._host.operations)
            try:
                reply = self._host.carry_out(call["op"], call["args"], call["blob"])
            except HostCallError as error:
                loop.fail(call["number"], error)
            else:
                if number == self._cancels_at:
                    task.cancel()
                else:
                    loop.complete(call["number"], reply)


async def awaiting(content: Any, *, reads: bool = True) -> object:
    """What httpx.AsyncClient makes of one request."""
    transport = AsyncHTTPTransport()
    try:
        async with httpx.AsyncClient(transport=transport).stream("POST", URL, content=content) as response:
            return response.status_code, await response.aread() if reads else b""
    except (httpx.HTTPError, NoMore) as error:
        return outcome_of(error)
    finally:
        assert not transport._open


@given(PARTS, RESPONSES, st.none() | st.integers(1, 5), FAILURES, FAILURES, st.sampled_from(CODES), st.booleans())
def test_both_transports_of_httpx_ask_the_same_and_give_the_same(
    parts: list[bytes],
    response: list[bytes],
    early: int | None,
    fails_at: int | None,
    breaks_at: int | None,
    code: str,
    reads: bool,
) -> None:
    hosts = [RequestHost(response, early, fails_at, code) for _ in range(2)]
    first = blocking(hosts[0], parts_of(parts, breaks_at), reads=reads)
    second = Loop(hosts[1]).run(awaiting(async_parts_of(parts, breaks_at), reads=reads))
    assert first == second
    assert all(host.is_idle for host in hosts)
    assert [host.names() for host in hosts] == [hosts[0].names()] * 2
    assert [host.sent for host in hosts] == [hosts[0].sent] * 2
    if fails_at is None and breaks_at is None:
        assert first == (200, b"".join(response) if reads else b"")


@given(PARTS, RESPONSES, st.integers(0, 9))
def test_a_cancelled_request_is_closed_once_and_its_slot_is_free(
    parts: list[bytes], response: list[bytes], number: int
) -> None:
    async def work() -> None:
        with contextlib.suppress(BaseException):
            await awaiting(async_parts_of(parts, None))

    host = RequestHost(response)
    Loop(host, cancels_at=number).run(work())
    assert host.is_idle
    assert host.names()[number + 1 :] in ([], ["close"])
    assert host.names().count("close") == (number < len(host.names()))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("content", [b"", DATA[:9], DATA])
def test_a_failure_is_an_exception_of_httpx_with_the_words_of_the_host(code: str, content: bytes) -> None:
    for number in range(2):
        host = RequestHost([b"a", b"b"], fails_at=number, code=code)
        outcome = Loop(host).run(awaiting(content))
        assert isinstance(outcome, tuple)
        name, message = outcome
        assert message == f"operation {number} failed"
        assert issubclass(getattr(httpx, name), httpx.TransportError)
        assert (name != "TransportError") is (code not in ("limit", "internal"))


def test_after_an_early_answer_a_body_is_asked_for_no_more() -> None:
    taken = []

    def many() -> Iterator[bytes]:
        for _ in range(100):
            taken.append(b"x")
            yield b"x"

    async def async_many() -> AsyncIterator[bytes]:
        for part in many():
            yield part

    assert blocking(RequestHost([b"enough"], answers_early=3), many()) == (200, b"enough")
    assert Loop(RequestHost([b"enough"], answers_early=3)).run(awaiting(async_many())) == (200, b"enough")
    assert len(taken) == 6


def test_a_response_that_arrived_whole_occupies_no_connection_before_it_is_read() -> None:
    limits = httpx.Limits(max_connections=1)
    RequestHost([b"whole"]).take_over()
    with HTTPTransport(limits=limits) as transport:
        responses = [transport.handle_request(httpx.Request("GET", URL)) for _ in range(3)]
    assert [response.read() for response in responses] == [b"whole"] * 3

    async def work() -> list[bytes]:
        async with AsyncHTTPTransport(limits=limits) as transport:
            responses = [await transport.handle_async_request(httpx.Request("GET", URL)) for _ in range(3)]
        return [await response.aread() for response in responses]

    assert Loop(RequestHost([b"whole"])).run(work()) == [b"whole"] * 3


class Ending(BaseException):
    """The execution ends in the middle of a host call."""


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("client", ["httpx", "http.client"])
def test_a_request_is_closed_when_a_host_call_ends_otherwise_than_the_host_says(client: str, number: int) -> None:
    host = RequestHost([b"a", b"b", b"c"])

    def answer(text: str, blob: bytes) -> tuple[object, bytes]:
        reply = host.answer(text, blob)
        if len(host.operations) == number + 1:
            raise Ending
        return reply

    def run() -> None:
        if client == "httpx":
            httpx.Client(transport=HTTPTransport()).post(URL, content=parts_of([DATA], None))
        else:
            connection.request("POST", "/", parts_of([DATA], None))
            connection.getresponse().read()

    connection = http.client.HTTPConnection("h")
    connection.sock = HostSocket("http://h", None)
    stand_in.host.answer = answer
    with pytest.raises(Ending):
        run()
    assert host.names()[number + 1 :] == ["close"]


def fetch(body: Any, *, reads: bool, finishes: bool = True) -> object:
    """What `http.client` makes of one request."""
    connection = http.client.HTTPConnection("h")
    connection.sock = HostSocket("http://h", None)
    try:
        connection.request("POST", "/p", body)
        response = connection.getresponse()
        data = response.read() if reads else b""
        response.close()
        return response.status, data
    except (OSError, http.client.HTTPException, NoMore) as error:
        return outcome_of(error)
    finally:
        connection.close()


@given(PARTS, RESPONSES, st.none() | st.integers(1, 5), FAILURES, FAILURES, st.sampled_from(CODES), st.booleans())
def test_the_socket_of_http_client_leaves_nothing_open(
    parts: list[bytes],
    response: list[bytes],
    early: int | None,
    fails_at: int | None,
    breaks_at: int | None,
    code: str,
    reads: bool,
) -> None:
    host = RequestHost(response, early, fails_at, code, headers=[["Transfer-Encoding", "chunked"]])
    host.take_over()
    outcome = fetch(parts_of(parts, breaks_at), reads=reads)
    assert host.is_idle
    assert host.names().count("close") <= 1
    if fails_at is None and breaks_at is None:
        assert outcome == (200, b"".join(response) if reads else b"")
        assert host.sent == (b"".join(parts) if early is None else host.sent)


@pytest.mark.parametrize("code", CODES)
def test_a_failure_is_what_a_socket_would_raise_with_the_words_of_the_host(code: str) -> None:
    RequestHost(fails_at=0, code=code).take_over()
    expected = SOCKET_EXCEPTIONS.get(code, OSError)("operation 0 failed")
    assert fetch(None, reads=True) == outcome_of(expected)
    assert (code in SOCKET_EXCEPTIONS) is (code not in ("limit", "internal"))
