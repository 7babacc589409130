"""What the answers of the two sides differ in, by kind and way, and which differences are listed in expected.toml."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.compare import Expectation, load_expectations
from tests.differential.sweep.sides import Answers

EXPECTED_FILE = Path(__file__).with_name("expected.toml")
WAYS = ("dies", "only the guest raises", "only native raises", "message", "integer's size", "last digits", "value")
"""How an answer may differ, the gravest first but for `value`, which is what is left."""
_FLOAT = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[-+]?\d+)?|(?<![\w.])-?\d+e[-+]?\d+")
_CLOSE = 1e-9
_CLOSE_SINGLE = 2e-6
_SINGLE = re.compile(r"<f4|<c8|float32|complex64")
_SIZES = re.compile(r"[<|]?[iu][48]\b|\b(u?int)(?:32|64)\b")


@dataclass(frozen=True)
class Difference:
    """One expression that does not give in the guest what it gives natively."""

    kind: str
    text: str
    native: str
    guest: str

    @property
    def way(self) -> str:
        """Which of WAYS it is."""
        if self.native.startswith("dies") or self.guest.startswith("dies"):
            return "dies"
        raises = self.native.startswith("raises "), self.guest.startswith("raises ")
        if raises != (False, False):
            return {(False, True): "only the guest raises", (True, False): "only native raises"}.get(raises, "message")
        if _SIZES.sub("", self.native) == _SIZES.sub("", self.guest):
            return "integer's size"
        return "last digits" if _differ_in_last_digits(self.native, self.guest) else "value"

    def __str__(self) -> str:
        native, guest = _around_first_difference(self.native, self.guest)
        return f"[{self.kind}; {self.way}] {self.text}\n    native {native}\n    guest  {guest}"


@dataclass
class Comparison:
    """What was compared, what differs and is not listed, and how often each entry of the list was needed."""

    compared: Counter[str] = field(default_factory=Counter)
    listed: Counter[str] = field(default_factory=Counter)
    unlisted: list[Difference] = field(default_factory=list)

    def by_kind(self) -> dict[str, Counter[str]]:
        """How many differ and are not listed, by kind and way."""
        found: dict[str, Counter[str]] = {kind: Counter() for kind in self.compared}
        for difference in self.unlisted:
            found[difference.kind][difference.way] += 1
        return found


def compare(
    numbered: Iterable[tuple[int, str, str]], native: Answers, guest: Answers, expectations: Iterable[Expectation]
) -> Comparison:
    """Compare the answers to these expressions: number, kind and text of each."""
    expectations = list(expectations)
    into = Comparison()
    for number, kind, text in numbered:
        into.compared[kind] += 1
        if native[number] == guest[number]:
            continue
        found = Difference(kind, text, native[number], guest[number])
        message = f"{found.way}: {found.native} | {found.guest}"
        entry = next((one for one in expectations if _covers(one, kind, text, message)), None)
        if entry is None:
            into.unlisted.append(found)
        else:
            entry.used += 1
            into.listed[kind] += 1
    return into


def load_expected(file: Path = EXPECTED_FILE) -> list[Expectation]:
    """Read the list: `suite` is a kind ("*": any), `tests` are expressions, `error` is of `way: native | guest`."""
    return load_expectations(file)


def _covers(entry: Expectation, kind: str, text: str, message: str) -> bool:
    return entry.covers("*" if entry.suite == "*" else kind, text, message)


def _differ_in_last_digits(native: str, guest: str) -> bool:
    if _FLOAT.sub("#", native) != _FLOAT.sub("#", guest):
        return False
    close = _CLOSE_SINGLE if _SINGLE.search(native) else _CLOSE
    return all(abs(a - b) <= close * max(abs(a), abs(b)) for a, b in _floats(native, guest))


def _floats(native: str, guest: str) -> Iterator[tuple[float, float]]:
    for one, other in zip(_FLOAT.findall(native), _FLOAT.findall(guest), strict=True):
        yield float(one), float(other)


def _around_first_difference(native: str, guest: str, before: int = 60, after: int = 160) -> tuple[str, str]:
    same = next(
        (at for at, (a, b) in enumerate(zip(native, guest, strict=False)) if a != b), min(len(native), len(guest))
    )
    start = max(0, same - before)
    lead = "… " if start else ""
    return lead + native[start : same + after], lead + guest[start : same + after]
