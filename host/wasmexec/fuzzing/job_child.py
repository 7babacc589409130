"""The process of a job: a search whose notices go out on standard output, a line of JSON each."""

from __future__ import annotations

import io
import os
import queue
import threading
import time
import traceback
from typing import Any, BinaryIO, NoReturn, TypeAlias

from ..executor import Executor
from ..rows.json_text import decode
from ..step.step import Step
from ..workers.pipes import Outbox, begin
from .jobs import Assignment
from .notices import Notice, Novelty, notice_of
from .searching import Ended, Search
from .target import Target

Message: TypeAlias = "dict[str, Any]"
_TOLD_RUNS = 64
_TOLD_SECONDS = 0.25


def main(parent: str) -> NoReturn:
    """Search until told to end, or standard input ends, or the parent, whose number it is given, is gone."""
    try:
        outbox = begin(int(parent))
        source = io.BufferedReader(io.FileIO(0))
        assignment = Assignment.read(decode(source.readline())["search"])
        with (
            Executor(assignment.image, workers=1) as executor,
            Target(Step(assignment.definition), executor=executor, options=assignment.options) as target,
        ):
            _Searching(assignment, target, outbox).run(source)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


class _Searching:
    """A search, what it may still run, and what of it was told."""

    def __init__(self, assignment: Assignment, target: Target, outbox: Outbox) -> None:
        self._target = target
        self._outbox = outbox
        self._events: queue.SimpleQueue[Ended | Message] = queue.SimpleQueue()
        self._search = Search(target, assignment.stream, self._events.put, self._tell, first=assignment.first)
        self._granted = 0
        self._told_runs = 0
        self._told_at = 0.0
        self._is_ending = False

    def run(self, source: BinaryIO) -> None:
        """Until told to end."""
        search = self._search
        self._tell(search.counts)
        threading.Thread(target=self._listen, args=(source,), name="wasmexec-fuzz-input", daemon=True).start()
        while search.under_way or not self._is_ending:
            left = 0 if self._is_ending else self._granted - self._target.runs
            search.fill(left)
            # Before it waits for more: the campaign may grant nothing as long as it has not heard of these.
            self._tell_counts(is_due=left <= 0 or search.is_exhausted)
            if search.under_way or left <= 0 or search.is_exhausted:
                self._take(self._events.get())
        self._tell_counts(is_due=True)

    def _take(self, event: Ended | Message) -> None:
        match event:
            case Ended():
                self._search.take(event)
            case {"new": _}:
                novelty = notice_of(event)
                assert isinstance(novelty, Novelty)
                self._search.learn(novelty)
            case {"go": int(more)}:
                self._granted += more
            case {"end": True}:
                self._is_ending = True
            case _:
                raise ValueError("an unknown message of the campaign")

    def _listen(self, source: BinaryIO) -> None:
        """Hand over what the campaign says; at its end this process ends."""
        while line := source.readline():
            self._events.put(decode(line))
        os._exit(0)

    def _tell(self, notice: Notice) -> None:
        self._outbox.write([notice.line()])

    def _tell_counts(self, *, is_due: bool) -> None:
        runs = self._target.runs
        now = time.monotonic()
        if runs == self._told_runs or not (
            is_due or runs - self._told_runs >= _TOLD_RUNS or now - self._told_at > _TOLD_SECONDS
        ):
            return
        self._told_runs, self._told_at = runs, now
        self._search.counts.runs = runs
        self._tell(self._search.counts)
