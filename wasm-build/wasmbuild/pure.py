"""Builds pure-Python recipes: their wheels unpacked, nothing executed."""

import shutil
from pathlib import Path

from wasmbuild.archive import safe_parts
from wasmbuild.cache import remove_tree
from wasmbuild.errors import ArchiveError
from wasmbuild.recipe import BuildContext

_NATIVE = (".so", ".pyd", ".dylib", ".dll", ".a")


def build(context: BuildContext) -> None:
    """Fill `python/` from the recipe's unpacked wheels (folders `NAME.data/purelib` included)."""
    target = context.output / "python"
    target.mkdir()
    for key, folder in context.sources.items():
        _install(folder, target, key)
    natives = [path for path in target.rglob("*") if path.name.endswith(_NATIVE)]
    if natives:
        raise ArchiveError(f"{natives[0].relative_to(target)} is native code; this recipe is not pure")


def _install(folder: Path, target: Path, key: str) -> None:
    if not list(folder.glob("*.dist-info/METADATA")):
        raise ArchiveError(f"{key}: is not a wheel: it has no dist-info")
    for entry in sorted(folder.iterdir()):
        if entry.name.endswith(".data"):
            for library in ("purelib", "platlib"):
                if (entry / library).is_dir():
                    _merge(entry / library, target, key)
            remove_tree(entry)
    _merge(folder, target, key)


def _merge(source: Path, target: Path, key: str) -> None:
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        destination = target.joinpath(*safe_parts(relative.as_posix(), key))
        if path.is_dir():
            destination.mkdir(exist_ok=True)
        elif destination.exists():
            raise ArchiveError(f"{key}: {relative} comes twice")
        else:
            shutil.copyfile(path, destination)
