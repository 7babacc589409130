"""From a recipe to its output: unpacked, patched, built in a clean environment; pure packages without any code run."""

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from wasmbuild import plan
from wasmbuild.cache import Cache
from wasmbuild.errors import ArchiveError, StageFailed
from wasmbuild.graph import StageRun
from wasmbuild.link import check_module, init_name, inittab_source
from wasmbuild.process import Processes
from wasmbuild.recipe import load_recipe
from wasmbuild.sources import Source

BUILD = """
def build(context):
    context.run("sh", "-c", "pwd; env | sort; echo to the error stream >&2")
    said = context.capture("sh", "-c", "echo $EXTRA", env={"EXTRA": "more"})
    context.progress(1, 2, "things")
    (context.output / "seen").write_text((context.source / "file.txt").read_text() + said)
"""
PATCH = "--- a/file.txt\n+++ b/file.txt\n@@ -1 +1 @@\n-original\n+patched\n"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache")
    made.prepare()
    return made


def put_source(cache: Cache, file: str, content: bytes, origin: str = "pypi-sdist") -> dict[str, Source]:
    sha256 = hashlib.sha256(content).hexdigest()
    source = Source(
        key="thing", version="1", origin=origin, package="thing", file=file, size=len(content), sha256=sha256,
        licence="MIT",
    )  # fmt: skip
    (cache.sources / source.cache_name).write_bytes(content)
    return {"thing": source}


def tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("thing-1/file.txt")
        info.size = 9
        tar.addfile(info, io.BytesIO(b"original\n"))
    return buffer.getvalue()


def write_recipe(tmp_path: Path, kind: str, build: str | None) -> Path:
    folder = tmp_path / "recipes" / "thing"
    (folder / "patches").mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        f'name = "thing"\nversion = "1"\nkind = "{kind}"\nlicence = "MIT"\nsources = ["thing"]\n'
    )
    if build is not None:
        (folder / "build.py").write_text(build)
    return folder


def run_recipe(folder: Path, sources: dict[str, Source], cache: Cache) -> tuple[Path, list[tuple[int, int, str]]]:
    reports: list[tuple[int, int, str]] = []
    output, work = cache.work / "output", cache.work / "scratch"
    output.mkdir()
    work.mkdir()
    run = StageRun(
        output=output,
        work=work,
        log=cache.logs / "thing.log",
        inputs={},
        processes=Processes(),
        report=lambda done, total, what: reports.append((done, total, what)),
        job_budget=lambda: 1,
    )
    plan.build_recipe(load_recipe(folder), sources, cache, run)
    return output, reports


def test_recipe_is_unpacked_patched_and_built_in_a_clean_environment(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-DLEAKED")
    monkeypatch.setenv("PKG_CONFIG_PATH", "/leaked")
    folder = write_recipe(tmp_path, "library", BUILD)
    (folder / "patches" / "0001-change.patch").write_text(PATCH)
    output, reports = run_recipe(folder, put_source(cache, "thing-1.tar.gz", tarball()), cache)
    assert (output / "seen").read_text() == "patched\nmore\n"
    assert (1, 2, "things") in reports
    log = (cache.logs / "thing.log").read_text()
    assert "0001-change.patch: patched file.txt" in log
    assert "to the error stream" in log
    assert "LEAKED" not in log
    assert "/leaked" not in log
    names = {line.split("=")[0] for line in log.splitlines() if "=" in line and not line.startswith("$")}
    assert "HOME" in names
    assert os.environ.get("HOME", "") + "\n" not in [line.removeprefix("HOME=") + "\n" for line in log.splitlines()]


def test_failing_command_says_how_it_ended_and_shows_what_it_said(tmp_path: Path, cache: Cache) -> None:
    build = 'def build(context):\n    context.run("sh", "-c", "echo the reason; exit 3")\n'
    folder = write_recipe(tmp_path, "library", build)
    with pytest.raises(StageFailed, match="thing: sh ended with status 3") as caught:
        run_recipe(folder, put_source(cache, "thing-1.tar.gz", tarball()), cache)
    assert caught.value.tail.splitlines()[-1] == "the reason"


def test_program_that_is_not_there_is_a_clear_error(tmp_path: Path, cache: Cache) -> None:
    folder = write_recipe(tmp_path, "library", 'def build(context):\n    context.run("no-such-program")\n')
    with pytest.raises(StageFailed, match="no-such-program could not be started: No such file"):
        run_recipe(folder, put_source(cache, "thing-1.tar.gz", tarball()), cache)


def wheel(**extra: str) -> bytes:
    buffer = io.BytesIO()
    files = {"thing/__init__.py": "raise SystemExit", "thing-1.dist-info/METADATA": "Name: thing", **extra}
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def test_pure_recipe_is_its_wheel_with_data_folders_merged(tmp_path: Path, cache: Cache) -> None:
    content = wheel(**{"thing-1.data/purelib/more.py": "x = 1", "thing-1.data/scripts/run": "#!"})
    sources = put_source(cache, "thing-1-py3-none-any.whl", content, "pypi-wheel")
    output, _ = run_recipe(write_recipe(tmp_path, "pure", None), sources, cache)
    found = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert found == ["python/more.py", "python/thing-1.dist-info/METADATA", "python/thing/__init__.py"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"thing/fast.cpython-311-x86_64-linux-gnu.so": "x"}, "is native code; this recipe is not pure"),
        ({"thing-1.data/purelib/thing/__init__.py": "x"}, "comes twice"),
    ],
)
def test_wheel_that_is_not_pure_is_refused(tmp_path: Path, cache: Cache, extra: dict[str, str], message: str) -> None:
    sources = put_source(cache, "thing-1-py3-none-any.whl", wheel(**extra), "pypi-wheel")
    with pytest.raises(ArchiveError, match=message):
        run_recipe(write_recipe(tmp_path, "pure", None), sources, cache)


def test_inittab_names_every_extension_by_its_dotted_name() -> None:
    text = inittab_source(["b.c._d", "a"])
    assert init_name("b.c._d") == "PyInit_b__dot__c__dot___d"
    assert text.index('{"a", PyInit_a},') < text.index('{"b.c._d", PyInit_b__dot__c__dot___d},') < text.index("NULL")


def test_module_with_another_import_is_refused_by_name() -> None:
    import wasmtime

    from wasmbuild.errors import BuildError

    text = '(module (import "wasi_snapshot_preview1" "fd_write" (func)) (import "wasmexec" "log" (func)))'
    with pytest.raises(BuildError, match=r"the guest imports wasi_snapshot_preview1\.fd_write; allowed are only"):
        check_module(bytes(wasmtime.wat2wasm(text)))
    with pytest.raises(BuildError, match="the guest does not export _initialize, memory, wx_boot"):
        check_module(bytes(wasmtime.wat2wasm("(module)")))
