"""The image's own read-only files: which of a package's files go in, and the packed form that the guest reads.

Packed form, little-endian: 8 bytes `WXFS0001`; u32 entry count, names offset, data offset, total size; the entries,
each five u32 (name offset, name length, data offset, data length, flags: 1 is a folder), sorted by the bytes of their
full paths, the root "" first; the names; the data, each file aligned to 8 bytes.
"""

import concurrent.futures
import fnmatch
import json
import os
import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from wasmbuild.errors import BuildError, StageFailed
from wasmbuild.graph import StageRun
from wasmbuild.process import tail_of
from wasmbuild.tools import build_python

MAGIC = b"WXFS0001"
STDLIB = "lib/python3.11"
SITE_PACKAGES = "lib/site-packages"
GUEST = "lib/wasmexec/wasmexec_guest"
FOLDER_FLAG = 1
ALIGNMENT = 8

_NO_FOLDERS = frozenset({"test", "tests", "__pycache__"})
_NO_STDLIB = ("idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "turtle.py", "pydoc_data", "config-*")
_NO_SUFFIXES = frozenset(
    {".so", ".a", ".o", ".h", ".hpp", ".c", ".cpp", ".pyx", ".pxd", ".pxi", ".pyi", ".pyc", ".exe", ".f", ".f90"}
)
_NO_NAMES = frozenset({"py.typed", "RECORD", "INSTALLER", "REQUESTED", "WHEEL"})


def select(folder: Path, drop: Iterable[str] = ()) -> list[PurePosixPath]:
    """The files below `folder` that belong into an image, as relative paths in a fixed order.

    Left out: tests, native code, headers and type stubs, installer records, and what matches a glob of `drop` (against
    the whole relative path or any folder it lies in).
    """
    patterns = tuple(drop)
    chosen = []
    for path in sorted(folder.rglob("*")):
        relative = PurePosixPath(path.relative_to(folder).as_posix())
        if not path.is_file() or _NO_FOLDERS.intersection(relative.parts[:-1]):
            continue
        if relative.suffix in _NO_SUFFIXES or relative.name in _NO_NAMES:
            continue
        lineage = [relative, *relative.parents][:-1]
        if not any(fnmatch.fnmatchcase(str(level), pattern) for level in lineage for pattern in patterns):
            chosen.append(relative)
    return chosen


def prepare_files(run: StageRun, parts: Iterable[tuple[Path, str, Iterable[str]]]) -> None:
    """Fill `run.output` with image files, in the guest's layout: bytecode for each .py, everything else as it is.

    `parts` are (folder, prefix in the guest, globs to drop).

    Raises:
        StageFailed: a source does not compile; the log names it.
    """
    jobs: list[tuple[str, str, str]] = []
    for folder, prefix, drop in parts:
        for relative in select(folder, drop):
            target = run.output / prefix / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if relative.suffix == ".py":
                jobs.append((str(folder / relative), f"/{prefix}/{relative}", str(target.with_suffix(".pyc"))))
            else:
                shutil.copyfile(folder / relative, target)
    _compile(run, jobs)


def stdlib_drop(drop: Iterable[str]) -> tuple[str, ...]:
    """What stays out of the standard library."""
    return (*_NO_STDLIB, *drop)


def _compile(run: StageRun, jobs: list[tuple[str, str, str]]) -> None:
    workers = min(run.job_budget(), 1 + len(jobs) // 100)
    chunks = max(workers, len(jobs) // 150)
    lists = []
    for number in range(chunks):
        file = run.work / f"jobs-{number}.json"
        file.write_text(json.dumps(jobs[number::chunks]), encoding="utf-8")
        lists.append(file)
    script = Path(__file__).with_name("bytecode.py")
    done = 0

    def compile_list(file: Path) -> int:
        argv = [str(build_python()), "-I", "-S", str(script), str(file)]
        return run.processes.run(argv, run.work, {**os.environ, "LC_ALL": "C.UTF-8"}, run.log)[0]

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for code in pool.map(compile_list, lists):
            if code != 0:
                raise StageFailed("a module does not compile", log=run.log, tail=tail_of(run.log))
            done += 1
            run.report(len(jobs) * done // chunks, len(jobs), "modules")


def read_files(folders: Iterable[Path]) -> dict[str, bytes]:
    """The files of several prepared folders as guest path -> content.

    Raises:
        BuildError: two of them have the same path.
    """
    found: dict[str, bytes] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(folder).as_posix()
            if name in found:
                raise BuildError(f"two packages bring /{name}")
            found[name] = path.read_bytes()
    return found


def pack(files: Mapping[str, bytes]) -> bytes:
    """The packed tree of `files` (path without a leading slash -> content); the same files give the same bytes.

    Raises:
        ValueError: a path is not plain, or is both a file and a folder.
    """
    folders = {""}
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or str(path) != name or ".." in path.parts or not name:
            raise ValueError(f"{name!r} is not a plain relative path")
        folders.update("" if str(parent) == "." else str(parent) for parent in path.parents)
    if both := folders.intersection(files):
        raise ValueError(f"{min(both)!r} is a file and a folder")
    names = bytearray()
    data = bytearray()
    entries = []
    for path_bytes in sorted(name.encode() for name in (*folders, *files)):
        name = path_bytes.decode()
        content = files.get(name)
        if content is None:
            entries.append((len(names), len(path_bytes), 0, 0, FOLDER_FLAG))
        else:
            entries.append((len(names), len(path_bytes), len(data), len(content), 0))
            data += content
            data += bytes(-len(data) % ALIGNMENT)
        names += path_bytes
    header = len(MAGIC) + 16
    names_offset = header + 20 * len(entries)
    data_offset = names_offset + len(names)
    data_offset += -data_offset % ALIGNMENT
    total = data_offset + len(data)
    out = bytearray(MAGIC)
    out += struct.pack("<4I", len(entries), names_offset, data_offset, total)
    for entry in entries:
        out += struct.pack("<5I", *entry)
    out += names
    out += bytes(data_offset - len(out))
    out += data
    return bytes(out)


def unpack(packed: bytes) -> dict[str, bytes]:
    """The files of a packed tree; the reverse of `pack`, for tests and `image info`."""
    count, names_offset, data_offset, total = struct.unpack_from("<4I", packed, len(MAGIC))
    if packed[: len(MAGIC)] != MAGIC or total != len(packed):
        raise ValueError("not a packed tree")
    found = {}
    for number in range(count):
        name, length, data, size, flags = struct.unpack_from("<5I", packed, len(MAGIC) + 16 + 20 * number)
        if not flags & FOLDER_FLAG:
            path = packed[names_offset + name : names_offset + name + length].decode()
            found[path] = packed[data_offset + data : data_offset + data + size]
    return found
