"""Matching texts of hostile rows with the patterns of a schema, in bounded time.

SECURITY: a pattern of the linear-time kind is matched by Rust's engine, whatever the text. One with look-around or
back-references can take exponential time, or quadratic time that no limit on backtracking sees (`(?=.*x)y`): the module
`regex` matches those, which stops when its time is over and does not hold the interpreter meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from ..errors import OutputError
from .dialects import Path
from .ecma import NotAPatternError, breadth, expanded_size, translate
from .interruption import look
from .values import pointer, refusal, short_repr

TEXT_SECONDS: Final = 1.0
LIST_SECONDS: Final = 10.0
ROW_SECONDS: Final = 0.001
SLOW_ROW_SECONDS: Final = 0.01
MAX_TEXT: Final = 1_000_000
_LONGEST_PATTERN: Final = 20_000
_MOST_EXPANDED: Final = 2_000_000
_LOOK_SECONDS: Final = 0.001
_LONG_SECONDS: Final = 0.01


class PatternTimeError(ValueError):
    """Matching took too long, or the text is too long for a pattern that is not of the linear-time kind.

    `text` is what was matched, None if it was the rows altogether that took too long.
    """

    def __init__(self, message: str, text: str | None = None) -> None:
        super().__init__(message)
        self.text = text


@dataclass(slots=True)
class Budget:
    """Time for checking the rows of one list: for matching alone, and for everything; `overrun` is why it was given up.

    `stopped` is what the caller ended the work with, as the engine may take that for a pattern that does not match;
    `names` are those in the list that each pattern for names matched so far.
    """

    matching_seconds: float = LIST_SECONDS
    seconds: float = float("inf")
    overrun: PatternTimeError | None = None
    stopped: BaseException | None = None
    names: dict[str, set[str]] = field(default_factory=dict)
    _deadline: float = float("inf")
    _next_look: float = 0.0

    @contextmanager
    def for_rows(self, rows: int) -> Iterator[None]:
        """Spend it on so many more rows in this thread."""
        before = _current.budget
        _current.budget = self
        self.matching_seconds += ROW_SECONDS * rows
        self._deadline = time.perf_counter() + self.seconds + SLOW_ROW_SECONDS * rows
        try:
            yield
        finally:
            self.seconds = self._deadline - time.perf_counter()
            _current.budget = before

    def check(self) -> None:
        """Raises: PatternTimeError: nothing is left, or the list was given up before; what the caller stops it with."""
        now = time.perf_counter()
        if self.stopped is None and now > self._next_look:
            self._next_look = now + _LOOK_SECONDS
            try:
                look()
            except BaseException as error:
                self.stopped = error
        if self.stopped is not None:
            raise self.stopped
        if self.overrun is None and (self.matching_seconds <= 0 or now > self._deadline):
            self.overrun = PatternTimeError("checking these rows takes too long")
        if self.overrun is not None:
            raise self.overrun


@dataclass(slots=True)
class _Current(threading.local):
    budget: Budget = field(default_factory=lambda: Budget(float("inf")))


_current = _Current()


def current_budget() -> Budget:
    """The budget of the list that this thread is checking."""
    return _current.budget


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern ready for use; `is_linear` says that it needs no budget, `seconds` what it took to compile.

    `breadth` is what a character of a text may cost one of the linear-time kind, in some 10 ns (`ecma.breadth`).
    """

    text: str
    is_linear: bool
    breadth: int
    seconds: float
    _search: Callable[[str], bool]

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text.

        Raises:
            PatternTimeError: this took too long; the budget of the list is spent then.
        """
        return self._search(text)


# More than one schema may have, so that it is not compiled anew each time that somebody looks at it.
@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """A pattern in the syntax of ECMA-262 or, where that has no such thing, of Python's `re`.

    Raises:
        NotAPatternError: it is in neither.
    """
    pattern = _compiled(text)
    if pattern.seconds > _LONG_SECONDS:
        # Another's garbage may have been collected meanwhile, or a module imported: that is none of the pattern's.
        again = _compiled(text)
        pattern = min(pattern, again, key=lambda one: one.seconds)
    return pattern


def _compiled(text: str) -> Pattern:
    started = time.thread_time()
    try:
        linear = jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        search, is_linear = _bounded(text), False
    else:
        search, is_linear = linear.is_valid, True
    return Pattern(text, is_linear, breadth(text), time.thread_time() - started, search)


def _bounded(pattern: str) -> Callable[[str], bool]:
    import regex

    if len(pattern) > _LONGEST_PATTERN:
        raise NotAPatternError(f"one that is not of the linear-time kind has at most {_LONGEST_PATTERN:,} characters")
    translated = translate(pattern)
    if expanded_size(translated) > _MOST_EXPANDED:
        raise NotAPatternError(f"its counted repeats stand for more than {_MOST_EXPANDED:,} characters")
    try:
        # Not from its cache: how long that takes is measured.
        found = regex.compile(translated, regex.VERSION0, cache_pattern=False).search
    except (regex.error, OverflowError, RecursionError) as error:
        raise NotAPatternError(str(error)) from None

    what = f"the pattern {short_repr(pattern)}, which is not of the linear-time kind,"

    def search(text: str) -> bool:
        budget = _current.budget
        budget.check()
        if len(text) > MAX_TEXT:
            most = f"takes texts of up to {MAX_TEXT:,} characters, not {len(text):,}"
            budget.overrun = PatternTimeError(f"{what} {most}", text)
            raise budget.overrun
        started = time.perf_counter()
        try:
            return found(text, timeout=min(TEXT_SECONDS, budget.matching_seconds)) is not None
        except (TimeoutError, MemoryError):
            budget.overrun = PatternTimeError(f"{what} takes too long on {short_repr(text)}", text)
            raise budget.overrun from None
        finally:
            budget.matching_seconds -= time.perf_counter() - started

    return search


def time_refusal(error: PatternTimeError, rows: list[Any], first: int = 0) -> OutputError:
    """The error for rows that a pattern was given up on, with the place of the text; `first` is their first's index."""
    nodes: list[tuple[Path, Any]] = [] if error.text is None else [((), rows)]
    while nodes:
        path, node = nodes.pop()
        below = []
        for key, value in node.items() if isinstance(node, dict) else enumerate(node, 0 if path else first):
            if error.text in (key, value):
                return refusal(pointer((*path, key)), "pattern", error.text, str(error))
            if isinstance(value, (dict, list)):
                below.append(((*path, key), value))
        nodes.extend(reversed(below))
    return refusal("", "pattern", rows, str(error))
