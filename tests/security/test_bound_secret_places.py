"""A bound secret in URLs and bodies: only where it says so, encoded for the place, and said where it is not.

Every refusal stands beside a request that the same server answers to the real value.
"""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.http_caller import Caller, failure, play, private_grant
from tests.servers import ScriptedServer, WebServer

from wasmexec import Executor, Grants, MemoryRecorder, Result, Secret
from wasmexec._hostcalls.http.placeholders import Placeholder

VALUE = 'cs/live+7&"q\\ =%<0123456789abcdef'
TOKEN = "placeholder-ABCDEFGHIJKLMNOPQRSTU"[: len(VALUE)]
assert len(VALUE) == len(TOKEN)
IN_URL = urllib.parse.quote(VALUE, safe="")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def other() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def bound(server: WebServer | ScriptedServer, *also_in: str, value: str = VALUE) -> list[Placeholder]:
    return [Placeholder(TOKEN, Secret(value, hosts=[f"http://{server.authority}"], also_in=also_in), "KEY")]


@pytest.mark.parametrize("also_in", [(), ("url",), ("body",), ("body", "url")])
def test_the_value_is_only_where_it_may_be(server: WebServer, also_in: Sequence[str]) -> None:
    async def script(call: Caller) -> None:
        url = server.url(f"/echo?a=1&key={TOKEN}&b={TOKEN}")
        assert (await call.fetch(url, f"[{TOKEN}]".encode(), method="POST", headers=[["X-Key", TOKEN]]))[0] == 200

    usage = play(server.authority, script, placeholders=bound(server, *also_in))
    in_url, in_body = (IN_URL if "url" in also_in else TOKEN), (VALUE if "body" in also_in else TOKEN)
    assert server.requests == [f"/echo?a=1&key={in_url}&b={in_url}"]
    assert server.bodies_seen == [f"[{in_body}]".encode()]
    assert server.headers_seen[0]["x-key"] == VALUE
    assert server.headers_seen[0]["content-length"] == str(len(in_body) + 2)
    assert sorted(usage.warnings) == [
        f"secret KEY: a request to {server.authority} has its placeholder in the {where}, not its value: "
        f'allow it with also_in=["{place}"] (--secret-also-in KEY={place})'
        for where, place in (("URL", "url"), ("body", "body"))
        if place not in also_in
    ]


def test_in_a_path_it_stays_one_segment(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url(f"/bot{TOKEN}/echo"))

    play(server.authority, script, placeholders=bound(server, "url", value="../../etc?x=1#passwd/aaaaaaaaaaaaaa"[:33]))
    assert server.requests == ["/bot..%2F..%2Fetc%3Fx%3D1%23passwd%2Faaaaaaaaaaaa/echo"]


def from_form(body: str) -> dict[str, Any]:
    return dict(urllib.parse.parse_qsl(body))


def from_plain(body: str) -> dict[str, Any]:
    return {"client_secret": body}


def from_multipart(body: str) -> dict[str, Any]:
    return {"client_secret": body.split("\r\n")[2]}


BODIES: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "application/x-www-form-urlencoded": (f"a=1&client_secret={TOKEN}", from_form),
    "application/x-www-form-urlencoded; charset=UTF-8": (f"client_secret={TOKEN}&z=2", from_form),
    "application/json": (f'{{"client_secret": "{TOKEN}"}}', json.loads),
    "Application/Problem+JSON;v=1": (f'{{"client_secret": "{TOKEN}"}}', json.loads),
    "application/xml": (TOKEN, lambda body: {"client_secret": html.unescape(body)}),
    "text/plain": (TOKEN, from_plain),
    "": (TOKEN, from_plain),
    "multipart/form-data; boundary=b": (f"--b\r\n\r\n{TOKEN}\r\n--b--", from_multipart),
}


@pytest.mark.parametrize("content_type", BODIES)
@pytest.mark.parametrize("size", [0, 1, 7, 30])
def test_a_body_is_encoded_as_its_type_wants(server: WebServer, content_type: str, size: int) -> None:
    """Whole (0), and in pieces of so many bytes, so that the placeholder is cut."""
    text, parse = BODIES[content_type]
    headers = [["Content-Type", content_type]] if content_type else []

    async def script(call: Caller) -> None:
        if not size:
            assert (await call.fetch(server.url("/echo"), text.encode(), method="POST", headers=headers))[0] == 200
            return
        declared = [*headers, ["Content-Length", str(len(text))]]
        await call.open(server.url("/echo"), method="POST", headers=declared, body="streamed")
        for start in range(0, len(text), size):
            await call.write(text[start : start + size].encode())
        head, _ = await call.write(b"", end=True)
        assert head["status"] == 200

    usage = play(server.authority, script, placeholders=bound(server, "body"))
    (body,) = server.bodies_seen
    assert parse(body.decode())["client_secret"] == VALUE
    assert server.headers_seen[0].get("content-length", str(len(body))) == str(len(body))
    assert usage.warnings == {}


def test_a_streamed_body_whose_length_stays_keeps_it(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        headers = [["Content-Length", str(len(TOKEN) + 2)]]
        await call.open(server.url("/echo"), method="PUT", headers=headers, body="streamed")
        await call.write(f"<{TOKEN[:5]}".encode())
        await call.write(f"{TOKEN[5:]}>".encode(), end=True)

    play(server.authority, script, placeholders=bound(server, "body"))
    assert server.bodies_seen == [f"<{VALUE}>".encode()]
    assert server.headers_seen[0]["content-length"] == str(len(VALUE) + 2)


def test_what_only_begins_like_a_placeholder_goes_out_whole(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/echo"), method="POST", body="streamed")
        for piece in (TOKEN[:20], TOKEN[:20], "plac", "placeholder-"):
            await call.write(piece.encode())
        await call.write(b"", end=True)

    play(server.authority, script, placeholders=bound(server, "body"))
    assert server.bodies_seen == [f"{TOKEN[:20] * 2}placplaceholder-".encode()]


def test_a_filled_url_has_the_limit_of_others(server: WebServer) -> None:
    long = Placeholder(
        TOKEN, Secret("%" * 4091 + "-_.~a", hosts=[f"http://{server.authority}"], also_in=["url"]), "KEY"
    )

    async def script(call: Caller) -> None:
        assert await failure(call.open(server.url("/echo?" + TOKEN * 10))) == (
            "bad_request",
            "the URL is longer than 65,536 characters",
        )
        await call.open(server.url("/echo?" + TOKEN * 3))

    play(server.authority, script, placeholders=[long])
    assert server.requests == ["/echo?" + ("%25" * 4091 + "-_.~a") * 3]


def run(executor: Executor, statement: str, *servers: WebServer, also_in: Sequence[str] = (), **options: Any) -> Result:
    """Run a statement that holds KEY and may reach these servers; the key is bound to the first."""
    return executor.run(
        f"import httpx\nkey = LocalVariable.KEY\n{statement}",
        local_variables={f"Server{number}": server.url("") for number, server in enumerate(servers)},
        secrets={"KEY": Secret(VALUE, hosts=[f"http://{servers[0].authority}"], also_in=also_in)},
        **{"grants": Grants(http=[private_grant(server.authority) for server in servers]), **options},
    )


OAUTH = """
answer = httpx.post(LocalVariable.Server0 + "/echo", params={"key": key}, data={"client_secret": key, "x": "a b"})
answer.raise_for_status()
return [{"body": answer.json()["body"], "url": str(answer.request.url)}]
"""


def test_an_oauth_client_sends_its_secret_in_the_form(executor: Executor, server: WebServer) -> None:
    result = run(executor, OAUTH, server, also_in=["body", "url"])
    result.raise_for_status()
    assert dict(urllib.parse.parse_qsl(server.bodies_seen[0].decode())) == {"client_secret": VALUE, "x": "a b"}
    assert server.requests == [f"/echo?key={IN_URL}"]
    assert result.warnings == []
    assert VALUE not in repr(result.rows)
    assert IN_URL not in repr(result.rows)


def test_a_placeholder_that_leaves_is_said(executor: Executor, server: WebServer, other: WebServer) -> None:
    result = run(executor, OAUTH.replace("Server0", "Server1"), server, other, also_in=["body", "url"])
    result.raise_for_status()
    only = f"the secret is bound to http://{server.authority} only"
    assert sorted(result.warnings) == [
        f"secret KEY: a request to {other.authority} has its placeholder in the URL, not its value: {only}",
        f"secret KEY: a request to {other.authority} has its placeholder in the body, not its value: {only}",
    ]
    assert VALUE.encode() not in other.bodies_seen[0]
    streamed = """
async def pieces():
    for letter in "key=" + key:
        yield letter.encode()
async with httpx.AsyncClient() as client:
    await client.post(LocalVariable.Server0 + "/echo", content=pieces())
return []
"""
    result = run(executor, streamed, server)
    assert [text.partition(":")[0] for text in result.warnings] == ["secret KEY"]
    assert "in the body" in result.warnings[0]
    assert run(executor, streamed, server, also_in=["body"]).warnings == []
    assert [VALUE.encode() in body for body in server.bodies_seen] == [False, True]


def test_each_hop_of_a_redirect_is_filled_anew(executor: Executor, server: WebServer, other: WebServer) -> None:
    statement = """
for to in (LocalVariable.Server0, LocalVariable.Server1):
    url = f"{LocalVariable.Server0}/redirect?to={to}/echo?key={key}"
    httpx.get(url, follow_redirects=True).raise_for_status()
return []
"""
    run(executor, statement, server, other, also_in=["url"]).raise_for_status()
    assert all(IN_URL in path for path in server.requests)
    assert len(server.requests) == 3
    (path,) = other.requests
    assert VALUE[:8] not in urllib.parse.unquote(urllib.parse.unquote(path))


def test_what_is_recorded_has_the_placeholder_and_is_replayed(executor: Executor, server: WebServer) -> None:
    recorder = MemoryRecorder()
    result = run(executor, OAUTH, server, also_in=["body", "url"], recorder=recorder)
    result.raise_for_status()
    everything = repr([recorder.parts, recorder.exchanges])
    assert [form for form in (VALUE, IN_URL, VALUE[-16:]) if form in everything] == []
    again = run(executor, OAUTH, server, also_in=["body", "url"], replay=recorder.recording())
    assert again.replay is not None
    assert again.replay.is_identical
    assert len(server.requests) == 1
