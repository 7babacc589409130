"""httpx's request extensions: `trace` hears what happens here, `network_stream` and the rest say what they are not."""

from __future__ import annotations

import pytest
from tests.http_statements import rows, run
from tests.servers import WebServer

from wasmexec import Executor, Status

SENT = [
    "http11.send_request_headers.started", "http11.send_request_headers.complete",
    "http11.send_request_body.started", "http11.send_request_body.complete",
    "http11.receive_response_headers.started", "http11.receive_response_headers.complete",
    "http11.receive_response_body.started", "http11.receive_response_body.complete",
    "http11.response_closed.started", "http11.response_closed.complete",
]  # fmt: skip


@pytest.mark.parametrize("options", ["", ", content=b'body'", ", content=(b'x' * 50_000 for _ in range(5))"])
def test_trace_hears_of_a_request(executor: Executor, server: WebServer, options: str) -> None:
    statement = f"""
heard = []
def trace(name, info):
    heard.append((name, info))
response = httpx.Client().post(LocalVariable.Server + "/echo"{options}, extensions={{"trace": trace}})
version, status, reason, headers = dict(heard)["http11.receive_response_headers.complete"]["return_value"]
return [{{"names": [name for name, _ in heard], "method": heard[0][1]["request"].method,
         "head": [version.decode(), status, reason.decode()], "headers": len(headers) == len(response.headers.raw),
         "text": len(response.text) > 0}}]
"""
    (row,) = rows(executor, statement, server)
    assert row["names"] == SENT
    assert (row["method"], row["headers"], row["text"]) == ("POST", True, True)
    assert row["head"] == ["HTTP/1.1", 200, "OK"]


def test_trace_hears_of_an_asynchronous_request(executor: Executor, server: WebServer) -> None:
    statement = """
heard = []
async def trace(name, info):
    await sleep(0)
    heard.append(name)
async def body():
    for _ in range(3):
        yield b"x" * 40_000
async with httpx.AsyncClient() as client:
    request = client.build_request("POST", LocalVariable.Server + "/echo", content=body(), extensions={"trace": trace})
    response = await client.send(request)
    async with client.stream("GET", LocalVariable.Server + "/chunks?count=3&size=2&pause=0.01",
                             extensions={"trace": trace}) as response:
        async for _ in response.aiter_raw():
            break
return [{"names": heard}]
"""
    (row,) = rows(executor, statement, server)
    # The body that was left in the middle says so when the loop gets to it.
    heard = [name for name in row["names"] if name != "http11.receive_response_body.failed"]
    assert heard == [*SENT, *SENT[:7], *SENT[8:]]


def test_trace_hears_of_a_failure_in_the_words_of_httpx(executor: Executor, server: WebServer) -> None:
    statement = """
heard = []
try:
    trace = lambda name, info: heard.append((name, info))
    httpx.Client().get("http://not.granted.example", extensions={"trace": trace})
except httpx.ConnectError as error:
    name, info = heard[-1]
    return [{"name": name, "kind": type(info["exception"]).__name__, "same": str(info["exception"]) == str(error)}]
"""
    assert rows(executor, statement, server) == [
        {"name": "http11.receive_response_headers.failed", "kind": "ConnectError", "same": True}
    ]


def test_a_trace_of_the_wrong_kind_is_a_type_error(executor: Executor, server: WebServer) -> None:
    statement = """
async def trace(name, info): pass
try:
    httpx.Client().get(LocalVariable.Server + "/hello", extensions={"trace": trace})
except TypeError as error:
    first = str(error)
async with httpx.AsyncClient() as client:
    try:
        await client.get(LocalVariable.Server + "/hello", extensions={"trace": lambda name, info: None})
    except TypeError as error:
        return [{"sync": "normal function" in first, "async": "asynchronous function" in str(error)}]
"""
    assert rows(executor, statement, server) == [{"sync": True, "async": True}]


@pytest.mark.parametrize(
    "use", ["get_extra_info('ssl_object')", "read(10)", "write(b'')", "start_tls(None)", "close()"]
)
def test_the_network_stream_says_that_it_is_none(executor: Executor, server: WebServer, use: str) -> None:
    statement = f"""
response = httpx.get(LocalVariable.Server + "/hello")
stream = response.extensions["network_stream"]
log.info(stream)
stream.{use}
"""
    result = run(executor, statement, server.authority)
    assert result.status is Status.STATEMENT_RAISED
    assert [record.message for record in result.logs] == [
        "<network_stream: not available, the host has the connection>"
    ]
    name = use.partition("(")[0]
    assert f"NotImplementedError: httpx: network_stream.{name} is not available here" in str(result.error)
