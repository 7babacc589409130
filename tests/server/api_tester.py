"""Requests made by schemathesis from the OpenAPI document of a running server, and what they were answered.

`python -m tests.server.api_tester SECONDS` does it for so long (`make schemathesis`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from tests.server.live_server import LiveServer, Tenant, wait_until

from wasmexec.server.tenants.keys import Scope

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv-schemathesis" / "bin" / "st"
UNTESTED = r"[:/](drain|restart|batch)$"
"""Operations after which there is no server to test, and one whose body is many documents, which nobody makes here."""
_ACCEPTED = ["2xx", "401", "403", "404", "409", "410", "412", "429"]
"""What a request that fits its schema may be answered; also `_MORE` where a schema cannot say every rule."""
_MORE = ["400", "406", "422"]
_UNSAID = ("cursor", "Accept", "If-Match", "If-None-Match")
_OWN = r"^/v1/((admin/)?(tenants|keys)|steps)/\{"
"""Where it must not put what it found in answers: the tenant and keys that it asks with, and the step that it keeps."""
TENANT_SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)
_PHASES = ("examples", "coverage", "fuzzing")


Known: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""Names that exist, of the parts of all paths that begin so: {"/v1/runs/{id}": {"id": [...]}}."""


class Tested(NamedTuple):
    """What came of it: `statuses` counts the answers of each operation, such as "GET /v1/runs/{id}"."""

    is_good: bool
    output: str
    statuses: Mapping[str, Counter[int]]


def operations_of(document: Mapping[str, Any]) -> list[str]:
    """Every operation of a document, such as "GET /v1/runs/{id}"."""
    return [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]


def ask_by_document(
    server: LiveServer, tenant: Tenant, known: Known, *, most_examples: int,
    seconds: float, document: Mapping[str, Any] | None = None, only: str | None = None,
) -> Tested:  # fmt: skip
    """Have a server asked for everything in its document, or in another one that is said to be its.

    Half of the requests have names that are `known`.
    """
    subprocess.run(["make", "--silent", "schemathesis-env"], cwd=ROOT, check=True, timeout=600)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = f"{server.url}/v1/openapi.json"
        if document is not None:
            (folder / "openapi.json").write_text(json.dumps(document))
            place = "openapi.json"
        found = json.loads(server.client.get("/v1/openapi.json").content) if document is None else document
        (folder / "settings.toml").write_text(_settings(server, tenant, known, found))
        command: list[str | Path] = [
            PROGRAM, "--config-file", "settings.toml", "run", place, "--url", server.url, "--no-color", "--seed", "1",
            "--max-examples", str(most_examples), "--continue-on-failure", "--report", "har",
            "--report-har-path", "report.har", "--generation-database", "none", "--warnings", "off",
            *(["--exclude-path-regex", UNTESTED] if only is None else ["--include-path", only]),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
        report = folder / "report.har"
        entries = json.loads(report.read_text())["log"]["entries"] if report.exists() else []
    return Tested(done.returncode == 0, done.stdout + done.stderr, _counted(entries, found["paths"]))


def _settings(
    server: LiveServer, tenant: Tenant, known: Known, document: Mapping[str, Any]
) -> str:  # fmt: skip
    accepted = json.dumps(_ACCEPTED)
    with_rules = json.dumps([*_ACCEPTED, *_MORE])
    text = [
        f'headers = {{ Authorization = "Bearer {tenant.key}" }}',
        f"[checks.positive_data_acceptance]\nexpected-statuses = {accepted}",
        '[phases.coverage]\nunexpected-methods = ["PUT", "DELETE", "TRACE"]',
    ]
    for path, parts in known.items():
        for part, values in parts.items():
            text.append(f"[dictionaries.{_word(path, part)}]\nvalues = {json.dumps(list(values))}")
    text.append(
        f'[[operations]]\ninclude-path-regex = "^/v1/admin"\nheaders = {{ Authorization = "Bearer {server.admin}" }}'
    )
    text.append('[dictionaries.preferences]\nvalues = ["respond-async"]')
    text.append(
        '[[operations]]\ninclude-path = "/v1/runs"\n'
        'parameters = { "header.Prefer" = { dictionary = "preferences", probability = 0.5 } }'
    )
    text.append(
        f"[[operations]]\ninclude-path-regex = {json.dumps(_OWN)}\n[operations.phases.stateful]\nenabled = false\n"
        + "".join(f"[operations.phases.{phase}.extra-data-sources]\nresponses = false\n" for phase in _PHASES)
    )
    for name in operations_of(document):
        method, path = name.split()
        operation = document["paths"][path][method.lower()]
        begin = max((begin for begin in known if path.startswith(begin)), key=len, default=None)
        if begin is not None:
            # All of its parts together in half of the requests.
            probability = round(0.5 ** (1 / len(known[begin])), 3)
            bindings = ", ".join(
                f'"path.{part}" = {{ dictionary = "{_word(begin, part)}", probability = {probability} }}'
                for part in known[begin]
            )
            text.append(f'[[operations]]\ninclude-name = "{name}"\nparameters = {{ {bindings} }}')
        if "requestBody" in operation or any(item["name"] in _UNSAID for item in operation["parameters"]):
            text.append(
                f'[[operations]]\ninclude-name = "{name}"\n'
                f"[operations.checks.positive_data_acceptance]\nexpected-statuses = {with_rules}"
            )
    return "\n".join(text)


def _word(path: str, part: str) -> str:
    return "-".join([*re.findall(r"\w+", path), part])


def _counted(entries: Iterable[Any], paths: Mapping[str, Any]) -> dict[str, Counter[int]]:
    patterns = {path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path))) for path in paths}
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in entries:
        asked = urlsplit(entry["request"]["url"]).path
        path = next((path for path, pattern in patterns.items() if pattern.fullmatch(asked)), None)
        if path is not None:
            counts[f"{entry['request']['method']} {path}"][entry["response"]["status"]] += 1
    return counts


def issue_key(server: LiveServer, name: str, scopes: Sequence[Scope] = TENANT_SCOPES) -> dict[str, Any]:
    """A key of a tenant, as the answer that has it."""
    answer = server.ask("POST", f"/v1/admin/tenants/{name}/keys", server.admin, {"scopes": scopes})
    assert answer.status_code == 201, answer.text
    issued: dict[str, Any] = answer.json()
    return issued


def with_every_scope(server: LiveServer, name: str, **rules: Any) -> Tenant:
    """A tenant with a key that may do whatever a tenant's may."""
    server.tenant(name, **rules)
    return Tenant(server, issue_key(server, name)["key"])


def known_ids(tenant: Tenant, name: str) -> Known:
    """Names of resources of a tenant, some of each kind."""
    server = tenant.server
    # Some are deleted.
    ended = [tenant.start("log.info('x')\nreturn [{'a': 1}]", record=True) for _ in range(12)]
    asleep = tenant.start("await sleep(5)\nreturn []")
    for run_id in ended:
        tenant.until(run_id, state="ended")
    tenant.until(asleep, state="running")
    # Not the one that it is asked with, which could get rules that let nothing through.
    key = issue_key(server, name, [Scope.READ])["id"]
    secret = {"value": "hunter22", "hosts": ["api.example.com"]}
    assert server.ask("PUT", "/v1/secrets/known", tenant.key, secret).status_code in (200, 201)
    numbers = {"statement": "return INPUT_DATA", "output_schema": [{"name": "n", "type": "integer"}]}
    for step in ("known", "kept"):
        assert server.ask("PUT", f"/v1/steps/{step}", tenant.key, numbers).status_code in (200, 201)
    run = server.ask("POST", "/v1/steps/kept/runs", tenant.key, {"input_data": [{"n": 1}]}).json()["id"]
    wait_until(lambda: tenant.get(f"/v1/steps/kept/runs/{run}").json()["state"] == "ended")
    for other in ("known", "holder"):
        server.tenant(other)
    keys = [issue_key(server, "holder", [Scope.READ])["id"] for _ in range(3)]
    admin = [server.ask("POST", "/v1/admin/keys", server.admin, {}).json()["id"] for _ in range(3)]
    return {
        "/v1/runs/{id}": {"id": [*ended, asleep]}, "/v1/keys/{id}": {"id": [key]},
        "/v1/quotas/keys/{name}": {"name": [key]}, "/v1/secrets/{name}": {"name": ["known"]},
        "/v1/admin/tenants/{name}": {"name": ["known"]}, "/v1/admin/keys/{id}": {"id": admin},
        "/v1/admin/tenants/{name}/keys/{id}": {"name": ["holder"], "id": keys},
        "/v1/steps/{name}": {"name": ["known"]}, "/v1/steps/{name}/checkpoint": {"name": ["kept"]},
        "/v1/steps/{name}/versions/{version}": {"name": ["kept"], "version": ["1"]},
        "/v1/steps/{name}/runs": {"name": ["kept"]}, "/v1/steps/{name}/runs/{id}": {"name": ["kept"], "id": [run]},
    }  # fmt: skip


def main(seconds: float) -> int:
    """Test for about so long; 0 if nothing was found."""
    with tempfile.TemporaryDirectory() as folder, LiveServer(Path(folder)) as server:
        server.until_ready()
        tenant = with_every_scope(server, "tested", limits={"wall_seconds": 5, "cpu_seconds": 0.5})
        known, examples = known_ids(tenant, "tested"), int(seconds * 2)
        tested = ask_by_document(server, tenant, known, most_examples=examples, seconds=300 + seconds * 10)
        print(tested.output, flush=True)
        for operation, statuses in sorted(tested.statuses.items()):
            print(f"{operation:48}", dict(sorted(statuses.items())))
        wait_until(lambda: tenant.is_idle)
    return 0 if tested.is_good else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0))
