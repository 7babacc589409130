"""Executions of a run in worker processes: one per processor, because guests of one process slow each other down."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress

from ..errors import GuestLostError, WasmexecError
from ..result import Result
from ..status import Status
from .child import CONTROL, HEAD, read_frame
from .local import Done
from .messages import unpack_result
from .order import Order

MAX_RESTARTS = 5
CLOSE_SECONDS = 5.0
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from wasmexec.workers.child import main; main()"


class PoolBackend:
    """Spreads executions over processes; `done` is called once for each, on a thread per process.

    A process that dies takes its executions with it (status 304) and is replaced. `is_ready` is true once all have
    loaded the image; `has_failed` if one could not.
    """

    def __init__(self, order: Order, done: Done, limit: int, processes: int) -> None:
        self._packed = order.pack()
        self._done = done
        self._limit = max(1, -(-limit // processes))
        self._restarts = 0
        self._processes = [_Process(self._packed, self._limit, done) for _ in range(processes)]

    @property
    def is_ready(self) -> bool:
        """All processes can run executions."""
        return all(process.is_ready for process in self._processes)

    @property
    def has_failed(self) -> bool:
        """A process ended before it could run anything."""
        return any(process.is_dead and not process.is_ready for process in self._processes)

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input in the process that has least to do.

        Raises:
            WasmexecError: processes die again and again.
        """
        assert data is not None
        while True:
            process = min(self._processes, key=lambda item: item.load)
            if process.send(index, data):
                return
            self._replace(process)

    def cancel(self) -> None:
        """End everything with status 303."""
        for process in self._processes:
            process.send(CONTROL, b"")

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()

    def _replace(self, process: _Process) -> None:
        process.close()
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise WasmexecError(
                f"the worker processes have died {self._restarts} times; the last exit code was {process.code}"
            )
        self._processes[self._processes.index(process)] = _Process(self._packed, self._limit, self._done)


class _Process:
    def __init__(self, order: bytes, limit: int, done: Done) -> None:
        self._done = done
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self.is_ready = False
        self.is_dead = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(limit, order)
        self._reader = threading.Thread(target=self._read, name="wasmexec-step-reader", daemon=True)
        self._reader.start()

    @property
    def code(self) -> int | None:
        """The exit code, once it has ended."""
        return self._process.returncode

    @property
    def load(self) -> int:
        """How many executions it has; a dead one comes first, to be replaced."""
        return -1 if self.is_dead else len(self._under_way)

    def send(self, index: int, data: bytes) -> bool:
        """Hand over an execution, or False if the process is dead."""
        with self._lock:
            if self.is_dead:
                return False
            if index != CONTROL:
                self._under_way.add(index)
        # If it dies now, its reader reports the execution like all others.
        self._send(index, data)
        return True

    def close(self) -> None:
        """End the process and its thread."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _send(self, index: int, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(HEAD.pack(len(data), index) + data)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while (frame := read_frame(self._process.stdout)) is not None:
            index, payload = frame
            if index == CONTROL:
                self.is_ready = True
                continue
            try:
                outcome: Result | BaseException = unpack_result(payload)
            except Exception as failure:  # the run must hear of it, whatever it is
                outcome = failure
            with self._lock:
                self._under_way.discard(index)
            self._done(index, outcome)
        with self._lock:
            self.is_dead = True
            lost, self._under_way = sorted(self._under_way), set()
        for index in lost:
            error = GuestLostError("the worker process died while it ran this row", trap="worker")
            self._done(index, Result(status=Status.RUNTIME_FAILED, error=error))
