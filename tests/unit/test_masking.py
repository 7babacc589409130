"""Secrets disappear from text in every spelling that a client, an encoder or Python gives them."""

from __future__ import annotations

import base64
import binascii
import html
import json
import quopri
import random
import re
import shlex
import string
import textwrap
import time
import unicodedata
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmexec import OutputError
from wasmexec._masking.masker import Masker

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


KEY = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n".format(
    "\n".join(textwrap.wrap(base64.b64encode(bytes(range(7, 255)) * 2).decode(), 64))
)
VALUES = {
    "a token": "sk-live-3/kQ+7mZ=0123456789abcdef",
    "with a line feed at its end": "tok-with-lf at its end 77\n",
    "with spaces around it": "  spaced-secret-77  ",
    "not ASCII": "passw\u00f6rd-\u20acuro-x \u00e9~\u00df",
    "with a smiley": "passw\u00f6rd-\U0001f600-x",
    "like escapes": "C:\\new\\table\\x41bc%41&amp;d~1~0",
    "backslashes": "\\" * 11 + "ab" + "\\" * 5,
    "quotes": "p@ss'w\"ord''12\"\"345y",
    "JSON": '{"type": "service_account", "key": "a\\nb/c+d"}',
    "a private key": KEY,
    "a private key with CRLF": KEY.replace("\n", "\r\n"),
}


def each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(letter)) for letter in text)


def each_byte(form: str, between: str = "") -> Callable[[str], str]:
    return lambda text: between.join(form.format(byte) for byte in text.encode())


def encoded(encode: Callable[[bytes], bytes], encoding: str = "utf-8") -> Callable[[str], str]:
    return lambda text: encode(text.encode(encoding)).decode()


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def json_in_json(depth: int) -> Callable[[str], str]:
    def spell(text: str) -> str:
        for _ in range(depth):
            text = json.dumps(text)[1:-1]
        return text

    return spell


def in_lines(width: int, end: str) -> Callable[[str], str]:
    return lambda text: end.join(textwrap.wrap(base64.b64encode(b"user:" + text.encode()).decode(), width))


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "stripped": str.strip,
    "in another case": lambda text: text.upper() if sum(map(str.isalnum, text)) > 12 else text,
    "with CRLF": lambda text: text.replace("\r\n", "\n").replace("\n", "\r\n"),
    "indented in YAML": lambda text: textwrap.indent(text, "      "),
    "folded in YAML": lambda text: text.replace("\n", "\n\n  "),
    "on one line": lambda text: text.replace("\r", "").replace("\n", ""),
    "on one line with spaces": lambda text: text.replace("\r", "").replace("\n", " "),
    "quoted in a mail": lambda text: "".join(f"> {line}" for line in text.splitlines(keepends=True)),
    "wrapped": lambda text: "\n  ".join(text[i : i + 20] for i in range(0, len(text), 20)),
    "JSON in JSON": json_in_json(2),
    "JSON, seven deep": json_in_json(7),
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "percent-encoded twice": lambda text: quoted(quoted(text)),
    "percent-encoded thrice": lambda text: quoted(quoted(quoted(text))),
    "every byte percent-encoded": each_byte("%{:02x}"),
    "percent-encoded JSON": lambda text: quoted(json.dumps(text)),
    "JSON of HTML": lambda text: json.dumps(html.escape(text)),
    "HTML of HTML": lambda text: html.escape(html.escape(text)),
    "HTML, decimal": each("&#{};"),
    "HTML, hexadecimal": each("&#x{:X};"),
    "XML": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "escape() of old JavaScript": lambda text: "".join(f"%u{ord(letter):04X}" for letter in text),
    "JavaScript": each("\\u{{{:x}}}"),
    "Python, long escapes": each("\\U{:08x}"),
    "Java": lambda text: "".join(f"\\u{unit.hex()}" for unit in units(text)),
    "octal": each_byte("\\{:03o}"),
    "C": each_byte("\\x{:02X}"),
    "unicode_escape": lambda text: text.encode("unicode_escape").decode(),
    "repr of bytes in JSON": lambda text: json.dumps(repr(text.encode())),
    "repr of Windows' bytes": lambda text: repr(text.encode("cp1252")),
    "hexadecimal": encoded(binascii.hexlify),
    "hexadecimal, capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "a dump": lambda text: text.encode().hex(" ", 2),
    "an array in C": each_byte("0x{:02x}", ", "),
    "a list of bytes": lambda text: str(list(text.encode())),
    "Base64 in lines of 76": encoded(base64.encodebytes),
    "Base64 in lines of 64 with CRLF": in_lines(64, "\r\n"),
    "Base64 in lines, in YAML": in_lines(40, "\n    "),
    "Base64 in lines, in JSON": lambda text: json.dumps(in_lines(76, "\n")(text)),
    "Base64 in a URL": lambda text: quoted(base64.b64encode(text.encode()).decode()),
    "Base64, URL-safe, without padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "Base64 of UTF-16": encoded(base64.b64encode, "utf-16-le"),
    "Base64 of Base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "Base32": encoded(base64.b32encode),
    "Base32, small": lambda text: base64.b32encode(b"ab" + text.encode()).decode().lower(),
    "UTF-16 in repr": lambda text: repr(text.encode("utf-16-be")),
    "UTF-16 in hexadecimal": lambda text: text.encode("utf-16-le").hex(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "every byte quoted-printable": each_byte("={:02X}"),
    "CSV": lambda text: text.replace('"', '""'),
    "SQL": lambda text: text.replace("'", "''"),
    "a shell": shlex.quote,
    "a regular expression": re.escape,
    "a JSON pointer": lambda text: text.replace("~", "~0").replace("/", "~1"),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}  # fmt: skip


def units(text: str) -> list[bytes]:
    data = text.encode("utf-16-be")
    return [data[start : start + 2] for start in range(0, len(data), 2)]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("way", WAYS)
def test_no_spelling_shows_a_secret(value: str, way: str) -> None:
    """Nothing of what was between the marks is left but armour, space and padding, and the marks are there."""
    secret = VALUES[value]
    if way in ("escape() of old JavaScript", "repr of Windows' bytes"):
        # They have no smileys.
        secret = secret.replace("\U0001f600", "-smile-")
    spelled = WAYS[way](secret)
    for mask in (Masker([secret]), Masker(["another one", secret, "x" * 50])):
        masked = mask(f"before [{spelled}] after")
        assert masked.startswith("before [")
        assert masked.endswith("] after")
        assert "***" in masked
        left = masked.replace("***", "\0")
        assert [spelled[i : i + 16] for i in range(len(spelled) - 16) if _tells(spelled[i : i + 16], left)] == []
    assert Masker(["something else"])(spelled) == spelled


def _tells(piece: str, text: str) -> bool:
    """Whether a piece is in the text and is more than space, in any spelling, or the armour of a key."""
    bare = re.sub(
        r"\s|%(25)*20|&#x?20;|&#32;|\\u\{?0*20\}?|\\U0*20|0x20|\\x20|=20|\\040|[\\>%,:]|(32|20)+",
        "",
        piece,
    )
    return (
        piece in text
        and len(bare) > 4
        and not set(piece) <= set("\\U02ad")
        and not re.search(r"-{3}|PRIVATE|BEGIN|END|KEY|2D|2d", piece)
    )


@pytest.mark.parametrize("way", ["JSON in JSON", "percent-encoded twice", "HTML of HTML", "C", "octal", "XML", "SQL"])
def test_no_escape_shows_a_short_secret(way: str) -> None:
    for secret in ('p"w', "\u00e9t\u00e9", "a<b&c", "b'/%", "abc'd"):
        spelled = WAYS[way](secret)
        assert Masker([secret])(f"a {spelled} b") == "a *** b"
        assert Masker(["zzz"])(f"a {spelled} b") == f"a {spelled} b"


def test_a_line_of_a_key_is_a_secret_and_its_armour_is_not() -> None:
    lines = KEY.splitlines()
    mask = Masker([KEY])
    assert mask(f"<{lines[3]}>") == "<***>"
    assert mask(lines[0]) == lines[0]
    assert Masker(["{\n  short\n  a line that is long\n}"])("a line that is long, short") == "***, short"


@pytest.mark.parametrize(
    "encode", [str.encode, lambda text: text.encode("latin-1"), lambda text: text.encode("utf-16")]
)
def test_bytes_are_masked_in_any_encoding_and_else_stay_as_they_are(encode: Callable[[str], bytes]) -> None:
    mask = Masker(["pässwörd-7"])
    around = bytes(range(128, 256))
    assert mask.in_bytes(around + encode("pässwörd-7") + around).count(b"***") == 1
    assert around in mask.in_bytes(around + encode("pässwörd-7") + around)
    assert mask.in_bytes(around) is around


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("ab" * 20, "ab" * 1_000_000),
        ("a" * 40, "a" * 2_000_000),
        ("a" * 20 + "b" + "a" * 19, "a" * 2_000_000),
        ("\\" * 40, "\\" * 2_000_000),
        ("\\" * 65_536, "\\" * 2_000_000),
        ("k" * 65_536, "k" * 2_000_000),
        ("some-token-of-20-chars", "%25" * 700_000),
        ("some-token-of-20-chars", "&amp;" * 400_000),
        ("some-token-of-20-chars", "\\u0041" * 300_000),
        ("some-token-of-20-chars", "some-token-of-20-chars " * 40_000),
        ("some-token-of-20-chars", "some-token-of-20-ch..." * 40_000),
        ("some-token-of-20-chars", "x\N{HORIZONTAL ELLIPSIS}" * 200_000),
        ("k" * 4096, "kkkkkkkkkkkk\N{HORIZONTAL ELLIPSIS}" * 60_000),
        ("k" * 65_536, ("k" * 65_000 + "-") * 40),
        ("k" * 129, ("k" * 128 + "-") * 20_000),
        ("\n".join(f"export KEY_{n}=abc{n}" for n in range(2500)), "export KEY_" * 100_000),
    ],
)
def test_the_time_grows_with_the_text_and_not_faster(secret: str, text: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four times."""
    mask = Masker([secret])
    mask("warm")

    def seconds(size: int) -> float:
        started = time.process_time()
        mask(text[:size])
        return time.process_time() - started

    short = min(seconds(len(text) // 8) for _ in range(3))
    assert seconds(len(text)) < 0.5 + 24 * short


@pytest.mark.timing
def test_many_long_secrets_are_ready_soon() -> None:
    values = ["".join(random.Random(n).choices(string.ascii_letters + "\n", k=65_536)) for n in range(50)]
    started = time.process_time()
    assert Masker(values)(f"<{values[7]}>") == "<***>"
    assert time.process_time() - started < 15


@given(st.text(min_size=3, max_size=30), st.integers(0, 60), st.integers(1, 60))
def test_a_cut_leaves_no_piece(secret: str, before: int, size: int) -> None:
    data = f"{'.' * before}{secret}{'.' * 40}".encode("utf-8", "surrogatepass")
    mask = Masker([secret])
    whole = mask("." * before + secret + "." * 40)
    assert whole.startswith(mask.head(data, size).removesuffix("***"))
    assert whole.endswith(mask.tail(data, size).removeprefix("***"))


@pytest.mark.parametrize("dots", ["...", "\N{HORIZONTAL ELLIPSIS}", "....."])
def test_what_others_left_of_a_secret_is_masked_at_an_ellipsis(dots: str) -> None:
    """pandas shows 47 characters of a text, `reprlib` both ends; whole words of a statement's own are left alone."""
    secret = "".join(random.Random(3).choices(string.ascii_letters, k=800))
    mask = Masker([secret])
    assert mask(f"0  {secret[:47]}{dots}") == f"0  ***{dots}"
    assert mask(f"'{secret[:13]}{dots}{secret[-14:]}' and more{dots}") == f"'***{dots}***' and more{dots}"
    assert mask(f"{secret[:7]}{dots}") == f"{secret[:7]}{dots}"
    assert mask(f"{secret[:47]}, {dots}") == f"{secret[:47]}, {dots}"
    assert mask.exactly(f"0  {secret[:47]}{dots}") == f"0  {secret[:47]}{dots}"


def test_what_pyyaml_left_of_a_secret_is_masked_beside_its_spaced_ellipsis() -> None:
    secret = "".join(random.Random(4).choices(string.ascii_letters, k=800))
    mask = Masker([secret])
    assert mask(f"     ... {secret[-30:]}\n{'^':>40}") == f"     ... ***\n{'^':>40}"
    assert mask(f"    key: {secret[:30]} ... \n") == "    key: *** ... \n"
    assert mask(f"    key: {secret[:30]}  ... \n") == f"    key: {secret[:30]}  ... \n"


def test_a_long_beginning_of_a_secret_is_masked_wherever_it_ends() -> None:
    """CPython cuts what `int()` quotes after 200 characters, without a sign of it."""
    secret = "".join(random.Random(5).choices(string.ascii_letters, k=800))
    mask = Masker([secret])
    for size in (128, 199, 799):
        assert mask(f"got '{secret[:size]}\nnext {secret}") == "got '***\nnext ***"
    assert mask(secret[:127] + ", as others of its kind") == secret[:127] + ", as others of its kind"
    assert mask.exactly(secret[:199]) == secret[:199]
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(secret[at : at + 64] for at in range(0, 640, 64))
    assert Masker([key])(f"literal: {key!r}"[:209]) == "literal: '***"


PIECE = 128 * 1024


@pytest.mark.parametrize("value", ["a token", "a private key"])
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_found_wherever_a_long_text_is_divided(value: str, way: str) -> None:
    spelled = WAYS[way](VALUES[value])
    mask = Masker([VALUES[value]])
    alone = mask(f"[{spelled}]")
    assert "***" in alone
    step = PIECE - 16 * 1024
    for before in (step - 1, step - len(spelled.encode()) // 2, PIECE - len(spelled.encode()) // 2):
        assert mask("." * before + f"[{spelled}]" + "." * step) == "." * before + alone + "." * step


def test_secrets_side_by_side_are_one_however_long_the_row_of_them_is() -> None:
    assert Masker(["ab" * 20])("ab" * PIECE + " and " + "ab" * 20) == "*** and ***"
    assert Masker(["0123456789"])("0123456789z" * PIECE) == "***z" * PIECE


REPEATING = st.builds(
    lambda unit, count, end: unit * count + end,
    st.sampled_from(["a", "ab", "\\", "\\n", '"', "'\"", "%25", "&amp;", "\\u005c", "\u20ac", " x", "a\n"])
    | st.text(min_size=1),
    st.integers(1, 200),
    st.text(max_size=5),
).filter(lambda text: len(text.strip()) >= 12)
PLAIN_WAYS = [
    "as it is", "JSON in JSON", "JSON, seven deep", "percent-encoded thrice", "every byte percent-encoded",
    "HTML of HTML", "C", "percent-encoded JSON",
]  # fmt: skip


@example("ab\"cd'efghijk", "JSON in JSON", "100%", "")
@example("n\"cd'efghijk&x", "percent-encoded JSON", "C:\\", "")
@example("a\"cd'efghijk%4", "HTML of HTML", "", "1")
@example("0\\" * 6, "JSON in JSON", "\\", "n")
@given(REPEATING, st.sampled_from(PLAIN_WAYS), st.text(max_size=30), st.text(max_size=30))
def test_no_text_keeps_a_secret_that_repeats_itself(secret: str, way: str, before: str, after: str) -> None:
    if not secret.isprintable() and way in ("C", "HTML of HTML"):
        way = "as it is"
    spelled = WAYS[way](secret)
    # A backslash before an escape makes another text of it, which does not spell the secret.
    before = before.rstrip("\\") if spelled.startswith("\\") else before
    text = f"{before}{spelled}{after}"
    masked = Masker([secret])(text)
    assert "***" in masked
    assert spelled not in masked
    assert secret not in masked
    assert Masker(["another secret"])(text) == text


GROWING = {
    "one letter": "a", "two letters": "ab", "backslashes": "\\", "escapes": "\\n", "escaped escapes": "\\u005c",
    "quotes": '"\'', "percent": "%25", "entities": "&amp;", "not ASCII": "\u00e9\u20ac\U0001f600",
    "marks": "\u0315\u0300", "lines": "abcdefgh\n", "spaces": " a", "nested": "%25%25%255c",
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("kind", GROWING)
def test_the_time_grows_with_the_secret_and_not_faster(kind: str) -> None:
    """To put together what is looked for, and to search a text for it."""
    unit = GROWING[kind]

    def seconds(size: int) -> float:
        secret = (unit * size)[:size]
        text = f"{secret[: size // 2]}x{secret}" * 4
        started = time.process_time()
        masked = Masker([secret])(text)
        taken = time.process_time() - started
        assert "***" in masked
        return taken

    short = min(seconds(4000) for _ in range(3))
    assert seconds(64_000) < 0.3 + 48 * short


@pytest.mark.timing
def test_a_long_text_is_searched_for_many_secrets_at_once() -> None:
    values = ["".join(random.Random(n).choices(string.ascii_letters, k=40)) for n in range(40)]
    text = b"some words of a text, and more of them; " * 200_000

    def seconds(count: int) -> float:
        mask = Masker(values[:count])
        assert mask.in_bytes(b"<%b>" % values[count - 1].encode()) == b"<***>"
        started = time.process_time()
        assert mask.in_bytes(text) is text
        return time.process_time() - started

    few = min(seconds(5) for _ in range(3))
    assert seconds(40) < 0.2 + 3 * few


def test_whoever_asks_can_end_a_search() -> None:
    class Enough(Exception):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise Enough

    mask = Masker(["some-secret-9"])
    text = b"x" * (32 * PIECE)
    with pytest.raises(Enough):
        mask.checked_by(check).in_bytes(text)
    assert calls == 5
    assert mask.in_bytes(text) is text
    assert mask.checked_by(lambda: None)("some-secret-9") == "***"
