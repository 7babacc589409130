"""The C library's mathematics as glibc rounds it, ahead of musl's: our own files, and some of musl's with patches."""

from __future__ import annotations

import sys
from pathlib import Path

from wasmbuild.recipe import BuildContext

HERE = Path(__file__).resolve().parent
# A multiplication and an addition are rounded once where the source says so (pairs.h), and nowhere else.
OPTIMIZE = ("-O3", "-mrelaxed-simd", "-ffp-contract=off")
OF_MUSL = ("acosf", "atanf", "erf", "expm1", "log1p")


def build(context: BuildContext) -> None:
    """Fill lib/libmathematics.a."""
    toolchain = context.toolchain
    context.run(sys.executable, HERE / "tables.py", context.work / "tables.h")
    own = toolchain.compile(
        context,
        sorted(HERE.glob("*.c")),
        context.work / "own",
        [*OPTIMIZE, "-std=c11", "-Wall", "-Wextra", f"-I{HERE}", f"-I{context.work}"],
        what="mathematics",
    )
    musl = context.source / "libc-top-half" / "musl" / "src"
    includes = (musl / "include", musl / "internal", musl.parent / "arch" / "wasm32", musl.parent / "arch" / "generic")
    patched = toolchain.compile(
        context,
        [musl / "math" / f"{name}.c" for name in OF_MUSL],
        context.work / "musl",
        [*OPTIMIZE, "-Wno-everything", f"-I{HERE}", *(f"-I{folder}" for folder in includes)],
        what="musl's part",
    )
    toolchain.archive(context.output / "lib" / "libmathematics.a", [*own, *patched])
