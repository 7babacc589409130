"""Batches: the lines of a request, as many at once as cannot block, and those of its answer as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from .calls import Call, Received, encoded, path_of, read_answer
from .errors import AnswerLost, BadAnswer
from .operations import RunOptions, run_headers

if TYPE_CHECKING:
    from ..server.api.batches import BatchAnswer

NDJSON = "application/x-ndjson"
MOST_GROUP_BYTES = 64 * 1024
"""Of lines in one request, unless one alone is longer: the answers are read once all of them are sent."""


class BatchItem(RunOptions, total=False):
    """One run of a batch; `id` is your own name for it, which comes back with its answer. It has a `statement`."""

    id: str | None
    statement: str


class Group:
    """Lines that are sent by one request, and their answers; `first` is the number of the first line."""

    def __init__(self, first: int, lines: list[bytes], idempotency_key: str | None, quiet_seconds: float) -> None:
        from ..server.api.batches import BatchAnswer

        self._first = first
        self._missing = len(lines)
        self._decoder = msgspec.json.Decoder(BatchAnswer)
        self._rest = bytearray()
        self.call: Call[Any] = Call(
            method="POST", path=path_of("runs", action="batch"), answer=None, body=b"".join(lines), media_type=NDJSON,
            headers=run_headers(None, idempotency_key), is_repeatable=idempotency_key is not None,
            timeout_seconds=quiet_seconds,
        )  # fmt: skip

    def begin(self) -> None:
        """Nothing has come yet."""
        self._rest.clear()

    def answers(self, piece: bytes, most_bytes: int) -> list[BatchAnswer]:
        """Those that have come whole with a piece of the answer.

        Raises:
            BadAnswer: a line is too long, or not one of this API.
        """
        self._rest += piece
        *lines, rest = bytes(self._rest).split(b"\n") if b"\n" in piece else [bytes(self._rest)]
        self._rest[:] = rest
        if len(rest) > most_bytes:
            raise BadAnswer(f"a line of the answer has more than {most_bytes:,} bytes", status=200)
        try:
            found = [self._decoder.decode(line) for line in lines]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadAnswer(f"a line that is not understood: {error}"[:500], status=200) from None
        for answer in found:
            answer.index += self._first
        self._missing -= len(found)
        return found

    def refuse(self, got: Received) -> None:
        """Raises: ClientError: what came instead of lines."""
        read_answer(self.call, got)
        raise BadAnswer(f"HTTP {got.status} with something else than lines", status=got.status)

    def end(self) -> None:
        """Raises: AnswerLost: lines have no answer."""
        if self._missing > 0:
            raise AnswerLost(f"POST {self.call.path}: the answer ended before that to {self._missing:,} of its lines")


def groups(items: Iterable[BatchItem], idempotency_key: str | None, quiet_seconds: float) -> Iterator[Group]:
    """The requests for a batch: one if it has a key, which the server reads whole before it begins.

    Raises:
        ConfigError: something in them cannot be sent as JSON.
    """
    first, lines, size = 0, list[bytes](), 0
    for item in items:
        line = encoded({name: value for name, value in item.items() if value is not None}) + b"\n"
        if lines and idempotency_key is None and size + len(line) > MOST_GROUP_BYTES:
            yield Group(first, lines, None, quiet_seconds)
            first, lines, size = first + len(lines), [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield Group(first, lines, idempotency_key, quiet_seconds)
