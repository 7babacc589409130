"""OpenSSL's two libraries, without threads, sockets or loadable parts; the legacy provider is inside libcrypto.

Its own Configure and Makefile are used, because the headers and tables they generate come from Perl templates. A bare
machine has only perl-base, so perl/ holds the few small modules that those scripts use and perl-base lacks.
"""

import shutil
import sys
from pathlib import Path

from wasmbuild.recipe import BuildContext, StageFailed

HERE = Path(__file__).resolve().parent

OPTIONS = (
    "no-asm",
    "no-threads",
    "no-shared",
    "no-dso",
    "no-module",
    "no-engine",
    "no-sock",
    "no-ui-console",
    "no-tests",
    "no-ktls",
    "no-posix-io",
    "no-secure-memory",
    "no-async",
    "no-autoload-config",
    # Nothing here speaks these: certificate management, time stamps, password-authenticated TLS, Russian ciphers,
    # address extensions.
    "no-cmp",
    "no-ts",
    "no-srp",
    "no-gost",
    "no-rfc3779",
    # Constant-time NIST curves on 64-bit words: ten times faster signatures.
    "enable-ec_nistp_64_gcc_128",
    "--with-rand-seed=getrandom",
    "--prefix=/",
    "--openssldir=/etc/ssl",
)
OBJECTS = 880
# The only code of the guest that is compiled with wide_arithmetic (a 64 by 64 bit product is one instruction): RSA and
# the NIST curves are slow without, and the compiler gets some of it wrong. check_arithmetic() proves this code.
WIDE = (
    "crypto/bn/libcrypto-lib-bn_asm.o",
    "crypto/bn/libcrypto-lib-bn_div.o",
    "crypto/ec/libcrypto-lib-ecp_nistp224.o",
    "crypto/ec/libcrypto-lib-ecp_nistp256.o",
    "crypto/ec/libcrypto-lib-ecp_nistp521.o",
)


def build(context: BuildContext) -> None:
    """Fill include/openssl, lib/libcrypto.a and lib/libssl.a."""
    toolchain = context.toolchain
    shutil.copy(HERE / "90-wasi.conf", context.source / "Configurations" / "90-wasi.conf")
    environment = {
        "PERL5LIB": str(HERE / "perl"),
        "CC": " ".join((*toolchain.cc, "-Wno-everything")),
        "AR": " ".join(toolchain.ar),
        "RANLIB": " ".join(toolchain.ranlib),
    }
    context.progress(0, OBJECTS, "configure")
    context.run("perl", "./Configure", "wasm32-wasi", *OPTIONS, cwd=context.source, env=environment)
    makefile = context.source / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    for name in WIDE:
        if f"\n{name}:" not in text:
            raise StageFailed(f"OpenSSL's Makefile does not make {name}")
    makefile.write_text(f"{text}\n{' '.join(WIDE)}: LIB_CFLAGS += -mwide-arithmetic\n", encoding="utf-8")
    # The generated headers must all exist before the first object: the Makefile states those dependencies only for its
    # own top-level target.
    context.run("make", f"-j{context.jobs}", "build_generated", cwd=context.source, env=environment)
    toolchain.make(context, context.source, ("libcrypto.a", "libssl.a"), OBJECTS, "OpenSSL", environment)
    check_arithmetic(context)
    lib = context.output / "lib"
    lib.mkdir()
    for name in ("libcrypto.a", "libssl.a"):
        shutil.copy(context.source / name, lib / name)
    include = context.output / "include" / "openssl"
    include.mkdir(parents=True)
    for header in sorted((context.source / "include" / "openssl").glob("*.h")):
        shutil.copy(header, include / header.name)


def check_arithmetic(context: BuildContext) -> None:
    """Compare numbers and curves of the finished library with Python's integers.

    Raises:
        StageFailed: they differ; the log names the operands.
    """
    toolchain = context.toolchain
    context.progress(OBJECTS, OBJECTS, "checking the arithmetic")
    include = f"-I{context.source / 'include'}"
    program = toolchain.compile_one(HERE / "arithmetic.c", context.work / "arithmetic.o", [include])
    module = context.work / "arithmetic.wasm"
    toolchain.link(module, [program, context.source / "libcrypto.a"], context.inputs["runtime"])
    # This process's own interpreter: it has wasmtime.
    context.run(sys.executable, HERE / "arithmetic.py", module)
