"""Builds matplotlib's extension modules from their source lists: Agg, fonts, paths, images, triangles."""

from collections.abc import Iterable
from pathlib import Path

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

AGG = (
    "bezier_arc", "curves", "image_filters", "trans_affine", "vcgen_contour", "vcgen_dash", "vcgen_stroke",
    "vpgen_segmentator",
)  # fmt: skip
TTCONV = ("pprdrv_tt", "pprdrv_tt2", "ttutil")

# Windows of desktop tool kits and pages of a web server, which nothing in the guest can show; Sphinx is not there.
NOT_IN_GUEST = ("tests", "web_backend", "qt_editor", "sphinxext", "plot_directive")


def build(context: BuildContext) -> None:
    """Fill objects/matplotlib.*.o, python/matplotlib, python/mpl_toolkits and python/pylab.py."""
    build_extensions(context, list(_extensions(context)))
    library = context.source / "lib"
    python = context.output / "python"
    for package in ("matplotlib", "mpl_toolkits"):
        copy_package(library / package, python / package, drop=NOT_IN_GUEST)
    (python / "pylab.py").write_bytes((library / "pylab.py").read_bytes())
    write_dist_info(context, context.source / "PKG-INFO", name="matplotlib")


def _extensions(context: BuildContext) -> Iterable[Extension]:
    source, extern = context.source / "src", context.source / "extern"
    agg = [extern / "agg24-svn" / "src" / f"agg_{name}.cpp" for name in AGG]
    folders = [extern / "agg24-svn" / "include", source, extern]
    folders += [context.inputs[name] / "include" for name in ("numpy", "freetype26", "qhull", "pybind11")]
    # Filling, blending and resampling are loops over pixels. numpy's table of functions may have one name for all
    # modules: joining makes each module's own copy local to it, and so their common sources are compiled once.
    flags = (
        "-O3", "-std=c++17", "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION", "-DPY_ARRAY_UNIQUE_SYMBOL=MPL_ARRAY_API",
        "-D__STDC_FORMAT_MACROS=1", "-DFREETYPE_BUILD_TYPE=local", "-DMPL_DEVNULL=/dev/null",
        *(f"-I{folder}" for folder in folders),
    )  # fmt: skip

    # Its functions become the module's own: Pillow has another freetype.
    freetype = context.inputs["freetype26"] / "private" / "libfreetype.a"

    def extension(name: str, *sources: Path, archives: Iterable[Path] = ()) -> Extension:
        return Extension(f"matplotlib.{name}", sources, flags, list(archives))

    converters = source / "py_converters.cpp"
    backend = (source / "_backend_agg.cpp", source / "_backend_agg_wrapper.cpp")
    yield extension("backends._backend_agg", converters, *backend, *agg)
    fonts = (source / "ft2font.cpp", source / "ft2font_wrapper.cpp")
    yield extension("ft2font", *fonts, converters, archives=[freetype])
    yield extension("_image", source / "_image_wrapper.cpp", converters, *agg)
    yield extension("_path", source / "_path_wrapper.cpp", converters, *agg)
    yield extension("_qhull", source / "_qhull_wrapper.cpp")
    yield extension("_tri", source / "tri" / "_tri.cpp", source / "tri" / "_tri_wrapper.cpp")
    yield extension("_ttconv", source / "_ttconv.cpp", *(extern / "ttconv" / f"{name}.cpp" for name in TTCONV))
    # The only one in C.
    yield Extension("matplotlib._c_internal_utils", [source / "_c_internal_utils.c"])
