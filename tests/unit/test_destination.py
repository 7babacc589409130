"""Where output goes: a regular file is replaced whole or stays as it was, anything else is written to."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wasmexec import ConfigError, DeliveryError
from wasmexec.rows.destination import Destination
from wasmexec.step import Spool
from wasmexec.step.debugging import MARKER, write_debug_file

NOBODY = 65_534


def put(path: str | Path, content: bytes = b"new\n") -> None:
    with Destination(path).open() as out:
        out.write(content)


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe as a shell hands it to a program it starts."""
    ends = os.pipe()
    os.set_inheritable(ends[1], True)
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def test_a_new_file_has_the_permissions_of_every_new_file(tmp_path: Path) -> None:
    put(tmp_path / "out")
    (tmp_path / "other").touch()
    assert (tmp_path / "out").read_bytes() == b"new\n"
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o666, 0o755])
def test_a_replaced_file_keeps_its_permissions_and_its_owner(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old\n")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    before = path.stat()
    with path.open("rb") as reader:
        put(path)
        # Who has it open reads on in the old one: it was not written over.
        assert reader.read() == b"old\n"
    after = path.stat()
    assert path.read_bytes() == b"new\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("form", ["absolute", "relative", "chain", "through a folder"])
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path, form: str, exists: bool) -> None:
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "target", tmp_path / "link"
    if exists:
        target.write_bytes(b"old\n")
        target.chmod(0o640)
    if form == "absolute":
        link.symlink_to(target)
    elif form == "relative":
        link.symlink_to("data/target")
    elif form == "chain":
        (tmp_path / "second").symlink_to("data/target")
        link.symlink_to("second")
    else:
        (tmp_path / "folder").symlink_to("data")
        link.symlink_to("folder/target")
    put(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new\n"
    assert not exists or target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["target"]


@pytest.mark.parametrize("failure", [OSError(28, os.strerror(28)), ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_could_not_be_written_whole_is_as_it_was(
    tmp_path: Path, failure: BaseException, exists: bool
) -> None:
    path = tmp_path / "out"
    if exists:
        path.write_bytes(b"old\n")
    before = sorted(tmp_path.iterdir())

    def fail() -> None:
        with Destination(path).open() as out:
            out.write(b"half")
            raise failure

    with pytest.raises(DeliveryError if isinstance(failure, OSError) else type(failure)) as caught:
        fail()
    if isinstance(caught.value, DeliveryError):
        assert caught.value.message == f"{path} cannot be written: No space left on device"
        assert (caught.value.target, caught.value.reason) == (str(path), "No space left on device")
    assert sorted(tmp_path.iterdir()) == before
    assert not exists or path.read_bytes() == b"old\n"


def _fifo(folder: Path) -> Path:
    path = folder / "fifo"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("make", [_fifo, lambda folder: _linked(folder, _fifo(folder))])
def test_a_named_pipe_is_written_to(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    put(path)
    reader.join(10)
    assert read == [b"new\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def _linked(folder: Path, target: str | Path) -> Path:
    link = folder / "link"
    link.symlink_to(target)
    return link


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/{pid}/fd/{}", "link", "link to a link"])
def test_a_descriptor_is_written_to_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    with pipe() as (reader, writer):
        path = name.format(writer, pid=os.getpid())
        if name.startswith("link"):
            path = str(_linked(tmp_path, f"/dev/fd/{writer}"))
        if name == "link to a link":
            (tmp_path / "second").symlink_to("link")
            path = str(tmp_path / "second")
        put(path)
        assert os.read(reader, 100) == b"new\n"


def test_a_file_behind_a_descriptor_is_not_replaced_for_others_write_to_it_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as shared:
        os.set_inheritable(shared.fileno(), True)
        before = path.stat().st_ino
        shared.write(b"first\n")
        put(f"/dev/fd/{shared.fileno()}")
        shared.write(b"last\n")
    assert path.read_bytes() == b"first\nnew\nlast\n"
    assert path.stat().st_ino == before


def test_a_file_that_we_opened_ourselves_is_not_written_to_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with path.open("wb", buffering=0) as ours, pytest.raises(ConfigError) as caught:
        Destination(f"/dev/fd/{ours.fileno()}")
    assert caught.value.message.endswith(" cannot be written: Bad file descriptor")
    assert path.read_bytes() == b""


def test_standard_output_has_many_names(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        sys.stdout.write("before ")
        put(name)
        assert Destination(name).is_standard_output
        assert capsys.readouterr().out == "before new\n"
    assert not Destination("/dev/stderr").is_standard_output


def test_a_minus_is_a_file_for_those_who_mean_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("./-", Path("-")):
        put(path)
        assert (tmp_path / "-").read_bytes() == b"new\n"


def test_a_reader_that_has_gone_away_has_seen_enough() -> None:
    ends = os.pipe()
    os.set_inheritable(ends[1], True)
    os.close(ends[0])
    put(f"/dev/fd/{ends[1]}", b"x" * 1_000_000)
    os.close(ends[1])


def _refused(path: str | Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Destination(path)
    with pytest.raises(ConfigError):
        Spool(Path(path))
    return caught.value.message


def test_what_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    before = sorted(tmp_path.iterdir())
    for name, reason in {
        "": "it is a folder",
        "none/out": "no such folder",
        "file/out": "Not a directory",
        "loop": "Too many levels of symbolic links",
        "socket": "it is a socket",
        "n" * 256: "File name too long",
        "/".join(["n" * 200] * 30): "File name too long",
    }.items():
        assert _refused(tmp_path / name) == f"output: {tmp_path / name} cannot be written: {reason}"
    assert _refused("a\0b") == "output: 'a\\x00b' is no name of a file: embedded null byte"
    with pytest.raises(ConfigError, match="'' is no name of a file: it is empty"):
        Destination("")
    assert sorted(tmp_path.iterdir()) == before
    listener.close()
    put(tmp_path / ("n" * 255))
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new\n"


@pytest.mark.parametrize("protected", ["nothing", "file", "folder", "owner"])
def test_what_permissions_forbid_is_refused_before_anything_runs(tmp_path: Path, protected: str) -> None:
    """In a child that is not root, for root nothing is forbidden."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "out"
    path.write_bytes(b"old\n")
    root = os.geteuid() == 0
    if root and protected != "owner":
        os.chown(path, NOBODY, NOBODY)
    if root:
        os.chown(folder, NOBODY, NOBODY)
    path.chmod({"file": 0o444, "owner": 0o666}.get(protected, 0o644))
    folder.chmod(0o555 if protected == "folder" else 0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            if root:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            put("out")
            os.write(writer, b"written")
        except BaseException as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    folder.chmod(0o755)
    if protected == "nothing" or (protected == "owner" and not root):
        assert (said, path.read_bytes()) == ("written", b"new\n")
        return
    reason = "it belongs to someone else, who would lose it" if protected == "owner" else "Permission denied"
    assert said == f"output: out cannot be written: {reason}"
    assert path.read_bytes() == b"old\n"
    assert sorted(folder.iterdir()) == [path]


def test_a_spool_that_fails_is_a_delivery_error_and_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    spool = Spool(path, "jsonl")
    spool.write([{"a": 1}], None)
    path.mkdir()
    with pytest.raises(DeliveryError, match="cannot be written: it is a folder"):
        spool.commit()
    spool.discard()
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_debug_file_is_written_over_its_own_kind_only(tmp_path: Path) -> None:
    ours, other, link = tmp_path / "ours.py", tmp_path / "other.py", tmp_path / "link.py"
    ours.write_text(f"{MARKER}\nold")
    other.write_text("mine")
    link.symlink_to(other)
    for path in (ours, tmp_path / "new.py"):
        write_debug_file(Destination(path), "text")
        assert path.read_text() == "text"
    for path in (other, link):
        with pytest.raises(ConfigError, match="and not from `wasmexec step debug`"):
            write_debug_file(Destination(path), "text")
    assert other.read_text() == "mine"
    fifo = _fifo(tmp_path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    write_debug_file(Destination(fifo), "text")
    reader.join(10)
    assert read == ["text"]
