"""Makes cases: programs of one to five calls, and relations, each from one number."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tests.differential.fuzz import values
from tests.differential.fuzz.draw import Draw, Maker

TABLES = Path(__file__).with_name("tables")
FITS: dict[str, tuple[str, ...]] = {
    "a": ("a", "num", "int", "b", "re", "time", "line"),
    "num": ("num", "int", "b", "re"),
    "re": ("int", "b"),
    "int": ("int",),
    "S": ("S", "SN"),
    "SN": ("SN",),
    "D": ("D",),
    "X": ("X",),
    "time": ("time",),
}
"""What a step that takes the first may follow, by what the step before gives."""
ALONE = 0.55
"""The share of programs that are a single call."""
MOST_STEPS = 5
RELATION_SHARE = 0.12
TABLE_SHARES = {"numpy": 0.65, "pandas": 0.35}
LONG_SHARE = 0.2
"""The share of tables' programs whose first argument has a huge logical size."""
LONG = ("broad", "MI")
_HEADER = re.compile(
    r"(?P<title>[^:;]+): (?P<takes>\w+) -> (?P<gives>\w+)"
    r"(?:; (?P<rule>\w+)(?: (?P<amount>\d+))?)?(?:; bound (?P<bound>.+))?"
)
RULES = ("exact", "ulps", "reduction", "norm")


@dataclass(frozen=True)
class Tolerance:
    """How far floats may be apart.

    rule: `exact`; `ulps`, so many units of the last digit; `reduction`, rounding errors of a sum of the program's
        `bound`; `norm`, so many units of the last digit of the largest number of the result.
    """

    rule: str = "exact"
    amount: int = 0


EXACT = Tolerance()


@dataclass(frozen=True)
class Section:
    """Calls of one kind: what their `x` is, what they give, and how exact that is."""

    table: str
    title: str
    takes: str
    gives: str
    tolerance: Tolerance
    bound: str | None
    templates: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One program, made from `seed`; `steps` are its lines by themselves, the first of which makes `x`."""

    seed: int
    family: str
    recipe: str
    program: str
    tolerance: Tolerance = EXACT
    steps: tuple[str, ...] = field(default=())

    def shortened(self) -> Iterator["Case"]:
        """The same with fewer of its calls, fewest first."""
        for count in range(2, len(self.steps)):
            lines = [*self.steps[: count - 1], _as_result(self.steps[count - 1])]
            yield replace(self, program="\n".join(lines), steps=self.steps[:count])


def make(seed: int) -> Case:
    """The case of this number; always the same."""
    draw = Draw(seed)
    return _relation(draw, seed) if draw.maybe(RELATION_SHARE) else _calls(draw, seed)


def _calls(draw: Draw, seed: int) -> Case:
    if draw.maybe(LONG_SHARE):
        section = _pick_section(draw, tuple(one for one in sections() if one.takes in LONG or one.title in LONG_TITLES))
    else:
        table = draw.weighted(TABLE_SHARES)
        section = _pick_section(draw, tuple(one for one in sections() if one.table == table and one.takes not in LONG))
    steps = [f"x = {draw.fill('{' + section.takes + '}', MAKERS)}"]
    titles = [section.title]
    wanted = 1 if draw.maybe(ALONE) else draw.integer(2, MOST_STEPS)
    template = draw.pick(section.templates)
    while True:
        following = [
            one for one in sections() if section.gives in FITS.get(one.takes, ()) and one.table == section.table
        ]
        last = len(steps) >= wanted or not following or section.tolerance is not EXACT
        steps.append(("result = " if last else "x = ") + draw.fill(template, MAKERS))
        if last:
            break
        section = _pick_section(draw, tuple(following))
        titles.append(section.title)
        template = draw.pick(section.templates)
    lines = list(steps)
    if section.bound is not None:
        lines.insert(-1, f"bound = {section.bound}")
    return Case(
        seed, section.table, f"{' > '.join(titles)}: {template}", "\n".join(lines), section.tolerance, tuple(steps)
    )


def _pick_section(draw: Draw, among: tuple[Section, ...]) -> Section:
    return draw.weighted({section: float(len(section.templates)) for section in among})


def _relation(draw: Draw, seed: int) -> Case:
    title, text = draw.pick(relations())
    return Case(seed, "relations", title, draw.fill(text, MAKERS).strip())


def _as_result(step: str) -> str:
    return re.sub(r"^x = ", "result = ", step)


@cache
def sections() -> tuple[Section, ...]:
    """Every section of the tables of calls.

    Raises: ValueError: a header that cannot be read.
    """
    found = []
    for table in TABLE_SHARES:
        for part in (TABLES / f"{table}.txt").read_text("utf-8").split("=== ")[1:]:
            header, _, body = part.partition("\n")
            match = _HEADER.fullmatch(header)
            if match is None or (match["rule"] or "exact") not in RULES:
                raise ValueError(f"{table}.txt: not 'title: takes -> gives; rule amount; bound expression': {header}")
            tolerance = Tolerance(match["rule"], int(match["amount"] or 0)) if match["rule"] else EXACT
            templates = tuple(line for line in body.splitlines() if line)
            found.append(
                Section(table, match["title"], match["takes"], match["gives"], tolerance, match["bound"], templates)
            )
    return tuple(found)


@cache
def relations() -> tuple[tuple[str, str], ...]:
    """Title and text of each relation."""
    parts = (TABLES / "relations.txt").read_text("utf-8").split("# === ")[1:]
    return tuple((title, text) for title, _, text in (part.partition("\n") for part in parts))


def _few5(draw: Draw) -> str:
    return str([draw.integer(0, 4) for _ in range(5)])


def _wide5(draw: Draw) -> str:
    used = [draw.pick((0, 1, 2, 9, 25_000, 46_340, 46_341, 49_998, 49_999)) for _ in range(3)]
    return str([draw.pick(used) for _ in range(5)])


LONG_TITLES = ("many categories", "many keys", "places")
MAKERS: dict[str, Maker] = {
    **values.MAKERS,
    "few5": _few5,
    "wide5": _wide5,
    "keys5": lambda draw: _few5(draw) if draw.maybe(0.5) else _wide5(draw),
    "edge": lambda draw: str(draw.pick(values.EDGES) + draw.integer(-1, 1)),
    "real": values.real,
}
