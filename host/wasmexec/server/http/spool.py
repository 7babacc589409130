"""`Spool`: a body that is kept in a file in memory, outside of this process's own, once it has become long."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from ...workers.files import LONG_BYTES, MemoryFile
from ..problems import ProblemError


class Spool:
    """Takes a body piece by piece, as a context that lasts until a run has it.

    `note` is told how many bytes have come into the file, and in the end as many less: what it raises refuses them.
    `grown` is told of the file each time.
    """

    def __init__(self, note: Callable[[int], None], grown: Callable[[MemoryFile], None]) -> None:
        self.size = 0
        self._note = note
        self._grown = grown
        self._noted = 0
        self._pieces: list[bytes] = []
        self._file: MemoryFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file = None
        self._note(-self._noted)
        self._noted = 0

    def add(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            ProblemError: 503: there is no room for it.
        """
        self.size += len(piece)
        if self._file is None:
            self._pieces.append(piece)
            if self.size <= LONG_BYTES:
                return
            piece, self._pieces = b"".join(self._pieces), []
        self._note(len(piece))
        self._noted += len(piece)
        try:
            if self._file is None:
                self._file = MemoryFile.new()
            self._file.write(piece)
            self._grown(self._file)
        except OSError as error:
            raise ProblemError(
                503, "server.memory", f"the system has no room for a body: {error.strerror}", changed_by="operator",
                headers={"Retry-After": "1", "Connection": "close"}, retry_after_seconds=1,
            ) from None  # fmt: skip

    def end(self) -> bytes | MemoryFile:
        """All of it; a file is sealed."""
        if self._file is None:
            return b"".join(self._pieces)
        self._file.seal()
        return self._file
