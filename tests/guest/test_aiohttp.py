"""aiohttp in the guest keeps its behaviour: sessions, streams, timeouts, limits and errors, on transports of the host.

A statement cannot import it; openai hands it out.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests import http_statements
from tests.http_statements import assert_three_parts_came_apart, raised
from tests.servers import ScriptedServer, WebServer, unused_port

from wasmexec import Executor, HttpGrant, Result, Status

PRELUDE = """import openai
aiohttp, asyncio = openai.api_requestor.aiohttp, openai.api_requestor.asyncio
url = LocalVariable.Server
"""


def run(executor: Executor, statement: str, authority: str, *grants: HttpGrant, **limits: Any) -> Result:
    return http_statements.run(executor, statement, authority, *grants, prelude=PRELUDE, **limits)


def rows(executor: Executor, statement: str, server: WebServer, **limits: Any) -> list[dict[str, Any]]:
    return http_statements.rows(executor, statement, server, prelude=PRELUDE, **limits)


def in_session(call: str) -> str:
    """A statement that makes one call of a session and returns nothing."""
    return f"async with aiohttp.ClientSession() as session:\n    await (await {call}).read()\nreturn []"


def test_a_get(executor: Executor, server: WebServer) -> None:
    statement = """
async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "pass")) as session:
    async with session.get(url + "/echo", params={"a": "1 2"}) as answer:
        seen = await answer.json()
        return [{"status": answer.status, "reason": answer.reason, "url": str(answer.url), "ok": answer.ok,
                 "type": answer.content_type, **seen}]
"""
    (row,) = rows(executor, statement, server)
    assert (row["status"], row["reason"], row["ok"], row["type"]) == (200, "OK", True, "application/json")
    assert row["url"] == server.url("/echo?a=1+2")
    assert row["headers"].pop("user-agent").startswith("Python/3.11 aiohttp/3.9.1")
    assert row["headers"] == {
        "host": server.authority,
        "authorization": "Basic dXNlcjpwYXNz",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
    }


def test_every_method_and_body_kind(executor: Executor, server: WebServer) -> None:
    statement = """
async with aiohttp.ClientSession() as session:
    answers = []
    for call in (session.put(url + "/echo", data=b"raw"), session.patch(url + "/echo", data={"a": "1", "b": "2"}),
                 session.delete(url + "/echo"), session.options(url + "/echo"),
                 session.post(url + "/echo", json={"a": [1]}), session.post(url + "/echo", data=b"x", expect100=True)):
        async with call as answer:
            answers.append(await answer.json())
    async with session.head(url + "/echo") as answer:
        return answers + [{"head": answer.status, "body": (await answer.read()).decode()}]
"""
    put, patch, delete, options, post, expecting, head = rows(executor, statement, server)
    assert (put["method"], put["body"], put["headers"]["content-length"]) == ("PUT", "raw", "3")
    assert (patch["body"], patch["headers"]["content-type"]) == ("a=1&b=2", "application/x-www-form-urlencoded")
    assert delete["method"] == "DELETE"
    assert options["method"] == "OPTIONS"
    assert (post["body"], post["headers"]["content-type"]) == ('{"a": [1]}', "application/json")
    assert expecting["body"] == "x"
    assert head == {"head": 200, "body": ""}


def test_large_and_streamed_bodies_arrive_whole(executor: Executor, server: WebServer) -> None:
    statement = """
async def pieces():
    for number in range(5):
        yield bytes([number]) * 100_000
        await asyncio.sleep(0.01)
form = aiohttp.FormData()
form.add_field("f", b"x" * 200_000, filename="f.bin")
async with aiohttp.ClientSession() as session:
    answers = []
    for data in (b"x" * 3_000_000, pieces(), form):
        async with session.put(url + "/upload", data=data) as answer:
            answers.append(await answer.json())
    return answers
"""
    large, chunked, form = rows(executor, statement, server)
    assert large["sha256"] == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert (large["content_length"], large["transfer_encoding"]) == ("3000000", None)
    expected = b"".join(bytes([number]) * 100_000 for number in range(5))
    assert (chunked["sha256"], chunked["transfer_encoding"]) == (hashlib.sha256(expected).hexdigest(), "chunked")
    assert form["size"] > 200_000


def test_a_response_streams_as_it_comes(executor: Executor, server: WebServer) -> None:
    statement = """
import time
seen = []
async with aiohttp.ClientSession() as session:
    async with session.get(url + "/chunks?count=3&size=2&pause=0.3") as answer:
        started = time.monotonic()
        async for data, end in answer.content.iter_chunks():
            if data:
                seen.append({"data": data.decode(), "at": time.monotonic() - started})
return seen
"""
    assert_three_parts_came_apart(rows(executor, statement, server))


def test_a_large_response_streams_in_bounded_memory(executor: Executor, server: WebServer) -> None:
    statement = """
size = 0
async with aiohttp.ClientSession() as session:
    async with session.get(url + "/bytes?size=50000000") as answer:
        async for data in answer.content.iter_any():
            size += len(data)
            await asyncio.sleep(0)
return [{"size": size}]
"""
    result = run(executor, statement, server.authority)
    assert result.rows == [{"size": 50_000_000}]
    small = run(executor, in_session("session.get(url)"), server.authority)
    assert result.usage.peak_memory_bytes - small.usage.peak_memory_bytes < 10_000_000


def test_compressed_answers_redirects_and_cookies(executor: Executor, server: WebServer) -> None:
    statement = """
async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
    packed = await (await session.get(url + "/gzip")).json()
    await (await session.get(url + "/set-cookie?name=session&value=abc")).read()
    async with session.get(url + "/redirect", params={"to": "/redirect?to=/echo"}) as answer:
        seen = await answer.json()
        return [{"size": len(packed["text"]), "hops": [hop.status for hop in answer.history],
                 "cookie": seen["headers"]["cookie"]}]
"""
    assert rows(executor, statement, server) == [{"size": 1000, "hops": [302, 302], "cookie": "session=abc"}]


def test_requests_of_one_session_overlap_in_time(executor: Executor, server: WebServer) -> None:
    statement = """
async def fetch(session):
    async with session.get(url + "/meet?count=10") as answer:
        return await answer.text()
async with aiohttp.ClientSession() as session:
    return [{"met": await asyncio.gather(*(fetch(session) for _ in range(10)))}]
"""
    assert rows(executor, statement, server) == [{"met": ["met"] * 10}]


def test_many_requests_at_once_are_queued(executor: Executor, server: WebServer) -> None:
    statement = """
async def fetch(number):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post(url + "/echo", data=str(number) * 10_000) as answer:
            return (await answer.json())["body"][:4]
bodies = await asyncio.gather(*(fetch(number) for number in range(300)))
return [{"right": bodies == [(str(number) * 4)[:4] for number in range(300)]}]
"""
    assert rows(executor, statement, server, http_requests=300) == [{"right": True}]
    assert server.most_in_flight <= 16


@pytest.mark.timing
@pytest.mark.parametrize(
    ("timeout", "path", "error"),
    [
        ("total=0.3", "/slow?seconds=9", "TimeoutError"),
        ("total=0.3", "/stall?size=9", "TimeoutError"),
        ("sock_read=0.3", "/slow?seconds=9", "aiohttp.client_exceptions.ServerTimeoutError"),
        ("sock_read=0.3", "/stall?size=9", "aiohttp.client_exceptions.ServerTimeoutError"),
    ],
)
def test_a_server_that_is_too_slow_is_a_timeout(
    executor: Executor, server: WebServer, timeout: str, path: str, error: str
) -> None:
    started = time.monotonic()
    call = f'session.get(url + "{path}", timeout=aiohttp.ClientTimeout({timeout}))'
    assert raised(run(executor, in_session(call), server.authority))[0] == error
    assert time.monotonic() - started < 5


def test_a_refused_connection_is_a_connector_error(executor: Executor) -> None:
    port = unused_port()
    statement = """
try:
    async with aiohttp.ClientSession() as session:
        await session.get(url)
except aiohttp.ClientConnectorError as error:
    return [{"host": error.host, "port": error.port, "text": str(error)}]
"""
    result = run(executor, statement, f"127.0.0.1:{port}")
    assert result.rows == [
        {
            "host": "127.0.0.1",
            "port": port,
            "text": f"Cannot connect to host 127.0.0.1:{port} ssl:default "
            f"[connection to 127.0.0.1:{port} failed: Connection refused]",
        }
    ]


def test_what_is_not_granted_is_a_connector_error_that_says_how(executor: Executor) -> None:
    result = run(executor, in_session('session.get("https://ungranted.example.com/")'), "127.0.0.1:1")
    assert raised(result) == (
        "aiohttp.client_exceptions.ClientConnectorError",
        (
            "Cannot connect to host ungranted.example.com:443 ssl:default "
            "[HTTP to ungranted.example.com is not granted: "
            'allow it with --allow-http ungranted.example.com or Grants(http=["ungranted.example.com"])]'
        ),
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "aiohttp.client_exceptions.ServerDisconnectedError"),
        (b"nonsense\r\n\r\n", "aiohttp.client_exceptions.ServerDisconnectedError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "aiohttp.client_exceptions.ClientPayloadError"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
            "aiohttp.client_exceptions.ClientPayloadError",
        ),
    ],
)
def test_a_server_that_breaks_the_rules(executor: Executor, answer: bytes, error: str) -> None:
    with ScriptedServer(answer) as server:
        assert raised(run(executor, in_session("session.get(url)"), server.authority))[0] == error


def test_a_body_up_to_the_end_of_the_connection(executor: Executor) -> None:
    statement = """
async with aiohttp.ClientSession() as session:
    async with session.get(url) as answer:
        return [{"text": await answer.text()}]
"""
    with ScriptedServer(b"HTTP/1.0 200 OK\r\n\r\nto the end") as server:
        assert run(executor, statement, server.authority).rows == [{"text": "to the end"}]


def test_tls_is_verified_by_the_host(executor: Executor, tmp_path: Path) -> None:
    authority, context, ca_file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    call = 'session.get(url.replace("http:", "https:") + "/hello", ssl=False)'
    with WebServer(tls=context) as server:
        trusted = HttpGrant("127.0.0.1", ports=(server.port,), allow_private=True, ca_file=ca_file)
        run(executor, in_session(call), server.authority, trusted).raise_for_status()
        name, message = raised(run(executor, in_session(call), server.authority))
        assert name == "aiohttp.client_exceptions.ClientConnectorCertificateError"
        assert "the certificate of 127.0.0.1 is not accepted: " in message
        assert server.requests == ["/hello"]


@pytest.mark.timing
def test_cancelling_and_leaving_open_stop_requests_on_the_host(executor: Executor, server: WebServer) -> None:
    statement = """
import time
started = time.monotonic()
async with aiohttp.ClientSession() as session:
    for path in ("/slow?seconds=9", "/stall?size=9"):
        try:
            async with asyncio.timeout(0.2):
                await (await session.get(url + path)).read()
        except TimeoutError:
            pass
    async with session.get(url + "/bytes?size=20000000") as answer:
        await answer.content.read(10)
    async with session.get(url + "/bytes?size=20000000"):
        pass
    text = await (await session.get(url + "/hello")).text()
return [{"text": text, "seconds": time.monotonic() - started}]
"""
    # With one place only, a request that goes on would block the next.
    (row,) = rows(executor, statement, server, http_concurrent=1)
    assert row["text"] == "hello"
    assert row["seconds"] < 5


def test_a_session_that_stays_open_is_named_in_the_log(executor: Executor, server: WebServer) -> None:
    statement = "await (await aiohttp.ClientSession().get(url + {path!r})).{read}\nreturn []"
    whole = run(executor, statement.format(path="/hello", read="read()"), server.authority)
    assert whole.status == Status.FINISHED_NO_DATA
    assert "Unclosed client session" in [record.message for record in whole.logs]
    half = run(executor, statement.format(path="/bytes?size=20000000", read="content.read(1)"), server.authority)
    for record in (*whole.logs, *half.logs):
        assert "wasmexec" not in record.message
        assert "HostTransport" not in record.message


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ('async with aiohttp.ClientSession() as s:\n    await s.get(url, proxy="http://127.0.0.1:1")', "a proxy"),
        (
            (
                'connector = aiohttp.TCPConnector(local_addr=("127.0.0.1", 0))\n'
                "async with aiohttp.ClientSession(connector=connector) as s:\n    await s.get(url)"
            ),
            "local_addr",
        ),
    ],
)
def test_what_needs_a_connection_of_its_own_is_refused(executor: Executor, statement: str, what: str) -> None:
    assert raised(run(executor, f"{statement}\nreturn []", "127.0.0.1:1")) == (
        "NotImplementedError",
        f"aiohttp: {what} is not available here, the host makes the connections itself",
    )


def test_web_sockets_are_refused(executor: Executor, server: WebServer) -> None:
    statement = "async with aiohttp.ClientSession() as session:\n    await session.ws_connect(url)\nreturn []"
    name, message = raised(run(executor, statement, server.authority))
    assert (name, message) == (
        "aiohttp.client_exceptions.ClientConnectionError",
        "protocol upgrades are not available",
    )


def test_an_error_in_a_request_body_ends_the_request(executor: Executor, server: WebServer) -> None:
    statement = """
async def pieces():
    yield b"x"
    raise ValueError("no more")
errors = []
async with aiohttp.ClientSession() as session:
    for _ in range(3):
        try:
            await session.put(url + "/upload", data=pieces())
        except (ValueError, aiohttp.ClientError) as error:
            errors.append({"error": str(error)})
    return errors + [{"after": await (await session.get(url + "/hello")).text()}]
"""
    assert rows(executor, statement, server, http_concurrent=1) == [{"error": "no more"}] * 3 + [{"after": "hello"}]
