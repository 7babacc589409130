"""The pinned archives: sources.toml as typed data."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from wasmbuild.errors import RecipeError

ORIGINS = ("debian-source", "debian-binary", "pypi-sdist", "pypi-wheel")
_TEXTS = ("version", "origin", "package", "file", "sha256", "licence")


@dataclass(frozen=True, slots=True)
class Source:
    """One archive.

    Attributes:
        key: its name in sources.toml.
        package: the name its origin knows it by.
        file: the archive's file name there.
        size: bytes.
        sha256: lower-case hexadecimal.
        upstream: the same bytes at the project's own site, for machines without Debian's tools; None if there are none.
    """

    key: str
    version: str
    origin: str
    package: str
    file: str
    size: int
    sha256: str
    licence: str
    upstream: str | None = None

    @property
    def cache_name(self) -> str:
        return f"{self.sha256}-{self.file}"


def load_sources(file: Path) -> dict[str, Source]:
    """Read and check sources.toml.

    Raises:
        RecipeError: naming the file and the key that is wrong.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(file, "(file)", "does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(file, "(file)", f"is not valid TOML: {error}") from error
    sources = {}
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise RecipeError(file, key, "must be a table")
        sources[key] = _load_one(file, key, table)
    return sources


def _load_one(file: Path, key: str, table: dict[str, object]) -> Source:
    for name in table:
        if name not in {*_TEXTS, "size", "upstream"}:
            raise RecipeError(file, f"{key}.{name}", "unknown key")
    texts = {}
    for name in _TEXTS:
        value = table.get(name, key if name == "package" else None)
        if not isinstance(value, str) or not value:
            raise RecipeError(file, f"{key}.{name}", "must be a non-empty string" if name in table else "is missing")
        texts[name] = value
    size = table.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise RecipeError(file, f"{key}.size", "must be a positive number of bytes")
    if texts["origin"] not in ORIGINS:
        raise RecipeError(file, f"{key}.origin", f"{texts['origin']!r} is not one of {', '.join(ORIGINS)}")
    if not re.fullmatch(r"[0-9a-f]{64}", texts["sha256"]):
        raise RecipeError(file, f"{key}.sha256", "must be 64 lower-case hexadecimal digits")
    if "/" in texts["file"] or texts["file"].startswith("."):
        raise RecipeError(file, f"{key}.file", "must be a plain file name")
    upstream = table.get("upstream")
    if upstream is not None and not (isinstance(upstream, str) and upstream.startswith("https://")):
        raise RecipeError(file, f"{key}.upstream", "must be an https address")
    return Source(key=key, size=size, upstream=upstream, **texts)
