"""Texts for a regular expression: literals, classes, groups, alternatives and counts; the schema judges the rest."""

from __future__ import annotations

import re

from .draw import Draw, chance, choice

_CLASSES = {"d": "0123456789", "w": "abcXYZ_019", "s": " \t", "D": "ab-", "W": "-. ", "S": "ab1"}
_MOST = 4
_MOST_ATOMS = 10_000
_COUNT = re.compile(r"\{(\d+)(,?)(\d*)\}")


def text_for(draw: Draw, pattern: str) -> str:
    """A text that the pattern most likely takes; what is not understood, or too long, ends it at once."""
    try:
        return _Maker(draw, pattern).alternatives()
    except RecursionError:
        return ""


class _Maker:
    """Reads the pattern and writes at the same time."""

    def __init__(self, draw: Draw, pattern: str) -> None:
        self._draw = draw
        self._pattern = pattern
        self._at = 0
        self._left = _MOST_ATOMS

    def alternatives(self) -> str:
        """Everything to the end of the group: one of its alternatives."""
        made = [""]
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                self._at += 1
                made.append("")
                continue
            start = self._at
            text = self._atom()
            low, high = self._count()
            if (low, high) != (1, 1):
                end, times = self._at, low + self._draw.below(high - low + 1)
                parts = []
                for _ in range(min(times, self._left)):
                    self._at = start
                    parts.append(self._atom())
                self._at, text = end, "".join(parts)
            made[-1] += text
        return choice(self._draw, made)

    def _atom(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        # Counts in counts multiply.
        self._left = max(self._left - 1, 0)
        if character == "(":
            if self._pattern.startswith("?:", self._at):
                self._at += 2
            text = self.alternatives()
            self._at += 1
            return text
        if character == "[":
            return self._one_of()
        if character == "\\" and self._at < len(self._pattern):
            escaped = self._pattern[self._at]
            self._at += 1
            if escaped in "bB":
                return ""
            return choice(self._draw, _CLASSES[escaped]) if escaped in _CLASSES else escaped
        if character == ".":
            return choice(self._draw, "ab1 -")
        return "" if character in "^$" else character

    def _one_of(self) -> str:
        end = self._pattern.find("]", self._at + 1)
        inside, self._at = self._pattern[self._at : end], end + 1 if end >= 0 else len(self._pattern)
        if inside.startswith("^"):
            return next((character for character in "aZ0 _~" if character not in inside), "")
        members = ""
        at = 0
        while at < len(inside):
            if inside[at] == "\\" and at + 1 < len(inside):
                members += _CLASSES.get(inside[at + 1], inside[at + 1])
                at += 2
            elif inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
                span = range(ord(inside[at]), ord(inside[at + 2]) + 1)
                members += "".join(map(chr, list(span)[:100]))
                at += 3
            else:
                members += inside[at]
                at += 1
        return choice(self._draw, members) if members else ""

    def _count(self) -> tuple[int, int]:
        following = self._pattern[self._at : self._at + 1]
        match = _COUNT.match(self._pattern, self._at)
        low, high = 1, 1
        if match is not None:
            self._at = match.end()
            low = min(int(match[1]), 1000)
            high = low if not match[2] else max(low, min(int(match[3]), low + 50)) if match[3] else low + _MOST
        elif following and following in "?*+":
            self._at += 1
            low, high = {"?": (0, 1), "*": (0, _MOST), "+": (1, _MOST)}[following]
            high = high if chance(self._draw, 80) else low
        if self._pattern[self._at : self._at + 1] == "?" and (low, high) != (1, 1):
            self._at += 1
        return low, high
