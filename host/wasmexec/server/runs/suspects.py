"""`Suspects`: the runs whose statements were there when worker processes died, by the rules of `quarantine`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from ..problems import ProblemError
from ..quotas.refusals import Owner
from ..scheduling.fair_queue import Waiting
from .quarantine import REFUSED_SECONDS, Culprit, Quarantine
from .run import Run
from .worker import Entry


class Suspects:
    """What follows for runs; `waiting` are those that wait for the process in which they run alone, oldest first."""

    def __init__(self) -> None:
        self.waiting: dict[str, Run] = {}
        self._quarantine = Quarantine()
        self._bystanders: set[Culprit] = set()

    def has_to_be_alone(self, run: Run) -> bool:
        """Whether it runs in a process of its own."""
        return self._quarantine.is_suspect(run.culprit, time.monotonic())

    def is_condemned(self, run: Run) -> bool:
        """Whether its statement is not run any more."""
        return self._quarantine.refused_seconds(run.culprit, time.monotonic()) > 0

    def refuse(self, run: Run) -> None:
        """Return if its statement is not condemned.

        Raises:
            ProblemError: 429.
        """
        seconds = self._quarantine.refused_seconds(run.culprit, time.monotonic())
        if seconds:
            raise ProblemError(
                429, "statement.quarantine", "worker processes died whenever this statement ran, at last with nothing "
                "else in them", value=REFUSED_SECONDS, owner="server", changed_by="nobody",
                retry_after_seconds=seconds, headers={"Retry-After": str(math.ceil(seconds))},
            )  # fmt: skip

    def note_death(self, there: Mapping[Entry, Run], overdue: Entry | None) -> None:
        """A process is gone in which these were; it was ended because of `overdue`, if that is not None."""
        now = time.monotonic()
        culprits = {entry: run.culprit for entry, run in there.items()}
        self._bystanders = set()
        if overdue is not None:
            self._bystanders = {who for entry, who in culprits.items() if entry is not overdue}
        elif any(entry.process.is_isolated for entry in culprits):
            for who in culprits.values():
                self._quarantine.condemn(who, now)
        else:
            asleep = {entry for entry in culprits if entry.is_long_asleep(now)}
            awake = culprits.keys() - asleep
            self._bystanders = self._quarantine.note_death(
                (culprits[entry] for entry in awake), (culprits[entry] for entry in asleep), now
            )

    def is_bystander(self, run: Run) -> bool:
        """Whether the last death was not because of it."""
        return run.culprit in self._bystanders

    def note_end(self, entry: Entry, run: Run) -> None:
        """It has ended, and its process lives: alone and by itself, that clears it."""
        if entry.process.is_isolated and not run.is_cancelled:
            self._quarantine.clear(run.culprit)

    def why_waiting(self, run: Run) -> Waiting | None:
        """What one of `waiting` waits for; None for any other."""
        if run.id not in self.waiting:
            return None
        return Waiting(
            rule="quarantine", owner=Owner.SERVER, value=None, expected_start=None,
            position=1 + list(self.waiting).index(run.id),
            message="its statement was there when worker processes died: it runs alone, after those before it",
        )  # fmt: skip
