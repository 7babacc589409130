"""The spellings in which a secret turns up: the one list that everything which hides secrets goes by.

They are few, for what can be undone is undone in the text (`_views`): escapes of every kind, line ends, spaces. What
cannot be is spelled out for the secret instead: Base64, Base32, hexadecimal, UTF-16.

The guest has this module, too: it imports nothing else of the package.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .views import levels, reduced

SHORTEST_LINE = 8
"""Characters that a line of a secret needs to be a secret of its own: `}` and `key:` are none."""
LONGEST_RARE = 4096
"""Bytes of a secret up to which its rare spellings count: UTF-16, Base32, Base64 in Base64, numbers in lists."""
SHORTEST_SPREAD = 12
"""Bytes that a spelling needs to be found with something between them."""
_SHORTEST_BASE64 = 4
_SHORTEST_DIGITS = 6
_SHORTEST_BYTES = 4
_MOST_MARKS = 30
"""Combining characters in a row up to which a text is normalised; sorting more of them takes quadratic time.

Source: the stream-safe text format of Unicode Standard Annex 15.
"""

# What begins and ends a key or certificate is no secret.
_ARMOUR = re.compile(r"-{4,5} ?(?:BEGIN|END)[^-]*-{4,5}")


class Spellings(NamedTuple):
    """Byte strings that give a secret away, by the kind of view in which they are looked for."""

    plain: frozenset[bytes]
    compact: frozenset[bytes]
    loose: frozenset[bytes]


def spellings(secret: str) -> Spellings:
    """All spellings of a secret: of the whole, without the space around it, and of each of its lines that is long."""
    whole = secret.strip() or secret
    lines = [line.strip() for line in whole.splitlines()]
    parts, wholes, bare = {whole}, {whole}, whole
    if len(lines) > 1:
        wholes |= {"\n".join(lines), "\r\n".join(lines)}
        lines = [line for line in lines if not _ARMOUR.fullmatch(line)]
        bare = "".join(lines)
        parts |= {*wholes, *(line for line in lines if len(line) >= SHORTEST_LINE)}
    plain = {form for part in parts for variant in _variants(part) for form in _encodings(variant)}
    plain |= {level for form in tuple(plain) for level in levels(form)}
    compact: set[bytes] = set()
    loose = {reduced(form) for text in (whole, bare) for form in (_utf8(text), *levels(_utf8(text)))}
    loose = {form for form in loose if len(form) >= SHORTEST_SPREAD}
    for data in {form for text in (*wholes, bare) for form in _encodings(text)}:
        compact |= base64_cores(data)
        loose.add(data.hex().encode())
        if len(data) <= LONGEST_RARE:
            loose |= _rare_digits(data)
            compact |= {form for core in base64_cores(data) for form in base64_cores(core)}
    for data in {form for text in wholes if len(text) <= LONGEST_RARE for form in _wide(text)}:
        plain.add(data)
        compact |= base64_cores(data)
        loose.add(data.hex().encode())
    loose = {form for form in loose if len(form) >= _SHORTEST_DIGITS}
    return Spellings(frozenset(plain), frozenset(compact), frozenset(loose))


def _variants(text: str) -> set[str]:
    """What forms, CSV, SQL, shells and file systems make of a text."""
    found = {text, text.replace(" ", "+")}
    # Doubled quotes at an end have the single one in them.
    first, inner, last = text[:1], text[1:-1], text[1:][-1:]
    for quote, quoted in (('"', '""'), ("'", "''"), ("'", "'\\''"), ("'", "'\"'\"'")):
        found.add(f"{first}{inner.replace(quote, quoted)}{last}")
    if not text.isascii():
        found |= {text.lower(), text.upper()}
        if _is_stream_safe(text):
            found |= {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    return found


def _is_stream_safe(text: str) -> bool:
    row = 0
    for letter in text:
        row = row + 1 if unicodedata.combining(letter) else 0
        if row > _MOST_MARKS:
            return False
    return True


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _wide(text: str) -> set[bytes]:
    return {text.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")}


def _encodings(text: str) -> set[bytes]:
    """The bytes of a text in the encodings that have ASCII in them."""
    found = {_utf8(text)}
    if not text.isascii():
        # Also what `ascii()` makes: Latin-1 as far as it goes.
        mixed = b"".join(bytes([ord(character)]) if ord(character) < 256 else _utf8(character) for character in text)
        found |= {form for form in (mixed, _windows(text)) if len(form) >= _SHORTEST_BYTES}
    return found


def _windows(text: str) -> bytes:
    try:
        return text.encode("cp1252")
    except UnicodeEncodeError:
        return b""


def _rare_digits(data: bytes) -> set[bytes]:
    """Lists of hexadecimal and of decimal numbers, and Base32, as they are in a loose view."""
    numbers = data.hex()
    pairs = [numbers[start : start + 2] for start in range(0, len(numbers), 2)]
    cores = {reduced(core) for core in _cores(data, base64.b32encode, 5, 5)}
    return {("0" + "0".join(pairs)).encode(), "".join(map(str, data)).encode()} | cores


def base64_cores(data: bytes) -> set[bytes]:
    """The characters of Base64 text that depend on the data alone, wherever it starts in the encoded bytes."""
    return {core for core in _cores(data, base64.b64encode, 6, 3) if len(core) >= _SHORTEST_BASE64}


def _cores(data: bytes, encode: Callable[[bytes], bytes], bits: int, group: int) -> Iterator[bytes]:
    for before in range(group):
        text = encode(bytes(before) + data)
        yield text[(before * 8 + bits - 1) // bits : (before + len(data)) * 8 // bits]
