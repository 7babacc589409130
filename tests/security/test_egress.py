"""A statement reaches nothing but what it was granted, however it asks."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.http_caller import private_grant
from tests.servers import ScriptedServer, WebServer

from wasmexec import Executor, Grants, HttpGrant, Result, StatementRaised, Status
from wasmexec._hostcalls.http import egress

GET = "import httpx\nreturn [{'text': httpx.get(LocalVariable.Url, follow_redirects=True).text}]"
ASYNC_GET = """
import httpx
async with httpx.AsyncClient(follow_redirects=True) as client:
    return [{'text': (await client.get(LocalVariable.Url)).text}]
"""
BOTH = pytest.mark.parametrize("statement", [GET, ASYNC_GET], ids=["sync", "async"])


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to, in place of the machine's resolver."""
    answers: dict[str, list[str]] = {}

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers[host]

    monkeypatch.setattr(egress, "resolve", resolve)
    return answers


def run(executor: Executor, statement: str, url: str, *http: str | HttpGrant) -> Result:
    return executor.run(statement, local_variables={"Url": url}, grants=Grants(http=http))


def refusal(result: Result) -> str:
    """The message of the ConnectError that ended a statement."""
    assert result.status == Status.STATEMENT_RAISED
    assert isinstance(result.error, StatementRaised)
    assert result.error.type_name == "httpx.ConnectError"
    return result.error.exception_message


@BOTH
def test_there_is_no_network_without_a_grant(executor: Executor, server: WebServer, statement: str) -> None:
    assert refusal(run(executor, statement, server.url("/hello"))) == (
        f"HTTP to {server.authority} is not granted: "
        f'allow it with --allow-http {server.authority} or Grants(http=["{server.authority}"])'
    )
    assert server.connections == 0
    assert run(executor, statement, server.url("/hello"), private_grant(server.authority)).rows == [{"text": "hello"}]


@BOTH
def test_another_host_is_not_granted(executor: Executor, server: WebServer, statement: str) -> None:
    grant = private_grant(server.authority)
    assert refusal(run(executor, statement, "http://evil.example.com/", grant)) == (
        "HTTP to evil.example.com is not granted: "
        'allow it with --allow-http evil.example.com or Grants(http=["evil.example.com"])'
    )
    assert run(executor, statement, server.url("/hello"), grant).rows == [{"text": "hello"}]


@BOTH
def test_another_port_is_not_granted(executor: Executor, server: WebServer, statement: str) -> None:
    with WebServer() as other:
        message = refusal(run(executor, statement, other.url("/hello"), private_grant(server.authority)))
        assert message.startswith(f"HTTP to 127.0.0.1 is granted on port {server.port} only, not on {other.port}: ")
        assert other.connections == 0
        grants = [private_grant(server.authority), private_grant(other.authority)]
        assert run(executor, statement, other.url("/hello"), *grants).rows == [{"text": "hello"}]


@BOTH
def test_a_private_address_needs_a_private_grant(executor: Executor, server: WebServer, statement: str) -> None:
    assert refusal(run(executor, statement, server.url("/hello"), server.authority)) == (
        "HTTP to 127.0.0.1 is refused: it is a loopback address; "
        f"allow it with --allow-private 127.0.0.1:{server.port} "
        f'or HttpGrant("127.0.0.1", ports=({server.port},), allow_private=True)'
    )
    assert server.connections == 0
    assert run(executor, statement, server.url("/hello"), private_grant(server.authority)).rows == [{"text": "hello"}]


@BOTH
def test_a_name_on_a_private_address_needs_a_private_grant(
    executor: Executor, server: WebServer, names: dict[str, list[str]], statement: str
) -> None:
    names["api.example.com"] = ["127.0.0.1"]
    url, authority = server.url("/hello", "api.example.com"), f"api.example.com:{server.port}"
    assert refusal(run(executor, statement, url, authority)) == (
        "HTTP to api.example.com is refused: it resolves to a loopback address; "
        f"allow it with --allow-private api.example.com:{server.port} "
        f'or HttpGrant("api.example.com", ports=({server.port},), allow_private=True)'
    )
    assert server.connections == 0
    assert run(executor, statement, url, private_grant(authority)).rows == [{"text": "hello"}]


@BOTH
@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_one_private_answer_refuses_a_name(
    executor: Executor, names: dict[str, list[str]], statement: str, address: str
) -> None:
    names["api.example.com"] = ["93.184.216.34", address]
    message = refusal(run(executor, statement, "http://api.example.com/", "api.example.com"))
    assert message.startswith("HTTP to api.example.com is refused: it resolves to a ")


@BOTH
def test_a_redirect_to_an_ungranted_private_address_is_refused(
    executor: Executor, server: WebServer, names: dict[str, list[str]], statement: str
) -> None:
    """The granted host sends the statement on to this machine; every hop is checked like a first request."""
    names["api.example.com"] = ["127.0.0.1"]
    with WebServer() as inner:
        url = server.url(f"/redirect?to={inner.url('/hello')}", "api.example.com")
        outer = private_grant(f"api.example.com:{server.port}")
        assert refusal(run(executor, statement, url, outer)) == (
            f"HTTP to {inner.authority} is not granted: "
            f'allow it with --allow-http {inner.authority} or Grants(http=["{inner.authority}"])'
        )
        # Granted by its name and port, it is still on a private address.
        assert refusal(run(executor, statement, url, outer, inner.authority)).startswith(
            "HTTP to 127.0.0.1 is refused: it is a loopback address;"
        )
        assert (server.requests.count(server.requests[0]), inner.connections) == (2, 0)
        assert run(executor, statement, url, outer, private_grant(inner.authority)).rows == [{"text": "hello"}]


ODD = "it is an IP address in an odd spelling: write it as four decimal numbers"


@BOTH
@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("0x7f.1", f"httpx.ConnectError: HTTP to 0x7f.1 is refused: {ODD}"),
        ("127.1", f"httpx.ConnectError: HTTP to 127.1 is refused: {ODD}"),
        ("127.0.0.1.1", f"httpx.ConnectError: HTTP to 127.0.0.1.1 is refused: {ODD}"),
        ("127%2e0.0.1", f"httpx.ConnectError: HTTP to 127%2e0.0.1 is refused: {ODD}"),
        (
            "[::ffff:127.0.0.1]",
            (
                "httpx.ConnectError: HTTP to [::ffff:127.0.0.1] is refused: "
                "it is an IPv4 address in an IPv6 spelling: write it as four decimal numbers"
            ),
        ),
        # These httpx itself refuses; the host does when they come to it another way.
        ("2130706433", "httpx.InvalidURL: Invalid IPv4 address: '2130706433'"),
        ("0177.0.0.1", "httpx.InvalidURL: Invalid IPv4 address: '0177.0.0.1'"),
        ("127。0。0。1", "httpx.InvalidURL: Invalid IPv4 address: '127。0。0。1'"),
    ],
)
def test_an_odd_spelling_of_a_granted_address_is_refused(
    executor: Executor, server: WebServer, *, statement: str, host: str, error: str
) -> None:
    result = run(executor, statement, server.url("/hello", host), private_grant(server.authority))
    assert isinstance(result.error, StatementRaised)
    assert f"{result.error.type_name}: {result.error.exception_message}" == error
    assert server.connections == 0
    assert run(executor, statement, server.url("/hello"), private_grant(server.authority)).rows == [{"text": "hello"}]


@BOTH
def test_credentials_in_a_url_do_not_hide_its_host(executor: Executor, server: WebServer, statement: str) -> None:
    url = f"http://{server.authority}@evil.example.com/"
    message = refusal(run(executor, statement, url, private_grant(server.authority)))
    assert message.startswith("HTTP to evil.example.com is not granted: ")
    url = server.url("/hello", "user:password@127.0.0.1")
    assert run(executor, statement, url, private_grant(server.authority)).rows == [{"text": "hello"}]


def test_a_method_that_is_not_granted_is_refused(executor: Executor, server: WebServer) -> None:
    statement = "import httpx\nreturn [httpx.request(LocalVariable.Method, LocalVariable.Url).json()]"
    grant = HttpGrant("127.0.0.1", ports=(server.port,), methods=("GET",), allow_private=True)

    def with_method(method: str) -> Result:
        variables = {"Url": server.url("/echo"), "Method": method}
        return executor.run(statement, local_variables=variables, grants=Grants(http=[grant]))

    assert refusal(with_method("POST")) == (
        "HTTP POST to 127.0.0.1 is not granted, only GET: "
        f'allow it with --allow-private "POST {server.url("")}" '
        f'or HttpGrant.parse("POST {server.url("")}", allow_private=True)'
    )
    assert with_method("GET").rows[0]["method"] == "GET"


def test_a_host_header_of_its_own_is_refused(executor: Executor, server: WebServer) -> None:
    statement = "import httpx\nreturn [httpx.get(LocalVariable.Url, headers={'Host': LocalVariable.Host}).json()]"

    def with_host(host: str) -> Result:
        variables = {"Url": server.url("/echo"), "Host": host}
        return executor.run(statement, local_variables=variables, grants=Grants(http=[private_grant(server.authority)]))

    assert refusal(with_host("evil.example.com")) == (
        f"a request to {server.authority} cannot carry the Host header 'evil.example.com'"
    )
    assert server.connections == 0
    assert with_host(server.authority).rows[0]["headers"]["host"] == server.authority


def test_a_header_cannot_carry_a_second_request(executor: Executor) -> None:
    statement = """
import httpx
try:
    httpx.get(LocalVariable.Url, headers={"X-Value": LocalVariable.Value})
except httpx.LocalProtocolError as error:
    return [{"error": str(error)}]
return []
"""
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:

        def with_value(value: str) -> Result:
            variables = {"Url": server.url(), "Value": value}
            return executor.run(
                statement, local_variables=variables, grants=Grants(http=[private_grant(server.authority)])
            )

        assert with_value("a\r\n\r\nGET /second HTTP/1.1\r\nHost: x").rows == [
            {
                "error": "the value of header X-Value is refused: character 2 of its 34 is a carriage return (U+000D), "
                "which no header may have"
            }
        ]
        assert server.received == []
        assert with_value("a").rows == []
        assert b"X-Value: a\r\n" in server.received[0]


FORGED = """
import httpx, json
modules = httpx._client.typing.sys.modules
call_sync = modules["wasmexec_guest.hostcall"].call_sync
try:
    reply, data = call_sync("http.open", json.loads(LocalVariable.Arguments))
except modules["wasmexec_guest.errors"].HostCallError as error:
    return [{"code": error.code, "message": error.message}]
return [{"status": reply["status"], "data": data.decode()}]
"""


def test_a_forged_host_call_is_checked_like_any_other(executor: Executor, server: WebServer) -> None:
    """The statement goes around httpx and the transport: the checks are the host's."""

    def forged(**args: Any) -> list[dict[str, Any]]:
        arguments = {"stream": 1, "method": "GET", "url": server.url("/hello"), **args}
        result = executor.run(
            FORGED,
            local_variables={"Arguments": json.dumps(arguments)},
            grants=Grants(http=[private_grant(server.authority)]),
        )
        result.raise_for_status()
        return result.rows

    assert forged() == [{"status": 200, "data": "hello"}]
    assert forged(url="http://evil.example.com/")[0]["code"] == "denied"
    assert forged(url=f"http://{server.authority}@evil.example.com/")[0]["code"] == "bad_request"
    for host in ("2130706433", "0177.0.0.1", "127.1"):
        assert forged(url=server.url("/hello", host)) == [
            {"code": "denied", "message": f"HTTP to {host} is refused: {ODD}"}
        ]
    assert forged(url=server.url("/hello", "127。0。0。1"))[0]["code"] == "denied"
    assert forged(url="file:///etc/passwd")[0]["code"] == "bad_request"
    assert forged(method="CONNECT") == [{"code": "denied", "message": "HTTP CONNECT is refused: there are no tunnels"}]
    assert forged(headers=[["X", "a\r\nb"]])[0]["code"] == "bad_request"
    assert forged(headers=[["Host", "evil.example.com"]])[0]["code"] == "denied"
    assert forged(stream=-1)[0]["code"] == "bad_request"
    assert forged(stream={})[0]["code"] == "bad_request"
    assert forged(timeout={"read": -5})[0]["code"] == "bad_request"
    assert forged(body=["whole"])[0]["code"] == "bad_request"
    assert len(server.requests) == 1


def test_there_are_no_sockets_around_http(executor: Executor, server: WebServer) -> None:
    statement = """
import httpx, ssl
errors = []
for attempt in (
    lambda: ssl.socket.create_connection(("127.0.0.1", LocalVariable.Port), 1),
    lambda: ssl.get_server_certificate(("127.0.0.1", LocalVariable.Port)),
    lambda: httpx._client.typing.sys.modules["httpcore"].ConnectionPool().request("GET", LocalVariable.Url),
):
    try:
        attempt()
    except Exception as error:
        errors.append({"error": type(error).__name__})
return errors + [{"text": httpx.get(LocalVariable.Url).text}]
"""
    result = executor.run(
        statement,
        local_variables={"Port": server.port, "Url": server.url("/hello")},
        grants=Grants(http=[private_grant(server.authority)]),
    )
    result.raise_for_status()
    *errors, control = result.rows
    assert control == {"text": "hello"}
    assert len(errors) == 3
    assert server.connections == 1
