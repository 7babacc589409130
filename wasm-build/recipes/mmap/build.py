"""Builds `mmap`, CPython's own module, over guest/native/vfs_map.c; apart from CPython, which is not rebuilt for it."""

from wasmbuild.pyext import Extension, build_extensions, python_include
from wasmbuild.recipe import BuildContext


def build(context: BuildContext) -> None:
    """Fill objects/mmap.o."""
    module = context.source / "Modules" / "mmapmodule.c"
    # configure looks at the C library, which has neither mremap() nor madvise().
    flags = (
        "-DHAVE_MREMAP=1",
        "-DHAVE_MADVISE=1",
        f"-I{python_include(context) / 'internal'}",
        "-DPy_BUILD_CORE_BUILTIN",
    )
    build_extensions(context, [Extension("mmap", [module], flags)])
