"""Objects of two extensions that define the same names differently can be linked into one module."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import wasmtime

from wasmbuild.cache import default_cache
from wasmbuild.localise import LocaliseError, Symbol, init_symbol, join_module, localise, read_symbols
from wasmbuild.plan import toolchain_in
from wasmbuild.toolchain import CompileFailed, Toolchain

Compile = Callable[[str, str], Path]


@pytest.fixture
def toolchain(tools_folder: Path) -> Toolchain:
    return toolchain_in(tools_folder, default_cache())


@pytest.fixture
def compile_source(toolchain: Toolchain, tmp_path: Path) -> Compile:
    """Compiles a text to an object: compile_source("a.c", text)."""

    def run(name: str, text: str) -> Path:
        source = tmp_path / name
        source.write_text(text, encoding="utf-8")
        return toolchain.compile_one(source, tmp_path / f"{name}.o")

    return run


def linker_of(toolchain: Toolchain) -> Callable[[Iterable[Path], Path], object]:
    return lambda inputs, target: toolchain.call(*toolchain.wasm_ld, "-r", *inputs, "-o", target)


def by_name(module: bytes) -> dict[str, Symbol]:
    return {symbol.name: symbol for symbol in read_symbols(module) if symbol.name}


def extension(answer: int) -> tuple[str, str]:
    """Two sources of one extension: the helper has the same name, but its own signature and data, in each extension."""
    helper = "int helper(int x)" if answer == 1 else "long long helper(long long x, int y)"
    call = "helper(1)" if answer == 1 else "(int)helper(1, 2)"
    return (
        f"int shared_table[2] = {{{answer}, {answer * 10}}}; {helper} {{ return shared_table[1] + x; }}",
        f"{helper}; extern int shared_table[2]; int PyInit_mod(void) {{ return shared_table[0] * 1000 + {call}; }}",
    )


def test_init_symbol_carries_the_whole_dotted_name() -> None:
    assert init_symbol("numpy.core._multiarray_umath") == "PyInit_numpy__dot__core__dot___multiarray_umath"
    assert init_symbol("_yaml") == "PyInit__yaml"


def test_same_names_with_other_signatures_link_and_stay_apart(
    toolchain: Toolchain, compile_source: Compile, tmp_path: Path
) -> None:
    joined = []
    for answer, package in ((1, "one"), (2, "two")):
        parts = [compile_source(f"{package}{n}.c", text) for n, text in enumerate(extension(answer))]
        joined.append(join_module(linker_of(toolchain), f"{package}.mod", parts, tmp_path / f"{package}.mod.o"))
    main = compile_source(
        "main.c",
        "int PyInit_one__dot__mod(void), PyInit_two__dot__mod(void);"
        '__attribute__((export_name("run"))) int run(int n) {'
        " return n ? PyInit_two__dot__mod() : PyInit_one__dot__mod(); }",
    )
    target = tmp_path / "all.wasm"
    toolchain.call(*toolchain.wasm_ld, "--no-entry", "--fatal-warnings", main, *joined, "-o", target)
    store = wasmtime.Store()
    run = wasmtime.Instance(store, wasmtime.Module.from_file(store.engine, str(target)), []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    assert (run(store, 0), run(store, 1)) == (1 * 1000 + 10 + 1, 2 * 1000 + 20 + 1)
    assert not (tmp_path / "one.mod.o.joined").exists()


def test_the_same_objects_without_localising_do_not_link(
    toolchain: Toolchain, compile_source: Compile, tmp_path: Path
) -> None:
    parts = [compile_source(f"{a}{n}.c", text) for a in (1, 2) for n, text in enumerate(extension(a))]
    with pytest.raises(CompileFailed) as failure:
        toolchain.call(*toolchain.wasm_ld, "--no-entry", *parts, "-o", tmp_path / "all.wasm")
    assert "duplicate symbol: shared_table" in failure.value.tail


def test_defined_symbols_become_local_and_undefined_ones_stay(toolchain: Toolchain, compile_source: Compile) -> None:
    source = (
        "extern int wanted_data; int wanted(int); static int own; int global_data = 3;"
        "__attribute__((weak)) int maybe(void) { return 4; } __attribute__((weak)) int absent(void);"
        "int plain(void) { own += wanted_data; return wanted(own) + maybe() + (absent ? 1 : 0); }"
        "int PyInit_m(void) { return plain() + global_data; }"
    )
    before = compile_source("m.c", source).read_bytes()
    after = localise(before, {"PyInit_m": "PyInit_p__dot__m"})
    symbols = by_name(after)
    for name in ("plain", "global_data", "maybe", "own"):
        assert symbols[name].is_defined, name
        assert symbols[name].is_local, name
    assert not symbols["PyInit_p__dot__m"].is_local
    assert "PyInit_m" not in symbols
    assert not symbols["wanted_data"].is_defined
    # Functions that are only wanted have their name in the import section.
    assert b"\x06wanted" in after
    assert len(read_symbols(after)) == len(read_symbols(before))
    # Once more changes nothing.
    assert localise(after, {"PyInit_p__dot__m": "PyInit_p__dot__m"}) == after


def test_inline_functions_of_cxx_are_not_merged_across_extensions(
    toolchain: Toolchain, compile_source: Compile, tmp_path: Path
) -> None:
    joined = []
    for answer, package in ((7, "a"), (8, "b")):
        # The same inline function with two meanings: a COMDAT group that the linker would keep only once.
        text = (
            f'struct S {{ int f() {{ return {answer}; }} }}; extern "C" int PyInit_m() {{ S s; return (s.*&S::f)(); }}'
        )
        part = compile_source(f"{package}.cpp", text)
        joined.append(join_module(linker_of(toolchain), f"{package}.m", [part], tmp_path / f"{package}.m.o"))
    main = compile_source(
        "main.c",
        "int PyInit_a__dot__m(void), PyInit_b__dot__m(void);"
        '__attribute__((export_name("run"))) int run(void) { return PyInit_a__dot__m() * 10 + PyInit_b__dot__m(); }',
    )
    target = tmp_path / "all.wasm"
    toolchain.call(*toolchain.wasm_ld, "--no-entry", main, *joined, "-o", target)
    store = wasmtime.Store()
    run = wasmtime.Instance(store, wasmtime.Module.from_file(store.engine, str(target)), []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    assert run(store) == 78


def test_a_missing_init_function_is_named(toolchain: Toolchain, compile_source: Compile, tmp_path: Path) -> None:
    part = compile_source("m.c", "int PyInit_other(void) { return 0; }")
    with pytest.raises(LocaliseError, match=r"^pkg\.m: does not define PyInit_m$"):
        join_module(linker_of(toolchain), "pkg.m", [part], tmp_path / "m.o")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a wasm module"),
        (b"!<arch>\n", "not a wasm module"),
        (b"\0asm\1\0\0\0", "expected one linking section, found 0"),
        (b"\0asm\1\0\0\0\0\x7f", "section 0 at byte 8 is cut off"),
        (b"\0asm\1\0\0\0\0\x09\x07linking\x01", "linking section of version 1, expected 2"),
        (b"\0asm\1\0\0\0\0\x0b\x07linking\x02\x08\x05", "subsection 8 of the linking section is cut off"),
        (b"\0asm\1\0\0\0\0\x0c\x07linking\x02\x08\x01\x05", "the data ends inside a record"),
        (b"\0asm\1\0\0\0\0\x0f\x07linking\x02\x08\x04\x01\x09\x00\x00", "unknown symbol kind 9"),
        (b"\0asm\1\0\0\0\0\xff\xff\xff\xff\xff\x0f", "a number is longer than 32 bits"),
    ],
)
def test_what_is_no_relocatable_object_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(LocaliseError, match=message):
        localise(content, {})


def test_every_truncation_of_an_object_is_refused(compile_source: Compile) -> None:
    whole = compile_source("m.c", "int a[3]; int PyInit_m(void) { return a[1]; }").read_bytes()
    for size in range(len(whole)):
        try:
            localise(whole[:size], {"PyInit_m": "PyInit_m"})
        except LocaliseError:
            continue
        # What follows the linking section is no business of this module; a cut between two sections is a valid module.
        assert whole.rindex(b"linking") < size
