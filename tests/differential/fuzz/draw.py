"""What generators choose with: everything follows from one number, so that a case can be made again."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
_PLACE = re.compile(r"\{(\w+)\}|\{([^{}]*\|[^{}]*)\}")
Maker = Callable[["Draw"], str]


class Draw:
    """Choices made from a seed, and the sizes that the arguments of one case share, so that they fit each other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.length = self.pick((0, 1, 2, 3, 4, 5, 5, 6, 8, 9, 17))
        self.rows = self.pick((1, 2, 3))

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self._random.random() * len(items))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return self._random.randint(low, high)

    def maybe(self, chance: float) -> bool:
        """True as often as `chance` says."""
        return self._random.random() < chance

    def weighted(self, weights: Mapping[T, float]) -> T:
        """A key, as often as its weight says."""
        return self._random.choices(tuple(weights), tuple(weights.values()))[0]

    def real(self) -> float:
        """A number between -10 and 10 with many digits."""
        return self._random.uniform(-10, 10)

    def fill(self, template: str, makers: Mapping[str, Maker]) -> str:
        """The template with `{name}` made by the maker of that name, and one alternative of each `{this|that}`.

        Raises: KeyError: no maker has the name.
        """

        def make(found: re.Match[str]) -> str:
            name: str | None = found[1]
            alternatives: str = found[2] or ""
            return self.pick(alternatives.split("|")) if name is None else makers[name](self)

        before = None
        while before != template:  # an alternative may hold places of its own
            before, template = template, _PLACE.sub(make, template)
        return template
