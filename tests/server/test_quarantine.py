"""Statements that kill worker processes: by the rules alone, and on a real server whose workers are killed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

from wasmexec.server.runs.quarantine import (
    MOST_REMEMBERED,
    REFUSED_SECONDS,
    REMEMBERED_SECONDS,
    Culprit,
    Quarantine,
)

KILLER, OTHER, THIRD = Culprit("a", "killer"), Culprit("b", "other"), Culprit("b", "third")


def test_what_was_there_at_two_deaths_is_suspected_and_who_was_beside_it_a_bystander() -> None:
    rules = Quarantine()
    assert rules.note_death([KILLER, OTHER], [], 0.0) == set()
    assert not rules.is_suspect(KILLER, 0.0)
    assert rules.note_death([KILLER, THIRD], [], 1.0) == {THIRD}
    assert [rules.is_suspect(who, 1.0) for who in (KILLER, OTHER, THIRD)] == [True, False, False]
    # The same text of another tenant is another statement.
    assert not rules.is_suspect(Culprit("b", "killer"), 1.0)


def test_a_death_alone_condemns_for_a_while_and_living_through_it_clears() -> None:
    rules = Quarantine()
    for moment in (0.0, 1.0):
        rules.note_death([KILLER, OTHER], [], moment)
    rules.clear(OTHER)
    assert not rules.is_suspect(OTHER, 2.0)
    assert rules.refused_seconds(KILLER, 2.0) == 0
    rules.condemn(KILLER, 2.0)
    assert rules.refused_seconds(KILLER, 2.0) == REFUSED_SECONDS
    assert rules.refused_seconds(KILLER, 2.0 + REFUSED_SECONDS) == 0
    # Afterwards it still runs alone.
    assert rules.is_suspect(KILLER, 2.0 + REFUSED_SECONDS)


def test_many_that_sleep_are_not_suspected_as_long_as_one_is_awake() -> None:
    rules = Quarantine()
    sleepers = [Culprit("b", str(number)) for number in range(5)]
    for moment in (0.0, 1.0):
        bystanders = rules.note_death([KILLER], sleepers, moment)
    assert bystanders == set(sleepers)
    assert not any(rules.is_suspect(who, 1.0) for who in sleepers)
    for moment in (2.0, 3.0):
        rules.note_death([], sleepers, moment)
    assert all(rules.is_suspect(who, 3.0) for who in sleepers)


def test_deaths_are_forgotten_with_time_and_by_number() -> None:
    rules = Quarantine()
    rules.note_death([KILLER], [], 0.0)
    rules.note_death([KILLER], [], REMEMBERED_SECONDS + 1)
    assert not rules.is_suspect(KILLER, REMEMBERED_SECONDS + 1)
    rules.note_death([KILLER], [], REMEMBERED_SECONDS + 2)
    assert rules.is_suspect(KILLER, REMEMBERED_SECONDS + 2)
    for number in range(MOST_REMEMBERED):
        rules.note_death([Culprit("x", str(number))], [], REMEMBERED_SECONDS + 3)
    assert not rules.is_suspect(KILLER, REMEMBERED_SECONDS + 3)


KILLS = "n = 0\nfor i in range(1_000_000_000):\n    n += i\nreturn []"
SLEEPS = "await sleep({})\nreturn INPUT_DATA"


def kill_whenever_it_computes(server: LiveServer, tenant: Tenant, run_id: str) -> tuple[int, set[str]]:
    """How often its worker was killed until it had ended, and what it had waited for."""
    killed: set[int] = set()
    rules: set[str] = set()

    def has_ended() -> bool:
        found = tenant.look(run_id)
        rules.add((found.get("waiting") or {}).get("rule", ""))
        # It computes, so it is in the process that was started last: there is one, and one for those that are alone.
        if found["attempts"] not in killed and found.get("cpu_seconds", 0.0) > 0.05:
            killed.add(found["attempts"])
            max(server.workers, key=lambda process: process.create_time()).kill()
        return bool(found["state"] == "ended")

    wait_until(has_ended)
    return len(killed), rules


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("quarantine"), workers=1) as running:
        yield running.until_ready()


def test_a_statement_that_kills_its_worker_ends_alone_and_is_refused_then(server: LiveServer) -> None:
    bad, good = server.tenant("bad"), server.tenant("good")
    sleepers = [good.start(SLEEPS.format(2), input_data=[{"a": number}]) for number in range(6)]
    for run_id in sleepers:
        good.until(run_id, is_asleep=True)
    # Then they are not suspected.
    time.sleep(1.1)
    killer = bad.start(KILLS)
    times, rules = kill_whenever_it_computes(server, bad, killer)
    ended = bad.look(killer)
    assert (ended["status"], ended["attempts"]) == (304, 3)
    assert "its statement was there at each of several such deaths, at last alone" in ended["error"]["message"]
    assert times == 3
    assert "quarantine" in rules
    refused = bad.run(KILLS)
    assert refused.status_code == 429
    problem = refused.json()
    assert (problem["rule"], problem["value"], problem["owner"]) == ("statement.quarantine", 600.0, "server")
    assert 0 < problem["retry_after_seconds"] <= 600
    assert 0 < int(refused.headers["retry-after"]) <= 600
    asynchronous = server.ask("POST", "/v1/runs", bad.key, {"statement": KILLS}, prefer="respond-async")
    assert asynchronous.status_code == 429
    # Others, and other statements of its own, are as before.
    assert bad.run("return [{'a': 1}]").json()["status"] == 200
    assert good.cancel(good.start(KILLS))["status"] == 303
    for number, run_id in enumerate(sleepers):
        assert good.until(run_id, state="ended")["status"] == 200
        assert good.get(f"/v1/runs/{run_id}/rows").json() == [{"a": number}]
    wait_until(lambda: bad.is_idle and good.is_idle)


@pytest.mark.parametrize(
    ("rule", "asks", "status", "requests"),
    [("safe", True, 304, 1), ("safe", False, 200, 0), ("always", True, 200, 2), ("never", False, 304, 0)],
)
def test_a_lost_run_is_repeated_as_its_tenant_says(
    server: LiveServer, rule: str, asks: bool, status: int, requests: int
) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        tenant = server.tenant(f"rule-{rule}-{asks}".lower(), grants=grants, repeat_lost=rule)
        request = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\n" if asks else ""
        run_id = tenant.start(f"{request}await sleep(1)\nreturn [{{'a': 1}}]", grants=grants if asks else {})
        tenant.until(run_id, is_asleep=True)
        if asks:
            assert web.wait_until(lambda: len(web.requests) == 1)
        for process in server.workers:
            process.kill()
        ended = tenant.until(run_id, state="ended")
        assert (ended["status"], len(web.requests)) == (status, requests)
        if rule == "never":
            assert "its tenant has no lost run repeated (repeat_lost)" in ended["error"]["message"]
    wait_until(lambda: tenant.is_idle)


def test_a_worker_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    with LiveServer(tmp_path, settings='worker_memory_bytes = "300 MiB"', workers=1) as server:
        tenant = server.until_ready().tenant("heavy")
        text = "x = b'x' * {}_000_000\nawait sleep(1.5)\nreturn [{{'a': len(x)}}]"
        assert tenant.run(text.format(100)).json()["status"] == 200
        lost = tenant.run(text.format(400)).json()
        assert (lost["status"], lost["attempts"]) == (304, 3)
        assert re.match(r"its worker process was ended: it had [\d,]+ bytes of memory; ", lost["error"]["message"])
        assert tenant.run(text.format(100)).json()["status"] == 200


@pytest.mark.parametrize(("rule", "statuses"), [("always", (200, 200)), ("never", (304, 304)), ("safe", (304, 200))])
def test_the_rule_holds_for_a_server_that_is_killed(tmp_path: Path, rule: str, statuses: tuple[int, int]) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        with LiveServer(tmp_path) as first:
            tenant = first.until_ready().tenant("acme", grants=grants, repeat_lost=rule)
            asks = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nawait sleep(1)\nreturn [{{'a': 1}}]"
            runs = [tenant.start(asks, grants=grants), tenant.start("await sleep(1.5)\nreturn [{'a': 1}]")]
            for run_id in runs:
                tenant.until(run_id, is_asleep=True)
            assert web.wait_until(lambda: len(web.requests) == 1)
            first.kill()
        with LiveServer(tmp_path, admin=first.admin) as second:
            tenant = Tenant(second, tenant.key)
            assert tuple(tenant.until(run_id, state="ended")["status"] for run_id in runs) == statuses
            assert len(web.requests) == (2 if rule == "always" else 1)
