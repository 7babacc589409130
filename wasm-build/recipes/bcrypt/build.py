"""bcrypt with its own C code: the last version that needs no Rust."""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

C_SOURCES = ("blf", "bcrypt", "bcrypt_pbkdf", "sha2", "timingsafe_bcmp")


def build(context: BuildContext) -> None:
    """Fill objects/bcrypt._bcrypt.o and python/bcrypt."""
    source = context.source / "src"
    binding = context.work / "_bcrypt.c"
    context.run(context.python, context.inputs["cffi"] / "build" / "emit.py", source / "build_bcrypt.py", binding)
    sources = [binding, *(source / "_csrc" / f"{name}.c" for name in C_SOURCES)]
    build_extensions(context, [Extension("bcrypt._bcrypt", sources, ("-O3", f"-I{source / '_csrc'}"))])
    copy_package(source / "bcrypt", context.output / "python" / "bcrypt")
    write_dist_info(context, context.source / "PKG-INFO", name="bcrypt")
