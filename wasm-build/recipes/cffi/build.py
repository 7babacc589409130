"""cffi's C half for the image, and its generator for the recipes of packages that are made with it.

The Python half stays out of the image: it compiles C or opens shared libraries, and a guest can do neither.
"""

import shutil
from pathlib import Path

from wasmbuild.pyext import Extension, build_extensions, write_dist_info
from wasmbuild.recipe import BuildContext

HERE = Path(__file__).resolve().parent


def build(context: BuildContext) -> None:
    """Fill objects/_cffi_backend.o, and build/ with emit.py, cffi and pycparser for the build machine."""
    backend = Extension("_cffi_backend", [context.source / "c" / "_cffi_backend.c"], (f"-I{HERE / 'include'}",))
    build_extensions(context, [backend])
    write_dist_info(context, context.source / "PKG-INFO", name="cffi")

    generator = context.output / "build"
    generator.mkdir()
    shutil.copy(HERE / "emit.py", generator / "emit.py")
    shutil.copytree(context.source / "cffi", generator / "cffi")
    shutil.copytree(context.sources["pycparser"] / "pycparser", generator / "pycparser")
