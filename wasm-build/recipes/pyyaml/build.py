"""Builds PyYAML with libyaml inside its extension module: CLoader and CDumper are there as in the published wheels."""

from pathlib import Path

from wasmbuild.pyext import CythonSource, Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

LIBYAML_VERSION = "0.2.5"
LIBYAML = ("api", "dumper", "emitter", "loader", "parser", "reader", "scanner", "writer")


def build(context: BuildContext) -> None:
    """Fill objects/yaml._yaml.o, python/yaml and python/_yaml."""
    libyaml = context.sources["libyaml"]
    major, minor, patch = LIBYAML_VERSION.split(".")
    version = (
        f"-DYAML_VERSION_MAJOR={major}",
        f"-DYAML_VERSION_MINOR={minor}",
        f"-DYAML_VERSION_PATCH={patch}",
        f'-DYAML_VERSION_STRING="{major}.{minor}.{patch}"',
    )
    package = context.source / "yaml"
    # Its sources are written for the language level of Python 2.
    cython = CythonSource(package / "_yaml.pyx", package / "_yaml.c", (package,), ("-2", "--module-name", "yaml._yaml"))
    sources: list[Path | CythonSource] = [cython, *(libyaml / "src" / f"{name}.c" for name in LIBYAML)]
    flags = (*version, f"-I{libyaml / 'include'}", f"-I{libyaml / 'src'}", f"-I{package}")
    build_extensions(context, [Extension("yaml._yaml", sources, flags)])

    for name in ("yaml", "_yaml"):
        copy_package(context.source / "lib" / name, context.output / "python" / name)
    write_dist_info(context, context.source / "PKG-INFO", name="PyYAML")
