"""Record and replay: with the server gone, the same rows byte for byte; what an edited statement asks anew is named."""

from __future__ import annotations

import base64
import gzip
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.guest.test_deterministic import MODULES, RANDOM_VALUES, TIMES
from tests.http_caller import private_grant
from tests.servers import ScriptedServer, WebServer, unused_port

from wasmexec import (
    ConfigError,
    Deterministic,
    Executor,
    ForExecution,
    Grants,
    HttpExchange,
    HttpGrant,
    Limits,
    MemoryRecorder,
    Recording,
    ReplayReport,
    Result,
    Secret,
    StatementRaised,
    Status,
    TimeLimitError,
)

HEAD = MODULES + "import httpx, time\nasyncio = modules['asyncio']\nserver = LocalVariable.Server\n"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def record(
    executor: Executor, statement: str, authority: str = "127.0.0.1:1", **options: Any
) -> tuple[Result, Recording]:
    """Run a statement that may reach one server, and the recording of that."""
    recorder = MemoryRecorder()
    result = executor.run(
        HEAD + statement,
        local_variables={"Server": f"http://{authority}"},
        grants=Grants(http=[private_grant(authority)]),
        recorder=recorder,
        **options,
    )
    assert result.warnings == []
    return result, recorder.recording()


def replay(executor: Executor, recording: Recording, statement: str | None = None, **options: Any) -> Result:
    """Run it again, edited if a statement is given, without any grant."""
    variables = orjson.loads(recording.local_variables)
    statement = recording.statement if statement is None else HEAD + statement
    return executor.run(statement, local_variables=variables, replay=recording, **options)


def report(result: Result) -> ReplayReport:
    """The report of a replay."""
    assert result.replay is not None
    return result.replay


def as_bytes(result: Result) -> bytes:
    """All of a result that must not differ."""
    return orjson.dumps(
        [
            result.status,
            result.rows,
            [[item.time, item.level, item.message] for item in result.logs],
            None if result.error is None else [type(result.error).__name__, result.error.message],
        ]
    )


def check_replays(executor: Executor, result: Result, recording: Recording, **options: Any) -> Result:
    """It must come out the same, three times."""
    for _ in range(3):
        again = replay(executor, recording, **options)
        assert as_bytes(again) == as_bytes(result)
        assert report(again).is_identical, report(again)
        assert report(again).requests == ()
        assert report(again).are_rows_identical
        assert report(again).is_log_identical
    return again


@pytest.mark.parametrize("statement", [RANDOM_VALUES, TIMES])
def test_randomness_and_time_are_the_recorded_ones(executor: Executor, statement: str) -> None:
    result, recording = record(executor, statement)
    check_replays(executor, result, recording)
    other, _ = record(executor, statement)
    unequal = {name for name, value in result.rows[0].items() if other.rows[0][name] != value}
    if statement is RANDOM_VALUES:
        assert unequal == set(result.rows[0]) - {"hash", "set", "address"}
    else:
        # What counts from the start of the execution is the same: only the real time is another one.
        assert {"time", "ns", "now", "utc"} <= unequal


def test_the_clock_of_a_recording_is_the_real_one(executor: Executor) -> None:
    before = time.time()
    result, recording = record(executor, TIMES)
    assert before <= result.rows[0]["time"] <= time.time()
    assert before <= result.logs[0].time <= time.time()
    assert before <= recording.clock_start / 1e9 <= time.time()


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


def test_timers_and_answers_interleave_as_they_did(executor: Executor, server: WebServer) -> None:
    statement = """
events = []
async def tick(name, pause, count):
    for number in range(count):
        await sleep(pause)
        events.append({"name": name, "number": number, "at": time.time_ns() % 10**12})
async def ask(client, number):
    await client.get(server + f"/slow?seconds=0.0{number}")
    events.append({"name": "answer", "number": number, "at": time.time_ns() % 10**12})
async with httpx.AsyncClient() as client:
    for _ in range(5):
        await asyncio.gather(tick("a", 0.003, 30), tick("b", 0.0071, 12), tick("c", 0, 50),
                             *(ask(client, number) for number in range(8)))
log.info(str(len(events)))
return events
"""
    result, recording = record(executor, statement, server.authority)
    assert len(result.rows) == 5 * 100
    server.close()
    check_replays(executor, result, recording)


RANDOM_PROGRAM = """
import random
events = []
def note(name, value=None):
    events.append({"name": name, "value": value, "at": time.time_ns() % 10**13})
async def tick(name):
    for number in range(random.randint(1, 20)):
        await sleep(random.choice([0, 0.0001, 0.001, 0.003, 0.01]))
        note(name, number)
        if random.random() < 0.05:
            time.sleep(0.002)
async def stream(client, path):
    body = random._os.urandom(random.choice([0, 10, 200_000]))
    async with client.stream("POST" if body else "GET", server + path, content=body) as response:
        async for data in response.aiter_raw():
            note("data", len(data))
            if random.random() < 0.1:
                break
async def ask(client, number):
    paths = ["/hello", "/slow?seconds=0.01", "/chunks?count=5&size=1000&pause=0.003", "/bytes?size=400000", "/echo"]
    for _ in range(random.randint(1, 4)):
        path = random.choice(paths)
        try:
            async with asyncio.timeout(random.choice([0.001, 0.01, 0.05, 1])):
                if random.random() < 0.5:
                    await stream(client, path)
                else:
                    note("answer", len((await client.get(server + path)).content))
        except (TimeoutError, httpx.HTTPError) as error:
            note(type(error).__name__, number)
        if random.random() < 0.1:
            note("blocking", httpx.get(server + "/hello").text)
async with httpx.AsyncClient() as client:
    await asyncio.gather(*(tick(str(number)) for number in range(4)), *(ask(client, number) for number in range(10)))
return events
"""


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_statement_does_with_requests_and_timers(executor: Executor, server: WebServer, seed: int) -> None:
    determinism = Deterministic(seed=seed)
    result, recording = record(executor, RANDOM_PROGRAM, server.authority, determinism=determinism)
    result.raise_for_status()
    assert len(result.rows) > 30
    server.close()
    check_replays(executor, result, recording)


def test_sleeps_are_not_waited_for(executor: Executor) -> None:
    statement = "time.sleep(2)\nawait sleep(3)\nreturn [{'at': time.time()}]"
    started = time.monotonic()
    result, recording = record(executor, statement)
    assert time.monotonic() - started > 4.9
    started = time.monotonic()
    again = replay(executor, recording)
    assert time.monotonic() - started < 4.5
    assert as_bytes(again) == as_bytes(result)


@pytest.mark.parametrize(
    "statement", ["await sleep(100)", "time.sleep(100)", "httpx.get(server + '/slow?seconds=9', timeout=None)"]
)
def test_an_execution_that_ran_out_of_time(executor: Executor, server: WebServer, statement: str) -> None:
    result, recording = record(executor, f"log.info('a')\n{statement}", server.authority, limits=Limits(wall_seconds=1))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, TimeLimitError)
    server.close()
    check_replays(executor, result, recording, limits=Limits(wall_seconds=1))


def test_an_execution_that_was_cancelled(executor: Executor) -> None:
    import asyncio

    recorder = MemoryRecorder()

    async def cancel_soon() -> None:
        task = asyncio.create_task(executor.run_async("await sleep(50)\nreturn []", recorder=recorder))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())
    recording = recorder.recording()
    assert recording.ending == "cancelled"
    again = replay(executor, recording)
    assert again.status == Status.CANCELLED
    assert report(again).recorded_status == Status.CANCELLED


def test_a_statement_that_raised(executor: Executor, server: WebServer) -> None:
    result, recording = record(executor, "httpx.get(server + '/status?code=500').raise_for_status()", server.authority)
    assert result.status == Status.STATEMENT_RAISED
    server.close()
    again = check_replays(executor, result, recording)
    assert (report(again).recorded_error or {})["type"] == "StatementRaised"


EDITED = """
body = {"name": "x"}
one = httpx.get(server + "/echo?page=1").json()
two = httpx.post(server + "/echo", json=body).json()
three = httpx.get(server + "/hello").text
return [{"row": 1, "path": one["path"]}, {"row": 2, "path": two["body"]}, {"row": 3, "path": three}]
"""


def test_an_unrecorded_request_fails_and_is_named(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    url = f"http://{server.authority}"
    changed = replay(executor, recording, EDITED.replace("/hello", "/bytes?size=1"))
    assert isinstance(changed.error, StatementRaised)
    assert changed.error.type_name == "httpx.ConnectError"
    assert changed.error.exception_message == (
        f"HTTP GET {url}/bytes?size=1 is not in the recording: a replay has no network"
    )
    added, missing = report(changed).requests
    assert (added.kind, added.url, added.replayed) == ("added", f"{url}/bytes?size=1", 2)
    assert (missing.kind, missing.url, missing.recorded) == ("missing", f"{url}/hello", 2)
    assert not report(changed).is_identical
    assert report(changed).is_statement_changed
    again = replay(executor, recording, EDITED + "httpx.get(server + '/hello')")
    assert report(again).is_identical
    twice = replay(executor, recording, EDITED.replace("return", "httpx.get(server + '/hello')\nreturn"))
    assert twice.error is not None
    assert f"HTTP GET {url}/hello is not in the recording: it was made once only" in twice.error.message


def test_a_changed_body_fails_and_both_are_shown(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(executor, recording, EDITED.replace('"name": "x"', '"name": "y"'))
    assert again.error is not None
    assert "/echo is not in the recording: it was made with another body" in again.error.message
    changed, missing = report(again).requests
    assert (changed.kind, changed.parts, changed.method) == ("changed", ("body",), "POST")
    assert (changed.recorded_body, changed.body) == (b'{"name": "x"}', b'{"name": "y"}')
    assert (missing.kind, missing.recorded) == ("missing", 2)


def test_a_changed_query_and_header(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(executor, recording, EDITED.replace("page=1", "page=2"))
    assert again.status == Status.STATEMENT_RAISED
    changed = report(again).requests[0]
    assert (changed.kind, changed.parts) == ("changed", ("url",))
    assert (changed.recorded_url[-6:], changed.url[-6:]) == ("page=1", "page=2")
    again = replay(executor, recording, EDITED.replace('"/hello"', '"/hello", headers={"X-New": "1"}'))
    assert again.status == Status.FINISHED
    (changed,) = report(again).requests
    assert (changed.kind, changed.parts) == ("changed", ("headers",))
    assert ("x-new", "1") in [(name.lower(), value) for name, value in changed.headers]
    assert report(again).are_rows_identical


def test_requests_in_another_order_are_still_found(executor: Executor, server: WebServer) -> None:
    result, recording = record(executor, EDITED, server.authority)
    server.close()
    lines = EDITED.strip().split("\n")
    again = replay(executor, recording, "\n".join([lines[0], lines[3], lines[2], lines[1], lines[4]]))
    assert again.rows == result.rows
    assert report(again).requests == ()
    assert report(again).are_rows_identical


def test_changed_rows_are_listed(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(
        executor, recording, EDITED.replace('{"row": 2,', '{"row": 22,').replace('[{"row": 1', '[{"row": 0}, {"row": 1')
    )
    found = report(again)
    assert (found.are_rows_identical, found.requests, found.row_difference_count) == (False, (), 2)
    assert [(item.kind, item.replayed, item.recorded) for item in found.rows] == [("added", 0, None), ("changed", 2, 1)]
    assert (found.rows[1].row["row"], found.rows[1].recorded_row["row"]) == (22, 2)
    assert orjson.loads(orjson.dumps(again.as_dict()))["replay"]["is_identical"] is False


def test_secrets_are_not_in_a_recording(executor: Executor, server: WebServer) -> None:
    secret = "S3cr3t/pass word+x"
    statement = """
key = LocalVariable.Key
auth = httpx.BasicAuth("user", key)
out = []
for response in (httpx.post(server + "/echo", params={"key": key}, headers={"X-Key": "a " + key},
                            auth=auth, json={"key": key}),
                 httpx.get(server + "/gone", headers={"Authorization": "Bearer abc"})):
    out.append({"status": response.status_code, "length": len(response.content)})
print(key)
return out
"""
    recorder = MemoryRecorder()
    options: dict[str, Any] = {"local_variables": {"Server": server.url("")}, "secrets": {"Key": secret}}
    result = executor.run(
        HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(server.authority)]), **options
    )
    result.raise_for_status()
    recording = recorder.recording()
    server.close()
    (exchange, _) = recording.exchanges
    assert exchange.url.endswith("/echo?key=***")
    assert exchange.request_body == b'{"key": "***"}'
    assert b"***" in exchange.response_body
    headers = {name.lower(): value for name, value in exchange.request_headers}
    assert headers["x-key"] == "a ***"
    assert "***" in headers["authorization"]
    everything = repr([recorder.parts, recorder.exchanges])
    forms = [secret, base64.b64encode(secret.encode()).decode()[:12], "S3cr3t"]
    assert [form for form in forms if form in everything] == []
    assert "S3cr3t" in HEAD + secret  # the search works
    again = executor.run(recording.statement, replay=recording, **options)
    assert again.status == Status.FINISHED
    assert report(again).requests == ()
    assert again.rows[1] == result.rows[1]


def test_a_secret_bound_to_a_host_is_a_placeholder_in_the_recording(executor: Executor) -> None:
    value = "bound-s3cr3t-of-some-length-9f8e7d6c"
    statement = """
response = httpx.get(server, headers={"Authorization": f"Bearer {LocalVariable.Key}"})
return [{"key": LocalVariable.Key, "text": response.text}]
"""
    body = b"you are " + value.encode()
    recorder = MemoryRecorder()
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as scripted:
        options: dict[str, Any] = {
            "local_variables": {"Server": scripted.url()},
            "secrets": {"Key": Secret(value, hosts=[f"http://{scripted.authority}"])},
        }
        result = executor.run(
            HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(scripted.authority)]), **options
        )
    result.raise_for_status()
    assert f"Bearer {value}".encode() in scripted.received[0]
    recording = recorder.recording()
    token = result.rows[0]["key"]
    assert token.startswith("placeholder-")
    assert ("Authorization", f"Bearer {token}") in recording.exchanges[0].request_headers
    assert value not in repr([recorder.parts, recorder.exchanges])
    assert recording.exchanges[0].response_body == b"you are " + token.encode()
    again = executor.run(recording.statement, replay=recording, **options)
    assert as_bytes(again) == as_bytes(result)
    assert report(again).is_identical
    other = executor.run("return [{'key': LocalVariable.Key}]", secrets=options["secrets"])
    assert other.rows[0]["key"] != token


def test_a_secret_in_a_compressed_answer_is_not_recorded(executor: Executor) -> None:
    body = gzip.compress(b'{"token": "s3cr3t-token", "x": 1}')
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    odd = b"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 12\r\n\r\nf3pe3g-gbxra"
    statement = 'return [{"x": httpx.get(server).json()["x"], "y": len(httpx.get(server).content)}]'
    recorder = MemoryRecorder()
    with ScriptedServer(answer, odd) as scripted:
        options: dict[str, Any] = {
            "local_variables": {"Server": scripted.url()},
            "secrets": {"Key": "s3cr3t-token"},
        }
        result = executor.run(
            HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(scripted.authority)]), **options
        )
    assert result.rows == [{"x": 1, "y": 12}]
    reason = "the body of response 1 may hold a secret: it is compressed as 'rot13'"
    assert result.warnings == [f"the recording is incomplete: {reason}"]
    recording = recorder.recording()
    assert recording.incomplete == reason
    assert recording.exchanges[0].response_body == b'{"token": "***", "x": 1}'
    assert recording.exchanges[0].response_headers == (("Content-Length", "24"),)
    assert recording.exchanges[1].response_body == b""
    again = executor.run(recording.statement, replay=recording, **options)
    assert again.rows == [{"x": 1, "y": 0}]
    assert report(again).incomplete == reason


def test_a_recorder_may_refuse_or_break(executor: Executor) -> None:
    class Full(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **options: Any) -> bool:
            return kind != "clock" and super().add(kind, payload, **options)

    class Broken(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **options: Any) -> bool:
            raise OSError("disk full")

    full = Full()
    result = executor.run("return [{'a': 1}]", recorder=full)
    assert (result.rows, result.warnings) == (
        [{"a": 1}], ["the recording is incomplete: the recorder takes no more"],
    )  # fmt: skip
    with pytest.raises(ConfigError, match="the recording is incomplete: it has no clock"):
        full.recording()
    result = executor.run("return [{'a': 1}]", recorder=Broken())
    assert (result.rows, result.warnings) == ([{"a": 1}], ["the recording failed: OSError: disk full"])


def test_several_executions_in_one_recorder(executor: Executor) -> None:
    recorder = MemoryRecorder()
    statement = (
        "import random\nreturn [{'in': INPUT_DATA, 'second': INPUT_DATA2, 'c': DATA_CHECKPOINT, 'r': random.random()}]"
    )
    results = [
        executor.run(
            statement,
            input_data=[{"n": number}],
            extra_inputs=[None, "third"],
            checkpoint=number,
            recorder=ForExecution(recorder, number),
        )
        for number in range(3)
    ]
    for number, result in enumerate(results):
        recording = recorder.recording(number)
        assert recording.inputs == (b'[{"n":%d}]' % number, None, b'"third"')
        assert recording.checkpoint == b"%d" % number
        again = executor.run(
            recording.statement,
            input_data=recording.inputs[0],
            checkpoint=orjson.loads(recording.checkpoint),
            replay=recording,
        )
        assert again.rows == result.rows
    with pytest.raises(ConfigError):
        recorder.recording(3)


def test_recording_with_a_seed_and_a_clock(executor: Executor) -> None:
    recorder = MemoryRecorder()
    determinism = Deterministic(seed=5, clock=1_000_000)
    statement = "import time, random\nreturn [{'at': time.time(), 'r': random.random()}]"
    result = executor.run(statement, recorder=recorder, determinism=determinism)
    assert result.rows == executor.run(statement, determinism=determinism).rows
    assert as_bytes(replay(executor, recorder.recording())) == as_bytes(result)


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


def test_options_that_exclude_each_other(executor: Executor) -> None:
    refused: list[dict[str, Any]] = [
        {"replay": Recording(), "determinism": Deterministic()},
        {"replay": Recording(), "recorder": MemoryRecorder()},
        {"recorder": MemoryRecorder(), "determinism": Deterministic(skip_sleeps=True)},
    ]
    for options in refused:
        result = executor.run("return []", **options)
        assert result.status == Status.CONFIG_REFUSED
        assert isinstance(result.error, ConfigError)
    wrong: list[dict[str, Any]] = [{"replay": 1}, {"recorder": 1}, {"determinism": 1}]
    for options in wrong:
        with pytest.raises(TypeError):
            executor.run("return []", **options)


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
