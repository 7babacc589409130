"""Large inputs and many rows: what they are to a tenant, and that the front has none of them in its own memory."""

from __future__ import annotations

import json
import os
import socket
import time
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.server.resident import Resident

from wasmexec.server.documents import RunRequest
from wasmexec.server.http.request import decode_body
from wasmexec.server.problems import ProblemError

MB = 1_000_000
LIMITS = {
    "memory_bytes": 2**31, "input_bytes": 120 * MB, "output_bytes": 120 * MB, "wall_seconds": 60, "cpu_seconds": 60,
}  # fmt: skip
ROWS = [{"n": number, "text": "é]}" * 100} for number in range(2000)]
"""Some 800 kB."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    limits = "\n".join(f"{name} = {value}" for name, value in LIMITS.items())
    settings = f"max_body_bytes = {110 * MB}\nmax_queued_bytes = {160 * MB}\nbody_seconds = 20.0\n[limits]\n{limits}"
    with LiveServer(tmp_path_factory.mktemp("server"), settings=settings) as server:
        server.until_ready()
        yield server
        wait_until(lambda: files(server) == 0)
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def files(server: LiveServer) -> int:
    """How many texts the front has in files."""
    found = 0
    for entry in os.scandir(f"/proc/{server.process.pid}/fd"):
        with suppress(OSError):
            found += "wasmexec-text" in os.readlink(entry.path)
    return found


def reader(server: LiveServer) -> psutil.Process:
    """The process that reads long bodies."""
    (found,) = [
        child for child in psutil.Process(server.process.pid).children() if "server.reading.child" in child.cmdline()
    ]
    return found


def wall(process: psutil.Process) -> list[str]:
    """What the system tells of what a process may not do."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("Seccomp:", "NoNewPrivs:", "CapEff:"))]


def post(server: LiveServer, tenant: Tenant, body: Any, **headers: str) -> httpx.Response:
    named = {"Authorization": f"Bearer {tenant.key}"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return server.client.post("/v1/runs", content=body, headers=named)


def hundred_megabytes(**more: Any) -> bytes:
    """A request with as much of input, of which half goes back."""
    rows = b",".join(b'{"n":%d,"text":"%b"}' % (number, b"x" * 970) for number in range(100_000))
    head = json.dumps({"statement": "return INPUT_DATA[::2]", "limits": LIMITS, **more}).encode()
    return b'%b,"input_data":[%b]}' % (head[:-1], rows)


def test_a_hundred_megabytes_and_half_as_many_back_are_not_in_the_front(server: LiveServer) -> None:
    tenant = server.tenant("hundred")
    body = hundred_megabytes()
    with Resident(server.process.pid) as resident:
        answer = post(server, tenant, body)
    assert answer.status_code == 200, answer.text[:500]
    found = answer.json()
    assert (found["status"], found["row_count"]) == (200, 50_000)
    assert found["rows"] == json.loads(body)["input_data"][::2]
    assert resident.grown < 20 * MB
    # What measures sees a front that has it: the store keeps the answer to a request with a key as a whole.
    with Resident(server.process.pid) as control:
        answer = post(server, tenant, body, idempotency_key="control")
    assert answer.json()["rows"] == found["rows"]
    assert control.grown > 80 * MB


def test_wherever_the_input_stands_it_is_the_one_that_json_has(server: LiveServer) -> None:
    tenant = server.tenant("shapes")
    rows = json.dumps(ROWS, ensure_ascii=False)
    key = "getattr(LocalVariable, 'key', None)"
    statement = json.dumps(f"return [{{'data': INPUT_DATA, 'second': INPUT_DATA2, 'key': {key}}}]")
    names = json.dumps([{"extra_inputs": [number, '],"limits":{}'], "limits": {}} for number in range(20_000)])
    long_list = json.dumps(["second"] * 60_000)
    bodies = [
        f'{{"statement":{statement},"input_data":{rows}}}',
        f'{{"input_data":{rows},"statement":{statement}}}',
        f' {{ "statement" : {statement} , "input_data" : {rows} \n, "local_variables": {{"key": "a"}} }}\n ',
        f'{{"local_variables":{{"key":"\\"input_data\\":["}},"input_data":{rows},"statement":{statement}}}',
        f'{{"input_data":[1],"statement":{statement},"input_data":{rows}}}',
        f'{{"input_data":{rows},"statement":{statement},"input_data":[1]}}',
        f'{{"statement":{statement},"input_data":{names},"local_variables":{{"key":1}}}}',
        f'{{"statement":{statement},"input_data":[1],"extra_inputs":[{long_list}]}}',
        f'{{"statement":{statement},"input_data":[1]{" " * 300_000},"local_variables":{{"key":2}}}}',
        f'{{"statement":{statement},"input_data":{{"a":{rows}}}}}',
    ]
    for body in bodies:
        wanted = json.loads(body)
        for content in (body.encode(), iter([body[:1000].encode(), body[1000:].encode()])):
            answer = post(server, tenant, content).json()
            assert answer["status"] == 200, answer["error"]
            (row,) = answer["rows"]
            assert row["data"] == wanted["input_data"], body[:100]
            assert row["key"] == wanted.get("local_variables", {}).get("key")
            assert row["second"] == wanted.get("extra_inputs", [None])[0]


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        ('{"statement":"return []","input_data":ROWS,"unknown":1}', 400, "body"),
        ('{"statement":"return []","input_data":ROWS', 400, "body"),
        ('{"statement":1,"input_data":ROWS}', 400, "body"),
        ('{"statement":"return []","limits":{"input_bytes":500000},"input_data":ROWS}', 400, "limit.input_bytes"),
        ('{"statement":"return []","limits":{"cpu_seconds":1000},"input_data":ROWS}', 400, "limit.cpu_seconds"),
        ('{"statement":"return []","record":true,"input_data":ROWS}', 400, "record"),
    ],
)
def test_what_is_wrong_is_refused_as_if_it_were_short(server: LiveServer, body: str, status: int, rule: str) -> None:
    tenant = server.tenant("wrong")
    answer = post(server, tenant, body.replace("ROWS", json.dumps(ROWS)).encode())
    assert (answer.status_code, answer.json()["rule"]) == (status, rule), answer.text
    short = post(server, tenant, body.replace("ROWS", "[1]").encode())
    if rule != "limit.input_bytes":
        assert short.json()["rule"] == rule


@pytest.mark.parametrize(
    "wrong", ["[,ROWS]", "[ROWS]]", "[ROWS,]", "[ROWS] 1", "[ROWS, tru]", '{"a":[ROWS}'], ids="abcdef"
)
@pytest.mark.parametrize("statement", ["return INPUT_DATA", "return []"])
def test_a_long_input_that_is_no_json_is_refused_with_its_place(
    server: LiveServer, wrong: str, statement: str
) -> None:  # fmt: skip
    tenant = server.tenant("no-json")
    value = wrong.replace("ROWS", json.dumps(ROWS)[1:-1])
    body = f'{{"statement":"{statement}","input_data":{value}}}'.encode()
    with pytest.raises(ProblemError) as problem:
        decode_body(body, msgspec.json.Decoder(RunRequest))
    answer = post(server, tenant, body)
    assert (answer.status_code, answer.json()["rule"]) == (400, "body")
    assert answer.json()["detail"] == str(problem.value)
    assert answer.headers["content-type"] == "application/problem+json"
    assert tenant.is_idle


def test_a_long_input_may_be_as_deep_as_a_short_one(server: LiveServer) -> None:
    tenant = server.tenant("deep")

    def is_taken(levels: int, padding: str) -> bool:
        value = f"{'[' * levels}{padding}{']' * levels}"
        answer = post(server, tenant, f'{{"statement":"return []","input_data":{value}}}'.encode())
        assert answer.status_code == 200 or answer.json()["rule"] == "body.depth"
        return answer.status_code == 200

    assert is_taken(500, "")
    assert not is_taken(100_000, "")
    most = bisect_left(range(500, 100_000), True, key=lambda levels: not is_taken(levels, "")) + 499
    for padding in ("", " " * 300_000):
        # It is one more or less with whether a body is there with its head, or has to be waited for.
        assert is_taken(most - 1, padding)
        assert not is_taken(most + 2, padding)
        assert not is_taken(200_000, padding)


def test_the_process_that_reads_long_bodies_is_replaced(server: LiveServer) -> None:
    tenant = server.tenant("reader")
    body = json.dumps({"statement": "return []", "input_data": ROWS}).encode()
    assert post(server, tenant, body).status_code == 200
    first = reader(server)
    assert wall(first) == wall(server.workers[0]) != wall(psutil.Process())
    first.suspend()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(post, server, tenant, body)
        wait_until(lambda: files(server) == 1)
        first.kill()
        answer = asked.result()
    assert (answer.status_code, answer.json()["rule"]) == (503, "server.reading")
    assert answer.headers["retry-after"] == "1"
    assert post(server, tenant, body).status_code == 200
    assert reader(server) != first
    assert tenant.is_idle


def test_input_bytes_are_counted_to_the_byte(server: LiveServer) -> None:
    tenant = server.tenant("counted")
    rows = json.dumps(ROWS)
    for most, status in ((len(rows), 200), (len(rows) - 1, 400)):
        body = f'{{"statement":"return []","input_data":  {rows}\n ,"limits":{{"input_bytes":{most}}}}}'
        assert post(server, tenant, body.encode()).status_code == status


def test_long_rows_of_a_run_that_is_kept_are_kept(server: LiveServer) -> None:
    tenant = server.tenant("kept")
    run_id = tenant.start("return INPUT_DATA", input_data=ROWS)
    tenant.until(run_id, state="ended", status=200)
    assert tenant.get(f"/v1/runs/{run_id}/rows").json() == ROWS
    wait_until(lambda: files(server) == 0)
    assert tenant.get(f"/v1/runs/{run_id}/rows").json() == ROWS
    waited = server.ask(
        "POST", "/v1/runs", tenant.key, {"statement": "return INPUT_DATA", "input_data": ROWS}, prefer="wait=20"
    )
    assert waited.json()["rows"] == ROWS


def test_a_head_request_has_the_length_of_long_rows(server: LiveServer) -> None:
    tenant = server.tenant("head")
    run_id = tenant.start("return INPUT_DATA", input_data=ROWS)
    tenant.until(run_id, state="ended")
    whole = tenant.get(f"/v1/runs/{run_id}/rows")
    head = server.ask("HEAD", f"/v1/runs/{run_id}/rows", tenant.key)
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.content == b""


def test_a_run_whose_worker_dies_has_its_input_again(server: LiveServer) -> None:
    tenant = server.tenant("dies")
    body = json.dumps({"statement": "await sleep(0.5)\nreturn [{'n': len(INPUT_DATA)}]", "input_data": ROWS}).encode()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(post, server, tenant, body)
        wait_until(lambda: tenant.counts["asleep"] == 1)
        for worker in server.workers:
            worker.kill()
        found = asked.result().json()
    assert found["rows"] == [{"n": len(ROWS)}]
    # The other worker may have it for a moment before it dies, too.
    assert found["attempts"] in (2, 3)


def connected(server: LiveServer, tenant: Tenant, length: int) -> socket.socket:
    """A connection on which a request of such a length has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = (
        f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def test_a_client_that_hangs_up_leaves_nothing(server: LiveServer) -> None:
    tenant = server.tenant("hangs-up")
    wait_until(lambda: files(server) == 0)
    body = json.dumps({"statement": "await sleep(20)\nreturn []", "input_data": ROWS}).encode()
    with connected(server, tenant, len(body)) as connection:
        connection.sendall(body[:-10])
        wait_until(lambda: files(server) == 1)
    wait_until(lambda: files(server) == 0)
    assert tenant.is_idle
    with connected(server, tenant, len(body)) as connection:
        connection.sendall(body)
        wait_until(lambda: tenant.counts["asleep"] == 1)
        assert files(server) == 1
    wait_until(lambda: tenant.is_idle)
    wait_until(lambda: files(server) == 0)
    body = json.dumps({"statement": "return INPUT_DATA * 20", "input_data": ROWS, "limits": LIMITS}).encode()
    with connected(server, tenant, len(body)) as connection:
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        # It is not sent faster than it is taken.
        wait_until(lambda: files(server) == 1)
        time.sleep(0.2)
        assert files(server) == 1
    wait_until(lambda: files(server) == 0)


def test_bodies_under_way_count_as_what_waits(server: LiveServer) -> None:
    tenant = server.tenant("under-way")
    with connected(server, tenant, 100 * MB) as connection:
        connection.sendall(b" " * (90 * MB))
        wait_until(lambda: files(server) == 1)
        with connected(server, tenant, 100 * MB) as second:
            second.settimeout(20)
            with suppress(OSError):
                second.sendall(b" " * (100 * MB))
            answer = second.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 503"), answer
            assert b'"rule":"server.max_queued_bytes"' in answer
    wait_until(lambda: files(server) == 0)
    assert post(server, tenant, json.dumps({"statement": "return []", "input_data": ROWS}).encode()).status_code == 200


def test_a_body_that_is_too_long_is_refused_while_it_comes(server: LiveServer) -> None:
    tenant = server.tenant("too-long")
    with connected(server, tenant, 111 * MB) as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 413")

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * MB

    with suppress(httpx.HTTPError):
        assert post(server, tenant, endless()).status_code == 413
    wait_until(lambda: files(server) == 0)


def test_the_front_has_no_way_to_write_what_was_sealed(server: LiveServer) -> None:
    tenant = server.tenant("sealed")
    body = json.dumps({"statement": "await sleep(20)\nreturn []", "input_data": ROWS}).encode()
    with connected(server, tenant, len(body)) as connection:
        connection.sendall(body)
        wait_until(lambda: tenant.counts["asleep"] == 1)
        folder = Path(f"/proc/{server.process.pid}/fd")
        (path,) = [path for path in folder.iterdir() if "wasmexec-text" in os.readlink(path)]
        with path.open("r+b", buffering=0) as file:
            assert b"INPUT" not in file.read(10)
            with pytest.raises(PermissionError):
                file.write(b"x")
            with pytest.raises(PermissionError):
                file.truncate(10)
    wait_until(lambda: tenant.is_idle)
