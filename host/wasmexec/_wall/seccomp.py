"""The system calls of a process that works for tenants: a list of those allowed, everything else refused.

What is refused because it reaches beyond the process ends with EPERM; what is not on any list with ENOSYS, as on a
system that does not have it, so that libraries take their older ways (glibc: `clone` in place of `clone3`, whose flags
no filter can read).

Source: seccomp(2); Documentation/userspace-api/seccomp_filter.rst of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .syscalls import NUMBERS

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_GET_ACTION_AVAILABLE = 2

_LOAD, _AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE = 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_OTHER_ABI = 0x40000000
"""Numbers from here on are those of x32."""

_NAMESPACES = 0x7E020000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)
_STREAM, _TYPE_MASK = 1, 0xF
_FAST_OPEN = 0x20000000
_UNIX = 1
_INTEGER = 0xFFFFFFFF
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, PAGEMAP_SCAN.
_CONTROLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0xC0606610)
# PDEATHSIG, DUMPABLE (both), NAME (both), NO_NEW_PRIVS (both), the name of a mapping.
_PROCESS_CONTROLS = (1, 3, 4, 15, 16, 38, 39, 0x53564D41)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# SECURITY: nothing here opens a way out of the process that was not given to it open.
ALLOWED: Final = _names("""
    futex read write process_vm_readv epoll_wait epoll_pwait epoll_pwait2 clock_gettime mmap munmap madvise mprotect
    recvfrom recvmsg poll ppoll select pselect6 pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 close
    fstat stat lstat newfstatat statx lseek brk mremap msync mincore access faccessat faccessat2 readlink readlinkat
    getdents64 getcwd fcntl flock ftruncate fallocate fsync dup dup2 dup3 pipe pipe2 close_range memfd_create sendfile
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack
    nanosleep clock_nanosleep clock_getres gettimeofday time times sched_yield sched_getaffinity sched_getparam
    sched_getscheduler getcpu getpid getppid gettid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid
    getresgid getrlimit getrusage sysinfo uname capget umask arch_prctl set_tid_address set_robust_list get_robust_list
    futex_waitv membarrier rseq restart_syscall getrandom epoll_create1 epoll_ctl eventfd2 shutdown getsockname
    getpeername getsockopt setsockopt fork vfork execve exit exit_group wait4 waitid setpgid setsid setrlimit
    """)

REFUSED: Final = _names("""
    socket connect bind listen accept accept4 sendmmsg recvmmsg ptrace process_vm_writev pidfd_open pidfd_getfd
    pidfd_send_signal tkill execveat open openat2 creat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2
    link linkat symlink symlinkat mknod mknodat chmod fchmod fchmodat chown lchown fchown fchownat truncate utimensat
    chroot pivot_root mount umount2 unshare setns bpf keyctl add_key request_key perf_event_open userfaultfd
    io_uring_setup io_uring_enter io_uring_register init_module finit_module delete_module kexec_load reboot swapon
    setuid setgid setresuid setresgid capset seccomp splice copy_file_range
    """)
"""What a test tries one by one; the filter refuses whatever is not allowed."""


class _Condition(NamedTuple):
    """What must hold of an argument: masked, it is one of these values, or with `is_forbidden` none of them."""

    argument: int
    mask: int
    values: Sequence[int]
    is_wide: bool = False
    """Whether its upper half has to be zero, too."""
    is_forbidden: bool = False


def _conditions() -> dict[str, Sequence[_Condition]]:
    """System calls that are allowed under conditions, for this process and its children."""
    pid, parent = os.getpid(), os.getppid()
    others = [number & _INTEGER for number in (-1, parent, -os.getpgid(parent), 1)]
    return {
        # Nothing is written that was not open: a second lock, for systems without the first.
        "openat": [_Condition(2, _WRITES, (0,))],
        "clone": [_Condition(0, _NAMESPACES, (0,))],
        # For a pair nobody else can connect to; datagrams could be sent to any socket's name.
        "socketpair": [_Condition(0, _INTEGER, (_UNIX,)), _Condition(1, _TYPE_MASK, (_STREAM,))],
        # A connection that was handed over stays the one it is: Fast Open would connect another time.
        "sendto": [_Condition(3, _FAST_OPEN, (0,)), _Condition(4, _INTEGER, (0,), is_wide=True)],
        "sendmsg": [_Condition(2, _FAST_OPEN, (0,))],
        "ioctl": [_Condition(1, _INTEGER, _CONTROLS)],
        "prctl": [_Condition(0, _INTEGER, _PROCESS_CONTROLS)],
        "prlimit64": [_Condition(0, _INTEGER, (0,))],
        "process_vm_readv": [_Condition(0, _INTEGER, (pid,))],
        "tgkill": [_Condition(0, _INTEGER, (pid,))],
        # Its children are not known here. Everyone, its parent and those with it are; Landlock knows all others.
        "kill": [_Condition(0, _INTEGER, others, is_forbidden=True)],
    }  # fmt: skip


def machine() -> str | None:
    """The machine as this module knows it; None: another one, or another system."""
    if not hasattr(os, "uname") or os.uname().sysname != "Linux":
        return None
    name = os.uname().machine
    return name if name in _ARCHITECTURES and struct.calcsize("P") == 8 else None


def is_offered() -> bool:
    """Whether the system takes filters."""
    name = machine()
    if name is None:
        return False
    action = ctypes.c_uint32(_KILL)
    return _seccomp(name, _GET_ACTION_AVAILABLE, 0, ctypes.byref(action)) == 0


def program(name: str) -> bytes:
    """The filter for a machine, as the kernel takes it."""
    numbers, conditions = NUMBERS[name], _conditions()
    code = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_EQUAL, _ARCHITECTURES[name], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_JUMP_AT_LEAST, _OTHER_ABI, 0, 1),
        _instruction(_RETURN, _REFUSE | errno.ENOSYS),
    ]
    for call in ALLOWED:
        if call in numbers and call not in conditions:
            code += [_instruction(_JUMP_EQUAL, numbers[call], 0, 1), _instruction(_RETURN, _ALLOW)]
    for call, held in conditions.items():
        if call in numbers:
            block = list(_block(held))
            code += [_instruction(_JUMP_EQUAL, numbers[call], 0, len(block)), *block]
    for call in REFUSED:
        if call in numbers:
            refuse = _instruction(_RETURN, _REFUSE | errno.EPERM)
            code += [_instruction(_JUMP_EQUAL, numbers[call], 0, 1), refuse]
    return b"".join([*code, _instruction(_RETURN, _REFUSE | errno.ENOSYS)])


def install() -> None:
    """Filter the system calls of all threads of this process, and of every child, from now on.

    No new privileges must be set before.

    Raises:
        OSError: the system takes no filter.
    """
    name = machine()
    if name is None:
        raise OSError(errno.ENOSYS, "no filter of system calls for this machine")
    code = program(name)
    instructions = ctypes.create_string_buffer(code, len(code))
    filled = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    head = ctypes.create_string_buffer(filled, len(filled))
    failed = _seccomp(name, _SET_MODE_FILTER, _ALL_THREADS, head)
    if failed:
        code_of_error = ctypes.get_errno() if failed < 0 else errno.EBUSY
        raise OSError(code_of_error, os.strerror(code_of_error))


def _seccomp(name: str, operation: int, flags: int, argument: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    found: int = library.syscall(ctypes.c_long(NUMBERS[name]["seccomp"]), operation, flags, argument)
    return found


def _block(conditions: Sequence[_Condition]) -> Iterator[bytes]:
    """Allow if all conditions hold, else refuse."""
    for condition in conditions:
        at = _ARGUMENTS_AT + 8 * condition.argument
        if condition.is_wide:
            yield _instruction(_LOAD, at + 4)
            yield _instruction(_JUMP_EQUAL, 0, 1, 0)
            yield _instruction(_RETURN, _REFUSE | errno.EPERM)
        yield _instruction(_LOAD, at)
        yield _instruction(_AND, condition.mask)
        if condition.is_forbidden:
            for value in condition.values:
                yield _instruction(_JUMP_EQUAL, value, 0, 1)
                yield _instruction(_RETURN, _REFUSE | errno.EPERM)
            continue
        for left in range(len(condition.values), 0, -1):
            yield _instruction(_JUMP_EQUAL, condition.values[-left], left, 0)
        yield _instruction(_RETURN, _REFUSE | errno.EPERM)
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
