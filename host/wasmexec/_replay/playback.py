"""Answers host calls from a recording: what was asked before gets the answer it got, after the time it took.

No thread waits and nothing is connected: the clock jumps to the moment of the next answer or timer. A statement that
does what it did when it was recorded is answered at the very same moments; one that was edited at plausible ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from .._execution.failures import Stop
from .._guest.instance import StopGuest
from .._hostcalls.call_table import Answer, Call, failure
from .script import Planned, Script
from .virtual import VirtualClock

_NEVER = 1 << 100
_GIVEN_UP = Answer(failure("read", "the recording has no answer to this: the statement did not wait for one"), b"")


class Playback:
    """Answers host calls out of a script, at times of the virtual clock; see `Answers`. Nothing runs meanwhile.

    `no_answer` is how the execution ends when nothing comes any more, None to go on. `check` raises `StopGuest` if the
    execution must not come to a moment.
    """

    def __init__(
        self, script: Script, clock: VirtualClock, no_answer: Stop | None, check: Callable[[int], None]
    ) -> None:
        self._script = script
        self._clock = clock
        self._no_answer = no_answer
        self._check = check
        self._due: dict[int, _Due] = {}

    @property
    def under_way(self) -> int:
        """Calls whose answers are still to come."""
        return len(self._due)

    def takes_body(self, op: str) -> bool:
        """Every one: it is compared."""
        return True

    def start(self, number: int, call: Call, deliver: Callable[[int, Answer], None]) -> None:
        """Plan its answer."""
        planned = self._script.answer(call)
        due = _NEVER if planned.latency is None else self._clock.now + planned.latency
        self._due[number] = _Due(due, planned.order, number, planned.answer, deliver)

    def give_up(self, number: int) -> None:
        """Nothing comes of it."""
        self._due.pop(number, None)

    def perform(self, call: Call, wait: Callable[[threading.Event], None]) -> Answer:
        """Set the clock to when the answer came."""
        planned = self._script.answer(call)
        if planned.latency is None:
            self._stop_without_answer()
            planned = Planned(_GIVEN_UP, 1)
        moment = self._clock.now + (planned.latency or 1)
        self._check(moment)
        self._clock.now = moment
        return planned.answer

    def close(self) -> None:
        """Nothing is under way."""

    def advance(self) -> None:
        """Set the clock to the next answer or timer, whatever the guest waits for, and deliver what is there by then.

        Raises:
            StopGuest: nothing comes any more, as when the execution was recorded, or it must not come to that moment.
        """
        timer = _NEVER if self._clock.due is None else self._clock.due
        moment = min([timer, *(item.due for item in self._due.values())])
        if moment >= _NEVER:
            self._stop_without_answer()
            moment = self._clock.now + 1
            self._due = {item.number: item._replace(due=moment, answer=_GIVEN_UP) for item in self._due.values()}
        moment = max(moment, self._clock.now + 1)
        self._check(moment)
        self._clock.now, self._clock.due = moment, None
        for item in sorted(item for item in self._due.values() if item.due <= moment):
            del self._due[item.number]
            item.deliver(item.number, item.answer)

    def _stop_without_answer(self) -> None:
        if self._no_answer is not None:
            raise StopGuest(self._no_answer)


class _Due(NamedTuple):
    """An answer to be delivered; sorted by when, and by the order of what was recorded at the same moment."""

    due: int
    order: int
    number: int
    answer: Answer
    deliver: Callable[[int, Answer], None]
