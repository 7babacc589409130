"""Proxies as they are written: URLs, exceptions, the environment; what is wrong is refused and no password is shown."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from wasmexec import ConfigError, Grants, Proxy
from wasmexec.proxy import ProxyServer, parse_server, split_exceptions

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example:3128", ("http", "proxy.example", 3128, None, "")),
        ("http://proxy.example:3128/", ("http", "proxy.example", 3128, None, "")),
        ("proxy.example:3128", ("http", "proxy.example", 3128, None, "")),
        ("HTTP://PROXY.Example.", ("http", "proxy.example", 80, None, "")),
        ("https://proxy.example", ("https", "proxy.example", 443, None, "")),
        ("http://10.0.0.1:8080", ("http", "10.0.0.1", 8080, None, "")),
        ("http://[::1]:8080", ("http", "::1", 8080, None, "")),
        ("http://user:pass@proxy:1", ("http", "proxy", 1, "user", "pass")),
        ("user:pass@proxy:1", ("http", "proxy", 1, "user", "pass")),
        ("http://user@proxy:1", ("http", "proxy", 1, "user", "")),
        ("http://u%40corp:p%40%3A%2F%C3%A9@proxy:1", ("http", "proxy", 1, "u@corp", "p@:/é")),
        ("http://:pass@proxy:1", ("http", "proxy", 1, "", "pass")),
        ("http://user:pa:ss@proxy:1", ("http", "proxy", 1, "user", "pa:ss")),
    ],
)
def test_a_proxy_is_written_as_a_url(url: str, expected: tuple[Any, ...]) -> None:
    assert tuple(parse_server(url)) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "it must be http://[USER:PASSWORD@]HOST:PORT"),
        ("http://", "it must be http://"),
        ("http://user:s3cret@", "it must be http://"),
        ("http://user:s3cret@proxy:port", "it must be http://"),
        ("http://user:s3cret@proxy:1/path", "it must be http://"),
        ("http://user:s3c@ret@proxy:1", "it must be http://"),
        ("http://user:s3cret/x@proxy:1", "it must be http://"),
        ("http://user:s3cret@pro xy:1", "it must be http://"),
        ("http://user:s3cret@proxy:1\r\nX: y", "it must be http://"),
        ("socks5://user:s3cret@proxy:1", "only http and https proxies are known, not socks5"),
        ("ftp://user:s3cret@proxy:1", "only http and https proxies are known, not ftp"),
        ("http://user:s3cret@proxy:0", "port must be from 1 to 65,535, not 0"),
        ("http://user:s3cret@proxy:65536", "port must be from 1 to 65,535, not 65536"),
        ("http://user:s3cret@-proxy:1", "the host is not a host name"),
        ("http://user:s3cret@0x7f.1:1", "the host is an IP address in an odd spelling"),
        ("http://us%3Aer:s3cret@proxy:1", "the user name has a colon"),
        (f"http://user:{'s3cret' * 500}@proxy:1", "or it or the password is too long"),
        (7, "it must be http://"),
    ],
)
def test_what_is_no_proxy_is_refused_and_no_password_is_shown(url: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^proxy: ") as caught:
        Proxy(https=url)
    assert message in caught.value.message
    assert "s3c" not in caught.value.message


def test_a_proxy_shows_no_password_and_can_be_packed_and_compared() -> None:
    proxy = Proxy(http="http://user:s3cret@proxy:1", no_proxy=["a.example"])
    for text in (repr(proxy), str(proxy), repr(Grants(proxy=proxy)), repr(parse_server(str(proxy.http)))):
        assert "s3cret" not in text
    assert pickle.loads(pickle.dumps(proxy)) == proxy
    assert (proxy.has_password, Proxy(http="http://proxy:1").has_password) == (True, False)
    assert Grants(proxy="http://proxy:1").proxy == Proxy(http="http://proxy:1", https="http://proxy:1")


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "is_direct"),
    [
        (["example.com"], "example.com", 443, True),
        (["example.com"], "www.example.com", 443, True),
        (["example.com"], "notexample.com", 443, False),
        ([".example.com"], "www.example.com", 443, True),
        ([".example.com"], "example.com", 443, True),
        (["*.example.com"], "www.example.com", 443, True),
        (["EXAMPLE.com."], "www.example.com", 443, True),
        (["example.com:8443"], "example.com", 8443, True),
        (["example.com:8443"], "example.com", 443, False),
        (["*"], "example.com", 443, True),
        (["a.example", "b.example"], "b.example", 80, True),
        (["10.0.0.0/8"], "10.1.2.3", 80, True),
        (["10.0.0.0/8"], "11.1.2.3", 80, False),
        (["10.1.2.3/8"], "10.9.9.9", 80, True),
        (["10.0.0.0/8"], "name.example", 80, False),
        (["10.1.2.3"], "10.1.2.3", 80, True),
        (["10.1.2.3:81"], "10.1.2.3", 80, False),
        (["10.1.2.3:81"], "10.1.2.3", 81, True),
        (["::1"], "::1", 80, True),
        (["[::1]"], "::1", 80, True),
        (["[::1]:81"], "::1", 80, False),
        (["[::1]:81"], "::1", 81, True),
        (["fc00::/7"], "fd00::7", 80, True),
        (["fc00::/7"], "10.1.2.3", 80, False),
        (["bücher.example"], "xn--bcher-kva.example", 80, True),
        ([], "example.com", 80, False),
    ],
)
def test_what_no_proxy_covers_is_reached_directly(no_proxy: list[str], host: str, port: int, is_direct: bool) -> None:
    proxy = Proxy(http="http://proxy:1", https="http://proxy:2", no_proxy=no_proxy)
    server = proxy.server_for("https", host, port)
    assert (server is None) is is_direct
    assert is_direct or server == ProxyServer("http", "proxy", 2, None, "")


@pytest.mark.parametrize(
    "text", ["", "a b", "2.3", "http://example.com", "10.0.0.0/99", "a..b", "169.254/16", "0x7f.1", 7]
)
def test_what_is_no_exception_is_refused(text: Any) -> None:
    with pytest.raises(ConfigError, match="in no_proxy is not a host"):
        Proxy(no_proxy=[text])


def test_a_list_of_exceptions_is_a_list_and_has_an_end() -> None:
    assert split_exceptions(["a.example, b.example c.example", "d.example"]) == [
        "a.example", "b.example", "c.example", "d.example",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no_proxy must be a list of hosts"):
        Proxy(no_proxy="a.example")
    assert len(Proxy(no_proxy=["a.example"] * 1000).no_proxy) == 1000
    with pytest.raises(ConfigError, match="more than 1,000 hosts"):
        Proxy(no_proxy=["a.example"] * 1001)


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://one:1"}, "one", None),
        ({"HTTPS_PROXY": "http://two:2"}, None, "two"),
        ({"HTTP_PROXY": "http://one:1", "HTTPS_PROXY": "two:2"}, "one", "two"),
        ({"ALL_PROXY": "http://all:3"}, "all", "all"),
        ({"ALL_PROXY": "http://all:3", "HTTPS_PROXY": "http://two:2"}, "all", "two"),
        ({"HTTP_PROXY": "http://one:1", "http_proxy": "http://small:1"}, "small", None),
        ({"HTTP_PROXY": "http://one:1", "REQUEST_METHOD": "GET"}, None, None),
        ({"HTTP_PROXY": ""}, None, None),
    ],
)
def test_the_environment_is_read_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], http: str | None, https: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = Proxy.parse("env")
    for scheme, host in (("http", http), ("https", https)):
        server = proxy.server_for(scheme, "example.com", 80)
        assert (server and server.host) == host
    assert Grants(proxy="env").proxy == proxy
    assert Grants().proxy is None


def test_no_proxy_of_the_environment_is_taken_as_far_as_it_makes_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1, .svc,10.0.0.0/8,169.254/16,http://x,,*.corp.example")
    proxy = Proxy.from_environment()
    assert proxy.no_proxy == ("localhost", "127.0.0.1", "::1", ".svc", "10.0.0.0/8", "*.corp.example")
    assert Proxy.parse("env", ["a.example"]).no_proxy == ("a.example",)


def test_a_variable_without_a_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:s3cret@proxy:1")
    with pytest.raises(ConfigError) as caught:
        Grants(proxy="env")
    assert caught.value.message == "ALL_PROXY: only http and https proxies are known, not socks5"


@pytest.mark.timing
def test_hostile_texts_take_linear_time() -> None:
    started = time.monotonic()
    for text in ("http://" + ":" * 100_000, "http://" + "a@" * 50_000, "[" * 100_000, "a" * 100_000, ":" * 100_000):
        with pytest.raises(ConfigError):
            Proxy(http=text)
        with pytest.raises(ConfigError):
            Proxy(no_proxy=[text])
    assert time.monotonic() - started < 2
