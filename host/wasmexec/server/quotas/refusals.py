"""What is not admitted, and by which rule: whose it is, who may change it, and when to try again."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal, TypeAlias

from ...errors import ConfigError

Number: TypeAlias = int | float


class Owner(StrEnum):
    """Whose rule it is."""

    KEY = "key"
    PROJECT = "project"
    TENANT = "tenant"
    SERVER = "server"

    @property
    def changed_by(self) -> str:
        """Who may change it: a tenant the rules of its keys and projects, the operator all others."""
        return "tenant" if self in (Owner.KEY, Owner.PROJECT) else "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why something was not admitted.

    `rule` names the rule, with dots ("rate.requests", "budget.cpu_seconds.day"), `value` is what it allows, `used` what
    of that is taken, `asked` what was asked for. `retry_after_seconds` is when the same request can succeed, None if
    only a change of the rule or of the request helps, or nobody can know. `status` is that of HTTP.
    """

    rule: str
    owner: Owner
    status: int
    message: str
    value: Number | tuple[str, ...] | None = None
    used: Number | None = None
    asked: Number | str | None = None
    retry_after_seconds: float | None = None

    @property
    def changed_by(self) -> str:
        """Who may change the rule."""
        return self.owner.changed_by

    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds, rounded up, where a time is known."""
        if self.retry_after_seconds is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_seconds)))}

    def problem(self) -> dict[str, object]:
        """The members of a problem+json document."""
        members = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "message"}
        known = {name: value for name, value in members.items() if value is not None}
        return {**known, "owner": str(self.owner), "detail": self.message, "changed_by": self.changed_by}


def check_count(
    what: str,
    live: Collection[object] | int,
    most: int | None,
    *,
    owner: Owner = Owner.TENANT,
    status: Literal[409, 429] = 429,
) -> Refusal | None:
    """Whether one more may be added to what is there, which is counted now; nothing is kept that could go wrong.

    `live` is what there is, or how many, if the database has just counted them; `most` None is no bound. `status` is
    429 for what ends by itself (open streams), 409 for what is stored and counted in the transaction that adds to it.
    """
    used = live if isinstance(live, int) else len(live)
    if most is None or used < most:
        return None
    advice = "one has to be deleted first" if status == 409 else "one of them has to end first"
    return Refusal(
        rule=f"count.{what}",
        owner=owner,
        status=status,
        value=most,
        used=used,
        asked=1,
        message=f"the {owner} may have {most:,} {what.replace('_', ' ')} and has {used:,}; {advice}",
    )


def check_amount(what: str, value: Number) -> None:
    """Return if a value is an amount.

    Raises:
        ConfigError: it is negative, or not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{what} must be a finite number, 0 or more, not {value!r}")
