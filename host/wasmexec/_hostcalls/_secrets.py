"""Secrets that are bound to hosts: put into requests that go there, taken out of everything that comes back.

SECURITY: the statement never holds the value. Requests are filled after they have been checked, in headers only, each
hop of a redirect anew. Responses of every host are searched, for the value may come back by another way than it went:
as it is, and percent-, JSON-, HTML-, Base64- and hex-encoded. A server that is trusted with the value and hands it out
in any other form (encrypted, in slices) gives it away. The servers of its hosts are told not to compress.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import html
import json
import re
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

from .._masking import Masker, base64_forms
from .._placeholders import Placeholder
from . import HostCallError
from ._headers import check_size
from ._message import OutgoingRequest
from .egress import Target

_NEVER_FILLED = {b"host", b"content-length", b"transfer-encoding", b"connection"}
_BASIC = b"basic "
_BEGINNING_BYTES = 4
"""Compared first: no more is copied than that where a stream has nothing like a secret."""


class BoundSecrets:
    """The secrets of one execution that are bound to hosts, at least one."""

    def __init__(self, placeholders: Sequence[Placeholder]) -> None:
        # The longest first: one secret may be a part of another.
        self._placeholders = sorted(placeholders, key=lambda item: len(item.secret.value), reverse=True)
        self._text_mask = Masker(item.secret.value for item in placeholders)
        self._forms: dict[bytes, bytes] = {}
        for item in self._placeholders:
            for form in _encoded_forms(item.secret.value):
                self._forms.setdefault(form, b"*" * len(form))
        for item in self._placeholders:
            self._forms[item.secret.value.encode()] = item.token.encode()

    def fill(self, request: OutgoingRequest, max_header_bytes: int) -> OutgoingRequest:
        """The request with the values of the secrets that may go where it goes.

        Raises:
            HostCallError: "limit", that makes its headers too long.
        """
        bound = [item for item in self._placeholders if _may_go(item, request.target)]
        if not bound:
            return request
        headers = [
            (name, value if name.lower() in _NEVER_FILLED else _filled(name, value, bound))
            for name, value in request.headers
            if name.lower() != b"accept-encoding"
        ]
        headers.append((b"Accept-Encoding", b"identity"))
        check_size("request", headers, max_header_bytes)
        return dataclasses.replace(request, headers=headers)

    def check_response(self, target: Target, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Refuse a response in which a secret of its host could not be found.

        Raises:
            HostCallError: "protocol", it is compressed.
        """
        codings = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
        if codings - {b"", b"identity"} and any(_may_go(item, target) for item in self._placeholders):
            raise HostCallError(
                "protocol",
                f"{target.authority} answers in compressed form, which could hide a secret that is bound to it",
            )

    def hide(self, data: bytes) -> bytes:
        """Bytes that are complete, without the values."""
        mask = self.stream()
        return mask.feed(data) + mask.finish()

    def hide_in_error(self, error: HostCallError) -> HostCallError:
        """An error whose message may have words of the server in it."""
        return HostCallError(error.code, self._text_mask(error.message))

    def stream(self) -> StreamMask:
        """A mask for one stream of bytes."""
        return StreamMask(self._forms)


class StreamMask:
    """Replaces byte strings in a stream by others of the same length, wherever the stream is cut into pieces.

    Holds back only what may be the beginning of one of them.
    """

    def __init__(self, replacements: dict[bytes, bytes]) -> None:
        self._replacements = replacements
        # A longer one first, where one begins like another.
        self._forms = sorted(replacements, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms)))
        self._longest = len(self._forms[0])
        self._beginnings = {form[:size] for form in self._forms for size in range(1, _BEGINNING_BYTES + 1)}
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on once this piece is there."""
        data = self._held + data
        end = self._safe_end(data)
        self._held = data[end:]
        return self._replaced(data[:end])

    def finish(self) -> bytes:
        """What was held back when the stream has ended."""
        data, self._held = self._held, b""
        return self._replaced(data)

    def _replaced(self, data: bytes) -> bytes:
        if not self._holds_any(data):
            return data
        return self._pattern.sub(lambda match: self._replacements[match[0]], data)

    def _holds_any(self, data: bytes) -> bool:
        """Whether a form is there: found many times faster than with the pattern, and mostly none is."""
        return any(form in data for form in self._forms)

    def _safe_end(self, data: bytes) -> int:
        """Where the earliest beginning of a form stands that goes on beyond the data; the end if there is none."""
        position = max(0, len(data) - self._longest + 1)
        near = max(0, position - self._longest)
        found = []
        if self._holds_any(data[near:]):
            found = [match.span() for match in self._pattern.finditer(data, near)]
        while position < len(data):
            inside = next((end for start, end in found if start < position < end), None)
            if inside is not None:
                position = inside
                continue
            if data[position : position + _BEGINNING_BYTES] in self._beginnings:
                tail = data[position:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms):
                    return position
            position += 1
        return len(data)


def _may_go(item: Placeholder, target: Target) -> bool:
    return any(place.covers(target.scheme, target.host, target.port) for place in item.secret.places)


def _filled(name: bytes, value: bytes, bound: Sequence[Placeholder]) -> bytes:
    if name.lower() == b"authorization" and value[: len(_BASIC)].lower() == _BASIC:
        try:
            plain = base64.b64decode(value[len(_BASIC) :].strip(), validate=True)
        except binascii.Error:
            plain = b""
        filled = _exchanged(plain, bound)
        if filled != plain:
            return value[: len(_BASIC)] + base64.b64encode(filled)
    return _exchanged(value, bound)


def _exchanged(data: bytes, bound: Sequence[Placeholder]) -> bytes:
    for item in bound:
        data = data.replace(item.token.encode(), item.secret.value.encode())
    return data


def _encoded_forms(value: str) -> set[bytes]:
    escaped = json.dumps(value)[1:-1]
    percent = quote(value, safe="")
    texts = {
        escaped, escaped.replace("/", "\\/"), quote(value), percent, percent.lower(), quote_plus(value),
        html.escape(value), value.encode().hex(), value.encode().hex().upper(), *base64_forms(value),
    }  # fmt: skip
    return {text.encode() for text in texts}
