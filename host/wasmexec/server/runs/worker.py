"""`Process`: one worker process of the server, with the executions that it has."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence

from msgspec import Struct

from ...grants import HttpGrant
from ...workers.files import are_offered
from ...workers.messages import Kind, Room
from ...workers.process import WorkerProcess
from .egress import Egress
from .enclosure import Enclosure
from .long_texts import LongTexts

SILENT_SECONDS = 3.0
"""A worker that has not answered a probe for so long gets no new runs as long as there is another."""
_AGES = (0.9, 1.1)
"""Workers that were started together do not grow old together."""
_LONG_ASLEEP_SECONDS = 1.0


class WorkerFigures(Struct):
    """One worker process; `state` is starting, ready, silent or retiring, `executions` what it was given so far.

    `private_bytes` are its own memory, that of long inputs and rows that it has in files included.
    """

    pid: int
    state: str
    age_seconds: float
    private_bytes: int
    executions: int
    executing: int
    asleep: int


class Entry:
    """One execution in a worker: since when, until when at the latest, and whether it computes."""

    __slots__ = (
        "cpu_seconds", "due", "grants", "has_asked", "is_waiting", "let_on", "line_count", "number", "process",
        "waits_since",
    )  # fmt: skip

    def __init__(self, number: int, process: Process, due: float, grants: Sequence[HttpGrant] = ()) -> None:
        self.number = number
        self.process = process
        self.due = due
        self.grants = grants
        self.cpu_seconds = 0.0
        self.is_waiting = False
        self.has_asked = False
        """Whether it has something to do again, and waits to be let."""
        self.let_on = 0
        """How often it was."""
        self.waits_since = math.inf
        self.line_count = 0
        """Lines of its log that have come."""

    def is_long_asleep(self, now: float) -> bool:
        """Whether it has been asleep for so long that it can hardly be what its process died of."""
        return self.is_waiting and now - self.waits_since > _LONG_ASLEEP_SECONDS


class KeptOrder:
    """A packed order that many executions have in common: a worker is told it once."""

    __slots__ = ("http_grants", "number", "packed")

    def __init__(self, number: int, packed: bytes, http_grants: list[HttpGrant]) -> None:
        self.number = number
        self.packed = packed
        self.http_grants = http_grants


class Process(WorkerProcess):
    """A worker with its executions: all of them, and those that compute; behind its wall.

    `is_isolated`: it takes one execution at a time, that is suspected.

    Raises:
        OSError: the system starts no more processes.
    """

    def __init__(
        self, enclosure: Enclosure, rooms: dict[Kind, Room], *, most_seconds: float, is_isolated: bool = False
    ) -> None:
        self.is_isolated = is_isolated
        self._image_bytes = enclosure.image_bytes
        self.idle_since = time.monotonic()
        self.entries: dict[int, Entry] = {}
        self.egress: Egress | None = None
        self.texts: LongTexts | None = None
        try:
            self.egress = Egress(self._granted) if enclosure.has_broker else None
            self.texts = LongTexts(rooms[Kind.ANSWER_FILE].body) if are_offered() else None
            theirs = [end.theirs for end in (self.egress, self.texts) if end is not None]
            super().__init__(
                enclosure.command(self.egress, self.texts), rooms, [], environment=enclosure.environment,
                pass_fds=[end.fileno() for end in theirs],
            )  # fmt: skip
        except OSError:
            self.close_channels()
            raise
        for end in theirs:
            end.close()
        self.awake: dict[int, Entry] = {}
        self.is_writing = False
        self.is_flush_due = False
        self.old_at = self.started + most_seconds * random.uniform(*_AGES)
        self.is_outdated = False
        self.is_proven = False
        self.probed_at = 0.0
        self.is_probed = False
        self.kept: set[int] = set()
        """Numbers of the orders that it was told to keep."""

    def send(self, pieces: list[bytes]) -> None:
        """Have a frame written with all others of this turn of the loop, see `Fleet`."""
        self.enqueue(pieces)

    def close_channels(self) -> None:
        """No more connections for it, and no texts in files."""
        if self.egress is not None:
            self.egress.close()
        if self.texts is not None:
            self.texts.close()

    def memory_bytes(self) -> int:
        """Its private memory and its files in memory, but for the image; 0 where the system does not say."""
        return self.private_bytes() + max(0, self.file_bytes() - self._image_bytes)

    def _granted(self) -> list[HttpGrant]:
        return [grant for entry in self.entries.values() for grant in entry.grants]

    def begin_probe(self) -> None:
        """It is asked whether a statement gets through."""
        self.is_probed, self.probed_at = True, time.monotonic()

    def end_probe(self, *, succeeded: bool) -> None:
        """It has answered."""
        self.is_probed = False
        self.is_proven = self.is_proven or succeeded

    def is_silent(self, now: float) -> bool:
        """Whether it owes an answer for longer than one that works well."""
        return self.is_probed and now - self.probed_at > SILENT_SECONDS

    @property
    def figures(self) -> WorkerFigures:
        """How it is."""
        now = time.monotonic()
        state = "retiring" if self.is_retiring else "ready" if self.is_ready else "starting"
        return WorkerFigures(
            self.pid, "silent" if self.is_silent(now) else state, now - self.started, self.memory_bytes(), self.given,
            len(self.awake), len(self.entries) - len(self.awake),
        )  # fmt: skip
