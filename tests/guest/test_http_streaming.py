"""httpx in the guest streams bodies both ways, and what is given up half-way ends on the host."""

import hashlib

import pytest
from tests.http_statements import rows, run
from tests.servers import WebServer

from wasmexec import Executor


def test_a_response_streams_as_it_comes(executor: Executor, server: WebServer) -> None:
    statement = """
import time
seen = []
async with httpx.AsyncClient() as client:
    async with client.stream("GET", LocalVariable.Server + "/chunks?count=3&size=2&pause=0.3") as response:
        started = time.monotonic()
        async for data in response.aiter_bytes():
            seen.append({"data": data.decode(), "at": time.monotonic() - started})
with httpx.stream("GET", LocalVariable.Server + "/chunks?count=3&size=2&pause=0.3") as response:
    started = time.monotonic()
    for data in response.iter_bytes():
        seen.append({"data": data.decode(), "at": time.monotonic() - started})
return seen
"""
    seen = rows(executor, statement, server)
    assert [row["data"] for row in seen] == ["00", "11", "22"] * 2
    for first, second, third in (seen[:3], seen[3:]):
        assert second["at"] - first["at"] > 0.1
        assert third["at"] - second["at"] > 0.1


def test_a_large_response_streams_in_bounded_memory(executor: Executor, server: WebServer) -> None:
    statement = """
size = largest = 0
with httpx.stream("GET", LocalVariable.Server + "/bytes?size=50000000") as response:
    for data in response.iter_bytes():
        size += len(data)
        largest = max(largest, len(data))
return [{"size": size, "largest": largest}]
"""
    result = run(executor, statement, server.authority)
    assert result.rows[0]["size"] == 50_000_000
    assert result.rows[0]["largest"] <= 131_072
    small = run(executor, 'httpx.get(LocalVariable.Server)\nreturn [{"a": 1}]', server.authority)
    assert result.usage.peak_memory_bytes - small.usage.peak_memory_bytes < 10_000_000


def test_a_request_body_streams(executor: Executor, server: WebServer) -> None:
    statement = """
url = LocalVariable.Server + "/upload"
async def pieces():
    for number in range(5):
        yield bytes([number]) * 100_000
        await sleep(0.01)
async with httpx.AsyncClient() as client:
    return [
        (await client.put(url, content=pieces())).json(),
        httpx.put(url, content=(b"x" * 10 for _ in range(5))).json(),
        httpx.put(url, content=b"x" * 3_000_000).json(),
        (await client.put(url, content=b"x" * 3_000_000)).json(),
        httpx.put(url, files={"f": b"x" * 200_000}).json(),
    ]
"""
    asynchronous, synchronous, large, also_large, files = rows(executor, statement, server)
    expected = b"".join(bytes([number]) * 100_000 for number in range(5))
    assert (asynchronous["size"], asynchronous["sha256"]) == (500_000, hashlib.sha256(expected).hexdigest())
    assert asynchronous["transfer_encoding"] == "chunked"
    assert (synchronous["size"], synchronous["pieces"]) == (50, 5)
    assert large["sha256"] == also_large["sha256"] == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert (large["content_length"], large["transfer_encoding"]) == ("3000000", None)
    assert files["size"] > 200_000
    assert files["content_length"] == str(files["size"])


def test_an_error_in_a_request_body_ends_the_request(executor: Executor, server: WebServer) -> None:
    statement = """
def pieces():
    yield b"x"
    raise ValueError("no more")
async def async_pieces():
    yield b"x"
    raise ValueError("no more")
errors = []
for _ in range(3):
    try:
        httpx.put(LocalVariable.Server + "/upload", content=pieces())
    except ValueError as error:
        errors.append({"error": str(error)})
    try:
        async with httpx.AsyncClient() as client:
            await client.put(LocalVariable.Server + "/upload", content=async_pieces())
    except ValueError as error:
        errors.append({"error": str(error)})
return errors + [{"after": httpx.get(LocalVariable.Server + "/hello").text}]
"""
    # With one place only, a request left open would block the next.
    assert rows(executor, statement, server, http_concurrent=1) == [{"error": "no more"}] * 6 + [{"after": "hello"}]


@pytest.mark.timing
def test_cancelling_a_request_stops_it_on_the_host(executor: Executor, server: WebServer) -> None:
    statement = """
import time
started = time.monotonic()
async with httpx.AsyncClient(timeout=20) as client:
    for path in ("/slow?seconds=9", "/stall?size=9"):
        try:
            async with asyncio.timeout(0.2):
                await client.get(LocalVariable.Server + path)
        except TimeoutError:
            pass
    text = (await client.get(LocalVariable.Server + "/hello")).text
return [{"text": text, "seconds": time.monotonic() - started}]
"""
    # With one place only, a request that goes on would block the next.
    (row,) = rows(executor, statement, server, http_concurrent=1)
    assert row["text"] == "hello"
    assert row["seconds"] < 3


def test_a_response_that_is_not_read_is_given_up(executor: Executor, server: WebServer) -> None:
    statement = """
for _ in range(3):
    with httpx.stream("GET", LocalVariable.Server + "/bytes?size=20000000"):
        pass
    async with httpx.AsyncClient() as client:
        async with client.stream("GET", LocalVariable.Server + "/bytes?size=20000000") as response:
            async for _ in response.aiter_bytes():
                break
        # Left open, and ended with its client.
        await client.send(client.build_request("GET", LocalVariable.Server + "/bytes?size=20000000"), stream=True)
return [{"text": httpx.get(LocalVariable.Server + "/hello").text}]
"""
    assert rows(executor, statement, server, http_concurrent=1) == [{"text": "hello"}]
