"""Secrets that are bound to hosts: what they accept, their placeholders, and the mask for streams."""

from __future__ import annotations

import base64
import html
import itertools
import json
import pickle
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec import Secret
from wasmexec._hostcalls.http.egress import Target
from wasmexec._hostcalls.http.placeholders import Placeholder, make_placeholders
from wasmexec._hostcalls.http.secrets import BoundSecrets, StreamMask
from wasmexec._net.tls import TlsFiles
from wasmexec.errors import ConfigError

VALUE = "sk-aB3/dE5+gH7=jK9&mN1"
OTHER = "*" * len(VALUE)
TOKEN = "T" * len(VALUE)


THERE = Target("https", "api.example.com", 443, b"/", False, TlsFiles())
ELSEWHERE = Target("https", "api.example.org", 443, b"/", False, TlsFiles())


def mask() -> BoundSecrets:
    return BoundSecrets([Placeholder(TOKEN, Secret(VALUE, hosts=["api.example.com"]))])


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("api.example.com", ("https", "api.example.com", 443)),
        ("API.Example.com.", ("https", "api.example.com", 443)),
        ("api.example.com:8443", ("https", "api.example.com", 8443)),
        ("https://api.example.com/", ("https", "api.example.com", 443)),
        ("*.example.com", ("https", "*.example.com", 443)),
        ("http://127.0.0.1:8080", ("http", "127.0.0.1", 8080)),
        ("http://api.example.com", ("http", "api.example.com", 80)),
        ("[2001:db8::1]:8443", ("https", "2001:db8::1", 8443)),
    ],
)
def test_a_host_is_https_unless_it_says_otherwise(text: str, origin: tuple[str, str, int]) -> None:
    secret = Secret(VALUE, hosts=[text])
    assert secret.origins == (origin,)
    assert Secret(VALUE, hosts=secret.hosts) == secret
    assert pickle.loads(pickle.dumps(secret)) == secret


@pytest.mark.parametrize(
    ("value", "hosts", "message"),
    [
        (1, ["a.example"], "a secret must be a str, not int"),
        ("1234567", ["a.example"], "a secret with hosts must have 8 to 4,096 characters, not 7; a plain string can be"),
        ("x" * 4097, ["a.example"], "a secret with hosts must have 8 to 4,096 characters, not 4,097; a plain string"),
        ("12345678\r\nX: y", ["a.example"], "a secret with hosts must be printable ASCII, without spaces at its ends"),
        ("12345678 ", ["a.example"], "a secret with hosts must be printable ASCII, without spaces at its ends"),
        ("pässwörter", ["a.example"], "a secret with hosts must be printable ASCII, without spaces at its ends"),
        (VALUE, "a.example", 'a secret needs a list of hosts, such as hosts=["api.example.com"]'),
        (VALUE, [], 'a secret needs at least one host, such as hosts=["api.example.com"]'),
        (VALUE, [1], "a host of a secret must be a string, not int"),
        (VALUE, ["https://a.example/path"], "'https://a.example/path' must be HOST or HOST:PORT, or http://HOST:PORT"),
        (VALUE, ["u@a.example"], "'u@a.example' must be HOST or HOST:PORT, or http://HOST:PORT to send a secret in"),
        (VALUE, ["a.example:0"], "'a.example:0': port must be from 1 to 65,535"),
        (VALUE, ["*"], "secrets: '*': a wildcard stands for whole labels at the start: *.example.com"),
        (VALUE, ["*.com"], "secrets: '*.com' is too wide: a wildcard needs a name of at least two labels after it"),
        (VALUE, ["0x7f.1"], "secrets: host '0x7f.1' "),
    ],
)
def test_what_cannot_be_bound_is_refused(value: Any, hosts: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret(value, hosts=hosts)
    assert caught.value.message.startswith(message)
    assert "12345678" not in caught.value.message


def test_a_place_is_scheme_host_and_port() -> None:
    (exact,) = Secret(VALUE, hosts=["api.example.com"]).origins
    assert exact.covers("https", "api.example.com", 443)
    assert not exact.covers("http", "api.example.com", 443)
    assert not exact.covers("https", "api.example.com", 8443)
    assert not exact.covers("https", "x.api.example.com", 443)
    (below,) = Secret(VALUE, hosts=["*.example.com"]).origins
    assert below.covers("https", "a.b.example.com", 443)
    assert not below.covers("https", "example.com", 443)
    assert not below.covers("https", "badexample.com", 443)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(VALUE, hosts=["api.example.com"])
    assert repr(secret) == str(secret) == "Secret(hosts=('api.example.com',))"


def test_a_placeholder_is_random_and_as_long_as_the_value() -> None:
    secrets = {"A": Secret("x" * 40, hosts=["a.example"]), "B": Secret("x" * 40, hosts=["b.example"]), "C": "plain"}
    secrets["D"] = Secret("12345678", hosts=["a.example"])
    first, second = make_placeholders(secrets), make_placeholders(secrets)
    assert list(first) == ["A", "B", "D"]
    assert [len(item.token) for item in first.values()] == [40, 40, 8]
    # One value that comes back can only become one placeholder.
    assert first["A"].token == first["B"].token
    assert first["A"].token.startswith("placeholder-")
    assert first["A"].token != second["A"].token
    assert first["D"].token != second["D"].token


@pytest.mark.parametrize(
    "spelling",
    [
        json.dumps(VALUE)[1:-1].replace("/", "\\/"),
        quote(VALUE, safe=""),
        quote(VALUE, safe="").lower(),
        html.escape(VALUE),
        VALUE.encode().hex(),
    ],
)
def test_other_spellings_become_as_many_asterisks(spelling: str) -> None:
    text = f"<{spelling}>".encode()
    assert mask().hide(text) == f"<{'*' * len(spelling)}>".encode()


@pytest.mark.parametrize("before", ["", "u:", "user"])
def test_a_value_in_base64_is_found_at_every_alignment(before: str) -> None:
    text = base64.b64encode(f"{before}{VALUE}:after".encode())
    hidden = mask().hide(text)
    assert len(hidden) == len(text)
    assert hidden.count(b"*") >= len(VALUE)
    for piece in (VALUE[3:9], VALUE[9:15]):
        assert piece.encode() not in base64.b64decode(hidden.replace(b"*", b"A"))


PIECES = [
    VALUE,
    VALUE[:9],
    VALUE[4:],
    quote(VALUE, safe=""),
    quote(quote(VALUE, safe=""), safe=""),
    json.dumps(json.dumps(VALUE.replace("/", "\\/"))),
    "".join(f"\\u{ord(letter):04x}" for letter in VALUE),
    html.escape(VALUE),
    "sk-",
    "%2",
    "\\",
    " and ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.lists(st.integers(0, 400), max_size=8))
def test_a_stream_is_masked_alike_however_it_is_cut(text: str, cuts: list[int]) -> None:
    data, whole = text.encode(), mask().stream(THERE)
    expected = whole.feed(data) + whole.finish()
    result = b"".join(in_pieces(mask().stream(THERE), data, cuts))
    assert result == expected
    assert len(result) == len(data)
    assert VALUE.encode() not in result


def in_pieces(stream: StreamMask, data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [*(stream.feed(data[start:end]) for start, end in itertools.pairwise(places)), stream.finish()]


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode, lambda data: data.hex().encode()])
def test_of_an_encoded_value_in_pieces_no_more_than_its_very_beginning_shows(encode: Any) -> None:
    data = encode(VALUE.encode())
    for cut in range(len(data)):
        hidden = b"".join(in_pieces(mask().stream(THERE), b"<" + data + b">", [1 + cut]))
        assert len(hidden) == len(data) + 2
        assert not any(data[start : start + 12] in hidden for start in range(len(data) - 12)), (cut, hidden)


@pytest.mark.parametrize("spelling", [VALUE, quote(VALUE, safe=""), VALUE.encode().hex()])
def test_how_much_comes_from_elsewhere_does_not_depend_on_what_it_is(spelling: str) -> None:
    """A server that guesses letter by letter sees no difference between a right beginning and a wrong one."""
    for size in range(1, len(spelling)):
        for beginning in (spelling[:size], spelling[: size - 1] + "#"):
            assert mask().stream(ELSEWHERE).feed(beginning.encode()) == beginning.encode()
    assert mask().stream(THERE).feed(VALUE[:5].encode()) == b""
    # What has become whole is hidden as far as it has not been passed on.
    stream = mask().stream(ELSEWHERE)
    assert stream.feed(spelling[:6].encode()) == spelling[:6].encode()
    assert spelling[6:].encode() not in stream.feed(spelling[6:].encode() + b"!") + stream.finish()


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    stream = mask().stream(THERE)
    assert stream.feed(b'data: {"token": "x"}\n\n') == b'data: {"token": "x"}\n\n'
    assert stream.feed(f"key {VALUE[:10]}".encode()) == b"key "
    assert stream.feed(VALUE[10:].encode() + b"!") == TOKEN.encode() + b"!"
    assert stream.feed(f"key {VALUE[:10]}".encode()) == b"key "
    assert stream.finish() == VALUE[:10].encode()


def test_a_secret_that_begins_like_another_is_replaced_whole() -> None:
    short, long = Secret("abcd1234", hosts=["a.example"]), Secret("abcd1234567890", hosts=["a.example"])
    both = BoundSecrets([Placeholder("s" * 8, short), Placeholder("L" * 14, long)])
    stream = both.stream(Target("https", "a.example", 443, b"/", False, TlsFiles()))
    assert stream.feed(b"<abcd1234") == b"<"
    assert stream.feed(b"567890> <abcd1234>") == b"LLLLLLLLLLLLLL> <ssssssss>"
    assert stream.finish() == b""
