"""Builds numpy without BLAS: C sources straight from the sdist, generated ones by numpy's own generators.

numpy's setup.py would probe the compiler with programs that it runs, which a cross-build cannot do; what it would find
is in include/.
"""

import re
import shutil
from pathlib import Path

from wasmbuild.pyext import (
    CythonSource,
    Extension,
    build_extensions,
    compile_archive,
    copy_package,
    render_templates,
    write_dist_info,
)
from wasmbuild.recipe import BuildContext

RECIPE = Path(__file__).parent

# Loops over arrays are what numpy is for; at -O3 clang turns more of them into SIMD.
OPTIMIZE = "-O3"
# A multiplication and an addition rounded once, where the source says so (include/lanes.h) and nowhere else.
FUSED = ("-mrelaxed-simd", "-ffp-contract=off")
# NPY_DISABLE_OPTIMIZATION is numpy's own SIMD layer, which knows no WebAssembly.
DEFINES = ("-DNPY_INTERNAL_BUILD=1", "-DHAVE_NPY_CONFIG_H=1", "-DNPY_DISABLE_OPTIMIZATION=1", "-D_FILE_OFFSET_BITS=64")

# Modules of their own that only numpy's tests use, and calls into a BLAS.
NOT_IN_UMATH = frozenset(
    (
        "_multiarray_tests.c",
        "_umath_tests.c",
        "_umath_tests.dispatch.c",
        "_rational_tests.c",
        "_struct_ufunc_tests.c",
        "_operand_flag_tests.c",
        "cblasfuncs.c",
        "python_xerbla.c",
    )
)
NPYMATH = ("npy_math.c", "ieee754.c", "npy_math_complex.c", "halffloat.cpp")
UMATH_FOLDERS = ("common", "multiarray", "multiarray/textreading", "npysort", "umath")
LAPACK_LITE = ("", "_c_lapack", "_d_lapack", "_s_lapack", "_z_lapack", "_blas", "_config", "_lapack")
NPYRANDOM = (
    "logfactorial.c",
    "distributions.c",
    "random_mvhg_count.c",
    "random_mvhg_marginals.c",
    "random_hypergeometric.c",
)

# f2py and distutils drive compilers, which the guest cannot have.
NOT_IN_GUEST = (
    "tests",
    "distutils",
    "f2py",
    "_build_utils",
    "_pyinstaller",
    "code_generators",
    "src",
    "lapack_lite",
    "include",
)
FILES_NOT_IN_GUEST = (
    "setup.py",
    "setup_common.py",
    "conftest.py",
    "umath_tests.py",
    "cversions.py",
    "*.ini.in",
    "py.typed",
)


def build(context: BuildContext) -> None:
    """Fill objects/, lib/libnumpyfenv.a and python/numpy, and include/ and cython/ for those who build on numpy."""
    package = context.source / "numpy"
    generated = context.work / "generated"
    context.progress(0, 1000, "generate sources")
    context.run(context.python, RECIPE / "generate.py", context.source, generated)
    render_templates(context, sorted((package / "random").glob("*.in")))
    _publish_headers(context, package / "core" / "include" / "numpy", generated)

    core = _core_flags(package / "core", generated)
    compile_archive(context, context.output / "lib" / "libnumpyfenv.a", [RECIPE / "float_status.c"], core)
    build_extensions(context, [*_core_extensions(package, core), *_random_extensions(package, core)])
    _publish_python(context, package)


def _core_flags(core: Path, generated: Path) -> tuple[str, ...]:
    folders = [RECIPE / "include", generated, core / "include", core / "src" / "common", core / "src", core]
    folders += [core / "src" / name for name in ("npymath", "multiarray", "umath", "npysort")]
    return (OPTIMIZE, *FUSED, *DEFINES, *(f"-I{folder}" for folder in folders), "-include", "sizes.h")


def _core_extensions(package: Path, flags: tuple[str, ...]) -> list[Extension]:
    source = package / "core" / "src"
    npymath = [source / "npymath" / name for name in NPYMATH]
    umath = [RECIPE / "float_flags.c"] + [
        file
        for folder in UMATH_FOLDERS
        for file in sorted((source / folder).iterdir())
        if file.suffix in {".c", ".cpp"} and file.name not in NOT_IN_UMATH
    ]
    tests = [source / "multiarray" / "_multiarray_tests.c"]
    tests += [source / "common" / name for name in ("mem_overlap.c", "npy_argparse.c", "npy_hashtable.c")]
    linalg = package / "linalg"
    lapack = [linalg / "lapack_lite" / f"f2c{part}.c" for part in LAPACK_LITE] + [
        linalg / "lapack_lite" / "python_xerbla.c"
    ]
    return [
        Extension("numpy.core._multiarray_umath", (*umath, *npymath), flags),
        Extension("numpy.core._multiarray_tests", (*tests, *npymath), flags),
        Extension("numpy.linalg._umath_linalg", (linalg / "umath_linalg.cpp", *lapack, *npymath), flags),
        Extension("numpy.linalg.lapack_lite", (linalg / "lapack_litemodule.c", *lapack), flags),
        Extension("numpy.fft._pocketfft_internal", (package / "fft" / "_pocketfft.c",), flags),
    ]


def _random_extensions(package: Path, core_flags: tuple[str, ...]) -> list[Extension]:
    random = package / "random"
    source = random / "src"
    flags = (*core_flags, "-DNPY_NO_DEPRECATED_API=0", f"-I{random}", f"-I{source}")
    npymath = [package / "core" / "src" / "npymath" / name for name in NPYMATH]
    npyrandom = [source / "distributions" / name for name in NPYRANDOM]
    parts: dict[str, list[Path]] = {
        "_common": npyrandom,
        "bit_generator": npyrandom,
        "_bounded_integers": [*npyrandom, *npymath],
        "_generator": [*npyrandom, *npymath],
        "_mt19937": [source / "mt19937" / "mt19937.c", source / "mt19937" / "mt19937-jump.c", *npyrandom],
        "_philox": [source / "philox" / "philox.c", *npyrandom],
        "_pcg64": [source / "pcg64" / "pcg64.c", *npyrandom],
        "_sfc64": [source / "sfc64" / "sfc64.c", *npyrandom],
        # Without NP_RANDOM_LEGACY, which would only make its integers as narrow as a C long.
        "mtrand": [source / "legacy" / "legacy-distributions.c", *npyrandom, *npymath],
    }
    return [
        Extension(
            f"numpy.random.{name}",
            (CythonSource(random / f"{name}.pyx", random / f"{name}.c"), *sources),
            flags,
        )
        for name, sources in parts.items()
    ]


def _publish_headers(context: BuildContext, headers: Path, generated: Path) -> None:
    """Complete the header folder in the source, and copy it and the Cython declarations for dependents."""
    for header in ("__multiarray_api.h", "__ufunc_api.h"):
        shutil.copyfile(generated / header, headers / header)
    shutil.copyfile(RECIPE / "include" / "numpy" / "_numpyconfig.h", headers / "_numpyconfig.h")
    shutil.copytree(headers, context.output / "include" / "numpy", ignore=shutil.ignore_patterns("*.in", "*.build"))
    cython = context.output / "cython" / "numpy"
    cython.mkdir(parents=True)
    shutil.copyfile(context.source / "numpy" / "__init__.pxd", cython / "__init__.pxd")


def _publish_python(context: BuildContext, package: Path) -> None:
    python = context.output / "python"
    copy_package(package, python / "numpy", drop=(*NOT_IN_GUEST, *FILES_NOT_IN_GUEST))
    template = (package / "__config__.py.in").read_text(encoding="utf-8")
    facts = {"HOST_CPU": "wasm32", "HOST_CPU_FAMILY": "wasm32", "HOST_CPU_ENDIAN": "little", "HOST_CPU_SYSTEM": "wasi"}
    facts |= {"CROSS_COMPILED": "true", "PYTHON_VERSION": "3.11"}
    facts |= {"C_COMP": "clang", "CPP_COMP": "clang", "CYTHON_COMP": "cython"}
    config = re.sub(r"@(\w+)@", lambda match: facts.get(match[1], ""), template)
    (python / "numpy" / "__config__.py").write_text(config, encoding="utf-8")
    write_dist_info(context, context.source / "PKG-INFO", name="numpy")
