"""Guest images: what they are made of, and building, finding and verifying them.

For the command line and for tests:

    build(name, *, progress=None, cache=None) -> Manifest   brings the image into the cache; at once if nothing changed
    plan(name) -> ImagePlan                                 what a build would consist of, without building
    load_manifest(name) -> Manifest | None                  what is built, None if nothing is
    is_current(name) -> bool                                whether a build would have nothing to do
    verify(name, on_step=None) -> list[Finding]             checks the built image; empty means fine
    NAMES                                                   the images there are

All raise wasmbuild.errors.BuildError (StageFailed carries `.log` and `.tail`); build() lets KeyboardInterrupt through
with all children stopped and the cache clean. `progress` is a wasmbuild.progress.Progress: `progress_for()` makes one.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from wasmbuild.cache import Cache, default_cache, remove_tree, write_atomically
from wasmbuild.errors import BuildError
from wasmbuild.graph import Graph
from wasmbuild.imageplan import ImagePlan, plan_image
from wasmbuild.plan import load_catalogue
from wasmbuild.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from wasmbuild.verify import Finding

_CORE = (
    "runtime", "mathematics", "cpython", "openssl", "pyyaml", "httpx", "deepdiff", "passlib", "python-jose", "pytz",
    "python-dateutil", "tzdata", "lzma", "mmap", "openai",
)  # fmt: skip
_FULL = (*_CORE, "cryptography", "bcrypt", "argon2-cffi", "numpy", "numpy-testmodules", "pandas", "matplotlib")
IMAGES: dict[str, tuple[str, ...]] = {"core": _CORE, "full": _FULL}
NAMES = tuple(IMAGES)
_OLD_OUTPUTS_KEPT = 2

# The third-party names that a statement may import (contract C2); an image says which of them it was built without.
LISTED = (
    "yaml", "httpx", "pandas", "numpy", "deepdiff", "passlib.hash", "jose", "jose.backends", "jose.constants",
    "jose.utils", "openai", "matplotlib", "matplotlib.pyplot",
)  # fmt: skip


class FileFacts(TypedDict):
    """A file as the manifest names it."""

    file: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """images/NAME.json: points at the two files of an image and says what is in it.

    Attributes:
        code: the compiled module: its file name in the same folder, its size and its sha256.
        memory: the same of what every instance's linear memory begins with.
        channel_address: where the guest's channel header lies.
        packages: recipe name -> version.
        build_seconds: wall time of the build that wrote it.
        stage_seconds: what each stage that ran took; empty if only the last step was new.
    """

    name: str
    stamp: str
    code: FileFacts
    memory: FileFacts
    wasmtime: str
    channel_address: int
    modules: list[str]
    packages: dict[str, str]
    not_in_image: list[str]
    built: str
    build_seconds: float
    stage_seconds: dict[str, float]

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return self.code["size"] + self.memory["size"]


def plan(name: str, cache: Cache | None = None) -> ImagePlan:
    """The stages of an image.

    Raises:
        BuildError: there is no such image, or a recipe is wrong.
    """
    if name not in IMAGES:
        raise BuildError(f"there is no image {name!r}; there are {', '.join(NAMES)}")
    return plan_image(name, IMAGES[name], LISTED, load_catalogue(), cache or default_cache())


def load_manifest(name: str, cache: Cache | None = None) -> Manifest | None:
    """What the cache holds under this name; None if nothing, or something unreadable."""
    try:
        fields = json.loads(((cache or default_cache()).images / f"{name}.json").read_text(encoding="utf-8"))
        return Manifest(**{field.name: fields[field.name] for field in dataclasses.fields(Manifest)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_current(name: str, cache: Cache | None = None) -> bool:
    """Whether the built image is the one that a build would make now."""
    cache = cache or default_cache()
    return _current(plan(name, cache), name, cache) is not None


def _current(planned: ImagePlan, name: str, cache: Cache) -> Manifest | None:
    manifest = load_manifest(name, cache)
    if manifest is None or manifest.stamp != planned.stamp:
        return None
    try:
        whole = all((cache.images / f["file"]).stat().st_size == f["size"] for f in (manifest.code, manifest.memory))
    except OSError:
        return None
    return manifest if whole else None


def build(name: str, *, progress: Progress | None = None, cache: Cache | None = None) -> Manifest:
    """Build an image, doing only what is not in the cache yet, and return its manifest.

    Raises:
        BuildError: a stage failed (StageFailed), or a declaration is wrong.
        KeyboardInterrupt: the build was stopped; what is finished is kept.
    """
    begun = time.monotonic()
    cache = cache or default_cache()
    progress = progress or SilentProgress()
    planned = plan(name, cache)
    if (manifest := _current(planned, name, cache)) is not None and not _damaged(manifest, cache):
        return manifest
    cache.prepare()
    with cache.lock(progress.note):
        cache.clear_work()
        graph = Graph(planned.stages, cache)
        _drop_damaged(name, planned, graph, cache)
        if (manifest := _current(planned, name, cache)) is not None:
            return manifest
        # The facts of the manifest come from the snapshot and the tree, so these must be there too.
        targets = [planned.snapshot, planned.tree, planned.target]
        seconds = graph.run(targets, progress)
        manifest = _write_manifest(name, planned, graph, time.monotonic() - begun, seconds)
        _prune(name, planned, graph, cache)
    return manifest


def _damaged(manifest: Manifest, cache: Cache) -> list[Path]:
    """The files of an image that are not those that its manifest was written for."""
    files = [(cache.images / facts["file"], facts) for facts in (manifest.code, manifest.memory)]
    return [file for file, facts in files if file.exists() and _file_facts(file) != facts]


def _drop_damaged(name: str, planned: ImagePlan, graph: Graph, cache: Cache) -> None:
    """Delete what this build would take for its own work, and is not any more."""
    manifest = load_manifest(name, cache)
    for file in _damaged(manifest, cache) if manifest is not None else ():
        files = planned.files()
        if files is not None and file == files.memory:
            # The snapshot's output is the same file by another name.
            remove_tree(graph.folder(planned.snapshot))
        file.unlink()


def _write_manifest(
    name: str, planned: ImagePlan, graph: Graph, build_seconds: float, seconds: dict[str, float]
) -> Manifest:
    snapshot = json.loads((graph.folder(planned.snapshot) / "image.json").read_text(encoding="utf-8"))
    facts = json.loads((graph.folder(planned.tree) / "image.json").read_text(encoding="utf-8"))
    files = planned.files()
    assert files is not None
    manifest = Manifest(
        name=name,
        stamp=planned.stamp,
        code=_file_facts(files.code),
        memory=_file_facts(files.memory),
        wasmtime=version("wasmtime"),
        channel_address=snapshot["channel_address"],
        modules=facts["modules"],
        packages={recipe.name: recipe.version for recipe in planned.recipes if recipe.kind != "runtime"},
        not_in_image=facts["not_in_image"],
        built=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        build_seconds=round(build_seconds, 1),
        stage_seconds={stage: round(value, 1) for stage, value in seconds.items()},
    )
    text = json.dumps(dataclasses.asdict(manifest), indent=1)
    write_atomically(graph.cache.images / f"{name}.json", text.encode())
    return manifest


def _file_facts(file: Path) -> FileFacts:
    with file.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    return {"file": file.name, "size": file.stat().st_size, "sha256": sha256}


def _prune(name: str, planned: ImagePlan, graph: Graph, cache: Cache) -> None:
    """Delete what this build has replaced: each old snapshot and compiled module has a hundred megabytes.

    Of a recipe's outputs some older ones are kept, for those who go back and forth between two versions of it.
    """
    for stage in graph.stages:
        others = [f for f in cache.stages.glob(f"{stage}-{'[0-9a-f]' * 16}") if f != graph.folder(stage)]
        others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in others[0 if stage in planned.per_image else _OLD_OUTPUTS_KEPT :]:
            remove_tree(folder)
    for file in cache.images.glob(f"{name}-{'[0-9a-f]' * 16}.*"):
        if file not in (planned.files() or ()):
            file.unlink()


def verify(
    name: str, on_step: Callable[[str, int, int], None] | None = None, cache: Cache | None = None
) -> "list[Finding]":
    """Check a built image: imports, exports, modules, a smoke run of each recipe, and a sweep over every C type.

    `on_step` is told the step's name, how many of its parts are done, and of how many. An empty list means fine.

    Raises:
        BuildError: the image is not built.
    """
    # Imported late: it brings the whole host, which building does not need.
    from wasmbuild.verify import verify_image

    cache = cache or default_cache()
    if load_manifest(name, cache) is None:
        raise BuildError(f"the image {name!r} is not built; build it: python -m wasmexec image build {name}")
    planned = plan(name, cache)
    graph = Graph(planned.stages, cache)
    return verify_image(
        manifest_file=cache.images / f"{name}.json",
        wasm=graph.folder(planned.snapshot) / "image.wasm",
        smoke=[recipe.name for recipe in planned.recipes if recipe.smoke_file.exists()],
        needs_smoke=[recipe.name for recipe in planned.recipes if recipe.kind != "runtime"],
        expected_modules=sorted({module for recipe in planned.recipes for module in recipe.modules}),
        on_step=on_step or (lambda step, done, total: None),
        jobs=os.cpu_count() or 1,
    )
