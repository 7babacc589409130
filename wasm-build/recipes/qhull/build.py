"""qhull's reentrant library, straight from its source list."""

import shutil

from wasmbuild.recipe import BuildContext

FILES = (
    "geom2_r", "geom_r", "global_r", "io_r", "libqhull_r", "mem_r", "merge_r", "poly2_r", "poly_r", "qset_r",
    "random_r", "rboxlib_r", "stat_r", "user_r", "usermem_r", "userprintf_r", "userprintf_rbox_r",
)  # fmt: skip


def build(context: BuildContext) -> None:
    """Fill lib/libqhull_r.a and include/libqhull_r."""
    folder = context.source / "src" / "libqhull_r"
    include = context.output / "include" / "libqhull_r"
    include.mkdir(parents=True)
    for header in sorted(folder.glob("*.h")):
        shutil.copyfile(header, include / header.name)
    sources = [folder / f"{name}.c" for name in FILES]
    flags = ["-fno-strict-aliasing", "-Wno-everything"]
    objects = context.toolchain.compile(context, sources, context.work, flags, what="qhull")
    context.toolchain.archive(context.output / "lib" / "libqhull_r.a", objects)
