"""argon2's reference code in C, behind cffi; one lane after the other, because a guest has one thread."""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

C_SOURCES = ("argon2", "blake2/blake2b", "core", "encoding", "ref", "thread")


def build(context: BuildContext) -> None:
    """Fill objects/_argon2_cffi_bindings._ffi.o and python/_argon2_cffi_bindings."""
    package = context.source / "src" / "_argon2_cffi_bindings"
    library = context.source / "extras" / "libargon2"
    binding = context.work / "_ffi.c"
    emit = context.inputs["cffi"] / "build" / "emit.py"
    context.run(context.python, emit, package / "_ffi_build.py", binding)
    sources = [binding, *(library / "src" / f"{name}.c" for name in C_SOURCES)]
    flags = ("-O3", "-DARGON2_NO_THREADS", f"-I{library / 'include'}", f"-I{library / 'src'}")
    build_extensions(context, [Extension("_argon2_cffi_bindings._ffi", sources, flags)])
    copy_package(package, context.output / "python" / package.name, drop=("_ffi_build.py",))
    write_dist_info(context, context.source / "PKG-INFO", name="argon2-cffi-bindings")
