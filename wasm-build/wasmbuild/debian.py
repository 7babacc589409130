"""Fetches files of Debian packages with apt's own programs, without root and without touching the machine's apt state.

The lists are the machine's own source lists, copied into the cache with their types changed. A file is looked up by
its hash over all versions that the index knows, and fetched alone: that a newer revision's .dsc answers 404, or
that the index has moved on while the pinned archive is still served, does no harm.
"""

import re
import shutil
import threading
from pathlib import Path
from urllib.parse import quote

from wasmbuild.cache import Cache, remove_tree, write_atomically
from wasmbuild.errors import FetchError
from wasmbuild.process import Processes, tail_of
from wasmbuild.sources import Source

_TYPES = {"debian-source": "deb-src", "debian-binary": "deb"}
_URI = re.compile(r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$", re.MULTILINE)
_HELPER = Path("/usr/lib/apt/apt-helper")
_lock = threading.Lock()


def download(source: Source, cache: Cache, target: Path, processes: Processes, log: Path) -> None:
    """Fetch the pinned file of a Debian package to `target`; the caller checks its hash.

    Raises:
        FetchError: no apt here, no source lists, no network, or the file is no longer served.
    """
    if shutil.which("apt-get") is None or not _HELPER.exists():
        raise FetchError(f"{source.file}: comes from Debian's archive, and this machine has no apt")
    apt = Apt(cache.root / "apt" / _TYPES[source.origin], _TYPES[source.origin], processes, log)
    with _lock:
        apt.prepare()
    uris = apt.find(source)
    for uri in uris:
        target.unlink(missing_ok=True)
        code, _ = apt.run(str(_HELPER), "download-file", uri, str(target), f"SHA256:{source.sha256}")
        if code == 0 and target.exists():
            return
    reason = tail_of(log, 3).replace("\n", " ")
    raise FetchError(
        f"{source.file}: Debian's archive does not serve it (tried {len(uris)} addresses): {reason}"
        if uris
        else f"{source.file}: no source list of this machine knows the package {source.package!r}: {reason}"
    )


class Apt:
    """Apt with private state: `folder` holds its lists, its cache and the derived source lists."""

    def __init__(self, folder: Path, list_type: str, processes: Processes, log: Path) -> None:
        self.folder = folder
        self.list_type = list_type
        self.processes = processes
        self.log = log
        self._options = [
            f"-oDir::State={folder}/state",
            f"-oDir::State::lists={folder}/lists",
            "-oDir::State::status=/dev/null",
            f"-oDir::Cache={folder}/cache",
            "-oDir::Etc::sourcelist=/dev/null",
            f"-oDir::Etc::sourceparts={folder}/sources",
            "-oAcquire::Languages=none",
            "-oAcquire::Retries=3",
            "-oAPT::Get::List-Cleanup=0",
            # Run by root, apt would switch to a user who cannot write here; run by others this changes nothing.
            "-oAPT::Sandbox::User=root",
            "-qq",
        ]

    def run(self, program: str, *arguments: str, capture: bool = False) -> tuple[int, str]:
        import os

        environment = {**os.environ, "LC_ALL": "C"}
        argv = [program, *self._options, *arguments]
        with self.log.open("a", encoding="utf-8") as handle:
            handle.write(f"$ {program} {' '.join(arguments)}\n")
        return self.processes.run(argv, self.folder, environment, self.log, capture=capture)

    def prepare(self) -> None:
        """Derive the source lists and fetch the index once per process and cache."""
        if self.folder in _prepared:
            return
        remove_tree(self.folder / "sources")
        for name in ("state", "lists/partial", "cache/archives/partial", "sources"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not self._derive_lists():
            raise FetchError("this machine has no apt source lists (looked where apt-config says they are)")
        # Some list of the machine may be unreachable; what counts is whether the wanted file is found afterwards.
        self.run("apt-get", "update")
        _prepared.add(self.folder)

    def _derive_lists(self) -> int:
        _, text = self.processes.run(
            ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
            self.folder, {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, self.log, capture=True,
        )  # fmt: skip
        found = dict(re.findall(r"^(LIST|PARTS)='(.*)'$", text, re.MULTILINE))
        files = [Path(found.get("LIST", "/etc/apt/sources.list"))]
        parts = Path(found.get("PARTS", "/etc/apt/sources.list.d"))
        files += sorted([*parts.glob("*.list"), *parts.glob("*.sources")])
        count = 0
        for file in files:
            if not file.is_file():
                continue
            derived = retype(file.read_text(encoding="utf-8", errors="replace"), file.suffix, self.list_type)
            if derived:
                write_atomically(self.folder / "sources" / file.name, derived.encode())
                count += 1
        return count

    def find(self, source: Source) -> list[str]:
        """Addresses that may serve the pinned file, the surest first."""
        if self.list_type == "deb":
            _, text = self.run("apt-get", "download", "--print-uris", source.package, capture=True)
            listings = [text]
        else:
            _, text = self.run("apt-cache", "showsrc", "--only-source", source.package, capture=True)
            versions = dict.fromkeys(re.findall(r"^Version: (\S+)$", text, re.MULTILINE))
            listings = [self._print_uris(f"{source.package}={version}") for version in versions]
        exact: list[str] = []
        beside: list[str] = []
        for uri, _, _, sha256 in (match for text in listings for match in _URI.findall(text)):
            if sha256 == source.sha256:
                exact.append(uri)
            else:
                beside.append(f"{uri.rsplit('/', 1)[0]}/{quote(source.file)}")
        return list(dict.fromkeys([*exact, *beside]))

    def _print_uris(self, package: str) -> str:
        _, text = self.run("apt-get", "source", "--print-uris", "--only-source", package, capture=True)
        return text


_prepared: set[Path] = set()


def retype(text: str, suffix: str, list_type: str) -> str:
    """A source list with every entry of type `list_type`; `suffix` tells the format (.sources, else one-line).

    Empty if the list has no active entry.
    """
    if suffix == ".sources":
        return re.sub(r"(?m)^Types:.*$", f"Types: {list_type}", text) if re.search(r"(?m)^Types:", text) else ""
    lines = [
        re.sub(r"^\s*deb(-src)?\b", list_type, line) for line in text.splitlines() if re.match(r"\s*deb(-src)?\s", line)
    ]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))
