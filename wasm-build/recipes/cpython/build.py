"""CPython as static archives for the guest, with every extension module that can exist there built in.

CPython's own configure and Makefile are used. `config.site` holds what a full run of configure on this target found
out, corrected where the test lies
(it says where), so that a build does not ask a thousand questions again.
"""

import dataclasses
import hashlib
import json
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from wasmbuild.recipe import BuildContext

HERE = Path(__file__).resolve().parent

OBJECTS = 260
ARCHIVES = ("libpython3.11.a", "Modules/_decimal/libmpdec/libmpdec.a", "Modules/expat/libexpat.a")

# Parts of the standard library that nothing in a guest can use: other programs' tools, windows, and CPython's tests.
WITHOUT = (
    "test",
    "lib2to3",
    "idlelib",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "ensurepip",
    "pydoc_data",
    "__phello__",
    "site-packages",
)


def build(context: BuildContext) -> None:
    """Fill include/python3.11, lib, stdlib, sysconfig and modules.json."""
    toolchain = dataclasses.replace(context.toolchain, optimize="-O3")
    source = context.source
    (source / "Modules" / "Setup.local").write_text(setup_local(context), encoding="utf-8")
    clip_sizes(source)
    command = " ".join(toolchain.cc)
    environment = {
        "CONFIG_SITE": str(HERE / "config.site"),
        "CC": command,
        "CPP": f"{command} -E",
        "CXX": " ".join(toolchain.cxx),
        "AR": " ".join(toolchain.ar),
        "RANLIB": " ".join(toolchain.ranlib),
        "READELF": "true",
        # The machine's own packages must not be found.
        "PKG_CONFIG": "false",
        "PKG_CONFIG_LIBDIR": str(context.work),
        "OPT": f"-DNDEBUG -fwrapv -fno-strict-aliasing -Wno-everything {profile_flags(context)}",
        "ZLIB_CFLAGS": f"-I{context.inputs['zlib'] / 'include'}",
        "ZLIB_LIBS": str(context.inputs["zlib"] / "lib" / "libz.a"),
        "BZIP2_CFLAGS": f"-I{context.inputs['bzip2'] / 'include'}",
        "BZIP2_LIBS": str(context.inputs["bzip2"] / "lib" / "libbz2.a"),
    }
    context.progress(0, OBJECTS, "configure")
    context.run(
        "sh",
        "./configure",
        "--host=wasm32-unknown-wasi",
        "--build=x86_64-pc-linux-gnu",
        f"--with-build-python={sys.executable}",
        "--prefix=/",
        "--with-pymalloc",
        # The default on 32 bits is half as wide, and every number above 32767 pays for it.
        "--enable-big-digits=30",
        # So that it does not look for one of the machine.
        f"--with-openssl={context.inputs['openssl']}",
        "--disable-ipv6",
        "--disable-test-modules",
        "--without-ensurepip",
        cwd=source,
        env=environment,
    )
    toolchain.make(context, source, ARCHIVES, OBJECTS, "CPython", environment)
    install(context)


def clip_sizes(source: Path) -> None:
    """Let functions whose arguments Argument Clinic reads take sizes of 64 bits (patches/0012), but not `bisect`.

    That would return the clipped number.
    """
    for header in source.glob("*/**/clinic/*.h"):
        if header.name != "_bisectmodule.c.h":
            text = header.read_text(encoding="utf-8")
            header.write_text(text.replace("= PyLong_AsSsize_t(", "= _PyLong_AsClippedSsize_t("), encoding="utf-8")


def profile_flags(context: BuildContext) -> str:
    """Flags that tell the compiler how often each line runs: what is hot is inlined, what is cold kept apart.

    cpython.prof holds line counts (coverage of a native build of the same patched sources, running typical
    statements); lines are relative to the start of their function. The copy's name carries its hash, because the
    compiler's cache looks at the command only.
    """
    profile = HERE / "cpython.prof"
    copy = context.work / f"cpython-{hashlib.sha256(profile.read_bytes()).hexdigest()[:12]}.prof"
    shutil.copy(profile, copy)
    return f"-gline-tables-only -fdebug-info-for-profiling -fprofile-sample-use={copy}"


def setup_local(context: BuildContext) -> str:
    """Modules that configure does not offer on this target, or offers only after link tests that cannot pass yet."""
    include = context.inputs["openssl"] / "include"
    # OPENSSL_THREADS: _ssl.c refuses an OpenSSL without threads; here there is one thread only.
    flags = f"-I{include} -DOPENSSL_THREADS"
    return f"*static*\n_ssl _ssl.c {flags}\n_hashlib _hashopenssl.c {flags}\n"


def install(context: BuildContext) -> None:
    """Copy what other stages read out of the build tree."""
    source, output = context.source, context.output
    include = output / "include" / "python3.11"
    shutil.copytree(source / "Include", include)
    shutil.copy(source / "pyconfig.h", include / "pyconfig.h")
    lib = output / "lib"
    lib.mkdir()
    for name in ARCHIVES:
        shutil.copy(source / name, lib / Path(name).name)
    resolver = context.toolchain.compile_one(HERE / "resolver.c", context.work / "resolver.o")
    context.toolchain.archive(lib / "libresolver.a", [resolver])
    shutil.copytree(source / "Lib", output / "stdlib", ignore=leave_out(source / "Lib"))
    table = (source / "Modules" / "config.c").read_text(encoding="utf-8")
    names = sorted(re.findall(r'^\s*\{"([\w.]+)",', table, re.MULTILINE))
    (output / "modules.json").write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    data = output / "sysconfig" / "_sysconfigdata__wasi_wasm32-wasi.py"
    data.parent.mkdir()
    data.write_text(
        f'"""Build settings of the guest\'s CPython."""\n\nbuild_time_vars = {settings(context)!r}\n', encoding="utf-8"
    )


def leave_out(root: Path):  # type: ignore[no-untyped-def]
    """An `ignore` function for copytree: WITHOUT at the top, tests and caches everywhere."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        here = {name for name in names if name in ("__pycache__", "test", "tests")}
        if Path(folder) == root:
            here |= {name for name in names if name in WITHOUT}
        return here

    return ignore


def settings(context: BuildContext) -> dict[str, object]:
    """What sysconfig says in the guest: the Makefile's and pyconfig.h's variables, without any path of this machine."""
    variables: dict[str, object] = {}
    sysconfig._parse_makefile(str(context.source / "Makefile"), variables)  # type: ignore[attr-defined]
    with (context.source / "pyconfig.h").open(encoding="utf-8") as file:
        sysconfig.parse_config_h(file, variables)
    flags = " ".join(context.toolchain.common)
    plain: dict[str, object] = {}
    for name, value in sorted(variables.items()):
        if isinstance(value, str):
            text = (
                value.replace(str(context.toolchain.zig), "zig")
                .replace(flags, "")
                .replace(sys.executable, "python3.11")
            )
            for folder in (context.source, context.work, context.output, *context.inputs.values()):
                text = text.replace(str(folder), "")
            plain[name] = " ".join(text.split())
        else:
            plain[name] = value
    return plain
