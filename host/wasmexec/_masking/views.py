"""Views of bytes in which a spelled secret can be seen: without escapes, without white space, without separators.

Escapes (JSON, Python, C, shell, percent, HTML, JSON pointer) are taken off level by level until none is left, so they
may be of any kind, in any mixture and nested in any depth. Each of these views is then looked at as it is; without
white space, for Base64 in lines; and reduced to small letters and digits, for what was wrapped, indented, put on one
line or written in another case, and for hexadecimal digits with anything between them.

The guest has this module, too: it imports nothing of the package. Everything takes time linear in the data.
"""

from __future__ import annotations

import re
import string
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from html import unescape
from itertools import compress

_MOST_LEVELS = 16
_SHORTEST_LEVEL = 6
_BLOCK = 256
_FEW_POSITIONS = 200
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 16

_SPACE = b" \t\r\n\v\f"
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_SMALL_LETTERS = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
# All but letters, digits and what is not ASCII; and x, for 0x and \\x stand between digits.
_BETWEEN = bytes(set(range(128)) - set(string.digits.encode() + string.ascii_letters.encode()) | set(b"xX"))
_ESCAPE = re.compile(
    # One group, for `split`. The first character stands alone, so that the search for it is fast; then runs at once,
    # for a text that was quoted again and again has little else.
    rb"([\\%&~](?:(?<=\\)(?:"
    rb"\\(?:\\\\)*"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}"
    rb"|[ux]\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[nrtbfave0]|[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e])"
    rb"|(?<=%)(?:25(?:%25)*|[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
    rb"|(?<=&)(?:amp;(?:&amp;)*|\#[0-9]{1,7};|\#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)"
    rb"|(?<=~)[01]))"
)
_QUOTED_PRINTABLE = re.compile(rb"(=(?:[0-9a-fA-F]{2}|[ \t]{0,9}\r?\n))")
_TORN = re.compile(
    rb"(?:\\+(?:[uUx]\{?[0-9a-fA-F]{0,8}|[0-7]{1,2})?|%(?:[0-9a-fA-F]|u[0-9a-fA-F]{0,3})?"
    rb"|&[#0-9A-Za-z]{0,31}|~|=[0-9a-fA-F\r]?)\Z"
)
_LONGEST_ESCAPE = 64
_MARKS = b"\\%&~"
_RUNS = (b"\\\\", b"%25", b"&amp;")
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"a": b"\a", b"v": b"\v", b"e": b"\x1b",
             b"0": b"\0"}  # fmt: skip


def levels(data: bytes) -> Iterator[bytes]:
    """The data without its outermost escapes, without the next, and so on: it may look as if it had some itself."""
    for _ in range(_MOST_LEVELS):
        less = _ESCAPE.sub(lambda match: _UNESCAPED[match[0]], data)
        if less == data:
            return
        data = less
        if len(data) >= _SHORTEST_LEVEL:
            yield data


def _unescaped(token: bytes) -> bytes:
    """What an escape stands for, or a run of one that stands for its own first byte."""
    for run in _RUNS:
        if token.startswith(run):
            return token[:1] * (len(token) // len(run))
    return _one_unescaped(token)


def _one_unescaped(token: bytes) -> bytes:
    kind, rest = token[:1], token[1:]
    if kind == b"%":
        return _character(rest[1:]) if rest[:1] == b"u" else bytes([int(rest, 16)])
    if kind == b"~":
        return b"~" if rest == b"0" else b"/"
    if kind == b"&":
        return unescape(token.decode()).encode("utf-8", "surrogatepass")
    letter, code = rest[:1], rest[1:]
    if letter == b"x" and code[:1] != b"{":
        return bytes([int(code, 16)])
    if code[:1] == b"{":
        return _character(code[1:-1])
    if letter == b"u" and len(code) > 4:
        return bytes.fromhex(code[:4].decode() + code[6:].decode()).decode("utf-16-be").encode()
    if letter in (b"u", b"U") and code:
        return _character(code)
    if code:
        return bytes([int(rest, 8)])
    return _CONTROLS.get(letter, letter)


def _character(digits: bytes) -> bytes:
    code = int(digits, 16)
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""


class View:
    """Bytes made of others; `origin` says from where."""

    has_gaps = False
    """Whether something was left out between bytes, which may have nothing to do with each other."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where data[start:end], which is not empty, comes from in the bytes at the bottom."""
        return start, end


class _Known(dict[bytes, bytes]):
    """What escapes stand for; made when first asked for, bounded."""

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, token: bytes) -> bytes:
        value = self._decode(token)
        if len(token) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[token] = value
        return value


class _Unescaped(View):
    """A view without the outermost level of escapes."""

    def __init__(self, below: View, pattern: re.Pattern[bytes], known: _Known) -> None:
        self._below = below
        # Texts and escapes by turns.
        self._parts: list[bytes] = pattern.split(below.data)
        self._decoded: list[bytes] = list(map(known.__getitem__, self._parts[1::2]))
        if self._decoded:
            parts = self._parts.copy()
            parts[1::2] = self._decoded
            super().__init__(b"".join(parts))
        else:
            super().__init__(below.data)
        self.has_changed = self.data != below.data
        """Whether there was an escape."""

    @property
    def tokens(self) -> set[bytes]:
        """The escapes that were found."""
        return set(self._parts[1::2])

    @cached_property
    def _places(self) -> tuple[array[int], array[int], array[int], array[int]]:
        """Of each escape: where it starts and ends here and below."""
        places = starts, ends, origins, origin_ends = array("q"), array("q"), array("q"), array("q")
        here = below = 0
        for text, token, decoded in zip(self._parts[::2], self._parts[1::2], self._decoded, strict=False):
            here += len(text)
            below += len(text)
            if decoded != token:
                starts.append(here)
                ends.append(here + len(decoded))
                origins.append(below)
                origin_ends.append(below + len(token))
            here += len(decoded)
            below += len(token)
        return places

    def origin(self, start: int, end: int) -> tuple[int, int]:
        return self._below.origin(self._span(start)[0], self._span(end - 1)[1])

    def _span(self, position: int) -> tuple[int, int]:
        """What the byte here was below."""
        starts, ends, origins, origin_ends = self._places
        index = bisect_right(starts, position) - 1
        if index < 0:
            return position, position + 1
        if position < ends[index]:
            return origins[index], origin_ends[index]
        start = origin_ends[index] + position - ends[index]
        return start, start + 1


class _Without(View):
    """A view with some bytes left out and others translated."""

    has_gaps = True

    def __init__(self, below: View, table: bytes, dropped: bytes) -> None:
        super().__init__(below.data.translate(table, dropped))
        self._below = below
        self._dropped = dropped
        self._asked = 0

    @cached_property
    def _counts(self) -> array[int]:
        """How many bytes are kept before each block."""
        data, kept = self._below.data, array("q", [0])
        for start in range(0, len(data), _BLOCK):
            kept.append(kept[-1] + len(data[start : start + _BLOCK].translate(None, self._dropped)))
        return kept

    @cached_property
    def _positions(self) -> array[int]:
        """Where each byte was below."""
        kept = bytes(byte not in self._dropped for byte in range(256))
        data = self._below.data
        return array("q", compress(range(len(data)), data.translate(kept)))

    def origin(self, start: int, end: int) -> tuple[int, int]:
        return self._below.origin(self._position(start), self._position(end - 1) + 1)

    def _position(self, position: int) -> int:
        self._asked += 1
        if self._asked > _FEW_POSITIONS:
            return self._positions[position]
        block = bisect_right(self._counts, position) - 1
        start = block * _BLOCK
        data, wanted = self._below.data[start : start + _BLOCK], position - self._counts[block]
        return start + bisect_right(
            range(len(data)), wanted, key=lambda index: len(data[: index + 1].translate(None, self._dropped))
        )


class Unescaping:
    """Takes the escapes off texts in which some secrets are looked for.

    Where a mark of escapes stands right before a secret, or is its last character, the two may read like an escape:
    `%` and `ab`. Then there are also the views in which such are none.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        secrets = [secret for secret in secrets if secret]
        sizes = range(1, _LONGEST_KNOWN)
        self._beginnings = frozenset(secret[:size] for secret in secrets for size in sizes)
        self._ends = frozenset(secret[-size:] for secret in secrets for size in sizes if secret[-size:][0] in _MARKS)
        self._known = _Known(self._decoded)

    def views(self, data: bytes) -> Iterator[View]:
        """The data itself and what is left of it after each level of escapes."""
        view: View = View(data)
        yield view
        doubtful = None
        for level in _levels_above(view, _UNESCAPED):
            if doubtful is None and any(self._known[token] != _UNESCAPED[token] for token in level.tokens):
                doubtful = view
            view = level
            yield view
        if b"=" in view.data:
            printable = _Unescaped(view, _QUOTED_PRINTABLE, _PRINTABLE)
            if printable.has_changed:
                yield printable
        if doubtful is not None:
            yield from _levels_above(doubtful, self._known)

    def _decoded(self, token: bytes) -> bytes:
        return token if self._is_none(token) else _unescaped(token)

    def _is_none(self, token: bytes) -> bool:
        if token[1:] in self._beginnings:
            return True
        return not token.startswith(_RUNS) and any(token[:size] in self._ends for size in range(1, len(token)))


def _levels_above(view: View, known: _Known) -> Iterator[_Unescaped]:
    for _ in range(_MOST_LEVELS):
        less = _Unescaped(view, _ESCAPE, known)
        if not less.has_changed:
            return
        view = less
        yield less


class Whole(View):
    """A view without the escape at its end that goes on beyond it, if there is one; `end` is its own at the bottom."""

    def __init__(self, below: View) -> None:
        match = _TORN.search(below.data, max(0, len(below.data) - _LONGEST_ESCAPE))
        super().__init__(below.data if match is None else below.data[: match.start()])
        self._below = below
        if match is not None:
            self.end = below.origin(match.start(), match.start() + 1)[0]
        else:
            self.end = below.origin(len(below.data) - 1, len(below.data))[1] if below.data else 0

    def origin(self, start: int, end: int) -> tuple[int, int]:
        return self._below.origin(start, end)


def _printable(token: bytes) -> bytes:
    return b"" if token.endswith(b"\n") else bytes([int(token[1:], 16)])


_UNESCAPED = _Known(_unescaped)
_PRINTABLE = _Known(_printable)


def compact(view: View) -> View:
    """A view without white space, its Base64 in the standard alphabet."""
    return _Without(view, _STANDARD_ALPHABET, _SPACE)


def loose(view: View) -> View:
    """A view of nothing but small letters, digits and what is not ASCII."""
    return _Without(view, _SMALL_LETTERS, _BETWEEN)


def reduced(data: bytes) -> bytes:
    """What data are in a loose view."""
    return data.translate(_SMALL_LETTERS, _BETWEEN)
