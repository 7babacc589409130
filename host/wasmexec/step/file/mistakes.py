"""Mistakes of a step file: each with its file, line and column, all of them reported together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


MAX_MISTAKES = 1000
"""So many are told; a file with more has them of a kind."""


_MAX_MESSAGE = 2000


class Collector:
    """Gathers mistakes while a file is read, each once; `main_file` comes first when they are sorted.

    `count` is how many there were, of which the first thousand are kept.
    """

    def __init__(self, main_file: str) -> None:
        self.main_file = main_file
        self.count = 0
        self._found: dict[Mistake, None] = {}

    @property
    def found(self) -> list[Mistake]:
        """Those that are kept, as they were found."""
        return list(self._found)

    def add(self, place: Place, message: str) -> None:
        """Note one; reading goes on."""
        if len(message) > _MAX_MESSAGE:
            # A key of a megabyte is one, and the advice comes last.
            message = f"{message[: _MAX_MESSAGE // 2]} ... {message[-_MAX_MESSAGE // 2 :]}"
        mistake = Mistake(place.file, place.line, place.column, message)
        if mistake in self._found:
            return
        self.count += 1
        if self.count <= MAX_MISTAKES:
            self._found[mistake] = None

    def raise_if_any(self) -> None:
        """Raises: StepFileError: something was noted."""
        if not self.count:
            return
        found = sorted(self._found, key=lambda item: (item.file != self.main_file, item))
        if self.count > MAX_MISTAKES:
            last = found[-1]
            message = f"and {self.count - MAX_MISTAKES:,} more mistakes: mend these first"
            found.append(Mistake(last.file, last.line, last.column, message))
        raise StepFileError(found)
