"""Findings, corpus and counts on disk: plain JSON below a folder, each file replaced whole.

`findings/ID.json`, `corpus/KEY.json`, `state.json`. They can be read and edited by people, and are checked when read.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from ..rows.json_text import decode, encode
from ..rows.named_file import NamedFile
from .finding import Finding
from .inputs import FuzzInput

_T = TypeVar("_T")
_MAX_BYTES = 16 * 1024 * 1024
_MOST_FILES = 20_000
_ID = re.compile(r"[0-9a-f]{12}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_PART = ".part"


class FuzzStore:
    """The folder of one step. `notes` has what could not be read, for the user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    @staticmethod
    def beside(path: Path, name: str) -> FuzzStore:
        """The folder of a step: `.wasmexec/fuzz/NAME` beside its file."""
        return FuzzStore(path.parent / ".wasmexec" / "fuzz" / (_UNFIT.sub("_", name).strip(".") or "step"))

    def findings(self) -> list[Finding]:
        """All findings, by their ids."""
        return list(self._read_all("findings", Finding.from_dict))

    def finding(self, named: str) -> Finding:
        """The finding of an id, or of its beginning.

        Raises:
            ConfigError: there is none, or more than one.
        """
        found = [item for item in self.findings() if item.id.startswith(named)]
        if len(found) != 1:
            raise ConfigError(
                f"there {'is no finding' if not found else 'are several findings'} {named!r} in {self.folder}"
            )
        return found[0]

    def keep_finding(self, finding: Finding) -> None:
        """Write a finding, in place of the one with its id."""
        self._write(self.folder / "findings" / f"{finding.id}.json", finding.as_dict())

    def corpus(self) -> list[FuzzInput]:
        """Inputs that have shown something new."""
        return list(self._read_all("corpus", FuzzInput.from_dict))

    def keep_input(self, given: FuzzInput) -> None:
        """Write an input of the corpus."""
        self._write(self.folder / "corpus" / f"{given.key}.json", given.as_dict())

    def state(self) -> dict[str, int]:
        """Counts of earlier runs; empty if there was none."""
        path = self.folder / "state.json"
        content = self._read(path, lambda item: item) if path.exists() else None
        if not isinstance(content, dict):
            return {}
        return {name: count for name, count in content.items() if type(count) is int and count >= 0}

    def keep_state(self, state: dict[str, int]) -> None:
        """Write the counts."""
        self._write(self.folder / "state.json", state)

    def _read_all(self, kind: str, make: Callable[[Any], _T]) -> Iterator[_T]:
        folder = self.folder / kind
        for path in sorted(folder.glob("*.json"))[:_MOST_FILES] if folder.is_dir() else ():
            made = self._read(path, make)
            if made is not None:
                yield made

    def _read(self, path: Path, make: Callable[[Any], _T]) -> _T | None:
        try:
            # SECURITY: the folder comes with a step, which may be a stranger's.
            with NamedFile(path, (self.folder,)).open() as file:
                data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
            return make(decode(data))
        except (OSError, ValueError) as error:
            self.notes.append(f"{path} is left out: {error}")
            return None

    def _write(self, path: Path, content: object) -> None:
        """Replace a file at once, so that whoever reads it, after a kill too, has the old content or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
        try:
            part.write_bytes(encode(content, indent=True) + b"\n")
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
