"""Fetches pinned archives into the cache; a file counts only when its size and sha256 are the pinned ones."""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from wasmbuild import debian, pypi
from wasmbuild.archive import unpack
from wasmbuild.cache import Cache
from wasmbuild.errors import FetchError
from wasmbuild.process import Processes
from wasmbuild.sources import Source

Report = Callable[[int, int], None]

_ATTEMPTS = 4


def is_fetched(source: Source, cache: Cache) -> bool:
    """Whether the archive is in the cache (its size is looked at; `unpack_source` checks the hash again)."""
    try:
        return (cache.sources / source.cache_name).stat().st_size == source.size
    except OSError:
        return False


def unpack_source(source: Source, cache: Cache, target: Path) -> None:
    """Unpack a fetched archive into `target`, after checking its hash once more.

    Raises:
        FetchError: the cached file was changed meanwhile; it is deleted.
        ArchiveError: it is damaged or has members outside its folder.
    """
    archive = cache.sources / source.cache_name
    _check(source, archive)
    unpack(archive, target, name=source.file)


def _check(source: Source, path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if size == source.size and found == source.sha256:
        return
    path.unlink()
    raise FetchError(
        f"{source.file}: is not the pinned archive: it has {size:,} bytes with sha256 {found}, "
        f"pinned are {source.size:,} bytes with sha256 {source.sha256}; it was deleted"
    )


@dataclass(frozen=True, slots=True)
class Fetch:
    """One archive on its way into the cache."""

    source: Source
    cache: Cache
    processes: Processes
    log: Path
    report: Report

    def run(self) -> Path:
        """Bring the archive into the cache; an interrupted download goes on where it stopped.

        Raises:
            FetchError: it is nowhere to be had, is not the pinned one, or does not fit on the disk.
        """
        source, cache = self.source, self.cache
        target = cache.sources / source.cache_name
        if is_fetched(source, cache):
            return target
        try:
            free = shutil.disk_usage(cache.sources).free
            if free < source.size:
                raise self._no_space(f", {free:,} are free")
            if source.origin.startswith("debian-"):
                self._from_debian()
            else:
                self._download(lambda start: pypi.open_archive(source, start))
            _check(source, self._partial)
            self._partial.replace(target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._no_space("") from error
            raise FetchError(f"{source.file}: {error}") from error
        return target

    @property
    def _partial(self) -> Path:
        return self.cache.sources / f"{self.source.cache_name}.part"

    def _no_space(self, more: str) -> FetchError:
        source = self.source
        return FetchError(f"{source.file}: no space left in {self.cache.root} ({source.size:,} bytes needed{more})")

    def _from_debian(self) -> None:
        try:
            debian.download(self.source, self.cache, self._partial, self.processes, self.log)
        except FetchError as error:
            upstream = self.source.upstream
            if upstream is None:
                raise
            try:
                self._download(lambda start: _open_upstream(upstream, start))
            except FetchError as second:
                raise FetchError(f"{error}; and from upstream: {second}") from error

    def _download(self, open_at: Callable[[int], pypi.Opened]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            start = self._partial.stat().st_size if self._partial.exists() else 0
            if start >= self.source.size:
                return
            try:
                opened = open_at(start)
                try:
                    self._save(opened)
                finally:
                    opened.close()
                return
            except pypi.TransferError as error:
                if attempt == _ATTEMPTS:
                    raise FetchError(f"{self.source.file}: {error} (after {attempt} attempts)") from error
                time.sleep(attempt)

    def _save(self, opened: pypi.Opened) -> None:
        size = self.source.size
        with self._partial.open("r+b" if opened.start else "wb") as out:
            done = out.seek(opened.start)
            out.truncate()
            for chunk in opened.chunks:
                self.processes.check()
                done += len(chunk)
                if done > size:
                    raise FetchError(f"{self.source.file}: is longer than the pinned {size:,} bytes")
                out.write(chunk)
                self.report(done, size)
        if done < size:
            raise pypi.TransferError(f"the connection ended after {done:,} of {size:,} bytes")


def _open_upstream(url: str, start: int) -> pypi.Opened:
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(request, timeout=60)
    except URLError as error:
        raise pypi.TransferError(f"{url}: {error.reason}") from error
    chunks = iter(lambda: response.read(1 << 18), b"")
    return pypi.Opened(start if response.status == 206 else 0, chunks, response.close)
