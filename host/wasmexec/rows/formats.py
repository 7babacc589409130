"""How a file of rows is written: its format, by name or as asked for, its encoding and its delimiter."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError

FORMATS = ("json", "jsonl", "csv", "tsv", "parquet")
DELIMITED = ("csv", "tsv")
_BY_SUFFIX = {
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".parquet": "parquet",
}  # fmt: skip
GZIP_SUFFIX = ".gz"
_DELIMITER_NAMES = {
    "tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "colon": ":",
}  # fmt: skip
# They are for host names, source code or tests, not for files; some take quadratic time.
_NOT_FOR_FILES = frozenset(
    ("idna", "punycode", "utf_7", "undefined", "unicode_escape", "raw_unicode_escape", "charmap", "mbcs", "oem")
)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is known about a source beyond its name; None: its name or its content tells.

    Raises:
        ConfigError: there is no such format or encoding, or the delimiter is no single character.
    """

    form: str | None = None
    encoding: str | None = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if self.form is not None and self.form not in FORMATS:
            raise ConfigError(f"the format of an input must be {', '.join(FORMATS)}, not {self.form!r}")
        if self.encoding is not None:
            object.__setattr__(self, "encoding", _encoding(self.encoding))
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))


def form_of(path: Path) -> str | None:
    """The format that a file's name tells, `.gz` left aside, or None."""
    name = path.name.lower().removesuffix(GZIP_SUFFIX)
    return _BY_SUFFIX.get(Path(name).suffix)


def _encoding(name: object) -> str:
    """The name that Python has for an encoding."""
    if isinstance(name, str) and name.isascii() and len(name) <= 40:
        try:
            found = codecs.lookup(name)
        except (LookupError, ValueError):
            pass
        else:
            # Only this tells texts from compression and the like.
            if found._is_text_encoding and found.name.replace("-", "_") not in _NOT_FOR_FILES:
                return found.name
    raise ConfigError(
        f"there is no encoding {repr(name)[:60]}; such are utf-8, utf-16, windows-1252, windows-1250, latin-1, "
        "shift_jis and gb18030"
    )


def _delimiter(text: object) -> str:
    found = _DELIMITER_NAMES.get(text.lower(), text) if isinstance(text, str) else text
    if not isinstance(found, str) or len(found) != 1 or found in "\"'\r\n\0\ufeff" or found.isalnum():
        raise ConfigError(
            f"the delimiter must be one character, such as ';' or '|', or one of {', '.join(_DELIMITER_NAMES)}, "
            f"not {repr(text)[:60]}"
        )
    return found
