"""Searches in processes of their own, as the campaign sees them: what each may run, what it tells, when it is gone."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

from ..isolation import child_command
from ..rows.json_text import encode
from ..step.file.definition import StepDefinition
from .notices import MAX_LINE_BYTES, Counts, Notice, Novelty, read_notice
from .target import TargetOptions

_MOST_GRANTED = 512
"""Runs that a job may make before it hears from the campaign: less than a second of them."""
_MOST_UNSENT = 64 * 1024 * 1024
_EXIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """All that a search in another process needs; `stream` and `first` are those of `Search`."""

    definition: StepDefinition
    options: TargetOptions
    image: Path
    stream: str
    first: int

    def line(self) -> bytes:
        """As `read` takes it."""
        return encode({"search": base64.b64encode(pickle.dumps(self)).decode()}) + b"\n"

    @staticmethod
    def read(text: str) -> Assignment:
        """What the campaign's process has written."""
        # SECURITY: from our own parent over its pipe, which it alone holds. Nothing that a job tells is read so.
        made = pickle.loads(base64.b64decode(text))
        assert isinstance(made, Assignment)
        return made


@dataclass(frozen=True, slots=True)
class Heard:
    """A job has told something."""

    job: Job
    notice: Notice


@dataclass(frozen=True, slots=True)
class Gone:
    """A job has ended, or was ended for what it told; `why` is for people."""

    job: Job
    why: str


JobEvent: TypeAlias = "Heard | Gone"


class Job:
    """One process. Nothing here waits for it; `on_event` is called on a thread of its own.

    Raises:
        OSError: the system starts no more processes.
    """

    def __init__(self, number: int, assignment: Assignment, on_event: Callable[[JobEvent], object]) -> None:
        self.number = number
        self.counts = Counts()
        self.granted = 0
        self.is_ready = False
        self.is_ended = False
        self._on_event = on_event
        self._unsent = bytearray()
        self._process = subprocess.Popen(
            child_command("fuzzing.job_child", str(os.getpid())), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            # A terminal's interrupt is for the campaign alone.
            process_group=0,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        os.set_blocking(self._stdin.fileno(), False)
        self.send(assignment.line())
        threading.Thread(target=self._listen, name=f"wasmexec-fuzz-{number}", daemon=True).start()

    @property
    def owed(self) -> int:
        """Runs that it may make and has not told of."""
        return max(self.granted - self.counts.runs, 0)

    def grant(self, left: int) -> None:
        """Let it run more, of so many that are left for everybody, once it has used up half of what it has.

        What loads its image still gets nothing: on a busy machine the others would wait for it.
        """
        most = min(_MOST_GRANTED, left)
        if self.is_ready and most > 0 and self.owed <= most // 2:
            self.granted += most
            self.send(encode({"go": most}) + b"\n")

    def send(self, line: bytes) -> None:
        """Write a line, as far as the pipe takes it; `flush` writes the rest."""
        if len(self._unsent) + len(line) <= _MOST_UNSENT:
            self._unsent += line
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes. That nobody reads it any more is found out when its output ends."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin.fileno(), self._unsent)]
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self._unsent.clear()

    def note(self, counts: Counts) -> bool:
        """Take its counts, the first of which say that it is ready; False if they go back, which they never do."""
        self.is_ready = True
        if any(getattr(counts, item.name) < getattr(self.counts, item.name) for item in fields(Counts)):
            return False
        self.counts = counts
        return True

    def end(self) -> None:
        """Have it tell what it has under way, and end."""
        self.is_ended = True
        self.send(encode({"end": True}) + b"\n")

    def kill(self) -> None:
        """End it now, whatever it does."""
        self.is_ended = True
        # Its number is not given to another before it is reaped.
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)

    def _listen(self) -> None:
        """Tell what comes until nothing does."""
        why = ""
        assert self._process.stdout is not None
        with self._process.stdout as source:
            try:
                while line := source.readline(MAX_LINE_BYTES + 1):
                    self._on_event(Heard(self, read_notice(line)))
            except ValueError as error:
                why = f"it has told what nobody understands: {error}"
        if why:
            self._on_event(Gone(self, why))
            return
        why = "it has closed its output"
        with contextlib.suppress(subprocess.TimeoutExpired):
            why = f"its process has ended with {self._process.wait(_EXIT_SECONDS)}"
        self._on_event(Gone(self, why))


class Jobs:
    """The jobs of a campaign beside its own search; `notes` say which were lost."""

    def __init__(self, on_event: Callable[[JobEvent], object]) -> None:
        self.notes: list[str] = []
        self._on_event = on_event
        self._alive: list[Job] = []
        self._counts: list[Counts] = []

    def __iter__(self) -> Iterator[Job]:
        return iter(self._alive)

    @property
    def counts(self) -> list[Counts]:
        """Those of each job, also of those that are gone."""
        return [*self._counts, *(job.counts for job in self._alive)]

    @property
    def runs(self) -> int:
        """Executions that jobs have told of."""
        return sum(counts.runs for counts in self.counts)

    @property
    def owed(self) -> int:
        """Executions that jobs may still make and have not told of."""
        return sum(job.owed for job in self._alive)

    def start(self, assignment: Assignment) -> None:
        """Start one more; that this is not possible is noted."""
        try:
            self._alive.append(Job(len(self.counts) + 1, assignment, self._on_event))
        except OSError as error:
            self.notes.append(f"a job could not be started: {error}")

    def grant(self, left: Callable[[], int]) -> None:
        """Let each run more, of what is left for everybody, in equal parts."""
        for job in self._alive:
            job.flush()
            job.grant(left() // (len(self._alive) + 1))

    def tell(self, novelty: Novelty, besides: Job | None = None) -> None:
        """Tell all of them, but the one that has found it, what is new."""
        line = novelty.line()
        for job in self._alive:
            if job is not besides:
                job.send(line)

    def lose(self, job: Job, why: str) -> None:
        """Go on without a job: what it owed is for the others."""
        if job not in self._alive:
            return
        if not job.is_ended:
            self.notes.append(f"job {job.number + 1} was lost, the others have gone on without it: {why}")
        job.kill()
        self._alive.remove(job)
        self._counts.append(job.counts)

    def end(self) -> None:
        """Have all of them end soon."""
        for job in self._alive:
            job.end()

    def kill(self) -> None:
        """End all of them now."""
        for job in list(self._alive):
            job.is_ended = True
            self.lose(job, "")
