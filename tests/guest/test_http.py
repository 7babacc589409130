"""httpx in the guest, against real servers on loopback: the statement's own httpx, the host's connections."""

import importlib.abc
import ssl
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import trustme
from tests.http_statements import raised, rows, run
from tests.servers import ScriptedServer, WebServer, unused_port

from wasmexec import Executor, HttpGrant, Result, StatementRaised, Status


def test_a_synchronous_get(executor: Executor, server: WebServer) -> None:
    statement = """
response = httpx.get(LocalVariable.Server + "/hello")
return [{"status": response.status_code, "text": response.text, "version": response.http_version,
         "reason": response.reason_phrase, "type": response.headers["content-type"]}]
"""
    assert rows(executor, statement, server) == [
        {"status": 200, "text": "hello", "version": "HTTP/1.1", "reason": "OK", "type": "text/plain"}
    ]


class _Searched(importlib.abc.MetaPathFinder):
    """Notes which modules the process looks for, and finds none."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        self.names.append(fullname)
        return None


def test_what_the_host_does_for_a_request_looks_for_no_module(
    executor: Executor, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search of the whole path, for one that is not there each time again, was a fifth of a request's work."""
    statement = """
async with httpx.AsyncClient() as client:
    first = await client.get(LocalVariable.Server + "/hello")
return [{"text": first.text, "same": httpx.get(LocalVariable.Server + "/hello").text}]
"""
    expected = [{"text": "hello", "same": "hello"}]
    assert rows(executor, statement, server) == expected
    searched = _Searched()
    monkeypatch.setattr(sys, "meta_path", [searched, *sys.meta_path])
    assert rows(executor, statement, server) == expected
    assert searched.names == []
    with pytest.raises(ImportError):
        __import__("there_is_no_such_module")
    assert searched.names == ["there_is_no_such_module"]


@pytest.mark.timing
def test_an_asynchronous_get(executor: Executor, server: WebServer) -> None:
    statement = """
async with httpx.AsyncClient() as client:
    response = await client.get(LocalVariable.Server + "/hello")
response.raise_for_status()
return [{"text": response.text, "seconds": response.elapsed.total_seconds()}]
"""
    (row,) = rows(executor, statement, server)
    assert row["text"] == "hello"
    assert 0 < row["seconds"] < 5


def test_a_post_of_json(executor: Executor, server: WebServer) -> None:
    statement = """
answers = [httpx.post(LocalVariable.Server + "/echo", json={"a": [1, "\\u00e9"]}).json()]
async with httpx.AsyncClient(headers={"X-Key": "k"}, params={"p": 1}) as client:
    answers.append((await client.post(LocalVariable.Server + "/echo", json={"a": 2})).json())
return answers
"""
    first, second = rows(executor, statement, server)
    assert first["method"] == "POST"
    assert first["body"].encode("latin-1").decode() == '{"a": [1, "\\u00e9"]}'
    assert first["headers"] == {
        "host": server.authority,
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "connection": "keep-alive",
        "user-agent": "python-httpx/0.25.0",
        "content-type": "application/json",
        "content-length": "20",
    }
    assert (second["path"], second["headers"]["x-key"]) == ("/echo?p=1", "k")


def test_every_method_and_body_kind(executor: Executor, server: WebServer) -> None:
    statement = """
url = LocalVariable.Server + "/echo"
answers = [
    httpx.put(url, content=b"raw"), httpx.patch(url, data={"a": "1", "b": "2"}), httpx.delete(url),
    httpx.options(url), httpx.post(url), httpx.post(url, files={"f": ("f.txt", b"text")}),
]
return [answer.json() for answer in answers] + [{"head": httpx.head(url).status_code}]
"""
    put, patch, delete, options, post, files, head = rows(executor, statement, server)
    assert (put["method"], put["body"], put["headers"]["content-length"]) == ("PUT", "raw", "3")
    assert (patch["body"], patch["headers"]["content-type"]) == ("a=1&b=2", "application/x-www-form-urlencoded")
    assert (delete["method"], "content-length" in delete["headers"]) == ("DELETE", False)
    assert options["method"] == "OPTIONS"
    assert (post["body"], post["headers"]["content-length"]) == ("", "0")
    assert 'filename="f.txt"' in files["body"]
    assert head == {"head": 200}


def test_compressed_answers_are_decompressed(executor: Executor, server: WebServer) -> None:
    statement = 'return [httpx.get(LocalVariable.Server + "/gzip").json()]'
    assert rows(executor, statement, server) == [{"text": "x" * 1000}]


def test_redirects_are_followed_by_the_client(executor: Executor, server: WebServer) -> None:
    statement = """
url, params = LocalVariable.Server + "/redirect", {"to": "/redirect?to=/hello"}
one = httpx.get(url, params=params)
async with httpx.AsyncClient(follow_redirects=True) as client:
    all = await client.get(url, params=params)
return [{"status": one.status_code, "location": one.headers["location"]},
        {"text": all.text, "hops": [hop.status_code for hop in all.history]}]
"""
    assert rows(executor, statement, server) == [
        {"status": 302, "location": "/redirect?to=/hello"},
        {"text": "hello", "hops": [302, 302]},
    ]
    assert len(server.requests) == 4


def test_a_redirect_keeps_or_changes_method_and_body(executor: Executor, server: WebServer) -> None:
    statement = """
answers = []
for status in (303, 307):
    url = f"{LocalVariable.Server}/redirect?to=/echo&status={status}"
    answers.append(httpx.post(url, content=b"body", follow_redirects=True).json())
return [{"method": answer["method"], "body": answer["body"]} for answer in answers]
"""
    assert rows(executor, statement, server) == [{"method": "GET", "body": ""}, {"method": "POST", "body": "body"}]


def test_endless_redirects_end(executor: Executor) -> None:
    statement = "httpx.get(LocalVariable.Server, follow_redirects=True)\nreturn []"
    with ScriptedServer(*[b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"] * 30) as loop:
        name, message = raised(run(executor, statement, loop.authority))
    assert (name, message) == ("httpx.TooManyRedirects", "Exceeded maximum allowed redirects.")


def test_cookies_are_kept_by_the_client(executor: Executor, server: WebServer) -> None:
    statement = """
with httpx.Client() as client:
    client.get(LocalVariable.Server + "/set-cookie?name=session&value=abc")
    kept = client.get(LocalVariable.Server + "/echo").json()["headers"]["cookie"]
    jar = dict(client.cookies)
fresh = httpx.get(LocalVariable.Server + "/echo", cookies={"mine": "1"}).json()["headers"]["cookie"]
return [{"kept": kept, "jar": jar, "fresh": fresh}]
"""
    assert rows(executor, statement, server) == [{"kept": "session=abc", "jar": {"session": "abc"}, "fresh": "mine=1"}]


def test_authentication_is_sent(executor: Executor, server: WebServer) -> None:
    statement = 'return [httpx.get(LocalVariable.Server + "/echo", auth=("user", "pass")).json()["headers"]]'
    assert rows(executor, statement, server)[0]["authorization"] == "Basic dXNlcjpwYXNz"


@pytest.mark.timing
def test_requests_of_one_client_overlap_in_time(executor: Executor, server: WebServer) -> None:
    statement = """
import time
async def fetch(client, path):
    return (await client.get(LocalVariable.Server + path)).text
async with httpx.AsyncClient(timeout=20) as client:
    met = await asyncio.gather(*(fetch(client, "/meet?count=10") for _ in range(10)))
    started = time.monotonic()
    slow = await asyncio.gather(*(fetch(client, "/slow?seconds=0.5") for _ in range(10)))
    return [{"met": met, "slow": slow, "seconds": time.monotonic() - started}]
"""
    (row,) = rows(executor, statement, server)
    assert row["met"] == ["met"] * 10
    assert row["slow"] == ["slow"] * 10
    assert 0.5 <= row["seconds"] < 4
    assert server.most_in_flight == 10


@pytest.mark.timing
def test_a_sleep_and_a_request_overlap(executor: Executor, server: WebServer) -> None:
    statement = """
import time
started = time.monotonic()
async with httpx.AsyncClient() as client:
    await asyncio.gather(sleep(1), client.get(LocalVariable.Server + "/slow?seconds=1"))
return [{"seconds": time.monotonic() - started}]
"""
    (row,) = rows(executor, statement, server)
    assert 1 <= row["seconds"] < 1.9


def test_many_clients_at_once_are_queued(executor: Executor, server: WebServer) -> None:
    statement = """
async def fetch(number):
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
        return (await client.post(LocalVariable.Server + "/echo", content=str(number) * 10_000)).json()["body"][:4]
bodies = await asyncio.gather(*(fetch(number) for number in range(300)))
return [{"right": bodies == [(str(number) * 4)[:4] for number in range(300)]}]
"""
    assert rows(executor, statement, server, http_requests=300) == [{"right": True}]
    assert server.most_in_flight <= 16


@pytest.mark.timing
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('httpx.get(LocalVariable.Server + "/slow?seconds=9", timeout=0.2)', "httpx.ReadTimeout"),
        ('httpx.get(LocalVariable.Server + "/stall?size=9", timeout=0.2)', "httpx.ReadTimeout"),
        (
            'await httpx.AsyncClient(timeout=0.2).get(LocalVariable.Server + "/slow?seconds=9")',
            "httpx.ReadTimeout",
        ),
        (
            'await httpx.AsyncClient().get(LocalVariable.Server + "/stall?size=9", timeout=httpx.Timeout(5, read=0.2))',
            "httpx.ReadTimeout",
        ),
    ],
)
def test_a_server_that_is_too_slow_is_a_timeout(executor: Executor, server: WebServer, call: str, error: str) -> None:
    started = time.monotonic()
    name, message = raised(run(executor, f"{call}\nreturn []", server.authority))
    assert name == error
    assert message in ("nothing received within the time allowed", "nothing received for 0.2 s")
    assert time.monotonic() - started < 3


def test_a_full_pool_is_a_pool_timeout(executor: Executor, server: WebServer) -> None:
    statement = """
limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(20, pool=0.2)
errors = []
async with httpx.AsyncClient(limits=limits, timeout=timeout) as client:
    async with client.stream("GET", LocalVariable.Server + "/bytes?size=20000000"):
        try:
            await client.get(LocalVariable.Server + "/hello")
        except httpx.PoolTimeout as error:
            errors.append({"error": str(error)})
    errors.append({"after": (await client.get(LocalVariable.Server + "/hello")).text})
with httpx.Client(limits=limits, timeout=timeout) as client:
    with client.stream("GET", LocalVariable.Server + "/bytes?size=20000000"):
        try:
            client.get(LocalVariable.Server + "/hello")
        except httpx.PoolTimeout as error:
            errors.append({"error": str(error)})
    errors.append({"after": client.get(LocalVariable.Server + "/hello").text})
return errors
"""
    assert rows(executor, statement, server) == [
        {"error": "all connections of the client in use for 0.2 s"},
        {"after": "hello"},
        {"error": "1 responses are open, and the client has no more connections"},
        {"after": "hello"},
    ]


@pytest.mark.parametrize(
    "call", ["httpx.get(LocalVariable.Server)", "await httpx.AsyncClient().get(LocalVariable.Server)"]
)
def test_a_refused_connection_is_a_connect_error(executor: Executor, call: str) -> None:
    port = unused_port()
    assert raised(run(executor, f"{call}\nreturn []", f"127.0.0.1:{port}")) == (
        "httpx.ConnectError",
        f"connection to 127.0.0.1:{port} failed: Connection refused",
    )


def test_a_failed_connection_is_repeated_as_often_as_asked(executor: Executor) -> None:
    statement = """
import time
seconds = []
for retries in (0, 2):
    started = time.monotonic()
    try:
        httpx.Client(transport=httpx.HTTPTransport(retries=retries)).get(LocalVariable.Server)
    except httpx.ConnectError:
        seconds.append(time.monotonic() - started)
    started = time.monotonic()
    try:
        await httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=retries)).get(LocalVariable.Server)
    except httpx.ConnectError:
        seconds.append(time.monotonic() - started)
return [{"seconds": seconds}]
"""
    result = run(executor, statement, f"127.0.0.1:{unused_port()}")
    _, _, repeated, also_repeated = result.rows[0]["seconds"]
    assert min(repeated, also_repeated) >= 0.5
    assert result.usage.http_requests == 8


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "httpx.RemoteProtocolError"),
        (b"nonsense\r\n\r\n", "httpx.RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "httpx.RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone", "httpx.DecodingError"),
    ],
)
def test_a_server_that_breaks_the_rules_is_a_protocol_error(executor: Executor, answer: bytes, error: str) -> None:
    for call in ("httpx.get(LocalVariable.Server)", "await httpx.AsyncClient().get(LocalVariable.Server)"):
        with ScriptedServer(answer) as server:
            assert raised(run(executor, f"{call}\nreturn []", server.authority))[0] == error


def test_the_statement_can_catch_every_failure(executor: Executor, server: WebServer) -> None:
    statement = """
urls = ["http://ungranted.example.com/", LocalVariable.Server + "/slow?seconds=9", "ftp://x/", "/relative"]
caught = []
for url in urls:
    try:
        httpx.get(url, timeout=0.2)
    except httpx.RequestError as error:
        caught.append({"type": type(error).__name__, "url": str(error.request.url)})
return caught
"""
    assert rows(executor, statement, server) == [
        {"type": "ConnectError", "url": "http://ungranted.example.com/"},
        {"type": "ReadTimeout", "url": f"http://{server.authority}/slow?seconds=9"},
        {"type": "UnsupportedProtocol", "url": "ftp://x/"},
        {"type": "UnsupportedProtocol", "url": "/relative"},
    ]


def test_tls_is_verified_by_the_host(executor: Executor, tmp_path: Path) -> None:
    authority, context, ca_file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    statement = """
url = LocalVariable.Server.replace("http:", "https:") + "/hello"
return [{"text": httpx.get(url).text}, {"text": (await httpx.AsyncClient(verify=False).get(url)).text}]
"""
    with WebServer(tls=context) as server:
        trusted = HttpGrant("127.0.0.1", ports=(server.port,), allow_private=True, ca_file=ca_file)
        assert run(executor, statement, server.authority, trusted).rows == [{"text": "hello"}] * 2
        name, message = raised(
            run(executor, statement.replace("httpx.get(", "httpx.Client(verify=False).get("), server.authority)
        )
        assert name == "httpx.ConnectError"
        assert message.startswith("the certificate of 127.0.0.1 is not accepted: ")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ('proxies="http://127.0.0.1:1"', "proxy"),
        ('transport=httpx.HTTPTransport(uds="/run/x.sock")', "uds"),
        ('transport=httpx.HTTPTransport(local_address="127.0.0.1")', "local_address"),
        ('cert="/tmp/client.pem"', "cert"),
        ("http1=False, http2=False", "http1=False"),
    ],
)
def test_what_cannot_work_is_refused_when_the_client_is_made(executor: Executor, options: str, name: str) -> None:
    assert raised(run(executor, f"httpx.Client({options})\nreturn []", "127.0.0.1:1")) == (
        "NotImplementedError",
        f"httpx: {name} is not available here, the host makes the connections itself",
    )


@pytest.mark.timing
def test_clients_are_made_without_loading_certificates(executor: Executor, server: WebServer) -> None:
    statement = """
import time
started = time.monotonic()
for _ in range(20):
    httpx.Client()
    httpx.AsyncClient(verify=True, limits=httpx.Limits(max_connections=5), trust_env=True)
return [{"seconds": time.monotonic() - started, "transport": repr(httpx.HTTPTransport)}]
"""
    (row,) = rows(executor, statement, server)
    assert row["seconds"] < 0.2
    assert row["transport"] == "<class 'httpx.HTTPTransport'>"


def test_a_transport_of_the_statement_is_used(executor: Executor, server: WebServer) -> None:
    statement = """
class Counting(httpx.AsyncHTTPTransport):
    count = 0
    async def handle_async_request(self, request):
        Counting.count += 1
        return await super().handle_async_request(request)
async with httpx.AsyncClient(transport=Counting()) as client:
    text = (await client.get(LocalVariable.Server + "/hello")).text
mock = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(418)))
return [{"text": text, "count": Counting.count, "mock": mock.get("http://anywhere/").status_code}]
"""
    assert rows(executor, statement, server) == [{"text": "hello", "count": 1, "mock": 418}]


def test_the_usage_counts_requests_and_bytes(executor: Executor, server: WebServer) -> None:
    statement = """
httpx.get(LocalVariable.Server + "/bytes?size=100000")
httpx.put(LocalVariable.Server + "/upload", content=b"x" * 50_000)
return []
"""
    result = run(executor, statement, server.authority)
    assert result.usage.http_requests == 2
    assert 100_000 < result.usage.http_bytes_received < 102_000
    assert 50_000 < result.usage.http_bytes_sent < 52_000
    idle = executor.run("return []")
    assert (idle.usage.http_requests, idle.usage.http_bytes_sent, idle.usage.http_bytes_received) == (0, 0, 0)


def test_the_number_of_requests_is_limited(executor: Executor, server: WebServer) -> None:
    statement = 'for _ in range(3):\n    httpx.get(LocalVariable.Server + "/hello")\nreturn [{"done": True}]'
    assert rows(executor, statement, server, http_requests=3) == [{"done": True}]
    assert raised(run(executor, statement, server.authority, http_requests=2)) == (
        "httpx.TransportError",
        "more than 2 HTTP requests (limit http_requests)",
    )
    assert rows(executor, statement, server, http_requests=3) == [{"done": True}]


def test_the_bytes_of_each_direction_are_limited(executor: Executor, server: WebServer) -> None:
    down = 'httpx.get(LocalVariable.Server + "/bytes?size=100000")\nreturn [{"done": True}]'
    up = 'httpx.put(LocalVariable.Server + "/upload", content=b"x" * 100000)\nreturn [{"done": True}]'
    for statement, word in ((down, "received"), (up, "sent")):
        assert rows(executor, statement, server, http_bytes=102_000) == [{"done": True}]
        assert raised(run(executor, statement, server.authority, http_bytes=99_000)) == (
            "httpx.TransportError",
            f"more than 99,000 bytes {word} over HTTP (limit http_bytes)",
        )
        assert rows(executor, statement, server, http_bytes=102_000) == [{"done": True}]


@pytest.mark.timing
@pytest.mark.parametrize(
    "call",
    [
        'httpx.get(LocalVariable.Server + "/slow?seconds=9", timeout=None)',
        'await httpx.AsyncClient(timeout=None).get(LocalVariable.Server + "/slow?seconds=9")',
    ],
)
def test_the_wall_limit_ends_a_request_without_timeout(executor: Executor, server: WebServer, call: str) -> None:
    started = time.monotonic()
    result = run(executor, f"{call}\nreturn []", server.authority, wall_seconds=0.5)
    assert result.status == Status.TIMED_OUT
    assert time.monotonic() - started < 3
    assert rows(executor, 'return [httpx.get(LocalVariable.Server + "/echo").json()]', server)[0]["method"] == "GET"


def test_an_error_shows_the_line_of_the_statement_only(executor: Executor, server: WebServer) -> None:
    statement = 'import httpx\n\nhttpx.get("http://ungranted.example.com/")\nreturn []\n'
    result = executor.run(statement)
    assert raised(result) == (
        "httpx.ConnectError",
        (
            "HTTP to ungranted.example.com is not granted: "
            'allow it with --allow-http ungranted.example.com or Grants(http=["ungranted.example.com"])'
        ),
    )
    assert isinstance(result.error, StatementRaised)
    assert result.error.line == 3
    assert "HostCallError" not in result.error.traceback
    assert "wasmexec_guest" not in result.error.traceback


def test_async_libraries_see_the_loop_as_asyncio(executor: Executor, server: WebServer) -> None:
    statement = """
load = httpx._client.typing.sys.modules["importlib"].import_module
anyio, sniffio = load("anyio"), load("sniffio")
texts = []
async def fetch(client):
    with anyio.fail_after(20):
        texts.append((await client.get(LocalVariable.Server + "/meet?count=2")).text)
async with httpx.AsyncClient(timeout=20) as client, anyio.create_task_group() as group:
    group.start_soon(fetch, client)
    group.start_soon(fetch, client)
await anyio.sleep(0.01)
return [{"library": sniffio.current_async_library(), "texts": texts}]
"""
    assert rows(executor, statement, server) == [{"library": "asyncio", "texts": ["met", "met"]}]


@pytest.mark.parametrize(
    "call",
    [
        "httpx.get(url, timeout={seconds})",
        "httpx.get(url, timeout=httpx.Timeout(5, pool={seconds}))",
        "httpx.post(url, content=iter([b'a']), timeout={seconds})",
        "await httpx.AsyncClient(timeout={seconds}).get(url)",
        "warnings.sys.modules['urllib.request'].urlopen(url, timeout={seconds})",
    ],
)
def test_an_infinite_timeout_is_none_and_one_that_is_no_number_is_an_error(
    executor: Executor, server: WebServer, call: str
) -> None:
    prelude = "import httpx, warnings\nwarnings.sys.modules['importlib'].import_module('urllib.request')\n"
    prelude += "url = LocalVariable.Server + '/hello'\n"

    def outcome(seconds: str) -> Result:
        return run(executor, call.format(seconds=seconds) + "\nreturn [{'ok': 1}]", server.authority, prelude=prelude)

    assert outcome("5").rows == outcome("float('inf')").rows == [{"ok": 1}]
    kind, message = raised(outcome("float('nan')"))
    assert (kind, "not nan" in message) == ("ValueError", True)
