"""A PostgreSQL server of the tests' own: Debian's package, a temporary folder, a Unix socket, nobody's account.

The package is the machine's if it has one, else it is downloaded with apt's own programs into the build's cache and
unpacked beside the data: nothing is installed, and nobody needs to be root.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import psycopg

from wasmbuild.cache import default_cache
from wasmbuild.debian import Apt
from wasmbuild.process import Processes, tail_of

_URI = re.compile(r"^'([^']+)' (\S+)_\S+\.deb (\d+) (\S+:\S+)$", re.MULTILINE)
# What the server does not need to run.
_UNUSED = re.compile(
    r"libllvm|perl|libperl|postgresql-common|postgresql-client|ssl-cert|debconf|locales|libjson|sysstat"
)
_SERVER = "usr/lib/postgresql/*/bin/postgres"
_USER = "wasmexec"
_numbers = itertools.count(1)


class PostgresServer:
    """A server that runs; `new_database` gives a URL with an empty schema of its own, which is far quicker to make."""

    def __init__(self, folder: Path, program: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        # The machine never goes down in these tests, so nothing waits for the disk.
        settings = ("listen_addresses=", "fsync=off", "max_connections=60", "jit=off")
        options = [word for setting in settings for word in ("-c", setting)]
        self._command: list[str | Path] = [program, "-D", folder / "data", "-k", folder, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "log"
        with log.open("ab") as sink:
            self._process = _start(self._command, self._folder, self._environment, sink)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {tail_of(log)}") from error
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: SIGQUIT as if it had crashed, SIGINT in order, both without waiting for anybody."""
        if self._process is not None:
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Neither answers nor breaks a connection, as a machine that hangs."""
        assert self._process is not None
        processes = [psutil.Process(self._process.pid)]
        processes[0].suspend()
        processes += processes[0].children()
        for process in processes[1:]:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def new_database(self) -> str:
        schema = f"test{next(_numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return f"postgresql+psycopg://{_USER}@/postgres?host={self._folder}&options=-csearch_path%3D{schema}"

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """A plain connection in autocommit mode."""
        return psycopg.connect(host=str(self._folder), user=_USER, dbname=database, autocommit=True)


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, stop it at the end and delete its folder.

    Raises:
        RuntimeError: there is no server package and none can be downloaded, or it does not start; says why.
    """
    # Not below pytest's folder: a socket's path is short, and another account must get there.
    folder = Path(tempfile.mkdtemp(prefix="wx-pg-"))
    server: PostgresServer | None = None
    try:
        program = _installed() or _unpacked(folder / "package")
        environment = _environment(folder / "package")
        log = folder / "log"
        with log.open("wb") as sink:
            options: list[str | Path] = ["-D", folder / "data", "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
            initdb = [program.with_name("initdb"), *options, "--no-sync", "--no-instructions"]
            if _start(initdb, folder, environment, sink).wait(120):
                raise RuntimeError(f"initdb failed: {tail_of(log)}")
        server = PostgresServer(folder, program, environment)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    command: list[str | Path], folder: Path, environment: dict[str, str], sink: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program in `folder`; by root as nobody, because PostgreSQL refuses to run as root."""
    user = group = None
    extra_groups: list[str | int] | None = None
    if os.geteuid() == 0:
        user, group, extra_groups = "nobody", "nogroup", []
        shutil.chown(folder, user, group)
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
        user=user, group=group, extra_groups=extra_groups,
    )  # fmt: skip


def _environment(package: Path) -> dict[str, str]:
    libraries = [str(path) for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for path in package.glob(pattern)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    return {**environment, "LD_LIBRARY_PATH": ":".join(libraries)} if libraries else environment


def _installed() -> Path | None:
    return max(Path("/").glob(_SERVER), key=lambda path: int(path.parts[-3]), default=None)


def _unpacked(folder: Path) -> Path:
    for archive in download_packages(default_cache().root / "postgresql"):
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    found = max(folder.glob(_SERVER), default=None)
    if found is None:
        raise RuntimeError("Debian's package postgresql has no server in it")
    return found


def installed_packages() -> set[str]:
    """The names of this machine's packages."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for state, name in (line.split() for line in lines) if state == "ii"}


def download_packages(cache: Path) -> list[Path]:
    """The archives of a server and of what it needs and this machine does not have, downloaded once."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError("the tests need PostgreSQL: install your system's package (Debian's is postgresql)")
    cache.mkdir(parents=True, exist_ok=True)
    log = cache / "log"
    apt = Apt(cache / "apt", "deb", Processes(), log)
    apt.prepare()
    # As if nothing were installed: what the machine has is left out afterwards, however broken its packages are.
    options = ["-y", "--no-install-recommends", "-oAcquire::ForceHash=SHA256", "--print-uris"]
    _, text = apt.run("apt-get", *options, "install", "postgresql", capture=True)
    present = installed_packages()
    wanted = [
        match
        for match in _URI.findall(text)
        if match[1].partition("_")[0] not in present and not _UNUSED.match(match[1])
    ]
    if not wanted:
        raise RuntimeError(f"the tests need PostgreSQL, and apt does not find Debian's package: {tail_of(log, 5)}")
    archives = []
    for uri, name, size, digest in wanted:
        archive = cache / f"{name}-{digest.partition(':')[2][:16]}.deb"
        archives.append(archive)
        if archive.exists() and archive.stat().st_size == int(size):
            continue
        partial = archive.with_suffix(f".{os.getpid()}")
        code, _ = apt.run("/usr/lib/apt/apt-helper", "download-file", uri, str(partial), digest)
        if code or not partial.exists():
            raise RuntimeError(f"the tests need PostgreSQL, and {name} could not be downloaded: {tail_of(log, 5)}")
        partial.replace(archive)
    return archives
