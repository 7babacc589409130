"""bzip2's library, straight from its source list."""

import shutil

from wasmbuild.recipe import BuildContext

FILES = ("blocksort", "bzlib", "compress", "crctable", "decompress", "huffman", "randtable")


def build(context: BuildContext) -> None:
    """Fill lib/libbz2.a and include/."""
    include = context.output / "include"
    include.mkdir()
    shutil.copy(context.source / "bzlib.h", include / "bzlib.h")
    sources = [context.source / f"{name}.c" for name in FILES]
    flags = ("-O3", "-D_FILE_OFFSET_BITS=64", "-Wno-everything")
    objects = context.toolchain.compile(context, sources, context.work, flags, what="bzip2")
    context.toolchain.archive(context.output / "lib" / "libbz2.a", objects)
