"""guest/CONTRACT.md is the one source: gate, build, host and docs/ have what it lists, and each citation resolves."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.reading import ROOT, block, python_constants, read, table

PAGE = read("guest/CONTRACT.md")
TEXT = " ".join(PAGE.split())
IMPORTS = block(PAGE, "imports").split()
_CITATION = re.compile(r"\b[Cc]ontract((?:(?:,| and| to)? C[0-9]+)+)")


def sections() -> list[str]:
    return re.findall(r"^## (C[0-9]+) ", PAGE, re.MULTILINE)


def test_the_gate_lists_the_names_of_the_contract() -> None:
    assert len(IMPORTS) == len(set(IMPORTS)) == 25
    assert python_constants(read("guest/wasmexec_guest/importgate.py"))["LISTED"] == tuple(IMPORTS)
    assert python_constants(read("tests/guest/test_importgate.py"))["LISTED"] == tuple(IMPORTS)


def test_the_build_looks_for_every_listed_name_that_is_not_of_the_standard_library() -> None:
    listed = python_constants(read("wasm-build/wasmbuild/image.py"))["LISTED"]
    assert listed == tuple(name for name in IMPORTS if name.partition(".")[0] not in sys.stdlib_module_names)


def test_the_page_for_those_who_write_statements_lists_the_names_of_the_contract() -> None:
    page = read("docs/statements.md")
    assert "import these 25 names" in page
    assert block(page, "imports").split() == IMPORTS


def test_the_statuses_are_those_of_the_host() -> None:
    page = {int(row["status"]) for row in table(PAGE, "status", "name", "when")}
    host = python_constants(read("host/wasmexec/status.py"))
    assert page == {number for name, number in host.items() if name.startswith("Status.")}


def test_the_log_levels_are_those_of_the_host() -> None:
    found = re.search(r"The levels, least first: (.*?)\.", TEXT)
    assert found is not None
    assert tuple(re.findall(r"`(\w+)`", found[1])) == python_constants(read("host/wasmexec/result.py"))["LEVELS"]


def test_the_column_types_are_those_of_the_host() -> None:
    found = re.search(r"Column types: (.*?) have columns", TEXT)
    assert found is not None
    types = tuple(re.findall(r"\w+", found[1].replace(" and ", " ")))
    assert types == python_constants(read("host/wasmexec/schema/columns.py"))["COLUMN_TYPES"]


def pinned() -> Iterator[tuple[str, str]]:
    found = re.search(r"exactly these versions: (.*?)\. ", TEXT)
    assert found is not None
    yield from re.findall(r"([A-Za-z-]+) ([0-9]+(?:\.[0-9]+)+)", found[1])


def test_nine_packages_are_pinned() -> None:
    assert len(list(pinned())) == 9


@pytest.mark.parametrize(("package", "version"), list(pinned()))
def test_the_pinned_versions_are_those_that_are_built_and_compared_with(package: str, version: str) -> None:
    recipe = tomllib.loads(read(f"wasm-build/recipes/{package.lower()}/recipe.toml"))
    assert recipe["version"] == version
    native = read("tests/requirements-native.txt").lower()
    assert re.search(rf"^{package.lower()}(\[\w+\])?=={re.escape(version)}$", native, re.MULTILINE)


def cited(text: str) -> set[str]:
    """Every part of the contract that a text names; `C2 to C5` names all between."""
    found: set[str] = set()
    for parts in _CITATION.findall(text):
        numbers = [int(number) for number in re.findall(r"C([0-9]+)", parts)]
        for first, last in re.findall(r"C([0-9]+) to C([0-9]+)", parts):
            numbers += range(int(first), int(last))
        found |= {f"C{number}" for number in numbers}
    return found


def sources() -> Iterator[Path]:
    for folder, endings in {"guest": "py pyi c h", "host": "py md", "wasm-build": "py toml", "tests": "py md"}.items():
        for ending in endings.split():
            yield from (path for path in (ROOT / folder).rglob(f"*.{ending}") if ".venv" not in path.parts)


def test_every_part_that_code_cites_exists_and_most_parts_are_cited() -> None:
    by_part: dict[str, list[str]] = {}
    for path in sources():
        for part in cited(path.read_text("utf-8")):
            by_part.setdefault(part, []).append(str(path.relative_to(ROOT)))
    assert {part: paths for part, paths in by_part.items() if part not in sections()} == {}
    assert len(by_part) >= 6
    assert sections() == [f"C{number}" for number in range(1, len(sections()) + 1)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("(contract C5)", {"C5"}),
        ("Contract C3 and C4: awaiting", {"C3", "C4"}),
        ("contract C2 to C5 and C8, limits", {"C2", "C3", "C4", "C5", "C8"}),
        ("not containment: a contract", set()),
    ],
)
def test_citations_are_found(text: str, parts: set[str]) -> None:
    assert cited(text) == parts


@pytest.mark.parametrize("page", ["guest/CONTRACT.md", "guest/PROTOCOL.md"])
def test_the_pages_name_no_file_that_does_not_exist(page: str) -> None:
    names = re.findall(r"`((?:guest|host|tests|wasm-build)/[^` ]*)`", read(page))
    assert [name for name in names if not (ROOT / name).exists()] == []
