"""zlib, straight from its source list: its configure script would find out nothing that is not known."""

import shutil

from wasmbuild.recipe import BuildContext

FILES = (
    "adler32", "compress", "crc32", "deflate", "gzclose", "gzlib", "gzread", "gzwrite", "infback", "inffast",
    "inflate", "inftrees", "trees", "uncompr", "zutil",
)  # fmt: skip


def build(context: BuildContext) -> None:
    """Fill lib/libz.a and include/."""
    include = context.output / "include"
    include.mkdir()
    for name in ("zlib.h", "zconf.h"):
        shutil.copy(context.source / name, include / name)
    sources = [context.source / f"{name}.c" for name in FILES]
    flags = ("-O3", "-DHAVE_UNISTD_H", "-DHAVE_STDARG_H", "-Wno-everything")
    objects = context.toolchain.compile(context, sources, context.work, flags, what="zlib")
    context.toolchain.archive(context.output / "lib" / "libz.a", objects)
