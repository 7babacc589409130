"""Unpacking and patching: exact, or refused."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from wasmbuild.archive import unpack
from wasmbuild.errors import ArchiveError
from wasmbuild.patches import apply_patch


def make_tar(path: Path, *members: tuple[str, bytes | None, dict[str, object]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(info, key, value)
            info.size = len(content or b"")
            if content is None and "type" not in attributes:
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content or b""))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


def test_single_top_folder_is_left_out_and_times_and_modes_are_kept(tmp_path: Path, target: Path) -> None:
    archive = make_tar(
        tmp_path / "x.tar.gz",
        ("x-1", None, {}),
        ("x-1/configure", b"run", {"mode": 0o755, "mtime": 1000}),
        ("x-1/a/b.c", b"b", {"mode": 0o600}),
        ("x-1/link", None, {"type": tarfile.SYMTYPE, "linkname": "a/b.c"}),
    )
    unpack(archive, target)
    assert (target / "configure").stat().st_mode & 0o777 == 0o755
    assert (target / "configure").stat().st_mtime == 1000
    assert (target / "link").read_bytes() == b"b"


def test_archive_without_a_top_folder_is_unpacked_as_it_is(tmp_path: Path, target: Path) -> None:
    unpack(make_tar(tmp_path / "x.tar.gz", ("a", b"1", {}), ("b", b"2", {})), target)
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"x", {})],
        [("/tmp/evil", b"x", {})],
        [("a/../../evil", b"x", {})],
        [("a/link", None, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
        [("a/link", None, {"type": tarfile.SYMTYPE, "linkname": "../../evil"})],
        [("a/hard", None, {"type": tarfile.LNKTYPE, "linkname": "../evil"})],
        [("a/pipe", None, {"type": tarfile.FIFOTYPE})],
        [("a/device", None, {"type": tarfile.CHRTYPE})],
        [("a/twice", b"1", {}), ("a/twice", b"2", {})],
    ],
)
def test_tar_member_that_leaves_the_folder_is_refused(
    tmp_path: Path, target: Path, members: list[tuple[str, bytes | None, dict[str, object]]]
) -> None:
    archive = make_tar(tmp_path / "x.tar.gz", ("top", b"", {}), *members)
    with pytest.raises(ArchiveError):
        unpack(archive, target)
    assert not (target.parent / "evil").exists()
    assert not (target.parent.parent / "evil").exists()


def test_zip_member_that_leaves_the_folder_is_refused(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as bundle:
        bundle.writestr("good.py", "x")
        bundle.writestr("../evil.py", "x")
    with pytest.raises(ArchiveError, match=r"'\.\./evil\.py' leads outside"):
        unpack(tmp_path / "x.whl", target)
    assert not (target.parent / "evil.py").exists()


def test_damaged_and_unknown_archives_are_refused(tmp_path: Path, target: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"not a tar")
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(tmp_path / "x.tar.gz", target)
    (tmp_path / "x.rar").write_bytes(b"")
    with pytest.raises(ArchiveError, match="unknown kind"):
        unpack(tmp_path / "x.rar", target)


LINES = "".join(f"line {number}\n" for number in range(1, 21))
PATCH = """Title of the patch

--- a/dir/file.txt
+++ b/dir/file.txt
@@ -2,3 +2,4 @@
 line 2
-line 3
+line three
+and a half
 line 4
@@ -18,3 +19,2 @@ some function
 line 18
-line 19
 line 20
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "src" / "dir").mkdir(parents=True)
    (tmp_path / "src" / "dir" / "file.txt").write_text(LINES)
    return tmp_path / "src"


def patch_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "0001-test.patch"
    file.write_text(text)
    return file


def test_patch_applies_exactly(tmp_path: Path, source: Path) -> None:
    assert apply_patch(patch_file(tmp_path, PATCH), source) == ["dir/file.txt"]
    expected = LINES.replace("line 3\n", "line three\nand a half\n").replace("line 19\n", "")
    assert (source / "dir" / "file.txt").read_text() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((" line 4\n", " line  4\n"), "line 4 is not what the patch expects"),
        (("@@ -2,3 +2,4 @@", "@@ -3,3 +3,4 @@"), "line 3 is not what the patch expects"),
        (("+and a half\n", ""), "shorter than its header"),
        (("dir/file.txt", "dir/none.txt"), "does not exist"),
        (("b/dir/file.txt", "b/dir/other.txt"), "renamed file"),
        (("a/dir/file.txt", "a/../../file.txt"), "leads outside"),
    ],
)
def test_patch_that_does_not_fit_is_refused_and_changes_nothing(
    tmp_path: Path, source: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ArchiveError, match=message):
        apply_patch(patch_file(tmp_path, PATCH.replace(*change)), source)
    assert (source / "dir" / "file.txt").read_text() == LINES


def test_patch_that_is_applied_already_is_refused(tmp_path: Path, source: Path) -> None:
    file = patch_file(tmp_path, PATCH)
    apply_patch(file, source)
    with pytest.raises(ArchiveError, match="is not what the patch expects"):
        apply_patch(file, source)


def test_patch_creates_and_deletes_files(tmp_path: Path, source: Path) -> None:
    (source / "old.txt").write_text("gone\n")
    text = "--- /dev/null\n+++ b/new/made.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
    text += "--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
    apply_patch(patch_file(tmp_path, text), source)
    assert (source / "new" / "made.txt").read_text() == "one\ntwo"
    assert not (source / "old.txt").exists()


def test_patch_without_changes_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ArchiveError, match="holds no changes"):
        apply_patch(patch_file(tmp_path, "just words\n"), source)
