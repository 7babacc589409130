"""A file of an image that is damaged is made again by the command that every message about it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from wasmbuild import image
from wasmbuild.cache import Cache
from wasmbuild.graph import Stage, StageRun
from wasmbuild.imageplan import ImageFiles, ImagePlan


class Plan:
    """An image of two small files, of which the memory is a second name for the snapshot's output, as in a real one."""

    def __init__(self, cache: Cache, stamp: str) -> None:
        self.ran: list[str] = []
        self._files = ImageFiles(cache.images / f"tiny-{'a' * 16}.cwasm", cache.images / f"tiny-{'b' * 16}.memory")
        stages = [
            Stage("snapshot-tiny", "1" * 64, self._snapshot),
            Stage("tree-tiny", "2" * 64, self._tree),
            Stage(
                "aot-tiny", "3" * 64, self._compile, ("snapshot-tiny",),
                is_done=lambda: all(file.exists() for file in self._files),
            ),
        ]  # fmt: skip
        self.plan = ImagePlan(
            stages, "aot-tiny", stamp, [], lambda: self._files, "snapshot-tiny", "tree-tiny", "snapshot-tiny"
        )

    def _snapshot(self, run: StageRun) -> None:
        self.ran.append("snapshot")
        (run.output / "image.json").write_text(json.dumps({"channel_address": 1}))
        (run.output / "image.memory").write_bytes(b"memory")

    def _tree(self, run: StageRun) -> None:
        (run.output / "image.json").write_text(json.dumps({"modules": [], "not_in_image": []}))

    def _compile(self, run: StageRun) -> None:
        self.ran.append("compile")
        if not self._files.code.exists():
            self.ran.append("code")
            self._files.code.write_bytes(b"code")
        if not self._files.memory.exists():
            self._files.memory.hardlink_to(run.inputs["snapshot-tiny"] / "image.memory")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    made = Cache(tmp_path / "cache")
    made.prepare()
    yield made
    for file in made.images.glob("tiny-*.*"):
        assert file.read_bytes() == {".cwasm": b"code", ".memory": b"memory"}[file.suffix]


@pytest.mark.parametrize(("suffix", "made"), [(".cwasm", ["compile", "code"]), (".memory", ["snapshot", "compile"])])
@pytest.mark.parametrize("stamp", ["first", "second"])
def test_a_damaged_file_is_made_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, suffix: str, made: list[str], stamp: str
) -> None:
    plan = Plan(cache, "first")
    monkeypatch.setattr(image, "plan", lambda name, cache: plan.plan)
    first = image.build("tiny", cache=cache)
    assert plan.ran == ["snapshot", "compile", "code"]
    again = Plan(cache, stamp)
    monkeypatch.setattr(image, "plan", lambda name, cache: again.plan)
    [file] = cache.images.glob(f"*{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    second = image.build("tiny", cache=cache)
    assert again.ran == made
    assert (second.code, second.memory, second.stamp) == (first.code, first.memory, stamp)
    assert image.build("tiny", cache=cache) == second
    assert again.ran == made
