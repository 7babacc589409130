"""Every rule of tenants, projects and keys over HTTP: what goes beyond it, and what is told of that."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

import wasmexec.server
from wasmexec import Limits
from wasmexec.limits import LIMIT_RANGES
from wasmexec.server.documents import PartRules, TenantRequest
from wasmexec.server.quotas.rules import QuotaRules

SERVER = Path(wasmexec.server.__file__).parent
COMPUTES = "while True:\n    pass"
SLEEPS = "await sleep(30)\nreturn []"
WINDOW_SECONDS = {"minute": 60, "day": 86_400, "month": 31 * 86_400}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    with LiveServer(tmp_path_factory.mktemp("quotas")) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with WebServer() as web:
        yield web


def key_of(server: LiveServer, tenant: str, **asked: Any) -> tuple[str, Tenant]:
    """Another key of a tenant: its id, and the tenant with it."""
    answer = server.ask("POST", f"/v1/admin/tenants/{tenant}/keys", server.admin, asked)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], Tenant(server, answer.json()["key"])


def held_to(server: LiveServer, owner: str, name: str, **rules: Any) -> Tenant:
    """A tenant whose key is held to rules: the tenant's, those of its project, or its own."""
    mine = {key: rules.pop(key) for key in ("grants",) if key in rules}
    if owner == "tenant":
        return server.tenant(name, **mine, **rules)
    server.tenant(name, **mine)
    _, manager = key_of(server, name, scopes=["keys"])
    key_id, tenant = key_of(server, name, project="p" if owner == "project" else None)
    path = "/v1/quotas/projects/p" if owner == "project" else f"/v1/quotas/keys/{key_id}"
    answer = server.ask("PUT", path, manager.key, rules)
    assert answer.status_code == 200, answer.text
    return tenant


def is_told(answer: httpx.Response, *, status: int, rule: str, value: Any, owner: str = "tenant") -> dict[str, Any]:
    """The problem of a refusal, which has everything that it must have."""
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["rule"]) == (status, rule), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["value"], problem["owner"]) == (value, owner)
    assert problem["changed_by"] == ("operator" if owner in ("tenant", "server") else "tenant")
    # The header is the number of the document, in whole seconds.
    seconds = problem.get("retry_after_seconds")
    assert (seconds is None) is ("retry-after" not in answer.headers)
    assert seconds is None or 0 < seconds <= int(answer.headers["retry-after"]) < seconds + 1 + 1e-6
    return problem


# Rates and budgets: of tenants, projects and keys.

OWNERS = ("tenant", "project", "key")
TAKES = {
    "cpu_seconds": ("n = 0\nfor i in range(100_000):\n    n += i\nreturn []", 0.0001),
    "gb_seconds": ("return []", 0.00001),
    "egress_bytes": ("import httpx\nawait httpx.AsyncClient().get('{url}')\nreturn []", 10),
    "rows": ("return [{'a': n} for n in range(50)]", 1),
    "log_bytes": ("log.info('x' * 1000)\nreturn []", 10),
}
"""A statement that takes a multiple of a dimension, and so small a budget: the next windows do not pay for it."""


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("dimension", TAKES)
def test_a_budget_lets_nobody_start_who_has_used_it_up(
    server: LiveServer, web: WebServer, dimension: str, owner: str
) -> None:
    statement, limit = TAKES[dimension]
    grants = {"http_private": [f"127.0.0.1:{web.port}"]}
    for window, seconds in WINDOW_SECONDS.items():
        name = f"{dimension.replace('_', '-')}-{window}-{owner}"
        tenant = held_to(server, owner, name, grants=grants, **{f"{dimension}_per_{window}": limit})
        first = tenant.run(statement.replace("{url}", web.url()), grants=grants)
        assert (first.status_code, first.json()["status"] // 100) == (200, 2), first.text
        refused = tenant.run("return []", grants=grants)
        problem = is_told(refused, status=429, rule=f"budget.{dimension}.{window}", value=limit, owner=owner)
        assert problem["used"] > 2 * limit
        assert window == "month" or problem["retry_after_seconds"] > seconds
        assert is_shown(tenant, problem)["used"] == problem["used"]


def is_shown(tenant: Tenant, problem: dict[str, Any]) -> dict[str, Any]:
    """What /v1/quotas has of the rule of a problem."""
    rules = tenant.get("/v1/quotas").json()["rules"]
    [found] = [item for item in rules if (item["rule"], item["owner"]) == (problem["rule"], problem["owner"])]
    assert (found["value"], found["changed_by"]) == (problem["value"], problem["changed_by"])
    shown: dict[str, Any] = found
    return shown


@pytest.mark.parametrize("owner", OWNERS)
def test_a_rate_of_requests_is_kept_and_told(server: LiveServer, owner: str) -> None:
    tenant = held_to(server, owner, f"requests-{owner}", requests_per_second=0.5, requests_burst=2)
    answers = [tenant.get("/v1/quotas") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {f'"{owner}-requests";q=2;w=4'}
    problem = is_told(answers[2], status=429, rule="rate.requests", value=0.5, owner=owner)
    assert problem["retry_after_seconds"] < 2
    # What only gives back is free.
    assert server.ask("POST", f"/v1/runs/run_{'x' * 24}:cancel", tenant.key).status_code == 404


def test_at_the_time_to_try_again_a_request_is_taken_and_never_before(server: LiveServer) -> None:
    tenant, refused_early = server.tenant("true", requests_per_second=10, requests_burst=1), 0

    def ask() -> tuple[float, float, httpx.Response]:
        asked_at = time.perf_counter()
        answer = tenant.get("/v1/quotas")
        return asked_at, time.perf_counter(), answer

    for early in (0.05, 0.02, 0.01, 0.005, 0.002, 0.0) * 2:
        while (found := ask())[2].status_code == 200:
            pass
        asked_at, answered_at, wait = found[0], found[1], found[2].json()["retry_after_seconds"]
        time.sleep(max(0.0, asked_at + wait - early - time.perf_counter()))
        _, later, answer = ask()
        if answer.status_code == 200:
            # The machine was busy meanwhile: it came late, but not too early.
            assert later >= asked_at + wait
            continue
        refused_early += 1
        time.sleep(max(0.0, answered_at + wait - time.perf_counter()))
        assert ask()[2].status_code == 200
    assert refused_early > 0


@pytest.mark.parametrize("owner", OWNERS)
def test_a_rate_of_bytes_is_kept_whether_they_are_announced_or_not(server: LiveServer, owner: str) -> None:
    tenant = held_to(server, owner, f"bytes-{owner}", bytes_per_second=1000, bytes_burst=5000)
    body = b'{"statement": "return []", "input_data": "' + b"x" * 3000 + b'"}'

    def post(content: Any) -> httpx.Response:
        return server.client.post("/v1/runs", content=content, headers={"Authorization": f"Bearer {tenant.key}"})

    assert post(body).status_code == 200
    announced = is_told(post(body), status=429, rule="rate.bytes", value=1000, owner=owner)
    assert announced["asked"] == len(body)
    time.sleep(announced["retry_after_seconds"])
    assert post(iter([body[:10], body[10:]])).status_code == 200
    streamed = is_told(post(iter([body[:10], body[10:]])), status=429, rule="rate.bytes", value=1000, owner=owner)
    assert streamed["asked"] == len(body)
    never = is_told(post(b" " * 5001), status=429, rule="rate.bytes", value=1000, owner=owner)
    assert "retry_after_seconds" not in never


def test_the_strictest_rate_decides_and_the_others_are_not_taken_from(server: LiveServer) -> None:
    server.tenant("strict", requests_per_second=0.001, requests_burst=5)
    key_id, tenant = key_of(server, "strict", project="p")
    _, manager = key_of(server, "strict", scopes=["keys"])
    for path, burst in (("projects/p", 3), (f"keys/{key_id}", 2)):
        rules = {"requests_per_second": 0.001, "requests_burst": burst}
        # Two of the tenant's five are these.
        assert server.ask("PUT", f"/v1/quotas/{path}", manager.key, rules).status_code == 200
    answers = [tenant.get("/v1/usage") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429]
    assert {answer.json()["owner"] for answer in answers[2:]} == {"key"}
    left = answers[-1].headers["ratelimit"].split(", ")
    assert [item.split(";")[:2] for item in left] == [
        ['"key-requests"', "r=0"], ['"tenant-requests"', "r=1"], ['"project-requests"', "r=1"]
    ]  # fmt: skip


# Counts.


def test_more_queued_runs_than_there_may_be_are_refused(server: LiveServer) -> None:
    tenant = server.tenant("queued", max_executing=1, max_queued=2)
    waiting = [tenant.start(COMPUTES)]
    tenant.until(waiting[0], state="running")
    waiting += [tenant.start("return []") for _ in range(2)]
    problem = is_told(tenant.run("return []"), status=429, rule="count.queued", value=2)
    assert is_shown(tenant, problem)["used"] == problem["used"] == 2
    for run_id in waiting:
        tenant.cancel(run_id)


def test_what_may_not_execute_yet_waits_and_says_by_which_rule(server: LiveServer) -> None:
    tenant = server.tenant("executing", max_executing=1)
    first, second = tenant.start(COMPUTES), tenant.start("return []")
    tenant.until(first, state="running")
    why = tenant.look(second)["waiting"]
    assert (why["rule"], why["value"], why["changed_by"]) == ("count.executing", 1, "operator")
    tenant.cancel(first)
    assert tenant.until(second, state="ended")["status"] == 201


def test_runs_asleep_beyond_the_bound_count_as_executing(server: LiveServer) -> None:
    tenant = server.tenant("asleep", max_executing=1, max_asleep=1)
    asleep = [tenant.start(SLEEPS), tenant.start(SLEEPS)]
    for run_id in asleep:
        tenant.until(run_id, is_asleep=True)
    third = tenant.start("return []")
    why = tenant.look(third)["waiting"]
    assert (why["rule"], why["value"], why["changed_by"]) == ("count.asleep", 1, "operator")
    assert tenant.counts["asleep"] == 2
    tenant.cancel(asleep[0])
    assert tenant.until(third, state="ended")["status"] == 201
    tenant.cancel(asleep[1])


def test_what_cannot_start_in_time_is_refused_at_once(server: LiveServer) -> None:
    tenant = server.tenant("in-time", max_executing=1, max_wait_seconds=5)
    statement = "n = 0\nfor i in range(2_000_000):\n    n += i\nreturn []"
    assert tenant.run(statement).json()["status"] == 201
    cpu_seconds = tenant.look(tenant.run(statement).json()["id"])["usage"]["cpu_seconds"]
    computes = tenant.start(COMPUTES)
    tenant.until(computes, state="running")
    queued = []
    while (answer := server.ask("POST", "/v1/runs", tenant.key, {"statement": statement}, prefer="respond-async")
           ).status_code == 202:  # fmt: skip
        queued.append(answer.json()["id"])
        assert len(queued) < 1000
    is_told(answer, status=503, rule="schedule.start_by", value=5.0)
    assert len(queued) * cpu_seconds > 2
    # A request can ask for less than its tenant allows.
    soon = tenant.run("return []", max_wait_seconds=0.001)
    assert is_told(soon, status=503, rule="schedule.start_by", value=5.0)["asked"] == pytest.approx(0.001, abs=0.001)
    # Neither waits behind them.
    assert server.client.get("/livez").status_code == 200
    assert server.ask("POST", "/v1/admin/tenants", server.admin, {"name": "in-time"}).status_code == 200
    for run_id in (*reversed(queued), computes):
        assert tenant.cancel(run_id)["state"] == "ended"


EXCEEDED: dict[str, Callable[..., None]] = {
    **{f"{dimension}_per_{window}": test_a_budget_lets_nobody_start_who_has_used_it_up
       for dimension in TAKES for window in WINDOW_SECONDS},
    "requests_per_second": test_a_rate_of_requests_is_kept_and_told,
    "requests_burst": test_a_rate_of_requests_is_kept_and_told,
    "bytes_per_second": test_a_rate_of_bytes_is_kept_whether_they_are_announced_or_not,
    "bytes_burst": test_a_rate_of_bytes_is_kept_whether_they_are_announced_or_not,
    "max_queued": test_more_queued_runs_than_there_may_be_are_refused,
    "max_executing": test_what_may_not_execute_yet_waits_and_says_by_which_rule,
    "max_asleep": test_runs_asleep_beyond_the_bound_count_as_executing,
    "max_wait_seconds": test_what_cannot_start_in_time_is_refused_at_once,
}  # fmt: skip
"""Which test exceeds which rule of a tenant."""


BESIDE_THEIR_RESOURCES = {
    "max_stored_runs": "test_stored_runs.test_stored_runs_have_a_number_that_deleting_makes_room_in",
    "max_streams": "test_server_streams.test_open_streams_are_counted_while_they_are_open",
    "max_steps": "test_steps.test_what_a_step_asks_for_is_held_against_its_tenant_when_it_is_made_and_when_it_runs",
    "max_keys": "test_server_keys.test_a_tenant_has_no_more_keys_than_it_may",
    "max_secrets": "test_server_secrets.test_a_tenant_stores_no_more_secrets_than_it_may",
}
"""Which test of another file exceeds which rule of a tenant."""


def is_rule(name: str) -> bool:
    """Whether a member of a tenant's document bounds something."""
    return name.startswith("max_") or name.endswith("_burst") or "_per_" in name


def test_every_rule_has_a_test_that_exceeds_it() -> None:
    assert set(filter(is_rule, TenantRequest.__struct_fields__)) == {*EXCEEDED, *BESIDE_THEIR_RESOURCES}
    assert set(QuotaRules.__struct_fields__) <= set(EXCEEDED)
    assert set(PartRules.__struct_fields__) == {*QuotaRules.__struct_fields__, "limits", "grants"}


@pytest.mark.parametrize("rule", BESIDE_THEIR_RESOURCES)
def test_a_rule_that_is_kept_beside_its_resource_is_exceeded_there(rule: str) -> None:
    module, name = BESIDE_THEIR_RESOURCES[rule].split(".")
    file = Path(__file__).parent / f"{module}.py"
    nodes = ast.parse(file.read_text("utf-8")).body if file.exists() else []
    tests = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    exceeding = [test for test in tests if f"{rule}=" in ast.unparse(test)]
    # Showing a rule is not keeping it.
    sources = [path for path in SERVER.rglob("*.py") if path.name not in ("documents.py", "quotas.py")]
    is_kept = any(f".{rule}" in path.read_text("utf-8") for path in sources)
    assert len(exceeding) == int(is_kept)


# Zero is zero.

FREE: dict[str, dict[str, Any]] = {"egress_bytes": {}, "rows": {"limits": {"output_rows": 0}}}
"""Requests that can need nothing of a dimension: a budget of zero is no reason to refuse them."""


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("dimension", TAKES)
def test_a_budget_of_zero_admits_nothing_that_could_need_it(server: LiveServer, dimension: str, owner: str) -> None:
    grants = {"http": ["example.com"]}
    name = f"zero-{dimension.replace('_', '-')}-{owner}"
    tenant = held_to(server, owner, name, grants=grants, **{f"{dimension}_per_day": 0})
    asked = {"grants": grants} if dimension == "egress_bytes" else {}
    refused = tenant.run("return []", **asked)
    problem = is_told(refused, status=429, rule=f"budget.{dimension}.day", value=0, owner=owner)
    assert "retry_after_seconds" not in problem
    if dimension in FREE:
        assert tenant.run("return []", **FREE[dimension]).json()["status"] == 201


@pytest.mark.parametrize(
    ("rules", "status", "rule"),
    [
        ({"requests_per_second": 0}, 429, "rate.requests"),
        ({"requests_per_second": 5, "requests_burst": 0}, 429, "rate.requests"),
        ({"bytes_per_second": 0}, 429, "rate.bytes"),
        ({"max_queued": 0}, 429, "count.queued"),
        ({"max_executing": 0}, 429, "count.executing"),
    ],
)
def test_zero_of_anything_else_admits_nothing(
    server: LiveServer, rules: dict[str, Any], status: int, rule: str
) -> None:
    tenant = server.tenant(f"zero-{'-'.join(rules).replace('_', '-')}", **rules)
    value = rules.get("requests_per_second", 0)
    assert "retry_after_seconds" not in is_told(tenant.run("return []"), status=status, rule=rule, value=value)


# Of each run.


@pytest.mark.parametrize("owner", OWNERS)
def test_every_limit_has_a_ceiling(server: LiveServer, owner: str) -> None:
    usual = Limits()
    ceilings = {name: type(getattr(usual, name))(getattr(usual, name) / 2) for name in Limits.__slots__}
    tenant = held_to(server, owner, f"limits-{owner}", limits=ceilings)
    found = tenant.run("return []").json()["limits"]
    assert found == ceilings
    for name, ceiling in ceilings.items():
        asked = min(ceiling * 2, LIMIT_RANGES[name][1])
        refused = tenant.run("return []", limits={name: asked})
        problem = is_told(refused, status=400, rule=f"limit.{name}", value=ceiling, owner=owner)
        assert problem["asked"] == asked
        assert is_shown(tenant, problem)["value"] == ceiling


@pytest.mark.parametrize("owner", OWNERS)
def test_what_a_run_may_reach_has_a_ceiling_and_is_in_the_answer(server: LiveServer, owner: str) -> None:
    wide, narrow = {"http": ["GET,POST *.example.com"]}, {"http": ["GET a.example.com"]}
    name = f"grants-{owner}"
    tenant = held_to(server, owner, name, grants=narrow if owner == "tenant" else wide)
    if owner != "tenant":
        _, manager = key_of(server, name, scopes=["keys"])
        path = "projects/p" if owner == "project" else f"keys/{tenant.key.split('_')[1]}"
        assert server.ask("PUT", f"/v1/quotas/{path}", manager.key, {"grants": narrow}).status_code == 200
    within = tenant.run("return []", grants={"http": ["GET https://a.example.com"]}).json()
    assert within["grants"] == {"http": ["GET https://a.example.com:443"], "http_private": []}
    refused = tenant.run("return []", grants=wide)
    is_told(refused, status=400, rule="grant.http", value=["GET a.example.com"], owner=owner)


def test_inputs_over_the_limit_are_refused_before_they_wait(server: LiveServer) -> None:
    tenant = server.tenant("inputs", limits={"input_bytes": 100})
    at_most = {"input_data": "x" * 48, "extra_inputs": ["y" * 48]}
    assert tenant.run("return []", **at_most).json()["status"] == 201
    over = tenant.run("return []", **{**at_most, "input_data": "x" * 49})
    assert is_told(over, status=400, rule="limit.input_bytes", value=100)["asked"] == 101


# All of them.


def test_every_rule_is_shown_with_whose_it_is_and_who_may_change_it(server: LiveServer) -> None:
    rules = {name: 1000 for name in TenantRequest.__struct_fields__ if is_rule(name)}
    tenant = server.tenant("shown", **rules)
    shown = {item["rule"]: item for item in tenant.get("/v1/quotas").json()["rules"]}
    expected = {f"count.{name.removeprefix('max_')}" for name in rules if name.startswith("max_")}
    expected = expected - {"count.wait_seconds"} | {"schedule.start_by", "rate.requests", "rate.bytes"}
    expected |= {f"budget.{dimension}.{window}" for dimension in TAKES for window in WINDOW_SECONDS}
    expected |= {f"limit.{name}" for name in Limits.__slots__}
    assert set(shown) == expected
    for name, item in shown.items():
        assert (item["owner"], item["owner_id"], item["changed_by"]) == ("tenant", "shown", "operator")
        assert name.startswith("limit.") or item["value"] == 1000
        assert not name.startswith("count.") or item["used"] == (name == "count.keys")
        assert ("resets_at" in item and item["resets_at"] is not None) is name.startswith("budget.")


# Projects and keys.


def test_rules_of_parts_are_the_tenants_own_and_below_it(server: LiveServer) -> None:
    tenant, other = server.tenant("parts", limits={"wall_seconds": 5}), server.tenant("others")
    _, manager = key_of(server, "parts", scopes=["keys", "read"])
    _, stranger = key_of(server, "others", scopes=["keys"])
    own, mine = key_of(server, "parts", project="p", scopes=["run", "read", "keys"])

    def put(path: str, key: str, **rules: Any) -> httpx.Response:
        return server.ask("PUT", f"/v1/quotas/{path}", key, rules)

    assert put("projects/p", manager.key, rows_per_day=9, limits={"wall_seconds": 4}).status_code == 200
    told = server.ask("GET", "/v1/quotas/projects/p", mine.key).json()
    assert (told["owner"], told["id"], told["rules"]["rows_per_day"]) == ("project", "p", 9)
    assert [item["rule"] for item in told["quotas"]] == ["budget.rows.day", "limit.wall_seconds"]
    assert mine.run("return []").json()["limits"]["wall_seconds"] == 4
    assert tenant.run("return []").json()["limits"]["wall_seconds"] == 5
    # A key of the project is held to its rules, so it does not set them, nor its own.
    for path in ("projects/p", f"keys/{own}", "projects/q"):
        assert put(path, mine.key).json()["rule"] == "key.project"
    assert put("projects/p", tenant.key).json()["rule"] == "key.scope"
    # What the tenant may not, its parts may not.
    is_told(put("projects/p", manager.key, limits={"wall_seconds": 6}), status=400, rule="limit.wall_seconds", value=5)
    assert put("projects/p", manager.key, grants={"http": ["a.test"]}).json()["rule"] == "grant.http"
    assert put("projects/p", manager.key, bytes_burst=1).json()["rule"] == "request"
    assert put("projects/p", manager.key, weight=1).status_code == 400
    # Keys of others are as if there were none.
    nobodys = server.ask("GET", f"/v1/quotas/keys/{'x' * 15}", stranger.key)
    assert nobodys.status_code == 404
    for method in ("GET", "PUT", "DELETE"):
        theirs = server.ask(method, f"/v1/quotas/keys/{own}", stranger.key, {} if method == "PUT" else None)
        assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    assert server.ask("GET", "/v1/quotas/projects/p", stranger.key).json()["rules"]["rows_per_day"] is None
    assert other.run("return []").json()["limits"]["wall_seconds"] == 60
    assert server.ask("DELETE", "/v1/quotas/projects/p", manager.key).status_code == 204
    assert mine.run("return []").json()["limits"]["wall_seconds"] == 5
    # The tenant's ceiling goes down: it holds for the rest, too.
    assert put("projects/p", manager.key, limits={"wall_seconds": 5}).status_code == 200
    server.tenant("parts", limits={"wall_seconds": 2})
    assert mine.run("return []").json()["limits"]["wall_seconds"] == 2


def test_a_new_budget_counts_what_was_used_of_its_day_before_it_was_set(server: LiveServer) -> None:
    tenant = server.tenant("earlier")
    assert tenant.run("return [{'a': 1}] * 7").json()["row_count"] == 7
    server.tenant("earlier", rows_per_day=10, rows_per_minute=10)
    used = {item["rule"]: item["used"] for item in tenant.get("/v1/quotas").json()["rules"]}
    # Usage is kept by the hour.
    assert (used["budget.rows.day"], used["budget.rows.minute"]) == (7, 0)


def test_a_run_reserves_what_others_of_its_statement_have_taken(server: LiveServer) -> None:
    tenant = server.tenant("reserves", rows_per_day=100)
    statement = "await sleep(INPUT_DATA)\nreturn [{'a': 1}] * 40"
    assert tenant.run(statement, input_data=0).json()["row_count"] == 40
    live = tenant.start(statement, input_data=30)
    [rule] = [item for item in tenant.get("/v1/quotas").json()["rules"] if item["rule"] == "budget.rows.day"]
    assert (rule["used"], rule["reserved"]) == (40, 40)
    # Of 20 rows that are left, this statement is expected to need 40.
    problem = is_told(tenant.run(statement, input_data=0), status=429, rule="budget.rows.day", value=100)
    assert (problem["used"], problem["asked"]) == (80, 40)
    tenant.cancel(live)
    wait_until(lambda: tenant.is_idle)
    assert tenant.run(statement, input_data=0).json()["row_count"] == 40


def test_a_burst_of_runs_does_not_overshoot_a_budget(server: LiveServer) -> None:
    tenant = server.tenant("burst", rows_per_day=100)
    statement = "return [{'a': 1}] * 30"
    assert tenant.run(statement).json()["row_count"] == 30
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: tenant.run(statement), range(30)))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 28
    assert {answer.json()["rule"] for answer in answers if answer.status_code == 429} == {"budget.rows.day"}
