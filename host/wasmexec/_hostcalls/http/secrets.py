"""Secrets that are bound to hosts: put into requests that go there, taken out of everything that comes back.

SECURITY: the statement never holds the value. Requests are filled after they have been checked, each hop of a redirect
anew, in headers, and in URL and body only where the secret says so. Responses of the secret's own hosts are searched
for it, in every spelling that `_masking` knows. A server that is trusted with the value and hands it out in any other
form (encrypted, in slices), or to other servers, gives it away. Those servers are told not to compress.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ..._masking.masker import Masker
from ..._masking.views import Unescaping, Whole
from ..error import HostCallError
from .bodies import BodyFiller, body_encoding, in_url
from .egress import MAX_URL_CHARACTERS, Target
from .headers import check_size
from .message import OutgoingRequest
from .placeholders import Placeholder

_NEVER_FILLED = {b"host", b"content-length", b"transfer-encoding", b"connection"}
_BASIC = b"basic "
MAX_WARNINGS = 20


class BoundSecrets:
    """The secrets of one execution that are bound to hosts, at least one; what it has to say goes into `warnings`."""

    def __init__(self, placeholders: Sequence[Placeholder], warnings: dict[str, None] | None = None) -> None:
        # The longest first: one secret may be a part of another.
        self._placeholders = sorted(placeholders, key=lambda item: len(item.secret.value), reverse=True)
        self._warnings = {} if warnings is None else warnings

    def fill(self, request: OutgoingRequest, max_header_bytes: int) -> OutgoingRequest:
        """The request with the values of the secrets that may go where it goes.

        Raises:
            HostCallError: "limit" or "bad_request", that makes its headers or its URL too long.
        """
        target = request.target
        for item in self._placeholders:
            if item.token.encode() in target.path and not _may_go(item, target, "url"):
                self._warn(item, target, "url")
        bound = [item for item in self._placeholders if _may_go(item, target)]
        filler = self.body_filler(request)
        body = request.body
        if body and filler is not None:
            body = filler.feed(body) + filler.finish()
        if not bound:
            return request
        headers = [
            (name, value if name.lower() in _NEVER_FILLED else _filled(name, value, bound))
            for name, value in request.headers
            if name.lower() != b"accept-encoding"
        ]
        if body is None and filler is not None and filler.changes_length:
            # Nobody knows how long it is going to be.
            headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
            if not any(name.lower() == b"transfer-encoding" for name, _ in headers):
                headers.append((b"Transfer-Encoding", b"chunked"))
        elif body is not None:
            size = b"%d" % len(body)
            headers = [(name, size if name.lower() == b"content-length" else value) for name, value in headers]
        headers.append((b"Accept-Encoding", b"identity"))
        check_size("request", headers, max_header_bytes)
        path = _replaced(
            target.path, {item.token: in_url(item.secret.value) for item in bound if "url" in item.also_in}
        )
        if len(path) > MAX_URL_CHARACTERS:
            raise HostCallError("bad_request", f"the URL is longer than {MAX_URL_CHARACTERS:,} characters")
        return dataclasses.replace(
            request, target=dataclasses.replace(target, path=path), headers=headers, body=body
        )  # fmt: skip

    def body_filler(self, request: OutgoingRequest) -> BodyFiller | None:
        """What the body of a request goes through, piece by piece; None if it has none."""
        if request.body is not None and not request.body:
            return None
        encode = body_encoding(request.headers)
        values: dict[bytes, bytes | None] = {}
        items = {}
        for item in self._placeholders:
            token = item.token.encode()
            values[token] = encode(item.secret.value) if _may_go(item, request.target, "body") else None
            items[token] = item
        return BodyFiller(values, lambda token: self._warn(items[token], request.target, "body"))

    def mask(self, target: Target) -> ResponseMask | None:
        """What hides the secrets that may go to a target in what it answers; None if there are none."""
        own = [item for item in self._placeholders if _may_go(item, target)]
        return ResponseMask(own, target) if own else None

    def _warn(self, item: Placeholder, target: Target, part: str) -> None:
        if len(self._warnings) >= MAX_WARNINGS:
            return
        fix = f'allow it with also_in=["{part}"] (--secret-also-in {item.name}={part})'
        if not _may_go(item, target):
            fix = f"the secret is bound to {', '.join(item.secret.hosts)} only"
        where = "URL" if part == "url" else "body"
        self._warnings[
            f"secret {item.name}: a request to {target.authority} has its placeholder in the {where}, "
            f"not its value: {fix}"
        ] = None


class ResponseMask:
    """Hides secrets in the answers of a server that they are bound to; `placeholders` are those, the longest first.

    SECURITY: nobody else's answers are looked through. What a statement sees of a server that was never sent a secret
    does not depend on it: neither what comes, nor how much of it, nor when. So no list of guesses is answered by it.
    """

    def __init__(self, placeholders: Sequence[Placeholder], target: Target) -> None:
        self._tokens = {item.secret.value: item.token.encode() for item in placeholders}
        self._masker = Masker(item.secret.value for item in placeholders)
        self._target = target

    def check(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Refuse a response in which a secret could not be found.

        Raises:
            HostCallError: "protocol", it is compressed.
        """
        codings = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
        if codings - {b"", b"identity"}:
            raise HostCallError(
                "protocol",
                f"{self._target.authority} answers in compressed form, which could hide a secret that is bound to it",
            )

    def hide(self, data: bytes) -> bytes:
        """The bytes without the values, and as long as they were: nothing that the server announced becomes wrong."""
        hidden = _replaced(data, self._tokens)
        spans = self._masker.spans(hidden)
        if not spans:
            return hidden
        changed = bytearray(hidden)
        for start, end in spans:
            changed[start:end] = b"*" * (end - start)
        return bytes(changed)

    def hide_in_error(self, error: HostCallError) -> HostCallError:
        """An error whose message may have words of the server in it."""
        return HostCallError(error.code, self._masker.exactly(error.message))

    def stream(self) -> StreamMask:
        """A mask for the body of a response."""
        return StreamMask(self, self._masker)


class StreamMask:
    """Hides secrets in a stream of bytes, wherever it is cut into pieces; what comes out is as long as what went in.

    What may be the beginning of a secret waits for what follows.
    """

    def __init__(self, mask: ResponseMask, masker: Masker) -> None:
        self._mask = mask
        self._masker = masker
        self._unescaping = Unescaping(secret.encode() for secret in masker.secrets)
        self._released = b""
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on once this piece is there."""
        return self._pass_on(data, ends=False)

    def finish(self) -> bytes:
        """What was held back when the stream has ended."""
        return self._pass_on(b"", ends=True)

    def _pass_on(self, data: bytes, *, ends: bool) -> bytes:
        before = len(self._released)
        whole = self._released + self._held + data
        end = len(whole) if ends else max(before, self._unfinished(whole))
        shown = self._mask.hide(whole)[before:end]
        self._released, self._held = whole[max(0, end - self._masker.margin) : end], whole[end:]
        return shown

    def _unfinished(self, data: bytes) -> int:
        """From where on a secret may have begun that goes on beyond the end of `data`; its length if none has.

        SECURITY: the escape at the end may go on, whatever it stands for until then (a NUL that becomes a hyphen), so
        what is before it is looked at without it, too.
        """
        tail = data[-self._masker.margin :]
        ends = {len(tail), *(view.end for view in map(Whole, self._unescaping.views(tail)))}
        return len(data) - len(tail) + min(self._masker.unfinished(tail[:end]) for end in ends)


def _may_go(item: Placeholder, target: Target, part: str = "headers") -> bool:
    is_there = any(where.covers(target.scheme, target.host, target.port) for where in item.secret.origins)
    return is_there and (part == "headers" or part in item.also_in)


def _filled(name: bytes, value: bytes, bound: Iterable[Placeholder]) -> bytes:
    values = {item.token: item.secret.value.encode() for item in bound}
    if name.lower() == b"authorization" and value[: len(_BASIC)].lower() == _BASIC:
        try:
            plain = base64.b64decode(value[len(_BASIC) :].strip(), validate=True)
        except binascii.Error:
            plain = b""
        filled = _replaced(plain, values)
        if filled != plain:
            return value[: len(_BASIC)] + base64.b64encode(filled)
    return _replaced(value, values)


def _replaced(data: bytes, values: Mapping[str, bytes]) -> bytes:
    for text, value in values.items():
        data = data.replace(text.encode(), value)
    return data
