"""The stages that make one image out of built recipes: bytecode, tree, link, boot code, snapshot, compiled module."""

import inspect
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import NamedTuple

from wasmbuild import link, tools, tree
from wasmbuild.cache import Cache
from wasmbuild.errors import StageFailed
from wasmbuild.graph import Stage, StageRun
from wasmbuild.plan import ROOT, Catalogue, recipe_stages, toolchain_hash, toolchain_in
from wasmbuild.process import tail_of
from wasmbuild.recipe import Recipe, module_file
from wasmbuild.stamp import code_hash, file_hash, folder_hashes, stamp_of
from wasmexec._guest import engine
from wasmexec._guest.interface import ALLOWED_IMPORTS

GUEST = ROOT.parent / "guest" / "wasmexec_guest"
_WITH_FILES = ("pure", "extension", "interpreter")
Action = Callable[[StageRun], None]


class ImageFiles(NamedTuple):
    """What the host loads.

    Attributes:
        code: named by the module it was compiled from, so that another memory alone does not compile it again.
    """

    code: Path
    memory: Path


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """All stages of one image.

    Attributes:
        target: the last stage; its stamp is the image's.
        recipes: the image's recipes with all they depend on, dependencies first.
        snapshot: the stage whose output holds image.wasm, image.memory and image.json.
        files: the two files that the last stage writes, None as long as there is no snapshot.
    """

    stages: list[Stage]
    target: str
    stamp: str
    recipes: list[Recipe]
    files: Callable[[], "ImageFiles | None"]
    snapshot: str
    tree: str
    link: str

    @property
    def per_image(self) -> tuple[str, ...]:
        """Stages that exist for this image alone and are large."""
        return tuple(stage.name for stage in self.stages if stage.name.endswith(f"-{self.target.removeprefix('aot-')}"))


def plan_image(
    name: str, recipe_names: Iterable[str], listed: Iterable[str], catalogue: Catalogue, cache: Cache
) -> ImagePlan:
    """Plan an image; `listed` are the import names of the contract, of which image.json says which are missing."""
    closure = catalogue.closure(recipe_names)
    recipes = [catalogue.recipes[recipe] for recipe in closure]
    stages = recipe_stages(catalogue, closure, cache)
    stamps = {stage.name: stage.stamp for stage in stages}

    def add(stage: Stage) -> str:
        stages.append(stage)
        stamps[stage.name] = stage.stamp
        return stage.stamp

    bytecode = [_bytecode_stage(recipe, stamps[recipe.name]) for recipe in recipes if recipe.kind in _WITH_FILES]
    bytecode.append(_guest_stage())
    for stage in bytecode:
        add(stage)

    extras = [file for recipe in recipes for file in (recipe.smoke_file, recipe.warmup_file) if file.exists()]
    facts = [[r.name, r.modules, r.preload] for r in recipes]
    interpreter = next((recipe.name for recipe in recipes if recipe.kind == "interpreter"), None)
    tree_inputs = [stage.name for stage in bytecode]
    tree_stamp = add(
        Stage(
            name=f"tree-{name}",
            stamp=stamp_of(
                "tree", name, [stamps[n] for n in tree_inputs], facts, list(listed),
                [[file.parent.name, file.name, file_hash(file)] for file in extras], _own_hash("tree"),
            ),
            action=lambda run: _make_tree(
                run, name=name, recipes=recipes, inputs=tree_inputs, interpreter=interpreter, listed=listed
            ),
            depends=(*tree_inputs, *([interpreter] if interpreter else [])),
            estimate_seconds=2,
        )
    )  # fmt: skip

    linked = [recipe for recipe in recipes if recipe.kind != "pure"]
    link_stamp = add(
        Stage(
            name=f"link-{name}",
            stamp=stamp_of(
                "link", [[r.name, r.kind, stamps[r.name]] for r in linked], toolchain_hash(),
                folder_hashes(link.NATIVE), _own_hash("link"), sorted(ALLOWED_IMPORTS),
            ),
            action=lambda run: _link(run, linked, cache),
            depends=(tools.NAME, *(recipe.name for recipe in linked)),
            estimate_seconds=15,
        )
    )  # fmt: skip
    machine = [version("wasmtime"), platform.system(), platform.machine(), _engine_source()]
    boot_stamp = add(
        Stage(
            name=f"bootcode-{name}",
            stamp=stamp_of("bootcode", link_stamp, machine, _own_hash("snapshot", "wasmfile")),
            action=_compile_boot_code(f"link-{name}"),
            depends=(f"link-{name}",),
            estimate_seconds=12,
        )
    )
    snapshot_stamp = add(
        Stage(
            name=f"snapshot-{name}",
            stamp=stamp_of("snapshot", link_stamp, tree_stamp, boot_stamp),
            action=_snapshot(name),
            depends=(f"link-{name}", f"bootcode-{name}", f"tree-{name}"),
            estimate_seconds=20,
        )
    )
    stamp = stamp_of("aot", snapshot_stamp, machine)

    def files() -> ImageFiles | None:
        try:
            facts = json.loads((cache.stage_folder(f"snapshot-{name}", snapshot_stamp) / "image.json").read_bytes())
        except OSError:
            return None
        code_stamp = stamp_of("code", facts["module_sha256"], machine)
        return ImageFiles(
            cache.images / f"{name}-{code_stamp[:16]}.cwasm", cache.images / f"{name}-{snapshot_stamp[:16]}.memory"
        )

    add(
        Stage(
            name=f"aot-{name}",
            stamp=stamp,
            action=lambda run: _compile_ahead(run, run.inputs[f"snapshot-{name}"], files()),
            depends=(f"snapshot-{name}",),
            estimate_seconds=25,
            is_done=lambda: all(file.exists() for file in files() or [cache.images / "none"]),
        )
    )
    return ImagePlan(
        stages=stages,
        target=f"aot-{name}",
        stamp=stamp,
        recipes=recipes,
        files=files,
        snapshot=f"snapshot-{name}",
        tree=f"tree-{name}",
        link=f"link-{name}",
    )


def _own_hash(*modules: str) -> str:
    return stamp_of([code_hash(module_file(module)) for module in modules])


def _engine_source() -> str:
    # The function alone: the rest of that file may change without changing what is compiled.
    return inspect.getsource(engine.engine_config)


def _bytecode_stage(recipe: Recipe, recipe_stamp: str) -> Stage:
    def action(run: StageRun) -> None:
        output = run.inputs[recipe.name]
        parts: list[tuple[Path, str, Iterable[str]]] = []
        for folder, prefix in (("stdlib", tree.STDLIB), ("sysconfig", tree.STDLIB), ("python", tree.SITE_PACKAGES)):
            if (output / folder).is_dir():
                drop = tree.stdlib_drop(recipe.drop) if folder == "stdlib" else recipe.drop
                parts.append((output / folder, prefix, drop))
        tree.prepare_files(run, parts)

    return Stage(
        name=f"bytecode-{recipe.name}",
        stamp=_bytecode_stamp(recipe_stamp, list(recipe.drop)),
        action=action,
        depends=(recipe.name,),
        estimate_seconds=1 if recipe.kind == "pure" else 8,
    )


def _guest_stage() -> Stage:
    return Stage(
        name="bytecode-guest",
        stamp=_bytecode_stamp(folder_hashes(GUEST), []),
        action=lambda run: tree.prepare_files(run, [(GUEST, tree.GUEST, ())]),
        estimate_seconds=1,
    )


def _bytecode_stamp(*parts: object) -> str:
    return stamp_of("bytecode", *parts, MAGIC_NUMBER.hex(), str(tools.build_python()), _own_hash("bytecode", "tree"))


def _make_tree(
    run: StageRun,
    *,
    name: str,
    recipes: list[Recipe],
    inputs: list[str],
    interpreter: str | None,
    listed: Iterable[str],
) -> None:
    files = tree.read_files([run.inputs[stage] for stage in inputs])
    builtin: list[str] = []
    if interpreter is not None:
        builtin = json.loads((run.inputs[interpreter] / "modules.json").read_text(encoding="utf-8"))
    facts = image_facts(name, recipes, files, builtin, listed)
    files["wasmexec/image.json"] = json.dumps(facts, indent=1).encode()
    for recipe in recipes:
        for kind, file in (("smoke", recipe.smoke_file), ("warmup", recipe.warmup_file)):
            if file.exists():
                files[f"wasmexec/{kind}/{recipe.name}.py"] = file.read_bytes()
    packed = tree.pack(files)
    (run.output / "tree.bin").write_bytes(packed)
    (run.output / "image.json").write_bytes(files["wasmexec/image.json"])
    with run.log.open("a", encoding="utf-8") as log:
        log.write(f"{len(files)} files, {len(packed):,} bytes\n")


def image_facts(
    name: str, recipes: list[Recipe], files: Iterable[str], builtin: Iterable[str], listed: Iterable[str]
) -> dict[str, object]:
    """What the guest reads as /wasmexec/image.json; top-level names of the standard library come from its files."""
    modules = {module for recipe in recipes for module in recipe.modules}
    modules.update(module.split(".")[0] for module in builtin)
    prefix = f"{tree.STDLIB}/"
    for path in files:
        if path.startswith(prefix):
            first, _, rest = path.removeprefix(prefix).partition("/")
            if rest == "__init__.pyc" or (not rest and first.endswith(".pyc")):
                modules.add(first.removesuffix(".pyc"))
    return {
        "name": name,
        "preload": list(dict.fromkeys(module for recipe in recipes for module in recipe.preload)),
        "modules": sorted(modules),
        "not_in_image": [item for item in listed if item.split(".")[0] not in modules],
    }


def _link(run: StageRun, recipes: list[Recipe], cache: Cache) -> None:
    toolchain = toolchain_in(run.inputs[tools.NAME], cache, run)
    link.link_guest(run, {recipe.name: recipe for recipe in recipes}, run.inputs, toolchain)


def _program(run: StageRun, module: str, *arguments: str | Path) -> None:
    """Run one of our modules as a program of its own: it can be stopped, and its memory is given back."""
    argv = [sys.executable, "-m", f"wasmbuild.{module}", *map(str, arguments)]
    code, _ = run.processes.run(argv, run.work, {**os.environ, "PYTHONUNBUFFERED": "1"}, run.log)
    if code < 0:
        raise StageFailed(f"{module} was killed by signal {-code}", log=run.log, tail=tail_of(run.log))
    if code:
        raise StageFailed(f"{module} failed", log=run.log, tail=tail_of(run.log))


def _compile_boot_code(link_stage: str) -> Action:
    def action(run: StageRun) -> None:
        _program(run, "snapshot", "compile", run.inputs[link_stage] / "guest.wasm", run.output / "boot.cwasm")

    return action


def _snapshot(name: str) -> Action:
    def action(run: StageRun) -> None:
        _program(
            run, "snapshot", "take",
            run.inputs[f"link-{name}"] / "guest.wasm", run.inputs[f"bootcode-{name}"] / "boot.cwasm",
            run.inputs[f"tree-{name}"] / "tree.bin", run.output / "image.wasm", run.output / "image.memory",
            run.output / "image.json",
        )  # fmt: skip

    return action


def _compile_ahead(run: StageRun, snapshot: Path, files: ImageFiles | None) -> None:
    assert files is not None
    if not files.code.exists():
        temporary = run.work / "image.cwasm"
        _program(run, "compile", snapshot / "image.wasm", temporary)
        temporary.replace(files.code)
    temporary = run.work / "image.memory"
    try:
        temporary.hardlink_to(snapshot / "image.memory")
    except OSError:  # not on this file system
        shutil.copyfile(snapshot / "image.memory", temporary)
    temporary.replace(files.memory)
