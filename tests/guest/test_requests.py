"""requests in the guest keeps its behaviour: sessions, redirects, cookies, streams, timeouts, retries and errors.

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

from wasmexec import Executor, HttpGrant, Result

PRELUDE = """import openai
requests = openai.api_requestor.requests
url = LocalVariable.Server
"""


def run(executor: Executor, statement: str, authority: str, *grants: HttpGrant, **limits: Any) -> Result:
    return http_statements.run(executor, statement, authority, *grants, prelude=PRELUDE, **limits)


def rows(executor: Executor, statement: str, server: WebServer, **limits: Any) -> list[dict[str, Any]]:
    return http_statements.rows(executor, statement, server, prelude=PRELUDE, **limits)


@pytest.mark.timing
def test_a_get(executor: Executor, server: WebServer) -> None:
    statement = """
answer = requests.get(url + "/echo", params={"a": "1 2"}, auth=("user", "pass"))
return [{"status": answer.status_code, "reason": answer.reason, "url": answer.url, "ok": answer.ok,
         "seconds": answer.elapsed.total_seconds(), **answer.json()}]
"""
    (row,) = rows(executor, statement, server)
    assert (row["status"], row["reason"], row["ok"]) == (200, "OK", True)
    assert row["url"] == server.url("/echo?a=1+2")
    assert 0 < row["seconds"] < 5
    assert row["headers"] == {
        "host": server.authority,
        "user-agent": "python-requests/2.31.0",
        "accept-encoding": "gzip, deflate",
        "accept": "*/*",
        "connection": "keep-alive",
        "authorization": "Basic dXNlcjpwYXNz",
    }


def test_every_method_and_body_kind(executor: Executor, server: WebServer) -> None:
    statement = """
answers = [
    requests.put(url + "/echo", data=b"raw"), requests.patch(url + "/echo", data={"a": "1", "b": "2"}),
    requests.delete(url + "/echo"), requests.options(url + "/echo"), requests.post(url + "/echo", json={"a": [1]}),
    requests.post(url + "/echo", files={"f": ("f.txt", b"text")}),
]
return [answer.json() for answer in answers] + [{"head": requests.head(url + "/echo").status_code}]
"""
    put, patch, delete, options, post, files, head = rows(executor, statement, server)
    assert (put["method"], put["body"], put["headers"]["content-length"]) == ("PUT", "raw", "3")
    assert (patch["body"], patch["headers"]["content-type"]) == ("a=1&b=2", "application/x-www-form-urlencoded")
    assert delete["method"] == "DELETE"
    assert options["method"] == "OPTIONS"
    assert (post["body"], post["headers"]["content-type"]) == ('{"a": [1]}', "application/json")
    assert 'filename="f.txt"' in files["body"]
    assert head == {"head": 200}


def test_large_and_streamed_bodies_arrive_whole(executor: Executor, server: WebServer) -> None:
    statement = """
import io
def pieces():
    for number in range(5):
        yield bytes([number]) * 100_000
return [
    requests.put(url + "/upload", data=b"x" * 3_000_000).json(),
    requests.put(url + "/upload", data=io.BytesIO(b"x" * 3_000_000)).json(),
    requests.put(url + "/upload", data=pieces()).json(),
    requests.put(url + "/upload", data=iter([b"ab", b"", b"c"])).json(),
]
"""
    large, file, chunked, small = rows(executor, statement, server)
    assert large["sha256"] == file["sha256"] == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert (large["content_length"], large["transfer_encoding"]) == ("3000000", None)
    expected = b"".join(bytes([number]) * 100_000 for number in range(5))
    assert (chunked["sha256"], chunked["transfer_encoding"]) == (hashlib.sha256(expected).hexdigest(), "chunked")
    assert small["sha256"] == hashlib.sha256(b"abc").hexdigest()


def test_lines_stream_as_they_come(executor: Executor, server: WebServer) -> None:
    statement = """
import time
seen = []
with requests.get(url + "/chunks?count=3&size=2&pause=0.3", stream=True) as answer:
    started = time.monotonic()
    for data in answer.iter_content(None):
        seen.append({"data": data.decode(), "at": time.monotonic() - started})
return seen
"""
    assert_three_parts_came_apart(rows(executor, statement, server))


def test_a_large_response_streams_in_bounded_memory(executor: Executor, server: WebServer) -> None:
    statement = """
size = 0
with requests.get(url + "/bytes?size=50000000", stream=True) as answer:
    for data in answer.iter_content(65536):
        size += len(data)
return [{"size": size}]
"""
    result = run(executor, statement, server.authority)
    assert result.rows == [{"size": 50_000_000}]
    small = run(executor, 'requests.get(url)\nreturn [{"a": 1}]', server.authority)
    assert result.usage.peak_memory_bytes - small.usage.peak_memory_bytes < 10_000_000


def test_compressed_answers_are_decompressed(executor: Executor, server: WebServer) -> None:
    assert rows(executor, 'return [requests.get(url + "/gzip").json()]', server) == [{"text": "x" * 1000}]


def test_redirects_and_cookies_are_the_sessions(executor: Executor, server: WebServer) -> None:
    statement = """
with requests.Session() as session:
    session.get(url + "/set-cookie?name=session&value=abc")
    moved = session.get(url + "/redirect", params={"to": "/redirect?to=/echo"})
    posted = session.post(url + "/redirect?to=/echo&status=307", data="body").json()
    stay = session.get(url + "/redirect?to=/echo", allow_redirects=False)
    jar = session.cookies.get_dict()
return [{"hops": [hop.status_code for hop in moved.history], "cookie": moved.json()["headers"]["cookie"], "jar": jar,
         "posted": [posted["method"], posted["body"]], "stay": stay.status_code}]
"""
    assert rows(executor, statement, server) == [
        {
            "hops": [302, 302],
            "cookie": "session=abc",
            "jar": {"session": "abc"},
            "posted": ["POST", "body"],
            "stay": 302,
        }
    ]


def test_endless_redirects_end(executor: Executor, server: WebServer) -> None:
    statement = """
session = requests.Session()
session.max_redirects = 3
session.get(url + "/redirect?to=/redirect?to=/redirect?to=/redirect?to=/redirect?to=/redirect")
return []
"""
    with ScriptedServer(*[b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"] * 9) as loop:
        name, message = raised(run(executor, statement, loop.authority))
    assert (name, message) == ("requests.exceptions.TooManyRedirects", "Exceeded 3 redirects.")


@pytest.mark.timing
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('requests.get(url + "/slow?seconds=9", timeout=0.3)', "requests.exceptions.ReadTimeout"),
        ('requests.get(url + "/slow?seconds=9", timeout=(5, 0.3))', "requests.exceptions.ReadTimeout"),
        ('requests.get(url + "/stall?size=9", timeout=0.3)', "requests.exceptions.ConnectionError"),
        ('requests.put(url + "/slow?seconds=9", data=b"x" * 200000, timeout=0.3)', "requests.exceptions.ReadTimeout"),
    ],
)
def test_a_server_that_is_too_slow_is_a_timeout(executor: Executor, server: WebServer, call: str, error: str) -> None:
    started = time.monotonic()
    name, message = raised(run(executor, f"{call}\nreturn []", server.authority))
    assert name == error
    assert "Read timed out." in message
    assert time.monotonic() - started < 5


def test_a_refused_connection_is_tried_as_often_as_the_adapter_says(executor: Executor) -> None:
    port = unused_port()
    statement = """
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(max_retries=2))
session.get(url)
return []
"""
    result = run(executor, statement, f"127.0.0.1:{port}")
    name, message = raised(result)
    assert name == "requests.exceptions.ConnectionError"
    assert f"connection to 127.0.0.1:{port} failed: Connection refused" in message
    assert result.usage.http_requests == 3


def test_statuses_are_retried_by_urllib3(executor: Executor) -> None:
    statement = """
Retry = requests.adapters.Retry
session = requests.Session()
retries = Retry(3, backoff_factor=0.01, status_forcelist=[503])
session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
return [{"text": session.get(url).text}]
"""
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with ScriptedServer(busy, busy, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as server:
        result = run(executor, statement, server.authority)
        result.raise_for_status()
    assert result.rows == [{"text": "ok"}]
    assert result.usage.http_requests == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "requests.exceptions.ConnectionError"),
        (b"nonsense\r\n\r\n", "requests.exceptions.ConnectionError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "requests.exceptions.ChunkedEncodingError"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
            "requests.exceptions.ContentDecodingError",
        ),
    ],
)
def test_a_server_that_breaks_the_rules(executor: Executor, answer: bytes, error: str) -> None:
    with ScriptedServer(answer) as server:
        assert raised(run(executor, "requests.get(url)\nreturn []", server.authority))[0] == error


def test_a_body_up_to_the_end_of_the_connection(executor: Executor) -> None:
    with ScriptedServer(b"HTTP/1.0 200 OK\r\n\r\nto the end") as server:
        result = run(executor, 'return [{"text": requests.get(url).text}]', server.authority)
    assert result.rows == [{"text": "to the end"}]


def test_tls_is_verified_by_the_host(executor: Executor, tmp_path: Path) -> None:
    authority, context, ca_file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    statement = 'return [{"text": requests.get(url.replace("http:", "https:") + "/hello", verify=False).text}]'
    with WebServer(tls=context) as server:
        trusted = HttpGrant("127.0.0.1", ports=(server.port,), allow_private=True, ca_file=ca_file)
        assert run(executor, statement, server.authority, trusted).rows == [{"text": "hello"}]
        name, message = raised(run(executor, statement, server.authority))
        assert name == "requests.exceptions.SSLError"
        assert "the certificate of 127.0.0.1 is not accepted: " in message
        assert server.requests == ["/hello"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ('proxies={"http": "http://127.0.0.1:1"}', "a proxy"),
        ('proxies={"https": "http://127.0.0.1:1"}', "a proxy"),
        ('cert="/tmp/client.pem"', "a client certificate"),
    ],
)
def test_what_needs_a_connection_of_its_own_is_refused(executor: Executor, options: str, what: str) -> None:
    statement = f"""
open("/tmp/client.pem", "w").close()
requests.get("{"http" if '"http"' in options else "https"}://example.com/", {options})
return []
"""
    assert raised(run(executor, statement, "127.0.0.1:1")) == (
        "NotImplementedError",
        f"requests: {what} is not available here, the host makes the connections itself",
    )


def test_responses_that_are_not_read_are_given_up(executor: Executor, server: WebServer) -> None:
    statement = """
for _ in range(3):
    with requests.get(url + "/bytes?size=20000000", stream=True):
        pass
    requests.get(url + "/bytes?size=20000000", stream=True)
    session = requests.Session()
    answer = session.get(url + "/bytes?size=20000000", stream=True)
    next(answer.iter_content(10))
    answer.close()
return [{"text": requests.get(url + "/hello").text}]
"""
    # With one place only, a request left open would block the next.
    assert rows(executor, statement, server, http_concurrent=1) == [{"text": "hello"}]


def test_the_limits_of_the_host_hold(executor: Executor, server: WebServer) -> None:
    statement = 'for _ in range(3):\n    requests.get(url + "/hello")\nreturn [{"done": True}]'
    assert rows(executor, statement, server, http_requests=3) == [{"done": True}]
    name, message = raised(run(executor, statement, server.authority, http_requests=2))
    assert name == "requests.exceptions.ConnectionError"
    assert "more than 2 HTTP requests (limit http_requests)" in message
    assert rows(executor, statement, server, http_requests=3) == [{"done": True}]
