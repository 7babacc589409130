"""`patternProperties` with look-around or back-references, for an engine that must not see such patterns.

The names that occur in the rows are matched here, in bounded time; the engine gets, in place of the pattern, one of the
linear-time kind that matches exactly those of them that do. Most rows have the same few names, so this is rarely new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from .patterns import compile_pattern

MOST_NAMES: Final = 10_000
_KEPT_NAMES: Final = 64
_NOTHING: Final = r"[^\s\S]"

Matching = Mapping[str, frozenset[str]]


class TooManyNamesError(ValueError):
    """More names match than can be checked together."""


def names_in(rows: Iterable[Any]) -> set[str]:
    """Every key of every object in some JSON, however deep."""
    names: set[str] = set()
    nodes: list[Any] = list(rows)
    while nodes:
        node = nodes.pop()
        if type(node) is dict:
            names.update(node)
            nodes.extend(value for value in node.values() if type(value) in (dict, list))
        elif type(node) is list:
            nodes.extend(value for value in node if type(value) in (dict, list))
    return names


def matching_names(names: set[str], known: Matching, seen: dict[str, set[str]]) -> Matching:
    """Which names each pattern matches: `known` itself if it has them all already.

    `seen` is what each matched in the list so far; these are added.

    Raises:
        PatternTimeError: matching took too long.
        TooManyNamesError: there are more than `MOST_NAMES` in the list; `seen` is as before.
    """
    found = {text: frozenset(_first(filter(compile_pattern(text).search, names))) for text in known}
    for text, matched in found.items():
        before = seen.setdefault(text, set())
        if len(before) + len(matched - before) > MOST_NAMES:
            raise TooManyNamesError(f"more than {MOST_NAMES:,} different names match the pattern {text!r}")
    for text, matched in found.items():
        seen[text].update(matched)
    if all(found[text] <= known[text] for text in known):
        return known
    if sum(map(len, known.values())) <= _KEPT_NAMES:
        found = {text: found[text] | known[text] for text in known}
    return found


def _first(names: Iterator[str]) -> Iterator[str]:
    return islice(names, MOST_NAMES + 1)


def linear_patterns(matching: Matching) -> dict[str, str]:
    """For each pattern one of the linear-time kind that matches its names and no other; no two are the same."""
    found = {}
    for number, (text, names) in enumerate(matching.items(), 1):
        # One group is matched much faster than many alternatives with anchors of their own.
        alternatives = f"^(?:{'|'.join(map(_quoted, sorted(names)))})$|" if names else ""
        found[text] = alternatives + "|".join([_NOTHING] * number)
    return found


def _quoted(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", lambda match: f"\\u{{{ord(match[0]):x}}}", name)
