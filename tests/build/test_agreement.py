"""What the build and the host, or the build and the guest, both have to know, they know alike."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from tests.reading import python_constants, read

from wasmbuild.cache import default_cache
from wasmbuild.image import LISTED, NAMES, Manifest
from wasmexec import image


@pytest.mark.parametrize("named", [None, "elsewhere", "~/elsewhere"])
def test_images_are_looked_for_where_they_are_built(monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    monkeypatch.delenv("WASMEXEC_CACHE", raising=False)
    if named is not None:
        monkeypatch.setenv("WASMEXEC_CACHE", named)
    assert image.cache_folder() == default_cache().root
    assert (image.cache_folder().name == "elsewhere") is (named is not None)
    assert "~" not in str(image.cache_folder())


def test_what_an_image_may_lack_is_what_statements_may_import_of_others() -> None:
    listed = python_constants(read("guest/wasmexec_guest/importgate.py"))["LISTED"]
    assert isinstance(listed, tuple)
    others = [name for name in listed if name.split(".")[0] not in sys.stdlib_module_names]
    assert list(LISTED) == others
    assert "httpx" in others


def test_the_names_of_images_are_those_that_are_found_by_default() -> None:
    assert set(image.DEFAULT_NAMES) == set(NAMES)


def test_the_host_knows_every_field_of_a_manifest_that_it_reads() -> None:
    written = {field.name for field in dataclasses.fields(Manifest)}
    read = {field.name for field in dataclasses.fields(image.Image)}
    assert read - written <= {"manifest"}
    assert Path(image.__file__).name == "image.py"
