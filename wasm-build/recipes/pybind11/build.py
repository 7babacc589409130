"""pybind11: headers, with the integer types of our numpy."""

import shutil

from wasmbuild.recipe import BuildContext


def build(context: BuildContext) -> None:
    """Fill include/pybind11."""
    shutil.copytree(context.source / "pybind11" / "include" / "pybind11", context.output / "include" / "pybind11")
