"""Child processes of a build: logged to a file, and stopped together when the build stops."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from wasmbuild.errors import BuildInterrupted

_GRACE_SECONDS = 3.0


class Processes:
    """Starts children in process groups of their own and can stop them all.

    Thread-safe: stages run on threads, and the main thread stops everything on Ctrl-C.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def check(self) -> None:
        """Raise BuildInterrupted if the build was stopped; for builders that loop without children."""
        if self._stopped:
            raise BuildInterrupted("the build was stopped")

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        *,
        capture: bool = False,
        capture_errors: bool = False,
    ) -> tuple[int, str]:
        """Run to the end; returns the exit status and what was captured; the rest of its output goes to the log.

        `capture` is for standard output alone, `capture_errors` for both streams together.

        Raises:
            OSError: it could not be started.
            BuildInterrupted: `stop_all` was called before or while it ran.
        """
        with log.open("ab") as sink:
            with self._lock:
                self.check()
                process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if capture or capture_errors else sink,
                    stderr=subprocess.STDOUT if capture_errors else sink,
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                output, _ = process.communicate()
            finally:
                with self._lock:
                    self._running.discard(process)
        self.check()
        return process.returncode, (output or b"").decode("utf-8", "replace")

    def stop_all(self) -> None:
        """Stop every child with its descendants, and refuse new ones."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in running):
            time.sleep(0.05)
        for process in running:
            _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group outlives its leader while grandchildren run, so it is signalled even after the leader ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def tail_of(log: Path, lines: int = 30, limit: int = 16_384) -> str:
    """The last lines of a log file; empty if there is none."""
    try:
        with log.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - limit))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
