"""Builds Pillow with PNG (zlib), JPEG, WebP and freetype; the formats of other C libraries are not in this image."""

import re

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

# C files in src/ that belong to the core module, beside those in src/libImaging. Source: _IMAGING in Pillow's setup.py.
CORE = ("_imaging", "decode", "display", "encode", "map", "outline", "path")
# They open a window, or belong to Tk.
NOT_IN_GUEST = ("ImageQt.py", "ImageTk.py", "_tkinter_finder.py")


def build(context: BuildContext) -> None:
    """Fill objects/PIL.*.o and python/PIL."""
    source = context.source / "src"
    setup = (context.source / "setup.py").read_text(encoding="utf-8")
    names = re.findall(r'"(\w+)"', re.findall(r"^_LIB_IMAGING = \((.*?)^\)", setup, re.MULTILINE | re.DOTALL)[0])
    core = [source / f"{name}.c" for name in CORE] + [source / "libImaging" / f"{name}.c" for name in names]
    include = [
        source / "libImaging",
        *(context.inputs[name] / "include" for name in ("zlib", "libjpeg-turbo", "libwebp", "freetype")),
    ]
    # Resampling and the filters of PNG rows are loops over bytes, which -O3 turns into SIMD.
    defines = ("-DHAVE_LIBZ", "-DHAVE_LIBJPEG", "-DHAVE_WEBPMUX", f'-DPILLOW_VERSION="{context.recipe.version}"')
    flags = ("-O3", *defines, *(f"-I{folder}" for folder in include))
    extensions = [
        Extension("PIL._imaging", core, flags),
        Extension("PIL._imagingft", [source / "_imagingft.c"], flags),
        Extension("PIL._imagingmath", [source / "_imagingmath.c"], flags),
        Extension("PIL._imagingmorph", [source / "_imagingmorph.c"], flags),
        Extension("PIL._webp", [source / "_webp.c"], flags),
    ]
    build_extensions(context, extensions)
    copy_package(source / "PIL", context.output / "python" / "PIL", drop=NOT_IN_GUEST)
    write_dist_info(context, context.source / "PKG-INFO", name="Pillow")
