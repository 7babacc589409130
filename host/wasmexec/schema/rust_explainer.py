"""Why jsonschema-rs refuses a value, in bounded time and memory: the first error, and for alternatives the nearest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import jsonschema_rs

from .alternatives import Alternatives
from .dialects import Path
from .explanations import VALUE
from .interruption import look
from .long_values import LongValues, Misfit, TooManyPartsError, explained
from .values import depth_of, pointer, shorten, size_of

_Kind: TypeAlias = jsonschema_rs.ValidationErrorKind
_MOST_EXPLAINED: Final = 50
_MOST_LOOKED_AT: Final = 100_000
_DEEPEST: Final = 300
_MOST_WITH_TREE: Final = 20
_MOST_COMPILED: Final = 1000
_LONGEST: Final = 500
_SHOWN: Final = 4
# What says least about how near a value comes, first: it may be meant for another branch.
_FAR: Final = ((_Kind.Constant, _Kind.Enum, _Kind.FalseSchema), (_Kind.Type,))


class Explanation(NamedTuple):
    """The first error of a value: its path, the keyword, the reason, and what the library calls it, if it was asked."""

    path: list[str | int]
    rule: str
    reason: str
    kind: object


@dataclass(frozen=True, slots=True)
class _Branch:
    index: int
    nearness: tuple[int, int]
    """The depth of its first error, and how much that says."""
    reason: str
    place: str


class Explainer:
    """Explains what a schema of `without_trees` refuses; usable from any thread.

    `compiled` makes the validator of a place in that schema; only those of branches that were asked for are made.
    `long_values` is for the same schema.
    """

    def __init__(
        self,
        whole: jsonschema_rs.Validator,
        alternatives: list[Alternatives],
        compiled: Callable[[Path], jsonschema_rs.Validator],
        long_values: LongValues,
        *,
        is_list: bool,
        is_complete: bool,
        growth: int,
    ) -> None:
        """`is_list`: the schema is for the list of rows, not for each; `is_complete`: there are no other alternatives.

        `growth` is that of the schema's `burden`.
        """
        self._whole = whole
        self._alternatives: dict[Path, Alternatives] = {found.refusing: found for found in alternatives}
        self._compiled = compiled
        self._long_values = long_values
        self._is_list = is_list
        self._branches: dict[Path, jsonschema_rs.Validator] = {}
        self._is_complete = is_complete
        self._growth = growth
        self._lock = threading.Lock()

    def explain(self, rows: list[Any]) -> Explanation | None:
        """The first error of some rows, None if that cannot be told in bounded time.

        Raises: ValueError: they are too deep.
        """
        if not self._is_complete and size_of(rows, _MOST_WITH_TREE + 1) > _MOST_WITH_TREE:
            return None
        if self._growth > 1 and self._growth ** min(depth_of(rows), _DEEPEST) > _MOST_LOOKED_AT:
            return None
        misfit = self._of_long(rows) if self._long_values.is_long(rows) else explained(self._whole, rows)
        if misfit is None:
            return None
        alternatives = self._alternatives.get(misfit.at)
        if alternatives is None:
            return Explanation([*misfit.path], _rule(misfit), misfit.reason, misfit.kind)
        value: Any = rows
        for step in misfit.path:
            value = value[step]
        return Explanation([*misfit.path], alternatives.keyword, self._of_alternatives(alternatives, value), None)

    def fits(self, rows: list[Any]) -> bool | None:
        """Whether they do, with what the library is asked in one call bounded; None if that cannot be told."""
        try:
            return self._misfit(rows) is None
        except (TooManyPartsError, RecursionError):
            return None

    def _of_long(self, rows: list[Any]) -> Misfit | None:
        try:
            return self._misfit(rows)
        except (TooManyPartsError, RecursionError):
            return None

    def _misfit(self, rows: list[Any]) -> Misfit | None:
        if self._is_list:
            return self._long_values.misfit((), rows)
        found = ((index, self._long_values.misfit((), row)) for index, row in enumerate(rows))
        return next((misfit.below(index) for index, misfit in found if misfit is not None), None)

    def _of_alternatives(self, alternatives: Alternatives, value: Any) -> str:
        most = max(1, min(_MOST_EXPLAINED, _MOST_LOOKED_AT // size_of(value, _MOST_LOOKED_AT)))
        branches: list[_Branch] = []
        fitting = 0
        for index in range(min(alternatives.count, most)):
            look()
            misfit = self._of_branch(alternatives, index, value)
            if misfit is None:
                fitting += 1
            else:
                branches.append(self._described(index, misfit))
        if fitting and alternatives.keyword == "oneOf":
            return f"{VALUE} is valid under more than one of the schemas listed in the 'oneOf' keyword"
        reasons = list(dict.fromkeys(branch.reason for branch in branches))
        left = len(reasons[_SHOWN:]) + max(alternatives.count - most, 0)
        more = f"; and {left} more" if left else ""
        near = _nearest(branches, reasons)
        return f"{VALUE} fits no branch of {alternatives.keyword!r}{near} ({'; '.join(reasons[:_SHOWN])}{more})"

    def _of_branch(self, alternatives: Alternatives, index: int, value: Any) -> Misfit | None:
        place = (*alternatives.at, index)
        if not self._long_values.is_long(value, place):
            return explained(self._branch(alternatives, index), value)
        try:
            return self._long_values.misfit(place, value)
        except (TooManyPartsError, RecursionError):
            return Misfit((), place, f"{VALUE} does not fit the schema")

    def _described(self, index: int, misfit: Misfit) -> _Branch:
        alternatives = self._alternatives.get(misfit.at)
        reason = misfit.reason
        if alternatives is not None:
            reason = f"{VALUE} is not valid under any of the schemas listed in the {alternatives.keyword!r} keyword"
        far = next((rank for rank, kinds in enumerate(_FAR) if isinstance(misfit.kind, kinds)), len(_FAR))
        path = misfit.path
        return _Branch(index, (len(path), far), shorten(reason, _LONGEST), shorten(pointer(path), _LONGEST))

    def _branch(self, alternatives: Alternatives, index: int) -> jsonschema_rs.Validator:
        place = (*alternatives.at, index)
        found = self._branches.get(place)
        if found is None:
            found = self._compiled(place)
            with self._lock:
                if len(self._branches) >= _MOST_COMPILED:
                    self._branches.clear()
                self._branches[place] = found
        return found


def _nearest(branches: list[_Branch], reasons: list[str]) -> str:
    """The one branch that comes nearest, if the reasons that are shown do not tell anyway."""
    if not branches:
        return ""
    nearest = max(branches, key=lambda branch: branch.nearness)
    if sum(branch.nearness == nearest.nearness for branch in branches) > 1:
        return ""
    if not nearest.place and nearest.reason in reasons[:_SHOWN]:
        return ""
    return f", {nearest.index} comes nearest: {nearest.place + ' ' if nearest.place else ''}{nearest.reason}"


def _rule(misfit: Misfit) -> str:
    """The keyword that the misfit is told under."""
    last = misfit.at[-1] if misfit.at else ""
    if misfit.kind is not None and not isinstance(misfit.kind, _Kind.FalseSchema):
        return str(misfit.kind.name)  # type: ignore[attr-defined]
    if last == "additionalProperties" or (misfit.kind is None and isinstance(last, str) and last):
        return last
    return "false"
