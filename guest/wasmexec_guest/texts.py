"""Texts of a statement as they are shown: never raising, never too long, and without secrets before they are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ._masking.masker import Masker


def guarded_text(make: Callable[[], object], fallback: str) -> str:
    """The text that `make` gives, or `fallback` if the statement's own code breaks on the way."""
    try:
        return str(make())
    except BaseException:  # __str__, __repr__ and properties of the statement's classes may raise anything
        return fallback


_masker: Masker | None = None
"""Hides the secrets that the statement has; the host masks, too, but cannot find a secret that was cut here."""


def know_secrets(secrets: Iterable[str]) -> None:
    """Mask these before anything is cut."""
    global _masker
    _masker = Masker(secrets)


def for_cut(text: str, limit: int) -> str:
    """`text` without secrets if it is longer than `limit` characters. SECURITY: whatever is cut goes through this."""
    return text if _masker is None else _masker.for_cut(text, limit)


def shorten(text: str, limit: int) -> str:
    """`text`, its middle replaced by a count when it is longer than `limit` characters; no secret is cut through."""
    text = for_cut(text, limit)
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n... ({len(text) - head - tail} characters left out) ...\n{text[-tail:]}"
