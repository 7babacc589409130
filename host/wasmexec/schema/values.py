"""Checks and short descriptions of single JSON values."""

from __future__ import annotations

import binascii
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from ..errors import OutputError
from .interruption import look

_AMERICAN = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-W[0-9]{2}(?:-[0-9])?|[0-9]{8}|[0-9]{4}W[0-9]{2}[0-9]?")
_SEPARATORS = frozenset(("", "T", " "))

PROMPT_BYTES = 128 * 1024
"""A text of so much is checked in about two milliseconds where nothing is slow."""
_MOST_BITS = 14_000
_MOST_SORTED = 1000
_LONGEST_DATETIME = 100
_BASE64_PIECE = 1 << 18

_TYPE_NAMES = {
    type(None): "null", bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "a list",
    dict: "an object",
}  # fmt: skip


def type_name(value: object) -> str:
    """The JSON type of a value with its article ("a string"); for anything else the class name."""
    return _TYPE_NAMES.get(type(value)) or f"a value of type {type(value).__name__}"


Mask: TypeAlias = Callable[[str], str]


def _unmasked(text: str) -> str:
    """The mask when there are no secrets."""
    return text


_mask: ContextVar[Mask] = ContextVar("mask", default=_unmasked)


@contextmanager
def masked_by(mask: Mask | None) -> Iterator[None]:
    """Whatever of a value is shown meanwhile, by anybody in this thread, is masked before it is cut.

    SECURITY: no place that shows a value has to think of it. Not around a `yield`: it would hold for others.
    """
    token = _mask.set(_unmasked if mask is None else mask)
    try:
        yield
    finally:
        _mask.reset(token)


class _ShortRepr(reprlib.Repr):
    """Masks each text before it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlong = 60
        self.maxdict = self.maxlist = 3
        self.maxlevel = 2

    def repr_dict(self, value: dict[str, object], level: int) -> str:
        if len(value) <= _MOST_SORTED:
            return super().repr_dict(value, level)
        # Four are enough to show that there are more, and a million names are not sorted for it.
        return super().repr_dict(dict(islice(value.items(), self.maxdict + 1)), level)

    def repr_str(self, text: str, level: int) -> str:
        return super().repr_str(_mask.get()(text), level)

    def repr_int(self, number: int, level: int) -> str:
        if number.bit_length() > _MOST_BITS:
            # Python writes no longer ones, and no JSON parser lets them in.
            return f"<an integer of {number.bit_length():,} bits>"
        text = super().repr_int(number, level)
        # Digits of which something was left out.
        return super().repr_str(_mask.get()(str(number)), level)[1:-1] if "..." in text else text


def short_repr(value: object) -> str:
    """A Python repr of at most 200 characters, masked before it is cut."""
    return shorten(_ShortRepr().repr(value), 200)


def shorten(text: str, most: int) -> str:
    """The text, masked and cut to at most so many characters: keys of a guest may be megabytes long."""
    text = _mask.get()(text)
    return text if len(text) <= most else text[: most - 3] + "..."


def pointer_token(key: str | int) -> str:
    """One step of a JSON pointer, with its slash.

    Source: RFC 6901, section 3.
    """
    return f"/{key}" if isinstance(key, int) else "/" + key.replace("~", "~0").replace("/", "~1")


def pointer(path: Iterable[str | int]) -> str:
    """The JSON pointer of a path; "" is the whole document."""
    return "".join(map(pointer_token, path))


def size_of(value: object, most: int) -> int:
    """How many values there are in some JSON, a long text counting as several; not more than `most`, at least 1."""
    size = 0
    nodes = [iter((value,))]
    while nodes and size < most:
        for node in nodes[-1]:
            size += 1 + (len(node) // 64 if isinstance(node, str) else 0)
            if isinstance(node, (dict, list)):
                nodes.append(iter(node.values() if isinstance(node, dict) else node))
                break
            if size >= most:
                break
        else:
            nodes.pop()
    return min(size, most)


def depth_of(value: object) -> int:
    """How many levels of lists and objects some JSON has."""
    deepest = 0
    nodes = [iter((value,))]
    while nodes:
        for node in nodes[-1]:
            if isinstance(node, (dict, list)):
                nodes.append(iter(node.values() if isinstance(node, dict) else node))
                break
        else:
            nodes.pop()
        deepest = max(deepest, len(nodes) - 1)
    return deepest


def counted_from(first: int, path: Sequence[str | int]) -> Sequence[str | int]:
    """The path of something in a piece of a list, with the index of its row in the whole list."""
    return [path[0] + first, *path[1:]] if path and isinstance(path[0], int) else path


def refusal(where: str, rule: str, value: object, message: str, fix: str = "") -> OutputError:
    """The error for a refused value at the JSON pointer `where`, everything in it masked and of bounded length."""
    where = shorten(where, 1000)
    return OutputError(where, rule, short_repr(value), shorten(f"{where or 'the list'}: {message}", 2000), fix)


def is_datetime(text: str) -> bool:
    """True for an ISO 8601 date or date and time, with or without offset, or `MM/DD/YYYY HH:MM:SS`.

    No text of more than 100 characters is one.
    """
    if len(text) > _LONGEST_DATETIME:
        return False
    if text[2:3] == "/":
        return _is_american(text)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return _is_unusual(text)
    return _is_usual(text) or _is_unusual(text)


def _is_american(text: str) -> bool:
    match = _AMERICAN.fullmatch(text)
    if match is None:
        return False
    month, day, year, hour, minute, second = map(int, match.groups())
    try:
        datetime(year, month, day, hour, minute, second)
    except ValueError:
        return False
    return True


def _is_usual(parsed: str) -> bool:
    # `fromisoformat` takes any character between date and time.
    return parsed[4] == "-" and parsed[10:11] in _SEPARATORS


def _is_unusual(text: str) -> bool:
    # Lower-case letters of RFC 3339, week dates and the basic format.
    text = text.upper()
    date = _DATE.match(text)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return date is not None and text[date.end() : date.end() + 1] in _SEPARATORS


def all_datetimes(texts: Sequence[str]) -> bool:
    """True if `is_datetime` holds for each; about 0.2 us for a text in the usual format."""
    if max(map(len, texts), default=0) > _LONGEST_DATETIME:
        return False
    try:
        list(map(datetime.fromisoformat, texts))
    except ValueError:
        return all(map(is_datetime, texts))
    return all(map(_is_usual, texts)) or all(map(is_datetime, texts))


def is_base64(text: str) -> bool:
    """True for standard Base64 with padding, without line breaks; the empty text is Base64 of nothing.

    Source: RFC 4648, section 4.
    """
    for start in range(0, len(text), _BASE64_PIECE):
        piece = text[start : start + _BASE64_PIECE]
        if start:
            look()
        if start + _BASE64_PIECE < len(text) and "=" in piece:
            return False
        try:
            binascii.a2b_base64(piece, strict_mode=True)
        except ValueError:
            return False
    return True


def unchecked(where: str, rule: str, value: object, why: str) -> OutputError:
    """The error for a row, or the whole list, that no engine could check."""
    return OutputError(where, rule, short_repr(value), shorten(f"the output cannot be checked: {why}", 500))
