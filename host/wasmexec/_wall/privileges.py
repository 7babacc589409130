"""What a process that works for tenants gives up before it begins: privileges, resources, and its life beyond its
parent's.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress

_SET_DEATH_SIGNAL, _SET_DUMPABLE, _DROP_BOUND, _SET_NO_NEW_PRIVILEGES = 1, 4, 24, 38
# Source: capset(2), _LINUX_CAPABILITY_VERSION_3 for this process; permitted, effective and inheritable ones: none.
_OF_THIS_PROCESS, _NO_CAPABILITIES = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int) -> None:
    """End when the parent does, at once; it may have ended already."""
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def give_up_privileges() -> None:
    """No program that it starts has more than it; root is nobody in particular.

    Raises:
        OSError: the system refuses.
    """
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)
    if os.geteuid() == 0:
        for number in range(_LAST_CAPABILITY + 1):
            with suppress(OSError):
                _prctl(_DROP_BOUND, number)
    if _libc.capset(_OF_THIS_PROCESS, _NO_CAPABILITIES) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def hide_memory() -> None:
    """SECURITY: keep other processes of the same user from this one's memory, and from its environment."""
    _prctl(_SET_DUMPABLE, 0)


def limit(bounds: Mapping[str, int]) -> None:
    """Bound resources by their names without RLIMIT_, for good; a bound that is tighter already stays.

    Raises:
        OSError, ValueError: the system refuses.
    """
    for name, most in bounds.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (bound, bound))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
