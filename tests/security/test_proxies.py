"""Requests through a real forward proxy: what is still checked, who sees what, and that everything works as without."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme
from tests.http_caller import Caller, failure, play, private_grant
from tests.proxy_server import ForwardProxy
from tests.servers import WebServer, unused_port

from wasmexec import HttpGrant, Proxy, Secret
from wasmexec._hostcalls.http.placeholders import Placeholder

CREDENTIALS = "user:p%40ss-w0rd"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private authority."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def server() -> Iterator[WebServer]:
    """An http server."""
    with WebServer() as running:
        yield running


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[WebServer]:
    """An https server that is api.example.com and this machine."""
    with WebServer(tls=server_context(authority, "api.example.com", "127.0.0.1")) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    """A proxy that everybody may use and that knows where two names lead."""
    with ForwardProxy(names=("api.example.com", "localhost")) as running:
        yield running


async def no_resolver(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host} was resolved here")


def grants(*servers: WebServer) -> list[HttpGrant]:
    """Public grants of the name, private ones of the address."""
    ports = [server.port for server in servers]
    return [HttpGrant("api.example.com", ports=ports), HttpGrant("127.0.0.1", ports=ports, allow_private=True)]


def test_http_goes_by_its_whole_url_and_https_through_a_tunnel(
    server: WebServer, tls_server: WebServer, proxy: ForwardProxy, ca_file: str
) -> None:
    async def script(call: Caller) -> None:
        for one in (server, tls_server):
            for host in ("api.example.com", None):
                status, body = await call.fetch(one.url("/echo?a=1", host), b"body", method="POST")
                seen = json.loads(body)
                assert (status, seen["method"], seen["path"], seen["body"]) == (200, "POST", "/echo?a=1", "body")
                assert seen["headers"]["host"] == f"{host or '127.0.0.1'}:{one.port}"

    play(grants(server, tls_server), script, resolver=no_resolver, ca_file=ca_file, proxy=proxy.url)
    assert proxy.seen == [
        ("POST", f"http://api.example.com:{server.port}/echo?a=1"),
        ("POST", f"http://127.0.0.1:{server.port}/echo?a=1"),
        ("CONNECT", f"api.example.com:{tls_server.port}"),
        ("CONNECT", f"127.0.0.1:{tls_server.port}"),
    ]
    # One for both http requests, one for each tunnel.
    assert proxy.connections == 3
    assert [headers["host"] for headers in proxy.headers_seen[2:]] == [target for _, target in proxy.seen[2:]]


def test_nothing_goes_to_a_proxy_that_nobody_asked_for(
    server: WebServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)

    async def script(call: Caller) -> None:
        assert await call.fetch(server.url("/hello")) == (200, b"hello")

    play(server.authority, script)
    assert (proxy.connections, len(server.requests)) == (0, 1)
    # The positive control: asked for, it is taken.
    play(server.authority, script, proxy="env")
    assert (proxy.connections, len(server.requests)) == (1, 2)


def test_streams_run_through_the_proxy_as_they_come_and_connections_are_kept(
    server: WebServer, tls_server: WebServer, proxy: ForwardProxy, ca_file: str
) -> None:
    data = b"0123456789" * 30_000

    async def script(call: Caller) -> None:
        for one in (server, tls_server):
            head, body = await call.open(one.url("/chunks?count=3&size=2&pause=0.3"))
            pieces, started = [body] if body else [], time.monotonic()
            while not head["eof"]:
                head["eof"], piece = await call.read()
                pieces += [piece] if piece else []
            assert (pieces, time.monotonic() - started > 0.4) == ([b"00", b"11", b"22"], True)
            assert await call.open(one.url("/upload"), method="PUT", body="streamed") == ({}, b"")
            await call.write(data)
            head, body = await call.write(data, end=True)
            while not head["eof"]:
                head["eof"], piece = await call.read()
                body += piece
            assert json.loads(body)["sha256"] == hashlib.sha256(data * 2).hexdigest()
            for _ in range(5):
                assert await call.fetch(one.url("/hello")) == (200, b"hello")
            answers = await asyncio.gather(*(call.fetch(one.url("/meet?count=4"), stream=10_000 + n) for n in range(4)))
            assert answers == [(200, b"met")] * 4

    play(grants(server, tls_server), script, ca_file=ca_file, proxy=proxy.url)
    # Four at the same time, of each; a slow machine may let one go idle for too long.
    assert 8 <= proxy.connections < len(server.requests)
    assert [method for method, _ in proxy.seen].count("CONNECT") == tls_server.connections
    assert 4 <= tls_server.connections < len(tls_server.requests) / 2


def test_bytes_and_requests_are_counted_and_limited_as_without_a_proxy(
    server: WebServer, tls_server: WebServer, proxy: ForwardProxy, ca_file: str
) -> None:
    for one in (server, tls_server):

        async def script(call: Caller, one: WebServer = one) -> None:
            assert (await call.fetch(one.url("/bytes?size=50000")))[0] == 200
            code, message = await failure(call.fetch(one.url("/bytes?size=60000")))
            assert (code, message) == ("limit", "more than 100,000 bytes received over HTTP (limit http_bytes)")
            assert (await failure(call.fetch(one.url("/hello"))))[0] == "limit"

        play(grants(one), script, ca_file=ca_file, proxy=proxy.url, http_bytes=100_000, http_requests=2)

    async def same(call: Caller) -> None:
        await call.fetch(tls_server.url("/bytes?size=1000"))

    direct, proxied = (play(grants(tls_server), same, ca_file=ca_file, proxy=url) for url in (None, proxy.url))
    assert direct == proxied


def test_the_proxy_alone_has_its_credentials(server: WebServer, tls_server: WebServer, ca_file: str) -> None:
    async def script(call: Caller) -> None:
        for one in (server, tls_server):
            headers = [["Proxy-Authorization", "Basic bWluZQ=="], ["Proxy-Connection", "keep-alive"]]
            status, body = await call.fetch(one.url("/echo"), headers=headers)
            assert (status, "proxy-authorization" in json.loads(body)["headers"]) == (200, False)

    with ForwardProxy(credentials="user:p@ss-w0rd") as proxy:
        url = proxy.url.replace("p@ss", "p%40ss")
        play(grants(server, tls_server), script, ca_file=ca_file, proxy=url)
        assert [headers["proxy-authorization"] for headers in proxy.headers_seen] == ["Basic dXNlcjpwQHNzLXcwcmQ="] * 2
    assert all("proxy-authorization" not in seen for seen in (*server.headers_seen, *tls_server.headers_seen))


@pytest.mark.parametrize("user", ["", "user:wrong@"])
def test_a_proxy_that_wants_other_credentials_is_an_error_without_what_it_says(
    server: WebServer, tls_server: WebServer, ca_file: str, user: str
) -> None:
    async def script(call: Caller) -> None:
        assert await failure(call.fetch(server.url("/hello"))) == (
            "connect",
            f"the proxy refused a request to {server.authority}: 407 Proxy Authentication Required",
        )
        assert await failure(call.fetch(tls_server.url("/hello"))) == (
            "connect",
            f"the proxy refused to connect to {tls_server.authority}: 407 Proxy Authentication Required",
        )

    with ForwardProxy(credentials=CREDENTIALS) as proxy:
        play(grants(server, tls_server), script, ca_file=ca_file, proxy=f"http://{user}{proxy.authority}")
    assert server.requests == tls_server.requests == []


def test_a_proxy_may_be_reached_with_tls(
    authority: trustme.CA, server: WebServer, tls_server: WebServer, ca_file: str
) -> None:
    async def script(call: Caller) -> None:
        for one in (server, tls_server):
            assert await call.fetch(one.url("/hello")) == (200, b"hello")
            assert len((await call.fetch(one.url("/bytes?size=1000000")))[1]) == 1_000_000

    async def refused(call: Caller) -> None:
        for one in (server, tls_server):
            code, message = await failure(call.fetch(one.url("/hello")))
            assert code == "certificate"
            assert message.startswith("the certificate of the proxy is not accepted: ")

    with ForwardProxy(credentials="user:secret", tls=server_context(authority, "127.0.0.1")) as proxy:
        play(grants(server, tls_server), script, ca_file=ca_file, proxy=proxy.url)
        assert [method for method, _ in proxy.seen] == ["GET", "GET", "CONNECT"]
        play(grants(server, tls_server), refused, proxy=proxy.url)
    with ForwardProxy(tls=server_context(authority, "other.example.com")) as proxy:
        play(grants(server, tls_server), refused, ca_file=ca_file, proxy=proxy.url)


def test_ungranted_hosts_ports_methods_and_schemes_do_not_reach_the_proxy(
    server: WebServer, proxy: ForwardProxy
) -> None:
    allowed = HttpGrant.parse(f"GET http://api.example.com:{server.port}")

    async def script(call: Caller) -> None:
        for url, method in (
            (server.url("/hello", "other.example.com"), "GET"),
            (f"http://api.example.com:{unused_port()}/", "GET"),
            (server.url("/hello", "api.example.com"), "POST"),
            (server.url("/hello", "api.example.com").replace("http:", "https:"), "GET"),
            (f"http://{proxy.authority}/", "GET"),
        ):
            assert (await failure(call.fetch(url, method=method)))[0] == "denied"
        assert proxy.connections == 0
        assert (await call.fetch(server.url("/redirect?to=/hello", "api.example.com")))[0] == 302
        assert (await failure(call.fetch("http://evil.example.com/hello")))[0] == "denied"

    play([allowed], script, proxy=proxy.url)
    assert [target for _, target in proxy.seen] == [f"http://api.example.com:{server.port}/redirect?to=/hello"]


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "is a loopback address"),
        ("10.0.0.7", "is a private address"),
        ("192.168.1.1", "is a private address"),
        ("169.254.169.254", "is a metadata address"),
        ("[::1]", "is a loopback address"),
        ("[fd00:ec2::254]", "is a metadata address"),
        ("localhost", "resolves to a loopback address"),
        ("a.localhost", "resolves to a loopback address"),
        ("metadata.google.internal", "resolves to a metadata address"),
    ],
)
def test_addresses_and_names_of_machines_are_refused_unless_granted(
    server: WebServer, proxy: ForwardProxy, host: str, kind: str
) -> None:
    async def script(call: Caller) -> None:
        for scheme in ("http", "https"):
            code, message = await failure(call.fetch(f"{scheme}://{host}:{server.port}/hello"))
            assert code == "denied"
            assert kind in message

    play([HttpGrant.parse(f"{host}:{server.port}")], script, proxy=proxy.url)
    assert proxy.connections == 0


def test_what_is_granted_as_private_goes_through_the_proxy_but_metadata_by_name_never(
    server: WebServer, proxy: ForwardProxy
) -> None:
    async def script(call: Caller) -> None:
        assert await call.fetch(server.url("/hello")) == (200, b"hello")
        assert await call.fetch(server.url("/hello", "localhost")) == (200, b"hello")
        assert (await failure(call.fetch(server.url("/hello", "metadata.google.internal"))))[0] == "denied"

    hosts = ("127.0.0.1", "localhost", "metadata.google.internal")
    play([private_grant(f"{host}:{server.port}") for host in hosts], script, proxy=proxy.url)
    assert len(proxy.seen) == 2


def test_an_ipv6_address_is_written_in_brackets(authority: trustme.CA, ca_file: str) -> None:
    with (
        WebServer("::1") as server,
        WebServer("::1", tls=server_context(authority, "::1")) as tls_server,
        ForwardProxy() as proxy,
    ):

        async def script(call: Caller) -> None:
            for one in (server, tls_server):
                assert await call.fetch(one.url("/hello")) == (200, b"hello")

        granted = [private_grant(one.authority) for one in (server, tls_server)]
        play(granted, script, ca_file=ca_file, proxy=proxy.url)
        assert proxy.seen == [("GET", server.url("/hello")), ("CONNECT", tls_server.authority)]


def test_exceptions_are_reached_directly_and_their_addresses_checked(server: WebServer, proxy: ForwardProxy) -> None:
    asked = []

    async def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async def script(call: Caller) -> None:
        assert await call.fetch(server.url("/hello")) == (200, b"hello")
        code, message = await failure(call.fetch(server.url("/hello", "direct.example.com")))
        assert (code, "resolves to a loopback address" in message) == ("denied", True)
        assert proxy.connections == 0
        assert await call.fetch(server.url("/hello", "api.example.com")) == (200, b"hello")

    granted = [*grants(server), HttpGrant("direct.example.com", ports=(server.port,))]
    settings = Proxy(http=proxy.url, no_proxy=["direct.example.com", "127.0.0.0/8"])
    play(granted, script, proxy=settings, resolver=resolver)
    assert asked == ["direct.example.com"]
    assert [target for _, target in proxy.seen] == [f"http://api.example.com:{server.port}/hello"]


def test_a_proxy_for_one_scheme_leaves_the_other_alone(
    server: WebServer, tls_server: WebServer, proxy: ForwardProxy, ca_file: str
) -> None:
    async def script(call: Caller) -> None:
        for one in (server, tls_server):
            assert await call.fetch(one.url("/hello")) == (200, b"hello")

    play(grants(server, tls_server), script, ca_file=ca_file, proxy=Proxy(https=proxy.url))
    assert [method for method, _ in proxy.seen] == ["CONNECT"]


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (b"HTTP/1.1 403 Secret reason\r\n\r\n", "connect", "the proxy refused to connect to {}: 403 Forbidden"),
        (b"HTTP/1.1 599 x\r\n\r\n", "connect", "the proxy refused to connect to {}: 599"),
        (b"HTTP/1.1 302 x\r\nLocation: /\r\n\r\n", "connect", "the proxy refused to connect to {}: 302 Found"),
        (b"", "connect", "the proxy closed the connection instead of connecting to {}"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol", "the proxy gave no answer to CONNECT {}"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "protocol", "the proxy gave no answer to CONNECT {}"),
        (b"HTTP/1.1 200 OK\r\n\r\nevil", "protocol", "the proxy sent something before the server could"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 x\r\n\r\n", "connect", "the proxy refused to connect to {}: 502 "),
    ],
)
def test_a_proxy_that_does_not_connect_is_an_error(
    tls_server: WebServer, answer: bytes, code: str, message: str
) -> None:
    async def script(call: Caller) -> None:
        found = await failure(call.fetch(tls_server.url("/hello")))
        assert found[0] == code
        assert found[1].startswith(message.format(tls_server.authority))

    with ForwardProxy(answer=answer) as proxy:
        play(grants(tls_server), script, proxy=proxy.url)
        assert len(proxy.seen) == 1


@pytest.mark.timing
def test_a_proxy_that_is_not_there_or_does_not_answer_ends_in_time_and_is_not_named(tls_server: WebServer) -> None:
    async def refused(call: Caller) -> None:
        for scheme in ("http", "https"):
            code, message = await failure(call.fetch(f"{scheme}://{tls_server.authority}/"))
            assert (code, message) == ("connect", "connection to the proxy failed: Connection refused")

    play(grants(tls_server), refused, proxy=f"http://127.0.0.1:{unused_port()}")

    async def unknown(call: Caller) -> None:
        code, message = await failure(call.fetch(tls_server.url()))
        assert (code, message) == ("connect", "the name of the proxy does not resolve")

    play(grants(tls_server), unknown, proxy="http://no-such-proxy.invalid:1")

    async def hanging(call: Caller) -> None:
        started = time.monotonic()
        code, message = await failure(call.fetch(tls_server.url(), timeout={"connect": 0.5}))
        assert code == "connect_timeout"
        assert message == f"no connection to {tls_server.authority} through the proxy in 0.5 s"
        assert time.monotonic() - started < 5

    with ForwardProxy(hangs=True) as proxy:
        play(grants(tls_server), hanging, proxy=proxy.url)


def test_a_bound_secret_travels_through_the_tunnel_only(
    tls_server: WebServer, server: WebServer, proxy: ForwardProxy, ca_file: str
) -> None:
    secret = Secret("s3cr3t-value", hosts=[f"127.0.0.1:{tls_server.port}"])
    token = "placeholder1"

    async def script(call: Caller) -> None:
        for one in (tls_server, server):
            _, body = await call.fetch(one.url("/echo"), headers=[["X-Key", token]])
            # What comes back has the placeholder.
            assert json.loads(body)["headers"]["x-key"] == token

    play(
        grants(server, tls_server), script, ca_file=ca_file, proxy=proxy.url, placeholders=[Placeholder(token, secret)]
    )
    assert tls_server.headers_seen[0]["x-key"] == "s3cr3t-value"
    assert server.headers_seen[0]["x-key"] == token
    assert all("s3cr3t-value" not in str(headers) for headers in proxy.headers_seen)


def test_the_certificate_behind_a_proxy_is_verified(tls_server: WebServer, proxy: ForwardProxy, ca_file: str) -> None:
    async def unknown(call: Caller) -> None:
        code, message = await failure(call.fetch(tls_server.url("/hello")))
        assert (code, message.startswith("the certificate of 127.0.0.1 is not accepted")) == ("certificate", True)

    async def other_name(call: Caller) -> None:
        code, message = await failure(call.fetch(tls_server.url("/hello", "localhost")))
        assert (code, "certificate is not valid for 'localhost'" in message) == ("certificate", True)

    play(grants(tls_server), unknown, proxy=proxy.url)
    play([private_grant(f"localhost:{tls_server.port}")], other_name, ca_file=ca_file, proxy=proxy.url)
    assert tls_server.requests == []
