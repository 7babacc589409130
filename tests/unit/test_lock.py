"""host/requirements.lock: what `make` installs is pinned by hash, and fits what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.reading import read

LOCK = read("host/requirements.lock")
PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))
_ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9].*?) \\\n(?P<hashes>(?:    --hash=.*\n)+)", re.MULTILINE)


def entries(text: str) -> dict[str, Requirement]:
    """The pinned requirements by name."""
    found = [Requirement(match["requirement"]) for match in _ENTRY.finditer(text)]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def problems(project: dict[str, Any], lock: str) -> Iterator[str]:
    """What pyproject.toml asks for and the lock does not give."""
    pinned = entries(lock)
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    for requirement in map(Requirement, wanted):
        found = pinned.get(canonicalize_name(requirement.name))
        if found is None:
            yield f"{requirement.name} is not in the lock: run `make lock`"
        elif not requirement.specifier.contains(version_of(found), prereleases=True):
            yield f"the lock has {found}, pyproject.toml wants {requirement}: run `make lock`"


def version_of(pinned: Requirement) -> str:
    """The one version of a pinned requirement."""
    [specifier] = pinned.specifier
    assert specifier.operator == "==", pinned
    return specifier.version


def test_the_lock_gives_what_the_project_asks_for() -> None:
    assert list(problems(PROJECT, LOCK)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("wasmtime==", "wasmtime==1.0.", "wants wasmtime=="),
        ("\norjson==", "\nother==", "orjson is not in the lock"),
        ("\nsqlalchemy==2", "\nsqlalchemy==3", "wants sqlalchemy<3"),
    ],
)
def test_a_lock_that_does_not_fit_is_noticed(old: str, new: str, problem: str) -> None:
    changed = LOCK.replace(old, new, 1)
    assert changed != LOCK
    [found] = problems(PROJECT, changed)
    assert problem in found
    assert "make lock" in found


def test_every_line_is_a_pin_with_hashes_or_a_comment() -> None:
    left = _ENTRY.sub("", LOCK)
    assert [line for line in left.splitlines() if line.strip() and not line.lstrip().startswith("#")] == []
    assert all(version_of(requirement) for requirement in entries(LOCK).values())
    hashes = re.findall(r"--hash=(\S+)", LOCK)
    assert len(hashes) >= len(entries(LOCK))
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", item) for item in hashes)


def test_the_lock_names_no_index_and_no_path() -> None:
    assert re.findall(r"https?://|file:|--index|--extra|--find-links|(?<![A-Za-z0-9])/", LOCK) == []


def test_make_installs_from_the_lock_and_nothing_else() -> None:
    [recipe] = re.findall(r"^\.venv/ready: .*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert ["--require-hashes --requirement host/requirements.lock" in installs[0], len(installs)] == [True, 2]
    assert "--no-deps --no-build-isolation --editable ." in installs[1]
