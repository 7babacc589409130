"""The files of a process that works for tenants, by a list: Landlock, as far as the kernel has it.

It also keeps the process from other processes (`ptrace`, `/proc/PID/mem`; from Linux 6.12 on signals and abstract
sockets, too), and from TCP (6.7).

SECURITY: it holds for the thread that asks for it, what that starts, and nothing else: call `enclose` before there is
another thread.

Source: landlock(7); include/uapi/linux/landlock.h of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION, _BENEATH = 1, 1

RUN: Final = 1 << 0
_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FILE, _TRUNCATE, _DEVICES = 1 << 5, 1 << 8, 1 << 14, 1 << 15
_OF_FILES = RUN | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICES
READ: Final = _READ_FILE | _READ_FOLDER
READ_ONE: Final = _READ_FILE
"""Of a folder: what is in it by name, not which names there are."""
USE_DEVICE: Final = _READ_FILE | _WRITE_FILE
REPLACE_FILES: Final = READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_FILE
_RIGHTS: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _DEVICES}
"""New with each version."""
_TCP: Final = 0b11
_OTHER_PROCESSES: Final = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Which version of Landlock the kernel has; 0: none, or it is switched off."""
    if not hasattr(os, "uname") or os.uname().sysname != "Linux":
        return 0
    found: int = _libc.syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(found, 0)


def enclose(rights: Iterable[tuple[str, int]]) -> None:
    """Allow this thread what it may do below these paths, and no other file; no new privileges must be set before.

    What a path does not lead to is left out.

    Raises:
        OSError: the kernel has no Landlock.
    """
    has = version()
    if not has:
        raise OSError(errno.EOPNOTSUPP, "the kernel has no Landlock")
    handled = sum(right for since, right in _RIGHTS.items() if since <= has)
    attributes = struct.pack("=QQQ", handled, _TCP if has >= 4 else 0, _OTHER_PROCESSES if has >= 6 else 0)
    size = 24 if has >= 6 else 16 if has >= 4 else 8
    ruleset = _call(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path, right in rights:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path, right & handled)
        _call(_RESTRICT, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, right: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            right &= _OF_FILES
        rule = struct.pack("=Qi", right, descriptor)
        _call(_ADD, ruleset, ctypes.c_uint32(_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    found: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
