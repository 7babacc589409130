"""Turns recipes into stages: downloads, the tools, and one build stage for each recipe."""

import os
import platform
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wasmbuild import pure, tools
from wasmbuild.cache import Cache
from wasmbuild.errors import RecipeError
from wasmbuild.fetch import Fetch, is_fetched, unpack_source
from wasmbuild.graph import Stage, StageRun
from wasmbuild.patches import apply_patch
from wasmbuild.process import Processes
from wasmbuild.recipe import BuildContext, Recipe, load_builder, load_recipe
from wasmbuild.sources import Source, load_sources
from wasmbuild.stamp import code_hash, recipe_stamp, stamp_of
from wasmbuild.toolchain import CompileFailed, Toolchain

ROOT = Path(__file__).resolve().parent.parent
# Archives are dated by this where a build would write the present time.
SOURCE_DATE_EPOCH = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every recipe and source of the project."""

    recipes: Mapping[str, Recipe]
    sources: Mapping[str, Source]

    def closure(self, names: Iterable[str]) -> list[str]:
        """The named recipes and all they depend on, dependencies first.

        Raises:
            RecipeError: one names a source or recipe that does not exist, or depends on itself.
        """
        order: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in order:
                return
            if name not in self.recipes:
                raise RecipeError(ROOT / "recipes" / name / "recipe.toml", "(file)", "does not exist")
            recipe = self.recipes[name]
            self._check(recipe)
            if name in path:
                raise RecipeError(recipe.folder / "recipe.toml", "depends", f"circle: {' -> '.join((*path, name))}")
            for dependency in recipe.depends:
                visit(dependency, (*path, name))
            order[name] = None

        for name in names:
            visit(name, ())
        return list(order)

    def _check(self, recipe: Recipe) -> None:
        file = recipe.folder / "recipe.toml"
        for key in recipe.sources:
            if key not in self.sources:
                raise RecipeError(file, "sources", f"{key!r} is not in sources.toml")
        for name in recipe.depends:
            if name not in self.recipes:
                raise RecipeError(file, "depends", f"there is no recipe {name!r}")
        if recipe.kind == "pure" and recipe.version != self.sources[recipe.sources[0]].version:
            raise RecipeError(file, "version", f"differs from its source's {self.sources[recipe.sources[0]].version}")


def load_catalogue(root: Path = ROOT) -> Catalogue:
    """Read sources.toml and every recipe.

    Raises:
        RecipeError: one is wrong.
    """
    sources = load_sources(root / "sources.toml")
    folders = sorted(path.parent for path in (root / "recipes").glob("*/recipe.toml"))
    recipes = {folder.name: load_recipe(folder) for folder in folders}
    return Catalogue(recipes, sources)


def recipe_stages(catalogue: Catalogue, names: Iterable[str], cache: Cache) -> list[Stage]:
    """The stages that build the named recipes and all they depend on; a recipe's stage has the recipe's name."""
    closure = catalogue.closure(names)
    tool_stage = tools.tools_stage()
    toolchain = stamp_of("toolchain", tool_stage.stamp, toolchain_in(Path(), cache).stamp)
    keys = dict.fromkeys(key for name in closure for key in catalogue.recipes[name].sources)
    stages = [tool_stage, *(_fetch_stage(catalogue.sources[key], cache) for key in keys)]
    stamps: dict[str, str] = {}
    for name in closure:
        recipe = catalogue.recipes[name]
        stamps[name] = recipe_stamp(recipe, catalogue.sources, stamps, toolchain)
        needed = [f"fetch-{key}" for key in recipe.sources] + list(recipe.depends)
        if recipe.kind != "pure":
            needed.append(tools.NAME)
        stages.append(
            Stage(
                name=name,
                stamp=stamps[name],
                action=lambda run, recipe=recipe: build_recipe(recipe, catalogue.sources, cache, run),  # type: ignore[misc]
                depends=tuple(needed),
                estimate_seconds=recipe.estimate_seconds,
            )
        )
    return stages


def _fetch_stage(source: Source, cache: Cache) -> Stage:
    def action(run: StageRun) -> None:
        Fetch(source, cache, run.processes, run.log, lambda done, total: run.report(done, total, "")).run()

    return Stage(
        name=f"fetch-{source.key}",
        stamp=source.sha256,
        action=action,
        estimate_seconds=1 + source.size / 5e6,
        is_done=lambda: is_fetched(source, cache),
    )


@dataclass(frozen=True)
class StageToolchain(Toolchain):
    """A toolchain whose calls are stopped with the build."""

    processes: Processes = field(default_factory=Processes)
    log: Path = Path(os.devnull)

    def call(self, *argv: str | Path, cwd: Path | None = None) -> str:
        words = [str(word) for word in argv]
        code, text = self.processes.run(words, cwd or Path.cwd(), self.env(), self.log, capture_errors=True)
        if code != 0:
            raise CompileFailed(f"{shlex.join(words)} ended with status {code}", tail=text)
        return text


def toolchain_in(tools_output: Path, cache: Cache, run: StageRun | None = None) -> Toolchain:
    """The compiler of an installed tools stage, with its caches in ours; for a running stage, stopped with it."""
    zig = tools.zig_in(tools_output)
    if run is None:
        return Toolchain(zig=zig, cache=cache.zig)
    return StageToolchain(zig=zig, cache=cache.zig, processes=run.processes, log=run.log)


def build_recipe(recipe: Recipe, sources: Mapping[str, Source], cache: Cache, run: StageRun) -> None:
    """Unpack, patch and build one recipe into `run.output`.

    Raises:
        BuildError
    """
    unpacked: dict[str, Path] = {}
    for key in recipe.sources:
        folder = run.work / "source" / key
        folder.mkdir(parents=True)
        run.report(0, 0, f"unpacking {sources[key].file}")
        unpack_source(sources[key], cache, folder)
        unpacked[key] = folder
    first = unpacked[recipe.sources[0]] if recipe.sources else run.work / "source"
    first.mkdir(parents=True, exist_ok=True)
    for patch in recipe.patches:
        changed = apply_patch(patch, first)
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{patch.name}: patched {', '.join(changed)}\n")
    scratch = run.work / "work"
    scratch.mkdir()
    tools_output = run.inputs.get(tools.NAME, Path())
    toolchain = toolchain_in(tools_output, cache, run)
    context = BuildContext(
        recipe=recipe,
        source=first,
        sources=unpacked,
        output=run.output,
        work=scratch,
        inputs={name: run.inputs[name] for name in recipe.depends},
        toolchain=toolchain,
        python=tools.python_in(tools_output),
        log=run.log,
        processes=run.processes,
        environment=toolchain.env(clean_environment(run.work)),
        report=run.report,
        job_budget=run.job_budget,
    )
    run.report(0, 0, "")
    build = pure.build if recipe.kind == "pure" else load_builder(recipe)
    build(context)


def clean_environment(work: Path) -> dict[str, str]:
    """What a build's commands see: nothing of the machine but its programs."""
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    path = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {
        "PATH": path,
        "HOME": str(work),
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8" if platform.system() == "Linux" else "C",
        "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }


def toolchain_hash() -> str:
    """Changes with the compiler and the options that every compilation carries."""
    return stamp_of("toolchain", tools.tools_stage().stamp, code_hash(ROOT / "wasmbuild" / "toolchain.py"))
