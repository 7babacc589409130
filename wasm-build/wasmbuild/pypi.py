"""Opens archives on the Python package index, as pip on this machine is configured to reach it.

Nothing of an archive is executed: `unearth` finds the link, the bytes are streamed.
"""

import functools
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wasmbuild.errors import FetchError
from wasmbuild.sources import Source

# pip's parser merges its defaults, its configuration files and PIP_* variables; run apart because it is not an API.
_ASK_PIP = """
import json
from pip._internal.commands import create_command
options, _ = create_command("download").parser.parse_args([])
names = "index_url extra_index_urls no_index find_links trusted_hosts cert client_cert timeout proxy".split()
print(json.dumps({name: getattr(options, name, None) for name in names}))
"""


class TransferError(Exception):
    """A transfer broke; trying again may help."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A transfer under way: its bytes begin at offset `start`; the caller closes it."""

    start: int
    chunks: Iterator[bytes]
    close: Callable[[], object]


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where and how pip looks for packages."""

    index_urls: tuple[str, ...]
    find_links: tuple[str, ...]
    trusted_hosts: tuple[str, ...]
    cert: str | None
    client_cert: str | None
    timeout_seconds: float
    proxy: str | None


@functools.cache
def index_settings() -> IndexSettings:
    """Pip's own settings: its default index, configuration files and environment variables.

    Raises:
        FetchError: this Python has no usable pip.
    """
    command = [sys.executable, "-c", _ASK_PIP]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"cannot ask pip for its settings: {last} (python -m ensurepip installs pip)")
    found = json.loads(answer.stdout)
    indexes = () if found["no_index"] else (*found["extra_index_urls"], found["index_url"])
    return IndexSettings(
        index_urls=tuple(indexes),
        find_links=tuple(found["find_links"] or ()),
        trusted_hosts=tuple(found["trusted_hosts"] or ()),
        cert=found["cert"],
        client_cert=found["client_cert"],
        timeout_seconds=float(found["timeout"] or 15),
        proxy=found["proxy"] or None,
    )


@functools.cache
def open_session() -> Any:
    """The client for every transfer of this process, with pip's proxy, certificates and credentials."""
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    settings = index_settings()
    context = ssl.create_default_context(cafile=settings.cert)
    options: dict[str, Any] = {"proxy": settings.proxy} if settings.proxy else {}
    session = PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        verify=context,
        cert=settings.client_cert,
        timeout=settings.timeout_seconds,
        follow_redirects=True,
        **options,
    )
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.index_urls)
    return session


class _Remember(logging.Handler):
    """Collects what unearth only logs: which index could not be read, and why."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def find_link(source: Source) -> str:
    """The address of the pinned file; local folders and extra indexes are asked before the main index.

    Raises:
        TransferError: no index could be reached.
        FetchError: the indexes answered, and none has the file.
    """
    from unearth import PackageFinder

    settings = index_settings()
    make = functools.partial(
        PackageFinder, open_session(), trusted_hosts=settings.trusted_hosts, ignore_compatibility=True
    )
    finders = [functools.partial(make, find_links=[place]) for place in settings.find_links]
    finders += [functools.partial(make, index_urls=[place]) for place in settings.index_urls]
    remember = _Remember()
    logger = logging.getLogger("unearth")
    logger.addHandler(remember)
    broken: list[str] = []
    try:
        for make_finder in finders:
            try:
                for package in make_finder().find_all_packages(source.package, allow_yanked=True):
                    if package.link.filename == source.file:
                        return str(package.link.normalized)
            # The HTTP library that unearth brings raises errors of its own; another place may still answer.
            except Exception as error:
                broken.append(f"{type(error).__name__}: {error}")
    finally:
        logger.removeHandler(remember)
    if broken:
        raise TransferError(f"the package index cannot be reached: {'; '.join(broken)}")
    details = f" ({'; '.join(remember.messages)})" if remember.messages else ""
    raise FetchError(f"{source.file}: no package index that pip is configured for has it{details}")


def open_archive(source: Source, start: int) -> Opened:
    """Begin the transfer of a pinned file at offset `start`, or at 0 if the server cannot.

    Raises:
        TransferError: the server cannot be reached or refuses.
        FetchError: no index has the file.
    """
    url = find_link(source)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    stream = open_session().get_stream(url, headers=headers)
    try:
        response = stream.__enter__()
    # See find_link: the errors belong to unearth's HTTP library.
    except Exception as error:
        raise TransferError(f"{type(error).__name__}: {error}") from error
    if response.status_code not in (200, 206):
        stream.__exit__(None, None, None)
        raise TransferError(f"the package index answered {response.status_code} {response.reason_phrase}")
    resumed = start if response.status_code == 206 else 0
    return Opened(resumed, _chunks(response), lambda: stream.__exit__(None, None, None))


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes(1 << 18)
    # See find_link: the errors belong to unearth's HTTP library.
    except Exception as error:
        raise TransferError(f"{type(error).__name__}: {error}") from error
