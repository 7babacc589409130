"""Opening the files of an image: they are the ones that were built, byte by byte, and what was read is what is used.

Reading 280 MB takes a quarter of a second. So it is on record, beside a file, that it was read and had its hash, with
what changes whenever somebody writes to it or puts another one in its place; the next process does not read it again.
Where no record can be written, every process reads.

SECURITY: this finds what was damaged, or exchanged by somebody who may write to the file and to nothing else. Whoever
may write to the folder could write a manifest, too; `image` sees to it that nobody else may.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from ..errors import ImageError
from ..image import Image, ImageFile, check_owner, how_to_build

RECORD_SUFFIX = ".checked"
SETTLED_SECONDS = 2.0
"""What was written to just before may be written to again without a sign: clocks of file systems are coarse."""
_MOST_RECORD_BYTES = 4096
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextlib.contextmanager
def opened(image: Image) -> Iterator[tuple[int, int]]:
    """Descriptors of the image's code and of its memory, for as long as the block lasts.

    Raises: ImageError: one is not the file that was built, or others could have written it.
    """
    with contextlib.ExitStack() as stack:
        code, memory = (_open(file, stack) for file in (image.code, image.memory))
        yield code, memory


def path_of(descriptor: int, path: Path) -> str:
    """A name under which the engine opens the file of a descriptor, if the system has one, and no other."""
    name = f"/dev/fd/{descriptor}"
    return name if os.path.exists(name) else str(path)


def _open(file: ImageFile, stack: contextlib.ExitStack) -> int:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(
            f"the image's file {file.path} cannot be read: {error.strerror}; {how_to_build(file.path)}"
        ) from None
    stack.callback(os.close, descriptor)
    before = os.fstat(descriptor)
    check_owner(file.path, before)
    if not _is_on_record(file, before):
        with open(descriptor, "rb", closefd=False) as content:
            file.compare(hashlib.file_digest(content, "sha256").hexdigest())
        if _stamp(file, os.fstat(descriptor)) == _stamp(file, before):
            _put_on_record(file, before)
    return descriptor


def _stamp(file: ImageFile, status: os.stat_result) -> dict[str, object]:
    return {
        "sha256": file.sha256, "inode": status.st_ino, "size": status.st_size, "written": status.st_mtime_ns,
        "changed": status.st_ctime_ns,
    }  # fmt: skip


def _record(file: ImageFile) -> Path:
    return file.path.with_name(file.path.name + RECORD_SUFFIX)


def _is_on_record(file: ImageFile, status: os.stat_result) -> bool:
    path = _record(file)
    try:
        with path.open("rb") as record:
            check_owner(path, os.fstat(record.fileno()))
            found = orjson.loads(record.read(_MOST_RECORD_BYTES))
    except (OSError, ValueError, ImageError):
        return False
    return bool(found == _stamp(file, status))


def _put_on_record(file: ImageFile, status: os.stat_result) -> None:
    if time.time() - max(status.st_mtime, status.st_ctime) < SETTLED_SECONDS:
        return
    path = _record(file)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    # Somebody else's folder, a full disk: it will be read again.
    with contextlib.suppress(OSError):
        descriptor = os.open(temporary, _NEW_FILE, 0o644)
        try:
            os.write(descriptor, orjson.dumps(_stamp(file, status)))
            temporary.replace(path)
        except OSError:
            temporary.unlink()
        finally:
            os.close(descriptor)
