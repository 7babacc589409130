"""`Finding`: an input that breaks a step, what is wrong, and where; and `Verdict`, what one look says of an input."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from .inputs import FuzzInput

Kind: TypeAlias = Literal[
    "raised", "refused", "slow", "memory", "lost", "nondeterministic", "property", "secret", "grant", "resume", "http",
    "accepted",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MEANINGS: Final[dict[Kind, str]] = {
    "raised": "the statement raised an exception",
    "refused": "the output schema refused a row",
    "slow": "it used more processor time than it may",
    "memory": "it used more memory than it may",
    "lost": "the guest died; please report this",
    "nondeterministic": "another seed gives other rows",
    "property": "the property does not hold",
    "secret": "a row has the value of a secret in it",
    "grant": "it made a request that the step's grants do not allow",
    "resume": "resumed from a checkpoint it gives other rows than in one run",
    "http": "a failure of HTTP ends in an exception that says nothing of it",
    "accepted": "an input that the schema refuses was taken",
}
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+(?:\.[0-9]+)?")
_MAX_MESSAGE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with one input: `line` is that of the statement, None if none is at fault by itself."""

    kind: Kind
    message: str
    exception: str = ""
    line: int | None = None
    line_text: str = ""
    fault: str = ""
    """The failure of HTTP under which it happens; "" if none is needed."""

    @property
    def fingerprint(self) -> str:
        """The same for inputs that show the same: 12 hexadecimal digits."""
        message = _VARYING.sub("?", self.message)[:300]
        parts = (self.kind, self.exception, self.line_text.strip(), message, self.fault)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict that was the same three times, and the input; `is_minimal` once shrinking has come to its end."""

    verdict: Verdict
    input: FuzzInput
    is_minimal: bool = False
    shrink_runs: int = 0
    needs: str = ""
    """The option without which nobody would see it, such as `--slow 0.1`; "" if there is none."""

    @property
    def id(self) -> str:
        """By which it is replayed: the fingerprint."""
        return self.verdict.fingerprint

    def with_input(self, smaller: FuzzInput) -> Finding:
        """The same finding by another input."""
        return replace(self, input=smaller)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-able values."""
        verdict = self.verdict
        return {
            "id": self.id, "kind": verdict.kind, "message": verdict.message, "exception": verdict.exception,
            "line": verdict.line, "line_text": verdict.line_text, "fault": verdict.fault,
            "is_minimal": self.is_minimal, "shrink_runs": self.shrink_runs, "needs": self.needs,
            "input": self.input.as_dict(),
        }  # fmt: skip

    @staticmethod
    def from_dict(content: object) -> Finding:
        """The finding that `as_dict` wrote.

        Raises:
            ValueError: it is none; the text says why.
        """
        if not isinstance(content, dict):
            raise ValueError("expected an object")
        kind = content.get("kind")
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}")
        texts = {name: content.get(name, "") for name in ("message", "exception", "line_text", "fault", "needs")}
        line = content.get("line")
        if not all(isinstance(text, str) for text in texts.values()) or not (line is None or type(line) is int):
            raise ValueError("message, exception, line_text, fault and needs must be texts, line a number or null")
        runs = content.get("shrink_runs", 0)
        if type(runs) is not int:
            raise ValueError("shrink_runs must be a number")
        needs = texts.pop("needs")
        return Finding(
            verdict=Verdict(kind=kind, line=line, **texts), input=FuzzInput.from_dict(content.get("input")),
            is_minimal=content.get("is_minimal") is True, shrink_runs=runs, needs=needs,
        )  # fmt: skip


def bounded(message: str) -> str:
    """A message as findings keep it."""
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 3] + "..."
