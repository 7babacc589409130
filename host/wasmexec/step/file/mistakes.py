"""Mistakes of a step file: each with its file, line and column, all of them reported together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...errors import ConfigError
from .document import Place


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake; line and column count from 1, `message` says what was expected there."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"

    def as_dict(self) -> dict[str, object]:
        """The mistake as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}


class StepFileError(ConfigError):
    """A step file, or a file of test cases, is wrong: `mistakes` are all of them in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    def fields(self) -> dict[str, object]:
        """The mistakes as JSON-able values."""
        return {"mistakes": [mistake.as_dict() for mistake in self.mistakes]}


@dataclass(slots=True)
class Collector:
    """Gathers mistakes while a file is read; `main_file` comes first when they are sorted."""

    main_file: str
    found: list[Mistake] = field(default_factory=list)

    def add(self, place: Place, message: str) -> None:
        """Note one; reading goes on."""
        mistake = Mistake(place.file, place.line, place.column, message)
        if mistake not in self.found:
            self.found.append(mistake)

    def raise_if_any(self) -> None:
        """Raises: StepFileError: something was noted."""
        if self.found:
            raise StepFileError(sorted(self.found, key=lambda item: (item.file != self.main_file, item)))
