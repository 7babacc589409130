"""Regular expressions as ECMA-262 writes them, for the module `regex`.

Source: ECMA-262, 22.2.1 (with the flag u), and annex B.1.2 where people rely on it (`[\\w-.]`, a `{` by itself). What
only Python's `re` has of its own and cannot be mistaken, such as `(?P<name>...)`, stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

# SECURITY: `regex` has much more: recursion, fuzzy matching, named lists. Only what is listed here gets through.
_GROUP: Final = re.compile(r"\(\?(?:[:=!>#]|<[=!]|P?<[^\W\d]\w*>|P=\w+\)|\(\w+\)|[aimsux]*(?:-[imsx]+)?[:)])")
_QUANTIFIER: Final = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_ESCAPE: Final = re.compile(
    r"\\(?:c(?P<control>[A-Za-z])|u\{(?P<code>[0-9a-fA-F]{1,6})\}"
    r"|u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|(?P<zero>0)(?![0-9])|[pP]\{\w+(?:=\w+)?\}|k<(?P<name>\w+)>|[1-9][0-9]?"
    r"|(?P<letter>[a-zA-Z])|_|[^\w])",
    re.DOTALL,
)
_SPACES: Final = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACES: Final = (
    r"\x00-\x08\x0e-\x1f!-\x9f\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    r"\u3001-\ufefe\uff00-\U0010ffff"
)
_WORD: Final = "A-Za-z0-9_"
_LETTERS: Final = {
    "d": "[0-9]", "D": "[^0-9]", "w": f"[{_WORD}]", "W": f"[^{_WORD}]", "s": f"[{_SPACES}]", "S": f"[^{_SPACES}]",
    "b": r"\b", "B": r"\B", "A": r"\A", "Z": r"\Z", "z": r"\Z",
    **{letter: f"\\{letter}" for letter in "tnvfra"},
}  # fmt: skip
_LETTERS_IN_CLASS: Final = {
    "d": "0-9", "w": _WORD, "s": _SPACES, "b": r"\x08", "S": _NO_SPACES,
    "D": r"\x00-/:-\U0010ffff", "W": r"\x00-/:-@\x5b-\x5e`\x7b-\U0010ffff",
    **{letter: f"\\{letter}" for letter in "tnvfra"},
}  # fmt: skip
_PART: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|[^\\\[(){]", re.DOTALL)
_ENDLESS: Final = re.compile(r"[*+|]|,\}")
_UNICODE: Final = re.compile(r"\\[pP]")
_WIDE_CLASS: Final = 3
_SOON_ENDED: Final = 1000
_MOST_BREADTH: Final = 1_000_000
_NOT_LINE_END: Final = r"[^\n\r\u2028\u2029]"


class NotAPatternError(ValueError):
    """The text is no regular expression; the message says why."""


def translate(pattern: str) -> str:
    """The pattern with the same meaning in the syntax of `regex` (version 0, no flags).

    Raises:
        NotAPatternError: it has something that neither ECMA-262 nor Python's `re` has.
    """
    parts: list[str] = []
    position = 0
    dot = "." if re.search(r"\(\?[a-z]*s", pattern) else _NOT_LINE_END
    while position < len(pattern):
        character = pattern[position]
        end = position + 1
        if character == "\\":
            part, end = _escape(pattern, position, _LETTERS)
        elif character == "[":
            part, end = _class(pattern, position)
        elif pattern.startswith("(?#", position):
            part, end = "", pattern.find(")", position) + 1 or len(pattern)
        elif pattern.startswith(("(?", "(*"), position):
            group = _GROUP.match(pattern, position)
            if group is None:
                raise NotAPatternError(f"{pattern[position : position + 4]!r} does not begin a known group")
            part, end = group[0], group.end()
        elif character == "{":
            quantifier = _QUANTIFIER.match(pattern, position)
            part, end = (quantifier[0], quantifier.end()) if quantifier else (r"\{", end)
        else:
            part = {".": dot, "$": r"\Z"}.get(character, character)
        parts.append(part)
        position = end
    return "".join(parts)


def expanded_size(translated: str) -> int:
    """About how many characters a translated pattern has with its counted repeats written out: so much is compiled."""
    sizes = [0]
    last = 0
    position = 0
    while position < len(translated):
        part = _PART.match(translated, position)
        if part is None:
            quantifier = _QUANTIFIER.match(translated, position)
            character = translated[position]
            position = quantifier.end() if quantifier else position + 1
            if quantifier:
                times = max(map(int, re.findall("[0-9]+", quantifier[0])))
                sizes[-1] += last * (times - 1)
            elif character == "(":
                sizes.append(0)
            elif character == ")" and len(sizes) > 1:
                last = sizes.pop()
                sizes[-1] += last
            continue
        position = part.end()
        last = 1
        sizes[-1] += last
    return sum(sizes)


def breadth(pattern: str) -> int:
    """At how many places of a pattern a text may be at once, about: what each character may cost, in 10 ns.

    An automaton that follows `(1[01]{100}2)` through ones and zeros is at most of them. One that begins at the start
    alone and repeats nothing without end has soon ended.
    """
    try:
        size = expanded_size(translate(pattern))
    except NotAPatternError:
        size = _MOST_BREADTH
    if pattern.startswith("^") and not _ENDLESS.search(pattern) and size <= _SOON_ENDED:
        return 1
    return min(_MOST_BREADTH, size * (_WIDE_CLASS if _UNICODE.search(pattern) else 1))


def _escape(pattern: str, position: int, letters: dict[str, str]) -> tuple[str, int]:
    match = _ESCAPE.match(pattern, position)
    if match is None:
        raise NotAPatternError(f"{pattern[position : position + 4]!r} is not a known escape")
    kind = match.lastgroup
    text = match[0]
    if kind == "letter":
        if match["letter"] not in letters:
            raise NotAPatternError(f"{text!r} is not a known escape")
        text = letters[match["letter"]]
    elif kind == "control":
        text = f"\\x{ord(match['control']) % 32:02x}"
    elif kind == "code":
        text = f"\\U{int(match['code'], 16):08x}"
    elif kind == "low":
        text = f"\\U{0x10000 + (int(match['high'], 16) - 0xD800) * 0x400 + int(match['low'], 16) - 0xDC00:08x}"
    elif kind == "zero":
        text = r"\x00"
    elif kind == "name":
        text = f"(?P={match['name']})"
    return text, match.end()


def _class(pattern: str, position: int) -> tuple[str, int]:
    """A character class: nothing in it but escapes, ranges and characters, as in ECMA-262."""
    position += 1
    negated = pattern.startswith("^", position)
    position += negated
    parts: list[str] = []
    while not pattern.startswith("]", position):
        if position >= len(pattern):
            raise NotAPatternError("a [ has no ]")
        character = pattern[position]
        if character == "\\":
            part, end = _escape(pattern, position, _LETTERS_IN_CLASS)
            if _is_set(pattern, position) and pattern.startswith("-", end) and not pattern.startswith("-]", end):
                # A hyphen behind a set makes no range: it stands for itself.
                part, end = part + r"\-", end + 1
        elif character == "-" and _is_set(pattern, position + 1):
            part, end = r"\-", position + 1
        else:
            part, end = (f"\\{character}" if character in "[&~|" else character), position + 1
        parts.append(part)
        position = end
    if not parts:
        return (r"(?s:.)" if negated else "(?!)"), position + 1
    return f"[{'^' * negated}{''.join(parts)}]", position + 1


def _is_set(pattern: str, position: int) -> bool:
    return re.match(r"\\[dDwWsSpP]", pattern[position : position + 2]) is not None
