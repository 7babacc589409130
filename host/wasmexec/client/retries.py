"""`Retries`: what is asked again by itself, how often, and after which pause."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import AnswerLost, AnswerOverdue, ClientError, RequestRefused, ServerUnreachable

_WAITING_HELPS = (429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How stubborn a client is.

    A request that was not sent is asked again whatever it is; one whose answer was lost, or that was refused with a
    time to try again, only if to ask twice is as good as to ask once.
    """

    attempts: int = 4
    """How often a request is sent at most; 1: no retries."""
    seconds: float = 30.0
    """How long all pauses of a request may take together; what would take longer is told at once."""
    first_pause_seconds: float = 0.1
    """Twice as long each time, and a random part of it."""
    longest_pause_seconds: float = 5.0
    """Where the server names no time."""


class Attempts:
    """The attempts of one request."""

    def __init__(
        self, retries: Retries, *, is_repeatable: bool, random_part: Callable[[], float] = random.random
    ) -> None:
        self._retries = retries
        self._is_repeatable = is_repeatable
        self._random_part = random_part
        self._made = 0
        self._until = time.monotonic() + retries.seconds

    def pause_after(self, failure: ClientError) -> float:
        """Seconds after which to ask again.

        Raises:
            ClientError: the failure itself: it is not to be asked again.
        """
        self._made += 1
        retries = self._retries
        if self._made >= retries.attempts or not self._may_repeat(failure):
            raise failure
        usual = min(retries.first_pause_seconds * 2.0 ** (self._made - 1), retries.longest_pause_seconds)
        # All clients that were refused at once do not come back at once.
        pause = usual * (0.5 + self._random_part() / 2)
        if isinstance(failure, RequestRefused):
            pause += failure.retry_after_seconds or 0.0
        if time.monotonic() + pause > self._until:
            raise failure
        return pause

    def _may_repeat(self, failure: ClientError) -> bool:
        if isinstance(failure, ServerUnreachable):
            return True
        if not self._is_repeatable:
            return False
        if isinstance(failure, RequestRefused):
            return failure.status in _WAITING_HELPS and failure.retry_after_seconds is not None
        # Who has waited for as long as the caller wanted does not wait again.
        return isinstance(failure, AnswerLost) and not isinstance(failure, AnswerOverdue)
