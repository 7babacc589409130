"""Stands in for the host of one HTTP request: carries its operations out, and fails the test over one out of order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.guest_unit import stand_in

from wasmexec_guest.errors import HostCallError
from wasmexec_guest.loop import Reply
from wasmexec_guest.transports.request import READ_BYTES, WHOLE_BODY_BYTES, WRITE_BYTES


@dataclass
class RequestHost:
    """The host and the server behind it.

    Attributes:
        response: the body of the response in the pieces in which it arrives, the first one with the head.
        answers_early: after how many pieces of the request's body the server answers; None: after the whole.
        fails_at: which operation fails with `code`, counted from 0 over all requests; None: none of them.
        sent: the body of the last request as it arrived.
    """

    response: Sequence[bytes] = (b"",)
    answers_early: int | None = None
    fails_at: int | None = None
    code: str = "read"
    headers: Sequence[Sequence[str]] = (("X-Name", "v\xe9"),)
    operations: list[tuple[str, Mapping[str, Any], bytes]] = field(default_factory=list)
    sent: bytes = b""
    _stream: int = 0
    _closed: int = 0
    _pieces: int = 0
    _state: str = "closed"
    _left: list[bytes] = field(default_factory=list)

    def names(self) -> list[str]:
        """The operations so far, without "http."."""
        return [name.removeprefix("http.") for name, _, _ in self.operations]

    @property
    def is_idle(self) -> bool:
        """Whether the host has no request open."""
        return self._state == "closed"

    def carry_out(self, name: str, arguments: Mapping[str, Any], blob: bytes) -> Reply:
        """Raises: HostCallError: as the script says."""
        self.operations.append((name, arguments, blob))
        number = len(self.operations) - 1
        if name == "http.close":
            assert arguments == {"stream": self._stream}
            assert self._closed < self._stream, "a request is closed once"
            self._closed = self._stream
            self._state = "closed"
            return {}, b""
        if number == self.fails_at:
            if name != "http.open":
                assert arguments["stream"] == self._stream
            self._state = "closed"
            raise HostCallError(self.code, f"operation {number} failed")
        return getattr(self, f"_{name.removeprefix('http.')}")(arguments, blob)  # type: ignore[no-any-return]

    def _open(self, arguments: Mapping[str, Any], blob: bytes) -> Reply:
        assert self.is_idle, "one request at a time"
        assert arguments["stream"] > self._stream
        assert len(blob) <= WHOLE_BODY_BYTES
        assert bool(blob) is (arguments["body"] == "whole")
        self._stream, self._pieces, self.sent = arguments["stream"], 0, blob
        self._state = "sending"
        return ({}, b"") if arguments["body"] == "streamed" else self._answer()

    def _write(self, arguments: Mapping[str, Any], blob: bytes) -> Reply:
        assert (self._state, arguments["stream"]) == ("sending", self._stream)
        is_last = arguments.get("end", False)
        assert is_last or blob, "only the last piece may be empty"
        assert len(blob) <= WRITE_BYTES
        self.sent += blob
        self._pieces += bool(blob)
        return self._answer() if is_last or self._pieces == self.answers_early else ({}, b"")

    def _read(self, arguments: Mapping[str, Any], blob: bytes) -> Reply:
        assert arguments == {"stream": self._stream, "max_bytes": READ_BYTES}
        assert (self._state, blob) == ("answering", b"")
        return {"eof": len(self._left) == 1}, self._next()

    def _answer(self) -> Reply:
        self._state, self._left = "answering", list(self.response)
        head = {"status": 200, "reason": "OK", "http_version": "HTTP/1.1", "headers": self.headers}
        return {**head, "eof": len(self._left) == 1}, self._next()

    def _next(self) -> bytes:
        data = self._left.pop(0)
        if not self._left:
            self._state = "closed"
        return data

    def answer(self, text: str, blob: bytes) -> tuple[object, bytes]:
        """The same for synchronous calls, in frames."""
        arguments = json.loads(text)
        arguments.pop("blob", None)
        try:
            reply, data = self.carry_out(arguments.pop("op"), arguments, blob)
        except HostCallError as error:
            return {"error": {"code": error.code, "message": error.message}}, b""
        return {"ok": {**reply, "blob": [0, len(data)]}}, data

    def take_over(self) -> None:
        """Answer the synchronous calls of this process."""
        stand_in.host.answer = self.answer
