"""`wasmexec.client` against a real server; against scripted ones when the network or a server is to misbehave."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from tests.reading import read
from tests.server.api_tester import with_every_scope
from tests.server.live_server import LiveServer, wait_until
from tests.servers import ScriptedServer, unused_port

from wasmexec import ConfigError
from wasmexec.client import (
    AnswerLost,
    AnswerOverdue,
    AsyncClient,
    BadAnswer,
    Client,
    ClientError,
    Conflict,
    InvalidRequest,
    KeyRejected,
    NotFound,
    Retries,
    RunEvent,
    ServerFailed,
    ServerUnreachable,
    TooMuch,
)
from wasmexec.client.errors import ProblemFields, refusal_of
from wasmexec.client.following import MAX_EVENT_BYTES, Following
from wasmexec.client.operations import KeyOptions, RunOptions, TenantOptions
from wasmexec.client.retries import Attempts
from wasmexec.server.documents import KeyRequest, RunRequest, TenantRequest

QUICK = Retries(first_pause_seconds=0.01)
RUN = b'{"id":"run_1","state":"ended","attempts":1,"created_at":"","started_at":null,"ended_at":null,"status":201}'
SLEEPS = "await sleep(30)\nreturn []"


def answer(status: str, body: bytes = b"", *headers: str, kind: str = "application/json") -> bytes:
    """The bytes of an answer over HTTP."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


GOOD = answer("200 OK", RUN)
PROBLEM = "application/problem+json"
DRAINING = answer(
    "503 Service Unavailable", b'{"rule":"server.draining","detail":"no"}', "Retry-After: 0", kind=PROBLEM
)
FULL = answer("503 Service Unavailable", b'{"rule":"full","detail":"no"}', kind=PROBLEM)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server.until_ready()


def test_a_program_does_everything_with_typed_results(server: LiveServer) -> None:
    with Client(server.url, server.admin) as operator:
        rules = operator.put_tenant("typed", weight=3, limits={"wall_seconds": 20}, max_executing=1)
        assert (rules.name, rules.weight, rules.max_executing) == ("typed", 3, 1)
        key = operator.issue_key("typed", scopes=["run", "read"])
        assert (key.tenant, key.scopes) == ("typed", ["read", "run"])
    with Client(server.url, key.key) as client:
        run = client.run("log.info('é')\nreturn INPUT_DATA", input_data=[{"a": 2**70}], limits={"wall_seconds": 5})
        assert (run.state, run.status, run.rows) == ("ended", 200, [{"a": 2**70}])
        assert run.logs is not None
        assert [(record.level, record.message) for record in run.logs] == [("info", "é")]
        assert run.limits is not None
        assert run.limits["wall_seconds"] == 5
        once = [client.run("import random\nreturn [{'n': random.random()}]", idempotency_key="k") for _ in range(2)]
        assert once[0] == once[1]
        failed = client.run("1 / 0")
        assert failed.error is not None
        assert (failed.status, failed.error.type_name, failed.error.line) == (300, "ZeroDivisionError", 1)
        started = client.start("log.warn('there')\nreturn [{'a': 1}]")
        ended = client.wait(started.id, timeout_seconds=30)
        assert (ended.id, ended.status, ended.row_count) == (started.id, 200, 1)
        assert client.rows(ended.id) == [{"a": 1}]
        assert [record.message for record in client.logs(ended.id)] == ["there"]
        asleep = client.start(SLEEPS)
        with pytest.raises(AnswerOverdue, match="it goes on"):
            client.wait(asleep.id, timeout_seconds=0.1)
        with pytest.raises(Conflict) as early:
            client.rows(asleep.id)
        assert (early.value.rule, early.value.retry_after_seconds) == ("run.ended", 1)
        assert client.cancel(asleep.id).status == 303
        wait_until(lambda: client.usage(days=1).total.runs == 5)
        assert client.quotas().runs.max_executing == 1


def test_keys_and_secrets_are_managed(server: LiveServer) -> None:
    key = with_every_scope(server, "manages").key
    with Client(server.url, key) as client:
        issued = client.new_key(name="reader", scopes=["read"], lifetime_seconds=1000)
        assert (issued.name, issued.scopes) == ("reader", ["read"])
        rotated = client.rotate_key(issued.id, overlap_seconds=0)
        assert [old.id for old in rotated.replaces] == [issued.id]
        assert client.revoke_key(rotated.id).state == "revoked"
        assert {item.id: item.state for item in client.keys().keys}[rotated.id] == "revoked"
        stored = client.put_secret("api", "sk-4f9a17", hosts=["api.example.com"])
        assert (stored.name, stored.version, stored.hosts) == ("api", 1, ["api.example.com"])
        assert [item.name for item in client.secrets().secrets] == ["api"]
        client.delete_secret("api")
        with pytest.raises(NotFound):
            client.delete_secret("api")
    with Client(server.url, rotated.key) as revoked, pytest.raises(KeyRejected):
        revoked.usage()


def test_an_event_loop_has_the_same(server: LiveServer) -> None:
    key = server.tenant("loop").key

    async def main() -> None:
        async with AsyncClient(server.url, key) as client:
            runs = await asyncio.gather(*(client.run("return INPUT_DATA", input_data=[{"n": n}]) for n in range(20)))
            assert [run.rows for run in runs] == [[{"n": n}] for n in range(20)]
            started = await client.start("return [{'a': 1}]")
            ended = await client.wait(started.id, timeout_seconds=30)
            assert await client.rows(ended.id) == [{"a": 1}]
            assert await client.logs(ended.id) == []
            with pytest.raises(NotFound):
                await client.get("run_nothing")
            # Who is not waited for any more is cancelled with it.
            with pytest.raises(AnswerOverdue):
                await client.run(SLEEPS, timeout_seconds=0.2)
            async with asyncio.timeout(10):
                while (await client.quotas()).runs.asleep:
                    await asyncio.sleep(0.02)

    asyncio.run(main())


def test_the_python_of_the_page_on_the_api_runs(server: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    key = with_every_scope(server, "reads-the-page").key
    page = "\n".join(re.findall(r"^```python\n(.*?)^```$", read("docs/tenants.md"), re.MULTILINE | re.DOTALL))
    assert page.count('"http://127.0.0.1:8700", "wx_..."') == 1
    names: dict[str, Any] = {}
    exec(compile(page.replace("http://127.0.0.1:8700", server.url).replace("wx_...", key), "tenants.md", "exec"), names)
    names["client"].close()
    said = capsys.readouterr().out.splitlines()
    # How often it looks is a matter of time.
    said = [line for line in said if not re.fullmatch("(queued|running) (None|[0-2])", line)]
    assert said[:7] == [
        "200 [{'a': 1}] ['hello']", "300 ZeroDivisionError 1", "200 [{'a': 1}] 1", "info there", "ended", "2",
        "[{'a': 1}]",
    ]  # fmt: skip
    assert (said[7], sorted(said[8:10])) == ("[{'a': 1}]", ["0 one 200", "1 two 300"])
    assert said[10:16] == [
        "True False", "[('stripe', 1)]", "revoked", "revoked", "ended 2", "[{'id': 2}, {'id': 4}] []",
    ]  # fmt: skip
    assert said[16].startswith("['count.executing', ")
    assert said[17:] == ["['checkpoint.set', 'step.put', 'key.revoke']", "400 limit.wall_seconds operator"]


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, inspect.Signature]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}

    def texts(kind: type) -> dict[str, str]:
        return {name: str(signature).replace("AsyncIterator", "Iterator") for name, signature in methods(kind).items()}

    assert texts(Client) == texts(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)
    documented = {name for name, method in inspect.getmembers(AsyncClient, inspect.isfunction) if method.__doc__}
    assert documented >= set(methods(Client))


def test_refusals_are_errors_with_their_fields(server: LiveServer) -> None:
    key = server.tenant("refused", limits={"wall_seconds": 2}, max_queued=0).key
    with Client(server.url, key) as client:
        with pytest.raises(InvalidRequest) as over:
            client.run("return []", limits={"wall_seconds": 3})
        error = over.value
        assert (error.status, error.rule, error.value, error.asked) == (400, "limit.wall_seconds", 2, 3)
        assert (error.owner, error.changed_by, error.retry_after_seconds) == ("tenant", "operator", None)
        assert str(error).startswith("400 limit.wall_seconds: ")
        with pytest.raises(TooMuch) as full:
            client.run("return []")
        assert (full.value.rule, full.value.value, full.value.used) == ("count.queued", 0, 0)
        with pytest.raises(KeyRejected):
            client.put_tenant("evil")
        # What a caller gives as an id stays one part of the path.
        for strange in ("../usage", "a/rows", "a:cancel", "a?b", "", "a\n"):
            with pytest.raises(ConfigError, match="is no id or name"):
                client.get(strange)
        with pytest.raises(ConfigError, match="cannot be sent as JSON"):
            client.run("return []", input_data=object())
    with Client(server.url, key[:-1]) as client, pytest.raises(KeyRejected) as wrong:
        client.usage()
    assert wrong.value.status == 401
    assert key not in str(wrong.value)


def test_what_makes_no_address_or_key_is_said_at_once() -> None:
    for url, key in (("ftp://x", "wx_1"), ("127.0.0.1:8700", "wx_1"), ("http://x", ""), ("http://x", "a\r\nb")):
        with pytest.raises(ConfigError, match="client: "):
            Client(url, key)
    assert "wx_1" not in repr(Client("http://x", "wx_1"))


def test_only_what_is_safe_is_asked_again() -> None:
    lost, refused = b"", DRAINING
    for first in (lost, refused):
        with ScriptedServer(first, first, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
            assert client.get("run_1").status == 201
            assert len(web.received) == 3
        with ScriptedServer(first, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
            with pytest.raises(AnswerLost if first is lost else ServerFailed):
                client.run("return []")
            assert len(web.received) == 1
        with ScriptedServer(first, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
            assert client.start("return []").status == 201
            keys = [re.findall(rb"idempotency-key: (\S+)", asked.lower()) for asked in web.received]
            assert keys[0] == keys[1] != []
    # Without a time to try again, or after as many attempts as were allowed, it is told.
    with ScriptedServer(FULL, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
        with pytest.raises(ServerFailed):
            client.get("run_1")
        assert len(web.received) == 1
    with ScriptedServer(*[DRAINING] * 4, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
        with pytest.raises(ServerFailed):
            client.get("run_1")
        assert len(web.received) == 4


def test_a_server_that_is_not_there_yet_is_asked_again_whatever_is_asked() -> None:
    port = unused_port()
    with Client(f"http://127.0.0.1:{port}", "k", retries=QUICK) as client, pytest.raises(ServerUnreachable):
        client.run("return []")
    started: list[ScriptedServer] = []
    timer = threading.Timer(0.2, lambda: started.append(ScriptedServer(GOOD, port=port)))
    timer.start()
    with Client(f"http://127.0.0.1:{port}", "k", retries=Retries(attempts=20, first_pause_seconds=0.05)) as client:
        assert client.run("return []").status == 201
    timer.join()
    started[0].close()


def test_pauses_are_those_of_the_server_and_end_with_the_clients_time() -> None:
    refusal = refusal_of(429, ProblemFields(rule="rate.requests", retry_after_seconds=2.0))
    attempts = Attempts(Retries(), is_repeatable=True, random_part=lambda: 1.0)
    assert attempts.pause_after(refusal) == 2.1
    assert attempts.pause_after(refusal) == 2.2
    assert attempts.pause_after(ServerUnreachable("")) == 0.4
    with pytest.raises(ServerUnreachable):
        attempts.pause_after(ServerUnreachable(""))
    for seconds, other in ((2.0, True), (3.0, False)):
        patient = Attempts(Retries(seconds=seconds), is_repeatable=True, random_part=lambda: 0.0)
        if other:
            with pytest.raises(TooMuch):
                patient.pause_after(refusal)
        else:
            assert patient.pause_after(refusal) == 2.05
    assert Attempts(Retries(), is_repeatable=True, random_part=lambda: 0.0).pause_after(AnswerLost("")) == 0.05
    for failure in (AnswerOverdue(""), BadAnswer("", status=200), refusal_of(400, ProblemFields())):
        with pytest.raises(ClientError):
            Attempts(Retries(), is_repeatable=True).pause_after(failure)


def test_what_is_no_answer_of_this_api_is_an_error_of_its_own() -> None:
    strange = {
        answer("502 Bad Gateway", b"<html>", kind="text/html"): 502,
        answer("200 OK", b"<html>", kind="text/html"): 200,
        answer("200 OK", b'{"id": 7}'): 200,
        answer("200 OK", b"[" * 100_000): 200,
        answer("302 Found", b"", "Location: http://127.0.0.1:1/"): 302,
    }
    for content, status in strange.items():
        with ScriptedServer(content) as web, Client(web.url(), "k", retries=QUICK) as client:
            with pytest.raises(BadAnswer) as bad:
                client.get("run_1")
            assert bad.value.status == status
    garbled = answer("400 Bad Request", b"\xff", kind=PROBLEM)
    with ScriptedServer(garbled) as web, Client(web.url(), "k") as client, pytest.raises(InvalidRequest):
        client.get("run_1")
    short = answer("200 OK", RUN).replace(b"Content-Length: ", b"Content-Length: 9")
    with ScriptedServer(short) as web, Client(web.url(), "k") as client, pytest.raises(AnswerLost):
        client.run("return []")


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    with ScriptedServer(GOOD) as web, Client(web.url(), "k", max_answer_bytes=len(RUN)) as client:
        assert client.get("run_1").status == 201
    with (
        ScriptedServer(GOOD) as web, Client(web.url(), "k", max_answer_bytes=len(RUN) - 1) as client,
        pytest.raises(BadAnswer, match="more than"),
    ):  # fmt: skip
        client.get("run_1")


def stream(*pieces: bytes) -> bytes:
    """The bytes of an answer of server-sent events, which ends with the connection."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n" + b"".join(pieces)


def line(number: int) -> bytes:
    data = b'{"time":"","level":"info","message":"%d"}' % number
    return b"id: 0-1-%d-r\nevent: log\ndata: %b\n\n" % (number, data)


STATE = b"id: 0-1-%d-%b\nevent: state\ndata: " + RUN + b"\n\n"
RUNNING = (STATE % (0, b"r")).replace(b'"ended"', b'"running"', 1)
ENDED = STATE % (3, b"e")


def told(events: Iterable[RunEvent]) -> list[str]:
    return [event.line.message if event.line else event.run.state if event.run else "" for event in events]


def test_a_run_is_followed_to_its_end_over_connections_that_are_lost() -> None:
    answers = [
        stream(b"retry: 10\n\n", RUNNING, line(1), line(2)[:-5]), DRAINING, b"",
        stream(b":\n\n", line(2), b"event: news\ndata: {}\n\n"), stream(line(3), ENDED),
    ]  # fmt: skip
    with ScriptedServer(*answers) as web, Client(web.url(), "k", retries=QUICK) as client:
        assert told(client.follow("run_1", after="0-0-0-q")) == ["running", "1", "2", "3", "ended"]
        positions = [re.findall(rb"last-event-id: (\S+)", asked.lower()) for asked in web.received]
        assert positions == [[b"0-0-0-q"], *[[b"0-1-1-r"]] * 3, [b"0-1-2-r"]]

    async def main(url: str) -> list[str]:
        async with AsyncClient(url, "k", retries=QUICK) as client:
            return told([event async for event in client.follow("run_1")])

    with ScriptedServer(*answers) as web:
        assert asyncio.run(main(web.url())) == ["running", "1", "2", "3", "ended"]
    with ScriptedServer(answer("204 No Content")) as web, Client(web.url(), "k") as client:
        assert told(client.follow("run_1", after="0-1-3-e")) == []


def test_following_ends_with_an_error_when_nothing_comes_of_it() -> None:
    cut = stream(b"retry: 1\n\n")
    with ScriptedServer(*[cut] * 5) as web, Client(web.url(), "k", retries=QUICK) as client:
        with pytest.raises(AnswerLost, match="before the run had ended"):
            list(client.follow("run_1"))
        assert len(web.received) == QUICK.attempts
    gone = answer("404 Not Found", b'{"rule":"not-found"}', kind=PROBLEM)
    for content, error in (
        (gone, NotFound), (GOOD, BadAnswer), (stream(b"event: state\ndata: []\n\n"), BadAnswer),
    ):  # fmt: skip
        with ScriptedServer(content, GOOD) as web, Client(web.url(), "k", retries=QUICK) as client:
            with pytest.raises(error):
                list(client.follow("run_1"))
            assert len(web.received) == 1


def test_an_event_has_a_bound() -> None:
    following = Following("run_1", None, QUICK)
    piece = b"data: " + b"x" * (MAX_EVENT_BYTES // 4)
    for _ in range(3):
        assert following.events(piece) == []
    with pytest.raises(BadAnswer, match="an event has more than"):
        following.events(piece)


def test_a_server_that_says_nothing_is_waited_for_as_long_as_was_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "k", timeout_seconds=0.2) as client, pytest.raises(AnswerOverdue):
            client.get("run_1")


def test_the_options_of_a_client_are_the_members_of_requests() -> None:
    members = {name for name in RunRequest.__struct_fields__ if name != "statement"}
    assert RunOptions.__annotations__.keys() == members
    assert KeyOptions.__annotations__.keys() == set(KeyRequest.__struct_fields__)
    rules = {name for name in TenantRequest.__struct_fields__ if name != "name"}
    assert TenantOptions.__annotations__.keys() == rules
