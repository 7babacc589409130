"""What a user installs: every module of the package, and the mark that its types are meant to be used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.reading import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed into it from a copy of the sources, without any index."""
    folder = tmp_path_factory.mktemp("package")
    sources, target = folder / "sources", folder / "installed"
    for name in ("host", "wasm-build/wasmbuild"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, sources)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--no-compile", "--target", target, sources],
        check=True, timeout=120,
    )  # fmt: skip
    return target


def test_an_installed_copy_is_marked_as_typed(installed: Path) -> None:
    assert (installed / "wasmexec" / "py.typed").is_file()


def test_an_installed_copy_has_every_module(installed: Path) -> None:
    def modules(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}

    assert modules(installed / "wasmexec") == modules(ROOT / "host" / "wasmexec")


def test_an_installed_copy_is_imported_from_where_it_was_installed(installed: Path) -> None:
    command = "import sys; sys.path.insert(0, sys.argv[1]); import wasmexec; print(wasmexec.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", command, installed], capture_output=True, text=True, check=True, timeout=60
    )
    assert Path(ran.stdout.strip()).parent == installed / "wasmexec"
