"""The headers of a request as the guest gives them: checked, and what is wrong with one said without its value.

SECURITY: no header can end before its value does, and a refusal shows one character of a value, never more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from ...limits import Limits
from ..error import HostCallError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_CONTROLS = {
    0: "NUL",
    9: "a tab",
    10: "a line feed",
    13: "a carriage return",
    27: "an escape",
    32: "a space",
    127: "DEL",
}
_LONGEST_SHOWN_NAME = 60


def header_pairs(headers: object, limits: Limits) -> list[tuple[str, str]]:
    """The headers of a request as pairs of name and value, in order.

    Raises:
        HostCallError: "bad_request", they are no headers; "limit", too many or too long.
    """
    if not isinstance(headers, list):
        raise HostCallError("bad_request", "headers must be a list of pairs")
    if len(headers) > limits.http_headers:
        raise HostCallError("limit", f"the request has more than {limits.http_headers:,} headers (limit http_headers)")
    pairs = [_pair(header) for header in headers]
    check_size("request", pairs, limits.http_header_bytes)
    return pairs


def check_size(what: str, pairs: Iterable[tuple[Any, Any]], most: int, code: str = "limit") -> None:
    """Raises: HostCallError: `code`, names and values have more than `most` bytes together."""
    if sum(len(name) + len(value) for name, value in pairs) > most:
        raise HostCallError(code, f"the {what} has more than {most:,} bytes of headers (limit http_header_bytes)")


def _pair(header: object) -> tuple[str, str]:
    if not isinstance(header, list) or len(header) != 2 or not all(isinstance(part, str) for part in header):
        raise HostCallError("bad_request", "a header must be a pair of strings")
    name, value = header
    if not _TOKEN.fullmatch(name):
        raise HostCallError("bad_request", _wrong_name(name))
    if not _VALUE.fullmatch(value):
        raise HostCallError("bad_request", _wrong_value(name, value))
    return name, value


def _wrong_name(name: str) -> str:
    # SECURITY: whole or not at all: nobody could mask half a secret that strayed here.
    shown = ascii(name) if len(name) <= _LONGEST_SHOWN_NAME else f"of {len(name):,} characters"
    match = _NO_TOKEN.search(name)
    if match is None:
        return "a header has an empty name"
    return f"the header name {shown} is refused: character {match.start() + 1} is {character(match[0])}"


def _wrong_value(name: str, value: str) -> str:
    match = _NO_VALUE.search(value)
    if match is not None:
        what = f"character {match.start() + 1} of its {len(value):,} is {character(match[0])}, which no header may have"
    elif value[0] in "\t ":
        what = f"it begins with {character(value[0])}: strip() it"
    else:
        what = f"it ends with {character(value[-1])}: strip() it"
    return f"the value of header {name} is refused: {what}"


def character(char: str) -> str:
    """A character in words, safe to print."""
    number = ord(char)
    if "!" <= char <= "~":
        return f"{char!r}"
    name = _CONTROLS.get(number) or unicodedata.name(char, "").lower()
    return f"{name} (U+{number:04X})" if name else f"U+{number:04X}"
