"""Builds pandas' extension modules from the .pyx files of its sdist: one module for each, and the JSON module in C."""

import re
from pathlib import Path

from wasmbuild.pyext import CythonSource, Extension, build_extensions, copy_package, render_templates, write_dist_info
from wasmbuild.recipe import BuildContext

# C sources that modules have beside their own, relative to pandas/_libs. Source: ext_data in pandas' setup.py.
DATETIME = "tslibs/src/datetime/np_datetime.c"
DATETIME_STRINGS = "tslibs/src/datetime/np_datetime_strings.c"
TOKENIZER = "src/parser/tokenizer.c"
WITH_DATETIME = (
    "_libs.tslib",
    "_libs.tslibs.conversion",
    "_libs.tslibs.fields",
    "_libs.tslibs.offsets",
    "_libs.tslibs.period",
    "_libs.tslibs.strptime",
    "_libs.tslibs.timedeltas",
    "_libs.tslibs.timestamps",
    "_libs.tslibs.tzconversion",
    "_libs.tslibs.vectorized",
)
C_SOURCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(WITH_DATETIME, (DATETIME,)),
    "_libs.tslibs.np_datetime": (DATETIME, DATETIME_STRINGS),
    "_libs.lib": (TOKENIZER,),
    "_libs.tslibs.parsing": (TOKENIZER,),
    "_libs.parsers": (TOKENIZER, "src/parser/io.c"),
}
JSON = (
    *("src/ujson/python/" + name for name in ("ujson.c", "objToJSON.c", "date_conversions.c", "JSONtoObj.c")),
    *("src/ujson/lib/" + name for name in ("ultrajsonenc.c", "ultrajsondec.c")),
    DATETIME,
    DATETIME_STRINGS,
)
# The recipe depends on numpy, so a change of the file that this one includes comes through.
LONGS = Path(__file__).parent / "include" / "cython_longs.h"
CXX_MODULES = frozenset({"_libs.window.aggregations"})
RENAMED = {"io.sas.sas": "io.sas._sas", "io.sas.byteswap": "io.sas._byteswap"}

NOT_IN_GUEST = ("tests", "conftest.py", "src")


def build(context: BuildContext) -> None:
    """Fill objects/ with pandas' extension modules and python/pandas."""
    package = context.source / "pandas"
    context.progress(0, 1000, "render templates")
    render_templates(context, sorted(package.rglob("*.pxi.in")))
    numpy = context.inputs["numpy"]
    libs = package / "_libs"
    includes = [numpy / "include", libs, libs / "tslibs", libs / "src" / "klib", libs / "src"]
    includes += [libs / "src" / "ujson" / "python", libs / "src" / "ujson" / "lib"]
    flags = ("-DNPY_NO_DEPRECATED_API=0", "-include", str(LONGS), *(f"-I{folder}" for folder in includes))

    extensions = [Extension("pandas._libs.json", tuple(libs / name for name in JSON), flags)]
    for pyx in sorted([*libs.rglob("*.pyx"), *(package / "io").rglob("*.pyx")]):
        found = ".".join(pyx.relative_to(package).with_suffix("").parts)
        name = RENAMED.get(found, found)
        target = pyx.with_suffix(".cpp" if name in CXX_MODULES else ".c")
        cython = CythonSource(pyx, target, (numpy / "cython",), ("--module-name", f"pandas.{name}"), _size(pyx))
        sources: list[Path | CythonSource] = [cython, *(libs / source for source in C_SOURCES.get(name, ()))]
        extensions.append(Extension(f"pandas.{name}", sources, flags))
    build_extensions(context, extensions)

    python = context.output / "python"
    copy_package(package, python / "pandas", drop=NOT_IN_GUEST)
    write_dist_info(context, context.source / "PKG-INFO", name="pandas")


def _size(pyx: Path) -> int:
    """Bytes of a .pyx file with the files that it includes, which are most of some modules."""
    text = pyx.read_text(encoding="utf-8")
    included = re.findall(r'^include "(.+)"', text, flags=re.MULTILINE)
    sizes: list[int] = [(pyx.parent / name).stat().st_size for name in included]
    return len(text) + sum(sizes)
