"""`ProblemError`: a request that is refused, as problem+json: which rule, its value, who may change it, when to retry.

Source: RFC 9457.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from .quotas.refusals import Refusal

MEDIA_TYPE = b"application/problem+json"


class ProblemDocument(msgspec.Struct):
    """Why a request is refused, as problem+json (RFC 9457); rules may have more members of their own."""

    type: str
    """A URN that ends with the rule."""
    title: str
    """The phrase of the status."""
    status: int
    rule: str
    """By which rule, with dots: rate.requests, limit.wall_seconds."""
    detail: str
    """What happened, and what to do."""
    value: Any = None
    """What the rule allows."""
    used: int | float | None = None
    """What of that is taken."""
    asked: Any = None
    """What was asked for."""
    owner: str | None = None
    """Whose rule it is: key, project, tenant, server."""
    changed_by: str | None = None
    """Who may change it: tenant, operator, nobody."""
    retry_after_seconds: float | None = None
    """When the same request can succeed; left out if only a change of the rule or of the request helps."""


class ProblemError(Exception):
    """A request is answered with an HTTP error; `members` are those of the document beside type, title and status."""

    def __init__(
        self, status: int, rule: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ):
        super().__init__(detail)
        self.status = status
        self.rule = rule
        self.headers = dict(headers or {})
        self.members = {"rule": rule, "detail": detail, **members}

    @classmethod
    def of(cls, refusal: Refusal) -> ProblemError:
        """The problem that a refusal is."""
        members = {name: value for name, value in refusal.problem().items() if name not in ("rule", "status", "detail")}
        return cls(refusal.status, refusal.rule, refusal.message, headers=refusal.headers(), **members)

    @property
    def title(self) -> str:
        """What the status is called."""
        return HTTPStatus(self.status).phrase

    def document(self) -> bytes:
        """The body of the answer."""
        kind = f"urn:wasmexec:problem:{self.rule}"
        content = {"type": kind, "title": self.title, "status": self.status, **self.members}
        return msgspec.json.encode(content)


def not_found() -> ProblemError:
    """SECURITY: the same for an id that does not exist and for one of another tenant."""
    return ProblemError(404, "not-found", "there is no such resource")
