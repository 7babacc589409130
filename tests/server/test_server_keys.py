"""Keys over HTTP, by tenants and by the operator, and the audit log of all that they change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.live_server import LiveServer

from wasmexec.cli import main


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own. No statement is run."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert server.terminate() == 0
        assert "Traceback" not in "".join(server.lines)


def manager_of(server: LiveServer, name: str, *scopes: str, **rules: Any) -> str:
    """A new tenant's only key, which has the scope keys and these."""
    made = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": name, **rules})
    assert made.status_code == 201, made.text
    body = {"name": "manager", "scopes": ["keys", *scopes]}
    answer = server.ask("POST", f"/v1/admin/tenants/{name}/keys", server.admin, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def issue(server: LiveServer, key: str, **body: Any) -> httpx.Response:
    return server.ask("POST", "/v1/keys", key, body)


def works(server: LiveServer, key: str) -> str | None:
    """None if a key is accepted, else the rule that refuses it."""
    answer = server.ask("GET", "/v1/usage", key)
    return None if answer.status_code == 200 else str(answer.json()["rule"])


def actions(server: LiveServer, key: str, path: str = "/v1/audit") -> list[tuple[str, str, str]]:
    """By whom, what was done, and to what; oldest first."""
    answer = server.ask("GET", f"{path}?limit=200", key)
    assert answer.status_code == 200, answer.text
    return [(item["by"], item["action"], item["target"]) for item in reversed(answer.json()["records"])]


def test_a_tenant_issues_lists_and_revokes_its_keys(server: LiveServer) -> None:
    manager = manager_of(server, "issues", "read", "run")
    made = issue(server, manager, name="ci", scopes=["read"], lifetime_seconds=3600)
    assert made.status_code == 201
    issued = made.json()
    assert (issued["tenant"], issued["name"], issued["scopes"], issued["replaces"]) == ("issues", "ci", ["read"], [])
    assert issued["expires_at"] > issued["created_at"]
    assert works(server, issued["key"]) is None
    listed = server.ask("GET", "/v1/keys", manager)
    assert [(item["name"], item["state"]) for item in listed.json()["keys"]] == [("ci", "valid"), ("manager", "valid")]
    assert not any(key.split("_")[2] in listed.text for key in (issued["key"], manager))
    assert "digest" not in listed.text
    gone = server.ask("DELETE", f"/v1/keys/{issued['id']}", manager)
    assert (gone.status_code, gone.json()["state"]) == (200, "revoked")
    assert works(server, issued["key"]) == "key.revoked"
    # Once more changes nothing.
    assert server.ask("DELETE", f"/v1/keys/{issued['id']}", manager).json() == gone.json()
    unnamed = issue(server, manager).json()
    assert unnamed["name"] == f"key-{unnamed['id'].lower()}"
    assert unnamed["scopes"] == ["read", "run"]
    assert actions(server, manager) == [
        ("operator", "tenant.create", "issues"), ("operator", "key.issue", manager.split("_")[1]),
        ("issues", "key.issue", issued["id"]), ("issues", "key.revoke", issued["id"]),
        ("issues", "key.issue", unnamed["id"]),
    ]  # fmt: skip


def test_a_key_hands_on_and_renews_no_more_than_it_has(server: LiveServer) -> None:
    manager = manager_of(server, "delegates", "read")
    for scopes in (["run"], ["read", "secrets"], ["read", "keys", "steps"]):
        refused = issue(server, manager, scopes=scopes)
        assert (refused.status_code, refused.json()["rule"]) == (403, "key.scope")
    assert issue(server, manager, scopes=["admin"]).status_code == 400
    assert issue(server, manager, scopes=["root"]).status_code == 400
    assert issue(server, manager, scopes=["keys", "read"]).status_code == 201
    path = "/v1/admin/tenants/delegates/keys"
    strong = server.ask("POST", path, server.admin, {"name": "strong", "scopes": ["run", "secrets"]}).json()
    # Who rotates a key learns the new one.
    refused = server.ask("POST", f"/v1/keys/{strong['id']}:rotate", manager, {})
    assert (refused.status_code, refused.json()["rule"]) == (403, "key.scope")
    reading = issue(server, manager, name="reading", scopes=["read"]).json()["key"]
    for method, at in (("GET", ""), ("POST", ""), ("POST", f"/{strong['id']}:rotate"), ("DELETE", f"/{strong['id']}")):
        refused = server.ask(method, f"/v1/keys{at}", reading, {})
        assert (refused.status_code, refused.json()["rule"]) == (403, "key.scope")
    assert issue(server, strong["key"]).status_code == 403


def test_rotation_leaves_both_keys_valid_for_a_while(server: LiveServer) -> None:
    manager = manager_of(server, "rotates", "read")
    old = issue(server, manager, name="ci", scopes=["read"], lifetime_seconds=5000).json()
    bystander = issue(server, manager, name="other", scopes=["read"]).json()
    turned = server.ask("POST", f"/v1/keys/{old['id']}:rotate", manager, {"overlap_seconds": 0.3})
    new = turned.json()
    assert turned.status_code == 201
    assert (new["name"], new["scopes"]) == ("ci", ["read"])
    assert new["expires_at"] >= old["expires_at"]
    assert [item["id"] for item in new["replaces"]] == [old["id"]]
    assert (works(server, old["key"]), works(server, new["key"])) == (None, None)
    time.sleep(0.35)
    assert (works(server, old["key"]), works(server, new["key"])) == ("key.expired", None)
    # By the id of any key of the name; the manager rotates itself, and at once.
    again = server.ask("POST", f"/v1/keys/{old['id']}:rotate", manager, {"overlap_seconds": 0}).json()
    assert (works(server, new["key"]), works(server, again["key"])) == ("key.expired", None)
    own = server.ask("POST", f"/v1/keys/{manager.split('_')[1]}:rotate", manager, {"overlap_seconds": 0}).json()
    assert server.ask("GET", "/v1/keys", manager).json()["rule"] == "key.expired"
    assert works(server, bystander["key"]) is None
    server.ask("DELETE", f"/v1/keys/{again['id']}", own["key"])
    dead = server.ask("POST", f"/v1/keys/{again['id']}:rotate", own["key"], {})
    assert (dead.status_code, dead.json()["rule"]) == (409, "key.valid")
    taken = issue(server, own["key"], name="other", scopes=["read"])
    assert (taken.status_code, taken.json()["rule"]) == (409, "key.name")
    assert issue(server, own["key"], name="ci", scopes=["read"]).status_code == 201


def test_of_rotations_at_once_two_keys_are_left(server: LiveServer) -> None:
    manager = manager_of(server, "races", "read")
    first = issue(server, manager, name="ci", scopes=["read"]).json()
    with ThreadPoolExecutor(8) as pool:
        turns = list(
            pool.map(lambda _: server.ask("POST", f"/v1/keys/{first['id']}:rotate", manager, {}), range(8))
        )  # fmt: skip
        assert [turn.status_code for turn in turns] == [201] * 8
        named = list(pool.map(lambda _: issue(server, manager, name="one", scopes=["read"]).status_code, range(8)))
    assert sorted(named) == [201] + [409] * 7
    texts = [first["key"], *(turn.json()["key"] for turn in turns)]
    assert sum(works(server, text) is None for text in texts) == 2


def test_a_tenant_has_no_more_keys_than_it_may(server: LiveServer) -> None:
    manager = manager_of(server, "counts", "read", max_keys=3)
    one = issue(server, manager, name="one", scopes=["read"]).json()
    assert issue(server, manager, name="two", scopes=["read"]).status_code == 201
    over = issue(server, manager, name="three", scopes=["read"])
    problem = over.json()
    assert (over.status_code, problem["rule"], problem["value"], problem["used"]) == (409, "count.keys", 3, 3)
    assert problem["changed_by"] == "operator"
    # The operator is held to it, too; a rotation is not one more, and a revoked one none.
    path = "/v1/admin/tenants/counts/keys"
    assert server.ask("POST", path, server.admin, {}).json()["rule"] == "count.keys"
    assert server.ask("POST", f"/v1/keys/{one['id']}:rotate", manager, {}).status_code == 201
    for item in server.ask("GET", "/v1/keys", manager).json()["keys"]:
        if item["name"] == "one":
            server.ask("DELETE", f"/v1/keys/{item['id']}", manager)
    assert issue(server, manager, name="three", scopes=["read"]).status_code == 201


def test_a_key_of_a_project_issues_none_and_rules_of_a_key_outlive_its_rotation(server: LiveServer) -> None:
    manager = manager_of(server, "projects", "read")
    bound = issue(server, manager, name="bound", scopes=["keys", "read"], project="p1").json()
    beside = issue(server, manager, name="beside", scopes=["read"]).json()
    assert (bound["project"], beside["project"]) == ("p1", None)
    for method, at in (("POST", ""), ("POST", f"/{bound['id']}:rotate"), ("DELETE", f"/{beside['id']}")):
        refused = server.ask(method, f"/v1/keys{at}", bound["key"], {"scopes": ["read"]} if not at else {})
        assert (refused.status_code, refused.json()["rule"]) == (403, "key.project")
    seen = server.ask("GET", "/v1/keys", bound["key"]).json()["keys"]
    assert [item["name"] for item in seen] == ["bound"]
    rules = server.ask("PUT", f"/v1/quotas/keys/{beside['id']}", manager, {"limits": {"wall_seconds": 3}})
    assert rules.status_code == 200, rules.text
    turned = server.ask("POST", f"/v1/keys/{beside['id']}:rotate", manager, {}).json()
    assert server.ask("GET", "/v1/quotas", turned["key"]).json()["limits"]["wall_seconds"] == 3
    again = server.ask("POST", f"/v1/keys/{bound['id']}:rotate", manager, {}).json()
    assert again["project"] == "p1"
    assert server.ask("DELETE", f"/v1/quotas/keys/{beside['id']}", manager).status_code == 204
    assert actions(server, manager)[-5:] == [
        ("projects", "rules.put", f"key/{beside['id']}"), ("projects", "key.rotate", turned["id"]),
        ("projects", "rules.put", f"key/{turned['id']}"), ("projects", "key.rotate", again["id"]),
        ("projects", "rules.delete", f"key/{beside['id']}"),
    ]  # fmt: skip


def test_a_key_of_another_tenant_looks_as_if_it_did_not_exist(server: LiveServer) -> None:
    manager, other = manager_of(server, "owner", "read"), manager_of(server, "stranger", "read")
    theirs = manager.split("_")[1]
    for method, end in (("DELETE", ""), ("POST", ":rotate")):
        found = server.ask(method, f"/v1/keys/{theirs}{end}", other, {})
        nobodys = server.ask(method, f"/v1/keys/{'x' * 15}{end}", other, {})
        assert (found.status_code, found.content) == (404, nobodys.content)
        # The operator's are none of a tenant's, nor a tenant's another's.
        admins = server.ask(method, f"/v1/keys/{server.admin.split('_')[1]}{end}", other, {})
        assert (admins.status_code, admins.content) == (404, nobodys.content)
        path = f"/v1/admin/tenants/stranger/keys/{theirs}{end}"
        assert server.ask(method, path, server.admin, {}).status_code == 404
    assert works(server, manager) is None
    for path in ("/v1/admin/tenants/operator/keys", "/v1/admin/tenants/nobody/keys"):
        assert server.ask("GET", path, server.admin).status_code == 404
    for method, path in (("GET", "/v1/admin/keys"), ("POST", "/v1/admin/keys"), ("GET", "/v1/admin/audit"),
                         ("GET", "/v1/admin/tenants/owner/keys")):  # fmt: skip
        assert server.ask(method, path, manager, {}).json()["rule"] == "key.scope"


def test_the_operator_manages_the_keys_of_tenants(server: LiveServer) -> None:
    manager = manager_of(server, "managed")
    path = "/v1/admin/tenants/managed/keys"
    assert [item["name"] for item in server.ask("GET", path, server.admin).json()["keys"]] == ["manager"]
    turned = server.ask("POST", f"{path}/{manager.split('_')[1]}:rotate", server.admin, {"overlap_seconds": 0})
    assert turned.status_code == 201
    assert turned.json()["scopes"] == ["keys"]
    assert server.ask("DELETE", f"{path}/{turned.json()['id']}", server.admin).json()["state"] == "revoked"
    assert server.ask("GET", "/v1/keys", turned.json()["key"]).json()["rule"] == "key.revoked"


def test_the_operators_own_key_is_rotated_and_the_last_one_stays(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        own = server.admin.split("_")[1]
        last = server.ask("DELETE", f"/v1/admin/keys/{own}", server.admin)
        assert (last.status_code, last.json()["rule"]) == (409, "key.last")
        turned = server.ask("POST", f"/v1/admin/keys/{own}:rotate", server.admin, {"overlap_seconds": 0}).json()
        assert turned["scopes"] == ["admin"]
        assert server.ask("GET", "/v1/admin/keys", server.admin).json()["rule"] == "key.expired"
        second = server.ask("POST", "/v1/admin/keys", turned["key"], {"name": "second", "lifetime_seconds": 60}).json()
        assert server.ask("DELETE", f"/v1/admin/keys/{turned['id']}", second["key"]).json()["state"] == "revoked"
        assert server.ask("DELETE", f"/v1/admin/keys/{second['id']}", second["key"]).json()["rule"] == "key.last"
        listed = server.ask("GET", "/v1/admin/keys", second["key"]).json()["keys"]
        assert sorted(item["state"] for item in listed) == ["expired", "revoked", "valid"]
        assert actions(server, second["key"], "/v1/admin/audit") == [
            ("server", "key.issue", own), ("operator", "key.rotate", turned["id"]),
            ("operator", "key.issue", second["id"]), ("operator", "key.revoke", turned["id"]),
        ]  # fmt: skip
        server.kill()
    with LiveServer(tmp_path, admin=second["key"]) as again:
        # What was changed outlives the server.
        states = {item["id"]: item["state"] for item in again.ask("GET", "/v1/admin/keys", again.admin).json()["keys"]}
        assert states == {own: "expired", turned["id"]: "revoked", second["id"]: "valid"}
        assert "admin key" not in "".join(again.lines)


def test_the_audit_log_is_paged_without_gaps_and_each_tenant_has_its_own(server: LiveServer) -> None:
    manager, other = manager_of(server, "pages", "read"), manager_of(server, "beside", "read")
    for number in range(5):
        assert issue(server, manager, name=f"k{number}", scopes=["read"]).status_code == 201
        assert issue(server, other, name=f"o{number}", scopes=["read"]).status_code == 201
    found: list[str] = []
    cursor, pages = "", 0
    while True:
        page = server.ask("GET", f"/v1/audit?limit=3{cursor}", manager).json()
        pages += 1
        found += [item["detail"].get("name", item["action"]) for item in page["records"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        # SECURITY: it tells nothing of others, and is of no use to them.
        assert server.ask("GET", f"/v1/audit?limit=3{cursor}", other).json()["rule"] == "query"
        assert server.ask("GET", f"/v1/admin/audit?limit=3{cursor}", server.admin).status_code == 400
    assert found == ["k4", "k3", "k2", "k1", "k0", "manager", "tenant.create"]
    assert pages == 3
    assert not any(item in str(page) for item in ("number", "hash", "beside"))
    for wrong in ("limit=0", "limit=201", "cursor=x", "cursor=AAAA", "more=1", "limit=1&limit=2"):
        refused = server.ask("GET", f"/v1/audit?{wrong}", manager)
        assert (refused.status_code, refused.json()["rule"]) == (400, "query")
    by_operator = server.ask("GET", "/v1/admin/audit?tenant=pages&limit=200", server.admin).json()
    assert [item["tenant"] for item in by_operator["records"]] == ["pages"] * 7
    everything = server.ask("GET", "/v1/admin/audit?limit=200", server.admin).json()
    numbers = [item["number"] for item in everything["records"]]
    assert numbers == sorted(numbers, reverse=True)
    assert {item["tenant"] for item in everything["records"]} >= {"pages", "beside", "operator"}


def test_a_tenant_sees_nothing_of_another_that_had_its_name(server: LiveServer) -> None:
    manager_of(server, "named", "read")
    assert server.ask("DELETE", "/v1/admin/tenants/named", server.admin).status_code == 204
    again = manager_of(server, "named", "read")
    assert [action for _, action, _ in actions(server, again)] == ["tenant.create", "key.issue"]
    assert [action for _, action, _ in actions(server, server.admin, "/v1/admin/audit")][-5:] == [
        "tenant.create", "key.issue", "tenant.delete", "tenant.create", "key.issue",
    ]  # fmt: skip
    assert server.ask("GET", "/v1/keys", again).json()["keys"][0]["name"] == "manager"


def test_a_tenants_rules_are_on_record_as_they_were_and_are(server: LiveServer) -> None:
    manager = manager_of(server, "ruled", "read", weight=2)
    before = len(actions(server, manager))
    for _ in range(2):
        changed = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": "ruled", "weight": 3, "max_keys": 7})
        assert changed.status_code == 200
    # The same once more is no change.
    assert len(actions(server, manager)) == before + 1
    record = server.ask("GET", "/v1/audit?limit=1", manager).json()["records"][0]
    assert (record["by"], record["action"], record["target"]) == ("operator", "tenant.change", "ruled")
    assert record["key_id"] == server.admin.split("_")[1]
    assert record["detail"] == {"before": {"weight": 2, "max_keys": None}, "after": {"weight": 3, "max_keys": 7}}


def test_the_chain_is_whole_while_the_server_runs_and_its_anchor_finds_what_is_cut_off(
    server: LiveServer, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = manager_of(server, "chained", "read")
    anchor = server.ask("GET", "/v1/admin/audit", server.admin).json()["anchor"]
    issue(server, manager, scopes=["read"])
    store = str(server.folder / "store.sqlite3")
    assert main(["serve", "audit", "verify", "--store", store, "--anchor", anchor]) == 0
    capfd.readouterr()
    rows, digits = anchor.split(":")
    assert main(["serve", "audit", "verify", "--store", store, "--anchor", f"{int(rows) - 1}:{digits}"]) == 1
    assert f"broken at row {int(rows) - 1:,}" in capfd.readouterr().err
