"""Finding an image, and what is said when there is none or a wrong one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from tests.fake_guest import IMPORTS, FakeGuest

from wasmexec import ConfigError, Executor, ImageError, Limits, Result, Status
from wasmexec._guest import image_files
from wasmexec.image import find_image, read_manifest

BUILD = "build it: python -m wasmexec image build"


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, with nothing in the environment that names an image."""
    monkeypatch.setenv("WASMEXEC_CACHE", str(tmp_path))
    monkeypatch.delenv("WASMEXEC_IMAGE", raising=False)
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def refusal(wanted: str | Path | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        find_image(wanted)
    return caught.value.message


def change(manifest: Path, part: str = "", **fields: object) -> Path:
    """Replace fields of a manifest, or of one of its files."""
    facts = json.loads(manifest.read_text())
    (facts[part] if part else facts).update(fields)
    manifest.write_text(json.dumps(facts))
    return manifest


def test_without_an_image_the_command_to_build_one_is_named(images: Path) -> None:
    assert refusal() == f"no guest image at {images}/full.json or {images}/core.json; {BUILD}"
    assert refusal("core") == f"no guest image at {images}/core.json; {BUILD} core"
    assert refusal("mine") == f"no guest image at {images}/mine.json; {BUILD}"
    with pytest.raises(ImageError):
        Executor()


def test_the_full_image_is_preferred_to_the_core_image(images: Path) -> None:
    core = FakeGuest().build(images, "core")
    assert find_image().manifest == core
    full = FakeGuest().build(images, "full")
    assert find_image().manifest == full
    assert find_image("core").manifest == core


def test_an_image_is_named_by_argument_before_the_environment(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, elsewhere = FakeGuest().build(images, "core"), FakeGuest().build(tmp_path, "other")
    monkeypatch.setenv("WASMEXEC_IMAGE", str(elsewhere))
    assert find_image().manifest == elsewhere
    assert find_image("core").manifest == core
    monkeypatch.setenv("WASMEXEC_IMAGE", "core")
    assert find_image().manifest == core
    assert find_image(elsewhere).manifest == elsewhere
    assert find_image(str(elsewhere)).manifest == elsewhere


def test_a_manifest_is_found_by_a_process_without_a_home(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = FakeGuest().build(images, "core")

    def nowhere() -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("wasmexec.image.cache_folder", nowhere)
    assert find_image(str(manifest)).manifest == manifest
    # The control: a name needs the folder.
    with pytest.raises(RuntimeError):
        find_image("core")


def test_a_damaged_manifest_is_refused(images: Path) -> None:
    manifest = images / "full.json"
    for content in ("", "[]", "{}", '{"name": 1}'):
        manifest.write_text(content)
        assert refusal().startswith(f"the image manifest {manifest} is damaged (")


PARTS = [("code", "cwasm"), ("memory", "memory")]


@pytest.mark.parametrize(("part", "suffix"), PARTS)
def test_a_file_of_another_size_is_refused(images: Path, part: str, suffix: str) -> None:
    manifest = FakeGuest().build(images, "full")
    size = (images / f"full.{suffix}").stat().st_size
    change(manifest, part, size=size + 1)
    assert refusal() == f"{images}/full.{suffix} has {size:,} bytes, its manifest says {size + 1:,}; {BUILD}"


@pytest.mark.parametrize(("part", "suffix"), PARTS)
def test_a_missing_file_is_refused(images: Path, part: str, suffix: str) -> None:
    FakeGuest().build(images, "full")
    (images / f"full.{suffix}").unlink()
    assert refusal() == f'the image "full" lacks its file {images}/full.{suffix}; {BUILD}'


@pytest.mark.parametrize(("part", "suffix"), PARTS)
def test_a_manifest_cannot_name_a_file_elsewhere(images: Path, tmp_path: Path, part: str, suffix: str) -> None:
    manifest = FakeGuest().build(images, "full")
    (tmp_path / f"evil.{suffix}").write_bytes((images / f"full.{suffix}").read_bytes())
    change(manifest, part, file=f"../evil.{suffix}")
    assert refusal() == f'the image "full" lacks its file {images}/evil.{suffix}; {BUILD}'


@pytest.mark.parametrize(("part", "suffix"), PARTS)
@pytest.mark.parametrize("name", [".", "..", ""])
def test_a_folder_in_place_of_a_file_is_refused(images: Path, part: str, suffix: str, name: str) -> None:
    manifest = FakeGuest().build(images, "full")
    folder = images / Path(name).name
    change(manifest, part, file=name, size=folder.stat().st_size)
    assert refusal() == f'the image "full" lacks its file {folder}; {BUILD}'


def test_a_hash_that_cannot_be_compared_is_an_image_error(images: Path) -> None:
    image = read_manifest(FakeGuest().build(images, "full"))
    image.code.path.unlink()
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        image.verify_hash()


@pytest.mark.parametrize("name", ["", "full.cwasm", "full.memory"])
def test_what_others_could_have_written_is_not_loaded(images: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGuest().build(images, "full")
    path, mode = images / name, (images / name).stat().st_mode
    assert find_image().name == "full"
    path.chmod(mode | 0o002)
    assert refusal() == f"the image at {path} is not loaded: everybody may write to it, and an image is native code"
    path.chmod(mode)
    assert find_image().name == "full"
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
    else:
        user = os.geteuid()
        monkeypatch.setattr("os.geteuid", lambda: user + 1)
    assert refusal().endswith("is not loaded: it belongs to another user, and an image is native code")


@pytest.mark.parametrize(("part", "suffix"), PARTS)
def test_the_hash_is_compared_when_asked(images: Path, part: str, suffix: str) -> None:
    manifest = FakeGuest().build(images, "full")
    find_image().verify_hash()
    file = images / f"full.{suffix}"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ImageError, match=f"its manifest says {hashlib.sha256(content).hexdigest()}; {BUILD}$"):
        read_manifest(manifest).verify_hash()


def settle(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what the images' files are now go on record when they are loaded."""
    monkeypatch.setattr(image_files, "SETTLED_SECONDS", -1.0)
    Executor().close()
    monkeypatch.setattr(image_files, "SETTLED_SECONDS", 2.0)
    assert sorted(path.name for path in images.glob("*.checked")) == ["full.cwasm.checked", "full.memory.checked"]


def flip(file: Path) -> None:
    """Change one bit of a file in place, and give it back the time at which it was written."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        [last] = opened.read()
        opened.seek(-1, os.SEEK_END)
        opened.write(bytes([last ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("is_on_record", [False, True])
@pytest.mark.parametrize(("part", "suffix"), PARTS)
def test_a_damaged_file_is_not_loaded(
    images: Path, part: str, suffix: str, monkeypatch: pytest.MonkeyPatch, *, is_on_record: bool
) -> None:
    manifest = FakeGuest().build(images, "full")
    Executor().close()
    if is_on_record:
        settle(images, monkeypatch)
    file = images / f"full.{suffix}"
    flip(file)
    found, said = hashlib.sha256(file.read_bytes()).hexdigest(), json.loads(manifest.read_text())[part]["sha256"]
    for _ in range(2):
        with pytest.raises(ImageError) as caught:
            Executor()
        assert caught.value.message == f"{file} has sha256 {found}, its manifest says {said}; {BUILD}"
    flip(file)
    Executor().close()


def test_nothing_is_mapped_before_its_hash_is_compared(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGuest().build(images, "full")
    mapped: list[str] = []
    real = wasmtime.Module.deserialize_file

    def deserialize_file(engine: wasmtime.Engine, path: str) -> wasmtime.Module:
        mapped.append(path)
        return real(engine, path)

    monkeypatch.setattr(wasmtime.Module, "deserialize_file", deserialize_file)
    flip(images / "full.cwasm")
    with pytest.raises(ImageError):
        Executor()
    assert mapped == []
    flip(images / "full.cwasm")
    Executor().close()
    assert len(mapped) == 1


def test_a_file_on_record_is_not_read_again(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGuest().build(images, "full")
    read: list[str] = []
    real = hashlib.file_digest

    def file_digest(file: Any, name: str) -> Any:
        read.append(name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    # What was written just now could be written to again without a sign: it does not go on record.
    for count in (2, 4):
        Executor().close()
        assert len(read) == count
    settle(images, monkeypatch)
    assert len(read) == 6
    Executor().close()
    assert len(read) == 6
    record = images / "full.cwasm.checked"
    record.chmod(0o666)
    Executor().close()
    assert len(read) == 7
    record.chmod(0o644)
    record.write_text("[" * 10_000)
    Executor().close()
    assert len(read) == 8
    # Another file in its place, though with the same bytes.
    settle(images, monkeypatch)
    content = (images / "full.memory").read_bytes()
    (images / "full.memory").unlink()
    (images / "full.memory").write_bytes(content)
    read.clear()
    Executor().close()
    assert len(read) == 1


def test_an_image_in_a_folder_that_cannot_be_written_to_is_loaded(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGuest().build(images, "full")
    monkeypatch.setattr(image_files, "SETTLED_SECONDS", -1.0)
    monkeypatch.setattr(image_files, "_NEW_FILE", os.O_WRONLY)  # as in a read-only folder: no file is made
    Executor().close()
    assert [path.name for path in images.iterdir() if "checked" in path.name] == []


def test_a_file_that_is_no_compiled_module_is_refused(images: Path) -> None:
    manifest = FakeGuest().build(images, "full")
    (images / "full.cwasm").write_bytes(b"x" * 1000)
    change(manifest, "code", size=1000, sha256=hashlib.sha256(b"x" * 1000).hexdigest())
    with pytest.raises(ImageError) as caught:
        Executor()
    assert caught.value.message.startswith("the image full.cwasm does not fit this engine (")
    assert caught.value.message.endswith(f"); {BUILD}")


def test_a_memory_of_another_size_than_the_code_begins_with_is_refused(images: Path) -> None:
    manifest = FakeGuest(pages=8).build(images, "full")
    (images / "full.memory").write_bytes(bytes(4 * 65536))
    change(manifest, "memory", size=4 * 65536, sha256=hashlib.sha256(bytes(4 * 65536)).hexdigest())
    with pytest.raises(ImageError) as caught:
        Executor()
    assert caught.value.message == "the image's memory has 262,144 bytes, its code begins with 524,288"


@pytest.mark.parametrize(
    ("module", "name"), [("wasi_snapshot_preview1", "fd_write"), ("env", "log"), ("wasmexec", "shell")]
)
def test_an_image_that_imports_more_than_allowed_is_refused(images: Path, module: str, name: str) -> None:
    FakeGuest(imports=f'{IMPORTS} (import "{module}" "{name}" (func $x (param i32)))').build(images, "full")
    with pytest.raises(ImageError, match=rf"^the image imports {module}.{name}, which no image may$"):
        Executor()


def test_an_image_that_imports_memory_is_refused(images: Path) -> None:
    FakeGuest(imports=f'{IMPORTS} (import "wasmexec" "memory2" (global i32))').build(images, "full")
    with pytest.raises(ImageError, match=r"^the image imports wasmexec.memory2, which no image may$"):
        Executor()


def test_an_image_whose_import_has_another_type_is_refused(images: Path) -> None:
    imports = IMPORTS.replace('"reply" (func $reply (param i32 i32) (result i32))', '"reply" (func $reply (param i64))')
    FakeGuest(imports=imports).build(images, "full")
    with pytest.raises(ImageError, match=r"^the image does not fit the host functions: .*wasmexec::reply"):
        Executor()


@pytest.mark.parametrize("name", ["wx_step", "wx_channel", "wx_reserve", "wx_where", "_initialize"])
def test_an_image_that_lacks_an_export_is_refused(images: Path, name: str) -> None:
    FakeGuest(omit_export=name).build(images, "full")
    with pytest.raises(ImageError, match=rf"^the image lacks the export {name}$"):
        Executor()


def test_an_image_whose_export_has_another_type_is_refused(images: Path) -> None:
    wrong = '(func (export "wx_step") (param i64) (result i32) (i32.const 3))'
    FakeGuest(omit_export="wx_step", extra=wrong).build(images, "full")
    with pytest.raises(ImageError) as caught:
        Executor()
    assert caught.value.message == "the image exports wx_step as (i64) -> (i32) instead of () -> (i32)"


def test_an_image_that_exports_something_else_under_a_known_name_is_refused(images: Path) -> None:
    FakeGuest(omit_export="wx_step", extra='(global (export "wx_step") i32 (i32.const 3))').build(images, "full")
    with pytest.raises(ImageError, match=r"^the image lacks the export wx_step$"):
        Executor()


def test_a_memory_limit_below_the_image_is_a_configuration_error(images: Path) -> None:
    FakeGuest(pages=32).build(images, "full")
    with Executor() as executor:
        refused = executor.run("", limits=Limits(memory_bytes=2 * 2**20 - 1))
        assert (refused.status, type(refused.error)) == (Status.CONFIG_REFUSED, ConfigError)
        assert str(refused.error) == (
            'limits: memory_bytes must be at least 2,097,152 for the image "full", not 2,097,151'
        )
        assert executor.run("", limits=Limits(memory_bytes=2 * 2**20)).status == Status.FINISHED_NO_DATA


ODD = [
    "null", "true", "-1", "0", "1.5", "1e308", "1e400", str(2**31), str(2**64), "9" * 5000, '""', '"x"', '"\\u0000"',
    '"\\ud800"', '"%s"' % ("x" * 5000), "[]", "{}", "[1]", '{"a":1}', "[" * 500 + "]" * 500, "[" * 100_000,
]  # fmt: skip
FIELDS = [
    "name",
    "stamp",
    "wasmtime",
    "channel_address",
    "modules",
    "packages",
    "built",
    "build_seconds",
    "code",
    "memory",
]
PLACES = [[name] for name in FIELDS] + [
    [part, name] for part in ("code", "memory") for name in ("file", "size", "sha256")
]


def test_whatever_a_manifest_says_it_is_refused_or_the_run_has_a_result(images: Path) -> None:
    manifest = FakeGuest().build(images, "full")
    whole = manifest.read_text()
    refused = 0
    for *parts, last in PLACES:
        for value in ODD:
            facts = json.loads(whole)
            (facts[parts[0]] if parts else facts)[last] = "@"
            manifest.write_text(json.dumps(facts).replace('"@"', value))
            try:
                with Executor(manifest) as executor:
                    assert isinstance(executor.run(""), Result)
            except ImageError:
                refused += 1
    assert refused > 150
    manifest.write_text(whole)
    with Executor(manifest) as executor:
        assert executor.run("").status is Status.FINISHED_NO_DATA
