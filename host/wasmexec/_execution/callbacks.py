"""What callers give us to call (`on_log`, `on_done`, recorders): whatever it raises, the execution goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from ..result import LogRecord
    from .threads import WorkerPool

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


class LogDelivery:
    """Calls `on_log` on a thread of its own, so that a slow one never holds up a guest."""

    def __init__(self, on_log: Callable[[LogRecord], None], courier: WorkerPool) -> None:
        self.failure: str | None = None
        """What the first exception of the callback was; None as long as there was none."""
        self._on_log = on_log
        self._courier = courier

    def post(self, record: LogRecord) -> None:
        """Have it called with a record."""
        self._courier.submit(partial(self._deliver, record))

    def _deliver(self, record: LogRecord) -> None:
        try:
            self._on_log(record)
        except BaseException as error:  # the caller's callback must not take other executions with it
            if self.failure is None:
                self.failure = f"on_log raised {describe(error)}"
