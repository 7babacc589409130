"""`Following`: a run as it goes, from server-sent events; what was lost on the way is asked for again.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from ..server.documents import LogDocument, RunDocument
from .calls import Call, Received, path_of, read_answer
from .errors import AnswerLost, BadAnswer, ClientError
from .retries import Attempts, Retries

MAX_EVENT_BYTES = 64 * 1024 * 1024
QUIET_SECONDS = 60.0
"""The server says something every 15 s."""
_MOST_RETRY_SECONDS = 60.0
_run_decoder = msgspec.json.Decoder(RunDocument)
_line_decoder = msgspec.json.Decoder(LogDocument)


class RunEvent(msgspec.Struct, frozen=True):
    """What was told of a run: how it is now, or a line of its log; `id` is where to go on behind it."""

    id: str
    run: RunDocument | None = None
    line: LogDocument | None = None


class Following:
    """One run that is followed to its end, whatever connections do."""

    def __init__(self, run_id: str, after: str | None, retries: Retries) -> None:
        self._path = path_of("runs", run_id, "events")
        self._retries = retries
        self._attempts = Attempts(retries, is_repeatable=True)
        self._after = after
        self._reader = _Reader()
        self.has_ended = False

    def call(self) -> Call[Any]:
        """What to ask for now: what has not been told."""
        self._reader = _Reader(self._reader.retry_seconds)
        headers = {"Accept": "text/event-stream"} | ({} if self._after is None else {"Last-Event-ID": self._after})
        return Call(
            method="GET", path=self._path, answer=None, headers=headers, is_repeatable=True,
            timeout_seconds=QUIET_SECONDS,
        )  # fmt: skip

    def events(self, piece: bytes) -> list[RunEvent]:
        """What has come whole with a piece of the answer.

        Raises:
            BadAnswer: it is not one of this API.
        """
        found = [event for event in map(_event, self._reader.add(piece)) if event is not None]
        for event in found:
            self._after = event.id
            self._attempts = Attempts(self._retries, is_repeatable=True)
            self.has_ended = event.run is not None and event.run.state == "ended"
        return found

    def pause_after(self, failure: ClientError) -> float:
        """Seconds after which to ask for the rest.

        Raises:
            ClientError: the failure itself: it is not to be asked for again.
        """
        return max(self._attempts.pause_after(failure), self._reader.retry_seconds)

    def refuse(self, got: Received) -> NoReturn:
        """Raises: ClientError: what came instead of a stream."""
        read_answer(self.call(), got)
        raise BadAnswer(f"HTTP {got.status} with something else than events", status=got.status)

    def cut(self) -> AnswerLost:
        """What it means that the answer ended before the run."""
        return AnswerLost(f"GET {self._path}: the server ended the stream before the run had ended")


class _Reader:
    """Events from the bytes of a stream: (name, id, data) of each that is whole."""

    def __init__(self, retry_seconds: float = 0.0) -> None:
        self.retry_seconds = retry_seconds
        self._rest = b""
        self._size = 0
        self._fields: dict[bytes, bytes] = {}

    def add(self, piece: bytes) -> list[dict[bytes, bytes]]:
        """Raises: BadAnswer: one is too long."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            self._size += len(line)
            name, _, value = line.removesuffix(b"\r").partition(b":")
            if name:
                value = value.removeprefix(b" ")
                before = self._fields.get(name) if name == b"data" else None
                self._fields[name] = value if before is None else before + b"\n" + value
            elif not line.rstrip(b"\r"):
                retry = self._fields.get(b"retry", b"")
                if retry.isdigit() and len(retry) < 9:
                    self.retry_seconds = min(int(retry) / 1000, _MOST_RETRY_SECONDS)
                if b"data" in self._fields:
                    events.append(self._fields)
                self._fields, self._size = {}, 0
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise BadAnswer(f"an event has more than {MAX_EVENT_BYTES:,} bytes", status=200)
        return events


def _event(fields: dict[bytes, bytes]) -> RunEvent | None:
    """None: one of a kind that is not known, as newer servers may have.

    Raises: BadAnswer: it makes no sense.
    """
    try:
        position = fields.get(b"id", b"").decode("ascii")
        kind = fields.get(b"event")
        if kind == b"state":
            return RunEvent(position, run=_run_decoder.decode(fields[b"data"]))
        if kind == b"log":
            return RunEvent(position, line=_line_decoder.decode(fields[b"data"]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer(f"an event that is not understood: {error}"[:500], status=200) from None
    return None
