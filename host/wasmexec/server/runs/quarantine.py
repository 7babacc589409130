"""`Quarantine`: which statements were there when worker processes died, and what follows from that.

    there at one death       counted; nothing else
    there at two             suspect: its next attempts run alone, in a process of their own
    alone at a third         condemned: refused for `REFUSED_SECONDS`
    alone and nothing died   cleared

Whoever runs beside a suspect is a bystander of that death. What had been asleep for a while is not counted as long as
something there was awake: a thousand sleepers would be suspects after two deaths, and would run one by one.

No run and no process is known here; times are seconds of one clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

SUSPECT_DEATHS: Final = 2
REFUSED_SECONDS: Final = 600.0
REMEMBERED_SECONDS: Final = 3600.0
"""After so long without another death nobody remembers one."""
MOST_REMEMBERED: Final = 10_000
"""Statements; the ones whose deaths are longest ago are forgotten first."""


class Culprit(NamedTuple):
    """A statement of a tenant, by its hash."""

    tenant: str
    statement: str


@dataclass(slots=True)
class _Record:
    deaths: int = 0
    last: float = 0.0
    refused_until: float = 0.0


class Quarantine:
    """What is remembered of each statement."""

    def __init__(self) -> None:
        self._records: OrderedDict[Culprit, _Record] = OrderedDict()

    def is_suspect(self, who: Culprit, now: float) -> bool:
        """Whether it has to run alone."""
        record = self._known(who, now)
        return record is not None and record.deaths >= SUSPECT_DEATHS

    def refused_seconds(self, who: Culprit, now: float) -> float:
        """For how long it is not taken; 0 if it is."""
        record = self._known(who, now)
        return 0.0 if record is None else max(0.0, record.refused_until - now)

    def note_death(self, awake: Iterable[Culprit], asleep: Iterable[Culprit], now: float) -> set[Culprit]:
        """A process that several shared has died; those that are bystanders of this death."""
        awake, asleep = set(awake), set(asleep)
        counted = awake or asleep
        for who in counted:
            record = self._records.setdefault(who, _Record())
            if now - record.last > REMEMBERED_SECONDS:
                record.deaths = 0
            record.deaths += 1
            record.last = now
            self._records.move_to_end(who)
        while len(self._records) > MOST_REMEMBERED:
            self._records.popitem(last=False)
        others = {who for who in awake | asleep if not self.is_suspect(who, now)}
        return others if len(others) < len(awake | asleep) else set()

    def condemn(self, who: Culprit, now: float) -> None:
        """A process in which it was alone has died."""
        record = self._records.setdefault(who, _Record())
        record.deaths, record.last, record.refused_until = record.deaths + 1, now, now + REFUSED_SECONDS

    def clear(self, who: Culprit) -> None:
        """It has run alone, and nothing died."""
        self._records.pop(who, None)

    def _known(self, who: Culprit, now: float) -> _Record | None:
        record = self._records.get(who)
        if record is not None and now - record.last > REMEMBERED_SECONDS:
            del self._records[who]
            return None
        return record
