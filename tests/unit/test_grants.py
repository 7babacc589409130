"""Grants are checked when they are made, and kept in one spelling."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import trustme

from wasmexec.errors import ConfigError
from wasmexec.grants import DEFAULT_METHODS, DEFAULT_PORTS, Grants, HttpGrant


def test_nothing_is_granted_by_default() -> None:
    assert Grants().http_grants == ()


def test_a_string_grants_the_usual_ports_and_methods() -> None:
    (grant,) = Grants(http=["api.example.com"]).http_grants
    assert (grant.host, grant.ports, grant.methods) == ("api.example.com", DEFAULT_PORTS, DEFAULT_METHODS)
    assert grant.allow_private is False
    assert grant.ca_file is None


@pytest.mark.parametrize(
    ("text", "host", "ports"),
    [
        ("api.example.com:8443", "api.example.com", (8443,)),
        ("*.example.com", "*.example.com", (80, 443)),
        ("*.example.com:8080", "*.example.com", (8080,)),
        ("API.Example.COM.", "api.example.com", (80, 443)),
        (" api.example.com ", "api.example.com", (80, 443)),
        ("localhost:1", "localhost", (1,)),
        ("bücher.example", "xn--bcher-kva.example", (80, 443)),
        ("_dmarc.example.com", "_dmarc.example.com", (80, 443)),
        ("192.0.2.7:8080", "192.0.2.7", (8080,)),
        ("１２７.0.0.1", "127.0.0.1", (80, 443)),
        ("[2001:DB8:0:0::1]:8443", "2001:db8::1", (8443,)),
        ("[::1]", "::1", (80, 443)),
        ("::1", "::1", (80, 443)),
    ],
)
def test_a_grant_is_kept_in_one_spelling(text: str, host: str, ports: tuple[int, ...]) -> None:
    grant = HttpGrant.parse(text)
    assert (grant.host, grant.ports) == (host, ports)
    assert HttpGrant.parse(grant.text) == grant


@pytest.mark.parametrize(
    ("text", "methods", "schemes", "ports"),
    [
        ("GET api.example.com", ("GET",), ("http", "https"), (80, 443)),
        ("GET,POST https://api.example.com", ("GET", "POST"), ("https",), (443,)),
        ("GET , POST  https://api.example.com/", ("GET", "POST"), ("https",), (443,)),
        ("https://api.example.com:8443", DEFAULT_METHODS, ("https",), (8443,)),
        ("http://api.example.com", DEFAULT_METHODS, ("http",), (80,)),
        ("PURGE,X-SYNC http://api.example.com:8080", ("PURGE", "X-SYNC"), ("http",), (8080,)),
    ],
)
def test_methods_and_a_scheme_stand_before_the_host(
    text: str, methods: tuple[str, ...], schemes: tuple[str, ...], ports: tuple[int, ...]
) -> None:
    grant = HttpGrant.parse(text)
    assert (grant.host, grant.methods, grant.schemes, grant.ports) == ("api.example.com", methods, schemes, ports)
    assert HttpGrant.parse(grant.text) == grant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "host '' is empty"),
        ("https://api.example.com/v1", "must be HOST or HOST:PORT, not a URL"),
        ("https://api.example.com?a", "must be HOST or HOST:PORT, not a URL"),
        ("https://user@api.example.com", "must be HOST or HOST:PORT, not a URL"),
        ("ftp://api.example.com", "must be HOST or HOST:PORT, not a URL"),
        ("https://", "host '' is empty"),
        ("GET https://", "host '' is empty"),
        ("GET,CONNECT api.example.com", "method CONNECT cannot be granted"),
        ("GET POST api.example.com", "is not a host name"),
        ("GET,,POST api.example.com", "is not a host name"),
        ("GET,api.example.com", "is not a host name"),
        ("get api.example.com", "is not a host name"),
        ("api.example.com/path", "must be HOST or HOST:PORT, not a URL"),
        ("user@api.example.com", "must be HOST or HOST:PORT, not a URL"),
        ("api.example.com:0", "port must be from 1 to 65,535, not 0"),
        ("api.example.com:65536", "port must be from 1 to 65,535, not 65536"),
        ("api.example.com:http", "is not an IPv6 address"),
        ("*", "a wildcard stands for whole labels at the start"),
        ("api.*.com", "a wildcard stands for whole labels at the start"),
        ("*api.example.com", "a wildcard stands for whole labels at the start"),
        ("*.com", "is too broad"),
        ("*.0.0.1", "is an IP address in an odd spelling"),
        ("*.127.0.0.1", "is too broad"),
        ("0x7f.1", "is an IP address in an odd spelling"),
        ("0x7f000001", "is an IP address in an odd spelling"),
        ("2130706433", "is an IP address in an odd spelling"),
        ("127.1", "is an IP address in an odd spelling"),
        ("0177.0.0.1", "is an IP address in an odd spelling"),
        ("[::ffff:127.0.0.1]", "is an IPv4 address in an IPv6 spelling"),
        ("[fe80::1%eth0]", "carries a zone"),
        ("a..example.com", "is not a host name"),
        (".example.com", "is not a host name"),
        ("-a.example.com", "is not a host name"),
        ("a b.example.com", "is not a host name"),
        ("a%2e.example.com", "is not a host name"),
        ("a\n.example.com", "is not a host name"),
        ("x" * 64 + ".example.com", "is not a host name"),
        (".".join(["x" * 60] * 5), "is not a host name"),
    ],
)
def test_a_wrong_grant_is_refused_when_it_is_made(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match="grants: ") as caught:
        Grants(http=[text])
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"host": 7}, "host must be a string, not int"),
        ({"ports": ()}, "ports must name at least one port"),
        ({"ports": "80"}, "ports must be a sequence of port numbers"),
        ({"ports": 80}, "ports must be a sequence of port numbers"),
        ({"ports": (True,)}, "port must be from 1 to 65,535, not True"),
        ({"ports": (70_000,)}, "port must be from 1 to 65,535, not 70000"),
        ({"methods": "GET"}, "methods must be a sequence"),
        ({"methods": ()}, "methods must name at least one method"),
        ({"methods": ("get",)}, "method must be in capital letters, such as 'GET', not 'get'"),
        ({"methods": ("GET\r\n",)}, "method must be in capital letters"),
        ({"methods": ("CONNECT",)}, "method CONNECT cannot be granted"),
        ({"methods": ("TRACE",)}, "method TRACE cannot be granted"),
        ({"allow_private": 1}, "allow_private must be True or False"),
        ({"schemes": ()}, "schemes must be http, https or both, not ()"),
        ({"schemes": ("ftp",)}, "schemes must be http, https or both, not ('ftp',)"),
        ({"schemes": "https"}, "schemes must be a sequence"),
        ({"client_cert": 7}, "client_cert must be a path, not int"),
        ({"client_key": "/nowhere/key.pem"}, "client_key needs a client_cert"),
        (
            {"client_cert": "/nowhere/cert.pem"},
            "client_cert /nowhere/cert.pem cannot be loaded: No such file or directory",
        ),
        ({"ca_file": 7}, "ca_file must be a path, not int"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file /nowhere/ca.pem cannot be loaded"),
    ],
)
def test_a_wrong_field_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpGrant(**{"host": "api.example.com", **fields})
    assert f"grants: {message}" in caught.value.message


def test_a_certificate_file_must_hold_certificates(tmp_path: Path) -> None:
    wrong, right = tmp_path / "wrong.pem", tmp_path / "right.pem"
    wrong.write_text("no certificate")
    trustme.CA().cert_pem.write_to_path(right)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        HttpGrant("api.example.com", ca_file=wrong)
    assert HttpGrant("api.example.com", ca_file=right).ca_file == str(right)


@pytest.mark.parametrize("http", ["api.example.com", 7, None])
def test_http_must_be_a_list(http: Any) -> None:
    with pytest.raises(ConfigError, match=r'http must be a list of hosts, such as http=\["api.example.com"\]'):
        Grants(http=http)


def test_an_item_must_be_a_string_or_a_grant() -> None:
    with pytest.raises(ConfigError, match="an http grant must be a string or an HttpGrant, not int"):
        Grants(http=[443])  # type: ignore[list-item]


def test_grants_are_frozen_comparable_and_picklable() -> None:
    grants = Grants(http=["a.example.com", HttpGrant("b.example.com", ports=[8080], methods=["GET"])])
    assert grants == Grants(http=["a.example.com", HttpGrant("B.example.com", ports=(8080,), methods=("GET",))])
    assert pickle.loads(pickle.dumps(grants)) == grants
    assert len({grants, pickle.loads(pickle.dumps(grants))}) == 1
    with pytest.raises(AttributeError):
        grants.http = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("grant", "host", "covered"),
    [
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "evil-example.com", False),
        ("*.example.com", "example.com.evil.net", False),
    ],
)
def test_a_wildcard_covers_names_below_only(grant: str, host: str, covered: bool) -> None:
    assert HttpGrant.parse(grant).covers_host(host) is covered
