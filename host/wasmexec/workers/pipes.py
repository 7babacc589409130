"""A worker process's own ends of its pipes: frames in from standard input, frames out from any thread."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Mapping

from ..isolation import keep_no_core
from .messages import PIECE_BYTES, Frame, FrameReader, Kind, Room, pack

_ORPHAN_SECONDS = 1.0
"""How often it looks whether its parent is still the same: a fork of that may hold the pipe open."""


class Inbox:
    """Frames from the parent, one after the other."""

    def __init__(self, rooms: Mapping[Kind, Room]) -> None:
        self._reader = FrameReader(rooms)
        self._frames: list[Frame] = []

    def expect(self, rooms: Mapping[Kind, Room]) -> None:
        """Take these frames from now on."""
        self._reader.expect(rooms)

    def next(self) -> Frame:
        """The next frame; at the end of the input this process ends."""
        while not self._frames:
            piece = os.read(0, PIECE_BYTES)
            if not piece:
                os._exit(0)
            self._frames = list(self._reader.feed(piece))[::-1]
        return self._frames.pop()


class Outbox:
    """Frames to the parent, from any thread."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._lock = threading.Lock()

    def write(self, pieces: list[bytes]) -> None:
        """Write a frame; without a parent to read it this process ends."""
        try:
            with self._lock:
                for piece in pieces:
                    data = memoryview(piece)
                    while data:
                        data = data[os.write(self._out, data) :]
        except OSError:
            os._exit(1)


def begin(parent: int) -> Outbox:
    """Make this process a worker that ends with its parent; what anybody prints goes to standard error from now on."""
    # Whoever started us decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_no_core()
    out = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(parent,), name="wasmexec-parent", daemon=True).start()
    return Outbox(out)


def tell_ready(outbox: Outbox) -> None:
    """Tell the parent that the image is loaded.

    What is there by now stays for good: a full collection need not look at it while every execution here waits (20 ms).
    """
    gc.collect()
    gc.freeze()
    outbox.write(pack(Kind.READY))


def _end_with(parent: int) -> None:
    """End this process once its parent is another one."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(0)
