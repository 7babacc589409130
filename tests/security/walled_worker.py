"""A worker process of the server whose statement has got out: once it is ready it does what it is told, as itself.

Its arguments are those of `orders_child.main`; what it finds goes to standard error as one line of JSON.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from wasmexec._wall.seccomp import REFUSED
from wasmexec._wall.syscalls import NUMBERS
from wasmexec.workers import orders_child
from wasmexec.workers.pipes import Outbox

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206


def call(name: str, *arguments: int) -> str:
    """One system call, and what came of it."""
    number = NUMBERS[os.uname().machine].get(name)
    if number is None:
        return "EPERM"
    found = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return "done" if found >= 0 else errno.errorcode[ctypes.get_errno()]


def read(path: object) -> str:
    return Path(str(path)).read_bytes()[:20].decode("latin-1")


def write(path: Path) -> str:
    path.write_bytes(b"written")
    path.unlink()
    return "done"


def connect(family: int, kind: int, address: object) -> str:
    with socket.socket(family, kind) as made:
        made.connect(address)  # type: ignore[arg-type]
    return "done"


def listen() -> str:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
    return "done"


def datagram(path: str) -> str:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"hello", path)
    return "done"


def signal_to(pid: int) -> str:
    os.kill(pid, 0)
    return "done"


def memory_of(pid: int) -> str:
    remote = (ctypes.c_size_t * 2)(0, 8)
    if libc.process_vm_readv(pid, remote, 1, remote, 1, 0) < 0 and ctypes.get_errno() in (errno.EPERM, errno.EACCES):
        raise PermissionError(ctypes.get_errno(), "process_vm_readv")
    return "done"


def program(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    return done.stdout.strip() or f"exit {done.returncode}"


def take(size: int) -> str:
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        return f"{len(taken):,}"


def open_many(count: int) -> str:
    pairs: list[int] = []
    try:
        while len(pairs) < count:
            pairs += os.pipe()
    finally:
        for descriptor in pairs:
            os.close(descriptor)
    return "done"


def in_thread(function: Callable[[], str]) -> str:
    """In a thread that was started before the wall was closed, or after it."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(outcome(function)))
    thread.start()
    thread.join()
    return found[0]


def outcome(function: Callable[[], str]) -> str:
    try:
        return function()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except MemoryError:
        return "MemoryError"


def attacks(told: dict[str, str]) -> dict[str, Callable[[], str]]:
    """What a worker that a guest broke out of might try, by name."""
    parent, secret, image = os.getppid(), told["secret"], Path(told["image"])
    snippet = f"print(open({secret!r}).read())"
    tcp = ("127.0.0.1", int(told["port"]))
    return {
        "a file of somebody": lambda: read(secret),
        "the same in another thread": lambda: in_thread(lambda: read(secret)),
        "the same in a child": lambda: program(sys.executable, "-I", "-S", "-c", snippet),
        "which files there are": lambda: str(len(os.listdir(Path(secret).parent))),
        "who is on this machine": lambda: read("/etc/passwd"),
        "private keys": lambda: str(os.listdir("/etc/ssl/private")),
        "a new file": lambda: write(Path(told["folder"]) / "new"),
        "a new temporary file": lambda: write(Path(tempfile.gettempdir()) / "wx-new"),
        "a new file in the image's folder": lambda: write(image.parent / "wx-new"),
        "a new file among the modules": lambda: write(Path(orders_child.__file__).with_name("wx_new.py")),
        "a TCP connection": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, tcp),
        "a UDP connection": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, tcp),
        "a Unix socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, told["unix"]),
        "a datagram to a Unix socket": lambda: datagram(told["datagrams"]),
        "to listen": listen,
        "a raw socket": lambda: connect(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0)),
        "a shell": lambda: program("/bin/sh", "-c", "echo shell"),
        "the parent's memory": lambda: memory_of(parent),
        "the parent's environment": lambda: str(len(read(f"/proc/{parent}/environ"))),
        "a signal to the parent": lambda: signal_to(parent),
        "to trace the parent": lambda: call("ptrace", PTRACE_SEIZE, parent, 0, 0),
        "much memory": lambda: take(int(told["memory"])),
        "many descriptors": lambda: open_many(2000),
        "a core file": lambda: str(resource.getrlimit(resource.RLIMIT_CORE)[1]),
    }


def needs(told: dict[str, str]) -> dict[str, Callable[[], str]]:
    """What it has to be able to do."""
    return {
        "a module": lambda: str(__import__("xml.dom.minidom").__name__),
        "authorities": lambda: str(len(__import__("ssl").create_default_context().get_ca_certs()) >= 0),
        "a child": lambda: program(sys.executable, "-I", "-S", "-c", "print(1)"),
        "its child's memory": lambda: str(len(read(f"/proc/{os.getpid()}/statm")) > 0),
        "a pair of sockets": lambda: str(len(socket.socketpair())),
        "a file in memory": lambda: str(os.write(os.memfd_create("a"), b"abc")),
        "its own pages": lambda: str(os.open("/proc/self/pagemap", os.O_RDONLY) > 0),
        "time": lambda: str(os.times().elapsed > 0),
    }


def ready(outbox: Outbox) -> NoReturn:
    """In place of telling that it is ready."""
    told = json.loads(sys.argv[-1])
    found: dict[str, object] = {
        "attacks": {name: outcome(function) for name, function in attacks(told).items()},
        "needs": {name: outcome(function) for name, function in needs(told).items()},
        "calls": {name: call(name, -1, -1, -1, -1, -1, -1) for name in REFUSED},
        "environment": sorted(os.environ),
    }
    os.write(2, json.dumps(found).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    vars(orders_child)["tell_ready"] = ready
    orders_child.main(*sys.argv[1:-1])
