"""Files that somebody else's file names: regular ones, below folders that the user allows, and no others.

SECURITY: a step file is a stranger's. What it names could be any file of the user's, by `..`, an absolute name or a
link, or something that never ends or never answers. What is looked at here is what is opened: a name is resolved, and
then opened folder by folder without following a link, so that nobody can exchange a part of it in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
# A pipe in the place of a file must not make us wait for whoever writes to it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OWN_DESCRIPTORS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a file in the first of the `folders` names; it may lie below any of them."""

    path: Path
    folders: Sequence[Path]

    def check(self, max_bytes: int) -> None:
        """Look at it before it is needed; that it is there, and may be read, is found out when it is opened.

        Raises: OSError: it lies elsewhere, is no regular file, or has more than `max_bytes`.
        """
        _, real = self._resolved()
        try:
            status = os.stat(real, follow_symlinks=False)
        except OSError:
            return
        _check_kind(status)
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes")

    def open(self) -> IO[bytes]:
        """The file, for reading.

        Raises: OSError: it lies elsewhere, is no regular file, or cannot be opened.
        """
        root, real = self._resolved()
        return _opened(root, os.path.relpath(real, root).split(os.sep))

    def _resolved(self) -> tuple[str, str]:
        """The folder that it lies in, or below, and the file, both without links."""
        try:
            real = os.path.realpath(self.path)
            for folder in self.folders:
                root = os.path.realpath(folder)
                if os.path.commonpath((root, real)) == root:
                    return root, real
        except ValueError:  # a NUL, or what no file name can hold
            raise OSError(errno.EINVAL, "it is no name of a file") from None
        raise PermissionError(
            errno.EACCES,
            f"it lies outside of {self.folders[0].absolute()}; move it there, or allow the folder that it is in: "
            "--allow-folder DIR, Step.load(..., allow_folders=[DIR])",
        )


def open_own(path: Path) -> IO[bytes]:
    """A regular file that the user named, or something that he gave this process a descriptor of.

    Raises: OSError: it is neither, or cannot be opened.
    """
    if str(path).startswith(_OWN_DESCRIPTORS):
        return path.open("rb")
    try:
        _check_kind(os.stat(path))
        return _as_file(os.open(path, _FILE & ~os.O_NOFOLLOW))
    except ValueError:
        raise OSError(errno.EINVAL, "it is no name of a file") from None


def _opened(root: str, parts: Sequence[str]) -> IO[bytes]:
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Opening a device can do something by itself.
        _check_kind(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))
        return _as_file(os.open(parts[-1], _FILE, dir_fd=folder))
    finally:
        os.close(folder)


def _as_file(descriptor: int) -> IO[bytes]:
    try:
        _check_kind(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_kind(status: os.stat_result) -> None:
    """Raises: OSError: it is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file")
