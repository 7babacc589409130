"""Start-up object, C library, allocator, C++ runtime with exceptions and exception tags, in the form the final link takes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from wasmbuild.recipe import BuildContext

HERE = Path(__file__).resolve().parent

# Left out of libc++abi: cxa_noexception is its variant without exceptions, cxa_thread_atexit wants threads.
CXXABI_WITHOUT = {"cxa_noexception.cpp", "cxa_thread_atexit.cpp"}
# Left out of libc++: what needs threads, files, a console, or is never linked here.
CXX_WITHOUT = {
    "atomic.cpp",
    "barrier.cpp",
    "condition_variable.cpp",
    "condition_variable_destructor.cpp",
    "fstream.cpp",
    "future.cpp",
    "mutex.cpp",
    "mutex_destructor.cpp",
    "print.cpp",
    "random_shuffle.cpp",
    "shared_mutex.cpp",
    "strstream.cpp",
    "thread.cpp",
}
CXX_FOLDERS = ("", "ryu")


def build(context: BuildContext) -> None:
    """Fill lib/ with crt1-reactor.o, tags.o, libmalloc.a, libc++.a, libc.a, libzigc.a and libcompiler_rt.a."""
    lib = context.output / "lib"
    lib.mkdir(parents=True)
    toolchain = context.toolchain
    collect_driver_libraries(context, lib)
    toolchain.compile_one(HERE / "tags.s", lib / "tags.o")
    allocator = next(context.source.glob("**/dlmalloc/src/malloc.c"))
    shutil.copy(allocator, context.work / "upstream_malloc.c")
    toolchain.archive(
        lib / "libmalloc.a",
        [toolchain.compile_one(HERE / "dlmalloc_guest.c", context.work / "malloc.o", ["-O3", f"-I{context.work}", "-Wno-everything"])],
    )
    build_cxx(context, lib)


def collect_driver_libraries(context: BuildContext, lib: Path) -> None:
    """Copy what the compiler driver builds for a link out of its cache: it names each file in the linker call that -v prints.

    The driver builds them from its own sources at the first link for a target, with the features and the optimisation of that link.
    """
    toolchain = context.toolchain
    probe = context.work / "probe.c"
    probe.write_text("void probe(void) {}\n", encoding="utf-8")
    context.progress(0, 2, "C library")
    printed = toolchain.call(*toolchain.cc, "-mexec-model=reactor", "-v", probe, "-o", context.work / "probe.wasm")
    line = next(line for line in printed.splitlines() if line.startswith("wasm-ld "))
    found = {Path(word).name: Path(word) for word in line.split() if re.search(r"\.(o|a)$", word)}
    for name in ("crt1-reactor.o", "libc.a", "libzigc.a", "libcompiler_rt.a"):
        shutil.copy(found[name], lib / name)


def build_cxx(context: BuildContext, lib: Path) -> None:
    """Compile libc++, libc++abi and libunwind's WebAssembly part with exceptions on: the driver's own for this target have none."""
    toolchain = context.toolchain
    cxx, abi, unwind = (toolchain.lib / name for name in ("libcxx", "libcxxabi", "libunwind"))
    sources = [path for path in sorted((abi / "src").glob("*.cpp")) if path.name not in CXXABI_WITHOUT]
    for folder in CXX_FOLDERS:
        sources += [path for path in sorted((cxx / "src" / folder).glob("*.cpp")) if path.name not in CXX_WITHOUT]
    flags = [
        "-std=c++23",
        "-fvisibility=hidden",
        "-D_LIBCPP_BUILDING_LIBRARY",
        "-DLIBCXX_BUILDING_LIBCXXABI",
        "-D_LIBCXXABI_BUILDING_LIBRARY",
        "-D_LIBCXXABI_HAS_NO_THREADS",
        f"-I{cxx / 'src'}",
        f"-I{cxx / 'libc'}",
        f"-I{abi / 'include'}",
        f"-I{abi / 'src'}",
        f"-I{unwind / 'include'}",
        "-Wno-everything",
    ]
    objects = toolchain.compile(context, sources, context.work / "cxx", flags, base=toolchain.lib, what="C++ runtime")
    objects.append(
        toolchain.compile_one(
            unwind / "src" / "Unwind-wasm.c",
            context.work / "unwind.o",
            ["-fwasm-exceptions", "-D__WASM_EXCEPTIONS__", "-D_LIBUNWIND_HAS_NO_THREADS", "-D_LIBUNWIND_HIDE_SYMBOLS", f"-I{unwind / 'include'}", f"-I{unwind / 'src'}", "-Wno-everything"],
        )
    )
    toolchain.archive(lib / "libc++.a", objects)
