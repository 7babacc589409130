"""Unpacks archives, refusing members that would land outside their folder."""

import os
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from wasmbuild.errors import ArchiveError

_TAR_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def unpack(archive: Path, target: Path, *, name: str | None = None) -> None:
    """Unpack into the existing empty folder `target`; a single top-level folder of a tar archive is left out.

    Only folders, regular files, and links that stay inside are unpacked. `name` is the archive's own name, if its file
    is called otherwise.

    Raises:
        ArchiveError: unknown kind, damaged, or a member that would land outside `target`.
    """
    name = name or archive.name
    try:
        if name.endswith(_TAR_ENDINGS):
            _unpack_tar(archive, target, name)
        elif name.endswith((".whl", ".zip")):
            _unpack_zip(archive, target, name)
        else:
            raise ArchiveError(f"{name}: unknown kind of archive")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ArchiveError(f"{name}: damaged or refused: {error}") from error


def safe_parts(member: str, name: str) -> tuple[str, ...]:
    """The parts of a member's path.

    Raises:
        ArchiveError: it is absolute or climbs up; `name` is the archive to blame.
    """
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or "\0" in member:
        raise ArchiveError(f"{name}: member {member!r} leads outside the archive")
    return path.parts


def _unpack_tar(archive: Path, target: Path, name: str) -> None:
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.type != tarfile.XGLTYPE]
        pairs = [(member, safe_parts(member.name, name)) for member in members]
        tops = {path[0] for _, path in pairs if path}
        strip = 1 if len(tops) == 1 and all(len(path) > 1 or member.isdir() for member, path in pairs) else 0
        for member, path in pairs:
            if len(path) <= strip:
                continue
            destination = target.joinpath(*path[strip:])
            # SECURITY: a link unpacked earlier must not carry a later member out of the folder.
            if not destination.parent.resolve().is_relative_to(target.resolve()):
                raise ArchiveError(f"{name}: member {member.name!r} leads outside the archive")
            _unpack_member(tar, member, destination, target=target, name=name, strip=strip)


def _unpack_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, destination: Path, *, target: Path, name: str, strip: int
) -> None:
    if member.isdir():
        destination.mkdir(parents=True, exist_ok=True)
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    if destination.is_symlink() or destination.exists():
        raise ArchiveError(f"{name}: member {member.name!r} appears twice")
    if member.issym():
        link = PurePosixPath(member.linkname)
        reached = (destination.parent / member.linkname).resolve()
        if link.is_absolute() or not reached.is_relative_to(target.resolve()):
            raise ArchiveError(f"{name}: link {member.name!r} leads outside the archive")
        destination.symlink_to(member.linkname)
    elif member.islnk():
        original = target.joinpath(*safe_parts(member.linkname, name)[strip:])
        if not original.resolve().is_relative_to(target.resolve()) or not original.is_file():
            raise ArchiveError(f"{name}: link {member.name!r} leads outside the archive")
        destination.write_bytes(original.read_bytes())
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None
        with content, destination.open("wb") as out:
            while chunk := content.read(1 << 20):
                out.write(chunk)
        destination.chmod(0o755 if member.mode & 0o111 else 0o644)
        # make compares times: generated files must stay newer than what they were generated from.
        os.utime(destination, (member.mtime, member.mtime))
    else:
        raise ArchiveError(f"{name}: member {member.name!r} is a device or pipe")


def _unpack_zip(archive: Path, target: Path, name: str) -> None:
    with zipfile.ZipFile(archive) as bundle:
        for info in bundle.infolist():
            path = safe_parts(info.filename, name)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ArchiveError(f"{name}: link {info.filename!r} in a zip archive")
            destination = target.joinpath(*path)
            if info.is_dir():
                destination.mkdir(parents=True, exist_ok=True)
                continue
            destination.parent.mkdir(parents=True, exist_ok=True)
            with bundle.open(info) as content, destination.open("xb") as out:
                while chunk := content.read(1 << 20):
                    out.write(chunk)
