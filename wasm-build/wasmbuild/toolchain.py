"""The cross compiler: clang, linker and archiver of the `ziglang` package, always with the same target and features.

A recipe never spells a compiler flag that every recipe needs: the target, the processor features, the exception
encoding and the optimisation level are here, and `stamp` names them all: changing one rebuilds what it compiled.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wasmbuild.errors import StageFailed

ZIG_VERSION = "0.17.1"

TARGET = ("-target", "wasm32-wasi")
# Without wide_arithmetic: clang 22 reads the high half of i64.mul_wide before it is set when both halves stand in one
# expression, so __builtin_mul_overflow and 128-bit sums come out wrong. Take it back when test_toolchain.py allows.
FEATURES = (
    "exception_handling",
    "bulk_memory",
    "simd128",
    "nontrapping_fptoint",
    "sign_ext",
    "multivalue",
)
# wasmtime accepts only the standard exception encoding, which LLVM still does not emit by default.
EXCEPTIONS = ("-mllvm", "-wasm-use-legacy-eh=false", "-mllvm", "-wasm-enable-sjlj")
EMULATED = (
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_MMAN",
    "-D_WASI_EMULATED_GETPID",
)
CODE = ("-g0", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections")
CXX = ("-fwasm-exceptions",)

STACK_BYTES = 16 * 1024 * 1024

SOURCE_SUFFIXES_CXX = frozenset({".cc", ".cpp", ".cxx", ".C"})


class CompileFailed(StageFailed):
    """A compiler, archiver or linker call failed; `tail` is what it printed."""


class Progress(Protocol):
    """What compile() needs of a build context: how many jobs, and where to report."""

    @property
    def jobs(self) -> int: ...

    def progress(self, done: int, total: int, what: str) -> None: ...


class Commands(Progress, Protocol):
    """What make() needs of a build context besides: running a command."""

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> None: ...


@dataclass(frozen=True)
class Toolchain:
    """Argument vectors and helpers for compiling to wasm32-wasi.

    zig: the executable. cache: a writable folder for its own caches. optimize: "-O2" or another level; never empty,
    because without one the driver takes another linker that accepts undefined symbols.
    """

    zig: Path
    cache: Path
    optimize: str = "-O2"
    extra: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def common(self) -> tuple[str, ...]:
        """Flags that every compilation for the guest carries, C and C++ alike."""
        features = "-mcpu=generic+" + "+".join(FEATURES)
        return (*TARGET, features, self.optimize, *CODE, *EXCEPTIONS, *EMULATED, *self.extra)

    @property
    def cc(self) -> tuple[str, ...]:
        """Command that compiles C (add -c, or link a configure test with it)."""
        return (str(self.zig), "cc", *self.common)

    @property
    def cxx(self) -> tuple[str, ...]:
        """Command that compiles C++ with exceptions; their runtime is in the stage `runtime`, not in the driver."""
        return (str(self.zig), "c++", *self.common, *CXX)

    @property
    def ar(self) -> tuple[str, ...]:
        """Command of the archiver."""
        return (str(self.zig), "ar")

    @property
    def ranlib(self) -> tuple[str, ...]:
        """Command that indexes an archive."""
        return (str(self.zig), "ranlib")

    @property
    def wasm_ld(self) -> tuple[str, ...]:
        """Command of the linker itself, which takes every option that the driver refuses."""
        return (str(self.zig), "wasm-ld")

    @property
    def lib(self) -> Path:
        """Folder of the sources that come with the compiler (libcxx, libcxxabi, libunwind, libc)."""
        return self.zig.parent / "lib"

    @property
    def stamp(self) -> str:
        """Hash of everything here that changes generated code."""
        parts = (ZIG_VERSION, *self.common, *CXX, str(STACK_BYTES))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Environment for every tool: the given one (default: ours), with the compiler's caches in our folder."""
        environment = dict(os.environ if base is None else base)
        # An inherited flag would change code without changing a stamp.
        for name in (
            "CC",
            "CXX",
            "CFLAGS",
            "CXXFLAGS",
            "CPPFLAGS",
            "LDFLAGS",
            "AR",
            "RANLIB",
            "LD",
            "CPATH",
            "C_INCLUDE_PATH",
            "LIBRARY_PATH",
        ):
            environment.pop(name, None)
        environment["ZIG_GLOBAL_CACHE_DIR"] = str(self.cache / "zig-global")
        environment["ZIG_LOCAL_CACHE_DIR"] = str(self.cache / "zig-local")
        environment.setdefault("SOURCE_DATE_EPOCH", "946684800")
        environment.update(self.variables)
        return environment

    def call(self, *argv: str | Path, cwd: Path | None = None) -> str:
        """Run one tool and return what it printed.

        Raises: CompileFailed with the command and the output.
        """
        words = [str(word) for word in argv]
        done = subprocess.run(
            words,
            cwd=cwd,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            raise CompileFailed(f"{shlex.join(words)} ended with status {done.returncode}", tail=text)
        return text

    def compile(
        self,
        context: Progress,
        sources: Iterable[Path | str],
        into: Path,
        flags: Sequence[str | Path] = (),
        *,
        base: Path | None = None,
        what: str = "compile",
    ) -> list[Path]:
        """Compile each source to an object in `into`, context.jobs at a time; the objects in the order of the sources.

        base: object names follow the path of a source relative to it (default: the file name alone, then unique).
        Raises: CompileFailed of the first failure, once the compilations already under way are done.
        """
        pairs: list[tuple[Path, Path]] = []
        for source in map(Path, sources):
            relative = source.relative_to(base) if base is not None else Path(source.name)
            pairs.append((source, into / relative.with_name(relative.name + ".o")))
        if len({target for _, target in pairs}) != len(pairs):
            raise ValueError(f"two sources of {what} have the same object name")
        words = [str(flag) for flag in flags]
        done = 0
        context.progress(0, len(pairs), what)
        with ThreadPoolExecutor(max_workers=max(1, context.jobs)) as pool:
            futures = [pool.submit(self.compile_one, source, target, words) for source, target in pairs]
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, return_when=FIRST_EXCEPTION, timeout=0.25)
                if any(future.exception() for future in finished if not future.cancelled()):
                    for future in pending:
                        future.cancel()
                done += len(finished)
                context.progress(done, len(pairs), what)
        for future in futures:
            if not future.cancelled():
                future.result()
        return [target for _, target in pairs]

    def compile_one(self, source: Path, target: Path, flags: Sequence[str] = ()) -> Path:
        """Compile one source to one object; C++ and assembly go by the file's suffix.

        Raises: CompileFailed.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        command = self.cxx if source.suffix in SOURCE_SUFFIXES_CXX else self.cc
        self.call(*command, *flags, "-c", source, "-o", target)
        return target

    def make(
        self,
        context: Commands,
        folder: Path,
        targets: Sequence[str],
        objects: int,
        what: str,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        """Run make for the targets in `folder`; progress is the number of object files below it, of about `objects`.

        Raises: StageFailed of context.run.
        """
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                found = sum(name.endswith(".o") for _, _, names in os.walk(folder) for name in names)
                context.progress(min(found, objects), objects, what)

        watcher = threading.Thread(target=watch, name=f"watch {what}", daemon=True)
        watcher.start()
        try:
            context.run("make", f"-j{max(1, context.jobs)}", *targets, cwd=folder, env=env)
        finally:
            ended.set()
            watcher.join()

    def archive(self, archive: Path, objects: Iterable[Path]) -> Path:
        """Write a static archive of the objects, replacing what was there.

        Raises: CompileFailed.
        """
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)
        members = archive.with_suffix(".members")
        # A response file, because a thousand objects do not fit every command line.
        members.write_text("\n".join(f'"{path}"' for path in objects) + "\n", encoding="utf-8")
        self.call(*self.ar, "rcsD", archive, f"@{members}")
        members.unlink()
        return archive

    def relocatable(self, target: Path, inputs: Iterable[Path]) -> Path:
        """Join objects and whole archives into one relocatable object.

        Raises: CompileFailed.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self.call(*self.wasm_ld, "-r", "--whole-archive", *inputs, "-o", target)
        return target

    def link(
        self,
        target: Path,
        inputs: Iterable[Path],
        runtime: Path,
        *,
        exports: Iterable[str] = (),
        options: Sequence[str] = (),
    ) -> str:
        """Link a reactor module from objects and archives with the output of `runtime`; undefined symbols are errors.

        The shadow stack comes first in memory, so that overflowing it traps instead of overwriting data.
        Raises: CompileFailed.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        lib = runtime / "lib"
        return self.call(
            *self.wasm_ld,
            "--error-limit=0",
            "--stack-first",
            "-z",
            f"stack-size={STACK_BYTES}",
            "--entry=_initialize",
            "--export-memory",
            "--gc-sections",
            "--strip-all",
            "--build-id=none",
            *(f"--export={name}" for name in exports),
            *options,
            "-o",
            target,
            lib / "crt1-reactor.o",
            lib / "tags.o",
            *inputs,
            # The first archive that defines a function wins: these replace parts of libzigc.a and libcompiler_rt.a.
            lib / "libmalloc.a",
            lib / "libstring.a",
            lib / "libm.a",
            lib / "libc++.a",
            lib / "libc.a",
            lib / "libzigc.a",
            lib / "libcompiler_rt.a",
        )
