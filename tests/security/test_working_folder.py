"""`python -m wasmexec` in a stranger's folder: what lies there is data, never code that the host imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHADOWS = (
    "orjson", "wasmtime", "click", "rich", "yaml", "jsonschema", "jsonschema_rs", "regex", "httpcore", "h11", "certifi",
    "idna", "platformdirs", "sqlalchemy", "alembic", "pyarrow", "json", "csv", "logging", "asyncio", "secrets", "uuid",
    "sitecustomize_of_a_stranger",
)  # fmt: skip
"""Names of libraries, ours and Python's, that a file beside a statement could bear."""
TELL = "import pathlib; (pathlib.Path(__file__).parent / 'ran').write_text(__name__)\nraise SystemExit(99)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a statement and a file for each of the names, which leaves a mark when it is imported."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(TELL)
    package = tmp_path / "wasmbuild"
    package.mkdir()
    (package / "__init__.py").write_text(TELL)
    (tmp_path / "statement.py").write_text("return [{'id': 1}]\n")
    (tmp_path / "step.yaml").write_text(
        "statement: |\n  return [{'id': 1}]\noutput_schema:\n  - {name: id, type: integer}\n"
    )
    return tmp_path


@pytest.mark.parametrize("command", [
    ["run", "statement.py"],
    ["check", "statement.py"],
    ["run", "--help"],
    ["step", "check", "step.yaml"],
    ["step", "run", "step.yaml"],
    ["image", "info"],
], ids=" ".join)  # fmt: skip
def test_nothing_of_the_folder_is_imported(folder: Path, command: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "wasmexec", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert not (folder / "ran").exists(), (folder / "ran").read_text()
    assert run.returncode == 0, run.stderr


def test_the_marks_are_left_by_a_program_that_imports_them(folder: Path) -> None:
    run = subprocess.run([sys.executable, "-c", "import orjson"], cwd=folder, check=False, timeout=60)
    assert run.returncode == 99
    assert (folder / "ran").read_text() == "orjson"


def test_a_step_file_names_no_image_of_its_own(folder: Path) -> None:
    """An image is native code: what a stranger's step file names is looked for where the operator has images."""
    step = folder / "step.yaml"
    for image in ("./evil.json", "evil.json", str(folder / "evil.json"), "../x/evil"):
        step.write_text(step.read_text().split("image:")[0] + f"image: {image}\n")
        run = subprocess.run(
            [sys.executable, "-m", "wasmexec", "step", "check", "step.yaml"], cwd=folder, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert run.returncode == 2
        assert "image: expected the name of an image (full, core)" in run.stdout + run.stderr
