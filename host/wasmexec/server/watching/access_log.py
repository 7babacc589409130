"""`AccessLog`: one line of JSON for each request, written beside the loop."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from ...errors import ConfigError

if TYPE_CHECKING:
    from ..http.request import Request

MOST_WAITING: Final = 10_000
"""Lines that may wait for a slow disk or a reader of standard error; beyond them new ones are dropped and counted."""
STANDARD_ERROR = "-"
_MOST_TOGETHER = 500
_CLOSE_SECONDS = 2.0
_log = logging.getLogger(__name__)


class AccessLine(msgspec.Struct, omit_defaults=True):
    """One request. SECURITY: no path, no query, no header: what a client put there by mistake may be a secret."""

    time: str
    request: str
    client: str
    method: str
    route: str | None
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    tenant: str | None = None
    key: str | None = None
    run: str | None = None
    rule: str | None = None


class AccessLog:
    """Lines on their way to a file, or to standard error for "-"; a file that was moved away is opened anew.

    Raises:
        ConfigError: the file cannot be opened.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._out = self._open()
        self._lines: deque[bytes] = deque()
        self._some = threading.Event()
        self._is_closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="wasmexec-access-log", daemon=True)
        self._thread.start()

    def add(self, request: Request, status: int, size: int, ended_at: float, seconds: float) -> None:
        """Note a request that has been answered; 499: the client was gone before that."""
        if len(self._lines) >= MOST_WAITING:
            self.dropped += 1
            return
        line = AccessLine(
            time=datetime.fromtimestamp(ended_at, UTC).isoformat(timespec="milliseconds"), request=request.id,
            client=request.client, method=request.method[:20], route=request.route, status=status,
            ms=round(seconds * 1000, 3), bytes_in=request.bytes_in, bytes_out=size, tenant=request.tenant,
            key=request.key_id, run=request.run_id, rule=request.rule,
        )  # fmt: skip
        self._lines.append(msgspec.json.encode(line))
        self._some.set()

    def close(self) -> None:
        """Write what is left, for two seconds at most."""
        self._is_closing = True
        self._some.set()
        self._thread.join(_CLOSE_SECONDS)

    def _open(self) -> int:
        if self._file == STANDARD_ERROR:
            return sys.stderr.fileno()
        try:
            # Readable by its owner only: it says who asks for what.
            return os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(f"server: the access log {self._file} cannot be opened: {error.strerror}") from None

    def _write_all(self) -> None:
        while not (self._is_closing and not self._lines):
            self._some.wait()
            self._some.clear()
            while self._lines:
                count = min(len(self._lines), _MOST_TOGETHER)
                self._write(b"\n".join([*(self._lines.popleft() for _ in range(count)), b""]), count)

    def _write(self, data: bytes, count: int) -> None:
        try:
            self._reopen_if_moved()
            while data:
                data = data[os.write(self._out, data) :]
        except OSError as error:
            self.dropped += count
            _log.error("the access log cannot be written: %s", error.strerror)

    def _reopen_if_moved(self) -> None:
        if self._file == STANDARD_ERROR:
            return
        with suppress(FileNotFoundError):
            there, ours = os.stat(self._file), os.fstat(self._out)
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return
        with suppress(ConfigError):
            old, self._out = self._out, self._open()
            os.close(old)
