"""How much memory of its own a process takes while something is done."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

_LOOK_SECONDS = 0.002


class Resident:
    """As a context it looks again and again; `grown` is the most that the process has had more than at the start."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    @property
    def grown(self) -> int:
        return self._most - self._before

    def __enter__(self) -> Self:
        self._before = self._most = self._process.memory_info().rss
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._most = max(self._most, self._process.memory_info().rss)
