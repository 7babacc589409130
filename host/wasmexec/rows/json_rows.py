"""Rows of JSON Lines and of JSON arrays, and what is wrong with JSON text in words that help."""

from __future__ import annotations

import io
import json
import re
from typing import IO

from ..errors import InputError
from .bad_row import BadRow, RowStream
from .json_array import JSON_LINES, is_json_lines, split_array
from .json_pieces import MisplacedError, byte_position, check
from .json_text import ROWS_DEPTH
from .steps import STEP_BYTES, LookUp, characters, count, part, skip, skip_back

_NO_NUMBER = re.compile(rb"[-+]?(?:NaN|Infinity|nan|inf|infinity)\b")
_PLACE = re.compile(r"(?:line (\d+) column (\d+) )?\(?char (\d+)\)?")
_LOOKED_AT = 64 * 1024
_PYTHON_WORDS = {b"None": "null", b"True": "true", b"False": "false", b"undefined": "null"}


def json_lines(file: io.BufferedReader, name: str, max_row_bytes: int, look_up: LookUp = bool) -> RowStream:
    """The number of each line that is not blank, and its text.

    Raises:
        InputError: a line is too long.
    """
    number = spaces = 0
    while line := file.readline(max_row_bytes + 2):
        number += 1
        spaces += len(line)
        line = _stripped(line, look_up)
        if len(line) > max_row_bytes or (spaces > max_row_bytes and not line):
            raise InputError(
                f"{name}, line {number}: longer than an input may be ({max_row_bytes:,} bytes) (limit input_bytes)",
                source=name, source_line=number,
            )  # fmt: skip
        if line:
            spaces = 0
            yield number, checked(line, name, f"line {number}", number, look_up=look_up)


def json_array(file: IO[bytes], name: str, max_row_bytes: int, look_up: LookUp = bool) -> RowStream:
    """The line that each element of an array begins in, and its text.

    Raises:
        InputError: it is no array, or there is no going on.
    """
    for index, (text, line, column) in enumerate(split_array(file, max_row_bytes, name, look_up)):
        yield line, checked(text, name, f"row {index}", line, column, look_up)


def _stripped(line: bytes, look_up: LookUp) -> bytes:
    if len(line) <= STEP_BYTES:
        return line.strip()
    start = skip(line, 0, len(line), look_up)
    return part(line, start, skip_back(line, start, len(line), look_up), look_up)


def checked(text: bytes, name: str, place: str, line: int, column: int = 1, look_up: LookUp = bool) -> bytes | BadRow:
    """The text of a row, which begins at a line and column, if it is JSON."""
    try:
        check(text, ROWS_DEPTH - 1, look_up)
    except ValueError as error:
        reason = explain(text, error, line, column, look_up)
        return BadRow(InputError(f"{name}, {place}: not JSON: {reason}", source=name, source_line=line))
    return text


def explain(text: bytes, error: ValueError, first_line: int = 1, first_column: int = 1, look_up: LookUp = bool) -> str:
    """What `decode` or `check` had against a text, where in the file, and what to write instead."""
    position = _position(text, error)
    if position is None:
        return str(error)
    lines = count(text, b"\n", 0, position, look_up)
    column = characters(text, text.rfind(b"\n", 0, position) + 1, position, look_up)
    place = f"line {first_line + lines}, column {column + (1 if lines else first_column)}"
    found = text[position : position + 40]
    number = _NO_NUMBER.match(text, position)
    if number is not None:
        word = number[0].decode()
        return f'{word} at {place}: JSON has no such number; write null, or the text "{word}"'
    for python, json_word in _PYTHON_WORDS.items():
        if found.startswith(python):
            return f"{python.decode()} at {place}: JSON writes {json_word}"
    if is_json_lines(text[:_LOOKED_AT]):
        return f"something follows the value at {place}; {JSON_LINES}"
    if found[:1] == b"'":
        return f"a single quote at {place}: JSON has double quotes only"
    return f"{_PLACE.sub('', str(error)).strip(' :')} at {place}"


def _position(text: bytes, error: ValueError) -> int | None:
    """The byte that the parser stumbled over."""
    if isinstance(error, MisplacedError):
        position = error.position
    elif isinstance(error, json.JSONDecodeError):
        position = byte_position(text, error.pos)
    else:
        return None
    # Some mistakes are found behind a word or before it.
    start = max(0, position - 10)
    for match in _NO_NUMBER.finditer(text, start, position + 10):
        if match.start() <= position <= match.end():
            return match.start()
    return min(position, len(text))
