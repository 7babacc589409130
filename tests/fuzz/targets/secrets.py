"""Secrets: in texts and streams that were spelled, wrapped and cut nothing of them is left; where they may go."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
import string
import urllib.parse
from collections.abc import Callable

from tests.fuzz.draw import Draw

from wasmexec import ConfigError, Secret
from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import Target
from wasmexec._hostcalls.http.message import OutgoingRequest
from wasmexec._hostcalls.http.placeholders import Placeholder
from wasmexec._hostcalls.http.secrets import BoundSecrets, ResponseMask
from wasmexec._masking.masker import Masker
from wasmexec._net.tls import TlsFiles

_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/+!@#%&\"'\\ é€"
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))


def _in_digits(secret: str) -> str:
    return " ".join(f"{byte:02x}" for byte in secret.encode())


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda secret: urllib.parse.quote(secret, safe=""),
    lambda secret: re.sub("%..", lambda code: code[0].lower(), urllib.parse.quote(secret, safe="")),
    urllib.parse.quote_plus,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: repr(secret)[1:-1],
    lambda secret: repr(secret.encode())[2:-1],
    html.escape,
    lambda secret: "".join(f"\\{byte:03o}" for byte in secret.encode()),
    lambda secret: "".join(f"\\x{byte:02x}" for byte in secret.encode()),
    lambda secret: "".join(f"\\u{{{ord(letter):x}}}" for letter in secret),
    lambda secret: "".join(f"\\U{ord(letter):08x}" for letter in secret),
    lambda secret: "".join(f"&#{ord(letter)};" for letter in secret),
    lambda secret: "".join(f"&#x{ord(letter):x};" for letter in secret),
    lambda secret: "".join(f"={byte:02X}" for byte in secret.encode()),
    lambda secret: json.dumps(json.dumps(secret))[3:-3],
    lambda secret: secret.replace("~", "~0").replace("/", "~1"),
    lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
)
_ENCODINGS: tuple[Callable[[str], str], ...] = (_SPELLINGS[-1], lambda secret: secret.encode().hex(), _in_digits)


def masking(data: bytes) -> None:
    """Neither a text, nor bytes, nor a beginning or an end of them shows the secret in any spelling."""
    draw = Draw(data)
    secret = "".join(_CHARACTERS[byte % len(_CHARACTERS)] for byte in draw.take(8 + draw.below(24))).strip()
    if draw.chance(6):
        secret = secret * 2 + secret[: len(secret) // 2 + 1]
    elif draw.chance(6):
        secret = "\n".join(f"{secret}{line}{secret[::-1]}" for line in range(3))
    elif draw.chance(6):
        secret += "".join(map(str, range(100)))
    if len(set(secret)) < 6 or len(secret) < 8:
        return
    spelled = draw.choose((*_SPELLINGS, _in_digits))(secret)
    text = draw.text(40) + "\n" + spelled + "\n" + draw.text(40)
    masker = Masker([secret, "another secret"])
    masked = masker(text)
    assert spelled not in masked, f"{spelled!r} in {masked!r}"
    assert secret not in masked
    encoded = text.encode()
    assert spelled.encode() not in masker.in_bytes(encoded)
    half = spelled[: len(spelled) // 2 + 1]
    size = draw.below(len(encoded) + 1)
    head = masker.head(encoded[: size + masker.margin], size)
    assert half not in head, f"{half!r} in {head!r}"
    rest = spelled[len(spelled) // 2 :]
    tail = masker.tail(encoded, size)
    assert rest not in tail, f"{rest!r} in {tail!r}"
    if draw.chance(3):
        _check_shortened(draw, masker, secret)


def _check_shortened(draw: Draw, masker: Masker, secret: str) -> None:
    """What others cut of a secret, and texts that will be cut; a masker made of another, and errors."""
    cut, dots = 8 + draw.below(len(secret)), draw.choose(["...", " ... ", "\u2026", "....."])
    begin, end = secret[:cut], secret[-cut:]
    for text in (f"x {begin}{dots} y", f"x {dots}{end} y", f"{begin}{dots}{end}", f"{dots}{begin}{dots}"):
        shown = masker(text)
        # A space at the end of a piece is taken for one of the ellipsis.
        if begin + dots in text and begin == begin.strip():
            assert begin not in shown, f"{begin!r} of {secret!r} in {shown!r}"
        if dots + end in text and end == end.strip():
            assert end not in shown, f"{end!r} of {secret!r} in {shown!r}"
    assert secret not in masker.exactly(f"{secret} {begin}...")
    many = masker((" ".join(secret) + "\n") * (300 if draw.chance(6) else 1))
    assert len(secret) < 24 or " ".join(secret) not in many
    if len(secret) > 150:
        assert secret[:140] not in masker(f"int() of {secret[:140]}")
    filler = "-" * draw.choose([0, 10, 70_000, 300_000])
    text, limit = filler + secret + filler + secret + draw.text(9), draw.choose([5, 100, 4000])
    shown = masker.for_cut(text, limit)
    assert secret not in shown or len(text) <= limit
    looked: list[int] = []
    checked = masker.checked_by(lambda: looked.append(1))
    assert checked(secret) == masker(secret)
    assert looked
    assert checked.secrets == masker.secrets
    error = ConfigError(f"about {secret}")
    masker.error(error)
    assert secret not in str(error)
    assert masker.occurs_in(secret.encode())
    nothing = Masker([])
    assert (nothing(secret), bool(nothing), nothing.margin, nothing.for_cut(secret, 1)) == (secret, False, 0, secret)


_HOSTS = ("a.test", "b.test", "x.b.test", "c.test")
_BOUND = (("a.test",), ("*.b.test",), ("a.test", "c.test:8443"), ("http://a.test:8080",))
_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/xml", "text/plain", "")


def _placeholders(draw: Draw) -> list[Placeholder]:
    """One or two, with tokens of letters that no value has: next to what is left of one, none is taken for the rest."""
    values = list(dict.fromkeys(_hard_to_guess(draw) for _ in range(1 + draw.below(2))))
    others = [letter for letter in string.ascii_lowercase + string.digits if letter not in "".join(values).lower()]
    found = []
    for index, value in enumerate(values[: len(others) // 2]):
        secret = Secret(value, hosts=draw.choose(_BOUND), also_in=draw.choose([(), ("body",), ("url", "body")]))
        found.append(Placeholder(others[2 * index] * (len(value) - 1) + others[2 * index + 1], secret, f"S{index}"))
    return found


def _hard_to_guess(draw: Draw) -> str:
    letters = "".join(_PRINTABLE[byte % len(_PRINTABLE)] for byte in draw.take(6 + draw.below(20)))
    return "sK-9" + letters + "z!40"


def stream_masks(data: bytes) -> None:
    """A body is as long as it was, the same however it is cut, and shows no secret of its server in any spelling."""
    draw = Draw(data)
    placeholders = _placeholders(draw)
    target = _target(draw)
    mask = BoundSecrets(placeholders).mask(target)
    own = [item for item in placeholders if _is_bound(item, target)]
    assert (mask is not None) == bool(own)
    if mask is None:
        return
    _check_answer(draw, mask, own[0].secret.value)
    secret = draw.choose(own).secret.value
    # The first few characters of an encoded secret, or of what is like a torn one, may pass before it is known as one.
    is_encoded, is_torn = draw.chance(4), draw.chance(2)
    spellings = _ENCODINGS if is_encoded else _SPELLINGS[:-1]
    spelled = [spell(secret).encode() for spell in spellings]
    body = b"".join(_piece(draw, spelled, is_torn=is_torn and not is_encoded) for _ in range(draw.below(6)))
    whole = mask.stream()
    expected = whole.feed(body) + whole.finish()
    stream, shown, at = mask.stream(), b"", 0
    while at < len(body):
        size = 1 + draw.below(40)
        shown += stream.feed(body[at : at + size])
        at += size
        assert len(shown) <= min(at, len(body)), "more has come out than went in"
    shown += stream.finish()
    assert len(shown) == len(expected) == len(body)
    assert is_encoded or is_torn or shown == expected, (
        f"cut: {shown!r}, whole: {expected!r} of {body!r} with {secret!r}"
    )
    for text in spelled:
        piece = text[len(text) // 4 :] if is_encoded else text
        assert piece not in shown, f"{text!r} in {shown!r}"


def _check_answer(draw: Draw, mask: ResponseMask, secret: str) -> None:
    """What is compressed is refused, and an error has no secret in it."""
    coding = draw.choose([b"gzip", b"identity", b"", b"br", b" Identity "])
    try:
        mask.check([(b"Content-Encoding", coding), (b"x", b"y")])
    except HostCallError as error:
        assert error.code == "protocol"
        assert coding in (b"gzip", b"br")
    else:
        assert coding not in (b"gzip", b"br")
    assert secret not in str(mask.hide_in_error(HostCallError("read", f"said {secret}")))


def _piece(draw: Draw, spellings: list[bytes], *, is_torn: bool) -> bytes:
    kind = draw.below(6)
    spelled = draw.choose(spellings)
    if kind == 0:
        return draw.text(12).encode()
    if kind == 1 and is_torn:
        return spelled[: draw.below(len(spelled) + 1)]
    if kind == 2 and is_torn:
        return spelled[draw.below(len(spelled)) :]
    if kind == 3:
        return draw.binary(10)
    return spelled + b"\n"


def secret_requests(data: bytes) -> None:
    """A value goes to the hosts that it is bound to, in the parts that it may stand in, and nowhere else."""
    draw = Draw(data)
    placeholders = _placeholders(draw)
    target = _target(draw)
    tokens = [item.token for item in placeholders]

    def part() -> str:
        return draw.text(6) + draw.choose([*tokens, "", tokens[0][:-1]]) + draw.text(4)

    path = "/" + urllib.parse.quote(part(), safe="")
    basic = "Basic " + base64.b64encode(("u:" + part()).encode()).decode()
    header = part().encode("latin-1", "replace").replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"").strip()
    headers = [(b"Host", target.authority.encode()), (b"X-Key", header), (b"Authorization", basic.encode())]
    if kind := draw.choose(_TYPES):
        headers.append((b"Content-Type", kind.encode()))
    body = part().encode() if draw.chance(2) else None
    headers.append((b"Content-Length", b"%d" % len(body)) if body is not None else (b"Transfer-Encoding", b"chunked"))
    request = OutgoingRequest(dataclasses.replace(target, path=path.encode()), "POST", headers, {}, body)
    secrets = BoundSecrets(placeholders)
    sent = secrets.fill(request, 64 * 1024)
    filler = secrets.body_filler(request)
    sent_body = sent.body or b""
    if body is None and filler is not None:
        text, size = part().encode(), 1 + draw.below(9)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        sent_body = b"".join(map(filler.feed, pieces)) + filler.finish()
        again = secrets.body_filler(request)
        assert again is not None
        assert again.feed(text) + again.finish() == sent_body, "cut in other places it is another body"
    assert (sent.target.host, sent.target.port, sent.target.scheme) == (target.host, target.port, target.scheme)
    told = dict(sent.headers)
    assert len(told) == len(sent.headers), "a header is there twice"
    assert b"\n" not in b"".join((*told, *told.values(), sent.target.path))
    if body is not None:
        assert int(told[b"Content-Length"]) == len(sent_body), "a length that is not the body's"
    in_headers = b"\n".join([*told.values(), base64.b64decode(told[b"Authorization"].partition(b" ")[2])])
    _check_too_long(draw, secrets, sent, tokens[0])
    for item in placeholders:
        value, bound = item.secret.value.encode(), _is_bound(item, target)
        assert bound or value not in in_headers, "a value in headers of another host"
        shown = urllib.parse.unquote_to_bytes(sent.target.path)
        assert (bound and "url" in item.also_in) or value not in shown, "a value in a URL where it must not be"
        read = (
            sent_body,
            urllib.parse.unquote_to_bytes(sent_body),
            html.unescape(sent_body.decode("latin-1")).encode(),
        )
        assert (bound and "body" in item.also_in) or all(value not in text for text in read), "a value in a body"
        if bound and item.token.encode() in header:
            assert value in told[b"X-Key"], "a value that was not filled in"


def _check_too_long(draw: Draw, secrets: BoundSecrets, request: OutgoingRequest, token: str) -> None:
    """What values make too long is refused; what is no Base64 stays what it is."""
    headers = [(b"Authorization", b"Basic !" + token.encode()), (b"A", b"x" * 60)]
    path = b"/" + token.encode() * draw.choose([1, 1, 9000])
    target = dataclasses.replace(request.target, path=path)
    try:
        secrets.fill(dataclasses.replace(request, headers=headers, target=target), draw.choose([64 * 1024, 20]))
    except HostCallError as error:
        assert error.code in ("limit", "bad_request")


def _target(draw: Draw) -> Target:
    scheme, port = draw.choose([("https", 443), ("https", 443), ("https", 8443), ("http", 8080), ("http", 80)])
    return Target(scheme, draw.choose(_HOSTS), port, b"/", allow_private=False, tls=TlsFiles())


def _is_bound(item: Placeholder, target: Target) -> bool:
    for host in item.secret.hosts:
        scheme, _, rest = host.rpartition("://")
        name, _, port = rest.partition(":")
        named = target.host == name or (name[0] == "*" and target.host.endswith(name[1:]))
        wanted = int(port or 443)
        if named and (scheme or "https", wanted) == (target.scheme, target.port):
            return True
    return False
