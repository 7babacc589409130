"""The compiler, its flags and the runtime beside it give programs that compute what C and C++ say they compute."""

import operator
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import wasmtime

from wasmbuild.cache import default_cache
from wasmbuild.graph import Graph
from wasmbuild.plan import load_catalogue, recipe_stages, toolchain_in
from wasmbuild.progress import SilentProgress
from wasmbuild.toolchain import CompileFailed, Toolchain

MASK = 2**64 - 1
# Values at which carries, signs and shifts go wrong first.
EDGES = [0, 1, 2, 0x7F, 0xFF, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**63 + 1, MASK - 1, MASK]

ARITHMETIC = """
#include <stdint.h>
typedef unsigned __int128 wide;
int overflows(int64_t a, int64_t b) { int64_t r; return __builtin_mul_overflow(a, b, &r); }
int overflows_unsigned(uint64_t a, uint64_t b) { uint64_t r; return __builtin_mul_overflow(a, b, &r); }
uint64_t high(uint64_t a, uint64_t b) { return (uint64_t)(((wide)a * b) >> 64); }
uint64_t high_of_sum(uint64_t a, uint64_t b, uint64_t c) { return (uint64_t)(((wide)a * b + c) >> 64); }
uint64_t both_halves(uint64_t h, uint64_t l, uint64_t f) {
    wide low = (wide)l * f;
    wide p = (wide)h * f + (uint64_t)(low >> 64);
    return (uint64_t)(p >> 64) | ((uint64_t)p > 1);
}
uint64_t carry(uint64_t a, uint64_t b, uint64_t c) {
    wide s = (wide)a + b;
    s += c;
    return (uint64_t)(s >> 64) * 3 + (uint64_t)s;
}
"""

STRINGS = """
#define _GNU_SOURCE
#include <string.h>
#include <stdlib.h>
static unsigned char left[4096], right[4096];
unsigned char *left_at(void) { return left; }
unsigned char *right_at(void) { return right; }
int compare(int a, int b, int n) { int r = memcmp(left + a, right + b, n); return (r > 0) - (r < 0); }
int length(int a) { return (int)strlen((char *)left + a); }
int length_up_to(int a, int n) { return (int)strnlen((char *)left + a, n); }
static int at(int a, const void *p) { return p ? (int)((const unsigned char *)p - (left + a)) : -1; }
int first(int a, int c) { return at(a, strchr((char *)left + a, c)); }
int last(int a, int c) { return at(a, strrchr((char *)left + a, c)); }
int first_or_end(int a, int c) { return at(a, strchrnul((char *)left + a, c)); }
int first_in(int a, int c, int n) { return at(a, memchr(left + a, c, n)); }
int last_in(int a, int c, int n) { return at(a, memrchr(left + a, c, n)); }
"""

EXCEPTIONS = """
#include <map>
#include <setjmp.h>
#include <stdexcept>
#include <string>
#include <vector>
static jmp_buf where;
static int destroyed;
struct Guard { ~Guard() { destroyed++; } };
__attribute__((noinline)) static int look_up(const std::string &key) {
    Guard guard;
    std::map<std::string, std::vector<int>> table{{"a", {1, 2}}};
    return table.at(key).at(5);
}
__attribute__((noinline)) static void jump(int value) { longjmp(where, value); }
extern "C" int caught() {
    int found = 0;
    try { look_up("a"); } catch (const std::out_of_range &) { found |= 1; }
    try { look_up("b"); } catch (const std::exception &) { found |= 2; }
    try { throw 5; } catch (int value) { found |= value == 5 ? 4 : 0; }
    if (destroyed == 2) found |= 8;
    return found;
}
extern "C" int jumped() {
    int value = setjmp(where);
    if (value == 0) jump(7);
    return value;
}
"""

ALLOCATOR = """
#include <stdlib.h>
/* Seen by the compiler as used elsewhere, or it would take the allocations out. */
void *volatile kept;
int large_block_costs(int bytes) {
    unsigned before = __builtin_wasm_memory_size(0);
    kept = malloc(bytes);
    return kept ? (int)((__builtin_wasm_memory_size(0) - before) * 65536) : -1;
}
int blocks_after_the_end(void) {
    do kept = malloc(4096); while (kept);
    int more = 0;
    for (kept = malloc(4096); kept; kept = malloc(4096)) more++;
    return more;
}
"""

# What the guest defines itself. The engine's answer would be WASI's number, not the one of this C library.
NO_FOLDERS = """
#include <wasi/api.h>
__attribute__((weak)) int32_t __imported_wasi_snapshot_preview1_fd_prestat_get(int32_t fd, int32_t at) {
    return __WASI_ERRNO_BADF;
}
"""

# A root folder in which everything is a folder.
PATHS = """
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <wasi/api.h>
#define WASI(name) __imported_wasi_snapshot_preview1_##name
int32_t WASI(fd_prestat_get)(int32_t fd, int32_t at) {
    *(__wasi_prestat_t *)at = (__wasi_prestat_t){.u.dir.pr_name_len = 1};
    return fd == 3 ? 0 : __WASI_ERRNO_BADF;
}
int32_t WASI(fd_prestat_dir_name)(int32_t fd, int32_t at, int32_t length) {
    *(char *)at = '/';
    return 0;
}
int32_t WASI(fd_fdstat_get)(int32_t fd, int32_t at) {
    *(__wasi_fdstat_t *)at = (__wasi_fdstat_t){.fs_rights_base = -1, .fs_rights_inheriting = -1};
    return 0;
}
int32_t WASI(path_filestat_get)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t at) {
    *(__wasi_filestat_t *)at = (__wasi_filestat_t){.filetype = __WASI_FILETYPE_DIRECTORY};
    return 0;
}
int32_t WASI(path_open)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t oflags, int64_t rights,
                        int64_t inheriting, int32_t flags, int32_t at) {
    *(int32_t *)at = 7;
    return 0;
}
int opened(int is_named) { return open(is_named ? "." : "", O_RDONLY) < 0 ? errno : 0; }
int entered(int is_named) { return chdir(is_named ? "." : "") < 0 ? errno : 0; }
"""

ERRNO = """
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <wasi/api.h>
int missing(void) { return ENOENT; }
int missing_in_wasi(void) { return __WASI_ERRNO_NOENT; }
int too_large(void) { errno = 0; (void)strtol("99999999999999999999", NULL, 10); return errno; }
int no_such_alignment(void) { void *block; return posix_memalign(&block, 3, 8); }
int says(int number, int at) { char text[40] = {0}; strncpy(text, strerror(number), 39); return text[at]; }
"""

Run = Callable[..., int]


@pytest.fixture(scope="session")
def toolchain(tools_folder: Path) -> Toolchain:
    return toolchain_in(tools_folder, default_cache())


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The output of the stage `runtime`, built if it is not there."""
    cache = default_cache()
    graph = Graph(recipe_stages(load_catalogue(), ["runtime"], cache), cache)
    if not graph.is_done("runtime"):
        with cache.lock():
            graph.run(["runtime"], SilentProgress())
    return graph.folder("runtime")


@pytest.fixture
def run(toolchain: Toolchain, runtime: Path, tmp_path: Path) -> Callable[..., Run]:
    """Compiles a program and returns a function that calls its exports by name; "memory" gives the raw memory."""

    def start(program: str, suffix: str = ".c", memory_pages: int | None = None) -> Run:
        source = tmp_path / f"program{suffix}"
        source.write_text(program, encoding="utf-8")
        source_object = toolchain.compile_one(source, tmp_path / "program.o")
        options = ["--export-dynamic", "--export-all"]
        if memory_pages is not None:
            options.append(f"--max-memory={memory_pages * 65536}")
        files = tmp_path / "no_folders.c"
        files.write_text(NO_FOLDERS, encoding="utf-8")
        objects = [source_object, toolchain.compile_one(files, tmp_path / "no_folders.o")]
        toolchain.link(tmp_path / "program.wasm", objects, runtime, options=options)
        config = wasmtime.Config()
        config.wasm_exceptions = True
        engine = wasmtime.Engine(config)
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        module = wasmtime.Module.from_file(engine, str(tmp_path / "program.wasm"))
        exports = linker.instantiate(store, module).exports(store)
        exports["_initialize"](store)  # type: ignore[operator]

        def call(name: str, *arguments: int | bytes) -> int:
            if name == "write":
                address, data = arguments
                memory = exports["memory"]
                assert isinstance(memory, wasmtime.Memory)
                memory.write(store, data, address)  # type: ignore[arg-type]
                return 0
            function = exports[name]
            assert isinstance(function, wasmtime.Func)
            result: int = function(store, *arguments)
            return result

        return call

    return start


def signed(value: int) -> int:
    return value - 2**64 if value >> 63 else value


def operands(count: int) -> Sequence[tuple[int, ...]]:
    """Every combination of edge values for two operands, and random ones; deterministic."""
    source = random.Random(128)
    pairs = [(a, b) for a in EDGES for b in EDGES]
    if count == 2:
        return pairs + [(source.getrandbits(64), source.getrandbits(source.randint(1, 64))) for _ in range(300)]
    return [(a, b, source.choice(EDGES)) for a, b in pairs] + [
        (source.getrandbits(64), source.getrandbits(64), source.getrandbits(64)) for _ in range(300)
    ]


def test_overflow_checks_and_128_bit_arithmetic_are_right(run: Callable[..., Run]) -> None:
    call = run(ARITHMETIC)

    def exceeds(a: int, b: int) -> int:
        return not -(2**63) <= signed(a) * signed(b) < 2**63

    def both_halves(h: int, low: int, f: int) -> int:
        product = h * f + (low * f >> 64)
        return (product >> 64 & MASK) | ((product & MASK) > 1)

    def carry(a: int, b: int, c: int) -> int:
        total = a + b + c
        return ((total >> 64) * 3 + (total & MASK)) & MASK

    references: dict[str, tuple[int, Callable[..., int]]] = {
        "overflows": (2, exceeds),
        "overflows_unsigned": (2, lambda a, b: a * b > MASK),
        "high": (2, lambda a, b: a * b >> 64),
        "high_of_sum": (3, lambda a, b, c: a * b + c >> 64 & MASK),
        "both_halves": (3, both_halves),
        "carry": (3, carry),
    }
    for name, (count, reference) in references.items():
        for values in operands(count):
            assert call(name, *map(signed, values)) & MASK == reference(*values), (name, [hex(v) for v in values])


def test_vector_string_functions_agree_with_python(run: Callable[..., Run]) -> None:
    call = run(STRINGS)
    source = random.Random(16)
    left_address, right_address = call("left_at"), call("right_at")
    for _ in range(1500):
        size, a, b = source.randrange(70), source.randrange(20), source.randrange(20)
        left = bytes(source.randrange(1, 256) for _ in range(size))
        right = bytearray(left)
        if size and source.random() < 0.6:
            right[source.randrange(size)] = source.randrange(256)
        call("write", left_address + a, left + b"\0")
        call("write", right_address + b, bytes(right) + b"\0")
        limit = source.randrange(80)
        wanted = source.choice(left) if size and source.random() < 0.7 else source.randrange(256)
        text = left + b"\0"
        assert call("compare", a, b, size) == (left > right) - (left < right)
        assert call("length", a) == size
        assert call("length_up_to", a, limit) == min(size, limit)
        assert call("first", a, wanted) == text.find(wanted)
        assert call("last", a, wanted) == text.rfind(wanted)
        assert call("first_or_end", a, wanted) == (text.find(wanted) if wanted in text else size)
        assert call("first_in", a, wanted, size) == left.find(wanted)
        assert call("last_in", a, wanted, size) == left.rfind(wanted)


def test_exceptions_of_cxx_and_long_jumps_arrive(run: Callable[..., Run]) -> None:
    call = run(EXCEPTIONS, ".cpp")
    assert call("caught") == 15
    assert call("jumped") == 7


def test_a_large_block_takes_little_more_memory_than_it_holds(run: Callable[..., Run]) -> None:
    size = 65 * 1024 * 1024
    assert size <= run(ALLOCATOR)("large_block_costs", size) <= size + 2 * 65536


def test_the_allocator_keeps_a_reserve_for_the_first_failure(run: Callable[..., Run]) -> None:
    more = run(ALLOCATOR, memory_pages=600)("blocks_after_the_end")
    assert 40 <= more <= 64, more


def test_an_undefined_symbol_is_an_error(toolchain: Toolchain, runtime: Path, tmp_path: Path) -> None:
    source = tmp_path / "missing.c"
    source.write_text("int nowhere(int); int ask(void) { return nowhere(1); }", encoding="utf-8")
    compiled = toolchain.compile_one(source, tmp_path / "missing.o")
    with pytest.raises(CompileFailed) as failure:
        toolchain.link(tmp_path / "missing.wasm", [compiled], runtime, exports=["ask"])
    assert "undefined symbol: nowhere" in failure.value.tail


def test_the_stamp_follows_every_flag(tmp_path: Path) -> None:
    plain = Toolchain(zig=tmp_path, cache=tmp_path)
    others = [
        Toolchain(zig=tmp_path, cache=tmp_path, optimize="-O3"),
        Toolchain(zig=tmp_path, cache=tmp_path, extra=("-DX",)),
    ]
    assert plain.stamp == Toolchain(zig=tmp_path / "elsewhere", cache=tmp_path / "other").stamp
    assert len({plain.stamp, *map(operator.attrgetter("stamp"), others)}) == 3


def test_the_c_library_has_the_numbers_and_texts_of_linux(run: Callable[..., Run]) -> None:
    call = run(ERRNO)
    assert (call("missing"), call("missing_in_wasi")) == (2, 2)
    # Of a function that the compiler has rewritten, and of our own allocator.
    assert (call("too_large"), call("no_such_alignment")) == (34, 22)

    def says(number: int) -> str:
        codes = [call("says", number, at) for at in range(40)]
        return "".join(map(chr, codes[: codes.index(0)]))

    assert [says(number) for number in (0, 2, 24, 41, 133, 134, -1, -(2**31))] == [
        "Success", "No such file or directory", "Too many open files", "Unknown error 41",
        "Memory page has hardware error", "Unknown error 134", "Unknown error -1", "Unknown error -2147483648",
    ]  # fmt: skip


def test_an_empty_path_is_no_name_of_the_current_directory(run: Callable[..., Run]) -> None:
    call = run(PATHS)
    assert [call(name, is_named) for name in ("opened", "entered") for is_named in (0, 1)] == [2, 0, 2, 0]
