"""recipe.toml and sources.toml: what is refused, and that the project's own are sound."""

from pathlib import Path

import pytest

from wasmbuild import image
from wasmbuild.errors import RecipeError
from wasmbuild.plan import Catalogue, load_catalogue
from wasmbuild.recipe import load_recipe
from wasmbuild.sources import load_sources

GOOD = """
name = "thing"
version = "1.0"
kind = "pure"
licence = "MIT"
sources = ["thing"]
modules = ["thing"]
"""
SOURCE = """
[thing]
version = "1.0"
origin = "pypi-wheel"
file = "thing-1.0-py3-none-any.whl"
size = 10
sha256 = "{}"
licence = "MIT"
""".format("a" * 64)


def write_recipe(root: Path, text: str, name: str = "thing") -> Path:
    folder = root / "recipes" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(text)
    return folder


def test_good_recipe_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, GOOD))
    assert (recipe.name, recipe.version, recipe.sources, recipe.depends) == ("thing", "1.0", ("thing",), ())


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        (('version = "1.0"', ""), "version", "is missing"),
        (('version = "1.0"', "version = 1"), "version", "must be a non-empty string"),
        (('kind = "pure"', 'kind = "python"'), "kind", "'python' is not one of runtime, library"),
        (('kind = "pure"', 'kind = "library"'), "kind", "needs a build.py"),
        (('sources = ["thing"]', "sources = []"), "sources", "a pure recipe needs a source"),
        (('sources = ["thing"]', 'sources = ["thing", "thing"]'), "sources", "names something twice"),
        (('name = "thing"', 'name = "other"'), "name", "in a folder called 'thing'"),
        (('licence = "MIT"', 'licence = "MIT"\nlicense = "MIT"'), "license", "unknown key"),
        (('modules = ["thing"]', 'uses = ["nothing"]'), "uses", "there is no wasmbuild module 'nothing'"),
        (('modules = ["thing"]', 'depends = ["thing"]'), "depends", "names the recipe itself"),
        (('modules = ["thing"]', "estimate_seconds = -1"), "estimate_seconds", "must be a positive number"),
    ],
)
def test_bad_recipe_is_refused_with_file_and_key(
    tmp_path: Path, change: tuple[str, str], key: str, message: str
) -> None:
    folder = write_recipe(tmp_path, GOOD.replace(*change))
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(folder)
    assert (caught.value.file, caught.value.key) == (folder / "recipe.toml", key)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("size = 10", "size = true"), "thing.size"),
        (("a" * 64, "A" * 64), "thing.sha256"),
        (("pypi-wheel", "somewhere"), "thing.origin"),
        (("thing-1.0-py3", "../thing-1.0-py3"), "thing.file"),
        (('licence = "MIT"', 'licence = "MIT"\nupstream = "http://x/y"'), "thing.upstream"),
    ],
)
def test_bad_source_is_refused_with_its_key(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(SOURCE.replace(*change))
    with pytest.raises(RecipeError) as caught:
        load_sources(file)
    assert (caught.value.file, caught.value.key) == (file, key)


def catalogue_of(tmp_path: Path, *recipes: tuple[str, str]) -> Catalogue:
    (tmp_path / "sources.toml").write_text(SOURCE)
    for name, text in recipes:
        write_recipe(tmp_path, text, name)
    return load_catalogue(tmp_path)


def test_recipes_that_depend_on_each_other_are_refused(tmp_path: Path) -> None:
    one = GOOD.replace('"thing"', '"one"', 1) + 'depends = ["two"]'
    two = GOOD.replace('"thing"', '"two"', 1) + 'depends = ["one"]'
    with pytest.raises(RecipeError, match="circle: one -> two -> one"):
        catalogue_of(tmp_path, ("one", one), ("two", two)).closure(["one"])


def test_unknown_source_and_dependency_are_refused(tmp_path: Path) -> None:
    bad_source = GOOD.replace('sources = ["thing"]', 'sources = ["gone"]')
    with pytest.raises(RecipeError, match=r"'gone' is not in sources\.toml"):
        catalogue_of(tmp_path, ("thing", bad_source)).closure(["thing"])
    with pytest.raises(RecipeError, match="there is no recipe 'gone'"):
        catalogue_of(tmp_path, ("thing", GOOD + 'depends = ["gone"]')).closure(["thing"])


def test_the_projects_own_recipes_are_sound() -> None:
    catalogue = load_catalogue()
    for name in image.NAMES:
        for recipe in catalogue.closure(image.IMAGES[name]):
            assert catalogue.recipes[recipe].licence
    assert set(image.IMAGES["core"]) < set(image.IMAGES["full"])


def test_no_source_is_pinned_without_being_used() -> None:
    catalogue = load_catalogue()
    used = {key for recipe in catalogue.recipes.values() for key in recipe.sources}
    assert set(catalogue.sources) == used
