"""Runs of the past, and requests that come again, on SQLite and on PostgreSQL: listed, deleted, answered once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until

SLEEPS = "await sleep(30)\nreturn []"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> Iterator[LiveServer]:
    """One for all tests of this module, on each kind of store; each makes tenants of its own."""
    folder = tmp_path_factory.mktemp("server")
    with LiveServer(folder, store=new_store(folder)) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def ask(tenant: Tenant, statement: str, key: str, **headers: str) -> httpx.Response:
    """A run with an Idempotency-Key."""
    body = {"statement": statement}
    return tenant.server.ask("POST", "/v1/runs", tenant.key, body, idempotency_key=key, **headers)


def ids(tenant: Tenant, **query: Any) -> list[str]:
    """The ids of a page."""
    return [run["id"] for run in page(tenant, **query)["runs"]]


def page(tenant: Tenant, **query: Any) -> dict[str, Any]:
    answer = tenant.get(f"/v1/runs?{httpx.QueryParams(query)}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_runs_are_listed_newest_first_with_those_that_have_not_ended(server: LiveServer) -> None:
    tenant = server.tenant("lists", max_executing=1)
    ended = [tenant.run("return [{'a': 1}]").json()["id"], tenant.run("1 / 0").json()["id"]]
    ended.append(tenant.start("return []"))
    tenant.until(ended[2], state="ended")
    asleep = tenant.start(SLEEPS)
    tenant.until(asleep, is_asleep=True)
    computing = tenant.start("while True:\n    pass")
    tenant.until(computing, state="running")
    queued = tenant.start("return []")
    everything = [queued, computing, asleep, *reversed(ended)]
    assert ids(tenant) == everything
    assert [run["state"] for run in page(tenant)["runs"]] == ["queued", "running", "running", *["ended"] * 3]
    assert ids(tenant, state="queued") == [queued]
    assert ids(tenant, state="running") == [computing, asleep]
    assert ids(tenant, state="ended") == ended[::-1]
    assert ids(tenant, status=300) == [ended[1]]
    moment = tenant.look(ended[1])["created_at"]
    assert ended[0] not in ids(tenant, created_after=moment)
    assert ids(tenant, created_before=moment) == [ended[0]]
    assert server.tenant("lists-nothing").get("/v1/runs").json() == {"runs": [], "next": None}
    for run_id in (queued, computing, asleep):
        tenant.cancel(run_id)


def test_pages_have_every_run_once_though_others_come_meanwhile(server: LiveServer) -> None:
    tenant = server.tenant("pages")
    before = [tenant.run("return []").json()["id"] for _ in range(7)]
    found, cursor = [], None
    while True:
        here = page(tenant, limit=2, **({} if cursor is None else {"cursor": cursor}))
        found += [run["id"] for run in here["runs"]]
        tenant.run("return []")
        if (cursor := here["next"]) is None:
            break
    assert found == before[::-1]
    wrong = {
        "cursor=%21": "cursor", "cursor=WyJhIl0": "cursor", "limit=201": "query", "limit=0": "query",
        "state=lost": "query", "created_after=2026-01-01T00:00:00": "query", "more=1": "query",
    }  # fmt: skip
    for query, rule in wrong.items():
        refused = tenant.get(f"/v1/runs?{query}")
        assert (refused.status_code, refused.json()["rule"]) == (400, rule), query


def test_a_run_is_deleted_once_it_has_ended_and_its_usage_stays(server: LiveServer) -> None:
    tenant, other = server.tenant("deletes"), server.tenant("deletes-not")
    run_id = tenant.start("return [{'a': 1}]")
    tenant.until(run_id, state="ended")
    wait_until(lambda: tenant.usage["runs"] == 1)
    assert server.ask("DELETE", f"/v1/runs/{run_id}", other.key).status_code == 404
    assert server.ask("DELETE", f"/v1/runs/{run_id}", tenant.key).status_code == 204
    for method, path in (("GET", ""), ("GET", "/rows"), ("DELETE", "")):
        assert server.ask(method, f"/v1/runs/{run_id}{path}", tenant.key).status_code == 404
    assert tenant.usage["runs"] == 1
    asleep = tenant.start(SLEEPS)
    refused = server.ask("DELETE", f"/v1/runs/{asleep}", tenant.key)
    assert (refused.status_code, refused.json()["rule"]) == (409, "run.ended")
    tenant.cancel(asleep)


def test_usage_is_that_of_the_runs_as_a_document_and_as_lines(server: LiveServer) -> None:
    tenant = server.tenant("usage")
    for _ in range(3):
        tenant.run("log.info('x')\nreturn [{'a': 1}, {'a': 2}]")
    wait_until(lambda: tenant.usage["runs"] == 3)
    assert (tenant.usage["row_count"], tenant.usage["log_count"], tenant.usage["failed"]) == (6, 3, 0)
    lines = tenant.get("/v1/usage?format=csv")
    assert lines.status_code == 200, lines.text
    names, values = (line.split(",") for line in lines.text.split())
    assert dict(zip(names, values, strict=True))["row_count"] == "6"
    # A budget that comes later knows of it.
    server.tenant("usage", rows_per_day=7)
    assert tenant.get("/v1/quotas").status_code == 200
    assert tenant.run("return [{'a': 1}, {'a': 2}]").status_code == 200
    assert tenant.run("return [{'a': 1}, {'a': 2}]").json()["rule"] == "budget.rows.day"


def test_stored_runs_have_a_number_that_deleting_makes_room_in(server: LiveServer) -> None:
    tenant = server.tenant("stores")
    first = tenant.start("return []")
    tenant.until(first, state="ended")
    server.tenant("stores", max_stored_runs=3)
    asleep = tenant.start(SLEEPS)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tenant.run("return []"), range(8)))
    refused = [answer.json() for answer in answers if answer.status_code != 200]
    assert len(refused) == 7
    assert {(problem["status"], problem["rule"], problem["value"], problem["used"]) for problem in refused} == {
        (409, "count.stored_runs", 3, 3)
    }
    assert server.ask("DELETE", f"/v1/runs/{first}", tenant.key).status_code == 204
    assert tenant.run("return []").status_code == 200
    assert tenant.run("return []").json()["rule"] == "count.stored_runs"
    tenant.cancel(asleep)


def test_a_hundred_requests_with_one_key_are_one_run_and_one_answer(server: LiveServer) -> None:
    tenant = server.tenant("repeats")
    kinds: list[dict[str, str]] = [{}, {"prefer": "respond-async"}]
    counts = "await sleep(0.3)\nlog.info('once')\nreturn [{'a': 1}]"
    for number, headers in enumerate(kinds):
        with ThreadPoolExecutor(100) as pool:
            asked = [pool.submit(ask, tenant, counts, f"key-{number}", **headers) for _ in range(100)]
            answers = [item.result() for item in asked]
        assert {answer.status_code for answer in answers} == {202 if headers else 200}
        assert len({answer.content for answer in answers}) == 1
        run_id = answers[0].json()["id"]
        tenant.until(run_id, state="ended")
        # It is the same later, and the key may be in quotes.
        again = ask(tenant, counts, f'"key-{number}"', **headers)
        assert (again.content, again.headers.get("location")) == (
            answers[0].content,
            answers[0].headers.get("location"),
        )
        other = ask(tenant, "return []", f"key-{number}", **headers)
        assert (other.status_code, other.json()["rule"]) == (422, "idempotency-key.reused")
    assert ask(tenant, counts, "key-0", prefer="respond-async").status_code == 422
    assert [record["message"] for record in ask(tenant, counts, "key-0").json()["logs"]] == ["once"]
    # Keys are the tenant's own.
    assert ask(server.tenant("repeats-too"), "return []", "key-0").status_code == 200
    wait_until(lambda: tenant.usage["runs"] == 2)


def test_a_refused_request_leaves_its_key_and_a_deleted_run_its_answer(server: LiveServer) -> None:
    tenant = server.tenant("refused", max_executing=0)
    refused = ask(tenant, "return [{'a': 1}]", "k", prefer="respond-async")
    assert refused.status_code == 429, refused.text
    server.tenant("refused")
    run_id = ask(tenant, "return [{'a': 1}]", "k", prefer="respond-async").json()["id"]
    tenant.until(run_id, state="ended")
    assert server.ask("DELETE", f"/v1/runs/{run_id}", tenant.key).status_code == 204
    gone = ask(tenant, "return [{'a': 1}]", "k", prefer="respond-async")
    assert (gone.status_code, gone.json()["rule"]) == (410, "run.deleted")
    # One whose statement fails is an answer like others.
    assert ask(tenant, "1 / 0", "fails").content == ask(tenant, "1 / 0", "fails").content
    wait_until(lambda: tenant.usage["runs"] == 2)


def test_a_client_that_hangs_up_finds_its_answer_by_its_key(server: LiveServer) -> None:
    tenant = server.tenant("comes-back")
    headers = {"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": "mine"}
    body = {"statement": "await sleep(1)\nreturn [{'a': 1}]"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/runs", json=body, headers=headers, timeout=0.3)
    answer = ask(tenant, body["statement"], "mine").json()
    assert (answer["status"], answer["rows"]) == (200, [{"a": 1}])
    wait_until(lambda: tenant.usage["runs"] == 1)
    assert ids(tenant) == [answer["id"]]
