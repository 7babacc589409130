"""Finding a guest image: a JSON manifest in the cache folder and the two files that it names."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import orjson

from .errors import ImageError

DEFAULT_NAMES = ("full", "core")


def how_to_build(file: Path) -> str:
    """What to do about an image that is not there or damaged; `file` is one of its files."""
    name = file.name.partition(".")[0].partition("-")[0]
    return "build it: python -m wasmexec image build" + (f" {name}" if name in DEFAULT_NAMES[1:] else "")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file of an image."""

    path: Path
    size: int
    sha256: str

    def verify_hash(self) -> None:
        """Raises: ImageError: the file is not the one that was built, or cannot be read."""
        import hashlib

        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read: {error.strerror}") from None
        self.compare(found)

    def compare(self, found: str) -> None:
        """Raises: ImageError: this is not its hash."""
        if found != self.sha256:
            raise ImageError(
                f"{self.path} has sha256 {found}, its manifest says {self.sha256}; {how_to_build(self.path)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a manifest says: `code` is compiled for this machine, `memory` is what every instance begins with."""

    name: str
    stamp: str
    manifest: Path
    code: ImageFile
    memory: ImageFile
    wasmtime: str
    channel_address: int
    modules: tuple[str, ...]
    packages: dict[str, str]
    built: str
    build_seconds: float

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return self.code.size + self.memory.size

    @property
    def memory_bytes(self) -> int:
        """Linear memory of a fresh instance."""
        return self.memory.size

    def verify_hash(self) -> None:
        """Read both files whole and compare their hashes.

        Raises: ImageError: one is not the one that was built.
        """
        self.code.verify_hash()
        self.memory.verify_hash()


def cache_folder() -> Path:
    """The folder that the build writes to: WASMEXEC_CACHE, else the user's cache folder."""
    override = os.environ.get("WASMEXEC_CACHE")
    if override:
        return Path(override).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("wasmexec"))


def find_image(wanted: str | Path | None = None) -> Image:
    """The image asked for by name or manifest path, else by WASMEXEC_IMAGE, else "full", else "core".

    Raises:
        ImageError: there is none, or its files are not what the manifest says.
    """
    wanted = wanted or os.environ.get("WASMEXEC_IMAGE")
    if wanted:
        manifest = Path(wanted)
        if isinstance(wanted, str) and manifest.suffix != ".json" and manifest.name == wanted:
            manifest = cache_folder() / "images" / f"{wanted}.json"
        # A worker that is given a manifest may have neither a cache folder nor a home.
        candidates = [manifest]
    else:
        candidates = [cache_folder() / "images" / f"{name}.json" for name in DEFAULT_NAMES]
    for manifest in candidates:
        if manifest.is_file():
            return read_manifest(manifest)
    tried = " or ".join(str(path) for path in candidates)
    raise ImageError(f"no guest image at {tried}; {how_to_build(candidates[0])}")


def read_manifest(manifest: Path) -> Image:
    """Raises: ImageError: unreadable, incomplete, at odds with the files it names, or others could have written it."""
    _check_owner_of(manifest.parent)
    _check_owner_of(manifest)
    try:
        fields = orjson.loads(manifest.read_bytes())
        image = Image(
            name=str(fields["name"]),
            stamp=str(fields["stamp"]),
            manifest=manifest,
            code=_file(manifest, fields["code"]),
            memory=_file(manifest, fields["memory"]),
            wasmtime=str(fields["wasmtime"]),
            channel_address=int(fields["channel_address"]),
            modules=tuple(map(str, fields["modules"])),
            packages={str(name): str(version) for name, version in fields["packages"].items()},
            built=str(fields.get("built", "")),
            build_seconds=float(fields.get("build_seconds", 0)),
        )
    except OSError as error:
        raise ImageError(f"the image manifest {manifest} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"the image manifest {manifest} is damaged ({error!r}); {how_to_build(manifest)}") from None
    for file in (image.code, image.memory):
        _check_owner_of(file.path)
        try:
            status = file.path.stat()
        except (OSError, ValueError):  # ValueError: a NUL in the name
            status = None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise ImageError(f'the image "{image.name}" lacks its file {file.path}; {how_to_build(manifest)}')
        size = status.st_size
        if size != file.size:
            raise ImageError(
                f"{file.path} has {size:,} bytes, its manifest says {file.size:,}; {how_to_build(manifest)}"
            )
    return image


def _check_owner_of(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return  # Whoever opens it says so.
    check_owner(path, status)


def check_owner(path: Path, status: os.stat_result) -> None:
    """SECURITY: an image is native code that runs in this process: nobody else may have written it.

    Raises: ImageError: the file or folder is another user's, or everybody may write to it.
    """
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        who = "everybody may write to it" if status.st_mode & stat.S_IWOTH else "it belongs to another user"
        raise ImageError(f"the image at {path} is not loaded: {who}, and an image is native code")


def _file(manifest: Path, fields: dict[str, object]) -> ImageFile:
    """A file is named without its folder, which is the manifest's."""
    return ImageFile(manifest.parent / Path(str(fields["file"])).name, int(str(fields["size"])), str(fields["sha256"]))
