"""The build's cache folder: where archives, stage outputs, logs and images live.

sources/<sha256>-<file>     verified archives
stages/<name>-<stamp16>/    finished stage outputs, each renamed into place whole
work/                       scratch of running stages; anything here may be deleted between builds
logs/<name>-<stamp16>.log   everything a stage printed
images/                     <name>.json manifests, and the .cwasm and .memory files they point at
zig/                        the compiler's own cache
durations.json              seconds each stage took last time
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from wasmbuild.errors import BuildError

CACHE_VARIABLE = "WASMEXEC_CACHE"


@dataclass(frozen=True, slots=True)
class Cache:
    """Paths below one cache folder."""

    root: Path

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    @property
    def stages(self) -> Path:
        return self.root / "stages"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def zig(self) -> Path:
        return self.root / "zig"

    def prepare(self) -> None:
        """Create the folders.

        Raises:
            BuildError: the cache cannot be there.
        """
        # configure scripts and makefiles take the compiler's path as words of a command line.
        if any(character.isspace() for character in str(self.root)):
            raise BuildError(f"the cache folder {self.root} has a space in its path; set {CACHE_VARIABLE} to another")
        for folder in (self.sources, self.stages, self.work, self.logs, self.images, self.zig):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BuildError(f"the cache folder {folder} cannot be made: {error.strerror}") from error

    def stage_folder(self, name: str, stamp: str) -> Path:
        return self.stages / f"{name}-{stamp[:16]}"

    def log_file(self, name: str, stamp: str) -> Path:
        return self.logs / f"{name}-{stamp[:16]}.log"

    def clear_work(self) -> None:
        """Remove what interrupted builds left; call only while holding the lock."""
        for entry in self.work.iterdir():
            remove_tree(entry)

    @contextlib.contextmanager
    def lock(self, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the cache for one build; waits for another build, after telling `on_wait` whose it is."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "build.lock").open("a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is not None:
                    handle.seek(0)
                    on_wait(f"another build holds {self.root} (process {handle.read().strip() or 'unknown'}); waiting")
                fcntl.flock(handle, fcntl.LOCK_EX)
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    def durations(self) -> dict[str, float]:
        """Seconds each stage took when it last ran; empty if unknown or unreadable."""
        try:
            loaded = json.loads((self.root / "durations.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(loaded, dict):
            return {}
        return {str(name): float(value) for name, value in loaded.items() if isinstance(value, int | float)}

    def record_duration(self, name: str, seconds: float) -> None:
        durations = self.durations()
        durations[name] = round(seconds, 2)
        write_atomically(self.root / "durations.json", json.dumps(durations, indent=1, sort_keys=True).encode())


def default_cache() -> Cache:
    """The cache that WASMEXEC_CACHE names, else the user's."""
    override = os.environ.get(CACHE_VARIABLE)
    return Cache(Path(override).expanduser().resolve() if override else Path(platformdirs.user_cache_dir("wasmexec")))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` in one step, so that a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Delete a file or folder, also one that an archive unpacked read-only."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)
