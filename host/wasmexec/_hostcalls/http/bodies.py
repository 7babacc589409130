"""Secrets in URLs and bodies of requests: encoded as each wants it, in bodies that come in pieces, too."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

_FORM = "application/x-www-form-urlencoded"
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json|application/(?:x-ndjson|jsonl|json-seq)|text/json")
_XML = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?(?:xml|html)")


def in_url(value: str) -> bytes:
    """A value as a part of a path or a query."""
    return quote(value, safe="").encode()


def body_encoding(headers: Sequence[tuple[bytes, bytes]]) -> Callable[[str], bytes]:
    """How a value stands in a body of this Content-Type: escaped in forms, JSON and XML, else as it is."""
    content_type = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    kind = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if kind == _FORM:
        return in_url
    if _JSON.fullmatch(kind):
        return lambda value: json.dumps(value)[1:-1].encode()
    if _XML.fullmatch(kind):
        return lambda value: html.escape(value).encode()
    return str.encode


class BodyFiller:
    """Puts values in place of tokens, also of one that comes in two pieces; a token without a value is only noticed.

    `noticed` is called with it.
    """

    def __init__(self, values: Mapping[bytes, bytes | None], noticed: Callable[[bytes], None]) -> None:
        self._values = values
        self._noticed = noticed
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(values, key=len, reverse=True))))
        self._longest = max(map(len, values))
        self._held = b""

    @property
    def changes_length(self) -> bool:
        """Whether a value is not as long as its token."""
        return any(value is not None and len(value) != len(token) for token, value in self._values.items())

    def feed(self, data: bytes) -> bytes:
        """What can be sent once this piece is there."""
        data = self._held + data
        end = self._end(data)
        self._held = data[end:]
        return self._filled(data[:end])

    def finish(self) -> bytes:
        """What is left at the end."""
        data, self._held = self._held, b""
        return self._filled(data)

    def _end(self, data: bytes) -> int:
        """Where the longest beginning of a token starts that goes on beyond the data."""
        for start in range(max(0, len(data) - self._longest + 1), len(data)):
            if any(len(token) > len(data) - start and token.startswith(data[start:]) for token in self._values):
                # Not in the middle of a token that is whole.
                inside = next(
                    (found.end() for found in self._pattern.finditer(data) if found.start() < start < found.end()),
                    start,
                )
                if inside == start:
                    return start
        return len(data)

    def _filled(self, data: bytes) -> bytes:
        return self._pattern.sub(self._value, data)

    def _value(self, match: re.Match[bytes]) -> bytes:
        value = self._values[match[0]]
        if value is None:
            self._noticed(match[0])
            return match[0]
        return value
