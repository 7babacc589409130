"""A recipe: what a package is built from, what it needs, and what it offers to the image.

`recipes/NAME/recipe.toml` declares it, `recipes/NAME/build.py` (except for pure packages) builds it with
`def build(context: BuildContext) -> None`, `recipes/NAME/patches/*.patch` are applied to its first source beforehand.
"""

import importlib.util
import shlex
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wasmbuild.errors import BuildInterrupted, RecipeError, StageFailed
from wasmbuild.process import Processes, tail_of

if TYPE_CHECKING:
    from wasmbuild.toolchain import Toolchain

__all__ = ["KINDS", "BuildContext", "BuildInterrupted", "Recipe", "StageFailed", "load_builder", "load_recipe"]

KINDS = ("runtime", "library", "interpreter", "extension", "pure")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One package.

    Attributes:
        folder: where recipe.toml lies.
        sources: keys of sources.toml; the first is the one that is patched.
        depends: recipes whose outputs this one reads.
        uses: modules below wasmbuild (dotted, without `wasmbuild.`) whose change must rebuild it.
        modules: top-level import names it adds to the image.
        preload: modules imported before the snapshot.
        drop: glob patterns, relative to python/ or stdlib/, that stay out of the image.
        estimate_seconds: how long it takes on two cores, until this machine has its own figure.
    """

    name: str
    folder: Path
    version: str
    kind: str
    licence: str
    sources: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    estimate_seconds: float = 1.0

    @property
    def patches(self) -> list[Path]:
        """Patch files in the order of their names."""
        return sorted((self.folder / "patches").glob("*.patch"))

    @property
    def builder_file(self) -> Path:
        return self.folder / "build.py"

    @property
    def smoke_file(self) -> Path:
        return self.folder / "smoke.py"

    @property
    def warmup_file(self) -> Path:
        return self.folder / "warmup.py"


_TEXTS = ("name", "version", "kind", "licence")
_LISTS = ("sources", "depends", "uses", "modules", "preload", "drop")


def load_recipe(folder: Path) -> Recipe:
    """Read and check `folder/recipe.toml`.

    Raises:
        RecipeError: the file is missing, not TOML, has an unknown, missing or ill-typed key, or contradicts its folder.
    """
    file = folder / "recipe.toml"
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(file, "(file)", "does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(file, "(file)", f"is not valid TOML: {error}") from error

    known = {*_TEXTS, *_LISTS, "estimate_seconds"}
    for key in table:
        if key not in known:
            raise RecipeError(file, key, f"unknown key; known are {', '.join(sorted(known))}")
    texts = {}
    for key in _TEXTS:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise RecipeError(file, key, "must be a non-empty string" if key in table else "is missing")
        texts[key] = value
    lists: dict[str, tuple[str, ...]] = {}
    for key in _LISTS:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise RecipeError(file, key, "must be a list of non-empty strings")
        if len(set(value)) != len(value):
            raise RecipeError(file, key, "names something twice")
        lists[key] = tuple(value)
    estimate = table.get("estimate_seconds", 1.0)
    if isinstance(estimate, bool) or not isinstance(estimate, int | float) or estimate <= 0:
        raise RecipeError(file, "estimate_seconds", "must be a positive number")

    recipe = Recipe(folder=folder, estimate_seconds=float(estimate), **texts, **lists)  # type: ignore[arg-type]
    _check(recipe, file)
    return recipe


def _check(recipe: Recipe, file: Path) -> None:
    if recipe.name != recipe.folder.name:
        raise RecipeError(file, "name", f"is {recipe.name!r} in a folder called {recipe.folder.name!r}")
    if recipe.kind not in KINDS:
        raise RecipeError(file, "kind", f"{recipe.kind!r} is not one of {', '.join(KINDS)}")
    if recipe.name in recipe.depends:
        raise RecipeError(file, "depends", "names the recipe itself")
    if recipe.kind == "pure" and recipe.builder_file.exists():
        raise RecipeError(file, "kind", "a pure recipe has no build.py")
    if recipe.kind != "pure" and not recipe.builder_file.exists():
        raise RecipeError(file, "kind", f"a recipe of kind {recipe.kind!r} needs a build.py")
    if recipe.kind == "pure" and not recipe.sources:
        raise RecipeError(file, "sources", "a pure recipe needs a source")
    for module in recipe.uses:
        if not module_file(module).exists():
            raise RecipeError(file, "uses", f"there is no wasmbuild module {module!r}")


def module_file(module: str) -> Path:
    """The file of a module of this package, `module` dotted and without the leading `wasmbuild.`."""
    return Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py")


@dataclass(slots=True)
class BuildContext:
    """What a builder gets.

    Attributes:
        source: the first source: unpacked, patched, private to this build, writable.
        sources: every source by its key (`source` is the first of them).
        output: the empty folder to fill; renamed into the cache when the builder returns.
        work: an empty scratch folder.
        inputs: outputs of the recipes in `depends`, by name; read only.
        toolchain: the compiler.
        python: the interpreter of the build tools' own environment (it has Cython); not the one that runs wasmbuild.
        log: the file that `run` and `note` append to.
    """

    recipe: Recipe
    source: Path
    sources: Mapping[str, Path]
    output: Path
    work: Path
    inputs: Mapping[str, Path]
    toolchain: "Toolchain"
    python: Path
    log: Path
    processes: Processes
    environment: Mapping[str, str]
    report: Callable[[int, int, str], None] = field(repr=False)
    job_budget: Callable[[], int] = field(repr=False)

    @property
    def jobs(self) -> int:
        """How many processes to run at once, given what else is being built right now."""
        return self.job_budget()

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> None:
        """Run a command to its end; its output goes to the stage's log.

        The environment is clean (PATH, HOME, a private TMPDIR, a C locale, the compiler's cache folders): no CC or
        CFLAGS of the machine leaks in. `env` adds variables, or removes those it maps to None.

        Raises:
            StageFailed: it could not be started or returned non-zero; carries the end of the log.
            BuildInterrupted: the build was stopped meanwhile.
        """
        self._run([str(part) for part in argv], cwd, env, capture=False)

    def capture(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> str:
        """Like `run`, but return what the command wrote to standard output."""
        return self._run([str(part) for part in argv], cwd, env, capture=True)

    def note(self, text: str) -> None:
        """Append a line to the stage's log."""
        with self.log.open("a", encoding="utf-8", errors="replace") as handle:
            handle.write(text + "\n")

    def progress(self, done: int, total: int, what: str) -> None:
        """Tell the display how far this stage is.

        Raises:
            BuildInterrupted: the build was stopped meanwhile.
        """
        self.processes.check()
        self.report(done, total, what)

    def _run(self, argv: list[str], cwd: Path | None, env: Mapping[str, str | None] | None, *, capture: bool) -> str:
        environment = dict(self.environment)
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        self.note(f"$ {shlex.join(argv)}")
        try:
            code, output = self.processes.run(argv, cwd or self.work, environment, self.log, capture=capture)
        except OSError as error:
            raise StageFailed(
                f"{argv[0]} could not be started: {error.strerror or error}",
                stage=self.recipe.name, log=self.log, tail=tail_of(self.log),
            ) from error  # fmt: skip
        if code != 0:
            raise StageFailed(
                f"{Path(argv[0]).name} ended with status {code}",
                stage=self.recipe.name, log=self.log, tail=tail_of(self.log),
            )  # fmt: skip
        return output


def load_builder(recipe: Recipe) -> Callable[[BuildContext], None]:
    """The `build` function of the recipe's build.py.

    Raises:
        RecipeError: build.py cannot be imported or has no `build`.
    """
    name = f"wasmbuild_recipe_{recipe.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, recipe.builder_file)
    if spec is None or spec.loader is None:
        raise RecipeError(recipe.builder_file, "(file)", "cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    build = getattr(module, "build", None)
    if not callable(build):
        raise RecipeError(recipe.builder_file, "build", "is not defined")
    function: Callable[[BuildContext], None] = build
    return function
