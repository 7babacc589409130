"""Secrets that are bound to hosts: what they accept, their placeholders, and the mask for streams."""

from __future__ import annotations

import base64
import html
import itertools
import json
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec import Secret
from wasmexec._hostcalls.http.egress import Target
from wasmexec._hostcalls.http.placeholders import Placeholder, make_placeholders
from wasmexec._hostcalls.http.secrets import BoundSecrets, ResponseMask, StreamMask
from wasmexec._net.tls import TlsFiles
from wasmexec.errors import ConfigError

VALUE = "sk-aB3/dE5+gH7=jK9&mN1"
OTHER = "*" * len(VALUE)
TOKEN = "T" * len(VALUE)


THERE = Target("https", "api.example.com", 443, b"/", False, TlsFiles())
ELSEWHERE = Target("https", "api.example.org", 443, b"/", False, TlsFiles())


def mask() -> ResponseMask:
    found = BoundSecrets([Placeholder(TOKEN, Secret(VALUE, hosts=["api.example.com"]))]).mask(THERE)
    assert found is not None
    return found


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
        (
            "12345678",
            ["a.example"],
            "a secret with hosts must be hard to guess, for a server that it is sent to can be",
        ),
        ("000000000000000000001", ["a.example"], "a secret with hosts must be hard to guess"),
        ("password", ["a.example"], "a secret with hosts must be hard to guess"),
        ("abababababababababababab", ["a.example"], "a secret with hosts must be hard to guess"),
        (VALUE, "a.example", 'a secret needs a list of hosts, such as hosts=["api.example.com"]'),
        (VALUE, [], 'a secret needs at least one host, such as hosts=["api.example.com"]'),
        (VALUE, [1], "a host of a secret must be a string, not int"),
        (VALUE, ["https://a.example/path"], "'https://a.example/path' must be HOST or HOST:PORT, or http://HOST:PORT"),
        (VALUE, ["u@a.example"], "'u@a.example' must be HOST or HOST:PORT, or http://HOST:PORT to send a secret in"),
        (VALUE, ["a.example:0"], "'a.example:0': port must be from 1 to 65,535"),
        (VALUE, ["*"], "secrets: '*': a wildcard stands for whole labels at the start: *.example.com"),
        (VALUE, ["*.com"], "secrets: '*.com' is too broad: a wildcard needs a name of at least two labels after it"),
        (VALUE, ["0x7f.1"], "secrets: host '0x7f.1' "),
    ],
)
def test_what_cannot_be_bound_is_refused(value: Any, hosts: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret(value, hosts=hosts)
    assert caught.value.message.startswith(message)
    assert "12345678" not in caught.value.message


def test_an_origin_is_scheme_host_and_port() -> None:
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
    value = "xYz-4" * 8
    secrets = {"A": Secret(value, hosts=["a.example"]), "B": Secret(value, hosts=["b.example"]), "C": "plain"}
    secrets["D"] = Secret("1a3B5-7_", hosts=["a.example"])
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
    "".join(f"\\{ord(letter):03o}" for letter in VALUE),
    "".join(f"%5C{ord(letter):03o}" for letter in VALUE),
    "".join(f"\\x{ord(letter):02x}" for letter in VALUE),
    "".join(f"&#{ord(letter)};" for letter in VALUE),
    "sk-",
    "%2",
    "\\",
    " and ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.lists(st.integers(0, 400), max_size=8))
def test_a_stream_is_masked_alike_however_it_is_cut(text: str, cuts: list[int]) -> None:
    data, whole = text.encode(), mask().stream()
    expected = whole.feed(data) + whole.finish()
    result = b"".join(in_pieces(mask().stream(), data, cuts))
    assert result == expected
    assert len(result) == len(data)
    assert VALUE.encode() not in result


@pytest.mark.parametrize(
    "spell",
    [
        lambda code: f"\\{code:03o}", lambda code: f"\\\\{code:03o}", lambda code: f"%5C{code:03o}",
        lambda code: f"\\x{code:02x}", lambda code: f"\\u{code:04x}", lambda code: f"\\u{{{code:x}}}",
        lambda code: f"&#{code};", lambda code: f"&amp;#x{code:x};", lambda code: f"%25{code:02x}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_an_escape_that_is_cut_hides_what_is_before_it(spell: Callable[[int], str], size: int) -> None:
    data = ("<" + "".join(map(spell, VALUE.encode())) + ">").encode()
    assert b"".join(in_pieces(mask().stream(), data, list(range(0, len(data), size)))) == b"<%b>" % (
        b"*" * (len(data) - 2)
    )


def in_pieces(stream: StreamMask, data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [*(stream.feed(data[start:end]) for start, end in itertools.pairwise(borders)), stream.finish()]


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode, lambda data: data.hex().encode()])
def test_of_an_encoded_value_in_pieces_no_more_than_its_very_beginning_shows(encode: Any) -> None:
    data = encode(VALUE.encode())
    for cut in range(len(data)):
        hidden = b"".join(in_pieces(mask().stream(), b"<" + data + b">", [1 + cut]))
        assert len(hidden) == len(data) + 2
        assert not any(data[start : start + 12] in hidden for start in range(len(data) - 12)), (cut, hidden)


def test_what_other_servers_answer_is_looked_through_by_nobody() -> None:
    """A server that is never sent the secret cannot be made to compare guesses with it."""
    secrets = BoundSecrets([Placeholder(TOKEN, Secret(VALUE, hosts=["api.example.com"]))])
    assert secrets.mask(ELSEWHERE) is None
    assert secrets.mask(THERE) is not None
    both = BoundSecrets([
        Placeholder(TOKEN, Secret(VALUE, hosts=["api.example.com"])),
        Placeholder(OTHER, Secret(VALUE[::-1], hosts=["api.example.org"])),
    ])  # fmt: skip
    there, elsewhere = both.mask(THERE), both.mask(ELSEWHERE)
    assert there is not None
    assert elsewhere is not None
    text = f"{VALUE} {VALUE[::-1]}".encode()
    assert there.hide(text) == f"{TOKEN} {VALUE[::-1]}".encode()
    assert elsewhere.hide(text) == f"{VALUE} {OTHER}".encode()


@pytest.mark.parametrize("value", ["1a3B5-7_", "correcthorse", "0123456789abcdef", "8e2f-77b0"])
def test_what_takes_long_to_guess_can_be_bound(value: str) -> None:
    assert Secret(value, hosts=["a.example"]).value == value


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    stream = mask().stream()
    assert stream.feed(b'data: {"token": "x"}\n\n') == b'data: {"token": "x"}\n\n'
    assert stream.feed(f"key {VALUE[:10]}".encode()) == b"key "
    assert stream.feed(VALUE[10:].encode() + b"!") == TOKEN.encode() + b"!"
    assert stream.feed(f"key {VALUE[:10]}".encode()) == b"key "
    assert stream.finish() == VALUE[:10].encode()


def test_a_secret_that_begins_like_another_is_replaced_whole() -> None:
    short, long = Secret("abcd123-", hosts=["a.example"]), Secret("abcd123-567890", hosts=["a.example"])
    both = BoundSecrets([Placeholder("s" * 8, short), Placeholder("L" * 14, long)])
    found = both.mask(Target("https", "a.example", 443, b"/", False, TlsFiles()))
    assert found is not None
    stream = found.stream()
    assert stream.feed(b"<abcd123-") == b"<"
    assert stream.feed(b"567890> <abcd123->") == b"LLLLLLLLLLLLLL> <ssssssss>"
    assert stream.finish() == b""
