"""Batches, replays and runs of steps whose requests are sent again with their Idempotency-Key, on both stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.server.step_tenant import StepTenant

AT_ONCE = 12
RANDOM = "import random\nawait sleep(0.2)\nreturn [{'n': random.random()}]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def store(folder: Path, new_store: Callable[[Path], str]) -> str:
    return new_store(folder)


@pytest.fixture(scope="module")
def server(folder: Path, store: str) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    with LiveServer(folder, store=store, settings='max_body_bytes = "2 MiB"') as server:
        yield server.until_ready()
        # The last test has killed it.
        assert "Traceback" not in "".join(server.lines)


def lines(*statements: str) -> bytes:
    return b"".join(
        json.dumps({"statement": text, "id": f"n{n}"}).encode() + b"\n" for n, text in enumerate(statements)
    )


def batch(tenant: Tenant, key: str, body: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": key}
    return tenant.server.client.post("/v1/runs:batch", content=body, headers=headers)


def together(ask: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to the same request, sent by many at once."""
    with ThreadPoolExecutor(AT_ONCE) as senders:
        return [future.result() for future in [senders.submit(ask) for _ in range(AT_ONCE)]]


def one_of(answers: list[httpx.Response], status: int) -> httpx.Response:
    """All of them are the same."""
    assert {answer.status_code for answer in answers} == {status}, answers[0].text
    assert len({answer.content for answer in answers}) == 1
    return answers[0]


def test_a_batch_with_a_key_runs_once_and_everybody_gets_the_same_lines(server: LiveServer) -> None:
    tenant = server.tenant("batches")
    body = lines(RANDOM, "1 / 0", RANDOM) + b"{\n"
    first = one_of(together(lambda: batch(tenant, "b1", body)), 200)
    assert first.headers["content-type"] == "application/x-ndjson"
    found = {answer["index"]: answer for answer in map(json.loads, first.text.splitlines())}
    assert [found[n]["run"]["status"] for n in range(3)] == [200, 300, 200]
    assert found[3]["problem"]["rule"] == "body"
    assert found[0]["run"]["rows"] != found[2]["run"]["rows"]
    wait_until(lambda: tenant.usage["runs"] == 3)
    # The positive control: without the key the same request is another one.
    assert batch(tenant, "b2", body).content != first.content
    assert batch(tenant, "b1", body).content == first.content
    other = batch(tenant, "b1", body + b"\n" + lines("return []"))
    assert (other.status_code, other.json()["rule"]) == (422, "idempotency-key.reused")
    wait_until(lambda: tenant.usage["runs"] == 6)
    bad = batch(tenant, "a b", body)
    assert (bad.status_code, bad.json()["rule"]) == (400, "idempotency-key")
    # A key is one of requests of a kind: this body would be one of a run, too.
    same = json.dumps({"statement": "return []"}).encode()
    assert batch(tenant, "b3", same).status_code == 200
    run = tenant.server.client.post(
        "/v1/runs", content=same, headers={"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": "b3"}
    )
    assert (run.status_code, run.json()["rule"]) == (422, "idempotency-key.reused")
    wait_until(lambda: tenant.is_idle and not tenant.server.client.get("/readyz").is_error)


def test_a_batch_with_a_key_goes_on_without_its_client(server: LiveServer) -> None:
    tenant = server.tenant("goes")
    body = lines("await sleep(1.0)\nreturn [{'n': 1}]")
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.url, timeout=0.3) as impatient:
        impatient.post(
            "/v1/runs:batch", content=body, headers={"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": "g"}
        )
    answer = json.loads(batch(tenant, "g", body).text)
    assert (answer["run"]["status"], answer["run"]["rows"]) == (200, [{"n": 1}])
    wait_until(lambda: tenant.usage["runs"] == 1)


def test_lines_beyond_what_is_kept_of_a_batch_are_refused(server: LiveServer) -> None:
    # One after the other: each is answered before the next one is read.
    tenant = server.tenant("large", max_executing=1, max_queued=1)
    body = lines(*["return [{'t': 'x' * 6_000_000}]"] * 6)
    answers = [json.loads(text) for text in batch(tenant, "l", body).text.splitlines()]
    refused = [answer["problem"]["rule"] for answer in answers if answer.get("problem")]
    assert len(answers) == 6
    assert 1 <= len(refused) <= 3
    assert set(refused) == {"batch.answer_bytes"}


def test_a_replay_with_a_key_is_one_run(server: LiveServer) -> None:
    tenant = server.tenant("replays")
    run_id = tenant.start("import random\nreturn [{'n': random.random()}]", record=True)
    tenant.until(run_id, state="ended")

    def replay(key: str, body: Any = None, **headers: str) -> httpx.Response:
        return server.ask("POST", f"/v1/runs/{run_id}:replay", tenant.key, body or {}, idempotency_key=key, **headers)

    again = one_of(together(lambda: replay("r1")), 200)
    assert again.json()["replay"]["is_identical"] is True
    accepted = one_of(together(lambda: replay("r2", prefer="respond-async")), 202)
    assert accepted.headers["location"] == f"/v1/runs/{accepted.json()['id']}"
    tenant.until(accepted.json()["id"], state="ended")
    wait_until(lambda: tenant.usage["runs"] == 3)
    assert replay("r1", {"statement": "return []"}).status_code == 422
    assert replay("r2").status_code == 422
    other = server.ask("POST", f"/v1/runs/{accepted.json()['id']}:replay", tenant.key, {}, idempotency_key="r1")
    assert (other.status_code, other.json()["rule"]) == (422, "idempotency-key.reused")
    assert replay("r3").json()["id"] != again.json()["id"]
    # What was refused leaves nothing.
    bad = replay("r4", {"limits": {"wall_seconds": 10_000}})
    assert (bad.status_code, replay("r4").status_code) == (400, 200)


def test_a_run_of_a_step_with_a_key_is_one_run_while_it_is_on_record(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "steps")
    tenant.put("numbers", "return INPUT_DATA", processing="bulk")

    def start(key: str, number: int = 1) -> httpx.Response:
        content = {"input_data": [{"id": number}]}
        return tenant.ask("POST", "/v1/steps/numbers/runs", content, idempotency_key=key)

    first = one_of(together(lambda: start("s1")), 202)
    where = first.headers["location"]
    assert where == f"/v1/steps/numbers/runs/{first.json()['id']}"
    tenant.until(where, state="ended")
    assert len(tenant.look("/v1/steps/numbers/runs")["runs"]) == 1
    second = start("s2")
    assert second.json()["id"] != first.json()["id"]
    assert (start("s1", 2).status_code, start("s1").content) == (422, first.content)
    # The step may change; what was asked was asked.
    tenant.put("numbers", "return []", processing="bulk")
    assert start("s1").content == first.content
    # A step whose runs have not ended is not deleted.
    tenant.until(second.headers["location"], state="ended")
    assert tenant.ask("DELETE", "/v1/steps/numbers").status_code == 204
    tenant.put("numbers", "return INPUT_DATA", processing="bulk")
    gone = start("s1")
    assert (gone.status_code, gone.json()["rule"]) == (410, "run.deleted")
    assert start("s3").status_code == 202


def test_answers_outlive_the_server(folder: Path, store: str, server: LiveServer) -> None:
    tenant = StepTenant.make(server, "lives", max_executing=2)
    plain = Tenant(server, tenant.key)
    tenant.put("numbers", "return INPUT_DATA", processing="bulk")
    asked = {"input_data": [{"id": 1}]}
    step = tenant.ask("POST", "/v1/steps/numbers/runs", asked, idempotency_key="s")
    several = batch(plain, "b", lines(RANDOM))
    wait_until(lambda: tenant.usage["runs"] == 2)
    server.kill()
    with LiveServer(folder, store=store, admin=server.admin) as again:
        again.until_ready()
        tenant.server = plain.server = again
        assert tenant.ask("POST", "/v1/steps/numbers/runs", asked, idempotency_key="s").content == step.content
        assert batch(plain, "b", lines(RANDOM)).content == several.content
        assert tenant.usage["runs"] == 2
        # What has not begun when the server is asked to end is refused, and that is the answer.
        body = lines(*["await sleep(2)\nreturn []"] * 2, *["return [{'n': 1}]"] * 300)
        with ThreadPoolExecutor(1) as senders:
            answer = senders.submit(batch, plain, "d", body)
            wait_until(lambda: plain.counts["asleep"] == 2)
            assert again.terminate() == 0
            ended = [json.loads(text) for text in answer.result().text.splitlines()]
    assert len(ended) == 302
    told = [line["run"]["status"] if line.get("run") else line["problem"]["rule"] for line in ended]
    assert {"server.draining"} < set(told) <= {"server.draining", 200, 201, 303}
    with LiveServer(folder, store=store, admin=server.admin) as last:
        last.until_ready()
        plain.server = last
        assert [json.loads(text) for text in batch(plain, "d", body).text.splitlines()] == ended
