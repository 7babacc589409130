"""The built image itself: what `image verify` checks, step by step. It must be built; a missing one is a failure."""

import os

import pytest

import wasmexec
from wasmbuild import image
from wasmbuild.cache import Cache, default_cache
from wasmbuild.errors import BuildError
from wasmbuild.graph import Graph
from wasmbuild.imageplan import ImagePlan
from wasmbuild.verify import check_interface, check_modules, run_smoke, run_sweep


@pytest.fixture(scope="module")
def planned(executor: wasmexec.Executor) -> ImagePlan:
    return image.plan(executor.image.name)


def test_image_imports_and_exports_only_what_is_agreed(planned: ImagePlan) -> None:
    graph = Graph(planned.stages, default_cache())
    assert check_interface(graph.folder(planned.snapshot) / "image.wasm") == []


def test_image_has_every_module_its_recipes_promise(executor: wasmexec.Executor, planned: ImagePlan) -> None:
    promised = sorted({module for recipe in planned.recipes for module in recipe.modules})
    assert check_modules(executor, promised) == []


def test_every_recipe_does_real_work_in_the_guest(executor: wasmexec.Executor, planned: ImagePlan) -> None:
    recipes = [recipe.name for recipe in planned.recipes if recipe.kind != "runtime"]
    assert run_smoke(executor, recipes, lambda step, done, total: None) == []


def test_no_c_function_or_type_traps(executor: wasmexec.Executor) -> None:
    findings, count = run_sweep(executor, lambda step, done, total: None, os.cpu_count() or 1)
    assert findings == []
    assert count.groups > 80
    assert count.targets > 20_000


def test_unchanged_image_is_not_built_again(executor: wasmexec.Executor) -> None:
    assert image.is_current(executor.image.name)


def test_unknown_image_is_refused_by_name() -> None:
    with pytest.raises(BuildError, match="there is no image 'half'; there are core, full"):
        image.plan("half")


def test_image_that_is_not_built_cannot_be_verified(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BuildError, match="the image 'core' is not built; build it: python -m wasmexec image build"):
        image.verify("core", cache=Cache(tmp_path_factory.mktemp("empty")))


def test_damaged_manifest_is_as_good_as_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = Cache(tmp_path_factory.mktemp("damaged"))
    cache.prepare()
    (cache.images / "core.json").write_text('{"name": "core"}')
    assert image.load_manifest("core", cache) is None
