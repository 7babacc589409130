"""The server as tenants and operators see it: a real process, real workers, SQLite, HTTP on loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

COMPUTES = "while True:\n    pass"
SLEEPS = "await sleep(30)\nreturn []"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    settings = 'body_seconds = 1.0\nhead_seconds = 1.0\nmax_body_bytes = "1 MiB"\n[limits]\nwall_seconds = 20'
    with LiveServer(tmp_path_factory.mktemp("server"), settings=settings) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def test_a_synchronous_run_has_everything_in_its_answer(server: LiveServer) -> None:
    tenant = server.tenant("sync")
    answer = tenant.run("log.warn('é')\nreturn INPUT_DATA", input_data=[{"big": 2**70, "text": "\u2028"}])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found = answer.json()
    assert (found["state"], found["status"], found["row_count"], found["log_count"]) == ("ended", 200, 1, 1)
    assert found["rows"] == [{"big": 2**70, "text": "\u2028"}]
    assert [record["message"] for record in found["logs"]] == ["é"]
    assert found["error"] is None
    assert found["limits"]["wall_seconds"] == 20
    wait_until(lambda: tenant.usage["runs"] == 1)
    assert tenant.look(found["id"])["usage"]["cpu_seconds"] == pytest.approx(found["usage"]["cpu_seconds"], abs=1e-6)
    rows = tenant.get(f"/v1/runs/{found['id']}/rows")
    assert (rows.status_code, rows.json()["rule"]) == (410, "run.kept")


def test_a_statement_that_fails_is_an_answer_not_an_error_of_http(server: LiveServer) -> None:
    tenant = server.tenant("fails")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    raised = tenant.run("1 / 0").json()
    assert (raised["status"], raised["error"]["type_name"], raised["error"]["line"]) == (300, "ZeroDivisionError", 1)
    assert tenant.run("return [{'a': 'x'}]", output_schema=schema).json()["status"] == 306
    assert tenant.run("return [").json()["status"] == 400
    slow = tenant.run("while True: pass", limits={"cpu_seconds": 0.1}).json()
    assert (slow["status"], slow["limits"]["cpu_seconds"]) == (302, 0.1)
    wait_until(lambda: tenant.usage["failed"] == 4)


def test_an_accepted_run_is_found_again_with_its_rows_and_its_log(server: LiveServer) -> None:
    tenant = server.tenant("async")
    run_id = tenant.start("log.info('here')\nreturn INPUT_DATA", input_data=[{"a": 1}, {"a": 2}])
    ended = tenant.until(run_id, state="ended")
    assert (ended["status"], ended["row_count"], ended["attempts"]) == (200, 2, 1)
    assert tenant.get(f"/v1/runs/{run_id}/rows").json() == [{"a": 1}, {"a": 2}]
    assert [record["message"] for record in tenant.get(f"/v1/runs/{run_id}/logs").json()] == ["here"]
    early = tenant.start(SLEEPS)
    rows = tenant.get(f"/v1/runs/{early}/rows")
    assert (rows.status_code, rows.json()["rule"]) == (409, "run.ended")
    tenant.cancel(early)


def test_schemas_checkpoints_variables_secrets_and_more_inputs_reach_the_statement(server: LiveServer) -> None:
    tenant = server.tenant("payloads")
    answer = tenant.run(
        "return [{'x': INPUT_DATA2[0]['b'], 'c': DATA_CHECKPOINT['n'], 'v': LocalVariable.v, "
        "'s': len(LocalVariable.s), 'none': INPUT_DATA3 is None}]",
        extra_inputs=[[{"b": 2}], None], checkpoint={"n": 2**65}, local_variables={"v": "w"},
        secrets={"s": "hunter22"},
    ).json()  # fmt: skip
    assert answer["rows"] == [{"x": 2, "c": 2**65, "v": "w", "s": 8, "none": True}]
    masked = tenant.run("log.info(LocalVariable.s)\nreturn []", secrets={"s": "hunter22"}).json()
    assert "hunter22" not in json.dumps(masked)


def test_a_request_can_only_tighten_what_its_tenant_may(server: LiveServer) -> None:
    with WebServer() as web:
        private = f"GET 127.0.0.1:{web.port}"
        tenant = server.tenant(
            "ceiling", limits={"wall_seconds": 5, "http_requests": 7}, grants={"http_private": [private]}
        )
        over = tenant.run("return []", limits={"wall_seconds": 6})
        assert (over.status_code, over.headers["content-type"]) == (400, "application/problem+json")
        problem = over.json()
        assert (problem["rule"], problem["value"], problem["asked"]) == ("limit.wall_seconds", 5, 6)
        assert problem["changed_by"] == "operator"
        effective = tenant.run("return []", limits={"wall_seconds": 4}).json()["limits"]
        assert (effective["wall_seconds"], effective["http_requests"]) == (4, 7)
        get = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nreturn []"
        refused = tenant.run("return []", grants={"http": ["example.com"]})
        assert (refused.status_code, refused.json()["rule"]) == (400, "grant.http")
        assert tenant.run(get).json()["status"] == 300
        assert tenant.run(get, grants={"http_private": [private]}).json()["usage"]["http_requests"] == 1
        assert len(web.requests) == 1
        widened = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": "x", "limits": {"wall_seconds": 21}})
        assert (widened.status_code, widened.json()["rule"]) == (400, "limit.wall_seconds")


@pytest.mark.parametrize("how", ["httpx.get(url)", "await httpx.AsyncClient().get(url)", "time.sleep(2)"])
def test_a_run_that_waits_holds_no_slot_however_it_waits(server: LiveServer, how: str) -> None:
    with WebServer() as web:
        grant = {"http_private": [f"GET 127.0.0.1:{web.port}"]}
        tenant = server.tenant("waits", grants=grant)
        statement = f"import httpx, time\nurl = {web.url('/slow?seconds=2')!r}\n{how}\nreturn []"
        run_id = tenant.start(statement, grants=grant)
        tenant.until(run_id, state="running", is_asleep=True)
        assert tenant.counts["executing"] == 0
        tenant.cancel(run_id)


def test_why_a_run_waits_is_told_and_queued_computing_and_sleeping_ones_are_cancelled(server: LiveServer) -> None:
    tenant = server.tenant("cancels", max_executing=1)
    asleep = tenant.start(SLEEPS)
    tenant.until(asleep, is_asleep=True)
    computing = tenant.start(COMPUTES)
    tenant.until(computing, state="running")
    queued = [tenant.start("return []") for _ in range(2)]
    waiting = [tenant.look(run_id)["waiting"] for run_id in queued]
    assert [item["rule"] for item in waiting] == ["count.executing"] * 2
    assert tenant.counts == {"queued": 2, "max_queued": 1000, "executing": 1, "max_executing": 1, "asleep": 1}
    for run_id in (queued[1], computing, asleep):
        assert tenant.cancel(run_id)["status"] == 303
    assert tenant.until(queued[0], state="ended")["status"] == 201
    wait_until(lambda: tenant.is_idle)
    # What has ended stays as it is.
    assert tenant.cancel(queued[0])["status"] == 201
    assert tenant.cancel(asleep)["status"] == 303
    wait_until(lambda: tenant.usage["runs"] == 4)


def test_too_many_queued_requests_and_processor_seconds_are_refused_with_their_rule(server: LiveServer) -> None:
    tenant = server.tenant("quotas", max_executing=1, max_queued=2)
    waiting = [tenant.start(COMPUTES)]
    tenant.until(waiting[0], state="running")
    waiting += [tenant.start("return []") for _ in range(2)]
    refused = tenant.run("return []")
    assert (refused.status_code, refused.json()["rule"]) == (429, "count.queued")
    assert (refused.json()["value"], refused.json()["used"]) == (2, 2)
    for run_id in waiting:
        tenant.cancel(run_id)
    limited = server.tenant("rates", requests_per_second=5, requests_burst=3)
    codes = [limited.run("return []") for _ in range(3)]
    assert [answer.status_code for answer in codes] == [200, 200, 200]
    while (answer := limited.run("return []")).status_code == 200:
        pass
    assert (answer.status_code, answer.json()["rule"]) == (429, "rate.requests")
    assert answer.headers["retry-after"] == "1"
    time.sleep(answer.json()["retry_after_seconds"])
    assert limited.run("return []").status_code == 200
    spent = server.tenant("spends", cpu_seconds_per_day=0.1)
    assert spent.run("n = 0\nfor i in range(3_000_000):\n    n += i\nreturn []").json()["status"] == 201
    over = spent.run("return []")
    assert (over.status_code, over.json()["rule"]) == (429, "budget.cpu_seconds.day")
    assert 0 < over.json()["retry_after_seconds"] <= int(over.headers["retry-after"])
    assert over.json()["used"] > 0.1
    nothing = server.tenant("nothing", cpu_seconds_per_day=0)
    assert nothing.run("return []").status_code == 429


def test_keys_are_needed_and_say_what_they_are_for(server: LiveServer) -> None:
    tenant = server.tenant("keys")
    anonymous = server.client.post("/v1/runs", json={"statement": "return []"})
    assert (anonymous.status_code, anonymous.headers["www-authenticate"]) == (401, "Bearer")
    wrong = server.ask("GET", "/v1/usage", tenant.key[:-1] + ("a" if tenant.key[-1] != "a" else "b"))
    assert (wrong.status_code, wrong.json()["rule"]) == (401, "key.checksum")
    assert tenant.key not in wrong.text
    assert server.ask("GET", "/v1/usage", server.admin).status_code == 403
    for path in ("/v1/admin/tenants", "/v1/admin/tenants/keys/keys"):
        assert server.ask("POST", path, tenant.key, {"name": "evil"}).json()["rule"] == "key.scope"
    path = "/v1/admin/tenants/keys/keys"
    reading = server.ask("POST", path, server.admin, {"scopes": ["read"]}).json()["key"]
    assert server.ask("POST", "/v1/runs", reading, {"statement": "return []"}).status_code == 403
    assert server.ask("GET", "/v1/usage", reading).status_code == 200
    brief = server.ask("POST", path, server.admin, {"lifetime_seconds": 0.05}).json()["key"]
    time.sleep(0.1)
    assert server.ask("GET", "/v1/usage", brief).json()["rule"] == "key.expired"
    assert server.ask("POST", path, server.admin, {"scopes": ["admin"]}).status_code == 400


def test_what_another_tenant_has_looks_as_if_it_did_not_exist(server: LiveServer) -> None:
    owner, other = server.tenant("owner"), server.tenant("other")
    ended, live = owner.start("return [{'a': 1}]"), owner.start(SLEEPS)
    owner.until(ended, state="ended")
    for run_id in (ended, live):
        for method, path in (("GET", ""), ("GET", "/rows"), ("GET", "/logs"), ("POST", ":cancel")):
            theirs = server.ask(method, f"/v1/runs/{run_id}{path}", other.key)
            nobodys = server.ask(method, f"/v1/runs/run_{'x' * 24}{path}", other.key)
            assert (theirs.status_code, theirs.content) == (404, nobodys.content)
            assert nobodys.status_code == 404
    assert owner.look(live)["state"] == "running"
    assert other.get("/v1/usage").json()["total"]["runs"] == 0
    owner.cancel(live)


def test_requests_that_make_no_sense_are_refused_within_bounds(server: LiveServer) -> None:
    tenant = server.tenant("hostile")

    def post(content: bytes, **headers: str) -> httpx.Response:
        named = {"Authorization": f"Bearer {tenant.key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return server.client.post("/v1/runs", content=content, headers=named)

    assert post(b'{"statement":"return []"}').status_code == 200
    rules = {
        b"{": "body", b"[]": "body", b'{"statement":1}': "body", b'{"statement":"","more":1}': "body", b"\xff": "body",
        b'{"statement":"return []","input_data":' + b"[" * 200_000 + b"]" * 200_000 + b"}": "body.depth",
        b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}": "body",
        b'{"statement":"","limits":{"nothing":1}}': "request",
        b'{"statement":"","grants":{"http":["a b"]}}': "request",
        b'{"statement":"","output_schema":"' + b"x" * 140_000 + b'"}': "output_schema",
    }  # fmt: skip
    for content, rule in rules.items():
        answer = post(content)
        assert (answer.status_code, answer.json()["rule"]) == (400, rule), content[:60]
    gzipped = post(b"\x1f\x8b", content_encoding="gzip")
    assert (gzipped.status_code, gzipped.json()["rule"]) == (415, "body.encoding")
    for key in ("", '"', '"unfinished', "two words", "x" * 256):
        assert post(b'{"statement":"return []"}', idempotency_key=key).json()["rule"] == "idempotency-key", key
    long = post(b'{"statement":"' + b" " * 1_100_000 + b'"}')
    assert (long.status_code, long.json()["rule"], long.json()["value"]) == (413, "body.bytes", 1024**2)
    assert server.ask("GET", "/v1/nothing", tenant.key).status_code == 404
    wrong = server.ask("DELETE", "/v1/runs", tenant.key)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")


def test_clients_that_announce_too_much_or_send_too_slowly_are_let_go(server: LiveServer) -> None:
    tenant = server.tenant("slow")
    head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n".encode()

    def talk(*pieces: bytes) -> bytes:
        """What comes back until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    connection.sendall(piece)
            got = b""
            with suppress(ConnectionResetError):
                while data := connection.recv(65_536):
                    got += data
            return got

    assert talk(head + b"Content-Length: 10000000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    chunks = [b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 40
    assert talk(head + b"Transfer-Encoding: chunked\r\n\r\n", *chunks).startswith(b"HTTP/1.1 413 ")
    assert talk(head + b'Content-Length: 50\r\n\r\n{"statement"').startswith(b"HTTP/1.1 408 ")
    assert talk(b"POST /v1/runs HT") == b""
    assert talk(head + b"X: " + b"x" * 200_000) == b""
    body = json.dumps({"statement": SLEEPS}).encode()
    first = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert talk(first, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 200_000) == b""
    wait_until(lambda: tenant.is_idle)
    assert tenant.run("return []").status_code == 200


def test_a_client_that_hangs_up_cancels_its_run(server: LiveServer) -> None:
    tenant = server.tenant("hangs-up")
    for statement in (SLEEPS, COMPUTES):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            body = json.dumps({"statement": statement}).encode()
            head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
            connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_until(lambda: not tenant.is_idle)
        wait_until(lambda: tenant.is_idle)
    wait_until(lambda: tenant.usage["runs"] == 2)
    assert tenant.usage["failed"] == 2
    assert tenant.usage["wall_us"] < 10_000_000


def test_many_clients_at_once_get_their_own_rows(server: LiveServer) -> None:
    tenants = [server.tenant(f"crowd-{number}") for number in range(3)]

    def one(number: int) -> list[dict[str, int]]:
        answer = tenants[number % 3].run("return INPUT_DATA", input_data=[{"n": number}]).json()
        rows: list[dict[str, int]] = answer["rows"]
        return rows

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(120))) == [[{"n": number}] for number in range(120)]
    wait_until(lambda: [tenant.usage["runs"] for tenant in tenants] == [40, 40, 40])
    assert all(tenant.is_idle for tenant in tenants)


def kill_workers(server: LiveServer) -> None:
    """All of them, at once; returns when others are there."""
    gone = server.workers
    for worker in gone:
        worker.kill()
    wait_until(lambda: server.client.get("/readyz").json()["workers"] == 2 and not set(gone) & set(server.workers))


def test_a_run_whose_worker_dies_is_repeated_unless_it_has_sent_a_request(server: LiveServer) -> None:
    with WebServer() as web:
        grant = f"127.0.0.1:{web.port}"
        tenant = server.tenant("dies", grants={"http_private": [grant]})
        harmless = tenant.start("await sleep(1)\nreturn [{'a': 1}]")
        # It may send requests, and has not.
        granted = tenant.start("await sleep(1)\nreturn []", grants={"http_private": [grant]})
        asks = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nawait sleep(10)"
        effects = tenant.start(asks, grants={"http_private": [grant]})
        for run_id in (harmless, granted, effects):
            tenant.until(run_id, state="running", is_asleep=True)
        assert web.wait_until(lambda: len(web.requests) == 1)
        kill_workers(server)
        ended = {name: tenant.until(run_id, state="ended") for name, run_id in
                 (("harmless", harmless), ("granted", granted), ("effects", effects))}  # fmt: skip
        assert [run["status"] for run in ended.values()] == [200, 201, 304]
        # The first worker's may have been given to the second, which was killed a moment later.
        assert [run["attempts"] > 1 for run in ended.values()] == [True, True, False]
        assert "it had sent HTTP requests, so it was not repeated" in ended["effects"]["error"]["message"]
        assert len(web.requests) == 1
        wait_until(lambda: tenant.usage["runs"] == 3)


def test_a_run_that_kills_three_workers_ends(server: LiveServer) -> None:
    tenant = server.tenant("kills")
    run_id = tenant.start(SLEEPS)
    while (ended := tenant.look(run_id))["state"] != "ended":
        if ended.get("is_asleep"):
            kill_workers(server)
    assert (ended["status"], ended["attempts"]) == (304, 3)
    assert tenant.run("return [{'a': 1}]").json()["status"] == 200


def test_readiness_is_what_a_probe_run_says(server: LiveServer) -> None:
    wait_until(lambda: server.client.get("/readyz").status_code == 200)

    def is_unready() -> bool:
        # Others may still start, in the place of those that tests before this one have killed.
        for worker in server.workers:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
        return server.client.get("/readyz").status_code == 503

    try:
        wait_until(is_unready)
        assert server.client.get("/livez").status_code == 200
    finally:
        for worker in server.workers:
            worker.resume()
    wait_until(lambda: server.client.get("/readyz").status_code == 200)


def until_all_ended(tenant: Tenant, run_ids: list[str]) -> list[int]:
    """The statuses of runs, once all have ended."""
    return [int(tenant.until(run_id, state="ended")["status"]) for run_id in run_ids]


def _exchange(server: LiveServer, *parts: bytes, interim: bytes = b"") -> bytes:
    """All that the server answers to these parts until it closes the connection; `interim` comes before the second."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, part in enumerate(parts):
            if number and interim:
                assert client.recv(len(interim), socket.MSG_WAITALL) == interim
            elif number:
                time.sleep(0.05)
            client.sendall(part)
        answer = b""
        while piece := client.recv(65_536):
            answer += piece
    return answer


def test_a_body_that_comes_with_its_head_or_behind_it_is_the_same(server: LiveServer) -> None:
    tenant = server.tenant("pieces")
    body = b'{"statement":"return [{\'a\': 1}]"}'
    head = (
        f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    ).encode()
    expect, go_on = b"Expect: 100-continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"
    answers = (
        _exchange(server, head + b"\r\n" + body),
        _exchange(server, head + b"\r\n", body),
        _exchange(server, head + b"\r\n" + body[:9], body[9:20], body[20:]),
        _exchange(server, head + expect, body, interim=go_on),
        # Who does not wait for it need not be told.
        _exchange(server, head + expect + body),
    )
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["rows"] == [{"a": 1}]


def test_requests_that_follow_without_waiting_are_answered_in_their_order(server: LiveServer) -> None:
    tenant = server.tenant("pipelined")
    requests = b""
    for number in range(5):
        body = f'{{"statement":"return [{{\'a\': {number}}}]"}}'.encode()
        close = "Connection: close\r\n" if number == 4 else ""
        requests += (
            f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n{close}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
    answers = _exchange(server, requests).split(b"HTTP/1.1 200 OK\r\n")[1:]
    found = [json.loads(answer.partition(b"\r\n\r\n")[2])["rows"] for answer in answers]
    assert found == [[{"a": number}] for number in range(5)]


@pytest.mark.parametrize("name", ["Authorization", "Prefer", "Idempotency-Key", "Content-Encoding"])
def test_a_header_that_is_there_twice_is_refused(server: LiveServer, name: str) -> None:
    tenant = server.tenant("twice")
    once = f"Authorization: Bearer {tenant.key}\r\n"
    twice = (once if name == "Authorization" else f"{name}: identity\r\n") * 2
    other = "" if name == "Authorization" else once
    answer = _exchange(
        server, f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{other}{twice}".encode()
        + b'Content-Length: 25\r\n\r\n{"statement":"return []"} '
    )  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert f"the header {name.lower()} is there 2 times".encode() in answer


def test_ids_of_runs_are_each_another(server: LiveServer) -> None:
    tenant = server.tenant("ids")
    ids = [tenant.run("return []").json()["id"] for _ in range(20)]
    assert len({one[-18:] for one in ids}) == 20
    assert {len(one) for one in ids} == {28}
