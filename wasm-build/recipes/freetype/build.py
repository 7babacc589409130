"""freetype, straight from its source list: one file for each of its modules, and compressed fonts through our zlib."""

import shutil

from wasmbuild.recipe import BuildContext

BASE = (
    "ftbase", "ftbbox", "ftbdf", "ftbitmap", "ftcid", "ftdebug", "ftfstype", "ftgasp", "ftglyph", "ftgxval", "ftinit",
    "ftmm", "ftotval", "ftpatent", "ftpfr", "ftstroke", "ftsynth", "ftsystem", "fttype1", "ftwinfnt",
)  # fmt: skip
MODULES = (
    "autofit/autofit", "bdf/bdf", "cache/ftcache", "cff/cff", "cid/type1cid", "gzip/ftgzip", "lzw/ftlzw", "pcf/pcf",
    "pfr/pfr", "psaux/psaux", "pshinter/pshinter", "psnames/psnames", "raster/raster", "sdf/sdf", "sfnt/sfnt",
    "smooth/smooth", "svg/svg", "truetype/truetype", "type1/type1", "type42/type42", "winfonts/winfnt",
)  # fmt: skip


def build(context: BuildContext) -> None:
    """Fill lib/libfreetype.a and include/."""
    source = context.source
    shutil.copytree(source / "include", context.output / "include", ignore=shutil.ignore_patterns("dlg"))
    sources = [source / "src" / f"{name}.c" for name in (*(f"base/{name}" for name in BASE), *MODULES)]
    includes = [source / "include", context.inputs["zlib"] / "include"]
    flags = ["-O3", "-DFT2_BUILD_LIBRARY", "-DFT_CONFIG_OPTION_SYSTEM_ZLIB", "-Wno-everything"]
    flags += [f"-I{folder}" for folder in includes]
    objects = context.toolchain.compile(context, sources, context.work, flags, what="freetype")
    context.toolchain.archive(context.output / "lib" / "libfreetype.a", objects)
