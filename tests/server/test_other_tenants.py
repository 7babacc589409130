"""What another tenant has looks as if it did not exist: every operation of the document that names something.

The operations come from the document that the server makes of its routes, so that a new one fails here until it is said
how to make what it names.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest
from tests.server.api_tester import issue_key, with_every_scope
from tests.server.live_server import LiveServer, Tenant, wait_until

from wasmexec.server.tenants.keys import Scope

TIME = re.compile(r'"(\d{4}-\d\d-\d\dT[^"]*|stp_[\w-]+)"')
"""And what else is another each time."""
PROBLEM = "application/problem+json"
ROUNDS = 200


class Named(NamedTuple):
    """Something that a path names: of the owner, and one that nobody has, of the same form.

    `seen` is where its owner sees it. `is_chosen`: tenants choose such names themselves, and the same name is another
    thing for each of them. `others` are the other parts of the path.
    """

    theirs: Callable[[Tenant], str]
    nobodys: str
    seen: str
    is_chosen: bool = False
    others: Mapping[str, str] = {}


def ended_run(owner: Tenant) -> str:
    run_id = owner.start("return [{'a': 1}]")
    owner.until(run_id, state="ended")
    return run_id


def live_run(owner: Tenant) -> str:
    run_id = owner.start("await sleep(30)\nreturn []")
    owner.until(run_id, state="running")
    return run_id


def key(owner: Tenant) -> str:
    return str(issue_key(owner.server, "owner", [Scope.READ])["id"])


def put(owner: Tenant, path: str, content: dict[str, Any]) -> str:
    """Something of a name that its owner chooses."""
    answer = owner.server.ask("PUT", path, owner.key, content)
    assert answer.status_code in (200, 201), answer.text
    return path.rpartition("/")[2]


def project(owner: Tenant) -> str:
    return put(owner, "/v1/quotas/projects/their-project", {"requests_per_second": 700})


def secret(owner: Tenant) -> str:
    return put(owner, "/v1/secrets/their-secret", {"value": "hunter22", "hosts": ["api.example.com"]})


def step(owner: Tenant) -> str:
    numbers = {"statement": "return INPUT_DATA", "output_schema": [{"name": "n", "type": "integer"}]}
    return put(owner, "/v1/steps/their-step", numbers)


def step_run(owner: Tenant) -> str:
    answer = owner.server.ask("POST", f"/v1/steps/{step(owner)}/runs", owner.key, {"input_data": [{"n": 1}]})
    assert answer.status_code == 202, answer.text
    found = answer.json()["id"]
    wait_until(lambda: owner.get(f"/v1/steps/their-step/runs/{found}").json()["state"] == "ended")
    return str(found)


NAMED = {
    "/v1/runs/{id}": (
        Named(ended_run, "run_" + "x" * 24, "/v1/runs/{}"), Named(live_run, "run_" + "x" * 24, "/v1/runs/{}"),
    ),
    "/v1/keys/{id}": (Named(key, "x" * 15, "/v1/keys"),),
    "/v1/quotas/keys/{name}": (Named(key, "x" * 15, "/v1/quotas/keys/{}"),),
    "/v1/quotas/projects/{name}": (Named(project, "no-project", "/v1/quotas/projects/{}", is_chosen=True),),
    "/v1/steps/{name}": (Named(step, "no-step", "/v1/steps/{}", is_chosen=True),),
    "/v1/steps/{name}/runs/{id}": (
        Named(step_run, "stp_" + "x" * 24, "/v1/steps/their-step/runs/{}", others={"name": "their-step"}),
    ),
    "/v1/secrets/{name}": (Named(secret, "no-secret", "/v1/secrets", is_chosen=True),),
}  # fmt: skip
"""By the beginning of the path."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get("/v1/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def owner(server: LiveServer) -> Tenant:
    """Who has everything."""
    return with_every_scope(server, "owner")


@pytest.fixture(scope="module")
def other(server: LiveServer) -> Tenant:
    """Who has nothing, and asks with every scope that a tenant can have."""
    return with_every_scope(server, "other")


def operations_that_name_something(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items() for method, operation in item.items() if "{" in path
    ]  # fmt: skip


def ask(who: Tenant, method: str, path: str, operation: dict[str, Any], names: dict[str, str]) -> httpx.Response:
    """An operation with names in its path, and an example as its body."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example: dict[str, Any] = next(iter(content.get("examples", {}).values()), {"value": None})
    asked = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], path)
    return who.server.ask(method, asked, who.key, example["value"])


def test_no_operation_tells_what_another_tenant_has_from_what_nobody_has(
    owner: Tenant, other: Tenant, document: dict[str, Any]
) -> None:
    asked = 0
    for begin, names in NAMED.items():
        operations = [item for item in operations_that_name_something(document) if beginning(item[1]) == begin]
        assert operations, begin
        for named in names:
            theirs = named.theirs(owner)
            before = seen_by(owner, named.seen, theirs)
            for method, path, operation in operations:
                parts = re.findall(r"\{(\w+)\}", path)
                answers = [
                    ask(other, method, path, operation, dict.fromkeys(parts, name) | dict(named.others))
                    for name in (theirs, named.nobodys)
                ]
                codes = [answer.status_code for answer in answers]
                bodies = [
                    TIME.sub('"TIME"', answer.text.replace(name, "NAME"))
                    for answer, name in zip(answers, (theirs, named.nobodys), strict=True)
                ]
                assert codes[0] == codes[1], (method, path, bodies)
                assert bodies[0] == bodies[1], (method, path)
                if not named.is_chosen:
                    assert codes[0] == 404, (method, path, bodies)
                    assert (answers[0].headers["content-type"], answers[0].json()["rule"]) == (PROBLEM, "not-found")
                    assert bodies[0] == answers[0].text
                asked += 1
            # It is there, and nothing has happened to it.
            assert seen_by(owner, named.seen, theirs) == before
            if begin == "/v1/runs/{id}":
                owner.cancel(theirs)
    assert asked >= 14


def beginning(path: str) -> str | None:
    """The longest beginning of a path in NAMED."""
    return max((begin for begin in NAMED if path.startswith(begin)), key=len, default=None)


def test_how_each_thing_that_a_path_names_is_made_is_known(document: dict[str, Any]) -> None:
    for method, path, _ in operations_that_name_something(document):
        assert path.startswith("/v1/admin/") or beginning(path), (
            f"{method} {path} names something: say in NAMED how it is made"
        )


def seen_by(owner: Tenant, path: str, name: str) -> dict[str, Any]:
    """What its owner sees, without what changes by itself."""
    answer = owner.get(path.format(name))
    assert answer.status_code == 200, answer.text
    assert name in answer.text
    found: dict[str, Any] = answer.json()
    return {member: value for member, value in found.items() if member not in ("cpu_seconds", "is_asleep", "quotas")}


def test_what_is_the_operators_is_closed_to_every_tenant_alike(
    owner: Tenant, other: Tenant, document: dict[str, Any]
) -> None:
    admin = [item for item in operations_that_name_something(document) if item[1].startswith("/v1/admin/")]
    assert admin
    for method, path, operation in admin:
        parts = re.findall(r"\{(\w+)\}", path)
        bodies = set()
        for name in ("owner", "other", "nobody"):
            answer = ask(other, method, path, operation, dict.fromkeys(parts, name))
            assert (answer.status_code, answer.json()["rule"]) == (403, "key.scope"), (method, path, answer.text)
            bodies.add(answer.content)
        assert len(bodies) == 1
    # The control: the operator is let in, and told that there is no such tenant.
    server = owner.server
    operator = Tenant(server, server.admin)
    for method, path, operation in admin:
        answer = ask(operator, method, path, operation, dict.fromkeys(re.findall(r"\{(\w+)\}", path), "nobody"))
        assert answer.status_code in (200, 201, 204, 404), (method, path, answer.text)


def test_lists_have_nothing_of_another_tenant(owner: Tenant, other: Tenant, document: dict[str, Any]) -> None:
    run_id = ended_run(owner)
    for path, item in document["paths"].items():
        if "get" not in item or "{" in path or path.startswith("/v1/admin/") or not item["get"]["security"]:
            continue
        answer = other.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert run_id not in answer.text
        assert answer.json().get("tenant", "other") == "other"


@pytest.mark.timing
def test_it_takes_as_long_to_say_that_it_is_another_tenants_as_that_it_is_not_there(
    owner: Tenant, other: Tenant
) -> None:
    theirs, nobodys = ended_run(owner), "run_" + "x" * 24
    times: dict[str, list[float]] = {theirs: [], nobodys: []}
    for number in range(ROUNDS):
        # In turns, so that whatever else the machine does is in both, and each as often first.
        for run_id, spent in list(times.items())[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            assert other.get(f"/v1/runs/{run_id}").status_code == 404
            spent.append(time.perf_counter() - began)
    medians = [statistics.median(spent) for spent in times.values()]
    assert abs(medians[0] - medians[1]) < 0.25 * max(medians), medians
