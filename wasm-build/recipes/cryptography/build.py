"""cryptography's last version without Rust, over the guest's own OpenSSL."""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext

BINDINGS = ("openssl", "padding")


def build(context: BuildContext) -> None:
    """Fill objects/cryptography.hazmat.bindings._openssl.o and _padding.o, and python/cryptography."""
    source = context.source / "src"
    emit = context.inputs["cffi"] / "build" / "emit.py"
    include = f"-I{context.inputs['openssl'] / 'include'}"
    extensions = []
    for name in BINDINGS:
        binding = context.work / f"_{name}.c"
        # Its script names libraries unless told not to; here the guest's link does.
        environment = {"CRYPTOGRAPHY_SUPPRESS_LINK_FLAGS": "1"}
        context.run(context.python, emit, source / "_cffi_src" / f"build_{name}.py", binding, env=environment)
        extensions.append(Extension(f"cryptography.hazmat.bindings._{name}", [binding], (include,)))
    build_extensions(context, extensions)
    copy_package(source / "cryptography", context.output / "python" / "cryptography")
    write_dist_info(context, context.source / "PKG-INFO", name="cryptography")
