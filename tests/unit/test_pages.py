"""The pages: lines that fit a screen, links that lead somewhere, and no path or file that does not exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.reading import ROOT, marked, read

WIDTH = 100
DOCS = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "guest/CONTRACT.md", "guest/PROTOCOL.md", "tests/README.md", *DOCS]
ENDINGS = (".py", ".md", ".c", ".h", ".toml", ".txt", ".lock", ".sh", ".jsonl")
EXAMPLES = {"build/gallery", "statement.py", "differential/programs/AREA.py"}
"""What tests write, and names that stand for others."""
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text)


def long_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > WIDTH and not line.startswith("|")]


@pytest.mark.parametrize("page", PAGES)
def test_a_line_that_is_no_row_of_a_table_fits_a_screen(page: str) -> None:
    assert long_lines(read(page)) == []


def test_the_readme_is_two_screens() -> None:
    assert len(read("README.md").splitlines()) <= 80


def anchors(text: str) -> set[str]:
    """What links may name of a page, as GitHub makes it of its headings."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: str, text: str) -> Iterator[str]:
    for target in _LINK.findall(prose(text)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_of_the_repository(page: str) -> None:
    assert list(broken_links(page, read(page))) == []


@cache
def files() -> tuple[str, ...]:
    """Every file that is in the repository or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(f"/{name}" for name in listed.stdout.split("\n") if name and (ROOT / name).exists())


def cited(text: str) -> Iterator[str]:
    """What the page says between code marks and looks like a file or folder of ours."""
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for item in marked(prose(text)):
        is_path = re.fullmatch(r"\w[\w./-]+", item) is not None and item not in EXAMPLES
        if is_path and (item.endswith((*ENDINGS, "/")) or ("/" in item and item.partition("/")[0] in tops)):
            yield item


def resolves(item: str) -> bool:
    """Whether it is a path of the repository, or the end of one: `columns.py`, `schema/columns.py`, `guest/`."""
    if item.endswith("/") or not Path(item).suffix:
        return any(f"/{item.rstrip('/')}/" in name for name in files())
    return any(name.endswith(f"/{item}") for name in files())


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_cites_exists(page: str) -> None:
    assert [item for item in cited(read(page)) if not resolves(item)] == []


def test_the_index_names_every_page_once() -> None:
    named = re.findall(r"^- \[[^]]*\]\((\w[\w-]*\.md)\)", read("docs/README.md"), re.MULTILINE)
    assert sorted(f"docs/{name}" for name in named) == [page for page in DOCS if page != "docs/README.md"]


def test_the_readme_leads_to_every_page_of_the_users() -> None:
    index = read("docs/README.md").partition("For those who change it")[0]
    named = {f"docs/{name}" for name in re.findall(r"\]\((\w[\w-]*\.md)\)", index)}
    assert named <= set(_LINK.findall(read("README.md")))


class TestReaders:
    """Positive controls: a long line, a link to nowhere and a file that is gone are seen."""

    def test_a_long_line_is_seen_and_a_table_is_not(self) -> None:
        assert long_lines(f"{'a' * 100}\n{'b' * 101}\n| {'c' * 200} |\n") == ["b" * 101]

    def test_a_link_to_nowhere_is_seen(self) -> None:
        text = "[a](steps.md) [b](gone.md) [c](steps.md#keys) [d](steps.md#gone) [e](https://x.example/gone.md)"
        assert list(broken_links("docs/python.md", text)) == ["gone.md", "steps.md#gone"]

    def test_a_file_that_is_gone_is_seen(self) -> None:
        text = "`schema/columns.py` `columns.py` `gone.py` `host/gone` `host/wasmexec` `guest/` `and/or` `a b.py`"
        assert list(cited(text)) == [
            "schema/columns.py", "columns.py", "gone.py", "host/gone", "host/wasmexec", "guest/"
        ]  # fmt: skip
        assert [item for item in cited(text) if not resolves(item)] == ["gone.py", "host/gone"]

    def test_code_is_not_searched(self) -> None:
        assert list(cited("```sh\ncat `gone.py`\n```\n`gone.md`\n")) == ["gone.md"]
