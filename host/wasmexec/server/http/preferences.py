"""`Preferences`: how a client wishes to be answered.

Source: RFC 7240.
"""

from __future__ import annotations

from typing import NamedTuple

from ..problems import ProblemError

MOST_WAIT_SECONDS = 600.0
_MOST_DIGITS = 20


class Preferences(NamedTuple):
    """What of `Prefer` is honoured; `wait_seconds` is None if it says nothing of that."""

    respond_async: bool = False
    wait_seconds: float | None = None
    detach: bool = False

    @property
    def is_durable(self) -> bool:
        """Whether the run is to outlive the request."""
        return self.respond_async or self.wait_seconds is not None


def preferences(prefer: str | None) -> Preferences:
    """Those of a request; what is not known is ignored, and of two with one name the first counts.

    Raises:
        ProblemError: 400: a time that makes no sense.
    """
    found: dict[str, str] = {}
    for part in (prefer or "").split(","):
        # What comes behind a semicolon are parameters, of which none is known.
        name, _, value = part.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Preferences("respond-async" in found, _seconds(found.get("wait")), "detach" in found)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise ProblemError(400, "prefer.wait", f"Prefer: wait must be a whole number of seconds, not {text!r:.80}")
    return min(float(text[:_MOST_DIGITS]), MOST_WAIT_SECONDS)
