"""Live runs as their readers see them: states and lines as they come, resumed, by many, slowly, and over restarts."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.server.readers import Event, events_of, read_by_many
from tests.servers import WebServer

SLEEPS = "await sleep(30)\nreturn []"
LINES = "for number in range({count}):\n    log.info(f'line {{number}}')\n    await sleep({pause})\nreturn [{{'a': 1}}]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    settings = 'stall_seconds = 1.0\ndrain_seconds = 3\n[limits]\nlog_bytes = "64 MiB"'
    with LiveServer(tmp_path_factory.mktemp("server"), settings=settings) as server:
        yield server.until_ready()
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


class Reading:
    """The events of a stream as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        self._blocks = answer.iter_lines()
        self.read: list[Event] = []

    def next(self) -> Event | None:
        """The next one; None at the end."""
        block: list[str] = []
        for line in self._blocks:
            if line:
                block.append(line)
            elif found := events_of("\n".join(block)):
                self.read += found
                return found[0]
            else:
                block.clear()
        return None

    def until(self, name: str, **data: object) -> Event:
        """The next one of that name with such members."""
        while (found := self.next()) is not None:
            if found.name == name and all(found.data.get(key) == value for key, value in data.items()):
                return found
        raise AssertionError(f"it never came: {self.read}")


@contextmanager
def reading(tenant: Tenant, run_id: str, last: str = "", what: str = "events") -> Iterator[Reading]:
    headers = {"Authorization": f"Bearer {tenant.key}", "Accept": "text/event-stream"}
    if last:
        headers["Last-Event-ID"] = last
    with tenant.server.client.stream("GET", f"/v1/runs/{run_id}/{what}", headers=headers) as answer:
        yield Reading(answer)


def all_events(tenant: Tenant, run_id: str, last: str = "", what: str = "events") -> list[Event]:
    """What a reader is sent until the end; nothing if there is no more to tell."""
    headers = {"accept": "text/event-stream"} | ({"last_event_id": last} if last else {})
    answer = tenant.server.ask("GET", f"/v1/runs/{run_id}/{what}", tenant.key, **headers)
    assert answer.status_code == (200 if answer.text else 204)
    return events_of(answer.text)


def messages(events: list[Event]) -> list[str]:
    return [event.data["message"] for event in events if event.name == "log"]


def test_lines_and_states_come_while_the_run_goes_on(server: LiveServer) -> None:
    tenant = server.tenant("live", max_executing=1)
    first = tenant.start("while True: pass")
    tenant.until(first, state="running")
    run_id = tenant.start("log.info('first')\nawait sleep(30)\nreturn []")
    with reading(tenant, run_id) as events:
        waits = events.until("state", state="queued").data["waiting"]
        assert (waits["rule"], waits["position"]) == ("count.executing", 1)
        tenant.cancel(first)
        assert events.until("log").data["message"] == "first"
        # That it waits is told again when the reason is another one.
        states = dict.fromkeys(event.data["state"] for event in events.read if event.name == "state")
        assert list(states) == ["queued", "running"]
        # It may have been told before the line.
        if not any(event.data.get("is_asleep") for event in events.read):
            events.until("state", is_asleep=True)
        assert tenant.look(run_id)["state"] == "running"
        tenant.cancel(run_id)
        last = events.until("state", state="ended")
        assert (last.data["status"], last.data["log_count"], events.next()) == (303, 1, None)


def test_a_reader_goes_on_behind_the_last_event_that_it_has(server: LiveServer) -> None:
    tenant = server.tenant("resumes")
    run_id = tenant.start(LINES.format(count=6, pause=0.05))
    read: list[Event] = []
    while not read or read[-1].data.get("state") != "ended":
        # A new connection for each event.
        with reading(tenant, run_id, read[-1].id if read else "") as events:
            found = events.next()
            assert found is not None
            read.append(found)
    assert messages(read) == [f"line {number}" for number in range(6)]
    assert len({event.id for event in read}) == len(read)
    wait_until(lambda: tenant.usage["runs"] == 1)
    ended = all_events(tenant, run_id)
    assert (messages(ended), [event.name for event in ended]) == (messages(read), ["log"] * 6 + ["state"])
    assert ended[-1].data == tenant.look(run_id)
    for number, event in enumerate(ended):
        assert all_events(tenant, run_id, event.id) == ended[number + 1 :]
    assert all_events(tenant, run_id, "nobody's") == ended
    lines = all_events(tenant, run_id, what="logs")
    assert (messages(lines), len(lines)) == (messages(read), 6)
    assert all_events(tenant, run_id, lines[3].id, what="logs") == lines[4:]
    assert [record["message"] for record in tenant.get(f"/v1/runs/{run_id}/logs").json()] == messages(read)


def test_lines_that_look_like_events_are_lines(server: LiveServer) -> None:
    tenant = server.tenant("forges")
    text = "a\n\nid: 1-1-1-e\nevent: state\ndata: {}\r\n\r\n\u2028\0"
    run_id = tenant.start(f"log.info({text!r})\nawait sleep(0.2)\nreturn []")
    with reading(tenant, run_id) as events:
        assert events.until("log").data["message"] == text
        events.until("state", state="ended")
    assert messages(all_events(tenant, run_id)) == [text]


def test_what_a_lost_attempt_has_said_is_told_before_what_the_next_one_says(server: LiveServer) -> None:
    tenant = server.tenant("lost")
    run_id = tenant.start("log.info('here')\nawait sleep(1)\nreturn [{'a': 1}]")
    with reading(tenant, run_id) as events:
        first = events.until("log")
        # That it sleeps may be told before what it has logged.
        if not any(event.data.get("is_asleep") for event in events.read):
            events.until("state", is_asleep=True)
        for worker in server.workers:
            worker.kill()
        assert events.until("state", state="ended").data["attempts"] > 1
    told = [event for event in events.read if event.name == "log"]
    assert len({event.id for event in told}) == len(told) > 1
    assert {event.data["message"] for event in told} == {"here"}
    assert messages(all_events(tenant, run_id, first.id)) == ["here"]
    assert messages(all_events(tenant, run_id, told[-1].id)) == []
    server.until_ready()


def test_a_run_that_went_down_with_its_worker_keeps_the_lines_that_were_told(server: LiveServer) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        tenant = server.tenant("keeps", grants=grants)
        asks = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nlog.info('asked')\nawait sleep(30)"
        run_id = tenant.start(asks, grants=grants)
        with reading(tenant, run_id) as events:
            events.until("log", message="asked")
            for worker in server.workers:
                worker.kill()
            ended = events.until("state", state="ended").data
        assert (ended["status"], ended["log_count"]) == (304, 1)
        assert [record["message"] for record in tenant.get(f"/v1/runs/{run_id}/logs").json()] == ["asked"]
    server.until_ready()


def test_many_readers_of_one_run_have_each_line_in_order(server: LiveServer) -> None:
    tenant = server.tenant("crowd")
    run_id = tenant.start("await sleep(1)\n" + LINES.format(count=40, pause=0.01))
    texts = read_by_many(tenant, f"/v1/runs/{run_id}/events", 300)
    assert len(texts) == 300
    for text in texts:
        assert messages(events_of(text)) == [f"line {number}" for number in range(40)]
    wait_until(lambda: tenant.get("/v1/quotas").status_code == 200)


def test_a_reader_who_takes_nothing_is_let_go_and_holds_up_nobody(server: LiveServer) -> None:
    tenant = server.tenant("slow", max_streams=2)
    long = "x" * 20_000
    statement = f"await sleep(0.3)\nfor number in range(1500):\n    log.info({long!r})\nawait sleep(30)"
    run_id = tenant.start(statement, limits={"log_bytes": 64 * 1024**2})
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(f"GET /v1/runs/{run_id}/logs HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n".encode()
                     + f"Authorization: Bearer {tenant.key}\r\n\r\n".encode())  # fmt: skip
        with reading(tenant, run_id, what="logs") as events:
            for _ in range(1500):
                assert len(events.until("log").data["message"]) == 20_000
            # There were two; there is room again when one of them has been let go.
            wait_until(lambda: _can_read(tenant, run_id))
    tenant.cancel(run_id)


def _can_read(tenant: Tenant, run_id: str) -> bool:
    headers = {"Authorization": f"Bearer {tenant.key}"}
    with tenant.server.client.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
        return answer.status_code == 200


def test_open_streams_are_counted_while_they_are_open(server: LiveServer) -> None:
    tenant = server.tenant("counted", max_streams=1)
    run_id = tenant.start(SLEEPS)
    path = f"/v1/runs/{run_id}/events"
    with reading(tenant, run_id):
        assert "count.streams" in {rule["rule"] for rule in tenant.get("/v1/quotas").json()["rules"]}
        refused = tenant.get(path)
        assert (refused.status_code, refused.json()["rule"]) == (429, "count.streams")
        assert (refused.json()["value"], refused.json()["used"], refused.json()["owner"]) == (1, 1, "tenant")
        batch = server.ask("POST", "/v1/runs:batch", tenant.key, {"statement": "return []"})
        assert batch.json()["rule"] == "count.streams"
    wait_until(lambda: _can_read(tenant, run_id))
    for _ in range(3):
        wait_until(lambda: server.ask("HEAD", path, tenant.key).status_code == 200)
    wait_until(lambda: _can_read(tenant, run_id))
    tenant.cancel(run_id)
    nothing = server.tenant("counted", max_streams=0)
    assert nothing.get(path).json()["rule"] == "count.streams"


def test_the_stream_of_another_tenants_run_looks_as_if_there_were_none(server: LiveServer) -> None:
    owner, other = server.tenant("owner"), server.tenant("other")
    run_id = owner.start(SLEEPS)
    for what in ("events", "logs", "recording"):
        theirs = server.ask("GET", f"/v1/runs/{run_id}/{what}", other.key, accept="text/event-stream")
        nobodys = server.ask("GET", f"/v1/runs/run_{'x' * 24}/{what}", other.key, accept="text/event-stream")
        assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    owner.cancel(run_id)


def test_a_durable_run_that_ends_in_time_is_answered_whole_and_another_with_its_place(server: LiveServer) -> None:
    tenant = server.tenant("waits")

    def post(statement: str, prefer: str) -> httpx.Response:
        return server.ask("POST", "/v1/runs", tenant.key, {"statement": statement}, prefer=prefer)

    quick = post("return [{'a': 1}]", "wait=20")
    assert (quick.status_code, quick.headers["preference-applied"]) == (200, "wait=20")
    assert quick.json()["rows"] == [{"a": 1}]
    assert quick.headers["location"] == f"/v1/runs/{quick.json()['id']}"
    assert tenant.get(f"{quick.headers['location']}/rows").json() == [{"a": 1}]
    began = time.monotonic()
    slow = post(SLEEPS, 'respond-async, wait="1"; a=b')
    assert (slow.status_code, slow.headers["preference-applied"], slow.json()["state"]) == (202, "wait=1", "running")
    assert time.monotonic() - began >= 1
    assert tenant.cancel(slow.json()["id"])["status"] == 303
    assert post("return []", "wait=0").status_code in (200, 202)
    wrong = post("return []", "wait=soon")
    assert (wrong.status_code, wrong.json()["rule"]) == (400, "prefer.wait")
    assert post("return []", "something-else").json()["status"] == 201


def test_a_detached_run_goes_on_when_its_client_hangs_up(server: LiveServer) -> None:
    tenant = server.tenant("detached")
    statement = "await sleep(0.5)\nreturn [{'a': 1}]"
    for prefer in ("detach", ""):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            body = json.dumps({"statement": statement}).encode()
            head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\nPrefer: {prefer}\r\n"
            connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_until(lambda: tenant.counts["asleep"] == 1)
        wait_until(lambda: tenant.is_idle)
    wait_until(lambda: tenant.usage["runs"] == 2)
    # The second one had not asked for it.
    assert (tenant.usage["failed"], tenant.usage["row_count"]) == (1, 1)
    answer = server.ask("POST", "/v1/runs", tenant.key, {"statement": "return []"}, prefer="detach")
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "detach")


def test_a_reader_finds_a_durable_run_again_after_the_server_was_killed(tmp_path: Path) -> None:
    statement = "log.info('here')\nawait sleep(0.7)\nlog.info('there')\nreturn [{'id': random.getrandbits(63)}]"
    with LiveServer(tmp_path) as first:
        tenant = first.until_ready().tenant("acme")
        run_id = tenant.start(f"import random\n{statement}", record=True)
        with reading(tenant, run_id) as events:
            last = events.until("log")
        first.kill()
    with LiveServer(tmp_path, admin=first.admin, settings="drain_seconds = 0.2") as second:
        tenant = Tenant(second, tenant.key)
        with reading(tenant, run_id, last.id) as events:
            assert events.until("state", state="ended").data["status"] == 200
            # It is another run of the same statement, from its beginning.
            assert messages(events.read) == ["here", "there"]
        wait_until(lambda: tenant.usage["runs"] == 1)
        asleep = tenant.start(SLEEPS)
        with reading(tenant, asleep) as events:
            events.until("state", is_asleep=True)
            second.process.terminate()
            # A stream ends with the server, in order, whatever becomes of the run.
            assert events.next() is None
        assert second.terminate() == 0
    with LiveServer(tmp_path, admin=first.admin) as third:
        tenant = Tenant(third, tenant.key)
        ended = all_events(tenant, run_id)
        assert messages(ended) == ["here", "there"]
        assert all_events(tenant, run_id, ended[0].id) == ended[1:]
        tenant.cancel(asleep)
        # Its recording is there, too.
        again = third.ask("POST", f"/v1/runs/{run_id}:replay", tenant.key).json()
        assert again["rows"] == tenant.get(f"/v1/runs/{run_id}/rows").json()
        assert again["replay"]["is_identical"] is True
