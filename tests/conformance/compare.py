"""Compares what the guest's tests gave with what native CPython's gave, and with the list of what cannot pass."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.store import Outcome, ShardResult
from tests.conformance.suites import Suite

EXPECTED_FILE = Path(__file__).parent / "expected.toml"
GOOD = ("passed", "xpassed")
NOT_RUN = ("skipped", "xfailed")


@dataclass
class Expectation:
    """One entry of expected.toml: tests that cannot pass, and why.

    tests: names as the table of failures gives them; `*` stands for anything.
    error: what the message of the failure must contain (a regular expression), if given.
    """

    suite: str
    tests: tuple[re.Pattern[str], ...]
    error: re.Pattern[str] | None
    reason: str
    used: int = 0

    def covers(self, suite: str, name: str, message: str) -> bool:
        return (
            suite == self.suite
            and any(pattern.fullmatch(name) for pattern in self.tests)
            and (self.error is None or self.error.search(message) is not None)
        )


def load_expectations(file: Path = EXPECTED_FILE) -> list[Expectation]:
    """Read expected.toml.

    Raises: ValueError: an entry has no reason, no tests, or a key that does not exist.
    """
    whole = tomllib.loads(file.read_text("utf-8"))
    found: list[Expectation] = []
    for table in whole.get("expected", []):
        unknown = table.keys() - {"suite", "tests", "error", "reason"}
        if unknown or not table.get("tests") or not table.get("reason", "").strip() or "suite" not in table:
            raise ValueError(f"{file.name}: every entry has suite, tests, reason and perhaps error: {table}")
        patterns = tuple(re.compile(re.escape(name).replace(r"\*", ".*"), re.DOTALL) for name in table["tests"])
        error = re.compile(table["error"], re.DOTALL) if "error" in table else None
        found.append(Expectation(table["suite"], patterns, error, table["reason"]))
    return found


@dataclass(frozen=True)
class Failure:
    """A test that passes natively and not in the guest."""

    suite: str
    name: str
    outcome: str
    message: str


@dataclass
class Line:
    """One line of the table; `only_guest_skips` are tests that pass natively and are skipped in the guest."""

    native_passed: int = 0
    native_failed: int = 0
    native_skipped: int = 0
    passed: int = 0
    listed: int = 0
    unlisted: int = 0
    only_guest_skips: int = 0

    @property
    def rate(self) -> float:
        """How many of the tests that pass natively pass in the guest, in percent."""
        return 100.0 * self.passed / self.native_passed if self.native_passed else 100.0

    def add(self, other: "Line") -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Comparison:
    """The table of one suite, and what failed."""

    suite: str
    lines: dict[str, Line] = field(default_factory=lambda: defaultdict(Line))
    unlisted: list[Failure] = field(default_factory=list)

    @property
    def total(self) -> Line:
        total = Line()
        for line in self.lines.values():
            total.add(line)
        return total


def group_of(suite: Suite, name: str) -> str:
    """The line of the table that a test belongs to."""
    if suite.kind == "unittest":
        return ".".join(name.split(".")[: suite.group_depth])
    parts = name.partition("::")[0].split("/")
    return "/".join(parts[: suite.group_depth]).removesuffix(".py")


def compare_shard(
    suite: Suite, native: ShardResult, guest: ShardResult, expectations: Iterable[Expectation], into: Comparison
) -> None:
    """Add the tests of one shard to a comparison."""
    expectations = list(expectations)
    pairs = pair_up(native, guest)
    for test in native.tests:
        line = into.lines[group_of(suite, test.name)]
        if test.outcome in NOT_RUN:
            line.native_skipped += 1
            continue
        if test.outcome not in GOOD:
            line.native_failed += 1
            continue
        line.native_passed += 1
        found = pairs.get(test.name) or _not_collected(test.name, guest)
        if found.outcome in GOOD:
            line.passed += 1
        elif found.outcome in NOT_RUN:
            line.only_guest_skips += 1
        else:
            entry = next((one for one in expectations if one.covers(suite.name, test.name, found.message)), None)
            if entry is not None:
                entry.used += 1
                line.listed += 1
            else:
                line.unlisted += 1
                into.unlisted.append(Failure(suite.name, test.name, found.outcome, " ".join(found.message.split())))


def _not_collected(name: str, guest: ShardResult) -> Outcome:
    """What to say of a test that the guest does not have: its file or class may say why."""
    for item in guest.collected:
        place = re.sub(r"^.*\((.*)\)$", r"\1", item.name)  # unittest: setUpClass (test.test_x.Class)
        if name == place or name.startswith((f"{place}::", f"{place}.", f"{place}/")):
            return item
    lost = next((item for item in guest.collected if item.outcome in ("crashed", "timeout", "error")), None)
    return Outcome(name, "missing", lost.message if lost else "the guest has no test of this name")


def pair_up(native: ShardResult, guest: ShardResult) -> dict[str, Outcome]:
    """The guest's outcome for each native test.

    A parameter's name may hold a type or an address of the platform: what has no partner of its name is paired in
    order with the others of the same function, if they are equally many.
    """
    by_name = {test.name: test for test in guest.tests}
    pairs = {test.name: by_name[test.name] for test in native.tests if test.name in by_name}
    alone_here: dict[str, list[str]] = defaultdict(list)
    alone_there: dict[str, list[Outcome]] = defaultdict(list)
    native_names = {test.name for test in native.tests}
    for test in native.tests:
        if test.name not in by_name:
            alone_here[_function(test.name)].append(test.name)
    for test in guest.tests:
        if test.name not in native_names:
            alone_there[_function(test.name)].append(test)
    for function, names in alone_here.items():
        others = alone_there.get(function, [])
        if len(names) == len(others):
            pairs.update(zip(names, others, strict=True))
    return pairs


def _function(name: str) -> str:
    return name.partition("[")[0]
