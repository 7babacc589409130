"""The second wall around a worker process: what the kernel refuses it, asked from inside, and what it still has."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from wasmexec import Executor
from wasmexec._wall.files import files_needed
from wasmexec._wall.seccomp import ALLOWED, REFUSED, program
from wasmexec._wall.syscalls import NUMBERS
from wasmexec._wall.wall import Mode, Wall, offer

ENTRY = Path(__file__).with_name("walled_worker.py")
HAS = offer()
MEMORY_BYTES = 8 * 1024**3
BOUNDS = {"CORE": 0, "NOFILE": 1024, "DATA": MEMORY_BYTES // 2}

pytestmark = pytest.mark.skipif(bool(HAS.missing), reason=f"this system lacks {', '.join(HAS.missing)}")


def explore(executor: Executor, folder: Path, mode: Mode) -> dict[str, Any]:
    """What a worker finds that tries everything."""
    manifest = executor.image.manifest
    (folder / "secret").write_text("the secret of somebody")
    wall = Wall(mode, files_needed(manifest.parent), BOUNDS)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(folder / "unix"))
        unix.listen()
        datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagrams.bind(str(folder / "datagrams"))
        told = {
            "secret": str(folder / "secret"), "folder": str(folder), "port": str(server.getsockname()[1]),
            "unix": str(folder / "unix"), "datagrams": str(folder / "datagrams"), "image": str(manifest),
            "memory": str(MEMORY_BYTES),
        }  # fmt: skip
        arguments = [str(os.getpid()), str(manifest), "2", wall.pack(), "", json.dumps(told)]
        done = subprocess.run(
            [sys.executable, "-I", str(ENTRY), *arguments], stdin=subprocess.PIPE, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def walled(executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return explore(executor, tmp_path_factory.mktemp("walled"), Mode.REQUIRED)


@pytest.fixture(scope="module")
def control(executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return explore(executor, tmp_path_factory.mktemp("control"), Mode.OFF)


REFUSALS = {
    "a file of somebody": ("the secret of somebo", "EACCES"),
    "the same in another thread": ("the secret of somebo", "EACCES"),
    "the same in a child": ("the secret of somebody", "exit 1"),
    "which files there are": ("3", "EACCES"),
    "who is on this machine": (None, "EACCES"),
    "a new file": ("done", "EPERM"),
    "a new file in the image's folder": ("done", "EPERM"),
    "a new file among the modules": ("done", "EPERM"),
    "a TCP connection": ("done", "EPERM"),
    "a UDP connection": ("done", "EPERM"),
    "a Unix socket": ("done", "EPERM"),
    "a datagram to a Unix socket": ("done", "EPERM"),
    "to listen": ("done", "EPERM"),
    "a shell": ("shell", "EACCES"),
    "the parent's memory": ("done", "EPERM"),
    "the parent's environment": (None, "EACCES"),
    "to trace the parent": (None, "EPERM"),
    "much memory": (f"{MEMORY_BYTES:,}", "ENOMEM"),
    "many descriptors": (None, "EMFILE"),
    "a core file": (None, "0"),
}
"""What comes of it without the wall (None: that is up to the system), and behind it."""


@pytest.mark.parametrize("attack", REFUSALS)
def test_what_is_not_the_workers_is_refused(walled: dict[str, Any], control: dict[str, Any], attack: str) -> None:
    without, behind = REFUSALS[attack]
    if without is not None:
        assert control["attacks"][attack] == without
    assert walled["attacks"][attack] == behind


def test_what_the_worker_needs_it_has(walled: dict[str, Any], control: dict[str, Any]) -> None:
    assert walled["needs"] == control["needs"]
    assert walled["needs"]["a child"] == "1"


def test_calls_that_reach_beyond_the_process_are_refused(walled: dict[str, Any], control: dict[str, Any]) -> None:
    assert set(walled["calls"].values()) == {"EPERM"}
    # They are there, and complain of their arguments.
    others = [name for name, outcome in control["calls"].items() if outcome != "EPERM"]
    assert len(others) > len(REFUSED) - 15
    assert {"socket", "open", "mkdirat", "unshare", "bpf", "ptrace"} <= set(others)


@pytest.mark.skipif(HAS.files < 6, reason="Landlock knows of signals from its sixth version on (Linux 6.12)")
def test_signals_reach_nobody_else(walled: dict[str, Any], control: dict[str, Any]) -> None:
    name = "a signal to the parent"
    assert (control["attacks"][name], walled["attacks"][name]) == ("done", "EPERM")


def test_the_filter_names_each_system_call_once_and_knows_both_machines() -> None:
    names = [*ALLOWED, *REFUSED]
    assert len(names) == len(set(names))
    for machine, numbers in NUMBERS.items():
        assert len(set(numbers.values())) == len(numbers)
        assert set(names) <= NUMBERS["x86_64"].keys()
        # A filter may have so many instructions.
        assert len(program(machine)) // 8 < 4096


ALONE = """
import errno, os, socket, subprocess, sys
from wasmexec._wall import privileges, seccomp
def outcome(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def child():
    made = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    os.kill(made.pid, 9)
    assert made.wait() == -9
if sys.argv[1] == "walled":
    privileges.give_up_privileges()
    seccomp.install()
parent = os.getppid()
print(outcome(open, sys.argv[2]), outcome(open, sys.argv[2], "a"), outcome(socket.socket), outcome(os.kill, parent, 0),
      outcome(os.kill, -os.getpgid(parent), 0), outcome(os.kill, 1, 0), outcome(child))
"""


def test_without_landlock_nothing_is_written_and_the_parent_is_safe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")

    def found(mode: str) -> list[str]:
        command = [sys.executable, "-c", ALONE, mode, str(tmp_path / "file")]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert found("open") == ["done"] * 7
    # To read it is what Landlock would refuse.
    assert found("walled") == ["done", *["EPERM"] * 5, "done"]


def test_a_wall_that_cannot_be_is_an_error_if_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    from wasmexec import ConfigError
    from wasmexec._wall import landlock, wall

    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert wall.check_mode(Mode.AUTO).missing == ["Landlock (files by a list)"]
    with pytest.raises(ConfigError, match=r"the wall is required, and this system lacks Landlock"):
        wall.check_mode(Mode.REQUIRED)


def test_a_worker_ends_with_its_parent_however_that_ends(executor: Executor, tmp_path: Path) -> None:
    manifest = executor.image.manifest
    wall = Wall(Mode.REQUIRED, files_needed(manifest.parent), BOUNDS)
    # Its pipes stay open: nothing but the kernel tells it.
    text = (
        "import os, subprocess, sys, time\n"
        "from wasmexec.isolation import child_command\n"
        f"command = child_command('workers.orders_child', str(os.getpid()), {str(manifest)!r}, '2', {wall.pack()!r})\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(0, 1))\n"
        "child.stdout.read(1)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    until = time.monotonic() + 0.5
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.005)
    with suppress(psutil.NoSuchProcess):
        assert worker.status() == psutil.STATUS_ZOMBIE
