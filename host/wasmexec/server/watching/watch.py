"""`Watch`: what happens, told to whoever watches: metrics, traces, the access log, each only if it is asked for."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from .access_log import STANDARD_ERROR, AccessLog

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.request import Request
    from .metrics import Metrics
    from .run_trace import RunTrace
    from .subjects import WatchedRun
    from .tracing import Tracing

LAG_SECONDS = 0.25


class Watch:
    """Told by the front, always on its loop but for `committed`; by itself nobody watches."""

    def __init__(self) -> None:
        self.metrics: Metrics | None = None
        self.tracing: Tracing | None = None
        self.access_log: AccessLog | None = None

    @classmethod
    def of(cls, config: ServerConfig) -> Watch:
        """What the settings ask for.

        Raises:
            ConfigError: something is not installed, or a file cannot be opened.
        """
        watch = cls()
        if config.metrics is not None:
            watch.metrics = _metrics(config.metrics_tenants)
        if config.traces is not None:
            watch.tracing = _tracing(config.traces, config.traces_sampled)
        if config.access_log is not None:
            watch.access_log = AccessLog(config.access_log)
        return watch

    def start(self) -> None:
        """Look from now on how late the loop is."""
        if self.metrics is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(LAG_SECONDS, self._look, loop.time() + LAG_SECONDS)

    async def close(self) -> None:
        """Write and send what is left, within seconds."""
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        if self.access_log is not None:
            await asyncio.to_thread(self.access_log.close)

    def request_began(self, request: Request) -> None:
        """A request has been routed, or it will not be."""
        if self.tracing is not None:
            self.tracing.request_began(request)

    def request_ended(self, request: Request, status: int, size: int) -> None:
        """A request has been answered; 499: its client had gone."""
        seconds = time.perf_counter() - request.began
        if self.metrics is not None:
            self.metrics.answered(request, status, seconds)
        if self.access_log is not None:
            self.access_log.add(request, status, size, time.time(), seconds)
        if self.tracing is not None:
            self.tracing.request_ended(request, status)

    def refused(self, rule: str) -> None:
        """A request or a run was refused."""
        if self.metrics is not None:
            self.metrics.refused(rule)

    def run_asked(self, request: Request) -> RunTrace | None:
        """The trace of a run that a request asks for, None if there is none; for `new_run`."""
        return None if self.tracing is None else self.tracing.run_asked(request)

    def run_waits(self, run: WatchedRun) -> None:
        """A run has been queued, for the first time or again."""
        if self.tracing is not None:
            self.tracing.run_waits(run)

    def run_started(self, run: WatchedRun) -> None:
        """An attempt of a run begins."""
        if self.metrics is not None and run.attempts == 1:
            self.metrics.run_started(run)
        if self.tracing is not None:
            self.tracing.run_started(run)

    def attempt_lost(self, run: WatchedRun) -> None:
        """An attempt went down with its worker."""
        if self.metrics is not None:
            self.metrics.attempt_lost()
        if self.tracing is not None:
            self.tracing.attempt_lost(run)

    def run_ended(self, run: WatchedRun) -> None:
        """A run has ended."""
        if self.metrics is not None:
            self.metrics.run_ended(run)
        if self.tracing is not None:
            self.tracing.run_ended(run)

    def committed(self, seconds: float, count: int) -> None:
        """The store has so many more things on disk; called by the thread that writes it."""
        if self.metrics is not None:
            self.metrics.committed(seconds, count)

    def _look(self, planned: float) -> None:
        assert self.metrics is not None
        loop = asyncio.get_running_loop()
        self.metrics.loop_was_late(max(0.0, loop.time() - planned))
        loop.call_later(LAG_SECONDS, self._look, loop.time() + LAG_SECONDS)


def check_watch(config: ServerConfig) -> None:
    """Return if what the settings ask for could be had; nothing is opened.

    Raises:
        ConfigError: it could not.
    """
    if config.metrics is not None:
        _metrics(config.metrics_tenants)
    if config.traces is not None:
        _tracing(config.traces, config.traces_sampled).close()
    if config.access_log not in (None, STANDARD_ERROR):
        check_writable("access_log", str(config.access_log))


def check_writable(name: str, file: str) -> None:
    """Return if a file could be written, or made.

    Raises:
        ConfigError: it could not.
    """
    path = Path(file)
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise ConfigError(f"server: {name}: {file} cannot be written")


def _metrics(most_tenants: int) -> Metrics:
    try:
        from .metrics import Metrics
    except ModuleNotFoundError as error:
        raise ConfigError(f"metrics need {error.name}: pip install 'wasmexec[server]'") from None
    return Metrics(most_tenants)


def _tracing(endpoint: str, sampled: float) -> Tracing:
    try:
        from .tracing import Tracing
    except ModuleNotFoundError as error:
        raise ConfigError(f"traces need {error.name}: pip install 'wasmexec[otel]'") from None
    return Tracing(endpoint, sampled)
