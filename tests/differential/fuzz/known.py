"""Differences that are known: legitimate ones with their reason, and faults of ours that wait to be mended.

Each entry has a program that shows it. A run begins with these programs: an entry whose program gives the same on both
sides, or differs in another way, is no longer true and fails the run.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.differential.fuzz.cases import EXACT, RULES, Case, Tolerance
from tests.differential.fuzz.comparing import Difference

EXPECTED = Path(__file__).with_name("expected.toml")
FAULTS = Path(__file__).with_name("faults.toml")
_KEYS = {"program", "difference", "reason", "source", "example", "tolerance"}


@dataclass(frozen=True)
class Entry:
    """A known difference.

    program: what a program contains that it concerns (a regular expression).
    difference: what `way: native | guest` contains (a regular expression).
    source: the address upstream, or the page of ours, that says more.
    example: a program that shows it; it sets `result`, or `left` and `right`.
    """

    program: re.Pattern[str]
    difference: re.Pattern[str]
    reason: str
    source: str
    example: str
    tolerance: Tolerance

    def covers(self, program: str, difference: Difference) -> bool:
        """Whether the entry says why this program has this difference."""
        return self.program.search(program) is not None and self.difference.search(str(difference)) is not None

    @property
    def case(self) -> Case:
        """The example, to be run like any other."""
        return Case(0, "examples", self.reason, self.example.strip(), self.tolerance)


def load(file: Path) -> list[Entry]:
    """Read a list.

    Raises: ValueError: an entry lacks a key, or has one that does not exist.
    """
    found = []
    for table in tomllib.loads(file.read_text("utf-8")).get("known", []):
        if table.keys() - _KEYS or _KEYS - {"tolerance"} - table.keys() or not table["reason"].strip():
            raise ValueError(f"{file.name}: an entry has {', '.join(sorted(_KEYS))}: {table}")
        program, difference = (re.compile(table[key], re.DOTALL) for key in ("program", "difference"))
        rule, _, amount = table.get("tolerance", "exact").partition(" ")
        if rule not in RULES:
            raise ValueError(f"{file.name}: a tolerance is one of {', '.join(RULES)}: {rule}")
        tolerance = Tolerance(rule, int(amount or 0)) if rule != "exact" else EXACT
        found.append(Entry(program, difference, table["reason"], table["source"], table["example"], tolerance))
    return found


def covering(entries: Iterable[Entry], program: str, difference: Difference) -> Entry | None:
    """The first entry that says why this program has this difference."""
    return next((entry for entry in entries if entry.covers(program, difference)), None)


def stale(entries: Sequence[Entry], differences: Sequence[Difference | None]) -> list[Entry]:
    """The entries whose examples have no difference, or not the one that the entry describes."""
    return [
        entry
        for entry, difference in zip(entries, differences, strict=True)
        if difference is None or not entry.covers(entry.example, difference)
    ]
