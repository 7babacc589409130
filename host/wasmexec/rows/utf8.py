"""Files as UTF-8: whatever encoding a text has, gzip or not, its readers see bytes of UTF-8 without a mark."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from ..errors import InputError
from .steps import LookUp

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 32 * 1024
GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_OTHER_THINGS = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: export it as CSV"),
    (b"BZh", "compressed with bzip2: unpack it first; only gzip is read as it is"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first; only gzip is read as it is"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first; only gzip is read as it is"),
    (b"PAR1", "Parquet: name it .parquet or add --input-format parquet"),
)
_LOOKED_AT = 64


class Head(io.RawIOBase):
    """A stream whose first bytes have been looked at: `start`, at least so many if there are."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, count: int = _LOOKED_AT) -> None:
        super().__init__()
        self._file = file
        self._read_some: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.start = b""
        while len(self.start) < count and (piece := self._read_some(CHUNK_BYTES)):
            self.start += piece
        self._kept = self.start

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, at most so many; b"" at the end."""
        if self._kept:
            piece, self._kept = self._kept[:size], self._kept[size:]
            return piece
        return bytes(self._read_some(size))


class _Looked(io.RawIOBase):
    """A packed file. SECURITY: what packs nothing is read on and on, byte by byte, before there is a byte of text."""

    def __init__(self, file: Head, look_up: LookUp) -> None:
        super().__init__()
        self._file = file
        self._look_up = look_up

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, at most so many."""
        self._look_up()
        return self._file.read(size)


class Utf8Reader(io.RawIOBase):
    """The text of a file as UTF-8, checked; a byte order mark decides over `encoding`, and without both it is UTF-8.

    At most `max_bytes` are given out; `look_up` is called for each piece. SECURITY: a small gzip file can
    hold terabytes; no more than a chunk of it is unpacked at a time.

    Raises:
        InputError: while it is read: not in its encoding, no gzip to its end, another kind of file, too large.
    """

    def __init__(
        self, file: Head, name: str, *, encoding: str | None = None, max_bytes: int | None = None,
        is_gzip: bool = False, look_up: LookUp = bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self._look_up = look_up
        self._name = name
        self._max_bytes = max_bytes
        self._given = 0
        self._pending = memoryview(b"")
        self._failure: InputError | None = None
        self._offset = 0
        self._line = 1
        self._raw = file
        if file.start.startswith(GZIP):
            file = self._unpacked_head(gzip.GzipFile(fileobj=_Looked(file, look_up)))
            self._raw = file
        elif is_gzip and file.start:
            raise InputError(f"{name} is not gzip, which its name says", source=name)
        for start, what in _OTHER_THINGS:
            if file.start.startswith(start):
                raise InputError(f"{name} is no text, but {what}", source=name)
        mark = next((found for found in _MARKS if file.start.startswith(found[0])), None)
        if mark is not None:
            self._offset = len(mark[0])
            file.read(self._offset)
        elif encoding is None and (guess := _looks_like_utf16(file.start)):
            raise InputError(
                f"{name} is not UTF-8, it looks like UTF-16 without a byte order mark: add --input-encoding {guess}",
                source=name,
            )
        self.encoding = encoding or "utf-8" if mark is None else mark[1]
        self._decoder = codecs.getincrementaldecoder(self.encoding)()

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How many bytes have been given out."""
        return self._given

    @property
    def decoded(self) -> int:
        """How many bytes there have been so far, given out or not."""
        return self._given + len(self._pending)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """As of a raw stream: some bytes, none at the end."""
        self._look_up()
        target = memoryview(buffer).cast("B")
        while not self._pending:
            if self._failure is not None:
                raise self._failure
            piece = self._unpacked(CHUNK_BYTES)
            self._pending = memoryview(self._decoded(piece))
            if not piece and not self._pending and self._failure is None:
                return 0
        size = min(len(target), len(self._pending))
        target[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        self._given += size
        if self._max_bytes is not None and self._given > self._max_bytes:
            raise InputError(
                f"{self._name} is larger than the input may be: {self._max_bytes:,} bytes (limit input_bytes)",
                source=self._name,
            )
        return size

    def _unpacked_head(self, packed: gzip.GzipFile) -> Head:
        try:
            return Head(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise self._no_gzip(error) from None

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._no_gzip(error) from None

    def _no_gzip(self, error: Exception) -> InputError:
        if isinstance(error, EOFError):
            reason = "it ends in the middle, perhaps its transfer was cut off"
        else:
            reason = str(error)
        return InputError(f"{self._name} cannot be unpacked by gzip: {reason}", source=self._name)

    def _decoded(self, piece: bytes) -> bytes:
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(piece, not piece)
        except UnicodeDecodeError as error:
            # What is before the bad byte is read first: rows that are whole are rows.
            self._decoder.setstate(state)
            kept = len(state[0])
            good = max(0, error.start - kept)
            text = self._decoder.decode(piece[:good])
            self._count(text)
            self._failure = self._not_decodable(error, self._offset - kept + error.start)
            return text.encode()
        self._offset += len(piece)
        self._count(text)
        return text.encode()

    def _count(self, text: str) -> None:
        self._line += text.count("\n") or text.count("\r")

    def _not_decodable(self, error: UnicodeDecodeError, offset: int) -> InputError:
        shown = "UTF-8" if self.encoding == "utf-8" else self.encoding
        advice = "if it has another encoding, name it: --input-encoding windows-1252 (or latin-1, windows-1250, utf-16)"
        if self.encoding != "utf-8":
            advice = "name its own encoding with --input-encoding"
        byte = error.object[error.start]
        return InputError(
            f"{self._name} is not {shown}: byte 0x{byte:02x} at offset {offset}, in line {self._line}; {advice}",
            source=self._name, source_line=self._line,
        )  # fmt: skip


def _looks_like_utf16(start: bytes) -> str | None:
    """Which UTF-16 the first bytes look like: every other one is NUL in most texts."""
    start = start[: len(start) & ~1][:_LOOKED_AT]
    if len(start) < 4:
        return None
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[first::2].count(0) * 2 > len(start) // 2 and not start[1 - first :: 2].count(0):
            return name
    return None
