"""Traces: what a receiver of OTLP gets of requests, runs and the HTTP requests of statements."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.server.live_server import LiveServer, wait_until
from tests.server.trace_receiver import Seen, TraceReceiver
from tests.servers import WebServer

SERVER_KIND, CLIENT_KIND = 2, 3
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def receiver() -> Iterator[TraceReceiver]:
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: TraceReceiver) -> Iterator[LiveServer]:
    settings = f'traces = "{receiver.url}"'
    with LiveServer(tmp_path_factory.mktemp("tracing"), settings=settings) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "Traceback" not in "".join(server.lines)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as web:
        yield web


def of_run(receiver: TraceReceiver, run_id: str) -> list[Seen]:
    """The spans of the trace of a run, once all of them are there."""

    def trace() -> str | None:
        spans = receiver.spans
        run = next((span for span in spans if span.name == "run" and span.attributes["wasmexec.run"] == run_id), None)
        return None if run is None or all(span.id != run.parent for span in spans) else run.trace

    wait_until(trace)
    return [span for span in receiver.spans if span.trace == trace()]


def test_a_trace_goes_from_the_client_to_the_requests_of_the_statement(
    server: LiveServer, receiver: TraceReceiver, web: WebServer
) -> None:
    tenant = server.tenant("traced", grants={"http_private": [f"GET 127.0.0.1:{web.port}"]})
    secret = "hunter2marker"
    get = (
        f"import httpx\nlog.info('{secret}')\nclient = httpx.AsyncClient()\nawait sleep(0.05)\n"
        f"await client.get('{web.url()}?token={secret}')\nreturn []"
    )
    body = {"statement": get, "grants": {"http_private": [f"GET 127.0.0.1:{web.port}"]}}
    answer = server.ask("POST", "/v1/runs", tenant.key, body, traceparent=f"00-{TRACE}-{PARENT}-01")
    assert answer.json()["usage"]["http_requests"] == 1, answer.text
    spans = {span.name: span for span in of_run(receiver, answer.json()["id"])}
    assert spans.keys() == {"POST /v1/runs", "run", "queued", "execute", "GET"}
    request, run, call = spans["POST /v1/runs"], spans["run"], spans["GET"]
    assert (request.trace, request.parent, request.kind) == (TRACE, PARENT, SERVER_KIND)
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["wasmexec.tenant"] == "traced"
    assert run.parent == request.id
    assert run.attributes["wasmexec.status"] == 201
    assert {spans[name].parent for name in ("queued", "execute", "GET")} == {run.id}
    assert (call.kind, call.is_error) == (CLIENT_KIND, False)
    assert call.attributes == {
        "http.request.method": "GET", "server.address": "127.0.0.1", "server.port": web.port,
        "http.response.status_code": 200,
    }  # fmt: skip
    assert spans["execute"].began - 0.001 <= call.began
    assert 0 < call.seconds <= spans["execute"].seconds
    assert spans["execute"].seconds >= 0.05
    # Off unless the operator says otherwise: who is asked could tell whose trace it is.
    assert "traceparent" not in web.headers_seen[-1]
    assert all(secret.encode() not in body for body in receiver.bodies)


def test_the_requests_of_a_statement_carry_the_trace_if_the_tenant_has_that_rule(
    server: LiveServer, receiver: TraceReceiver, web: WebServer
) -> None:
    tenant = server.tenant("carries", trace_requests=True, grants={"http_private": [f"GET 127.0.0.1:{web.port}"]})
    get = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}', headers={{'traceparent': 'mine'}})\nreturn []"
    run_id = tenant.start(get, grants={"http_private": [f"GET 127.0.0.1:{web.port}"]})
    tenant.until(run_id, state="ended")
    spans = {span.name: span for span in of_run(receiver, run_id)}
    sent = web.headers_seen[-1]
    given = sent["traceparent"].rpartition("-")
    assert given[0] == f"00-{spans['run'].trace}-{spans['run'].id}"
    # It is recorded.
    assert int(given[2], 16) & 1


def test_a_request_that_fails_says_why_and_one_that_is_refused_is_not_there(
    server: LiveServer, receiver: TraceReceiver
) -> None:
    tenant = server.tenant("fails", grants={"http_private": ["GET 127.0.0.1:1"]})
    get = (
        "import httpx\nfor url in ('http://127.0.0.1:1', 'http://example.com'):\n    try:\n"
        "        await httpx.AsyncClient().get(url)\n    except httpx.HTTPError:\n        pass\nreturn []"
    )
    answer = tenant.run(get, grants={"http_private": ["GET 127.0.0.1:1"]}).json()
    assert answer["status"] == 201, json.dumps(answer)
    calls = [span for span in of_run(receiver, answer["id"]) if span.kind == CLIENT_KIND]
    assert [(call.attributes["server.port"], call.attributes["error.type"], call.is_error) for call in calls] == [
        (1, "connect", True)
    ]


def test_a_parent_that_makes_no_sense_is_no_reason_to_refuse_a_request(
    server: LiveServer, receiver: TraceReceiver
) -> None:
    tenant = server.tenant("parents")
    body, ids = {"statement": "return []"}, []
    for given in ("", "00-0-0-01", "x" * 5000, f"00-{'0' * 32}-{PARENT}-01"):
        answer = server.ask("POST", "/v1/runs", tenant.key, body, traceparent=given)
        assert answer.status_code == 200
        ids.append(answer.json()["id"])
    for run_id in ids:
        spans = {span.name: span for span in of_run(receiver, run_id)}
        assert spans["POST /v1/runs"].parent == ""


def test_a_client_that_wants_no_trace_has_none(server: LiveServer, receiver: TraceReceiver) -> None:
    tenant = server.tenant("untraced")
    body = {"statement": "return []"}
    unwanted = server.ask("POST", "/v1/runs", tenant.key, body, traceparent=f"00-{'a' * 32}-{PARENT}-00")
    assert unwanted.status_code == 200
    of_run(receiver, tenant.run("return []").json()["id"])
    assert all(span.trace != "a" * 32 for span in receiver.spans)
