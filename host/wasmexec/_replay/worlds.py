"""Worlds that repeat themselves: seeded ones, which may be recorded, and those of recordings."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._execution.callbacks import describe
from .._execution.failures import Stop
from .._guest.instance import StopGuest
from .._hostcalls.call_table import Answer, Answers, Call, CallTable
from .._hostcalls.usage import UsageCounter
from ..determinism import NANOSECONDS, Deterministic
from ..errors import ConfigError, CpuLimitError, ExecutionCancelled, TimeLimitError
from ..options import JsonText, NotGiven, RunInput
from ..recording import Recorder, Recording
from ..recording.check import KEY_BYTES, check_recording
from ..result import Result
from ..rows.json_text import decode, encode
from .compare import log_sha256, make_report, rows_json
from .masked import masked_json
from .playback import Playback
from .script import Script
from .tape import Tape
from .virtual import Virtual, VirtualClock

if TYPE_CHECKING:
    from .._execution.request import Request
    from .._execution.world import World
    from .._masking.masker import Masker
    from ..limits import Limits

DEFAULT_STEP = Deterministic().step
_ENDINGS: dict[type[BaseException], str] = {
    TimeLimitError: "wall",
    CpuLimitError: "cpu",
    ExecutionCancelled: "cancelled",
}
_NO_ANSWER = {"wall": Stop.WALL, "cancelled": Stop.CANCELLED}


def plan_key(run: RunInput) -> bytes:
    """What decides the randomness of an execution: for `make_world`, and for whatever else is drawn.

    Raises:
        TypeError: an option is of the wrong type.
        ConfigError: the recording is damaged.
    """
    settings, recording = run.determinism, run.replay
    if settings is not None and not isinstance(settings, Deterministic):
        raise TypeError(f"determinism must be Deterministic(...), not {type(settings).__name__}")
    if recording is not None and not isinstance(recording, Recording):
        raise TypeError(f"replay must be a Recording, not {type(recording).__name__}")
    if recording is not None:
        check_recording(recording)
        return recording.key
    return secrets.token_bytes(KEY_BYTES) if settings is None else settings.key


_RECORDED = ("input_data", "extra_inputs", "checkpoint", "local_variables")
"""What a replay takes from its recording unless it is given."""


def complete(run: RunInput) -> RunInput:
    """A run; a replay with what its recording, which `plan_key` has checked, has and nobody has given."""
    recording = run.replay
    if recording is None:
        return run
    found: dict[str, Any] = {}
    for name in _taken(run):
        match name:
            case "input_data":
                found[name] = recording.inputs[0] if recording.inputs else None
            case "extra_inputs":
                found[name] = recording.inputs[1:]
            case "checkpoint":
                found[name] = JsonText(recording.checkpoint)
            case _:
                found[name] = decode(recording.local_variables)
    return run._replace(**found)


def _taken(run: RunInput) -> tuple[str, ...]:
    """What a replay takes from its recording."""
    return tuple(name for name in _RECORDED if isinstance(getattr(run, name), NotGiven))


def make_world(
    statement: str,
    *,
    key: bytes,
    given: RunInput,
    run: RunInput,
    request: Request,
    limits: Limits,
    masker: Masker | None,
    image: str,
) -> World:
    """The world that a run asks for: it has at least one of "determinism", "recorder" and "replay".

    `run` is `given` with what a replay takes from its recording.

    Raises:
        TypeError: an option is of the wrong type.
        ConfigError: options that exclude each other.
    """
    settings, recorder, recording = given.determinism, given.recorder, given.replay
    if recorder is not None and not (hasattr(recorder, "add") and hasattr(recorder, "add_exchange")):
        raise TypeError(f"recorder must have add and add_exchange; {type(recorder).__name__} does not")
    if recording is not None:
        if settings is not None or recorder is not None:
            raise ConfigError("replay: a replay has the clock and the seed of its recording and is not recorded again")
        return ReplayedWorld(recording, limits, statement, image, masker, _taken(given))
    if settings is not None and settings.skip_sleeps and recorder is not None:
        raise ConfigError("skip_sleeps: what is recorded must really sleep, for the servers do")
    blank = None if recorder is None else _blank(statement, run, request)
    return SeededWorld(key, settings, limits, recorder, image, masker, blank)


def _blank(statement: str, run: RunInput, request: Request) -> Recording:
    """A recording of what the execution is given."""
    blobs = iter(request.blobs)
    variables = {} if isinstance(run.local_variables, NotGiven) else dict(run.local_variables)
    return Recording(
        statement=statement,
        inputs=tuple(None if value is None else bytes(next(blobs)) for value in run.inputs),
        checkpoint=encode(None if isinstance(run.checkpoint, NotGiven) else run.checkpoint),
        local_variables=encode(variables),
    )


class SeededWorld:
    """The real one under a virtual clock and seeded; recorded if there is a recorder."""

    is_repeatable = True

    def __init__(
        self, key: bytes, settings: Deterministic | None, limits: Limits, recorder: Recorder | None, image: str,
        masker: Masker | None, blank: Recording | None,
    ) -> None:  # fmt: skip
        self.usage = UsageCounter()
        self.skips_sleeps = settings is not None and settings.skip_sleeps
        start = time.time_ns() if settings is None else settings.start
        step = DEFAULT_STEP if settings is None else settings.step
        self._clock = clock = VirtualClock(start, step, follows_real_time=recorder is not None)
        self._key = key
        self.virtual = Virtual(key, clock)
        self._wall = round(limits.wall_seconds * NANOSECONDS)
        self._recorder = recorder
        self._tape = None if recorder is None else Tape(clock, limits)
        # Not masked yet: that is the execution's own work.
        self._blank = blank
        self._image = image
        self._masker = masker

    def seconds(self) -> float:
        """The virtual clock."""
        return self._clock.seconds()

    def begin(self, check: Callable[[], None]) -> None:
        """Start the clock."""
        self._clock.begin()

    def call_table(self, make_live: Callable[[], Answers], wake: Callable[[], None]) -> CallTable:
        """One that the capabilities answer and that is listened to."""
        return CallTable(make_live(), wake, self)

    def issued(self, number: int, call: Call) -> None:
        """A host call starts."""
        if self._tape is not None:
            self._tape.issued(number, call)

    def delivered(self, answers: Mapping[int, Answer]) -> None:
        """The guest is given answers."""
        self._clock.arrive()
        if self._tape is not None:
            self._tape.delivered(answers)

    def wait(self, seconds: float | None, calls: CallTable | None) -> bool:
        """True for a sleep that is skipped, and for one of no time."""
        self._clock.expect_timer(seconds)
        if not self.skips_sleeps or self._clock.due is None or (calls is not None and calls.has_open):
            return seconds == 0
        _stop_if_beyond(self._clock, self._clock.due, self._wall)
        return True

    def resume(self) -> None:
        """Unless answers have set the clock, it was the timer."""
        self._clock.ring()

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        _sleep(self._clock, seconds, self._wall if self.skips_sleeps else None)

    def ended(self, result: Result, check: Callable[[], None]) -> Result:
        """Hand the recording over, all of it or nothing."""
        if self._recorder is None:
            return result
        recording = self._recording(result, check)
        try:
            if not recording.give_to(self._recorder):
                result.warnings.append("the recording is incomplete: the recorder takes no more")
        except BaseException as error:  # the caller's recorder must not take the result with it
            result.warnings.append(f"the recording failed: {describe(error)}")
        return result

    def _recording(self, result: Result, check: Callable[[], None]) -> Recording:
        clock, blank = self._clock, self._blank
        assert self._tape is not None
        assert blank is not None
        mask = None if self._masker is None else self._masker.checked_by(check)
        ending = "done" if result.error is None else _ENDINGS.get(type(result.error), "done")
        if ending in _NO_ANSWER:
            clock.arrive()
        error = result.error
        exchanges = self._tape.exchanges(mask, check)
        if self._tape.incomplete:
            result.warnings.append(f"the recording is incomplete: {self._tape.incomplete}")
        return dataclasses.replace(
            blank,
            statement=blank.statement if mask is None else mask(blank.statement),
            inputs=tuple(None if blob is None else masked_json(mask, blob) for blob in blank.inputs),
            checkpoint=masked_json(mask, blank.checkpoint),
            local_variables=masked_json(mask, blank.local_variables),
            key=self._key,
            clock_start=clock.start,
            clock_step=clock.step,
            exchanges=exchanges,
            strays=tuple(self._tape.strays),
            ending=ending,
            ended=clock.elapsed,
            rows=masked_json(mask, rows_json(result.block, check)),
            status=int(result.status),
            error=None if error is None else {"type": type(error).__name__, "message": error.message},
            log_sha256=log_sha256(result.logs, check),
            image=self._image,
            incomplete=self._tape.incomplete,
        )


class ReplayedWorld:
    """The world of a recording: nothing is waited for, nothing is connected."""

    is_repeatable = True
    skips_sleeps = True

    def __init__(
        self, recording: Recording, limits: Limits, statement: str, image: str, masker: Masker | None,
        taken: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.usage = UsageCounter()
        self._clock = clock = VirtualClock(recording.clock_start, recording.clock_step)
        self.virtual = Virtual(recording.key, clock)
        self._wall = round(limits.wall_seconds * NANOSECONDS)
        self._recording = recording
        self._masker = masker
        self._script = Script(recording, masker, self.usage, limits.http_bytes)
        self._playback = Playback(self._script, clock, _NO_ANSWER.get(recording.ending), self._check)
        self._statement = statement
        self._image = image
        self._taken = taken
        self._cancelled_at = recording.ended if recording.ending == "cancelled" else None

    def seconds(self) -> float:
        """The virtual clock."""
        return self._clock.seconds()

    def begin(self, check: Callable[[], None]) -> None:
        """Masking what is asked for can be interrupted; its clock does not follow the real one."""
        if self._masker is not None:
            self._script.mask = self._masker.checked_by(check)

    def call_table(self, make_live: Callable[[], Answers], wake: Callable[[], None]) -> CallTable:
        """One that the recording answers."""
        return CallTable(self._playback, wake)

    def wait(self, seconds: float | None, calls: CallTable | None) -> bool:
        """True: jump to the next moment."""
        self._clock.expect_timer(seconds)
        self._playback.advance()
        return True

    def resume(self) -> None:
        """Nothing: the clock has been set."""

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self._check(self._clock.now + round(seconds * NANOSECONDS))
        _sleep(self._clock, seconds, self._wall)

    def ended(self, result: Result, check: Callable[[], None]) -> Result:
        """The result with the report."""
        statement = self._statement
        mask = None if self._masker is None else self._masker.checked_by(check)
        if mask is not None:
            self._script.mask = mask
            statement = mask(statement)
        rows = masked_json(mask, rows_json(result.block, check))
        report = make_report(self._recording, result, rows, self._script, statement, self._image, self._taken, check)
        return dataclasses.replace(result, rows=result.block, replay=report)

    def _check(self, moment: int) -> None:
        if self._cancelled_at is not None and moment - self._clock.start > self._cancelled_at:
            raise StopGuest(Stop.CANCELLED)
        _stop_if_beyond(self._clock, moment, self._wall)


def _sleep(clock: VirtualClock, seconds: float, wall: int | None) -> None:
    moment = clock.now + round(seconds * NANOSECONDS)
    if wall is not None:
        _stop_if_beyond(clock, moment, wall)
    clock.now = moment


def _stop_if_beyond(clock: VirtualClock, moment: int, wall: int) -> None:
    if moment - clock.start > wall:
        raise StopGuest(Stop.WALL)
