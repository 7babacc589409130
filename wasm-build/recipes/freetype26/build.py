"""freetype as matplotlib's wheels have it, for matplotlib alone: without zlib, bzip2, png and harfbuzz of others.

The wheels carry 2.6.1, of which no registered package has the source. 2.6.3 lies in that of rhino3dm; with the two
methods of its rasteriser exchanged it gives every glyph of matplotlib's fonts the pixels and metrics of 2.6.1.
"""

import shutil

from wasmbuild.recipe import BuildContext

BASE = ("ftbase", "ftbbox", "ftbitmap", "ftfntfmt", "ftgasp", "ftglyph", "ftinit", "ftmm", "ftstroke", "ftsystem")
MODULES = (
    "autofit/autofit", "bdf/bdf", "cff/cff", "cid/type1cid", "gzip/ftgzip", "lzw/ftlzw", "pcf/pcf", "pfr/pfr",
    "psaux/psaux", "pshinter/pshinter", "psnames/psnames", "raster/raster", "sfnt/sfnt", "smooth/smooth",
    "truetype/truetype", "type1/type1", "type42/type42", "winfonts/winfnt",
)  # fmt: skip


def build(context: BuildContext) -> None:
    """Fill include/ and private/libfreetype.a: not lib/, whose archives serve every module, Pillow's too."""
    source = context.source / "src" / "lib" / "opennurbs" / "freetype263"
    shutil.copytree(source / "include", context.output / "include")
    sources = [source / "src" / f"{name}.c" for name in (*(f"base/{name}" for name in BASE), *MODULES)]
    flags = ["-O3", "-DFT2_BUILD_LIBRARY", "-Wno-everything", f"-I{source / 'include'}"]
    objects = context.toolchain.compile(context, sources, context.work, flags, what="freetype26")
    context.toolchain.archive(context.output / "private" / "libfreetype.a", objects)
