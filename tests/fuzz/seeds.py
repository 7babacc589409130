"""The corpus: a text file for each target, a line for each input, its name and Python's literal of its bytes.

python -m tests.fuzz.seeds add TARGET NAME FILE     # keep the input that a file has, of a finding say
python -m tests.fuzz.seeds zip TARGET FILE          # all of a target, as libFuzzer takes them
"""

from __future__ import annotations

import argparse
import ast
import re
import zipfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MAX_BYTES = 4096
"""Of one input."""
MOST_KEPT = 4096
"""Inputs of a corpus."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def corpus_of(target: str) -> Path:
    """The file of a target."""
    return CORPUS / f"{target}.txt"


def read_seeds(file: Path) -> dict[str, bytes]:
    """The inputs of a file by name, none if there is no file.

    Raises:
        ValueError: a line is none.
    """
    if not file.exists():
        return {}
    found: dict[str, bytes] = {}
    for number, line in enumerate(file.read_text("ascii").splitlines(), 1):
        name, _, literal = line.partition(" ")
        data = ast.literal_eval(literal)
        if _NAME.fullmatch(name) is None or name in found or not isinstance(data, bytes) or len(data) > MAX_BYTES:
            raise ValueError(f"{file}:{number}: no name of its own with an input of at most {MAX_BYTES:,} bytes")
        found[name] = data
    return dict(list(found.items())[:MOST_KEPT])


def add_seed(file: Path, name: str, data: bytes) -> None:
    """Keep one more; the file stays in the order of the names.

    Raises:
        ValueError: the name is none, or another input's.
    """
    seeds = read_seeds(file)
    if _NAME.fullmatch(name) is None or seeds.get(name, data) != data or len(data) > MAX_BYTES:
        raise ValueError(f"{name!r} is no name, or that of another input, or the input has over {MAX_BYTES:,} bytes")
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{known} {kept!r}\n" for known, kept in sorted({**seeds, name: data}.items())]
    file.write_text("".join(lines), "ascii")


def main() -> None:
    """Add an input to a corpus, or write one as an archive."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.seeds", description="The corpus of a target.")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="keep the input that a file has")
    adding.add_argument("target")
    adding.add_argument("name", help="what it was: small letters, digits, hyphens")
    zipping = commands.add_parser("zip", help="write all of them into an archive")
    zipping.add_argument("target")
    for command in (adding, zipping):
        command.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.command == "add":
        add_seed(corpus_of(options.target), options.name, options.file.read_bytes())
        return
    with zipfile.ZipFile(options.file, "w") as archive:
        for name, data in read_seeds(corpus_of(options.target)).items():
            archive.writestr(name, data)


if __name__ == "__main__":
    main()
