"""A secret that is bound to hosts reaches those in headers, nothing else, and never the statement.

The first half plays the guest and calls the host directly, the second runs statements. Every refusal stands beside a
request that the same server answers to the real value.
"""

from __future__ import annotations

import base64
import gzip
import json
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.http_caller import Caller, answering, failure, play, private_grant
from tests.servers import ScriptedServer, WebServer

from wasmexec import Executor, Grants, HttpGrant, Result, Secret, Status
from wasmexec._hostcalls.http.placeholders import Placeholder

VALUE = "sk-live-3/kQ+7mZ=0123456789abcdef"
TOKEN = "placeholder-ABCDEFGHIJKLMNOPQRSTU"
assert len(VALUE) == len(TOKEN)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def other() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def bound_to(*hosts: str) -> list[Placeholder]:
    return [Placeholder(TOKEN, Secret(VALUE, hosts=hosts))]


def bound(server: WebServer | ScriptedServer) -> list[Placeholder]:
    return bound_to(f"http://{server.authority}")


def bound_elsewhere(server: WebServer | ScriptedServer) -> list[Placeholder]:
    return bound_to("api.example.com")


def unbound(server: WebServer | ScriptedServer) -> list[Placeholder]:
    return []


def echoing_head(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", *(name + b": " + value for name, value in headers), b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def test_the_host_puts_the_value_into_headers_for_its_host(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        headers = [["Authorization", f"Bearer {TOKEN}"], ["X-Both", f"{TOKEN},{TOKEN}"], ["X-None", "a placeholder"]]
        assert (await call.fetch(server.url("/echo"), headers=headers))[0] == 200

    play(server.authority, script, placeholders=bound(server))
    (seen,) = server.headers_seen
    assert seen["authorization"] == f"Bearer {VALUE}"
    assert seen["x-both"] == f"{VALUE},{VALUE}"
    assert seen["x-none"] == "a placeholder"


def test_basic_authentication_is_filled_inside_its_base64(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for text in (f"user:{TOKEN}", f"{TOKEN}:"):
            basic = base64.b64encode(text.encode()).decode()
            await call.fetch(server.url("/echo"), headers=[["Authorization", f"Basic {basic}"]])
        await call.fetch(server.url("/echo"), headers=[["Authorization", "Basic !"]])

    play(server.authority, script, placeholders=bound(server))
    first, second, broken = (seen["authorization"] for seen in server.headers_seen)
    assert base64.b64decode(first.removeprefix("Basic ")).decode() == f"user:{VALUE}"
    assert base64.b64decode(second.removeprefix("Basic ")).decode() == f"{VALUE}:"
    assert broken == "Basic !"


@pytest.mark.parametrize(
    "hosts",
    [
        ["127.0.0.1:{port}"],  # HTTPS only
        ["http://127.0.0.1"],  # another port
        ["http://localhost:{port}"],  # another name
        ["http://127.0.0.2:{port}", "api.example.com"],
    ],
)
def test_elsewhere_a_placeholder_stays_a_placeholder(server: WebServer, hosts: list[str]) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.fetch(server.url("/echo"), headers=[["Authorization", TOKEN]])
        assert json.loads(body)["headers"]["authorization"] == TOKEN

    places = [host.format(port=server.port) for host in hosts]
    play(server.authority, script, placeholders=bound_to(*places))
    play(server.authority, script, placeholders=bound(server))
    assert [seen["authorization"] for seen in server.headers_seen] == [TOKEN, VALUE]


def test_urls_and_bodies_are_never_filled(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        headers = [["X-Key", TOKEN]]
        await call.fetch(server.url(f"/echo?key={TOKEN}"), TOKEN.encode(), method="POST", headers=headers)

    play(server.authority, script, placeholders=bound(server))
    assert server.requests == [f"/echo?key={TOKEN}"]
    assert server.headers_seen[0]["x-key"] == VALUE
    assert server.bodies_seen == [TOKEN.encode()]


def test_a_header_that_the_host_sets_is_not_filled(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        assert (await failure(call.open(server.url("/echo"), headers=[["Host", TOKEN]])))[0] == "denied"
        await call.fetch(server.url("/echo"), headers=[["Connection", f"close, {TOKEN}"], ["X-Key", TOKEN]])

    play(server.authority, script, placeholders=bound(server))
    assert VALUE not in server.headers_seen[0].get("connection", "")
    assert server.headers_seen[0]["x-key"] == VALUE


def test_a_value_that_makes_the_headers_too_long_is_refused(server: WebServer) -> None:
    short, long = Secret("1a3B5-7_", hosts=[f"http://{server.authority}"]), "xYz-4" * 800

    async def script(call: Caller) -> None:
        headers = [[f"X-{number}", "t" * 8] for number in range(20)]
        assert await failure(call.open(server.url("/echo"), headers=headers)) == (
            "limit",
            "the request has more than 65,536 bytes of headers (limit http_header_bytes)",
        )
        assert (await call.fetch(server.url("/echo"), headers=headers[:10]))[0] == 200

    play(server.authority, script, placeholders=[Placeholder("t" * 8, Secret(long, hosts=short.hosts))])


def test_a_server_that_gives_the_value_back_gives_the_placeholder(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, body = await call.open(server.url("/echo"), headers=[["X-Key", TOKEN]])
        assert json.loads(body)["headers"]["x-key"] == TOKEN
        assert VALUE not in repr(head)

    play(server.authority, script, placeholders=bound(server))
    assert server.headers_seen[0]["x-key"] == VALUE


def test_the_value_is_hidden_in_every_part_of_a_response() -> None:
    key = VALUE.encode()
    answer = echoing_head(
        [(b"X-Key", key), (b"Location", b"/?k=" + key), (b"Set-Cookie", b"k=" + key)], b"<" + key + b">"
    )
    answer = answer.replace(b"200 OK", b"200 " + key)

    async def hidden(call: Caller) -> None:
        head, body = await call.open(scripted.url("/"))
        assert VALUE not in repr(head)
        assert (head["reason"], body) == (TOKEN, f"<{TOKEN}>".encode())
        assert ["Location", f"/?k={TOKEN}"] in head["headers"]

    async def shown(call: Caller) -> None:
        head, body = await call.open(scripted.url("/"))
        assert (head["reason"], body) == (VALUE, f"<{VALUE}>".encode())

    # A server that it is not bound to cannot know it: what that one says is none of the secret's business.
    for bind, script in ((bound, hidden), (bound_elsewhere, shown), (unbound, shown)):
        with ScriptedServer(answer) as scripted:
            play(scripted.authority, script, placeholders=bind(scripted))


@pytest.mark.parametrize("cut", [1, 7, len(VALUE) - 1])
def test_a_value_that_comes_in_pieces_is_found(cut: int) -> None:
    key = VALUE.encode()
    pieces = [b"data: " + key[:cut], key[cut:] + b" and ", key[:5], b"-not it"]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    async def script(call: Caller) -> None:
        # One byte at a time, so that no piece is whole when it is handed over either.
        head, body = await call.open(scripted.url("/"), headers=[["X-Key", TOKEN]])
        eof = head["eof"]
        while not eof:
            eof, data = await call.read(1)
            body += data
        assert body == f"data: {TOKEN} and {VALUE[:5]}-not it".encode()

    with ScriptedServer(answer) as scripted:
        play(scripted.authority, script, placeholders=bound(scripted))
        assert VALUE.encode() in scripted.received[0]


def test_servers_of_the_secret_are_told_not_to_compress(server: WebServer, other: WebServer) -> None:
    async def script(call: Caller) -> None:
        for url in (server.url("/echo"), other.url("/echo")):
            await call.fetch(url, headers=[["Accept-Encoding", "gzip"]])

    grants = [private_grant(server.authority), private_grant(other.authority)]
    play(grants, script, placeholders=bound(server))
    assert server.headers_seen[0]["accept-encoding"] == "identity"
    assert other.headers_seen[0]["accept-encoding"] == "gzip"


def test_a_compressed_answer_of_its_server_is_refused() -> None:
    answer = echoing_head([(b"Content-Encoding", b"gzip")], gzip.compress(VALUE.encode()))

    async def refused(call: Caller) -> None:
        assert await failure(call.fetch(scripted.url("/"))) == (
            "protocol",
            f"{scripted.authority} answers in compressed form, which could hide a secret that is bound to it",
        )

    async def allowed(call: Caller) -> None:
        assert gzip.decompress((await call.fetch(scripted.url("/")))[1]) == VALUE.encode()

    with ScriptedServer(answer) as scripted:
        play(scripted.authority, refused, placeholders=bound(scripted))
    with ScriptedServer(answer) as scripted:
        play(scripted.authority, allowed)


def test_an_error_with_the_servers_words_does_not_show_the_value() -> None:
    async def script(call: Caller) -> None:
        code, message = await failure(call.fetch(scripted.url("/")))
        assert code == "protocol"
        messages.append(message)

    messages: list[str] = []
    for bind in (unbound, bound_elsewhere, bound):
        with ScriptedServer(b"nonsense " + VALUE.encode() + b"\r\n\r\n") as scripted:
            play(scripted.authority, script, placeholders=bind(scripted))
    shown, elsewhere, hidden = messages
    assert VALUE in shown
    assert elsewhere == shown
    assert hidden == shown.replace(VALUE, "***")


def test_over_tls_the_plain_name_is_enough(tmp_path: Path) -> None:
    authority, context, ca_file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "ca.pem"
    authority.issue_cert("api.example.com").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)

    async def script(call: Caller) -> None:
        await call.fetch(secured.url("/echo", "api.example.com"), headers=[["X-Key", TOKEN]])

    with WebServer(tls=context) as secured:
        grant = HttpGrant("api.example.com", ports=(secured.port,), allow_private=True, ca_file=ca_file)
        for place in (f"api.example.com:{secured.port}", f"http://api.example.com:{secured.port}"):
            play([grant], script, resolver=answering("127.0.0.1"), placeholders=bound_to(place))
        assert [seen["x-key"] for seen in secured.headers_seen] == [VALUE, TOKEN]


def run(executor: Executor, statement: str, *servers: WebServer, hosts: Sequence[str] | None = None) -> Result:
    """Run a statement that holds KEY and may reach these servers; the key is bound to the first."""
    return executor.run(
        f"import httpx\n{statement}",
        local_variables={f"Server{number}": server.url("") for number, server in enumerate(servers)},
        grants=Grants(http=[private_grant(server.authority) for server in servers]),
        secrets={"KEY": Secret(VALUE, hosts=hosts or [f"http://{servers[0].authority}"]), "PLAIN": "plain-secret"},
    )


def rows(result: Result) -> list[dict[str, Any]]:
    result.raise_for_status()
    return result.rows


def test_a_statement_uses_a_key_that_it_never_holds(executor: Executor, server: WebServer) -> None:
    statement = """
headers = {"Authorization": f"Bearer {LocalVariable.KEY}"}
seen = httpx.get(LocalVariable.Server0 + "/echo", headers=headers).json()["headers"]["authorization"]
basic = httpx.get(LocalVariable.Server0 + "/echo", auth=("me", LocalVariable.KEY)).status_code
log.info(LocalVariable.KEY)
return [{"key": LocalVariable.KEY, "seen": seen, "plain": LocalVariable.PLAIN, "basic": basic}]
"""
    first, second = run(executor, statement, server), run(executor, statement, server)
    (row,) = rows(first)
    assert row["key"].startswith("placeholder-")
    assert len(row["key"]) == len(VALUE)
    assert row["seen"] == f"Bearer {row['key']}"
    assert row["plain"] == "plain-secret"
    assert first.logs[0].message == row["key"]
    assert rows(second)[0]["key"] != row["key"]
    assert VALUE not in repr((first, second))
    bearer, basic, *_ = (seen["authorization"] for seen in server.headers_seen)
    assert bearer == f"Bearer {VALUE}"
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == f"me:{VALUE}"


def test_the_token_of_one_execution_is_worth_nothing_in_another(executor: Executor, server: WebServer) -> None:
    (row,) = rows(run(executor, "return [{'key': LocalVariable.KEY}]", server))
    statement = f"""
for key in ({row["key"]!r}, LocalVariable.KEY):
    httpx.get(LocalVariable.Server0 + "/echo", headers={{"X-Key": key}})
return []
"""
    rows(run(executor, statement, server))
    assert [seen["x-key"] for seen in server.headers_seen] == [row["key"], VALUE]


def test_a_redirect_to_another_host_takes_the_placeholder_along(
    executor: Executor, server: WebServer, other: WebServer
) -> None:
    statement = """
headers = {"X-Key": LocalVariable.KEY}
for to in (LocalVariable.Server0, LocalVariable.Server1):
    url = f"{LocalVariable.Server0}/redirect?to={to}/echo"
    httpx.get(url, headers=headers, follow_redirects=True).raise_for_status()
return [{"key": LocalVariable.KEY}]
"""
    (row,) = rows(run(executor, statement, server, other))
    assert [seen["x-key"] for seen in server.headers_seen] == [VALUE, VALUE, VALUE]
    assert [seen["x-key"] for seen in other.headers_seen] == [row["key"]]


def test_a_host_of_the_secret_is_not_granted_by_it(executor: Executor, server: WebServer) -> None:
    statement = f'httpx.get("{server.url("/echo")}", headers={{"X-Key": LocalVariable.KEY}})\nreturn []'
    secrets = {"KEY": Secret(VALUE, hosts=[f"http://{server.authority}"])}
    refused = executor.run(f"import httpx\n{statement}", secrets=secrets)
    assert refused.status == Status.STATEMENT_RAISED
    assert "is not granted: allow it with --allow-http" in str(refused.error)
    assert server.requests == []
    grants = Grants(http=[private_grant(server.authority)])
    rows(executor.run(f"import httpx\n{statement}", secrets=secrets, grants=grants))
    assert server.headers_seen[0]["x-key"] == VALUE


GUESSES = """
answers = []
for guess in LocalVariable.Guesses.split():
    seen = httpx.get(LocalVariable.Server0 + "/echo", headers={"X-Guess": guess}).json()
    answers.append(seen["headers"]["x-guess"])
    log.info(f"is it {guess}?")
return [{"answers": answers}]
"""


def test_a_list_of_guesses_is_answered_by_nothing_that_shows(
    executor: Executor, server: WebServer, other: WebServer
) -> None:
    """By no answer of another server, and by no mask of the log: right beginnings look like wrong ones."""
    guesses = [*(VALUE[:size] for size in range(1, len(VALUE) + 1)), VALUE[:-1] + "0"]
    shown = [f"is it {guess}?" for guess in guesses]
    for secrets, answered in (
        ({"KEY": Secret(VALUE, hosts=[f"http://{other.authority}"])}, guesses),
        # A secret that the statement holds is masked: it could show it.
        ({"KEY": VALUE}, guesses),
    ):
        result = executor.run(
            f"import httpx\n{GUESSES}", grants=Grants(http=[private_grant(server.authority)]), secrets=secrets,
            local_variables={"Server0": server.url(""), "Guesses": " ".join(guesses)},
        )  # fmt: skip
        (row,) = rows(result)
        assert row["answers"] == answered
        is_bound = isinstance(secrets["KEY"], Secret)
        assert ([record.message for record in result.logs] == shown) is is_bound
