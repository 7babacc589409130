"""`CallRecord`: one HTTP request of a statement while it goes on, and `HttpCall`: what is told of it."""

from __future__ import annotations

import time
from typing import NamedTuple

UNFINISHED = "unfinished"


class HttpCall(NamedTuple):
    """A request that was sent, or tried; `began_at` is in seconds of the epoch.

    `status` is None if no answer came. `error` is the code of the host call that failed, "closed" if the statement gave
    the request up, "unfinished" if it has not ended. SECURITY: no path, query or header: they can hold secrets.
    """

    method: str
    host: str
    port: int
    status: int | None
    error: str | None
    began_at: float
    seconds: float


class CallRecord:
    """A request from its beginning, when it is made; `end` is called once it has ended."""

    __slots__ = ("_began", "_call")

    def __init__(self, method: str, host: str, port: int) -> None:
        self._began = time.monotonic()
        self._call = HttpCall(method, host, port, None, UNFINISHED, time.time(), 0.0)

    def end(self, status: int | None, error: str | None) -> None:
        """It has ended so."""
        seconds = time.monotonic() - self._began
        self._call = self._call._replace(status=status, error=error, seconds=seconds)

    def told(self) -> HttpCall:
        """How it is now; on any thread."""
        call = self._call
        return call._replace(seconds=time.monotonic() - self._began) if call.error == UNFINISHED else call
