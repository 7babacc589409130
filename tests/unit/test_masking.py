"""Secrets disappear from text in every spelling that a client, an encoder or Python gives them."""

from __future__ import annotations

import base64
import html
import json
import string
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmexec import OutputError
from wasmexec._masking import Masker

SECRET = "p@ss w/örd\"x'\\1\n€😀"
SPELLINGS = {
    "plain": SECRET,
    "percent-encoded": urllib.parse.quote(SECRET, safe=""),
    "percent-encoded, lower case": urllib.parse.quote(SECRET, safe="").lower(),
    "percent-encoded as a path": urllib.parse.quote(SECRET),
    "form-encoded": urllib.parse.quote_plus(SECRET),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON, not ASCII only": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "Python repr": repr(SECRET)[1:-1],
    "Python repr of bytes": repr(SECRET.encode())[2:-1],
    "Python ascii": ascii(SECRET)[1:-1],
    "HTML": html.escape(SECRET),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_however_it_is_spelled(spelling: str) -> None:
    text = f"before {SPELLINGS[spelling]} after"
    assert Masker([SECRET])(text) == "before *** after"
    assert Masker(["something else"])(text) == text


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode], ids=["standard", "url-safe"])
def test_a_secret_inside_base64_is_masked_at_every_alignment(before: int, after: int, encode: object) -> None:
    secret = "user:pässword?>"
    assert callable(encode)
    text = encode(b"#" * before + secret.encode() + b"#" * after).decode()
    masked = Masker([secret])(text)
    assert "***" in masked
    assert len(masked.replace("***", "").rstrip("=")) <= 2 + (before + after) * 8 / 6 + 2
    assert not any(secret[i : i + 4].encode() in _decodings(masked) for i in range(len(secret) - 4))


def _decodings(text: str) -> bytes:
    parts = text.replace("-", "+").replace("_", "/").split("***")
    return b"|".join(
        base64.b64decode(part[skip:] + "=" * (-len(part[skip:]) % 4)) for part in parts for skip in range(4)
        if len(part[skip:].rstrip("=")) % 4 != 1
    )  # fmt: skip


def test_the_longest_secret_wins() -> None:
    mask = Masker(["abc", "abcdef", ""])
    assert mask("abcdef abcx abd") == "*** ***x abd"


def test_a_basic_authorization_header_is_masked() -> None:
    header = "Basic " + base64.b64encode(b"user:hunter2hunter2").decode()
    masked = Masker(["hunter2hunter2"])(header)
    assert masked.startswith("Basic dXNlcj")
    assert "***" in masked


def test_without_secrets_text_stays_as_it_is() -> None:
    assert Masker([])("any text") == "any text"
    assert Masker([""])("any text") == "any text"


def test_every_text_field_of_an_error_is_masked() -> None:
    error = OutputError("/0/s3cret", "type", "'s3cret'", "bad value 's3cret'")
    Masker(["s3cret"]).error(error)
    assert (error.message, error.pointer, error.value) == ("bad value '***'", "/0/***", "'***'")


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
@example("a", "aaa", "")
@example("\\", "", "\\")
def test_no_text_keeps_the_secret(secret: str, before: str, after: str) -> None:
    masked = Masker([secret])(before + secret + after)
    assert secret not in masked.replace("***", "") or set(secret) <= set("*")


@given(st.text(alphabet=string.printable, max_size=200))
def test_text_without_the_secret_is_untouched(text: str) -> None:
    assert Masker(["\u2603 snowman"])(text) == text
