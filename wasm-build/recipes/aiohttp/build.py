"""Builds aiohttp with its C accelerators: the parser and writer of HTTP messages, and a few helpers.

The archive carries the C files that its authors' Cython made, and llhttp beside them.
"""

from wasmbuild.pyext import Extension, build_extensions, copy_package, write_dist_info
from wasmbuild.recipe import BuildContext


def build(context: BuildContext) -> None:
    """Fill objects/aiohttp.*.o and python/aiohttp."""
    package = context.source / "aiohttp"
    llhttp = context.source / "vendor" / "llhttp"
    parser = [
        package / "_http_parser.c",
        package / "_find_header.c",
        llhttp / "build" / "c" / "llhttp.c",
        llhttp / "src" / "native" / "api.c",
        llhttp / "src" / "native" / "http.c",
    ]
    flags = ("-DLLHTTP_STRICT_MODE=0", f"-I{llhttp / 'build'}", f"-I{package}")
    extensions = [Extension("aiohttp._http_parser", parser, flags)]
    extensions += [
        Extension(f"aiohttp.{name}", [package / f"{name}.c"]) for name in ("_helpers", "_http_writer", "_websocket")
    ]
    build_extensions(context, extensions)
    copy_package(package, context.output / "python" / "aiohttp")
    write_dist_info(context, context.source / "PKG-INFO", name="aiohttp")
