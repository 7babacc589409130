"""Reading files that a step file refers to, or the step file itself: what is wrong with them becomes a mistake."""

from __future__ import annotations

from pathlib import Path

from ...rows.named_file import NamedFile, open_own
from .document import MAX_FILE_BYTES, DocumentError, Node, Place
from .mistakes import Collector
from .parse import parse


def read_document(file: Path | NamedFile, mistakes: Collector, place: Place, shown: str) -> tuple[Node | None, str]:
    """The tree and text of a YAML or JSON file, which is a `Path` if the user named it.

    `place` is where it is referred to, `shown` how it is called there.
    """
    text = read_file(file, mistakes, place, shown)
    if text is None:
        return None, ""
    try:
        return parse(text, shown), text
    except DocumentError as error:
        mistakes.add(error.place, error.message)
        return None, text


def check_file(
    file: NamedFile, mistakes: Collector, place: Place, key: str, *, max_bytes: int = MAX_FILE_BYTES
) -> bool:
    """Note at `place` what is wrong with a file that is read later, if it is there already; whether nothing is."""
    try:
        file.check(max_bytes)
    except OSError as error:
        mistakes.add(place, f"{key}: {file.path} cannot be read: {error.strerror}")
        return False
    return True


def read_file(file: Path | NamedFile, mistakes: Collector, place: Place, shown: str) -> str | None:
    """The text of a UTF-8 file of bounded size, or None with a mistake at `place`."""
    try:
        with file.open() if isinstance(file, NamedFile) else open_own(file) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) <= MAX_FILE_BYTES:
            return data.decode().removeprefix("\ufeff")
        mistakes.add(place, f"{shown} is larger than {MAX_FILE_BYTES:,} bytes")
    except OSError as error:
        mistakes.add(place, f"{shown} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        mistakes.add(place, f"{shown} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}")
    return None
