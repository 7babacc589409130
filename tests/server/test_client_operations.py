"""Every operation of the OpenAPI document has a method of both clients, and each is asked of a real server."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.api_tester import operations_of, with_every_scope
from tests.server.live_server import LiveServer, wait_until
from tests.servers import ScriptedServer

import wasmexec.client
from wasmexec.client import (
    AnswerLost,
    AnswerOverdue,
    AsyncClient,
    AsyncOperator,
    AsyncSteps,
    BadAnswer,
    Client,
    Conflict,
    NotFound,
    Operator,
    Retries,
    ServerFailed,
    Steps,
)
from wasmexec.client.batches import MOST_GROUP_BYTES, groups

QUICK = Retries(first_pause_seconds=0.01)
NUMBERS = [{"name": "id", "type": "integer"}]
SERVER_ONLY = ("uvicorn", "httptools", "uvloop", "cryptography", "prometheus_client", "opentelemetry")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server.until_ready()


class Waiting:
    """An `AsyncClient`, or a part of one, whose methods wait, so that it is used like a `Client`."""

    def __init__(self, part: Any, runner: asyncio.Runner) -> None:
        self._part = part
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return Waiting(found, self._runner)

        def method(*arguments: Any, **options: Any) -> Any:
            made = found(*arguments, **options)
            if inspect.isasyncgen(made):
                return self._runner.run(listed(made))
            return self._runner.run(made)

        return method


async def listed(items: Any) -> list[Any]:
    return [item async for item in items]


class Asked:
    """What clients ask, as the operations of a document are called."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._patterns = {
            name: re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(name))) for name in operations_of(document)
        }
        self.operations: set[str] = set()

    def note(self, request: httpx.Request) -> None:
        asked = f"{request.method} {request.url.path}"
        self.operations |= {name for name, pattern in self._patterns.items() if pattern.fullmatch(asked)}

    async def note_async(self, request: httpx.Request) -> None:
        self.note(request)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client for a key, of one kind or the other; what it asks is noted if there is somebody to note it."""
    clients: list[Any] = []
    with asyncio.Runner() as runner:

        def make(url: str, key: str, asked: Asked | None = None, **options: Any) -> Any:
            client: Any
            if request.param == "sync":
                client = Client(url, key, **options)
                note: Any = None if asked is None else asked.note
            else:
                client = AsyncClient(url, key, **options)
                note = None if asked is None else asked.note_async
            if note is not None:
                client._http.event_hooks = {"request": [note]}
            if request.param == "async":
                client = Waiting(client, runner)
            clients.append(client)
            return client

        yield make
        for client in clients:
            client.close()


def test_every_operation_has_a_method(tmp_path: Path, connect: Callable[..., Any]) -> None:
    with LiveServer(tmp_path) as server:
        server.until_ready()
        key = with_every_scope(server, "all").key
        document = server.client.get("/v1/openapi.json").json()
        asked = Asked(document)
        client, operator = connect(server.url, key, asked), connect(server.url, server.admin, asked)
        use_runs(client)
        use_steps(client)
        use_what_is_the_tenants(client)
        use_what_is_the_operators(operator, client)
        assert (client.live().live, client.ready().ready) == (True, True)
        assert client.openapi() == document
        assert operator.operator.drain().drain_seconds > 0
        assert server.process.wait(30) == 0
        server.terminate()
    assert asked.operations == set(operations_of(document))


def use_runs(client: Any) -> None:
    recorded = client.start("import random\nreturn [{'n': random.random()}]", wait_seconds=30, record=True)
    assert (recorded.state, recorded.status) == ("ended", 200)
    assert client.rows(recorded.id) == recorded.rows
    assert client.logs(recorded.id) == []
    assert client.recording(recorded.id)["format"] > 0
    again = client.replay(recorded.id)
    assert (again.rows, again.replay["is_identical"]) == (recorded.rows, True)
    edited = client.replay(recorded.id, statement="return [{'n': 1}]", idempotency_key="edit")
    assert edited.replay["is_identical"] is False
    assert client.replay(recorded.id, statement="return [{'n': 1}]", idempotency_key="edit") == edited
    assert client.run("return []", detach=True).status == 201
    assert [run.id for run in client.runs(status=200, limit=1).runs] == [edited.id]
    page = client.runs(state="ended", limit=2)
    assert len(page.runs) == 2
    assert {run.id for run in client.runs(cursor=page.next).runs} >= {recorded.id}
    client.delete(recorded.id)
    with pytest.raises(NotFound):
        client.get(recorded.id)
    asleep = client.start("await sleep(30)\nreturn []")
    assert [event.run.state for event in client.follow(client.cancel(asleep.id).id)] == ["ended"]
    items = [{"id": f"n{n}", "statement": "return INPUT_DATA", "input_data": [{"n": n}]} for n in range(5)]
    answers = {answer.index: answer for answer in client.batch([*items, {"statement": "1 / 0"}, {"statement": 7}])}
    assert [(answers[n].id, answers[n].run.rows) for n in range(5)] == [(f"n{n}", [{"n": n}]) for n in range(5)]
    assert answers[5].run.error.type_name == "ZeroDivisionError"
    assert answers[6].problem["rule"] == "body"
    assert list(client.batch(items, idempotency_key="b")) == list(client.batch(items, idempotency_key="b"))
    assert list(client.batch([])) == []


def use_steps(client: Any) -> None:
    steps = client.steps
    document = {
        "statement": "log.info('row')\nreturn [{'id': 6 // INPUT_DATA[0]['id']}]", "output_schema": NUMBERS,
        "checkpoint_column": "id", "on_row_error": "skip",
    }  # fmt: skip
    made = steps.put("divide", document, if_version=0)
    assert (made.name, made.version, made.document) == ("divide", 1, document)
    with pytest.raises(Conflict):
        steps.put("divide", document, if_version=0)
    assert steps.put("divide", document).version == 1
    second = steps.put("divide", {**document, "description": "whole"}, if_version=1)
    assert [version.version for version in steps.get("divide").versions] == [2, 1]
    assert steps.get("divide", 1).document == document
    assert [(step.name, step.version) for step in steps.all().steps] == [("divide", second.version)]
    # Row by row.
    started = steps.start("divide", [{"id": 1}, {"id": 0}, {"id": 3}], idempotency_key="s")
    assert steps.start("divide", [{"id": 1}, {"id": 0}, {"id": 3}], idempotency_key="s") == started
    *_, ended = steps.watch("divide", started.id, timeout_seconds=60)
    assert (ended.state, ended.status, ended.rows_read, ended.rows_failed) == ("ended", 202, 3, 1)
    assert ended == steps.wait("divide", started.id, timeout_seconds=1) == steps.run("divide", started.id)
    assert steps.rows("divide", started.id) == [{"id": 6}, {"id": 2}]
    assert [line["message"] for line in steps.logs("divide", started.id, limit=2).records] == ["row", "row"]
    assert steps.logs("divide", started.id, after=2).records[0]["row"] == 2
    (failed,) = steps.errors("divide", started.id).errors
    assert (failed["row"], failed["error"]["type_name"]) == (1, "ZeroDivisionError")
    # All rows at once.
    bulk = steps.put("all", {"statement": "return INPUT_DATA", "output_schema": NUMBERS, "processing": "bulk"})
    run = steps.wait("all", steps.start("all", [{"id": n} for n in range(1000)]).id, timeout_seconds=60)
    assert (run.version, run.executions, run.row_count) == (bulk.version, 1, 1000)
    asleep = steps.start("all", [{"id": 1}])
    assert steps.cancel("all", asleep.id).state == "ended"
    assert [run.id for run in steps.runs("all", limit=1).runs] == [asleep.id]
    assert [run.id for run in steps.runs("all", cursor=steps.runs("all", limit=1).next).runs] == [run.id]
    # The checkpoint.
    assert (steps.checkpoint("divide").value, steps.checkpoint("divide").version) == (2, 1)
    assert steps.set_checkpoint("divide", {"seen": [2**70]}, if_version=1).value == {"seen": [2**70]}
    with pytest.raises(Conflict):
        steps.reset_checkpoint("divide", if_version=1)
    assert (steps.reset_checkpoint("divide").value, steps.checkpoint("divide").cause) == (None, "reset")
    with pytest.raises(Conflict):
        steps.delete("divide", if_version=1)
    steps.delete("divide", if_version=2)
    with pytest.raises(NotFound):
        steps.get("divide")


def use_what_is_the_tenants(client: Any) -> None:
    key = client.new_key(name="reader", scopes=["read"], project="blue")
    assert client.set_project_rules("blue", cpu_seconds_per_day=60).rules.cpu_seconds_per_day == 60
    assert client.project_rules("blue").quotas[0].rule == "budget.cpu_seconds.day"
    client.delete_project_rules("blue")
    assert client.project_rules("blue").quotas == []
    assert client.set_key_rules(key.id, limits={"wall_seconds": 1}).rules.limits == {"wall_seconds": 1}
    assert client.key_rules(key.id).rules.limits == {"wall_seconds": 1}
    client.delete_key_rules(key.id)
    newer = client.rotate_key(key.id)
    assert client.revoke_key(newer.id).state == "revoked"
    assert {item.id for item in client.keys().keys} >= {key.id, newer.id}
    client.put_secret("api", "sk-4f9a17", hosts=["api.example.com"])
    assert [secret.name for secret in client.secrets().secrets] == ["api"]
    client.delete_secret("api")
    assert client.quotas().tenant == client.usage(days=1).tenant == "all"
    actions = [record.action for record in client.audit(limit=2).records]
    assert actions == ["secret.delete", "secret.put"]
    assert client.audit(limit=2, cursor=client.audit(limit=2).next).records[0].action == "key.revoke"


def use_what_is_the_operators(client: Any, tenant: Any) -> None:
    operator = client.operator
    assert client.put_tenant("other", weight=2).weight == 2
    assert operator.set_tenant("other", weight=3).rules.weight == 3
    assert operator.tenant("other").rules.weight == 3
    assert [item.name for item in operator.tenants(after="all", limit=1).tenants] == ["other"]
    key = client.issue_key("other")
    newer = operator.rotate_key(key.id, tenant="other", overlap_seconds=0)
    assert {item.id: item.state for item in operator.keys("other").keys} == {key.id: "expired", newer.id: "valid"}
    assert operator.revoke_key(newer.id, tenant="other").state == "revoked"
    assert (operator.pause("other").paused, operator.resume("other").paused) == (True, False)
    assert operator.quotas("other").tenant == "other"
    operator.delete_tenant("other", cancel=True)
    own = operator.issue_own_key(name="second", lifetime_seconds=1000)
    assert operator.revoke_key(operator.rotate_key(own.id).id).state == "revoked"
    assert {item.name for item in operator.keys().keys} >= {"second"}
    wait_until(lambda: operator.usage("all", days=1).total == tenant.usage(days=1).total)
    assert operator.usage(days=1).total == operator.usage("all", days=1).total
    page = operator.audit("other", limit=1)
    assert (page.records[0].action, page.records[0].tenant) == ("tenant.delete", "other")
    assert operator.audit(limit=1, cursor=operator.audit(limit=1).next).records[0].number < page.records[0].number + 10
    assert operator.restart_workers().is_restarting is True
    wait_until(lambda: not operator.workers().is_restarting)


def test_the_parts_of_both_clients_have_the_same_methods() -> None:
    for sync, other in ((Steps, AsyncSteps), (Operator, AsyncOperator)):
        kinds = [
            {
                name: str(inspect.signature(method)).replace("AsyncIterator", "Iterator")
                for name, method in inspect.getmembers(kind, inspect.isfunction)
                if not name.startswith("_") and method.__doc__
            }
            for kind in (sync, other)
        ]
        assert kinds[0] == kinds[1] != {}


def test_the_client_needs_nothing_of_the_server_but_its_own_parts() -> None:
    folder = Path(wasmexec.client.__file__).parent
    texts = "".join(file.read_text() for file in folder.glob("*.py"))
    modules = sorted(set(re.findall(r"^ +from \.\.(server\.\S+) import", texts, re.MULTILINE)))
    assert len(modules) > 10
    program = "\n".join([
        "import sys, importlib",
        f"for name in {SERVER_ONLY}: sys.modules[name] = None",
        "import wasmexec.client",
        *(f"importlib.import_module('wasmexec.{name}')" for name in modules),
        "try: import wasmexec.server.vault.vault",
        "except ModuleNotFoundError: print('they are not there')",
    ])  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "they are not there\n"), done.stderr


def test_a_batch_that_is_longer_than_a_request_is_sent_in_parts(server: LiveServer) -> None:
    items: Any = [{"statement": f"return [{{'n': {n}}}]", "input_data": ["x" * 9_000]} for n in range(20)]
    assert len([*groups(items, None, 1.0)]) == 3
    assert len([*groups(items, "k", 1.0)]) == 1
    assert [len([*groups([{"statement": "x" * MOST_GROUP_BYTES}] * count, None, 1.0)]) for count in (1, 2)] == [1, 2]
    with Client(server.url, server.tenant("long").key) as client:
        answers = sorted(client.batch(items), key=lambda answer: answer.index)
        assert [answer.run.rows if answer.run else None for answer in answers] == [[{"n": n}] for n in range(20)]
        # Each answer is as long as everything that is kept for who does not read.
        large: Any = [{"statement": "return [{'t': 'x' * 5_000_000}]"} for _ in range(4)]
        assert [answer.run.status if answer.run else None for answer in client.batch(large)] == [200] * 4


def test_who_stops_reading_a_batch_cancels_it(server: LiveServer, connect: Callable[..., Any]) -> None:
    tenant = server.tenant("stops")
    with Client(server.url, tenant.key) as client:
        items: Any = [{"statement": "return []"}, {"statement": "await sleep(60)\nreturn []"}]
        for _ in client.batch(items):
            break
    wait_until(lambda: tenant.is_idle)

    async def main() -> None:
        async with AsyncClient(server.url, tenant.key) as client:
            async for _ in client.batch(items):
                break
            while (await client.quotas()).runs.asleep:
                await asyncio.sleep(0.01)

    asyncio.run(main())


def lines(*texts: bytes, kind: str = "application/x-ndjson") -> bytes:
    """An answer of these lines."""
    body = b"".join(texts)
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


ONE = b'{"index":0,"id":null,"problem":{"rule":"body"}}\n'
ITEM: Any = [{"statement": "return []"}]


def test_a_batch_is_asked_again_only_with_a_key_and_before_it_has_told_anything(connect: Callable[..., Any]) -> None:
    with ScriptedServer(b"", lines(ONE)) as web:
        assert len(list(connect(web.url(), "k", retries=QUICK).batch(ITEM, idempotency_key="b"))) == 1
        assert len(web.received) == 2
    for first, key in ((b"", None), (lines(ONE), "b"), (lines(), None)):
        with ScriptedServer(first, lines(ONE)) as web, pytest.raises(AnswerLost):
            list(connect(web.url(), "k", retries=QUICK).batch(ITEM * 2, idempotency_key=key))
        assert len(web.received) == 1
    full = (
        b"HTTP/1.1 503 x\r\nContent-Type: application/problem+json\r\nContent-Length: 15\r\n\r\n" + b'{"rule":"full"}'
    )
    strange = {
        full: ServerFailed, lines(b"{}", kind="application/json"): BadAnswer, lines(b'{"index":"x"}\n'): BadAnswer,
        lines(b"x" * 2000): BadAnswer,
    }  # fmt: skip
    for answer, error in strange.items():
        with ScriptedServer(answer) as web, pytest.raises(error):
            list(connect(web.url(), "k", retries=QUICK, max_answer_bytes=1000).batch(ITEM))


def test_what_changes_something_each_time_is_not_asked_again(connect: Callable[..., Any]) -> None:
    checkpoint = b'{"value":1,"version":1,"cause":"set","changed_at":null}'
    step = b'{"name":"a","version":1,"created_at":"","document":{}}'
    run = (
        b'{"id":"stp_1","step":"a","version":1,"state":"queued","attempts":0,"created_at":"","started_at":null,'
        b'"ended_at":null}'
    )
    asks: list[tuple[bytes, bool, Callable[[Any], Any]]] = [
        (checkpoint, False, lambda client: client.steps.set_checkpoint("a", 1)),
        (checkpoint, False, lambda client: client.steps.reset_checkpoint("a")),
        (step, False, lambda client: client.steps.put("a", {}, if_version=1)),
        (b"", False, lambda client: client.steps.delete("a")),
        (b"", False, lambda client: client.delete("run_1")),
        (b"", False, lambda client: client.operator.delete_tenant("a")),
        (step, True, lambda client: client.steps.put("a", {})),
        (run, True, lambda client: client.steps.start("a", [])),
        (run, True, lambda client: client.steps.cancel("a", "stp_1")),
        (b"", True, lambda client: client.delete_key_rules("key_1")),
    ]
    for body, is_repeated, ask in asks:
        good = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with ScriptedServer(b"", good) as web:
            client = connect(web.url(), "k", retries=QUICK)
            if is_repeated:
                ask(client)
            else:
                with pytest.raises(AnswerLost):
                    ask(client)
            assert len(web.received) == 1 + is_repeated


def test_a_run_that_does_not_end_is_not_waited_for_for_ever(server: LiveServer) -> None:
    key = with_every_scope(server, "waits").key
    with Client(server.url, key) as client:
        client.steps.put("slow", {"statement": "await sleep(30)\nreturn []", "output_schema": NUMBERS})
        run = client.steps.start("slow", [{"id": 1}])
        with pytest.raises(AnswerOverdue):
            client.steps.wait("slow", run.id, timeout_seconds=0.1)
        with pytest.raises(AnswerOverdue):
            list(client.steps.watch("slow", run.id, timeout_seconds=0.1))
        assert client.steps.cancel("slow", run.id).status == 303
