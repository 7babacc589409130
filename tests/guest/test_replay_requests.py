"""Requests of a replay: with the server gone, the recorded answers, in their order and at their moments."""

from __future__ import annotations

from typing import Any

import orjson
from tests.guest.replays import HEAD, check_replays, record, replay, report
from tests.http_caller import private_grant
from tests.servers import WebServer, unused_port

from wasmexec import Executor, Grants, HttpExchange, HttpGrant, MemoryRecorder, Recording, StatementRaised, Status


def test_requests_are_answered_with_the_server_gone(executor: Executor, server: WebServer) -> None:
    statement = """
out = []
for path in ("/hello", "/status?code=404", "/gzip", "/hello"):
    response = httpx.get(server + path)
    out.append({"status": response.status_code, "text": response.text, "headers": list(response.headers.items()),
                "seconds": response.elapsed.total_seconds(), "at": time.time()})
response = httpx.post(server + "/echo", json={"a": 1})
out.append({"echo": response.json()})
return out
"""
    result, recording = record(executor, statement, server.authority)
    assert [row.get("status") for row in result.rows] == [200, 404, 200, 200, None]
    server.close()
    again = check_replays(executor, result, recording)
    assert again.usage.http_requests == 5
    assert (again.usage.http_bytes_sent, again.usage.http_bytes_received) == (0, 0)
    assert [(item.method, item.url.partition("1:")[2].partition("/")[2]) for item in recording.exchanges] == [
        ("GET", "hello"), ("GET", "status?code=404"), ("GET", "gzip"), ("GET", "hello"), ("POST", "echo"),
    ]  # fmt: skip


def test_overlapping_requests_come_back_in_their_order(executor: Executor, server: WebServer) -> None:
    statement = """
async with httpx.AsyncClient() as client:
    async def get(path):
        response = await client.get(server + path)
        return {"path": path, "text": response.text, "at": time.monotonic()}
    paths = ["/slow?seconds=0.3", "/hello", "/slow?seconds=0.1", "/chunks?count=4&pause=0.05", "/echo", "/bytes?size=9"]
    rows = [await done for done in asyncio.as_completed(map(get, paths * 3))]
    return rows
"""
    result, recording = record(executor, statement, server.authority)
    assert len(result.rows) == 18
    assert server.most_in_flight > 3
    server.close()
    check_replays(executor, result, recording)


def test_bodies_stream_both_ways(executor: Executor, server: WebServer) -> None:
    statement = """
import random
out = []
async def pieces():
    for number in range(20):
        yield random._os.urandom(20_000)
        await sleep(0.001)
async with httpx.AsyncClient() as client:
    out.append((await client.post(server + "/upload", content=pieces())).json())
    async with client.stream("GET", server + "/chunks?count=6&size=50000&pause=0.02") as response:
        async for data in response.aiter_bytes():
            out.append({"size": len(data), "at": time.monotonic()})
with httpx.stream("GET", server + "/chunks?count=4&size=1000&pause=0.02") as response:
    for data in response.iter_raw():
        out.append({"size": len(data), "at": time.monotonic()})
out.append(httpx.post(server + "/upload", content=b"x" * 300_000).json())
return out
"""
    result, recording = record(executor, statement, server.authority)
    assert result.rows[0]["size"] == 400_000
    assert len(result.rows) > 8
    server.close()
    check_replays(executor, result, recording)
    assert [len(item.request_body) for item in recording.exchanges] == [400_000, 0, 0, 300_000]
    assert len(recording.exchanges[1].response_chunks) > 1
    assert sum(recording.exchanges[1].response_chunks) == 300_000


def test_a_body_that_was_not_read_to_its_end(executor: Executor, server: WebServer) -> None:
    statement = """
with httpx.stream("GET", server + "/bytes?size=5000000") as response:
    first = next(response.iter_raw(1000))
return [{"size": len(first), "then": httpx.get(server + "/hello").text}]
"""
    result, recording = record(executor, statement, server.authority)
    server.close()
    check_replays(executor, result, recording)
    more = statement.replace("first = next(response.iter_raw(1000))", "first = response.read()")
    again = replay(executor, recording, more)
    assert isinstance(again.error, StatementRaised)
    assert again.error.type_name == "httpx.ReadError"
    assert again.error.exception_message.startswith("the recording has only the first ")


def test_redirects_and_cookies(executor: Executor, server: WebServer) -> None:
    statement = """
with httpx.Client(follow_redirects=True) as client:
    client.get(server + "/set-cookie?name=a&value=b")
    response = client.get(server + "/redirect?to=/echo")
    return [{"hops": len(response.history), "cookie": response.json()["headers"]["cookie"]}]
"""
    result, recording = record(executor, statement, server.authority)
    assert result.rows == [{"hops": 1, "cookie": "a=b"}]
    server.close()
    check_replays(executor, result, recording)
    assert [item.status for item in recording.exchanges] == [200, 302, 200]


def test_failures_are_repeated(executor: Executor, server: WebServer) -> None:
    statement = """
async def attempt(url, **options):
    started = time.monotonic()
    try:
        async with httpx.AsyncClient() as client:
            answer = (await client.get(url, **options)).text
    except httpx.HTTPError as error:
        answer = f"{type(error).__name__}: {error}"
    return {"url": url, "answer": answer, "seconds": time.monotonic() - started}
return await asyncio.gather(
    attempt(server + "/slow?seconds=5", timeout=0.2), attempt(server + "/stall?size=10", timeout=0.3),
    attempt(server.replace(":", "s:", 1) + "/"), attempt("http://refused.test/"),
    attempt(LocalVariable.Nobody), attempt(server + "/headers?size=100000"), attempt("ftp://nothing"),
)
"""
    nobody = f"127.0.0.1:{unused_port()}"
    recorder = MemoryRecorder()
    options: dict[str, Any] = {"local_variables": {"Server": server.url(""), "Nobody": f"http://{nobody}/"}}
    grants = Grants(http=[private_grant(server.authority), private_grant(nobody)])
    result = executor.run(HEAD + statement, grants=grants, recorder=recorder, **options)
    result.raise_for_status()
    assert [row["answer"].partition(":")[0] for row in result.rows] == [
        "ReadTimeout", "ReadTimeout", "ConnectError", "ConnectError", "ConnectError", "RemoteProtocolError",
        "UnsupportedProtocol",
    ]  # fmt: skip
    server.close()
    check_replays(executor, result, recorder.recording())


def test_a_request_that_the_statement_gave_up(executor: Executor, server: WebServer) -> None:
    statement = """
out = []
async with httpx.AsyncClient(timeout=None) as client:
    for path in ("/slow?seconds=3", "/hello", "/chunks?count=50&pause=0.1"):
        try:
            async with asyncio.timeout(0.3):
                out.append({"text": (await client.get(server + path)).text, "at": time.monotonic()})
        except TimeoutError:
            out.append({"text": "too slow", "at": time.monotonic()})
return out
"""
    result, recording = record(executor, statement, server.authority)
    assert [row["text"] for row in result.rows] == ["too slow", "hello", "too slow"]
    server.close()
    check_replays(executor, result, recording)
    patient = replay(executor, recording, statement.replace("asyncio.timeout(0.3)", "asyncio.timeout(None)"))
    assert isinstance(patient.error, StatementRaised)
    assert "the recording has no answer to this: the statement did not wait for one" in patient.error.message


def test_answers_written_by_hand(executor: Executor) -> None:
    recording = Recording(
        exchanges=(
            HttpExchange(method="GET", url="http://api.test/a", status=200, response_body=b"one", seconds=0.5),
            HttpExchange(method="GET", url="http://api.test/a", status=503, reason="Busy"),
            HttpExchange(
                method="POST", url="http://api.test/b", request_body=b"{}", status=201, response_body=b"x" * 600_000
            ),
            HttpExchange(method="GET", url="http://api.test/c", error={"code": "read_timeout", "message": "too late"}),
        )
    )
    statement = """
import httpx, time
out = []
for _ in range(2):
    started = time.monotonic()
    response = httpx.get("http://api.test/a")
    out.append({"text": response.text, "status": response.status_code, "s": round(time.monotonic() - started, 2)})
async with httpx.AsyncClient() as client:
    out.append({"size": len((await client.post("http://api.test/b", content=b"{}")).content)})
try:
    httpx.get("http://api.test/c")
except httpx.ReadTimeout as error:
    out.append({"error": str(error)})
return out
"""
    result = executor.run(statement, replay=recording)
    result.raise_for_status()
    assert result.rows == [
        {"text": "one", "status": 200, "s": 0.5}, {"text": "", "status": 503, "s": 0.0}, {"size": 600_000},
        {"error": "too late"},
    ]  # fmt: skip
    found = report(result)
    assert (found.is_identical, found.are_rows_identical, found.recorded_status) == (True, None, None)


def test_a_replay_needs_no_grant_and_reaches_nothing(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, "return [{'t': httpx.get(server + '/hello').text}]", server.authority)
    seen = len(server.requests)
    grants = Grants(http=[HttpGrant("127.0.0.1", ports=[server.port], allow_private=True)])
    again = executor.run(
        recording.statement, local_variables=orjson.loads(recording.local_variables), replay=recording, grants=grants
    )
    assert again.rows == [{"t": "hello"}]
    added = executor.run(
        HEAD + "httpx.get(server + '/echo')",
        local_variables=orjson.loads(recording.local_variables), replay=recording, grants=grants,
    )  # fmt: skip
    assert added.status == Status.STATEMENT_RAISED
    assert (len(server.requests), server.connections) == (seen, 1)
