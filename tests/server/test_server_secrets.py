"""Secrets at rest and stored secrets: what the files of the server have, what tenants can do with them, and not see."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

from wasmexec.cli import main

VALUE = "correct-horse-battery-9"
COMPUTES = "while True:\n    pass"
NEWER = "wrong-donkey-capacitor-7"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        said = "".join(server.lines)
        assert "invariant" not in said
        assert "Traceback" not in said
        assert VALUE not in said


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with WebServer() as web:
        yield web


def tenant_of(server: LiveServer, name: str, web: WebServer | None = None, **rules: Any) -> tuple[Tenant, str]:
    """A tenant that may reach a server, and a key of it for secrets alone."""
    grants = {} if web is None else {"http_private": [web.authority]}
    tenant = server.tenant(name, grants=grants, **rules)
    answer = server.ask("POST", f"/v1/admin/tenants/{name}/keys", server.admin, {"scopes": ["secrets"]})
    assert answer.status_code == 201, answer.text
    return tenant, answer.json()["key"]


def put(server: LiveServer, key: str, name: str, value: str, *hosts: str, **more: Any) -> httpx.Response:
    return server.ask("PUT", f"/v1/secrets/{name}", key, {"value": value, "hosts": list(hosts), **more})


def files_have(folder: Path, marker: str) -> bool:
    """Whether any file of the store has a text, as it is or in Base64 at any of its three places."""
    texts = {marker.encode()}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + marker.encode())
        texts.add(encoded[4 * ((before + 2) // 3) : len(encoded) - 4])
    contents = [file.read_bytes() for file in folder.iterdir() if file.is_file()]
    assert sum(map(len, contents)) > 10_000
    return any(text in content for text in texts for content in contents)


def test_no_file_has_the_secrets_and_inputs_of_a_run_whether_it_waits_or_has_ended(tmp_path: Path) -> None:
    request: dict[str, Any] = {
        "secrets": {"plain": "MARKER-of-a-plain-secret", "bound": {"value": VALUE, "hosts": ["api.example.com"]}},
        "input_data": [{"text": "MARKER-of-the-input"}], "extra_inputs": [[{"text": "MARKER-of-a-second-input"}]],
        "local_variables": {"text": "MARKER-of-a-variable"}, "checkpoint": {"text": "MARKER-of-a-checkpoint"},
    }  # fmt: skip
    statement = (
        "# MARKER-of-the-statement\n"
        "return [{'all': [LocalVariable.plain[:8], *INPUT_DATA, *INPUT_DATA2, LocalVariable.text, DATA_CHECKPOINT]}]"
    )
    with LiveServer(tmp_path) as server:
        tenant = server.until_ready().tenant("marker-in-clear", max_executing=1)
        computing = tenant.start(COMPUTES)
        tenant.until(computing, state="running")
        run_id = tenant.start(statement, **request)
        # It is on disk already, whole: the next server runs it.
        assert files_have(tmp_path, "marker-in-clear")
        assert files_have(tmp_path, run_id)
        assert not files_have(tmp_path, "MARKER-of-")
        assert not files_have(tmp_path, VALUE)
        server.kill()
    with LiveServer(tmp_path, admin=server.admin) as second:
        assert not files_have(tmp_path, "MARKER-of-")
        tenant = Tenant(second, tenant.key)
        assert tenant.look(run_id)["state"] == "queued"
        tenant.cancel(computing)
        assert tenant.until(run_id, state="ended")["status"] == 200
        [row] = tenant.get(f"/v1/runs/{run_id}/rows").json()
        assert row["all"] == [
            "MARKER-o", {"text": "MARKER-of-the-input"}, {"text": "MARKER-of-a-second-input"}, "MARKER-of-a-variable",
            {"text": "MARKER-of-a-checkpoint"},
        ]  # fmt: skip
    # All is on disk now, and the search finds what is not sealed.
    assert files_have(tmp_path, "marker-in-clear")
    assert files_have(tmp_path, run_id)
    assert not files_have(tmp_path, "MARKER-of-")
    assert not files_have(tmp_path, VALUE)


def test_a_stored_secret_is_sent_to_its_hosts_and_seen_by_nobody(server: LiveServer, web: WebServer) -> None:
    tenant, key = tenant_of(server, "stores", web)
    host = f"http://{web.authority}"
    made = put(server, key, "stripe_key", VALUE, host)
    assert made.status_code == 201
    found = made.json()
    assert {name: found[name] for name in ("name", "version", "hosts", "also_in")} == {
        "name": "stripe_key", "version": 1, "hosts": [host], "also_in": [],
    }  # fmt: skip
    statement = (
        "import httpx\n"
        f"r = await httpx.AsyncClient().get('{web.url('/echo')}', headers={{'x-key': LocalVariable.KEY}})\n"
        "log.info(LocalVariable.KEY)\n"
        "return [{'held': LocalVariable.KEY, 'echo': r.text}]"
    )
    grants = {"http_private": [web.authority]}
    answer = tenant.run(statement, stored_secrets={"KEY": "stripe_key"}, grants=grants)
    assert answer.json()["status"] == 200, answer.text
    assert web.headers_seen[-1]["x-key"] == VALUE
    changed = put(server, key, "stripe_key", NEWER, host, also_in=["url"])
    assert (changed.status_code, changed.json()["version"], changed.json()["also_in"]) == (200, 2, ["url"])
    assert changed.json()["created_at"] == found["created_at"]
    assert tenant.run(statement, stored_secrets={"KEY": "stripe_key"}, grants=grants).json()["status"] == 200
    assert web.headers_seen[-1]["x-key"] == NEWER
    listed = server.ask("GET", "/v1/secrets", key)
    assert [item["name"] for item in listed.json()["secrets"]] == ["stripe_key"]
    trail = tenant.get("/v1/audit")
    assert [(item["action"], item["target"]) for item in trail.json()["records"][:2]] == [
        ("secret.put", "stripe_key"), ("secret.put", "stripe_key"),
    ]  # fmt: skip
    assert trail.json()["records"][0]["detail"] == {
        "before": {"version": 1, "hosts": [host], "also_in": []},
        "after": {"version": 2, "hosts": [host], "also_in": ["url"]},
    }
    everything = [made, answer, changed, listed, trail, server.ask("GET", "/v1/admin/audit", server.admin)]
    for value in (VALUE, NEWER):
        assert not any(value in item.text for item in everything)
        assert not files_have(server.folder, value)
    assert server.ask("GET", "/v1/secrets/stripe_key", key).status_code == 405


def test_a_run_has_the_value_of_its_submission(server: LiveServer, web: WebServer) -> None:
    tenant, key = tenant_of(server, "waits", web, max_executing=1)
    computing = tenant.start(COMPUTES)
    tenant.until(computing, state="running")
    put(server, key, "k", VALUE, f"http://{web.authority}")
    get = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}', headers={{'x': LocalVariable.K}})\nreturn []"
    run_id = tenant.start(get, stored_secrets={"K": "k"}, grants={"http_private": [web.authority]})
    put(server, key, "k", NEWER, f"http://{web.authority}")
    assert server.ask("DELETE", "/v1/secrets/k", key).status_code == 204
    gone = tenant.run("return []", stored_secrets={"K": "k"})
    assert (gone.status_code, gone.json()["rule"], gone.json()["asked"]) == (400, "secret.stored", "k")
    tenant.cancel(computing)
    assert tenant.until(run_id, state="ended")["status"] == 201
    assert web.headers_seen[-1]["x"] == VALUE


def test_what_is_no_secret_is_not_stored(server: LiveServer) -> None:
    tenant, key = tenant_of(server, "refused")
    path = "/v1/secrets/k"
    for body, message in (
        ({"value": "aaaaaaaaaaaa", "hosts": ["a.example"]}, "must be hard to guess"),
        ({"value": "a1-Z9", "hosts": ["a.example"]}, "must have 8 to 4,096 characters"),
        ({"value": VALUE, "hosts": []}, "at least one host"),
        ({"value": VALUE, "hosts": ["a b"]}, "is not a host name"),
        ({"value": VALUE, "hosts": ["a.example"], "also_in": ["cookie"]}, 'neither "url" nor "body"'),
        # A plain one is in the hands of statements, and who may run those may not read secrets.
        ({"value": VALUE}, "hosts"),
        ({"value": VALUE, "hosts": ["a.example"], "more": 1}, "more"),
    ):
        answer = server.ask("PUT", path, key, body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert message in answer.json()["detail"]
        assert str(body["value"]) not in answer.text
    for name in ("a.b", "é", "x" * 65):
        assert server.ask("PUT", f"/v1/secrets/{name}", key, {"value": VALUE, "hosts": ["a.b"]}).status_code == 404
    assert server.ask("GET", "/v1/secrets", key).json() == {"secrets": []}
    both = tenant.run("return []", secrets={"K": "hunter22"}, stored_secrets={"K": "k"})
    assert (both.status_code, both.json()["rule"]) == (400, "secret.name")
    for method, at in (("GET", "/v1/secrets"), ("PUT", path), ("DELETE", path)):
        forbidden = server.ask(method, at, tenant.key, {"value": VALUE, "hosts": ["a.example"]})
        assert (forbidden.status_code, forbidden.json()["rule"]) == (403, "key.scope")


def test_a_tenant_sees_uses_and_deletes_its_own_secrets_only(server: LiveServer) -> None:
    _, owner = tenant_of(server, "owns")
    other, others = tenant_of(server, "other")
    put(server, owner, "k", VALUE, "a.example")
    assert server.ask("GET", "/v1/secrets", others).json() == {"secrets": []}
    theirs, nobodys = (server.ask("DELETE", f"/v1/secrets/{name}", others) for name in ("k", "none"))
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    refused = [other.run("return []", stored_secrets={"K": name}).json() for name in ("k", "none")]
    assert refused[0] == json.loads(json.dumps(refused[1]).replace("none", "k"))
    assert put(server, others, "k", NEWER, "b.example").json()["version"] == 1
    assert server.ask("GET", "/v1/secrets", owner).json()["secrets"][0]["hosts"] == ["a.example"]


def test_a_tenant_stores_no_more_secrets_than_it_may(server: LiveServer) -> None:
    _, key = tenant_of(server, "counts", max_secrets=2)
    for name in ("a", "b"):
        assert put(server, key, name, VALUE, "a.example").status_code == 201
    over = put(server, key, "c", VALUE, "a.example")
    problem = over.json()
    assert (over.status_code, problem["rule"], problem["value"], problem["used"]) == (409, "count.secrets", 2, 2)
    assert problem["changed_by"] == "operator"
    # One that is there can be changed, and a place that is free be taken.
    assert put(server, key, "a", NEWER, "a.example").status_code == 200
    assert server.ask("DELETE", "/v1/secrets/a", key).status_code == 204
    assert put(server, key, "c", VALUE, "a.example").status_code == 201
    _, none = tenant_of(server, "none", max_secrets=0)
    assert put(server, none, "a", VALUE, "a.example").json()["rule"] == "count.secrets"


def test_another_key_ends_the_start_and_a_row_that_was_moved_is_of_no_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store, kept = str(tmp_path / "store.sqlite3"), tmp_path / "store.sqlite3.key"
    with LiveServer(tmp_path) as server:
        owner, key = tenant_of(server, "acme")
        other, _ = tenant_of(server, "globex")
        put(server, key, "mine", VALUE, "a.example")
        put(server, key, "moved", VALUE, "a.example")
        server.kill()
    database = sqlite3.connect(store)
    database.execute("UPDATE wx_server_secrets SET tenant = 'globex' WHERE name = 'moved'")
    database.commit()
    database.close()
    kept.rename(tmp_path / "kept")
    with pytest.raises(AssertionError, match=r"the key file .* cannot be read: No such file or directory"):
        LiveServer(tmp_path, admin=server.admin)
    (tmp_path / "kept").rename(kept)
    assert main(["serve", "rotate-secrets-key", "--store", store]) == 0
    assert f"{kept} has 2 keys; the server seals with the new one from its next start" in capfd.readouterr().err
    with LiveServer(tmp_path, admin=server.admin) as second:
        wait_until(lambda: f"seals nothing any more: its line can be taken out of {kept}" in "".join(second.lines))
        owner, other = Tenant(second, owner.key), Tenant(second, other.key)
        assert owner.run("return []", stored_secrets={"K": "mine"}).json()["status"] == 201
        answer = other.run("return []", stored_secrets={"K": "moved"})
        assert (answer.status_code, answer.json()["rule"]) == (400, "secret.sealed")
        wait_until(lambda: "a stored secret of globex: secret moved " in "".join(second.lines))
        assert other.run("return []").json()["status"] == 201
