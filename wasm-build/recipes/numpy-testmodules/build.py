"""Builds the extension modules that numpy's wheels carry for numpy's own tests, so that these tests can run."""

from pathlib import Path

from wasmbuild.pyext import Extension, build_extensions
from wasmbuild.recipe import BuildContext

MODULES = ("_umath_tests", "_rational_tests", "_struct_ufunc_tests", "_operand_flag_tests")
# Renders numpy's templates of repeated code with numpy's own tool.
_RENDER = """
import importlib.util, sys
tool, source, target = sys.argv[1:]
spec = importlib.util.spec_from_file_location("conv_template", tool)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
open(target, "w", encoding="utf-8").write(module.process_file(source))
"""


def build(context: BuildContext) -> None:
    """Fill objects/ with numpy.core._umath_tests and its like."""
    package = context.source / "numpy"
    umath = package / "core" / "src" / "umath"
    context.run(
        context.python, "-c", _RENDER, package / "distutils" / "conv_template.py", umath / "_umath_tests.c.src",
        umath / "_umath_tests.c",
    )  # fmt: skip
    source = package / "core" / "src"
    common = source / "common"
    include = context.inputs["numpy"] / "include"
    # Its config.h: the recipe depends on numpy, so a change of that file comes through.
    settings = Path(__file__).resolve().parents[1] / "numpy" / "include"
    folders = (settings, include, include / "numpy", common, source / "multiarray", source / "npymath", umath)
    defines = ("-O2", "-DHAVE_NPY_CONFIG_H=1", "-DNPY_DISABLE_OPTIMIZATION=1")
    flags = (*defines, *(f"-I{folder}" for folder in folders))
    more = {"_umath_tests": [umath / "_umath_tests.dispatch.c", common / "npy_cpu_features.c"]}
    build_extensions(
        context,
        [Extension(f"numpy.core.{name}", [umath / f"{name}.c", *more.get(name, ())], flags) for name in MODULES],
    )
