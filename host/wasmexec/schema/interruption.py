"""Whether long work on rows should stop: asked between its pieces, by whoever does it, in the caller's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple


class _Caller(NamedTuple):
    ask: Callable[[], object]
    on_values: Callable[[int], object]


def _go_on() -> None:
    """Without a caller that wants to stop it, work goes on."""


def _make(_count: int) -> None:
    """Without a caller that counts them, any number of values may be made."""


_NOBODY: Final = _Caller(_go_on, _make)
_caller: ContextVar[_Caller] = ContextVar("caller", default=_NOBODY)


@contextmanager
def interrupted_by(ask: Callable[[], object], on_values: Callable[[int], object] = _make) -> Iterator[None]:
    """Have `ask` called every few milliseconds meanwhile, by anybody in this thread; it raises what ends the work.

    `on_values` is called before rows are made anew (keys filled in or dropped), with the number of their values: a row
    of a few bytes may become one of many columns. Not around a `yield`: it would hold for others.
    """
    token = _caller.set(_Caller(ask, on_values))
    try:
        yield
    finally:
        _caller.reset(token)


def look() -> None:
    """Raises: what the caller ends the work with."""
    _caller.get().ask()


def making(values: int) -> None:
    """Raises: what the caller ends the work with, if that is too many."""
    _caller.get().on_values(values)
