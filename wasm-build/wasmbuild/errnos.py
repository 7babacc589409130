"""Linux' errors for the C library that comes with the compiler, whose numbers are WASI's.

WASI numbers its errors alphabetically, and the library passes them on as `errno`. The functions of WASI that fail are
the guest's own (`guest/native`), so nothing outside speaks those numbers: the compiler's headers and sources get
Linux' instead, before anything is compiled with them.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from wasmbuild.errors import BuildError

TABLE = Path(__file__).resolve().parent.parent / "errno.toml"

API = "libc/include/wasm-wasi-musl/wasi/api.h"
VALUES = "libc/include/wasm-wasi-musl/__errno_values.h"
TEXTS = "libc/wasi/libc-top-half/musl/src/errno/__strerror.h"
ZIG = "std/os/wasi.zig"
SOURCES = "libc/wasi/libc-bottom-half"
PATHS = f"{SOURCES}/sources/chdir.c"

# What Linux lacks: nothing returns it, and Python must not list it.
_NOTCAPABLE = 134


def load_errnos() -> tuple[dict[str, tuple[int, str]], dict[str, str]]:
    """Number and text of each name, and the name that each alias stands for."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: (number, text) for name, (number, text) in table["numbers"].items()}, table["aliases"]


def fail_like_linux(lib: Path) -> None:
    """Rewrite headers and sources below the compiler's `lib`: its C library has the numbers and texts of errno.toml.

    Raises:
        BuildError: a file is not as this expects; it names the file and what was not found.
    """
    numbers, aliases = load_errnos()

    def number_of(name: str) -> str:
        """The number of a name as WASI spells it: without its E."""
        if name == "SUCCESS":
            return "0"
        if name == "NOTCAPABLE":
            return str(_NOTCAPABLE)
        known = aliases.get(f"E{name}", f"E{name}")
        if known not in numbers:
            raise BuildError(f"{TABLE.name} has no E{name}, which the compiler's C library knows")
        return str(numbers[known][0])

    _rewrite(lib / API, r"(#define __WASI_ERRNO_(\w+) \(UINT16_C\()\d+(?=\)\))", lambda m: m[1] + number_of(m[2]))
    _rewrite(
        lib / ZIG,
        r"(?<=pub const errno_t = enum\(u16\) \{\n)[^}]*(?=\};)",
        lambda m: re.sub(r'^( +(?:@")?(\w+)"? = )\d+', lambda n: n[1] + number_of(n[2]), m[0], flags=re.MULTILINE),
    )
    for source in sorted((lib / SOURCES).rglob("*.c")):
        if "ENOTCAPABLE" in source.read_text(encoding="utf-8"):
            _rewrite(source, r"\bENOTCAPABLE\b", lambda m: "__WASI_ERRNO_NOTCAPABLE")
    # An empty path is no name for the current directory.
    _rewrite(
        lib / PATHS,
        r"\nint __wasilibc_find_relpath_alloc\([^)]*\) \{\n",
        lambda m: f"{m[0]}    if (*path == 0) {{ errno = ENOENT; return -1; }}\n",
    )
    defines = [f"#define {name} {number}" for name, (number, _) in numbers.items()]
    defines += [f"#define {alias} {name}" for alias, name in aliases.items()]
    guard = "__wasilibc___errno_values_h"
    lines = [f"#ifndef {guard}", f"#define {guard}", "#include <wasi/api.h>", *defines, "#endif", ""]
    _replace(lib / VALUES, "\n".join(lines))
    texts = ['E(0, "Success")', *(f'E({name}, "{text}")' for name, (_, text) in numbers.items())]
    _replace(lib / TEXTS, "\n".join([*texts, ""]))


def _rewrite(path: Path, pattern: str, replacement: Callable[[re.Match[str]], str]) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
    if count == 0:
        raise BuildError(f"{path.name} of the compiler has nothing like {pattern}: another version?")
    _replace(path, text)


def _replace(path: Path, text: str) -> None:
    # A new file: the old one may be a hard link into the installer's cache.
    path.unlink()
    path.write_text(text, encoding="utf-8")
