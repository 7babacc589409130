"""errnos.py: the table is Linux', and a compiler of another make is refused instead of keeping half its numbers."""

import errno
import os
import platform
from pathlib import Path

import pytest

from wasmbuild import errnos
from wasmbuild.errors import BuildError

API = "#define __WASI_ERRNO_SUCCESS (UINT16_C(0))\n#define __WASI_ERRNO_NOENT (UINT16_C(44))\n"
ZIG = 'pub const errno_t = enum(u16) {\n    SUCCESS = 0,\n    @"2BIG" = 1,\n    NOENT = 44,\n  _,\n};\nconst x = 44;\n'
PATHS = "\nint __wasilibc_find_relpath_alloc(\n    const char *path\n) {\n    return ENOTCAPABLE;\n}\n"


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    """What errnos.py reads of a compiler's folder."""
    texts = {errnos.API: API, errnos.ZIG: ZIG, errnos.PATHS: PATHS, errnos.VALUES: "old", errnos.TEXTS: "old"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the reference is Linux with glibc")
def test_the_table_is_that_of_this_machine() -> None:
    numbers, aliases = errnos.load_errnos()
    known = {number for number, _ in numbers.values()}
    assert {name: getattr(errno, name) for name in [*numbers, *aliases] if hasattr(errno, name)} == {
        name: number for name in dir(errno) if name.startswith("E") and (number := getattr(errno, name))
    }
    assert dict(numbers.values()) == {number: os.strerror(number) for number in known}
    assert [os.strerror(number) for number in range(1, 200) if number not in known] == [
        f"Unknown error {number}" for number in range(1, 200) if number not in known
    ]


def test_headers_and_sources_get_the_numbers_of_the_table(lib: Path) -> None:
    errnos.fail_like_linux(lib)
    read = {name: (lib / name).read_text() for name in (errnos.API, errnos.ZIG, errnos.PATHS, errnos.VALUES)}
    assert read[errnos.API] == API.replace("44", "2")
    assert read[errnos.ZIG] == ZIG.replace("NOENT = 44", "NOENT = 2").replace('@"2BIG" = 1', '@"2BIG" = 7')
    assert (
        "    if (*path == 0) { errno = ENOENT; return -1; }\n    return __WASI_ERRNO_NOTCAPABLE;" in read[errnos.PATHS]
    )
    assert {"#define ENOENT 2", "#define EWOULDBLOCK EAGAIN"} <= set(read[errnos.VALUES].splitlines())
    assert 'E(ENOENT, "No such file or directory")' in (lib / errnos.TEXTS).read_text()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (errnos.API, "#define __WASI_ERRNO_NOENT 44\n", "api.h of the compiler has nothing like"),
        (errnos.API, "#define __WASI_ERRNO_NOVEL (UINT16_C(99))\n", "errno.toml has no ENOVEL"),
        (errnos.ZIG, "pub const errno_t = enum(u32) {};\n", "wasi.zig of the compiler has nothing like"),
        (errnos.PATHS, "", "chdir.c of the compiler has nothing like"),
    ],
)
def test_another_compiler_is_refused(lib: Path, name: str, text: str, message: str) -> None:
    (lib / name).write_text(text, encoding="utf-8")
    with pytest.raises(BuildError, match=message):
        errnos.fail_like_linux(lib)
