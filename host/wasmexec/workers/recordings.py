"""A recording as one JSON text: a worker hands it over, nobody reads it where it is kept, and a worker replays it.

    {"format": 1,
     "parts": [{"kind": …, "meta": {…}, "text": …}, …],
     "exchanges": [{…, "request_body": {"text": …}, "response_body": {"base64": …}}, …]}

Bytes that are UTF-8 are a "text", others "base64".
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import ConfigError
from ..limits import MIB
from ..recording import HttpExchange, Recording
from ..rows.json_text import encode

MAX_RECORDING_BYTES = 4 * MIB
"""Of the text: what is longer is not kept. Reading one takes a worker some 20 ms."""
_FORMAT = 1
_LAST = "result"
_BODIES = ("request_body", "response_body")
_HEADERS = ("request_headers", "response_headers")


class TextRecorder:
    """Makes the text of the recording that it is given; `Recorder` has its methods."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._exchanges: list[bytes] = []
        self._left = MAX_RECORDING_BYTES
        self._has_end = False

    def add(self, kind: str, payload: bytes, *, execution: int = 0, meta: Mapping[str, Any] | None = None) -> bool:
        """Keep a part; False if there is no room for it."""
        is_kept = self._keep(self._parts, {"kind": kind, "meta": dict(meta or {}), **_told(payload)})
        self._has_end = is_kept and kind == _LAST
        return is_kept

    def add_exchange(self, exchange: HttpExchange) -> bool:
        """Keep an exchange; False if there is no room for it."""
        fields = {item.name: getattr(exchange, item.name) for item in dataclasses.fields(exchange)}
        return self._keep(self._exchanges, {**fields, **{name: _told(fields[name]) for name in _BODIES}})

    def text(self) -> bytes | None:
        """All of it; None if a part is missing."""
        if not self._has_end:
            return None
        parts, exchanges = b",\n".join(self._parts), b",\n".join(self._exchanges)
        return b'{"format":%d,\n"parts":[%b],\n"exchanges":[%b]}' % (_FORMAT, parts, exchanges)

    def _keep(self, items: list[bytes], item: dict[str, Any]) -> bool:
        if len(item.get("text", "")) <= self._left:
            text = encode(item)
            self._left -= len(text)
            if self._left >= 0:
                items.append(text)
                return True
        self._left = -1
        return False


class _Part(NamedTuple):
    kind: str
    payload: bytes
    meta: Mapping[str, Any]


def recording_of(content: Any) -> Recording:
    """The recording that a text tells, which was decoded.

    Raises:
        ConfigError: it is none.
    """
    try:
        if content["format"] != _FORMAT:
            raise ConfigError(f"the recording has format {content['format']!r:.80}; this version reads {_FORMAT}")
        parts = [_Part(item["kind"], _bytes(item), item["meta"]) for item in content["parts"]]
        exchanges = [HttpExchange(**_fields(item)) for item in content["exchanges"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"the recording is damaged: {error}") from None
    return Recording.from_parts(parts, exchanges)


def _fields(item: Mapping[str, Any]) -> dict[str, Any]:
    bodies = {name: _bytes(item[name]) for name in _BODIES}
    headers = {name: tuple(map(tuple, item[name])) for name in _HEADERS}
    return {**item, **bodies, **headers, "response_chunks": tuple(item["response_chunks"])}


def _told(payload: bytes) -> dict[str, str]:
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def _bytes(item: Mapping[str, Any]) -> bytes:
    """Raises: ValueError: it is neither text nor base64."""
    try:
        return item["text"].encode() if "text" in item else base64.b64decode(item["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None
