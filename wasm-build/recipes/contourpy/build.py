"""Builds contourpy's one extension module."""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext


def build(context: BuildContext) -> None:
    """Fill objects/contourpy._contourpy.o and python/contourpy."""
    package = context.source / "lib" / "contourpy"
    include = context.inputs["pybind11"] / "include"
    flags = ("-std=c++17", f"-DCONTOURPY_VERSION={context.recipe.version}", f"-I{include}")
    sources = sorted((context.source / "src").glob("*.cpp"))
    build_extensions(context, [Extension("contourpy._contourpy", sources, flags)])
    copy_package(package, context.output / "python" / "contourpy", drop=("meson.build",))
    write_dist_info(context, context.source / "PKG-INFO", name="contourpy")
