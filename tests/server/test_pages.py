"""Every example with curl on the pages of the server works as it stands there, and has the answer that it should."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from tests.reading import read
from tests.server.api_tester import issue_key, with_every_scope
from tests.server.live_server import LiveServer, wait_until
from tests.server.typed_page import Reader, commands_of

from wasmexec.server.tenants.keys import Scope

USUAL = "http://127.0.0.1:8700"
"""Where the server of the pages listens."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server"), settings='access_log = "access.log"') as server:
        yield server.until_ready()


def test_the_page_for_tenants(server: LiveServer, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not there: an example of the page uses it")
    page = read("docs/tenants.md")
    # Its requests go to somebody else's server: what they may not send is said by the limit, and nothing goes out.
    tenant = with_every_scope(
        server, "reader", grants={"http": ["https://api.stripe.com"]}, limits={"http_requests": 0}
    )  # fmt: skip
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (statement,) = (text for language, text in blocks if not language and text.startswith("import httpx\n"))
    (tmp_path / "balance.py").write_text(statement)
    reader = Reader(server, tmp_path, {"URL": server.url, "KEY": tenant.key})
    typed = [reader.type(command) for command in commands_of(page)]
    assert len(typed) >= 30
    by_operation = {one.operation: one for one in typed}
    # The order of the page.
    assert typed[0].document["rows"] == [{"a": 1}]
    assert (typed[1].status, typed[2].document["status"], typed[3].document) == (202, 201, [])
    assert [line["message"] for line in typed[0].document["logs"]] == ["hello"]
    answers = [json.loads(line) for line in by_operation["POST /v1/runs:batch"].body.splitlines()]
    assert {answer["id"]: answer["run"]["rows"] for answer in answers} == {"one": [{"a": 1}], "two": [{"b": 2}]}
    assert by_operation["POST /v1/runs/{id}:replay"].document["replay"]["is_identical"] is False
    error = by_operation["POST /v1/runs"].document["error"]
    assert (error["type_name"], "http_requests" in error["message"]) == ("httpx.TransportError", True), error
    assert by_operation["GET /v1/steps/{name}/runs/{id}"].document["status"] == 200
    assert by_operation["GET /v1/steps/{name}/runs/{id}/rows"].document == [{"id": 2}, {"id": 4}]
    assert by_operation["GET /v1/steps/{name}/runs/{id}/errors"].document["errors"] == []
    assert by_operation["GET /v1/steps/{name}/checkpoint"].document["value"] == 4
    assert by_operation["PUT /v1/steps/{name}/checkpoint"].document["value"] == 0
    assert by_operation["DELETE /v1/keys/{id}"].document["state"] == "revoked"


def test_the_page_on_serving(server: LiveServer, tmp_path: Path) -> None:
    page = read("docs/serving.md")
    manager = with_every_scope(server, "manager", grants={"http": ["GET https://api.example.com"]})
    reader = Reader(server, tmp_path, {"ADMIN": server.admin, "KEY": manager.key}, {USUAL: server.url})
    typed = {one.operation: one for one in map(reader.type, commands_of(page))}
    assert typed["POST /v1/admin/tenants"].document["cpu_seconds_per_day"] == 3600
    assert typed["POST /v1/admin/tenants/{name}/keys"].document["tenant"] == "acme"
    assert typed["POST /v1/runs"].document["rows"] == [{"a": 1}]
    assert typed["PUT /v1/quotas/projects/{name}"].document["rules"]["rows_per_month"] == 10_000_000
    # What is shown as a refusal is what this tenant gets.
    (shown,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    key = issue_key(server, "acme", [Scope.RUN])["key"]
    refused = server.ask("POST", "/v1/runs", key, {"statement": "return []", "limits": {"wall_seconds": 100}})
    assert (refused.status_code, refused.json()) == (shown["status"], shown)


def test_the_page_on_operating(server: LiveServer, tmp_path: Path) -> None:
    page = read("docs/operating.md")
    assert [*commands_of(page)] == []
    # It has one on its own line of text, for a server at a path.
    command, *others = re.findall(r"`(curl [^`]*)`", page)
    assert not others
    path = tmp_path / "socket"
    options = ["--listen", f"unix:{path}", "--store", f"{path}.sqlite3", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "wasmexec", "serve", *options], stderr=subprocess.PIPE, text=True
    ) as other:
        assert other.stderr is not None
        assert other.stderr.readline() == f"listening at unix:{path}\n"
        typed = Reader(server, tmp_path, {}, {"PATH": str(path)}).type(command)
        assert typed.document == {"live": True}
        other.terminate()
        assert other.wait(30) == 0
    # The line of the access log.
    (shown,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert server.tenant("logged").run("return []").status_code == 200
    log = server.folder / "access.log"
    wait_until(lambda: '"tenant":"logged"' in log.read_text())
    line = next(line for line in map(json.loads, log.read_text().splitlines()) if line.get("tenant") == "logged")
    assert list(line) == list(shown)
    assert {name: type(value) for name, value in line.items()} == {name: type(value) for name, value in shown.items()}


def test_an_example_that_does_not_work_is_found_out(server: LiveServer, tmp_path: Path) -> None:
    key = server.tenant("control").key
    reader = Reader(server, tmp_path, {"URL": server.url, "KEY": key})
    good = 'curl -H "Authorization: Bearer $KEY" $URL/v1/quotas\n'
    typed = reader.type(good)
    for wrong in (
        good.replace("quotas", "quota"), good.replace("$KEY", "wx_1"), good.replace("quotas", "runs/run_nothing"),
        good.replace("$URL", "$NOTHING"), good.replace("curl", "curl -X POST"), good.rstrip() + '  # ETag: "1"\n',
    ):  # fmt: skip
        with pytest.raises((AssertionError, KeyError)):
            reader.type(wrong)
    other = copy.deepcopy(typed.document)
    del other["tenant"]
    with pytest.raises(jsonschema.ValidationError):
        reader.check(typed._replace(body=json.dumps(other).encode()))
    assert [*commands_of("```sh\ncurl a \\\n  b\ncurl c -d '\nd'\n```\n\n```\nnot\n```\n")] == [
        "curl a \\\n  b\n", "curl c -d '\nd'\n",
    ]  # fmt: skip
