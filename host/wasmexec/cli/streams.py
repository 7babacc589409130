"""The standard streams as the command line uses them: what goes wrong with one is said once, and in one place."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from ..errors import DeliveryError
from ..rows.visible import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BUFFER_BYTES = 64 * 1024


class StandardStream(io.RawIOBase):
    """Standard output or error under Python's buffers.

    A reader that has gone away (`| head`) has seen enough: the rest is dropped, and `is_gone` says so. Any other
    failure of standard output is raised, once; what is still buffered then is dropped, too.
    """

    def __init__(self, descriptor: int, name: str, *, is_open: bool) -> None:
        self._descriptor = descriptor
        self._name = name
        self._is_open = is_open
        self.is_gone = False

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Its number, also for children."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._is_open and os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, waiting as long as the reader takes.

        Raises:
            DeliveryError: standard output cannot be written.
        """
        view = memoryview(data).cast("B")
        if self.is_gone:
            return len(view)
        try:
            return self._write(view)
        except BrokenPipeError:
            self.is_gone = True
            return len(view)
        except OSError as error:
            self.is_gone = True
            if self._descriptor == 2:
                return len(view)
            raise DeliveryError(self._name, error.strerror or str(error)) from None
        except BaseException:
            # Interrupted: nobody waits for the rest, and Python must not wait for the reader when it ends.
            self.is_gone = True
            raise

    def check(self) -> None:
        """Notice what only closing shows (a quota, a file server that has gone).

        Raises:
            DeliveryError: it failed.
        """
        if self.is_gone or not self._is_open:
            return
        try:
            os.close(os.dup(self._descriptor))
        except OSError as error:
            raise DeliveryError(self._name, error.strerror or str(error)) from None

    def _write(self, view: memoryview) -> int:
        if not self._is_open:
            # The number may be another file's by now.
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        while True:
            try:
                return os.write(self._descriptor, view)
            except BlockingIOError:
                # Whoever shares it with us has made it non-blocking.
                select.select([], [self._descriptor], [])


def prepare() -> None:
    """Put streams of ours in the place of Python's, unless somebody else (a test) has done so."""
    closed = _fill_closed()
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    if sys.stdout is sys.__stdout__:
        # Rows are UTF-8 whatever the locale says; the escape of a lone surrogate is the one that JSON has for it.
        sys.stdout = _text(1, "standard output", is_open=1 not in closed, encoding="utf-8")
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if sys.stderr is sys.__stderr__:
        encoding = sys.stderr.encoding if sys.stderr else "utf-8"
        sys.stderr = _text(2, "standard error", is_open=2 not in closed, encoding=encoding)


def finish() -> None:
    """Write what is still buffered.

    Raises:
        DeliveryError: standard output cannot be written.
    """
    sys.stdout.flush()
    raw = _raw()
    if raw is not None:
        raw.check()


def has_reader() -> bool:
    """Whether somebody still reads standard output, as far as one knows."""
    raw = _raw()
    return raw is None or not raw.is_gone


def drop() -> None:
    """Drop what is still buffered for standard output: the user does not want it any more."""
    raw = _raw()
    if raw is not None:
        raw.is_gone = True


def emit(text: str) -> bool:
    """Write text to standard output; False once nobody reads it any more.

    SECURITY: on a terminal without what would drive it. In a pipe or a file it is data.
    """
    return emit_coloured(visible(text) if sys.stdout.isatty() else text)


def emit_coloured(text: str) -> bool:
    """Write text with colours of ours in it, everything else in it cleaned."""
    sys.stdout.write(text)
    return has_reader()


def _raw() -> StandardStream | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, StandardStream) else None


def _text(descriptor: int, name: str, *, is_open: bool, encoding: str) -> io.TextIOWrapper:
    raw = StandardStream(descriptor, name, is_open=is_open)
    buffer = io.BufferedWriter(raw, _BUFFER_BYTES)
    lines = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace", newline="\n", line_buffering=lines)


def _fill_closed() -> set[int]:
    """Those of the first three that the caller closed; taken now, or the next file would become one of them."""
    closed = set()
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(os.open(os.devnull, os.O_RDWR))
    return closed
