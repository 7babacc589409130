"""What the client libraries say of a header that cannot be sent: whose, which character and where, never its value.

The libraries refuse what they always refuse, with their own exceptions; only the words are ours. What they let through
is checked by the host, which says the same.
"""

from __future__ import annotations

import http.client
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from typing import Any

from ..texts import guarded_text

_NO_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
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


def _character(char: str) -> str:
    number = ord(char)
    if "!" <= char <= "~":
        return repr(char)
    name = _CONTROLS.get(number) or unicodedata.name(char, "").lower()
    return f"{name} (U+{number:04X})" if name else f"U+{number:04X}"


def _text(part: str | bytes) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else part


def _shown(name: str | bytes) -> str:
    # SECURITY: whole or not at all, for nobody could mask half a secret that strayed here.
    text = _text(name)
    return ascii(text) if len(text) <= _LONGEST_SHOWN_NAME else f"of {len(text):,} characters"


def _wrong(name: object, value: object) -> str | None:
    """What is wrong with a header, None if the host would take it."""
    if not isinstance(name, (str, bytes)):
        return f"the name of a header must be a str, not {type(name).__name__}"
    found = _NO_TOKEN.search(_text(name))
    if found is not None:
        return f"the header name {_shown(name)} is refused: character {found.start() + 1} is {_character(found[0])}"
    if not name:
        return "a header has an empty name"
    if not isinstance(value, (str, bytes)):
        return f"the value of header {_shown(name)} must be a str, not {type(value).__name__}"
    text = _text(value)
    found = _NO_VALUE.search(text)
    if found is not None:
        what = f"character {found.start() + 1} of its {len(text):,} is {_character(found[0])}, which no header may have"
    elif text[:1] in ("\t", " ") and text:
        what = f"it begins with {_character(text[0])}: strip() it"
    else:
        return None
    return f"the value of header {_shown(name)} is refused: {what}"


def _reason(headers: Iterable[tuple[Any, Any]]) -> str | None:
    return next((reason for name, value in headers if (reason := _wrong(name, value))), None)


def _say(error: Exception, headers: Callable[[], Iterable[tuple[Any, Any]]]) -> None:
    """Put into the words of an exception which header it is about, if one of them cannot be sent."""
    if isinstance(error, UnicodeEncodeError):
        owner = next((name for name, value in headers() if error.object in (name, value)), "")
        char = _character(error.object[error.start])
        where = f"character {error.start + 1} of header {_shown(owner)} is {char}"
        error.reason = f"{error.reason}: {where}; percent-encode it, or give bytes"
        return
    reason = guarded_text(lambda: _reason(headers()) or "", "")
    if reason:
        error.args = (reason,)


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers or ())


def _install_http_client() -> None:
    put = http.client.HTTPConnection.putheader

    def putheader(self: http.client.HTTPConnection, header: Any, *values: Any) -> None:
        """Send a request header line to the server."""
        try:
            put(self, header, *values)
        except (TypeError, ValueError) as error:
            _say(error, lambda: [(header, value) for value in values])
            raise

    http.client.HTTPConnection.putheader = putheader  # type: ignore[method-assign]


def _install_httpx() -> None:
    headers: Any = import_module("httpx").Headers
    make, put = headers.__init__, headers.__setitem__

    def __init__(self: Any, headers: Any = None, encoding: str | None = None) -> None:
        try:
            make(self, headers, encoding)
        except (AttributeError, UnicodeEncodeError) as error:
            _say(error, lambda: _pairs(headers))
            raise

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        try:
            put(self, key, value)
        except (AttributeError, UnicodeEncodeError) as error:
            _say(error, lambda: [(key, value)])
            raise

    headers.__init__, headers.__setitem__ = __init__, __setitem__


def _install_requests() -> None:
    utils: Any = import_module("requests.utils")
    models: Any = import_module("requests.models")
    invalid, check = import_module("requests.exceptions").InvalidHeader, utils.check_header_validity

    def check_header_validity(header: tuple[Any, Any]) -> None:
        """Refuse a header part that is no text, begins with white space or has a line end or a reserved character."""
        try:
            check(header)
        except invalid as error:
            raise invalid(_wrong(*header) or "the header cannot be sent") from error.__cause__

    utils.check_header_validity = models.check_header_validity = check_header_validity


def _install_aiohttp() -> None:
    writer: Any = import_module("aiohttp.http_writer").StreamWriter
    write = writer.write_headers

    async def write_headers(self: Any, status_line: str, headers: Any) -> None:
        """Write request/response status and headers."""
        try:
            await write(self, status_line, headers)
        except (TypeError, ValueError) as error:
            _say(error, headers.items)
            raise

    writer.write_headers = write_headers


def install(modules: Collection[str]) -> None:
    """Give the libraries among `modules` these words."""
    _install_http_client()
    for name, install_library in (
        ("httpx", _install_httpx), ("requests", _install_requests), ("aiohttp", _install_aiohttp),
    ):  # fmt: skip
        if name in modules:
            install_library()
