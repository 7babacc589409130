"""Usage over HTTP, added up and exported, against the records of the runs; and budgets after a restart."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

from wasmexec.server.storage.tables import COUNTS

SECONDS = {"cpu_us": "cpu_seconds", "wall_us": "wall_seconds", "gb_us": "gb_seconds"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    with LiveServer(tmp_path_factory.mktemp("usage")) as server:
        yield server.until_ready()


def key_of(server: LiveServer, tenant: str, project: str | None) -> tuple[str, Tenant]:
    answer = server.ask("POST", f"/v1/admin/tenants/{tenant}/keys", server.admin, {"project": project})
    return answer.json()["id"], Tenant(server, answer.json()["key"])


def costs_of(run: dict[str, Any]) -> Counter[str]:
    """What usage counts of the record of a run."""
    usage = run["usage"]
    costs: Counter[str] = Counter(runs=1, failed=int(run["status"] >= 300))
    for name in COUNTS[2:]:
        if name in SECONDS:
            costs[name] = round(usage[SECONDS[name]] * 1_000_000)
        else:
            costs[name] = usage[name] if name in usage else run[name]
    return costs


def test_usage_and_its_exports_are_the_sum_of_the_records(server: LiveServer) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        server.tenant("sums", grants=grants)
        keys = [key_of(server, "sums", project) for project in (None, "p", "p", "q")]
        statements = [
            "return [{'a': 1}] * 3", "1 / 0", "log.info('é' * 100)\nreturn []",
            f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nreturn [{{'a': 1}}]",
        ]  # fmt: skip
        runs: dict[str, list[str]] = {}
        for key_id, tenant in keys:
            runs[key_id] = [tenant.run(text, grants=grants).json()["id"] for text in statements]
            runs[key_id].append(tenant.start(statements[0]))
    tenant = keys[0][1]
    wait_until(lambda: tenant.usage["runs"] == 20)
    by_key = {key_id: total(costs_of(tenant.look(run_id)) for run_id in found) for key_id, found in runs.items()}
    expected = total(by_key.values())
    assert expected["http_requests"] == 4
    assert expected["http_bytes_sent"] > 200
    assert expected["log_bytes"] > 4 * 200
    assert expected["gb_us"] > 0
    document = tenant.get("/v1/usage").json()
    assert Counter(document["total"]) == expected
    assert total(Counter({name: hour[name] for name in COUNTS}) for hour in document["hours"]) == expected
    for form, accept in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        answer = tenant.get(f"/v1/usage?format={form}")
        assert answer.headers["content-type"] == accept
        named = server.ask("GET", "/v1/usage", tenant.key, accept=f"{accept}, */*;q=0.1")
        assert named.content == answer.content
        lines = lines_of(form, answer.text)
        assert {line["key_id"]: Counter({name: int(line[name]) for name in COUNTS}) for line in lines} == by_key
        assert sorted(line["project"] for line in lines) == ["", "p", "p", "q"]
        assert {line["tenant"] for line in lines} == {"sums"}
        hours = {datetime.fromisoformat(line["hour"]).timestamp() for line in lines}
        assert hours == {hour["hour"] for hour in document["hours"]}
    for query, chosen in (
        ("project=p", [keys[1][0], keys[2][0]]), ("project=", [keys[0][0]]), (f"key={keys[3][0]}", [keys[3][0]]),
        ("project=nobody", []), (f"project=q&key={keys[0][0]}", []),
    ):  # fmt: skip
        found = Counter(tenant.get(f"/v1/usage?{query}").json()["total"])
        assert found == total(by_key[key_id] for key_id in chosen), query


def total(counts: Iterable[Counter[str]]) -> Counter[str]:
    """Their sum, what is zero in all of them included."""
    found: Counter[str] = Counter()
    for item in counts:
        found.update(item)
    return found


def test_the_operator_sees_the_usage_of_all_and_of_each(server: LiveServer) -> None:
    tenants = [server.tenant(name) for name in ("one", "two")]
    for tenant in tenants:
        assert tenant.run("return [{'a': 1}]").json()["row_count"] == 1
    wait_until(lambda: [tenant.usage["runs"] for tenant in tenants] == [1, 1])
    tenant = tenants[1]
    lines = lines_of("csv", server.ask("GET", "/v1/admin/usage?format=csv", server.admin).text)
    assert [(line["tenant"], line["row_count"]) for line in lines if line["tenant"] in ("one", "two")] == [
        ("one", "1"), ("two", "1")
    ]  # fmt: skip
    both = server.ask("GET", "/v1/admin/usage", server.admin).json()
    assert both["total"]["runs"] == sum(int(line["runs"]) for line in lines)
    assert server.ask("GET", "/v1/admin/usage?tenant=two", server.admin).json()["total"] == tenant.usage
    rules = server.ask("GET", "/v1/admin/tenants/two/quotas", server.admin).json()
    assert rules == tenant.get("/v1/quotas").json()
    assert server.ask("GET", "/v1/admin/tenants/none/quotas", server.admin).status_code == 404
    for path in ("/v1/admin/usage", "/v1/admin/tenants/two/quotas"):
        assert server.ask("GET", path, tenant.key).json()["rule"] == "key.scope"


def lines_of(form: str, text: str) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


def test_hours_are_chosen_by_when_they_begin(server: LiveServer) -> None:
    tenant = server.tenant("hours")
    assert tenant.run("return []").json()["status"] == 201
    wait_until(lambda: tenant.usage["runs"] == 1)
    [hour] = tenant.get("/v1/usage").json()["hours"]
    begins = hour["hour"]

    def runs(**query: Any) -> int:
        answer = server.client.get("/v1/usage", params=query, headers={"Authorization": f"Bearer {tenant.key}"})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["total"]["runs"])

    def text(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat()

    assert runs(since=text(begins), until=text(begins + 1)) == 1
    assert runs(since=text(begins - 3600), until=text(begins)) == 0
    assert runs(since=text(begins + 1), until=text(begins + 7200)) == 0
    assert runs(days=1) == 1
    for query in ("since=yesterday", "since=2026-01-01T00:00:00", "format=xml", "days=0", "hours=1", "key=" + "x" * 41):
        refused = tenant.get(f"/v1/usage?{query}")
        assert (refused.status_code, refused.json()["rule"]) == (400, "query"), query
    assert server.ask("GET", "/v1/usage", tenant.key, accept="image/png").status_code == 406


def test_budgets_go_on_exactly_where_a_killed_server_left_them(tmp_path: Path) -> None:
    """Debts included: what is used of each window is in the transaction that records the run."""
    rules: dict[str, Any] = {
        "rows_per_minute": 2,
        "rows_per_day": 1000,
        "cpu_seconds_per_month": 100,
        "gb_seconds_per_day": 100,
    }
    with LiveServer(tmp_path) as server:
        rules["limits"] = {"wall_seconds": 20}
        server.until_ready().tenant("acme", **rules)
        key_id, tenant = key_of(server, "acme", "p")
        manager = server.ask("POST", "/v1/admin/tenants/acme/keys", server.admin, {"scopes": ["keys"]}).json()["key"]
        for path in ("projects/p", f"keys/{key_id}"):
            assert server.ask("PUT", f"/v1/quotas/{path}", manager, {"rows_per_day": 500}).status_code == 200
        assert tenant.run("return [{'a': 1}] * 70").json()["row_count"] == 70
        assert tenant.run("return []").json()["rule"] == "budget.rows.minute"
        server.tenant("acme", **{**rules, "rows_per_minute": None})
        for _ in range(5):
            assert tenant.run("return [{'a': 1}]", limits={"output_rows": 9}).json()["row_count"] == 1
        server.tenant("acme", **rules)
        assert tenant.run("return [{'a': 1}] * 70").json()["row_count"] == 70
        wait_until(lambda: tenant.usage["runs"] == 7)
        before, admin, usage = budgets_of(tenant), server.admin, tenant.usage
        server.kill()
    # The next server allows less than the tenant was given.
    with LiveServer(tmp_path, admin=admin, settings="[limits]\nwall_seconds = 5") as server:
        tenant = Tenant(server, tenant.key)
        assert tenant.get("/v1/quotas").json()["limits"]["wall_seconds"] == 5
        after = budgets_of(tenant)
        minute = ("tenant", "budget.rows.minute")
        # The debt of the last minute: one or two minutes have paid for two rows each.
        assert before.pop(minute) - after.pop(minute) in (0, 2, 4)
        assert after == before
        assert tenant.run("return []").json()["rule"] == "budget.rows.minute"
        for owner in ("tenant", "project", "key"):
            assert after[owner, "budget.rows.day"] == usage["row_count"] == 145
        assert after["tenant", "budget.cpu_seconds.month"] == usage["cpu_us"] / 1e6
        assert after["tenant", "budget.gb_seconds.day"] == usage["gb_us"] / 1e6


def budgets_of(tenant: Tenant) -> dict[tuple[str, str], float]:
    """What is used of every budget, by whose it is."""
    rules = tenant.get("/v1/quotas").json()["rules"]
    return {(item["owner"], item["rule"]): item["used"] for item in rules if item["rule"].startswith("budget.")}
