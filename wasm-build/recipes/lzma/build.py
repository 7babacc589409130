"""Builds `_lzma`, CPython's own module, with liblzma in it; apart from CPython, which is not rebuilt for it."""

from wasmbuild.pyext import Extension, build_extensions, compile_archive, python_include
from wasmbuild.recipe import BuildContext

FOLDERS = ("check", "common", "delta", "lz", "lzma", "rangecoder", "simple")
# The small variants, the programs that made the tables, and what needs threads or asks the machine.
LEFT_OUT = ("_small.c", "_tablegen.c", "_mt.c", "hardware_cputhreads.c", "hardware_physmem.c", "outqueue.c")
FILTERS = ("LZMA1", "LZMA2", "DELTA", "X86", "POWERPC", "IA64", "ARM", "ARMTHUMB", "ARM64", "SPARC")
MATCH_FINDERS = ("HC3", "HC4", "BT2", "BT3", "BT4")
CHECKS = ("CRC32", "CRC64", "SHA256")


def build(context: BuildContext) -> None:
    """Fill objects/_lzma.o."""
    liblzma = context.source / "src" / "liblzma"
    sources = [
        file for name in FOLDERS for file in sorted((liblzma / name).glob("*.c")) if not file.name.endswith(LEFT_OUT)
    ]
    flags = ["-O3", "-std=gnu99", f"-I{context.source / 'src' / 'common'}", f"-I{liblzma / 'api'}"]
    flags += [f"-I{liblzma / name}" for name in FOLDERS]
    flags += [f"-DHAVE_{kind}_{name}=1" for name in FILTERS for kind in ("ENCODER", "DECODER")]
    flags += [f"-DHAVE_MF_{name}=1" for name in MATCH_FINDERS]
    flags += [f"-DHAVE_CHECK_{name}=1" for name in CHECKS]
    flags += ["-DHAVE_ENCODERS=1", "-DHAVE_DECODERS=1", "-DHAVE_LZIP_DECODER=1", "-DTUKLIB_SYMBOL_PREFIX=lzma_"]
    flags += ["-DHAVE_STDBOOL_H=1", "-DHAVE__BOOL=1", "-DHAVE_STDINT_H=1", "-DHAVE_INTTYPES_H=1", "-DSIZEOF_SIZE_T=4"]
    flags += ["-DTUKLIB_FAST_UNALIGNED_ACCESS=1", "-DHAVE___BUILTIN_BSWAPXX=1", '-DPACKAGE_NAME="XZ Utils"']
    flags += ['-DPACKAGE_BUGREPORT=""', '-DPACKAGE_URL=""', "-DNDEBUG"]
    archive = compile_archive(context, context.work / "liblzma.a", sources, flags)
    module = context.sources["cpython"] / "Modules" / "_lzmamodule.c"
    # Lengths may have 64 bits here as in CPython's own modules: sys.maxsize has.
    clinic = module.parent / "clinic" / "_lzmamodule.c.h"
    text = clinic.read_text(encoding="utf-8")
    clinic.write_text(text.replace("= PyLong_AsSsize_t(", "= _PyLong_AsClippedSsize_t("), encoding="utf-8")
    internal = python_include(context) / "internal"
    include = (f"-I{liblzma / 'api'}", f"-I{internal}", "-DLZMA_API_STATIC", "-DPy_BUILD_CORE_BUILTIN")
    build_extensions(context, [Extension("_lzma", [module], include, [archive])])
