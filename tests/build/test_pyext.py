"""Extension modules are compiled from source lists: each source once, and with the compiler's words on failure."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from wasmbuild import tools
from wasmbuild.cache import default_cache
from wasmbuild.localise import init_symbol, read_symbols
from wasmbuild.plan import clean_environment, toolchain_in
from wasmbuild.process import Processes
from wasmbuild.pyext import Extension, build_extensions, compile_archive, copy_package, render_templates
from wasmbuild.recipe import BuildContext, Recipe, StageFailed

Report = tuple[int, int, str]


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def context(tools_folder: Path, tmp_path: Path, reports: list[Report]) -> BuildContext:
    folders = {name: tmp_path / name for name in ("source", "output", "work", "cpython/include/python3.11")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    toolchain = toolchain_in(tools_folder, default_cache())
    return BuildContext(
        recipe=Recipe("demo", tmp_path, "1.0", "extension", "MIT"),
        source=folders["source"],
        sources={"demo": folders["source"]},
        output=folders["output"],
        work=folders["work"],
        inputs={"cpython": tmp_path / "cpython"},
        toolchain=toolchain,
        python=tools.python_in(tools_folder),
        log=tmp_path / "log",
        processes=Processes(),
        environment=toolchain.env(clean_environment(folders["work"])),
        report=lambda done, total, what: reports.append((done, total, what)),
        job_budget=lambda: 2,
    )


def write(context: BuildContext, files: dict[str, str]) -> list[Path]:
    paths = [context.source / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return paths


def global_names(file: Path) -> set[str]:
    return {s.name for s in read_symbols(file.read_bytes()) if s.name and s.is_defined and not s.is_local}


def compiled(context: BuildContext, name: str) -> int:
    return sum(f"/{name}" in line and " -c " in line for line in context.log.read_text(encoding="utf-8").splitlines())


def test_each_module_becomes_one_object_and_shared_sources_are_compiled_once(
    context: BuildContext, reports: list[Report]
) -> None:
    shared, one, two = write(
        context,
        {
            "shared.c": "int shared(int x) { return x * 3; }",
            "a/part.c": "int shared(int); int PyInit_one(void) { return shared(VALUE); }",
            "b/part.c": "int shared(int); int PyInit_two(void) { return shared(VALUE); }",
        },
    )
    flags = ("-DVALUE=2",)
    extensions = [Extension("demo.one", [one, shared], flags), Extension("demo.two", [two, shared], flags)]
    files = build_extensions(context, extensions)
    assert [file.relative_to(context.output).as_posix() for file in files] == [
        "objects/demo.one.o",
        "objects/demo.two.o",
    ]
    assert [global_names(file) for file in files] == [{init_symbol("demo.one")}, {init_symbol("demo.two")}]
    assert compiled(context, "shared.c") == 1
    assert reports[-1][:2] == (1000, 1000)
    assert [done for done, _, _ in reports] == sorted(done for done, _, _ in reports)


def test_other_flags_make_other_objects_of_one_source(context: BuildContext) -> None:
    (source,) = write(context, {"m.c": "int PyInit_m(void) { return VALUE; }"})
    build_extensions(context, [Extension("a.m", [source], ("-DVALUE=1",)), Extension("b.m", [source], ("-DVALUE=2",))])
    assert compiled(context, "m.c") == 2


def test_members_of_an_archive_are_taken_as_needed(context: BuildContext) -> None:
    used, unused, module = write(
        context,
        {
            "used.c": "int used(void) { return 1; }",
            "unused.c": "int elsewhere(void); int unused(void) { return elsewhere(); }",
            "m.c": "int used(void); int PyInit_m(void) { return used(); }",
        },
    )
    archive = compile_archive(context, context.work / "lib.a", [used, unused], ())
    (file,) = build_extensions(context, [Extension("p.m", [module], (), [archive])])
    names = {symbol.name for symbol in read_symbols(file.read_bytes())}
    assert "used" in names
    assert "unused" not in names


def test_a_compile_error_ends_the_stage_with_the_compilers_words(context: BuildContext) -> None:
    (source,) = write(context, {"m.c": "int PyInit_m(void) { return nothing; }"})
    with pytest.raises(StageFailed) as failure:
        build_extensions(context, [Extension("p.m", [source])])
    assert "use of undeclared identifier 'nothing'" in failure.value.tail


def test_a_module_without_its_init_function_is_refused(context: BuildContext) -> None:
    (source,) = write(context, {"m.c": "int PyInit_other(void) { return 0; }"})
    with pytest.raises(ValueError, match=r"^p\.m: does not define PyInit_m$"):
        build_extensions(context, [Extension("p.m", [source])])


def test_templates_are_rendered_beside_themselves(context: BuildContext) -> None:
    templates = write(context, {"x.pxi.in": "{{for n in [1, 2]}}a{{n}}\n{{endfor}}", "y.pyx.in": "{{py: v = 3}}b{{v}}"})
    render_templates(context, templates)
    assert (context.source / "x.pxi").read_text(encoding="utf-8").split() == ["a1", "a2"]
    assert (context.source / "y.pyx").read_text(encoding="utf-8").split() == ["b3"]


def test_a_package_is_copied_without_sources_and_what_is_dropped(context: BuildContext) -> None:
    names = ["p/__init__.py", "p/data.json", "p/m.pyx", "p/m.c", "p/tests/test_m.py", "p/sub/x.py", "p/sub/x.pyi"]
    write(context, dict.fromkeys(names, ""))
    copy_package(context.source / "p", context.output / "p", drop=("tests",))
    assert files_below(context.output) == ["p/__init__.py", "p/data.json", "p/sub/x.py"]


def files_below(folder: Path) -> list[str]:
    found: Iterable[Path] = folder.rglob("*")
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())
