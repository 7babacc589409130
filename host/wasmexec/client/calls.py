"""`Call`: one operation as it goes over the wire, and what its answer is; the same for both clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from ..errors import ConfigError
from ..server.http.operations import PART
from .errors import BadAnswer, ProblemFields, refusal_of

T = TypeVar("T")
_problems = msgspec.json.Decoder(ProblemFields)
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request, and the type of its answer's document.

    `is_repeatable`: to ask twice is as good as to ask once, so it may be asked again when nobody knows what became of
    it. `timeout_seconds` is how long its answer may take, None for the client's usual time; `good` are the statuses of
    answers that have the document, `media_type` is that of the body.
    """

    method: str
    path: str
    answer: Any
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool
    timeout_seconds: float | None = None
    good: tuple[int, ...] = (200, 201, 202, 204)
    media_type: str = "application/json"


class Received(msgspec.Struct, frozen=True):
    """An answer that has arrived whole."""

    status: int
    media_type: str
    retry_after: str | None
    body: bytes


def read_answer(call: Call[T], received: Received) -> T:
    """What an answer says.

    Raises:
        RequestRefused: it is a problem+json.
        BadAnswer: it is not one of this API.
    """
    status = received.status
    if received.media_type.partition(";")[0].strip().lower() == _PROBLEM:
        raise refusal_of(status, _problem(received))
    if status not in call.good:
        raise BadAnswer(f"HTTP {status} and no problem+json: is this the address of a wasmexec server?", status=status)
    if call.answer is None:
        return None  # type: ignore[return-value]
    try:
        found: T = msgspec.json.decode(received.body, type=call.answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer(f"HTTP {status} with a document that is not understood: {error}"[:500], status=status) from None
    return found


def _problem(received: Received) -> ProblemFields:
    try:
        problem = _problems.decode(received.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = ProblemFields(detail="a problem+json that is not understood")
    if problem.retry_after_seconds is None and re.fullmatch(r"\d{1,9}", received.retry_after or ""):
        problem.retry_after_seconds = float(received.retry_after or 0)
    return problem


def path_of(*parts: str, action: str | None = None) -> str:
    """A path below /v1; a part that comes from the caller cannot become two, or an action.

    Raises:
        ConfigError: a part is no id or name.
    """
    for part in parts:
        if not re.fullmatch(PART, part):
            raise ConfigError(f"client: {part[:100]!r} is no id or name: letters, digits, - and _, at most 64")
    path = "/v1/" + "/".join(parts)
    return path if action is None else f"{path}:{action}"


def encoded(document: object) -> bytes:
    """A body.

    Raises:
        ConfigError: there is something in it that JSON does not have.
    """
    try:
        return msgspec.json.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"client: this cannot be sent as JSON: {error}") from None
