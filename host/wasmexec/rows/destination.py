"""Where output goes: into a file, which appears whole or stays as it was, or to whatever else can be written to.

SECURITY: only a regular file is ever replaced. A device, a pipe or a descriptor of this process (`-`, /dev/stdout,
/dev/fd/3) is written to: replaced by a rename, as root can do it, /dev/stdout or /dev/null would be gone for everyone.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, cast

from ..errors import ConfigError, DeliveryError
from .visible import VisibleWriter

STANDARD_OUTPUT: Final = "-"
_MOST_LINKS = 40
_WRITE_ONLY = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC
_DESCRIPTORS = re.compile(r"/dev/fd|/proc/(?:self|[0-9]+)(?:/task/[0-9]+)?/fd")
_PERMISSIONS = 0o7777


class Destination:
    """A path as the user gave it, or the text "-" for standard output.

    What is there decides: links are followed to what they stand for. A regular file, or one that is not there yet, gets
    its new content at once and only if all of it could be written; it keeps its permissions and its owner. Anything
    else is written to; a reader of it that goes away has seen enough, which is no failure.

    Raises:
        ConfigError: it cannot be written, as far as that can be told before.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self.is_file = False
        try:
            self._descriptor = 1 if path == STANDARD_OUTPUT else _descriptor(self.name)
            self._check()
        except OSError as error:
            raise ConfigError(f"output: {self.name} cannot be written: {_reason(error)}") from None
        except ValueError as error:
            raise ConfigError(f"output: {self.name!r} is no name of a file: {error}") from None

    @property
    def is_standard_output(self) -> bool:
        """Whether it is standard output under any of its names."""
        return self._descriptor == 1

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """A stream for the whole content; what was written counts once the block has ended without an exception.

        Raises:
            DeliveryError: it cannot be written. A file is as it was.
        """
        try:
            with self._replacing() if self.is_file else self._writing() as stream:
                yield stream
        except OSError as error:
            raise DeliveryError(self.name, _reason(error)) from error

    def _check(self) -> None:
        if not self.name:
            raise ValueError("it is empty")
        if self._descriptor is not None:
            # SECURITY: only what we were started with. Others are our own files: rows in the run store's would ruin it.
            if self._descriptor > 2 and not os.get_inheritable(self._descriptor):
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            return
        try:
            found = os.stat(self.name)
        except FileNotFoundError:
            found = None
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found is not None and stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.ENXIO, "it is a socket")
        if found is not None and not os.access(self.name, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.is_file = found is None or stat.S_ISREG(found.st_mode)
        if self.is_file:
            # The same as later, as far as it goes: the folder can be written, the owner can be kept.
            path, descriptor = self._temporary()
            os.close(descriptor)
            path.unlink()

    @property
    def _target(self) -> Path:
        return Path(os.path.realpath(self.name) if os.path.islink(self.name) else self.name)

    @contextmanager
    def _replacing(self) -> Iterator[IO[bytes]]:
        path, descriptor = self._temporary()
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            path.replace(self._target)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _temporary(self) -> tuple[Path, int]:
        """A new file beside the one it is going to replace, with its owner and permissions."""
        try:
            before = self._target.stat()
        except FileNotFoundError:
            before = None
        path = self._target.with_name(f".wasmexec-{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666 if before is None else 0o600)
        if before is None:
            return path, descriptor
        try:
            now = os.fstat(descriptor)
            if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, before.st_mode & _PERMISSIONS)
        except BaseException as error:
            os.close(descriptor)
            path.unlink()
            if isinstance(error, PermissionError):
                raise PermissionError(error.errno, "it belongs to someone else, who would lose it") from None
            raise
        return path, descriptor

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        with suppress(BrokenPipeError):
            if self._descriptor == 1:
                sys.stdout.flush()
                yield _for_eyes(sys.stdout.buffer, is_terminal=sys.stdout.isatty())
                sys.stdout.buffer.flush()
                return
            opened = os.dup(self._descriptor) if self._descriptor is not None else os.open(self.name, _WRITE_ONLY)
            with os.fdopen(opened, "wb") as file:
                yield _for_eyes(file, is_terminal=file.isatty())


def _for_eyes(stream: IO[bytes], *, is_terminal: bool) -> IO[bytes]:
    """SECURITY: what a statement returns drives no terminal."""
    return cast("IO[bytes]", VisibleWriter(stream)) if is_terminal else stream


def _descriptor(path: str) -> int | None:
    """The descriptor of this process that a path leads to, if it does: by /dev/stdout, a link to it, /dev/fd/3.

    The file behind it is not ours to replace, whatever it is: others write to it, too (`(a; b) > file`).
    """
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(os.path.join(os.getcwd(), path))
        folder = os.path.realpath(folder)
        if name.isdecimal() and _DESCRIPTORS.fullmatch(folder) and _is_own(folder):
            return int(name)
        try:
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))
        except OSError:
            return None
    return None


def _is_own(folder: str) -> bool:
    return not folder.startswith("/proc/") or folder.split("/")[2] in ("self", str(os.getpid()))


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such folder"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return error.strerror or str(error)
