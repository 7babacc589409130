"""`is_refused`, for tests of every kind of rule."""

from __future__ import annotations

from wasmexec.server.quotas.refusals import Refusal


def is_refused(answer: object) -> Refusal:
    """The refusal that an answer is."""
    assert isinstance(answer, Refusal)
    return answer
