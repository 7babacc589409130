"""From pinned archives to jobs: fetching, unpacking, planning shards, and packing what a shard needs."""

import base64
import functools
import hashlib
import importlib.util
import io
import json
import marshal
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.suites import Suite

from wasmbuild.cache import Cache
from wasmbuild.fetch import Fetch, unpack_source
from wasmbuild.process import Processes
from wasmbuild.sources import Source, load_sources
from wasmbuild.stamp import code_hash

HERE = Path(__file__).parent
DRIVER = HERE / "driver.py"
ROOT_IN_GUEST = "/tmp/conformance"
TOOLS = ("pytest", "pluggy", "iniconfig", "packaging", "hypothesis", "attrs", "sortedcontainers", "typing_extensions")
_SOURCES = (HERE.parents[1] / "wasm-build" / "sources.toml", HERE / "sources.toml")
_BESIDE = ("__init__.py", "conftest.py")
_IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)(?: import (?:\(([\w,\s]+)|([\w, ]+)))?", re.MULTILINE)
_STRING = re.compile(r"""["']([\w./-]+)["']""")
_UNCHECKED = (0b01).to_bytes(4, "little")


@dataclass(frozen=True)
class Shard:
    """Test files of one suite that run in one instance.

    name: unique within the suite, and the same as long as the files are.
    files: relative to the suite's root.
    stamp: changes when anything that the tests are made of changes.
    """

    suite: Suite
    name: str
    files: tuple[Path, ...]
    stamp: str


def folder(cache: Cache) -> Path:
    """Where everything of the conformance runs is kept."""
    return cache.root / "conformance"


def fetch(keys: Iterable[str], cache: Cache) -> dict[str, Path]:
    """Bring archives into the cache and unpack them; returns the unpacked folders.

    Raises: FetchError, ArchiveError: as in the image's build.
    """
    cache.prepare()
    pinned = _pinned()
    found = {}
    for key in keys:
        source = pinned[key]
        target = _folder_of(key, folder(cache) / "sources")
        if not target.exists():
            Fetch(source, cache, Processes(), cache.logs / "conformance.log", lambda done, total: None).run()
            partial = target.with_suffix(".part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            unpack_source(source, cache, partial)
            partial.rename(target)
        found[key] = target
    return found


def fetch_suite(suite: Suite, cache: Cache) -> Path:
    """Fetch what a suite is made of; returns its own unpacked source, beside which the others lie."""
    return fetch([*suite.brings, *suite.named, suite.source], cache)[suite.source]


def _folder_of(key: str, sources: Path) -> Path:
    return sources / f"{key}-{_pinned()[key].sha256[:16]}"


@functools.cache
def _pinned() -> dict[str, Source]:
    return {key: source for file in _SOURCES for key, source in load_sources(file).items()}


def pack_tools(cache: Cache) -> bytes:
    """A zip of the test tools as bytecode: what the guest would compile anew in every instance is compiled once."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for key, unpacked in fetch(TOOLS, cache).items():
            for path in sorted(filter(Path.is_file, unpacked.rglob("*"))):
                name = path.relative_to(unpacked).as_posix()
                if path.suffix != ".py":
                    _write(bundle, name, path.read_bytes())
                    continue
                code = compile(path.read_bytes(), f"{key}/{name}", "exec", dont_inherit=True)
                header = importlib.util.MAGIC_NUMBER + _UNCHECKED + bytes(8)
                _write(bundle, f"{name}c", header + marshal.dumps(code))
    return packed.getvalue()


def _write(bundle: zipfile.ZipFile, name: str, data: bytes) -> None:
    # The same bytes every time, whatever the clock says: they are part of the shard's stamp.
    info = zipfile.ZipInfo(name, (2023, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(info, data)


def plan_shards(suite: Suite, source: Path) -> list[Shard]:
    """Put the suite's files into shards: neighbours together, up to `shard_bytes` of sources."""
    tools = [_pinned()[key].sha256 for key in TOOLS]
    driver = code_hash(DRIVER).encode()
    shards = []
    for files in _groups(suite, source):
        name = _target(suite, files[0]).replace("/", ".").removesuffix(".py")
        digest = hashlib.sha256(driver)
        about = (suite.kind, suite.options, suite.environment, suite.paths, suite.extend, suite.support, tools)
        digest.update(repr(about).encode())
        for more in filter(None, (suite.beside, suite.brings, suite.named, suite.replaced)):
            digest.update(repr(more).encode())
        for ours in suite.replaced.values():
            digest.update((HERE / ours).read_bytes())
        for file in files:
            digest.update(str(file).encode() + b"\0" + (source / suite.root / file).read_bytes())
        shards.append(Shard(suite, name, tuple(files), digest.hexdigest()))
    return shards


def _groups(suite: Suite, source: Path) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = 0
    for file in suite.files(source):
        bytes_here = (source / suite.root / file).stat().st_size
        if group:
            depth = suite.group_depth
            is_near = file.parent == group[0].parent or file.parts[:depth] == group[0].parts[:depth]
            if size + bytes_here > suite.shard_bytes or not is_near:
                yield group
                group, size = [], 0
        group.append(file)
        size += bytes_here
    if group:
        yield group


def _target(suite: Suite, file: Path) -> str:
    if suite.kind == "pytest":
        return file.as_posix()
    if suite.kind == "yaml":
        return file.stem
    return ".".join(file.with_suffix("").parts)


def make_job(shard: Shard, source: Path, tools: str, *, root: str) -> dict[str, Any]:
    """What the driver is given; `tools` in base64."""
    suite = shard.suite
    imported = _imported(suite, source / suite.root, shard.files)
    wanted = {*shard.files, *imported, *suite.files_beside(source, shard.files)}
    texts = [(source / suite.root / file).read_text("utf-8") for file in {*shard.files, *imported} if suite.named]
    words = {word for text in texts for path in _STRING.findall(text) for word in path.split("/")}
    named = [_packed(suite, folder, _named(folder, words)) for folder in _folders(suite.named, source)]
    return {
        "kind": suite.kind,
        "root": root,
        "archives": [*_support_archives(suite, source), *named, _packed(suite, source / suite.root, wanted)],
        "tools": tools,
        "paths": suite.paths,
        "extend": suite.extend,
        "environment": suite.environment,
        "hypothesis": suite.needs_hypothesis,
        "options": suite.options,
        "targets": [_target(suite, file) for file in shard.files],
        "done": [],
    }


def _packed(suite: Suite, root: Path, files: Iterable[Path], stubs: Iterable[str] = ()) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for file in sorted(file for file in files if (root / file).is_file()):
            ours = suite.replaced.get(file.as_posix())
            _write(bundle, file.as_posix(), ((root / file) if ours is None else (HERE / ours)).read_bytes())
        for stub in stubs:
            _write(bundle, stub, b"")
    return base64.b64encode(packed.getvalue()).decode()


@functools.cache
def _support_archives(suite: Suite, source: Path) -> list[str]:
    """What is the same in every shard of a suite."""
    root = source / suite.root
    stubs = tuple(f"{folder.as_posix()}/__init__.py" for folder in _extended(suite))
    brought = [_packed(suite, folder, _below(folder)) for folder in _folders(suite.brings, source)]
    return [*brought, _packed(suite, root, suite.support_files(source), stubs)]


def _folders(keys: Iterable[str], source: Path) -> list[Path]:
    """Where other sources than a suite's own are unpacked."""
    return [_folder_of(key, source.parent) for key in keys]


def _below(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def _named(folder: Path, words: set[str]) -> list[Path]:
    """The package in a source's folder, and of what lies deeper the folders whose names are all among the words."""
    return [file for file in _below(folder) if set(file.parent.parts[1:3]) <= words]


def _extended(suite: Suite) -> list[Path]:
    """Folders of the packages that `extend` names, those around them first: each gets an empty __init__ file."""
    folders = (Path(*name.split(".")) for name in suite.extend)
    return sorted({one for folder in folders for one in (folder, *folder.parents) if one.parts})


def _imported(suite: Suite, root: Path, files: Iterable[Path]) -> set[Path]:
    """Other test files that these import, and the __init__ files and conftests on the way to them."""
    packages = {file.parts[0] for file in files}
    stubs = _extended(suite)
    found: set[Path] = set()
    todo = list(files)
    while todo:
        file = todo.pop()
        for parent in file.parents:
            if parent not in stubs:
                found.update(parent / name for name in _BESIDE if (root / parent / name).is_file())
        text = (root / file).read_text("utf-8", "replace")
        for name, *items in _IMPORT.findall(text):
            plain = name.lstrip(".")
            around = file.parts[: -(len(name) - len(plain))] if plain != name else ()
            parts = (*around, *filter(None, plain.split(".")))
            if not parts or parts[0] not in packages:
                continue
            names = re.findall(r"\w+", " ".join(items))
            for other in (Path(*parts), *(Path(*parts, item) for item in names)):
                module = other.with_suffix(".py")
                is_test = not {"test", "tests"}.isdisjoint(module.parts)
                if is_test and module not in found and (root / module).is_file():
                    found.add(module)
                    todo.append(module)
    return found


def encode(job: dict[str, Any]) -> bytes:
    """The job as JSON."""
    return json.dumps([job]).encode()
