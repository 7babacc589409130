"""libjpeg-turbo with the interface of libjpeg 6b and without its assembly; include/ holds what CMake would generate."""

import shutil
from pathlib import Path

from wasmbuild.recipe import BuildContext

RECIPE = Path(__file__).parent
FILES = (
    "jaricom", "jcapimin", "jcapistd", "jcarith", "jccoefct", "jccolor", "jcdctmgr", "jchuff", "jcicc", "jcinit",
    "jcmainct", "jcmarker", "jcmaster", "jcomapi", "jcparam", "jcphuff", "jcprepct", "jcsample", "jctrans", "jdapimin",
    "jdapistd", "jdarith", "jdatadst", "jdatasrc", "jdcoefct", "jdcolor", "jddctmgr", "jdhuff", "jdicc", "jdinput",
    "jdmainct", "jdmarker", "jdmaster", "jdmerge", "jdphuff", "jdpostct", "jdsample", "jdtrans", "jerror", "jfdctflt",
    "jfdctfst", "jfdctint", "jidctflt", "jidctfst", "jidctint", "jidctred", "jmemmgr", "jmemnobs", "jquant1", "jquant2",
    "jsimd_none", "jutils",
)  # fmt: skip


def build(context: BuildContext) -> None:
    """Fill lib/libjpeg.a and include/."""
    include = context.output / "include"
    include.mkdir()
    for header in (
        *(context.source / name for name in ("jpeglib.h", "jmorecfg.h", "jerror.h")),
        RECIPE / "include" / "jconfig.h",
    ):
        shutil.copyfile(header, include / header.name)
    sources = [context.source / f"{name}.c" for name in FILES]
    flags = ["-O3", f"-I{RECIPE / 'include'}", f"-I{context.source}", "-Wno-everything"]
    objects = context.toolchain.compile(context, sources, context.work, flags, what="libjpeg-turbo")
    context.toolchain.archive(context.output / "lib" / "libjpeg.a", objects)
