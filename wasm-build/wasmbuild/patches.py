"""Applies unified diffs exactly or not at all.

patch-ng was weighed and left: it changes the process's working directory, which stages on threads share, and takes
"already patched" for success.
"""

import re
from pathlib import Path

from wasmbuild.archive import safe_parts
from wasmbuild.errors import ArchiveError

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def apply_patch(patch: Path, root: Path) -> list[str]:
    """Apply a unified diff with paths `a/…` and `b/…`; returns the changed files, relative to `root`.

    Every context line must be exactly where the hunk says it is: nothing is searched for, nothing is fuzzy, and
    nothing is written unless the whole patch applies.

    Raises:
        ArchiveError: naming the patch, the file and the line.
    """
    changes: dict[str, bytes | None] = {}
    lines = patch.read_bytes().splitlines(keepends=True)
    position = 0
    while position < len(lines):
        if not lines[position].startswith(b"--- "):
            position += 1
            continue
        if position + 1 >= len(lines) or not lines[position + 1].startswith(b"+++ "):
            raise ArchiveError(f"{patch.name}: line {position + 1}: a --- line without its +++ line")
        old, new = (_patched_path(lines[position + i], patch.name) for i in (0, 1))
        position, hunks = _read_hunks(lines, position + 2, patch.name)
        file = new or old
        if file is None or not hunks or (old is not None and new is not None and old != new):
            raise ArchiveError(f"{patch.name}: line {position}: no hunks, no file, or a renamed file")
        if file in changes:
            raise ArchiveError(f"{patch.name}: {file} is patched twice")
        changes[file] = _patched(root, file, hunks, patch.name, creates=old is None, deletes=new is None)
    if not changes:
        raise ArchiveError(f"{patch.name}: holds no changes")
    for file, content in changes.items():
        if content is None:
            (root / file).unlink()
        else:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(content)
    return sorted(changes)


_Hunk = tuple[int, list[bytes], list[bytes]]


def _patched_path(line: bytes, name: str) -> str | None:
    text = line[4:].split(b"\t")[0].strip().decode("utf-8")
    if text == "/dev/null":
        return None
    parts = safe_parts(text, name)
    if len(parts) < 2:
        raise ArchiveError(f"{name}: path {text!r} has no leading a/ or b/")
    return "/".join(parts[1:])


def _read_hunks(lines: list[bytes], position: int, name: str) -> tuple[int, list[_Hunk]]:
    hunks: list[_Hunk] = []
    while position < len(lines) and (match := _HUNK.match(lines[position])):
        header = position
        start, old_left, new_left = int(match[1]), int(match[2] or 1), int(match[4] or 1)
        old: list[bytes] = []
        new: list[bytes] = []
        position += 1
        while old_left > len(old) or new_left > len(new):
            line = lines[position] if position < len(lines) else b"?"
            kind, text = (b" ", line) if line in (b"\n", b"\r\n") else (line[:1], line[1:])
            if kind not in (b" ", b"-", b"+"):
                raise ArchiveError(f"{name}: line {header + 1}: the hunk is shorter than its header says")
            if kind in (b" ", b"-"):
                old.append(text)
            if kind in (b" ", b"+"):
                new.append(text)
            position += 1
            if position < len(lines) and lines[position].startswith(b"\\"):
                for side in {b" ": (old, new), b"-": (old,), b"+": (new,)}[kind]:
                    side[-1] = side[-1].rstrip(b"\r\n")
                position += 1
        if len(old) != old_left or len(new) != new_left:
            raise ArchiveError(f"{name}: line {header + 1}: the hunk is longer than its header says")
        hunks.append((start if old else start + 1, old, new))
    return position, hunks


def _patched(root: Path, file: str, hunks: list[_Hunk], name: str, *, creates: bool, deletes: bool) -> bytes | None:
    path = root / file
    if not path.parent.resolve().is_relative_to(root.resolve()) or path.is_symlink():
        raise ArchiveError(f"{name}: {file} leads outside the source")
    if creates:
        if path.exists():
            raise ArchiveError(f"{name}: {file} exists already")
        return b"".join(hunks[0][2])
    if not path.is_file():
        raise ArchiveError(f"{name}: {file} does not exist")
    content = path.read_bytes().splitlines(keepends=True)
    result: list[bytes] = []
    reached = 0
    for start, old, new in hunks:
        if start - 1 < reached:
            raise ArchiveError(f"{name}: {file}: hunks overlap at line {start}")
        found = content[start - 1 : start - 1 + len(old)]
        if found != old:
            wrong = next((i for i, (a, b) in enumerate(zip(found, old, strict=False)) if a != b), len(found))
            raise ArchiveError(f"{name}: {file}: line {start + wrong} is not what the patch expects")
        result += content[reached : start - 1] + new
        reached = start - 1 + len(old)
    result += content[reached:]
    if deletes:
        if result:
            raise ArchiveError(f"{name}: {file} should be deleted but has other lines")
        return None
    return b"".join(result)
