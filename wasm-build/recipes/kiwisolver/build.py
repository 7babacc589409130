"""Builds kiwisolver's one extension module over the headers of cppy."""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext


def build(context: BuildContext) -> None:
    """Fill objects/kiwisolver._cext.o and python/kiwisolver."""
    source = context.source
    flags = ("-std=c++17", f"-I{source}", f"-I{context.sources['cppy'] / 'cppy' / 'include'}")
    build_extensions(context, [Extension("kiwisolver._cext", sorted((source / "py" / "src").glob("*.cpp")), flags)])
    copy_package(source / "py" / "kiwisolver", context.output / "python" / "kiwisolver")
    write_dist_info(context, source / "PKG-INFO", name="kiwisolver")
