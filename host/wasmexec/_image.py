"""Finding a guest image: a JSON manifest in the cache folder and the compiled module that it names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from .errors import ImageError

DEFAULT_NAMES = ("full", "core")
HOW_TO_BUILD = "build it: python -m wasmexec image build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a manifest says; `path` is the compiled module beside it."""

    name: str
    stamp: str
    path: Path
    manifest: Path
    size: int
    sha256: str
    wasmtime: str
    channel_address: int
    memory_bytes: int
    modules: tuple[str, ...]
    packages: dict[str, str]
    built: str
    build_seconds: float

    def verify_hash(self) -> None:
        """Read the whole module and compare its hash; loading compares only the size.

        Raises: ImageError: the file is not the one that was built.
        """
        import hashlib

        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise ImageError(f"{self.path} has sha256 {found}, its manifest says {self.sha256}; {HOW_TO_BUILD}")


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
    images = cache_folder() / "images"
    if wanted:
        manifest = Path(wanted)
        if isinstance(wanted, str) and manifest.suffix != ".json" and manifest.name == wanted:
            manifest = images / f"{wanted}.json"
        candidates = [manifest]
    else:
        candidates = [images / f"{name}.json" for name in DEFAULT_NAMES]
    for manifest in candidates:
        if manifest.is_file():
            return read_manifest(manifest)
    tried = " or ".join(str(path) for path in candidates)
    raise ImageError(f"no guest image at {tried}; {HOW_TO_BUILD}")


def read_manifest(manifest: Path) -> Image:
    """Raises: ImageError: unreadable, incomplete, or at odds with the compiled module."""
    try:
        fields = orjson.loads(manifest.read_bytes())
        image = Image(
            name=str(fields["name"]),
            stamp=str(fields["stamp"]),
            path=manifest.parent / Path(fields["cwasm"]).name,
            manifest=manifest,
            size=int(fields["size"]),
            sha256=str(fields["sha256"]),
            wasmtime=str(fields["wasmtime"]),
            channel_address=int(fields["channel_address"]),
            memory_bytes=int(fields["memory_bytes"]),
            modules=tuple(map(str, fields["modules"])),
            packages={str(name): str(version) for name, version in fields["packages"].items()},
            built=str(fields.get("built", "")),
            build_seconds=float(fields.get("build_seconds", 0)),
        )
    except OSError as error:
        raise ImageError(f"the image manifest {manifest} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"the image manifest {manifest} is damaged ({error!r}); {HOW_TO_BUILD}") from None
    try:
        size = image.path.stat().st_size
    except OSError:
        raise ImageError(f'the image "{image.name}" lacks its file {image.path}; {HOW_TO_BUILD}') from None
    if size != image.size:
        raise ImageError(f"{image.path} has {size:,} bytes, its manifest says {image.size:,}; {HOW_TO_BUILD}")
    return image
