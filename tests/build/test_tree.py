"""The packed tree and the bytecode in it."""

import json
import marshal
import os
import struct
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from wasmbuild import tree
from wasmbuild.bytecode import compile_file
from wasmbuild.errors import BuildError
from wasmbuild.imageplan import image_facts
from wasmbuild.recipe import Recipe

FILES = {"lib/b.pyc": b"b" * 9, "lib/a/x.txt": b"", "wasmexec/image.json": b"{}", "lib-more": b"m"}


def test_packed_tree_holds_every_file_and_folder_sorted_by_bytes() -> None:
    packed = tree.pack(FILES)
    count, names, data, total = struct.unpack_from("<4I", packed, 8)
    assert packed[:8] == b"WXFS0001"
    assert total == len(packed)
    entries = [struct.unpack_from("<5I", packed, 24 + 20 * number) for number in range(count)]
    paths = [packed[names + offset : names + offset + length] for offset, length, _, _, _ in entries]
    assert paths == [
        b"", b"lib", b"lib-more", b"lib/a", b"lib/a/x.txt", b"lib/b.pyc", b"wasmexec", b"wasmexec/image.json",
    ]  # fmt: skip
    assert [flags for *_, flags in entries] == [1, 1, 0, 1, 0, 0, 1, 0]
    assert data % 8 == 0
    assert all(offset % 8 == 0 for _, _, offset, _, _ in entries)


def test_packing_round_trip_and_determinism() -> None:
    assert tree.unpack(tree.pack(FILES)) == FILES
    assert tree.pack(FILES) == tree.pack(dict(reversed(FILES.items())))


@pytest.mark.parametrize("name", ["/abs", "a/../b", "a//b", "./a", ""])
def test_paths_that_are_not_plain_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        tree.pack({name: b""})


def test_name_of_a_file_and_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is a file and a folder"):
        tree.pack({"a": b"", "a/b": b""})


def test_only_what_an_image_needs_is_selected(tmp_path: Path) -> None:
    for name in (
        "pkg/__init__.py", "pkg/data.json", "pkg/core.so", "pkg/tests/test_a.py", "pkg/__pycache__/x.pyc", "pkg/api.h",
        "pkg/x.pyi", "pkg/py.typed", "pkg/big/extra.py", "pkg-1.dist-info/METADATA", "pkg-1.dist-info/RECORD",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    chosen = [str(path) for path in tree.select(tmp_path, ["pkg/big"])]
    assert chosen == ["pkg/__init__.py", "pkg/data.json", "pkg-1.dist-info/METADATA"]
    assert PurePosixPath("pkg/big/extra.py") in tree.select(tmp_path)


def test_two_packages_with_one_file_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / "same.pyc").write_text(name)
    with pytest.raises(BuildError, match=r"two packages bring /lib/same\.pyc"):
        tree.read_files([tmp_path / "one", tmp_path / "two"])


SOURCE = '''
"""Docstring."""
import os
NAMES = frozenset({"alpha", "beta", "gamma", "os", "path"})
def function(value, *, os="x", unusual_name_here=1.5):
    return {"key": value in {"a", "b", "c"}, "os": os.path, "unusual_name_here": -1e300}
class Thing:
    def method(self): return lambda: (self, "some text with spaces", 12345678901234567890)
'''


def test_bytecode_names_the_guest_path_and_is_never_checked_against_a_source(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(SOURCE)
    content = compile_file(tmp_path / "thing.py", "/lib/thing.py")
    assert content[4:8] == b"\1\0\0\0"
    assert marshal.loads(content[16:]).co_filename == "/lib/thing.py"
    assert str(tmp_path).encode() not in content


def test_bytecode_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(SOURCE)
    script = Path(tree.__file__).with_name("bytecode.py")
    contents = set()
    # What a process has interned and its hash seed must not show in the result.
    for seed, imports in (("1", ""), ("2", "alpha beta gamma unusual_name_here path"), ("3", "function method Thing")):
        target = tmp_path / f"{seed}.pyc"
        jobs = tmp_path / "jobs.json"
        jobs.write_text(json.dumps([[str(tmp_path / "thing.py"), "/lib/thing.py", str(target)]]))
        code = (
            f"import sys, runpy; keep = [sys.intern(n) for n in {imports.split()!r}]; sys.argv = ['x', {str(jobs)!r}]; "
            f"runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        contents.add(target.read_bytes())
    assert len(contents) == 1


def test_image_facts_list_what_is_there_and_what_is_missing() -> None:
    recipe = Recipe("yaml", Path(), "1", "pure", "MIT", modules=("yaml",), preload=("yaml", "json"))
    other = Recipe("thing", Path(), "1", "pure", "MIT", preload=("json",))
    stdlib = "lib/python3.11"
    files = [f"{stdlib}/json/__init__.pyc", f"{stdlib}/abc.pyc", f"{stdlib}/x/data.txt", "lib/site/y.pyc"]
    facts = image_facts("core", [recipe, other], files, ["_io", "a.b"], ["yaml", "numpy", "jose.utils"])
    assert facts == {
        "name": "core",
        "preload": ["yaml", "json"],
        "modules": ["_io", "a", "abc", "json", "yaml"],
        "not_in_image": ["numpy", "jose.utils"],
    }
