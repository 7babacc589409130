"""What callers give us to call (`on_log`, `on_done`, recorders): whatever it raises, the execution goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

_Arguments = ParamSpec("_Arguments")
_MOST_CHARACTERS = 2000


def describe(error: BaseException) -> str:
    """Type and text of somebody else's exception, bounded and valid Unicode; its `__str__` may raise too."""
    try:
        text = str(error)
    except BaseException:
        text = "an exception that has no text"
    text = text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()
    return f"{type(error).__name__}: {text}"


def call_last(
    callback: Callable[_Arguments, object], *arguments: _Arguments.args, **keywords: _Arguments.kwargs
) -> None:
    """Call what is told of the end: there is no result any more that could say that it raised, so the log does."""
    try:
        callback(*arguments, **keywords)
    except BaseException as error:
        import logging

        logging.getLogger(__name__).error("on_done raised %s", describe(error))
