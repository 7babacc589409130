"""Start-up object, C library, allocator, C++ runtime and exception tags, as the final link takes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from wasmbuild import errnos
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
    """Fill lib/ with the start-up object crt1-reactor.o, the exception tags tags.o and the archives of C and C++."""
    lib = context.output / "lib"
    lib.mkdir(parents=True)
    toolchain = context.toolchain
    collect_driver_libraries(context, lib)
    toolchain.compile_one(HERE / "tags.s", lib / "tags.o")
    build_replacements(context, lib)
    build_cxx(context, lib)


def collect_driver_libraries(context: BuildContext, lib: Path) -> None:
    """Copy what the driver builds for a link out of its cache: it names each file in the linker call that -v prints.

    The driver builds them from its own sources at the first link for a target, with the features and the optimisation
    of that link.
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


def build_replacements(context: BuildContext, lib: Path) -> None:
    """Compile what stands in for parts of the compiler's C library: allocator, searches, error texts, mathematics.

    The compiler rewrote those parts in another language; its exp(), log() and relatives are older algorithms that
    differ from glibc's in the last bit, where musl's are the same as glibc's.
    """
    toolchain = context.toolchain
    musl = context.source / "libc-top-half" / "musl"
    shutil.copy(context.source / "dlmalloc" / "src" / "malloc.c", context.work / "upstream_malloc.c")
    allocator = toolchain.compile_one(
        HERE / "dlmalloc_guest.c", context.work / "malloc.o", ["-O3", f"-I{context.work}", "-Wno-everything"]
    )
    toolchain.archive(lib / "libmalloc.a", [allocator])
    # Without -fno-builtin the compiler sees strlen() in the loop of strlen().
    strings = toolchain.compile_one(HERE / "strings.c", context.work / "strings.o", ["-O3", "-fno-builtin"])
    texts = (toolchain.lib / errnos.TEXTS).parent
    errors = toolchain.compile_one(HERE / "errors.c", context.work / "errors.o", [f"-I{texts}"])
    toolchain.archive(lib / "libstring.a", [strings, errors])
    math = musl / "src" / "math"
    sources = [path for path in sorted(math.glob("*.c")) if not is_long_double(path)]
    includes = [
        musl / "src" / "include",
        musl / "src" / "internal",
        musl / "arch" / "wasm32",
        musl / "arch" / "generic",
    ]
    flags = ["-O3", "-Wno-everything", *(f"-I{folder}" for folder in includes)]
    toolchain.archive(
        lib / "libm.a", toolchain.compile(context, sources, context.work / "math", flags, what="mathematics")
    )


def is_long_double(path: Path) -> bool:
    """Whether a file of musl's mathematics is the long double variant of another one; those stay the compiler's."""
    return path.stem.endswith("l") and path.with_name(f"{path.stem[:-1]}.c").exists()


def build_cxx(context: BuildContext, lib: Path) -> None:
    """Compile libc++, libc++abi and libunwind's WebAssembly part with exceptions on: the driver's own have none."""
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
            [
                "-fwasm-exceptions",
                "-D__WASM_EXCEPTIONS__",
                "-D_LIBUNWIND_HAS_NO_THREADS",
                "-D_LIBUNWIND_HIDE_SYMBOLS",
                f"-I{unwind / 'include'}",
                f"-I{unwind / 'src'}",
                "-Wno-everything",
            ],
        )
    )
    toolchain.archive(lib / "libc++.a", objects)
