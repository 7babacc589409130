"""Names that are written alike, for "did you mean".

SECURITY: names may come from the guest, and the comparison takes quadratic time in their length: it is done for the few
that have nearly the same letters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from heapq import nlargest
from itertools import islice
from typing import Final

_LONGEST: Final = 100
_MOST: Final = 1000
_MOST_COUNTED: Final = 200
_MOST_COMPARED: Final = 10
_ALIKE: Final = 0.6


def most_alike(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is written most like `word`, if any is."""
    if len(word) > _LONGEST:
        return None
    matcher = difflib.SequenceMatcher(b=word)
    counted: list[tuple[float, str]] = []
    for other in islice(known, _MOST):
        if len(other) > _LONGEST or len(counted) >= _MOST_COUNTED:
            continue
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() >= _ALIKE:
            counted.append((matcher.quick_ratio(), other))
    found: list[tuple[float, str]] = []
    for alike, other in nlargest(_MOST_COMPARED, counted):
        matcher.set_seq1(other)
        if alike >= _ALIKE:
            found.append((matcher.ratio(), other))
    best = max(found, default=(0.0, ""))
    return best[1] if best[0] >= _ALIKE else None
