"""Secrets in texts that were spelled, wrapped and cut: nothing of them is left."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Callable

from tests.fuzz.draw import Draw

from wasmexec._masking.masker import Masker

_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/+!@#%&\"'\\ é€"
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
    lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
)


def masking(data: bytes) -> None:
    """Neither a text, nor bytes, nor a beginning or an end of them shows the secret in any spelling."""
    draw = Draw(data)
    secret = "".join(_CHARACTERS[byte % len(_CHARACTERS)] for byte in draw.take(8 + draw.below(24))).strip()
    if len(set(secret)) < 6 or len(secret) < 8:
        return
    spelled = draw.choose(_SPELLINGS)(secret)
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
