"""Whatever URL the policy accepts, the usual parsers see the same host, port and path in it."""

from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import EgressPolicy, Target
from wasmexec._net.addresses import is_address, normalise_host
from wasmexec.grants import HttpGrant

POLICY = EgressPolicy(
    [
        HttpGrant("api.example.com", ports=(80, 443, 8080)),
        HttpGrant("*.wild.example.com", ports=(80, 443, 8080)),
        HttpGrant("127.0.0.1", ports=(80, 443, 8080)),
        HttpGrant("::1", ports=(80, 443, 8080)),
    ]
)
PIECES = [
    "http", "https", "HTTP", "ftp", ":", "/", "//", "\\", "@", "#", "?", "[", "]", "%", "%2e", "%00", ".", "..", "*",
    "api.example.com", "a.wild.example.com", "evil.net", "127.0.0.1", "::1", "0x7f.1", "user", ":80", ":8080", ":0080",
    " ", "\t", "\r\n", "\0", "é", "。", "x", "&", ";", "=", "+", "-",
]  # fmt: skip
URLS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=10).map("".join),
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["http", "https"]),
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join),
        st.sampled_from(["", ":80", ":8080", ":"]),
        st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    ),
    st.text(max_size=40),
)


def accepted_or_refused(url: str) -> Target | HostCallError:
    try:
        return POLICY.target("GET", url)
    except HostCallError as error:
        return error


@settings(max_examples=1000, deadline=None)
@given(URLS)
@example("http://api.example.com:8080/a?b=c")
@example("http://[::1]:8080/")
@example("http://API.example.com.?q")
def test_an_accepted_url_has_one_reading(url: str) -> None:
    target = accepted_or_refused(url)
    if isinstance(target, HostCallError):
        assert target.code in ("bad_request", "denied")
        assert target.message.isprintable()
        return
    parts = urlsplit(url)
    assert parts.username is None
    assert parts.fragment == ""
    assert normalise_host(str(parts.hostname)) == target.host
    assert (parts.port or {"http": 80, "https": 443}[parts.scheme]) == target.port
    path = (parts.path or "/") + (f"?{parts.query}" if "?" in url else "")
    assert path.encode() == target.path


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=5).map("".join)))
@example("127.0.0.1.")
@example("0:0:0::1")
def test_normalising_a_host_twice_changes_nothing(text: str) -> None:
    try:
        host = normalise_host(text)
    except ValueError:
        return
    assert normalise_host(host) == host
    assert host.isascii()
    assert host == host.lower()
    assert is_address(host) or host.rpartition(".")[2].isdigit() is False
