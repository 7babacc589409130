"""Stamps: what changes one and what does not."""

import dataclasses
from pathlib import Path

import pytest

from wasmbuild.recipe import Recipe, load_recipe
from wasmbuild.sources import Source
from wasmbuild.stamp import code_hash, folder_hashes, recipe_stamp

SOURCE = Source(
    key="thing", version="1", origin="pypi-sdist", package="thing", file="thing-1.tar.gz", size=1,
    sha256="a" * 64, licence="MIT",
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    folder = tmp_path / "thing"
    (folder / "patches").mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        'name = "thing"\nversion = "1"\nkind = "extension"\nlicence = "MIT"\nsources = ["thing"]\ndepends = ["base"]\n'
        'uses = ["archive"]\n'
    )
    (folder / "build.py").write_text("def build(context): ...\n")
    (folder / "smoke.py").write_text("pass\n")
    (folder / "patches" / "0001-x.patch").write_text("x")
    return load_recipe(folder)


def stamp(recipe: Recipe, source: Source = SOURCE, base: str = "b", toolchain: str = "t") -> str:
    return recipe_stamp(recipe, {"thing": source}, {"base": base}, toolchain)


def test_stamp_is_the_same_for_the_same_content(recipe: Recipe) -> None:
    assert stamp(recipe) == stamp(load_recipe(recipe.folder))


@pytest.mark.parametrize("file", ["build.py", "patches/0001-x.patch", "more.c"])
def test_changed_file_changes_the_stamp(recipe: Recipe, file: str) -> None:
    before = stamp(recipe)
    (recipe.folder / file).write_text("different")
    assert stamp(recipe) != before


@pytest.mark.parametrize("file", ["smoke.py", "warmup.py", "__pycache__/build.cpython-311.pyc"])
def test_files_that_only_the_image_reads_do_not_change_the_stamp(recipe: Recipe, file: str) -> None:
    before = stamp(recipe)
    (recipe.folder / file).parent.mkdir(exist_ok=True)
    (recipe.folder / file).write_text("different")
    assert stamp(recipe) == before


def test_comments_and_layout_of_a_builder_do_not_change_the_stamp(recipe: Recipe) -> None:
    before = stamp(recipe)
    builder = recipe.folder / "build.py"
    builder.write_text('"""Title."""\n\n\n# Why.\ndef build(context):\n    """Do it."""\n    ...\n')
    assert stamp(recipe) == before
    builder.write_text('def build(context):\n    "not only a docstring", ...\n')
    assert stamp(recipe) != before


def test_inputs_change_the_stamp(recipe: Recipe) -> None:
    before = stamp(recipe)
    assert stamp(recipe, source=dataclasses.replace(SOURCE, sha256="c" * 64)) != before
    assert stamp(recipe, base="other") != before
    assert stamp(recipe, toolchain="other") != before
    assert stamp(dataclasses.replace(recipe, uses=("archive", "patches"))) != before
    assert stamp(dataclasses.replace(recipe, version="2")) != before


def test_what_concerns_only_the_image_does_not_change_the_stamp(recipe: Recipe) -> None:
    before = stamp(recipe)
    changed = dataclasses.replace(recipe, modules=("a",), preload=("a",), drop=("x",), estimate_seconds=99.0)
    assert stamp(changed) == before


def test_a_pure_recipe_does_not_depend_on_the_toolchain(recipe: Recipe) -> None:
    (recipe.folder / "build.py").unlink()
    pure = dataclasses.replace(recipe, kind="pure")
    assert stamp(pure, toolchain="one") == stamp(pure, toolchain="two")


def test_folder_hashes_leave_out_what_is_named_at_the_top_only(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("smoke.py", "deep/smoke.py"):
        (tmp_path / name).write_text("x")
    assert set(folder_hashes(tmp_path, ["smoke.py"])) == {"deep/smoke.py"}


def test_comments_docstrings_and_layout_of_python_rebuild_nothing_but_code_does(tmp_path: Path) -> None:
    file = tmp_path / "build.py"
    hashes = []
    for text in ('"""One."""\nx = [1, 2]\n', '"""Two."""\n\nx = [\n    1,\n    2,\n]  # why\n', "x = [1, 3]\n"):
        file.write_text(text)
        hashes.append(code_hash(file))
    assert hashes[0] == hashes[1] != hashes[2]
