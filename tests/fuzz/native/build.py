"""Builds the guest's C for this machine, as an extension module under ASan and UBSan.

Needs a C compiler with both, Python's header files, and WASI's header file out of the compiler package that the image
is built with. None of them is needed for anything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
GUEST = HERE.parents[2] / "guest" / "native"
SOURCES = ("frames", "module", "rows", "rows_text", "rows_float", "where", "strftime", "reseed", "clock")
FILES = ("vfs_calls", "vfs_map", "vfs_path", "vfs_tmp")
OWN = ("host", "tree", "descriptors")
_FLAGS = (
    "-std=gnu2x", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined", "-Wno-attributes", "-Wno-pointer-to-int-cast", "-Wno-int-to-pointer-cast",
    "-Wno-unused-result", "-Werror=implicit-function-declaration",
    # As the image is built: what these make of the language is no fault.
    "-fwrapv", "-fno-strict-aliasing",
)  # fmt: skip


class NotHere(Exception):
    """A tool that is not installed; the text says which."""


def compiler() -> str:
    """A compiler with sanitizers.

    Raises: NotHere: there is none.
    """
    for name in (os.environ.get("FUZZ_CC", ""), "clang", "gcc"):
        if name and shutil.which(name):
            return name
    raise NotHere("neither clang nor gcc is installed")


def _wasi() -> Path:
    cache = Path(os.environ.get("WASMEXEC_CACHE", Path.home() / ".cache" / "wasmexec"))
    for found in sorted(cache.glob("stages/tools-*/venv/lib/*/site-packages/ziglang/lib/libc/include/wasm-wasi-musl")):
        return found
    raise NotHere("WASI's header file is not in the build's cache: make image-core brings it")


def build(folder: Path, *, coverage: bool = False) -> Path:
    """The module `_wasmexec`, in a folder; with `coverage` it counts lines, for gcov.

    Raises: NotHere: a tool is missing. subprocess.CalledProcessError: it does not compile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Only WASI's header: the others there are those of another C library.
    wasi = folder / "wasi"
    wasi.mkdir(exist_ok=True)
    shutil.copy(_wasi() / "wasi" / "api.h", wasi / "api.h")
    made = folder / "_wasmexec.so"
    command = [compiler(), *_FLAGS, *(("--coverage",) if coverage else ())]
    command += ["-I", str(GUEST), "-I", str(HERE), "-isystem", str(folder), "-I", sysconfig.get_paths()["include"]]
    command += ["-include", str(HERE / "before.h"), "-o", str(made)]
    command += [str(HERE / f"{name}.c") for name in OWN]
    command += [str(GUEST / f"{name}.c") for name in (*SOURCES, *FILES)]
    subprocess.run(command, check=True, cwd=folder)
    return made


def environment() -> dict[str, str]:
    """What the process that loads the module needs around it."""
    runtimes = []
    for name in ("libasan.so", "libubsan.so"):
        path = subprocess.run(
            [compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if os.path.isabs(path):
            runtimes.append(path)
    return {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:handle_segv=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1",
        "PYTHONMALLOC": "malloc",
    }
