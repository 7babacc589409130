"""A guest that lies in its http calls reaches nothing beyond its grants and sends only messages that were checked.

No image is needed: the operations are called as a hostile guest would call them.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.http_caller import Caller, answering, failure, play, private_grant
from tests.servers import ScriptedServer, WebServer

from wasmexec.grants import HttpGrant

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def test_a_granted_name_on_a_private_address_is_refused(server: WebServer) -> None:
    url = server.url("/hello", "api.example.com")

    async def refused(call: Caller) -> None:
        assert await failure(call.open(url)) == (
            "denied",
            (
                "HTTP to api.example.com is refused: it resolves to a loopback address; "
                f"allow it with --allow-private api.example.com:{server.port} "
                f'or HttpGrant("api.example.com", ports=({server.port},), allow_private=True)'
            ),
        )

    async def allowed(call: Caller) -> None:
        assert await call.fetch(url) == (200, b"hello")

    loopback = answering("127.0.0.1")
    play([HttpGrant("api.example.com", ports=(server.port,))], refused, resolver=loopback)
    assert server.connections == 0
    play([private_grant(f"api.example.com:{server.port}")], allowed, resolver=loopback)
    assert server.connections == 1


def test_a_granted_private_address_needs_a_private_grant(server: WebServer) -> None:
    async def refused(call: Caller) -> None:
        assert await failure(call.open(server.url("/hello"))) == (
            "denied",
            (
                "HTTP to 127.0.0.1 is refused: it is a loopback address; "
                f"allow it with --allow-private 127.0.0.1:{server.port} "
                f'or HttpGrant("127.0.0.1", ports=({server.port},), allow_private=True)'
            ),
        )

    async def allowed(call: Caller) -> None:
        assert await call.fetch(server.url("/hello")) == (200, b"hello")

    play([HttpGrant("127.0.0.1", ports=(server.port,))], refused)
    assert server.connections == 0
    play(server.authority, allowed)


def test_localhost_is_refused_like_its_address(server: WebServer) -> None:
    async def refused(call: Caller) -> None:
        code, message = await failure(call.open(server.url("/hello", "localhost")))
        assert code == "denied"
        assert message.startswith("HTTP to localhost is refused: it resolves to a loopback address;")

    async def allowed(call: Caller) -> None:
        assert await call.fetch(server.url("/hello", "localhost")) == (200, b"hello")

    play([HttpGrant("localhost", ports=(server.port,))], refused)
    assert server.connections == 0
    play([private_grant(f"localhost:{server.port}")], allowed)


def test_a_name_that_changes_its_address_gains_nothing(server: WebServer) -> None:
    """The address that was checked is the one connected to: the second answer is never asked for."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async def script(call: Caller) -> None:
        url = server.url("/hello", "api.example.com")
        assert await call.fetch(url) == (200, b"hello")
        assert await call.fetch(url) == (200, b"hello")
        assert asked == ["api.example.com"]
        # A new connection resolves again, and is checked again.
        code, message = await failure(call.open(server.url("/hello", "b.example.com")))
        assert (code, "metadata address" in message) == ("denied", True)

    grants = [private_grant(f"{name}.example.com:{server.port}") for name in ("api", "b")]
    play(grants, script, resolver=rebinding)


def test_a_connection_of_one_grant_serves_no_other(server: WebServer) -> None:
    """A connection to a private address, open for GET, is not used for a POST that may not go there."""
    grants = [
        HttpGrant("api.example.com", ports=(server.port,), methods=("GET",), allow_private=True),
        HttpGrant("api.example.com", ports=(server.port,), methods=("POST",)),
    ]

    async def script(call: Caller) -> None:
        url = server.url("/echo", "api.example.com")
        assert (await call.fetch(url))[0] == 200
        assert (await failure(call.fetch(url, method="POST")))[0] == "denied"
        assert (await call.fetch(url))[0] == 200

    play(grants, script, resolver=answering("127.0.0.1"))
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_redirect_to_a_private_address_is_a_request_like_any_other(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, _ = await call.open(server.url("/redirect?to=http://127.0.0.2/", "api.example.com"))
        location = dict(head["headers"])["Location"]
        assert (head["status"], location) == (302, "http://127.0.0.2/")
        assert await failure(call.open(location)) == (
            "denied",
            'HTTP to 127.0.0.2 is not granted: allow it with --allow-http 127.0.0.2 or Grants(http=["127.0.0.2"])',
        )

    play([private_grant(f"api.example.com:{server.port}")], script, resolver=answering("127.0.0.1"))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_used(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with ScriptedServer(OK) as proxy:
        monkeypatch.setenv(variable, f"http://{proxy.authority}")

        async def script(call: Caller) -> None:
            assert await call.fetch(server.url("/hello")) == (200, b"hello")

        play(server.authority, script)
        assert proxy.received == []


def sent(**args: Any) -> bytes:
    """What one request puts on the wire."""
    with ScriptedServer(OK) as server:

        async def script(call: Caller) -> None:
            assert await call.fetch(server.url("/path"), **args) == (200, b"ok")

        play(server.authority, script)
        (data,) = server.received
        return data.replace(server.authority.encode(), b"AUTHORITY")


def refused(**args: Any) -> tuple[str, str]:
    """How one request is refused, without a connection."""
    with WebServer() as server:
        outcome = []

        async def script(call: Caller) -> None:
            outcome.append(await failure(call.open(server.url("/path"), **args)))

        play(server.authority, script)
        assert server.connections == 0
        code, message = outcome[0]
        return code, message.replace(server.authority, "AUTHORITY")


def test_the_message_is_exactly_what_was_asked_for() -> None:
    headers = [
        ["Accept", "*/*"],
        ["X-Tab", "a\tb"],
        ["X-Latin", "\xe9"],
        ["X-Empty", ""],
        ["x-Twice", "1"],
        ["X-twice", "2"],
    ]
    assert sent(headers=headers) == (
        b"GET /path HTTP/1.1\r\nHost: AUTHORITY\r\nAccept: */*\r\nX-Tab: a\tb\r\nX-Latin: \xe9\r\nX-Empty: \r\n"
        b"x-Twice: 1\r\nX-twice: 2\r\n\r\n"
    )


def test_framing_that_the_guest_claims_is_replaced() -> None:
    headers = [["Content-Length", "5"], ["Transfer-Encoding", "chunked"], ["Content-Length", "7"]]
    assert sent(headers=headers) == b"GET /path HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n"
    assert sent(headers=headers, method="POST") == (
        b"POST /path HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: 0\r\n\r\n"
    )
    assert sent(headers=headers, method="POST", blob=b"abc").startswith(
        b"POST /path HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    "headers",
    [
        [["Content-Length", "5"], ["Content-Length", "6"]],
        [["Content-Length", "5, 5"]],
        [["Content-Length", "-1"]],
        [["Content-Length", "+5"]],
        [["Content-Length", "0x5"]],
        [["Content-Length", "1" * 16]],
    ],
)
def test_a_streamed_body_has_one_length(headers: list[list[str]]) -> None:
    assert refused(headers=headers, body="streamed", method="PUT") == (
        "bad_request",
        "Content-Length must be one number",
    )


def test_hop_by_hop_headers_are_dropped() -> None:
    headers = [
        ["Connection", "close, X-Hop"], ["X-Hop", "1"], ["Keep-Alive", "timeout=9"], ["TE", "trailers"],
        ["Trailer", "X"], ["Proxy-Connection", "close"], ["Proxy-Authorization", "Basic x"], ["X-Kept", "1"],
    ]  # fmt: skip
    assert sent(headers=headers) == b"GET /path HTTP/1.1\r\nHost: AUTHORITY\r\nX-Kept: 1\r\n\r\n"
    assert sent(headers=[["Connection", "close"]]) == (
        b"GET /path HTTP/1.1\r\nHost: AUTHORITY\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\r\nX: y", "character 2 of its 7 is a carriage return (U+000D), which no header may have"),
        ("a\nX: y", "character 2 of its 6 is a line feed (U+000A), which no header may have"),
        ("sécret\n", "character 7 of its 7 is a line feed (U+000A), which no header may have"),
        ("a\rb", "character 2 of its 3 is a carriage return (U+000D), which no header may have"),
        ("a\0b", "character 2 of its 3 is NUL (U+0000), which no header may have"),
        ("a\x7fb", "character 2 of its 3 is DEL (U+007F), which no header may have"),
        ("a\x1bb", "character 2 of its 3 is an escape (U+001B), which no header may have"),
        ("a\x01b", "character 2 of its 3 is U+0001, which no header may have"),
        ("é\u0100", "character 2 of its 2 is latin capital letter a with macron (U+0100), which no header may have"),
        ("a\u202eb", "character 2 of its 3 is right-to-left override (U+202E), which no header may have"),
        ("😀", "character 1 of its 1 is grinning face (U+1F600), which no header may have"),
        (" a", "it begins with a space (U+0020): strip() it"),
        ("a ", "it ends with a space (U+0020): strip() it"),
        ("\ta", "it begins with a tab (U+0009): strip() it"),
        (" ", "it begins with a space (U+0020): strip() it"),
    ],
)
def test_no_header_value_ends_before_its_end(value: str, reason: str) -> None:
    assert refused(headers=[["X-Value", value]]) == ("bad_request", f"the value of header X-Value is refused: {reason}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "a header has an empty name"),
        ("a b", "the header name 'a b' is refused: character 2 is a space (U+0020)"),
        ("a:", "the header name 'a:' is refused: character 2 is ':'"),
        ("a\r\nX", "the header name 'a\\r\\nX' is refused: character 2 is a carriage return (U+000D)"),
        ("a\n", "the header name 'a\\n' is refused: character 2 is a line feed (U+000A)"),
        ("\xe9", "the header name '\\xe9' is refused: character 1 is latin small letter e with acute (U+00E9)"),
        ("Host ", "the header name 'Host ' is refused: character 5 is a space (U+0020)"),
        ("(x)", "the header name '(x)' is refused: character 1 is '('"),
        ("a\0", "the header name 'a\\x00' is refused: character 2 is NUL (U+0000)"),
        ("a" * 60 + " ", "the header name of 61 characters is refused: character 61 is a space (U+0020)"),
    ],
)
def test_no_header_name_is_more_than_a_name(name: str, reason: str) -> None:
    assert refused(headers=[[name, "x"]]) == ("bad_request", reason)


@pytest.mark.timing
def test_a_refused_header_is_slow_to_nobody() -> None:
    started = time.monotonic()
    for value in ("\x80 " * 30_000 + "\n", " " * 60_000, "a" + " " * 60_000):
        assert refused(headers=[["X", value]])[0] == "bad_request"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "headers",
    [{"a": "b"}, "a: b", [["a"]], [["a", "b", "c"]], [["a", 1]], [[None, "b"]], ["ab"]],
)
def test_headers_are_a_list_of_pairs(headers: Any) -> None:
    code, message = refused(headers=headers)
    assert (code, message) in (
        ("bad_request", "headers must be a list of pairs"),
        ("bad_request", "a header must be a pair of strings"),
    )


def test_headers_have_a_largest_size() -> None:
    most = [[f"X-{number}", "x" * 7_000] for number in range(9)]
    assert b"X-8: xxx" in sent(headers=most)
    assert refused(headers=[*most, ["Y", "y" * 7_000]]) == (
        "limit",
        "the request has more than 65,536 bytes of headers (limit http_header_bytes)",
    )


def test_headers_have_a_largest_number() -> None:
    assert sent(headers=[["a", "b"]] * 256).count(b"a: b") == 256
    assert refused(headers=[["a", "b"]] * 257) == (
        "limit",
        "the request has more than 256 headers (limit http_headers)",
    )


@pytest.mark.parametrize("host", ["evil.net", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1:80, evil.net", "[", "a@b"])
def test_a_host_header_names_the_host_of_the_url(host: str) -> None:
    assert refused(headers=[["Host", host]]) == (
        "denied",
        f"a request to AUTHORITY cannot carry the Host header {host!a}",
    )


def test_the_right_host_header_is_sent_once(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for host in (server.authority, server.authority.replace(":", ".:")):
            assert (await call.fetch(server.url("/hello"), headers=[["Host", host], ["host", host]]))[0] == 200

    play(server.authority, script)


def test_there_are_no_tunnels_and_no_upgrades() -> None:
    assert refused(method="CONNECT") == ("denied", "HTTP CONNECT is refused: there are no tunnels")
    assert refused(method="connect") == ("denied", "HTTP CONNECT is refused: there are no tunnels")
    assert refused(headers=[["Upgrade", "websocket"], ["Connection", "upgrade"]]) == (
        "bad_request",
        "protocol upgrades are not available",
    )
    code, message = refused(method="TRACE")
    assert (code, message.startswith("HTTP TRACE to 127.0.0.1 is not granted")) == ("denied", True)


@pytest.mark.parametrize("method", ["", "GET /x HTTP/1.1\r\nX:", "G T", "G\tT", "GÉT", "9", "x" * 33, None, 7])
def test_a_method_is_one_word(method: Any) -> None:
    assert refused(method=method) == ("bad_request", "method must be a word")


def test_a_method_is_sent_in_capitals() -> None:
    assert sent(method="get").startswith(b"GET /path HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("timeout", "message"),
    [
        ({"read": -1}, "the read timeout must be a number of seconds or null"),
        ({"read": float("nan")}, "the read timeout must be a number of seconds or null"),
        ({"connect": float("inf")}, "the connect timeout must be a number of seconds or null"),
        ({"pool": "1"}, "the pool timeout must be a number of seconds or null"),
        ({"write": True}, "the write timeout must be a number of seconds or null"),
        ({"total": 1}, "timeout has connect, read, write and pool"),
        (5, "timeout must be an object"),
    ],
)
def test_timeouts_are_numbers(timeout: Any, message: str) -> None:
    assert refused(timeout=timeout) == ("bad_request", message)


@pytest.mark.parametrize(
    ("args", "message"),
    [({"url": None}, "url must be a string"), ({"body": "all"}, "body must be none, whole or streamed")],
)
def test_other_fields_are_checked(args: dict[str, Any], message: str) -> None:
    async def script(call: Caller) -> None:
        arguments = {"stream": 1, "method": "GET", "url": "http://127.0.0.1:1/", **args}
        assert await failure(call.capability.perform("http.open", arguments, b"")) == ("bad_request", message)

    play("127.0.0.1:1", script)


class Names:
    """What names clients asked a TLS server for."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def note(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self.seen.append(name)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def tls_server(authority: trustme.CA, names: Names) -> Iterator[WebServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com", "127.0.0.1").configure_cert(context)
    context.sni_callback = names.note
    with WebServer(tls=context) as running:
        yield running


def test_a_trusted_certificate_of_the_right_name_is_accepted(tls_server: WebServer, ca_file: str, names: Names) -> None:
    async def script(call: Caller) -> None:
        assert await call.fetch(tls_server.url("/hello", "api.example.com")) == (200, b"hello")
        assert await call.fetch(tls_server.url("/hello")) == (200, b"hello")

    grants = [
        HttpGrant(host, ports=(tls_server.port,), allow_private=True, ca_file=ca_file)
        for host in ("api.example.com", "127.0.0.1")
    ]
    usage = play(grants, script, resolver=answering("127.0.0.1"))
    # The name that was granted, though the connection goes to an address; none for an address.
    assert names.seen == ["api.example.com", None]
    assert usage.http_bytes_received < 1000


def test_an_unknown_authority_is_not_trusted(tls_server: WebServer) -> None:
    async def script(call: Caller) -> None:
        code, message = await failure(call.open(tls_server.url("/hello", "api.example.com")))
        assert code == "certificate"
        assert message.startswith("the certificate of api.example.com is not accepted: ")
        assert message.endswith(
            "(certificates are always verified; a private authority is trusted with --ca-file FILE or "
            "HttpGrant(ca_file=...))"
        )

    play([private_grant(f"api.example.com:{tls_server.port}")], script, resolver=answering("127.0.0.1"))
    assert tls_server.requests == []


def test_a_certificate_of_another_name_is_refused(tls_server: WebServer, ca_file: str) -> None:
    async def script(call: Caller) -> None:
        code, message = await failure(call.open(tls_server.url("/hello", "other.example.com")))
        assert code == "certificate"
        assert "Hostname mismatch, certificate is not valid for 'other.example.com'" in message

    grant = HttpGrant("other.example.com", ports=(tls_server.port,), allow_private=True, ca_file=ca_file)
    play([grant], script, resolver=answering("127.0.0.1"))
    assert tls_server.requests == []


def test_the_authority_of_one_grant_vouches_for_no_other(tls_server: WebServer, ca_file: str) -> None:
    async def script(call: Caller) -> None:
        assert await call.fetch(tls_server.url("/hello", "api.example.com")) == (200, b"hello")
        code, message = await failure(call.open(tls_server.url("/hello")))
        assert (code, "is not accepted" in message) == ("certificate", True)

    grants = [
        HttpGrant("api.example.com", ports=(tls_server.port,), allow_private=True, ca_file=ca_file),
        HttpGrant("127.0.0.1", ports=(tls_server.port,), allow_private=True),
    ]
    play(grants, script, resolver=answering("127.0.0.1"))


def test_tls_with_a_server_that_has_none_fails(server: WebServer, ca_file: str) -> None:
    async def script(call: Caller) -> None:
        code, message = await failure(call.open(server.url("/").replace("http:", "https:")))
        assert code == "connect"
        assert message.startswith("TLS with 127.0.0.1 failed: ")

    play(server.authority, script)


def test_a_certificate_file_that_is_gone_is_not_named(tls_server: WebServer, ca_file: str) -> None:
    grant = HttpGrant("127.0.0.1", ports=(tls_server.port,), allow_private=True, ca_file=ca_file)
    Path(ca_file).unlink()

    async def script(call: Caller) -> None:
        assert await failure(call.open(tls_server.url("/hello"))) == (
            "connect",
            "the ca_file of the grant cannot be loaded",
        )

    play([grant], script)
