"""Fetching: from an index as pip knows it, verified, resumed; no network beyond a server on loopback."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wasmbuild import debian, pypi
from wasmbuild.cache import Cache
from wasmbuild.errors import ArchiveError, FetchError
from wasmbuild.fetch import Fetch, is_fetched, unpack_source
from wasmbuild.process import Processes
from wasmbuild.sources import Source

CONTENT = bytes(range(256)) * 4000


def source(content: bytes = CONTENT, file: str = "thing-1.0.tar.gz") -> Source:
    return Source(
        key="thing", version="1.0", origin="pypi-sdist", package="thing", file=file, size=len(content),
        sha256=hashlib.sha256(content).hexdigest(), licence="MIT",
    )  # fmt: skip


class Handler(http.server.BaseHTTPRequestHandler):
    """A package index with one project, that can break off transfers."""

    served: bytes = CONTENT
    break_after: int | None = None
    ranges: list[str | None]

    def do_GET(self) -> None:
        if self.path == "/simple/thing/":
            body = b'<a href="/files/thing-1.0.tar.gz">thing-1.0.tar.gz</a>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path == "/files/thing-1.0.tar.gz":
            cls = type(self)
            asked = self.headers.get("Range")
            cls.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            body = cls.served[start:]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if cls.break_after is not None:
                body, cls.break_after = body[: cls.break_after], None
            self.wfile.write(body)
        else:
            self.send_error(404)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    handler = type("FreshHandler", (Handler,), {"ranges": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        use_index(monkeypatch, index_urls=(f"http://127.0.0.1:{server.server_port}/simple",))
        yield handler
        server.shutdown()


def use_index(
    monkeypatch: pytest.MonkeyPatch, index_urls: tuple[str, ...] = (), find_links: tuple[str, ...] = ()
) -> None:
    settings = pypi.IndexSettings(index_urls, find_links, (), None, None, 5.0, None)
    pypi.open_session.cache_clear()
    monkeypatch.setattr(pypi, "index_settings", lambda: settings)
    monkeypatch.setattr("wasmbuild.fetch.time.sleep", lambda seconds: None)


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    close_session()
    yield
    close_session()


def close_session() -> None:
    """Also one that another test left open, in a run that had something to fetch."""
    if pypi.open_session.cache_info().currsize:
        pypi.open_session().close()
    pypi.open_session.cache_clear()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache")
    made.prepare()
    return made


def fetch(wanted: Source, cache: Cache) -> Path:
    return Fetch(wanted, cache, Processes(), cache.logs / "log", lambda done, total: None).run()


def test_archive_comes_from_the_index_and_is_not_fetched_twice(index: type[Handler], cache: Cache) -> None:
    assert fetch(source(), cache).read_bytes() == CONTENT
    assert is_fetched(source(), cache)
    fetch(source(), cache)
    assert index.ranges == [None]


def test_archive_comes_from_a_local_folder_of_links(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Cache
) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "thing-1.0.tar.gz").write_bytes(CONTENT)
    use_index(monkeypatch, find_links=(str(tmp_path / "links"),))
    assert fetch(source(), cache).read_bytes() == CONTENT


def test_broken_transfer_goes_on_where_it_stopped(index: type[Handler], cache: Cache) -> None:
    index.break_after = 300_000
    assert fetch(source(), cache).read_bytes() == CONTENT
    assert index.ranges[0] is None
    assert index.ranges[1] is not None
    assert index.ranges[1].startswith("bytes=")


def test_other_content_than_the_pinned_is_refused_and_deleted(index: type[Handler], cache: Cache) -> None:
    index.served = CONTENT[:-1] + b"x"
    with pytest.raises(FetchError, match=r"thing-1\.0\.tar\.gz: is not the pinned archive: .* sha256") as caught:
        fetch(source(), cache)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not list(cache.sources.iterdir())


def test_longer_content_than_the_pinned_is_refused(index: type[Handler], cache: Cache) -> None:
    index.served = CONTENT + b"more"
    with pytest.raises(FetchError, match=r"is longer than the pinned 1,024,000 bytes"):
        fetch(source(), cache)
    assert not is_fetched(source(), cache)


def test_archive_that_no_index_has_is_a_clear_error(index: type[Handler], cache: Cache) -> None:
    with pytest.raises(FetchError, match=r"thing-2\.0\.tar\.gz: no package index that pip is configured for has it"):
        fetch(source(file="thing-2.0.tar.gz"), cache)


def test_unreachable_index_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    use_index(monkeypatch, index_urls=("http://127.0.0.1:1/simple",))
    with pytest.raises(FetchError, match=r"the package index cannot be reached: ConnectError.*after 4 attempts"):
        fetch(source(), cache)


def test_full_disk_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, index: type[Handler], cache: Cache) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr("wasmbuild.fetch.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(FetchError, match=r"no space left in .* \(1,024,000 bytes needed, 10 are free\)"):
        fetch(source(), cache)


def test_archive_changed_in_the_cache_is_noticed_before_it_is_unpacked(
    index: type[Handler], cache: Cache, tmp_path: Path
) -> None:
    fetch(source(), cache).write_bytes(CONTENT[:-1] + b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError, match="is not the pinned archive"):
        unpack_source(source(), cache, tmp_path / "out")
    assert not is_fetched(source(), cache)


def test_archive_that_is_as_pinned_but_damaged_is_refused(index: type[Handler], cache: Cache, tmp_path: Path) -> None:
    fetch(source(), cache)
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveError, match="damaged"):
        unpack_source(source(), cache, tmp_path / "out")


def test_pip_is_asked_for_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.invalid/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/somewhere")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror.invalid")
    pypi.index_settings.cache_clear()
    found = pypi.index_settings()
    pypi.index_settings.cache_clear()
    assert found.index_urls[-1] == "https://mirror.invalid/simple"
    assert found.find_links == ("/somewhere",)
    assert found.trusted_hosts == ("mirror.invalid",)


def test_one_line_source_lists_are_retyped() -> None:
    text = "# comment\ndeb http://mirror.invalid stable main\ndeb-src [a=b] http://mirror.invalid stable main\n"
    assert debian.retype(text, ".list", "deb-src") == (
        "deb-src http://mirror.invalid stable main\ndeb-src [a=b] http://mirror.invalid stable main\n"
    )
    assert debian.retype("# nothing\n", ".list", "deb-src") == ""


def test_deb822_source_lists_are_retyped() -> None:
    text = "Types: deb\nURIs: http://mirror.invalid\nSuites: stable\n"
    assert debian.retype(text, ".sources", "deb-src") == text.replace("Types: deb\n", "Types: deb-src\n")
    assert debian.retype("", ".sources", "deb-src") == ""


PRINTED = {
    "thing=1.0-2": "'http://mirror.invalid/t/thing_1.0-2.dsc' thing_1.0-2.dsc 10 SHA256:{other}\n"
    "'http://mirror.invalid/t/thing_1.0.orig.tar.gz' thing_1.0.orig.tar.gz 10 SHA256:{wanted}\n",
    "thing=1.1-1": "'http://mirror.invalid/u/thing_1.1.orig.tar.gz' thing_1.1.orig.tar.gz 10 SHA256:{other}\n",
}


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        (["1.0-2", "1.1-1"], ["http://mirror.invalid/t/a~1.tar.gz", "http://mirror.invalid/u/a~1.tar.gz"]),
        (["1.1-1"], ["http://mirror.invalid/u/a~1.tar.gz"]),
        ([], []),
    ],
)
def test_pinned_archive_is_looked_for_in_every_version_of_the_debian_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, versions: list[str], found: list[str]
) -> None:
    wanted = source(file="a~1.tar.gz")

    def answer(self: object, program: str, *arguments: str, capture: bool = False) -> tuple[int, str]:
        if program == "apt-cache":
            return 0, "".join(f"Package: thing\nVersion: {version}\n\n" for version in versions)
        return 0, PRINTED[arguments[-1]].format(wanted=wanted.sha256, other="0" * 64)

    monkeypatch.setattr(debian.Apt, "run", answer)
    apt = debian.Apt(tmp_path, "deb-src", Processes(), tmp_path / "log")
    exact = ["http://mirror.invalid/t/thing_1.0.orig.tar.gz"] if "1.0-2" in versions else []
    assert apt.find(wanted) == exact + found


def test_machine_without_apt_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    monkeypatch.setattr("wasmbuild.debian.shutil.which", lambda name: None)
    wanted = source()
    missing = Source(**{name: getattr(wanted, name) for name in wanted.__slots__} | {"origin": "debian-source"})
    with pytest.raises(FetchError, match="comes from Debian's archive, and this machine has no apt"):
        fetch(missing, cache)
