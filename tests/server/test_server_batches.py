"""Batches, recordings and replays over HTTP."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import psutil
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

SLEEPS = "await sleep(30)\nreturn []"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    settings = 'body_seconds = 1.0\nmax_body_bytes = "1 MiB"'
    with LiveServer(tmp_path_factory.mktemp("server"), settings=settings) as server:
        yield server.until_ready()
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def line(statement: str, **request: Any) -> bytes:
    return json.dumps({"statement": statement, **request}).encode() + b"\n"


def batch(tenant: Tenant, lines: Iterator[bytes] | list[bytes]) -> list[dict[str, Any]]:
    """The answers to a batch, in the order in which they came."""
    headers = {"Authorization": f"Bearer {tenant.key}"}
    answer = tenant.server.client.post("/v1/runs:batch", content=iter(lines), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(text) for text in answer.text.split("\n")[:-1]]


def test_each_line_of_a_batch_has_its_answer_as_soon_as_it_has_ended(server: LiveServer) -> None:
    tenant = server.tenant("batch")
    slow = line("await sleep(0.3)\nreturn INPUT_DATA", id="slow", input_data=[{"n": -1}])
    quick = [line("return INPUT_DATA", id=f"q{n}", input_data=[{"n": n}]) for n in range(200)]
    answers = batch(tenant, [slow, *quick])
    assert {answer["id"]: answer["run"]["rows"] for answer in answers} == {
        "slow": [{"n": -1}], **{f"q{n}": [{"n": n}] for n in range(200)},
    }  # fmt: skip
    assert [answer["index"] for answer in answers if answer["id"] == "q7"] == [8]
    # It was the first line.
    assert answers[0]["id"] != "slow"
    wait_until(lambda: tenant.usage["runs"] == 201)


def test_a_line_that_is_refused_is_answered_and_the_others_run(server: LiveServer) -> None:
    tenant = server.tenant("refused")
    answers = batch(tenant, [
        line("return [{'a': 1}]"), b"\n", b"{\n", b'{"statement": 1, "id": "x"}\n',
        line("return []", input_data="x" * 2_000_000), line("return []", limits={"wall_seconds": 100}),
        line("return []", record=True), line("1 / 0"), line("return []", id="last").strip(),
    ])  # fmt: skip
    told = {
        answer["index"]: answer["run"]["status"] if answer.get("run") else answer["problem"]["rule"]
        for answer in answers
    }
    assert told == {
        0: 200, 1: "body", 2: "body", 3: "body.bytes", 4: "limit.wall_seconds", 5: "record", 6: 300, 7: 201,
    }  # fmt: skip
    assert [answer["id"] for answer in answers if answer["index"] == 7] == ["last"]
    limited = server.tenant("limited", requests_per_second=1, requests_burst=3)
    statuses = [answer.get("problem", {}).get("rule") for answer in batch(limited, [line("return []")] * 5)]
    # The batch itself is one request, and each of its lines another.
    assert sorted(map(str, statuses)) == ["None"] * 2 + ["rate.requests"] * 3
    # Its own runs are no reason to refuse the others of a batch.
    narrow = server.tenant("narrow", max_executing=1, max_queued=2)
    assert {answer["run"]["status"] for answer in batch(narrow, [line("return []")] * 12)} == {201}


def connect(tenant: Tenant, *headers: str) -> socket.socket:
    """A connection on which the head of a batch was sent."""
    connection = socket.create_connection(("127.0.0.1", tenant.server.port), timeout=20)
    lines = ["POST /v1/runs:batch HTTP/1.1", "Host: x", f"Authorization: Bearer {tenant.key}", *headers]
    connection.sendall("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode())
    return connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_answers_come_while_the_batch_is_still_sent(server: LiveServer) -> None:
    tenant = server.tenant("duplex")
    with connect(tenant) as connection:
        content = b""
        for number in range(3):
            connection.sendall(chunk(line("return INPUT_DATA", id=f"n{number}", input_data=[{"n": number}])))
            while f'"id":"n{number}"'.encode() not in content:
                content += connection.recv(65_536)
        # A client that sends nothing more is let go, and told why.
        while data := connection.recv(65_536):
            content += data
        assert b'"rule":"body.seconds"' in content
    wait_until(lambda: tenant.is_idle)


def test_a_client_that_hangs_up_cancels_the_rest_of_its_batch(server: LiveServer) -> None:
    tenant = server.tenant("hangs-up")
    with connect(tenant) as connection:
        connection.sendall(chunk(line(SLEEPS) * 10))
        wait_until(lambda: tenant.counts["asleep"] == 10)
    wait_until(lambda: tenant.is_idle)
    wait_until(lambda: tenant.usage["failed"] == 10)
    with connect(tenant) as connection:
        connection.sendall(chunk(line(SLEEPS) * 10) + b"0\r\n\r\n")
        wait_until(lambda: tenant.counts["asleep"] == 10)
    wait_until(lambda: tenant.is_idle)


def test_of_a_long_batch_only_a_part_is_there_at_once(server: LiveServer) -> None:
    tenant = server.tenant("long")
    front = psutil.Process(server.process.pid)
    before = front.memory_info().rss
    most = 0

    def lines() -> Iterator[bytes]:
        nonlocal most
        for _ in range(80):
            yield line("return []", input_data="x" * 1_000_000)
            most = max(most, front.memory_info().rss)

    assert {answer["run"]["status"] for answer in batch(tenant, lines())} == {201}
    assert most - before < 70e6
    with connect(tenant) as connection:
        connection.settimeout(1.0)
        with suppress(TimeoutError):
            while True:
                connection.sendall(chunk(line(SLEEPS) * 100))
        counts = tenant.counts
        assert counts["asleep"] + counts["queued"] + counts["executing"] == 64
        # Nothing is read any more, and it is noticed all the same.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: tenant.is_idle)


def record(tenant: Tenant, statement: str, **request: Any) -> str:
    """A run that was recorded and has ended."""
    run_id = tenant.start(statement, record=True, **request)
    tenant.until(run_id, state="ended")
    return run_id


def replay(tenant: Tenant, run_id: str, prefer: str = "", **request: Any) -> httpx.Response:
    return tenant.server.ask("POST", f"/v1/runs/{run_id}:replay", tenant.key, request, prefer=prefer)


def test_a_recorded_run_is_repeated_without_network_and_shows_what_an_edit_changes(server: LiveServer) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        tenant = server.tenant("records", grants=grants)
        statement = (
            f"import httpx, random\nanswer = await httpx.AsyncClient().get('{web.url('/echo')}', "
            "headers={'X-Key': LocalVariable.key})\nlog.info(str(answer.status_code))\n"
            "return [{'r': random.random(), 'n': INPUT_DATA[0]['n']}]"
        )
        run_id = record(tenant, statement, input_data=[{"n": 5}], grants=grants, secrets={"key": "hunter22"})
        rows = tenant.get(f"/v1/runs/{run_id}/rows").json()
        recording = tenant.get(f"/v1/runs/{run_id}/recording")
        assert (recording.status_code, recording.json()["format"]) == (200, 1)
        assert len(recording.json()["exchanges"]) == 1
        assert "hunter22" not in recording.text
        missing = replay(tenant, run_id)
        assert (missing.status_code, missing.json()["rule"], missing.json()["value"]) == (
            400,
            "replay.secrets",
            ["key"],
        )
        again = replay(tenant, run_id, secrets={"key": "hunter22"}).json()
        assert (again["status"], again["rows"], again["id"] != run_id) == (200, rows, True)
        assert again["replay"]["is_identical"] is True
        edited = replay(
            tenant, run_id, "wait=30", secrets={"key": "hunter22"}, statement=statement.replace("'n':", "'m':")
        ).json()
        assert edited["rows"] == [{"r": rows[0]["r"], "m": 5}]
        assert [edited["replay"][name] for name in ("is_identical", "row_difference_count")] == [False, 1]
        wait_until(lambda: tenant.usage["runs"] == 3)
        assert tenant.look(edited["id"])["replay"] == edited["replay"]
        assert len(web.requests) == 1


def test_what_cannot_be_recorded_or_replayed_is_told(server: LiveServer) -> None:
    tenant, other = server.tenant("unrecorded"), server.tenant("stranger")
    refused = tenant.run("return []", record=True)
    assert (refused.status_code, refused.json()["rule"]) == (400, "record")
    plain = tenant.start("return []")
    tenant.until(plain, state="ended")
    assert tenant.get(f"/v1/runs/{plain}/recording").json()["rule"] == "run.recorded"
    assert replay(tenant, plain).status_code == 410
    live = tenant.start(SLEEPS, record=True)
    assert replay(tenant, live).json()["rule"] == "run.ended"
    assert replay(other, live).content == replay(other, f"run_{'x' * 24}").content
    tenant.cancel(live)
    # As much as fits, and a little more.
    kept = record(tenant, "return INPUT_DATA", input_data=[{"a": "x" * 500_000}])
    assert replay(tenant, kept).json()["replay"]["is_identical"] is True
    assert replay(tenant, kept, limits={"wall_seconds": 100}).json()["rule"] == "limit.wall_seconds"
    long = record(tenant, "return [{'a': 'x' * 5_000_000}]")
    assert "the recording is incomplete" in tenant.look(long)["warnings"][0]
    assert tenant.get(f"/v1/runs/{long}/recording").status_code == 410
    assert tenant.look(long)["status"] == 200
