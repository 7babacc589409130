"""Rows of a Parquet file, read by a child process of its own: see `parquet_child`."""

from __future__ import annotations

import importlib.util
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import orjson

from ..errors import ConfigError, InputError
from ..isolation import child_command, resident_bytes
from .bad_row import BadRow, RowStream
from .json_pieces import check
from .json_text import decode, encode
from .parquet_child import HEAD, MANY_BYTES, SPARE_BYTES, TIMES, UNSEEN_BYTES
from .python_rows import nan_remark
from .steps import part

STALL_SECONDS = 60.0
"""So long may the child take for the next rows."""
_MAX_MESSAGE_BYTES = 1024**2
_READ_BYTES = 256 * 1024
_TICK_SECONDS = 0.004


def parquet_rows(
    file: IO[bytes], name: str, *, max_row_bytes: int, remark: Callable[[str], object],
    look_up: Callable[[], object] = bool,
) -> RowStream:  # fmt: skip
    """The rows, each as JSON text; `remark` takes what the user should know, `look_up` is called now and then.

    Raises:
        ConfigError: pyarrow is not installed, or the file is a pipe.
        InputError: it is no Parquet, needs too much memory or time, or the child broke its rules.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("reading Parquet needs pyarrow: pip install 'wasmexec[parquet]'")
    if not file.seekable():
        raise ConfigError(f"{name}: Parquet is read from a file, not from a pipe")
    child = _Child(file.fileno(), name, max_row_bytes, look_up)
    nans: dict[str, int] = {}
    count = 0
    try:
        for kind, payload in child.frames():
            if kind == b"L":
                child.be_ready()
            elif kind == b"R":
                for line in child.rows(payload):
                    yield None, line
                    count += 1
            elif kind == b"B":
                pointer, reason = child.message(payload, [str, str])
                error = InputError(f"{name}, row {count}: {pointer}: {reason}", source=name)
                yield None, BadRow(error)
                count += 1
            elif kind == b"N":
                for column, number in child.message(payload, dict).items():
                    nans[str(column)] = nans.get(str(column), 0) + child.number(number)
            elif kind == b"W":
                remark(child.message(payload, str))
            elif kind == b"E":
                raise InputError(f"{name} cannot be read: {child.message(payload, str)}", source=name)
            elif kind == b"." and child.message(payload, int) == count:
                return
            else:
                raise child.broken("a frame that there is not")
        raise child.lost()
    finally:
        child.end()
        if nans:
            remark(nan_remark(nans))


class _Child:
    """The process and its frames.

    SECURITY: it parses hostile files in C++. Kinds, lengths, JSON and types of its frames are checked before use, and
    nothing is waited for without an end.
    """

    def __init__(self, descriptor: int, name: str, max_row_bytes: int, look_up: Callable[[], object]) -> None:
        self._look_up = look_up
        self._name = name
        self._max_row_bytes = max_row_bytes
        self._size = os.fstat(descriptor).st_size
        self._given = 0
        self._ready_bytes: int | None = None
        self._looked = 0.0
        # Standard input would be another one there.
        descriptor = os.dup(descriptor)
        try:
            self._process = subprocess.Popen(
                child_command("rows.parquet_child", str(descriptor), str(max_row_bytes)),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(descriptor,),
                env={"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
            )  # fmt: skip
        finally:
            os.close(descriptor)
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._kept = bytearray()

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Kind and payload of each frame until the child closes its output."""
        most = max(self._max_row_bytes, MANY_BYTES) + 2
        while self._fill(HEAD.size):
            kind, length = HEAD.unpack(self._take(HEAD.size))
            if length > (most if kind == b"R" else _MAX_MESSAGE_BYTES):
                raise self.broken(f"a frame of {length:,} bytes")
            if not self._fill(length):
                return
            yield kind, self._take(length)

    def be_ready(self) -> None:
        """Its libraries are loaded, and it has not looked at the file yet.

        Raises:
            InputError: it has told that before.
        """
        if self._ready_bytes is not None:
            raise self.broken("a frame that there is not")
        self._ready_bytes = resident_bytes(self._process.pid)

    def rows(self, payload: bytes) -> Iterator[bytes]:
        """The rows of a frame, written anew: what was sent as one row is one row. A long one is alone in its frame.

        Raises:
            InputError: one is no object, or too long.
        """
        if len(payload) > MANY_BYTES + 2:
            yield self._long_row(payload)
            return
        for row in self.message(payload, list):
            if type(row) is not dict:
                raise self.broken("a row that is not an object")
            try:
                line = orjson.dumps(row)
            except TypeError:
                line = encode(row)
            if len(line) > self._max_row_bytes:
                raise self.broken("a row that is too long")
            yield line

    def _long_row(self, payload: bytes) -> bytes:
        row = part(payload, 1, len(payload) - 1, self._look_up)
        if payload[:2] != b"[{" or payload[-1:] != b"]":
            raise self.broken("a row that is not an object")
        if len(row) > self._max_row_bytes:
            raise self.broken("a row that is too long")
        try:
            check(row, look_up=self._look_up)
        except ValueError as error:
            raise self.broken(f"no JSON: {error}") from None
        return row

    def message(self, payload: bytes, kind: Any) -> Any:
        """The value of a frame, of a type, or a list of values of types.

        Raises:
            InputError: it is something else.
        """
        try:
            value = decode(payload)
        except ValueError as error:
            raise self.broken(f"no JSON: {error}") from None
        types = [type(item) for item in value] if isinstance(kind, list) and isinstance(value, list) else type(value)
        if types != kind:
            raise self.broken("a value of another type")
        return value

    def number(self, value: object) -> int:
        """A count.

        Raises:
            InputError: it is none.
        """
        if type(value) is not int or not 0 <= value < 2**63:
            raise self.broken("a value of another type")
        return value

    def broken(self, what: str) -> InputError:
        """The error for a child that does not keep to the frames."""
        return InputError(f"{self._name} cannot be read: the process that reads it sent {what}", source=self._name)

    def lost(self) -> InputError:
        """The error for a child that ended in the middle."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return InputError(
            f"{self._name} cannot be read: the process that reads it died ({how}): the file is damaged, hostile or "
            "too large for its memory",
            source=self._name,
        )

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _take(self, size: int) -> bytes:
        piece = part(self._kept, 0, size, self._look_up)
        del self._kept[:size]
        self._given += size
        return piece

    def _fill(self, size: int) -> bool:
        """Have so many bytes; False at the end of the output."""
        deadline = time.monotonic() + STALL_SECONDS
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        while len(self._kept) < size:
            self._look()
            left = deadline - time.monotonic()
            if left <= 0:
                raise InputError(
                    f"{self._name} cannot be read: no row for {STALL_SECONDS:g} seconds", source=self._name
                )
            if not poll.poll(min(left, _TICK_SECONDS) * 1000):
                continue
            piece = os.read(self._out, _READ_BYTES)
            if not piece:
                return False
            self._kept += piece
        return True

    def _look(self) -> None:
        """Raises: InputError: the process holds too much."""
        self._look_up()
        now = time.monotonic()
        if self._ready_bytes is None or now - self._looked < _TICK_SECONDS:
            return
        self._looked = now
        most = SPARE_BYTES + TIMES * (self._size + self._given)
        if resident_bytes(self._process.pid) - self._ready_bytes > most - UNSEEN_BYTES:
            raise InputError(
                f"{self._name} cannot be read: its rows need more than {most / 1024**2:,.0f} MiB to be read; written "
                "with smaller pages and row groups, or shorter rows, they would not",
                source=self._name,
            )
