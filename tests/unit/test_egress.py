"""The egress policy: which URLs are granted, and which addresses count as public."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence

import pytest

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import EgressPolicy, Lookups, checked_addresses, resolve
from wasmexec._net.addresses import address_kind, is_reachable
from wasmexec.grants import HttpGrant


def refusal(policy: EgressPolicy, url: str, method: str = "GET") -> tuple[str, str]:
    with pytest.raises(HostCallError) as caught:
        policy.target(method, url)
    return caught.value.code, caught.value.message


POLICY = EgressPolicy(
    [
        HttpGrant("api.example.com"),
        HttpGrant("*.wild.example.com", ports=(8443,), methods=("GET",)),
        HttpGrant("127.0.0.1", ports=(8080,), allow_private=True),
        HttpGrant("::1", ports=(8080,), allow_private=True),
    ]
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com/v1?q=a%20b", ("https", "api.example.com", 443, b"/v1?q=a%20b", "api.example.com")),
        ("http://api.example.com", ("http", "api.example.com", 80, b"/", "api.example.com")),
        ("http://api.example.com?q", ("http", "api.example.com", 80, b"/?q", "api.example.com")),
        ("HTTP://API.Example.Com.:80/", ("http", "api.example.com", 80, b"/", "api.example.com")),
        ("http://api.example.com:443/", ("http", "api.example.com", 443, b"/", "api.example.com:443")),
        ("https://a.wild.example.com:8443/", ("https", "a.wild.example.com", 8443, b"/", "a.wild.example.com:8443")),
        ("http://127.0.0.1:8080/x", ("http", "127.0.0.1", 8080, b"/x", "127.0.0.1:8080")),
        ("http://[::1]:8080/", ("http", "::1", 8080, b"/", "[::1]:8080")),
        ("http://[0:0:0::1]:8080/", ("http", "::1", 8080, b"/", "[::1]:8080")),
        (
            "http://api.example.com//evil.net/\\@x",
            ("http", "api.example.com", 80, b"//evil.net/\\@x", "api.example.com"),
        ),
    ],
)
def test_a_granted_url_is_taken_apart_once(url: str, expected: tuple[str, str, int, bytes, str]) -> None:
    target = POLICY.target("GET", url)
    assert (target.scheme, target.host, target.port, target.path, target.authority) == expected


def test_an_ungranted_host_is_denied_with_the_way_to_grant_it() -> None:
    assert refusal(POLICY, "https://evil.net/") == (
        "denied",
        'HTTP to evil.net is not granted: allow it with --allow-http evil.net or Grants(http=["evil.net"])',
    )
    assert refusal(POLICY, "https://evil.net:8443/") == (
        "denied",
        (
            "HTTP to evil.net:8443 is not granted: "
            'allow it with --allow-http evil.net:8443 or Grants(http=["evil.net:8443"])'
        ),
    )


def test_an_ungranted_port_is_denied() -> None:
    assert refusal(POLICY, "http://api.example.com:8080/") == (
        "denied",
        (
            "HTTP to api.example.com is granted on port 80, 443 only, not on 8080: "
            'allow it with --allow-http api.example.com:8080 or Grants(http=["api.example.com:8080"])'
        ),
    )


def test_an_ungranted_method_is_denied() -> None:
    assert refusal(POLICY, "https://a.wild.example.com:8443/", "POST") == (
        "denied",
        (
            "HTTP POST to a.wild.example.com is not granted, only GET: "
            'allow it with --allow-http "POST https://a.wild.example.com:8443" '
            'or HttpGrant.parse("POST https://a.wild.example.com:8443")'
        ),
    )
    assert POLICY.target("GET", "https://a.wild.example.com:8443/").host == "a.wild.example.com"


@pytest.mark.parametrize(
    "url",
    [
        "http://user@api.example.com/",
        "http://api.example.com@evil.net/",
        "http://user:pw@api.example.com/",
        "http://evil.net\\@api.example.com/",
        "http://evil.net#@api.example.com/",
        "http://api.example.com/#fragment",
        "http://api.example.com/a b",
        "http://api.example.com/a\r\nX: y",
        "http://api.example.com/é",
        "http://api.example.com:80:80/",
        "http://api.example.com:/",
        "http://api.example.com:999999/",
        "http:/api.example.com/",
        "http:api.example.com",
        "//api.example.com/",
        "/path",
        "",
        " http://api.example.com/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[::1%25lo]/",
    ],
)
def test_a_url_that_parsers_read_differently_is_a_bad_request(url: str) -> None:
    code, message = refusal(POLICY, url)
    assert code == "bad_request"
    assert message.startswith("not a plain http or https URL: ")
    assert "\n" not in message


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "ws", "unix"])
def test_only_http_and_https_can_be_requested(scheme: str) -> None:
    expected = ("bad_request", f"only http and https can be requested, not {scheme}")
    assert refusal(POLICY, f"{scheme}://api.example.com/") == expected


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_cannot_be_is_a_bad_request(port: str) -> None:
    assert refusal(POLICY, f"http://api.example.com:{port}/") == ("bad_request", f"port {port} does not exist")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("0x7f.1", "is an IP address in an odd spelling"),
        ("0x7f000001", "is an IP address in an odd spelling"),
        ("2130706433", "is an IP address in an odd spelling"),
        ("127.1", "is an IP address in an odd spelling"),
        ("127.0.0.1.1", "is an IP address in an odd spelling"),
        ("0177.0.0.1", "is an IP address in an odd spelling"),
        ("127.0.0.01", "is an IP address in an odd spelling"),
        ("127.0.0.0x1", "is an IP address in an odd spelling"),
        ("[::ffff:127.0.0.1]", "is an IPv4 address in an IPv6 spelling"),
        ("[::ffff:7f00:1]", "is an IPv4 address in an IPv6 spelling"),
        ("[fe80::1%1]", "carries a zone"),
        ("127%2e0%2e0%2e1", "is not a host name"),
        ("api%2eexample.com", "is not a host name"),
        ("127。0。0。1", "is not ASCII"),
        ("ａpi.example.com", "is not ASCII"),
        ("api.example.com..", "is not a host name"),
        ("api..example.com", "is not a host name"),
        ("*.wild.example.com", "is not a host name"),
        ("api example.com", "is not a host name"),
        ("", "is empty"),
        (".", "is not a host name"),
    ],
)
def test_a_host_in_an_odd_spelling_is_denied(host: str, reason: str) -> None:
    code, message = refusal(POLICY, f"http://{host}:8080/")
    assert code == "denied"
    assert reason in message


def test_a_trailing_dot_is_the_same_address() -> None:
    assert POLICY.target("GET", "http://127.0.0.1.:8080/").host == "127.0.0.1"


def test_a_url_has_a_longest_length() -> None:
    start = "http://api.example.com/"
    assert POLICY.target("GET", start + "x" * (65_536 - len(start))).port == 80
    assert refusal(POLICY, start + "x" * (65_537 - len(start))) == (
        "bad_request",
        "the URL is longer than 65,536 characters",
    )


def test_what_any_grant_permits_is_permitted_and_the_exact_one_says_whom_to_trust() -> None:
    policy = EgressPolicy(
        [
            HttpGrant("*.example.com", methods=("GET",)),
            HttpGrant("db.example.com", methods=("POST",), allow_private=True),
        ]
    )
    assert policy.target("GET", "http://db.example.com/").allow_private is False
    assert policy.target("POST", "http://db.example.com/").allow_private is True
    assert policy.target("GET", "http://a.example.com/").allow_private is False


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", None),
        ("8.8.8.8", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("100.63.255.255", None),
        ("100.128.0.0", None),
        ("2606:4700::6810:84e5", None),
        ("64:ff9b::8.8.8.8", None),
        ("2002:808:808::1", None),
        ("::ffff:8.8.8.8", None),
        ("2001:0:808:808:8000:0:f7f7:f7f7", None),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.1", "reserved"),
        ("192.0.2.1", "documentation"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "private"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "reserved"),
        ("::8.8.8.8", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "metadata"),
        ("::ffff:0:127.0.0.1", "reserved"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("64:ff9b:1::a00:1", "NAT64"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
        ("2001:0:7f00:1:8000:0:f7f7:f7f7", "loopback"),
        ("2001:0:808:808:8000:0:80ff:fffe", "loopback"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("2001:10::1", "reserved"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fd00:ec2::254", "metadata"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("100::1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_every_special_address_is_recognised(address: str, kind: str | None) -> None:
    assert address_kind(address) == kind


def check(host: str, answers: Sequence[str], *, allow_private: bool = False) -> list[str]:
    async def resolver(name: str, port: int) -> Sequence[str]:
        assert (name, port) == (host, 443)
        return answers

    return asyncio.run(checked_addresses(host, 443, allow_private=allow_private, resolver=resolver))


def denial(host: str, answers: Sequence[str], *, allow_private: bool = False) -> str:
    with pytest.raises(HostCallError) as caught:
        check(host, answers, allow_private=allow_private)
    assert caught.value.code == "denied"
    return caught.value.message


def test_public_answers_are_kept_in_order() -> None:
    answers = ["2606:4700::1", "8.8.8.8", "1.1.1.1"]
    assert check("api.example.com", answers) == answers


def test_one_private_answer_among_public_ones_refuses_them_all() -> None:
    assert check("api.example.com", ["8.8.8.8"]) == ["8.8.8.8"]
    assert denial("api.example.com", ["8.8.8.8", "10.0.0.1"]) == (
        "HTTP to api.example.com is refused: it resolves to a private address; "
        "allow it with --allow-private api.example.com:443 "
        'or HttpGrant("api.example.com", ports=(443,), allow_private=True)'
    )
    assert check("api.example.com", ["8.8.8.8", "10.0.0.1"], allow_private=True) == ["8.8.8.8", "10.0.0.1"]


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "100.100.100.200", "::ffff:169.254.169.254"])
def test_a_name_never_reaches_link_local_and_metadata_addresses(address: str) -> None:
    message = denial("api.example.com", [address], allow_private=True)
    assert message.endswith("address, which is reached only by a grant of that very address with allow_private=True")


def test_a_private_grant_of_the_very_address_reaches_it() -> None:
    assert check("169.254.169.254", [], allow_private=True) == ["169.254.169.254"]
    assert denial("169.254.169.254", []) == (
        "HTTP to 169.254.169.254 is refused: it is a metadata address; "
        "allow it with --allow-private 169.254.169.254:443 "
        'or HttpGrant("169.254.169.254", ports=(443,), allow_private=True)'
    )


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::7f00:1"])
def test_no_grant_reaches_addresses_that_are_no_host(address: str) -> None:
    assert denial("api.example.com", [address], allow_private=True).endswith("address, which no grant allows")
    assert denial(address, [], allow_private=True).endswith("address, which no grant allows")


def test_a_name_without_answers_does_not_resolve() -> None:
    with pytest.raises(HostCallError) as caught:
        check("api.example.com", [])
    assert (caught.value.code, caught.value.message) == (
        "connect",
        "the name api.example.com does not resolve: no address",
    )


def test_a_failing_resolver_is_a_connection_error() -> None:
    async def resolver(name: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(HostCallError) as caught:
        asyncio.run(checked_addresses("api.example.com", 443, allow_private=False, resolver=resolver))
    assert (caught.value.code, caught.value.message) == (
        "connect",
        "the name api.example.com does not resolve: Name or service not known",
    )


def test_the_operating_system_resolves_localhost() -> None:
    assert {address_kind(address) for address in asyncio.run(resolve("localhost", 80))} == {"loopback"}


def test_names_that_never_resolve_take_few_threads() -> None:
    """A lookup that was given up counts as long as it runs."""
    running = 0

    async def never(host: str, port: int) -> Sequence[str]:
        nonlocal running
        running += 1
        await asyncio.sleep(60)
        return []

    async def run() -> None:
        lookups = Lookups(never)
        for number in range(5):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await lookups(f"{number}.example.com", 443)
        assert running == 2
        await lookups.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_lookups_take_turns() -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(0.01)
        if host == "bad":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [host]

    async def run() -> list[object]:
        lookups = Lookups(resolver)
        names = ["a", "bad", "b", "bad", "c", "d"]
        return list(await asyncio.gather(*(lookups(name, 443) for name in names), return_exceptions=True))

    a, bad, b, *_ = asyncio.run(run())
    assert (a, b) == (["a"], ["b"])
    assert isinstance(bad, socket.gaierror)


def test_only_so_many_answers_are_tried() -> None:
    assert len(check("api.example.com", [f"8.8.8.{number}" for number in range(200)])) == 8


REGISTRIES = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    ::1/128 ::/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001:2::/48 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7
    fe80::/10 ff00::/8
"""
"""The blocks that IANA's special-purpose registries (and the multicast ones) say are not globally reachable."""


def ends(block: str) -> list[str]:
    network = ipaddress.ip_network(block)
    return [str(network[0]), str(network[-1]), str(network[network.num_addresses // 2])]


@pytest.mark.parametrize("block", REGISTRIES.split())
def test_every_special_block_of_the_registries_is_known(block: str) -> None:
    assert None not in [address_kind(address) for address in ends(block)]


def test_whatever_python_calls_not_global_is_not_reached_as_public() -> None:
    """Source: `ipaddress` of the Python that runs; its lists grow with its patch releases."""
    blocks = [
        *ipaddress.IPv4Address._constants._private_networks,  # type: ignore[attr-defined]
        *ipaddress.IPv6Address._constants._private_networks,  # type: ignore[attr-defined]
    ]
    assert len(blocks) > 20
    # The first may lead anywhere: what it carries decides, and a public one is as good as the address itself.
    carriers = [ipaddress.ip_network(block) for block in ("::ffff:0:0/96", "2002::/16", "2001::/23", "192.0.0.0/29")]
    unknown = [
        address
        for block in blocks
        if block not in carriers
        for address in ends(str(block))
        if address_kind(address) is None
    ]
    assert unknown == []


def test_an_address_behind_a_translator_of_the_network_is_never_reached() -> None:
    """It may be the metadata service by another name, and nobody but the network knows."""
    kind = address_kind("64:ff9b:1:a9fe:a9:fe00::")
    for by_address in (False, True):
        assert not is_reachable(kind, allow_private=True, granted_by_address=by_address)
    assert is_reachable(address_kind("10.0.0.1"), allow_private=True, granted_by_address=False)
