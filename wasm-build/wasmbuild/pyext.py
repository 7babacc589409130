"""Cross-builds the C side of Python packages: Cython, compiling and joining as one list of parallel jobs.

A package's own setup.py would compile for minutes without a word, one file after the other, and ask a build machine's
Python for flags. Its recipe therefore names the sources of each extension module, and this module turns them into
`objects/<dotted.name>.o`.
"""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wasmbuild.jobs import Job, run_jobs
from wasmbuild.localise import join_module
from wasmbuild.recipe import BuildContext
from wasmbuild.toolchain import SOURCE_SUFFIXES_CXX

__all__ = [
    "CythonSource",
    "Extension",
    "build_extensions",
    "compile_archive",
    "copy_package",
    "python_include",
    "render_templates",
    "write_dist_info",
]

# As CPython compiles its own modules: their code counts on integers that wrap and on pointers that alias.
C_FLAGS = ("-w", "-DNDEBUG", "-fwrapv", "-fno-strict-aliasing", "-fvisibility=hidden")

# Relative seconds per byte: they order the jobs and weigh the progress display, nothing else.
COST_CYTHON = 30.0
COST_C = 1.0
COST_CXX = 6.0
COST_JOIN = 20_000.0
# What every compilation costs for its headers alone.
COST_HEADERS = 40_000.0
# Cython writes about that many times what it reads.
CYTHON_GROWTH = 25

NOT_FOR_THE_GUEST = (
    "*.pyx",
    "*.pxd",
    "*.pxi",
    "*.in",
    "*.src",
    "*.c",
    "*.cpp",
    "*.h",
    "*.hpp",
    "*.pyi",
    "*.build",
    "__pycache__",
)


@dataclass(frozen=True)
class CythonSource:
    """A .pyx file, and the C or C++ file (by its suffix) that Cython makes of it.

    includes: folders searched for .pxd and .pxi files.
    bytes: its size with what it includes, if that differs much from the file's own.
    """

    source: Path
    target: Path
    includes: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def size(self) -> int:
        return self.bytes or self.source.stat().st_size


@dataclass(frozen=True)
class Extension:
    """One extension module: dotted name, sources, flags for all of them, and archives it takes members from."""

    name: str
    sources: Sequence[Path | CythonSource]
    flags: tuple[str, ...] = ()
    archives: Sequence[Path] = ()


def python_include(context: BuildContext) -> Path:
    """The folder of the guest Python's headers; the recipe must depend on `cpython`."""
    return context.inputs["cpython"] / "include" / "python3.11"


def render_templates(context: BuildContext, templates: Iterable[Path]) -> None:
    """Render Tempita templates (`x.pyx.in`) beside themselves (`x.pyx`)."""
    context.run(context.python, "-c", _RENDER, *templates)


_RENDER = """
import sys
from pathlib import Path
from Cython import Tempita
for template in map(Path, sys.argv[1:]):
    template.with_suffix("").write_text(Tempita.sub(template.read_text(encoding="utf-8")), encoding="utf-8")
"""


def build_extensions(context: BuildContext, extensions: Sequence[Extension]) -> list[Path]:
    """Build every extension to `output/objects/<dotted.name>.o`; returns these files in the order given.

    A source that several extensions name with the same flags is compiled once.

    Raises:
        StageFailed: Cython, the compiler or the linker failed; the stage's log has their words.
        LocaliseError: an extension does not define its init function.
    """
    objects = context.output / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    plan = _Plan(context)
    results = []
    for extension in extensions:
        results.append(objects / f"{extension.name}.o")
        plan.add_extension(extension, results[-1])
    plan.run()
    return results


def compile_archive(context: BuildContext, target: Path, sources: Iterable[Path], flags: Sequence[str]) -> Path:
    """Compile sources and pack the objects into the archive `target`."""
    plan = _Plan(context)
    parts = [plan.add_object(source, tuple(flags))[0] for source in sources]
    plan.run()
    return context.toolchain.archive(target, parts)


def copy_package(source: Path, target: Path, *, drop: Sequence[str] = ()) -> None:
    """Copy a Python package without what only a build or an editor reads; `drop` adds patterns of names."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_FOR_THE_GUEST, *drop), dirs_exist_ok=True)


def write_dist_info(context: BuildContext, metadata: Path, *, name: str) -> None:
    """Write `NAME-VERSION.dist-info` from an sdist's PKG-INFO, for importlib.metadata in the guest."""
    folder = context.output / "python" / f"{name}-{context.recipe.version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(metadata, folder / "METADATA")
    (folder / "INSTALLER").write_text("wasmbuild\n", encoding="utf-8")
    (folder / "top_level.txt").write_text("".join(f"{module}\n" for module in context.recipe.modules), encoding="utf-8")


class _Plan:
    """Collects the jobs of one stage; sources, objects and archives are recognised when they come again."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context
        self._jobs: dict[str, Job] = {}

    def run(self) -> None:
        context = self._context

        def report(done: float, total: float, what: str) -> None:
            context.progress(round(1000 * done / total), 1000, what)

        run_jobs(self._jobs.values(), workers=context.jobs, progress=report)

    def add_extension(self, extension: Extension, target: Path) -> None:
        parts = [self.add_object(source, extension.flags) for source in extension.sources]
        inputs = [*(path for path, _ in parts), *extension.archives]
        needs = tuple(dict.fromkeys(job for _, job in parts))

        def join() -> None:
            join_module(self._relocatable, extension.name, inputs, target)

        self._add(Job(f"join {extension.name}", join, COST_JOIN, needs))

    def add_object(self, source: Path | CythonSource, flags: tuple[str, ...]) -> tuple[Path, str]:
        """Plan the object of one source; returns it and the name of the job that makes it."""
        context = self._context
        if isinstance(source, CythonSource):
            needs: tuple[str, ...] = (self._add_cython(source),)
            size, file = source.size * CYTHON_GROWTH, source.target
        else:
            needs, size, file = (), source.stat().st_size, source
        is_cxx = file.suffix in SOURCE_SUFFIXES_CXX
        # Sources of one name in several folders and one source with several sets of flags are both common.
        key = hashlib.sha256("\0".join((str(file), *flags)).encode()).hexdigest()[:12]
        target = context.work / "objects" / f"{file.name}.{key}.o"
        command = context.toolchain.cxx if is_cxx else context.toolchain.cc
        include = python_include(context)

        def compile_it() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            context.run(*command, *C_FLAGS, *flags, f"-I{include}", "-c", file, "-o", target)

        cost = COST_HEADERS + size * (COST_CXX if is_cxx else COST_C)
        job = Job(f"compile {target.stem}", compile_it, cost, needs)
        self._add(job)
        return target, job.name

    def _add_cython(self, source: CythonSource) -> str:
        context = self._context
        includes = [word for folder in source.includes for word in ("-I", str(folder))]
        kind = ("--cplus",) if source.target.suffix in SOURCE_SUFFIXES_CXX else ()

        def translate() -> None:
            source.target.parent.mkdir(parents=True, exist_ok=True)
            argv = ("-m", "cython", "-3", *kind, *source.flags, *includes, "-o", source.target, source.source)
            context.run(context.python, *argv, cwd=context.source)

        job = Job(f"cython {source.target.name}", translate, source.size * COST_CYTHON)
        self._add(job)
        return job.name

    def _add(self, job: Job) -> None:
        self._jobs.setdefault(job.name, job)

    def _relocatable(self, inputs: Iterable[Path], target: Path) -> None:
        self._context.run(*self._context.toolchain.wasm_ld, "-r", *inputs, "-o", target)
