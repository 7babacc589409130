"""Whether long work on rows should stop: asked between its pieces, by whoever does it, in the caller's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _go_on() -> None:
    """Without a caller that wants to stop it, work goes on."""


_ask: ContextVar[Callable[[], object]] = ContextVar("ask", default=_go_on)


@contextmanager
def interrupted_by(ask: Callable[[], object]) -> Iterator[None]:
    """Have `ask` called every few milliseconds meanwhile, by anybody in this thread; it raises what ends the work.

    Not around a `yield`: it would hold for others.
    """
    token = _ask.set(ask)
    try:
        yield
    finally:
        _ask.reset(token)


def look() -> None:
    """Raises: what the caller ends the work with."""
    _ask.get()()
