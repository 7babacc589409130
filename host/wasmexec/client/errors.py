"""What a client raises, with typed fields; nobody needs to parse a message.

::

    ClientError(WasmexecError)
      ServerUnreachable          nobody listens there; the request was not sent
      AnswerLost                 it was sent, and no whole answer came: nobody knows what became of it
        AnswerOverdue            not within the client's time
      BadAnswer                  an answer that is not one of this API
      RequestRefused             a problem+json: status, rule, value, who may change it, when to try again
        InvalidRequest           400, 413, 415, 422: the request is at fault
        KeyRejected              401, 403
        NotFound                 404: there is no such thing, or it is another tenant's
        Conflict                 409, 410, 412
        TooMuch                  429: a rate, budget or count
        ServerFailed             500, 503: the server is at fault, full or about to stop
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import WasmexecError

MAX_DETAIL = 2000


class ClientError(WasmexecError):
    """Base of everything that a client raises."""


class ServerUnreachable(ClientError):
    """Nobody listens there; the request was not sent."""


class AnswerLost(ClientError):
    """The request was sent, and no whole answer came: nobody knows what became of it."""


class AnswerOverdue(AnswerLost):
    """No answer came within the client's time."""


class BadAnswer(ClientError):
    """What came is not an answer of this API: `status` is that of HTTP."""

    status: int

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ProblemFields(msgspec.Struct):
    """The members of a problem+json that are this API's; all may be missing."""

    rule: str = ""
    detail: str = ""
    value: Any = None
    used: Any = None
    asked: Any = None
    owner: str | None = None
    changed_by: str | None = None
    retry_after_seconds: float | None = None


class RequestRefused(ClientError):
    """The server has answered with a problem+json.

    `status` is that of HTTP, `rule` names the rule, `value` is what it allows, `used` what of that is taken, `asked`
    what was asked for, `owner` whose rule it is, `changed_by` who may change it. `retry_after_seconds` is when the same
    request can succeed; None if only a change of the rule or of the request helps, or nobody can know.
    """

    status: int
    rule: str
    value: Any
    used: Any
    asked: Any
    owner: str | None
    changed_by: str | None
    retry_after_seconds: float | None

    def __init__(self, status: int, problem: ProblemFields) -> None:
        super().__init__(f"{status} {problem.rule}: {problem.detail[:MAX_DETAIL]}")
        self.status = status
        self.rule = problem.rule
        self.value = problem.value
        self.used = problem.used
        self.asked = problem.asked
        self.owner = problem.owner
        self.changed_by = problem.changed_by
        self.retry_after_seconds = problem.retry_after_seconds


class InvalidRequest(RequestRefused):
    """400, 413, 415, 422: the request is at fault."""


class KeyRejected(RequestRefused):
    """401, 403: the key is not valid, or not for this."""


class NotFound(RequestRefused):
    """404: there is no such thing, or it is another tenant's."""


class Conflict(RequestRefused):
    """409, 410, 412: what is there does not allow it."""


class TooMuch(RequestRefused):
    """429: a rate, a budget or a count."""


class ServerFailed(RequestRefused):
    """500, 503: the server is at fault, full, or about to stop."""


_KINDS: dict[int, type[RequestRefused]] = {
    400: InvalidRequest, 413: InvalidRequest, 415: InvalidRequest, 422: InvalidRequest, 401: KeyRejected,
    403: KeyRejected, 404: NotFound, 409: Conflict, 410: Conflict, 412: Conflict, 429: TooMuch, 500: ServerFailed,
    503: ServerFailed,
}  # fmt: skip


def refusal_of(status: int, problem: ProblemFields) -> RequestRefused:
    """The error for a problem+json."""
    return _KINDS.get(status, RequestRefused)(status, problem)
