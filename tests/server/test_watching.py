"""What an operator watches: metrics on a port of their own, the access log, and probes that tell the truth."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.server.live_server import LiveServer, wait_until

SETTINGS = """
metrics = "127.0.0.1:0"
metrics_tenants = 1
access_log = "access.log"
max_connections = 40
max_connections_per_address = 30
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("watching"), settings=SETTINGS) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def metrics(server: LiveServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels, as Prometheus would read it."""
    line = next(line for line in server.lines if "metrics at" in line)
    answer = httpx.get(line.split("metrics at ")[1].strip())
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(server: LiveServer, name: str, **labels: str) -> float:
    return metrics(server).get((f"wasmexec_{name}", tuple(sorted(labels.items()))), 0.0)


def lines(server: LiveServer) -> list[dict[str, Any]]:
    """The access log, each line by itself."""
    file = server.folder / "access.log"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def logged(server: LiveServer, request: str) -> dict[str, Any]:
    """The line of a request."""
    wait_until(lambda: any(line["request"] == request for line in lines(server)))
    return next(line for line in lines(server) if line["request"] == request)


def test_runs_their_waits_and_their_processor_time_are_counted(server: LiveServer) -> None:
    tenant = server.tenant("counted")
    before = metrics(server)
    spent = [tenant.run("n = sum(range(200_000))\nreturn []").json()["usage"]["cpu_seconds"] for _ in range(3)]
    assert tenant.run("1 / 0").json()["status"] == 300
    after = metrics(server)

    def grown(name: str, **labels: str) -> float:
        key = (f"wasmexec_{name}", tuple(sorted(labels.items())))
        return after.get(key, 0.0) - before.get(key, 0.0)

    assert grown("runs_total", status="201") == 3
    assert grown("runs_total", status="300") == 1
    assert grown("queue_wait_seconds_count") == 4
    assert grown("run_seconds_count") == 4
    assert sum(spent) <= grown("cpu_seconds_total") < sum(spent) + 1
    assert grown("http_requests_total", method="POST", route="/v1/runs", status="2xx") == 4
    assert grown("http_request_seconds_count", route="/v1/runs") == 4
    assert after["wasmexec_ready", ()] == 1
    wait_until(lambda: value(server, "workers", state="ready") == 2)
    assert value(server, "worker_memory_bytes") > 10_000_000
    wait_until(lambda: value(server, "loop_lag_seconds_count") > 0)
    assert grown("store_writes_total") >= 1


def test_what_is_live_is_looked_up_and_refusals_are_counted_by_their_rule(server: LiveServer) -> None:
    tenant = server.tenant("live", max_executing=1, max_queued=1)
    computing = tenant.start("while True: pass")
    tenant.until(computing, state="running")
    waiting = tenant.start("return []")
    assert value(server, "runs_live", state="executing") == 1
    assert value(server, "runs_live", state="queued") == 1
    before = value(server, "refusals_total", rule="count.queued")
    assert tenant.run("return []").status_code == 429
    assert value(server, "refusals_total", rule="count.queued") == before + 1
    for run_id in (waiting, computing):
        tenant.cancel(run_id)
    assert value(server, "runs_live", state="executing") == 0


def test_tenants_beyond_the_bound_have_no_label_of_their_own(server: LiveServer) -> None:
    tenants = [server.tenant(f"label-{number}") for number in range(4)]
    for _ in range(2):
        before = value(server, "tenant_runs_total", tenant="_other")
        for tenant in tenants:
            assert tenant.run("return []").status_code == 200
        found = metrics(server)
        named = {dict(labels)["tenant"] for (name, labels) in found if name == "wasmexec_tenant_runs_total"}
        # One by name, at most, and all others.
        assert named - {"_other"} <= {"counted", "live", *(f"label-{number}" for number in range(4))}
        assert len(named) <= 2
        assert value(server, "tenant_runs_total", tenant="_other") >= before + 3


def test_the_metrics_are_on_their_own_port_only(server: LiveServer) -> None:
    assert server.client.get("/metrics").status_code == 404


def test_a_request_is_one_line_of_the_access_log_that_says_who_what_and_how_long(server: LiveServer) -> None:
    tenant = server.tenant("logged")
    body = {"statement": "return [{'a': 1}]"}
    answer = server.ask("POST", "/v1/runs", tenant.key, body, x_request_id="mine-1")
    assert answer.headers["x-request-id"] == "mine-1"
    line = logged(server, "mine-1")
    assert line.pop("time").endswith("+00:00")
    assert 0 < line.pop("ms") < 60_000
    assert line == {
        "request": "mine-1", "client": "127.0.0.1", "method": "POST", "route": "/v1/runs", "status": 200,
        "bytes_in": len(answer.request.content), "bytes_out": len(answer.content), "tenant": "logged",
        "key": tenant.key.split("_")[1], "run": answer.json()["id"],
    }  # fmt: skip
    refused = server.ask("POST", "/v1/runs", tenant.key, {"statement": "return []", "limits": {"wall_seconds": 10**9}})
    line = logged(server, refused.headers["x-request-id"])
    assert (line["status"], line["tenant"]) == (400, "logged")
    assert line["rule"] == refused.json()["rule"]


@pytest.mark.parametrize("name", ["a\tb", "x" * 65, "", "a b", "é"])
def test_a_request_id_that_is_none_is_replaced(server: LiveServer, name: str) -> None:
    answer = httpx.get(f"{server.url}/livez", headers=[(b"X-Request-Id", name.encode())])
    given = answer.headers["x-request-id"]
    assert given != name
    assert given.isalnum()
    assert logged(server, given)["route"] == "/livez"


def test_neither_hostile_texts_nor_secrets_are_in_the_access_log(server: LiveServer) -> None:
    before = len(lines(server))
    marker = "hunter2marker"
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            f"GET /v1/%0a%E2%80%A8{marker}?token={marker} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {marker}\r\n"
            f"X-Request-Id: a%0a{marker}\r\n\r\n".encode()
        )
        assert b"404" in raw.recv(4096).split(b"\r\n")[0]
    wait_until(lambda: len(lines(server)) > before)
    found = lines(server)[-1]
    # The control: it is the line of that request.
    assert (found["status"], found["route"], found["rule"]) == (404, None, "not-found")
    assert marker not in (server.folder / "access.log").read_text("utf-8")


def test_a_log_that_is_moved_away_is_opened_anew(server: LiveServer) -> None:
    old = server.folder / "access.log"
    moved = old.rename(server.folder / "access.log.1")
    answer = server.client.get("/livez")
    assert logged(server, answer.headers["x-request-id"])["status"] == 200
    assert answer.headers["x-request-id"] not in moved.read_text("utf-8")
    assert oct(old.stat().st_mode & 0o777) == "0o640"


def test_connections_beyond_the_bounds_are_answered_with_the_rule_and_closed(server: LiveServer) -> None:
    def first(source: str) -> tuple[socket.socket, str]:
        raw = socket.create_connection(("127.0.0.1", server.port), source_address=(source, 0), timeout=10)
        raw.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        return raw, raw.recv(4096).decode()

    with ExitStack() as stack:
        said = []
        for source in ["127.0.0.2"] * 31 + ["127.0.0.3"] * 12:
            raw, text = first(source)
            stack.enter_context(raw)
            said.append(text)
        assert said[0].startswith("HTTP/1.1 200")
        assert said[30].startswith("HTTP/1.1 429")
        assert '"rule":"server.max_connections_per_address"' in said[30]
        assert said[-1].startswith("HTTP/1.1 503")
        assert '"rule":"server.max_connections"' in said[-1]
        assert sum(text.startswith("HTTP/1.1 200") for text in said) <= 40

    def is_free() -> bool:
        with first("127.0.0.2")[0] as raw:
            return raw.fileno() > 0 and value(server, "http_connections") < 10

    wait_until(is_free)
    assert server.client.get("/livez").status_code == 200
    assert value(server, "refusals_total", rule="server.max_connections") >= 1


@pytest.mark.timing
def test_a_server_whose_workers_are_all_stopped_is_not_ready(server: LiveServer) -> None:
    stopped = [psutil.Process(worker.pid) for worker in server.workers]
    assert server.client.get("/readyz").json()["ready"] is True
    for worker in stopped:
        worker.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        wait_until(lambda: server.client.get("/readyz").status_code == 503, 10)
        took = time.monotonic() - began
    finally:
        for worker in stopped:
            worker.send_signal(signal.SIGCONT)
    # It lives all the same.
    assert server.client.get("/livez").status_code == 200
    wait_until(lambda: server.client.get("/readyz").status_code == 200)
    assert took < 6.5
