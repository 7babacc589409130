"""`RuleSet`: what a tenant, or a project or a key of one, may have: rates, budgets, and the ceiling of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ...grants import Grants, HttpGrant
from ...limits import LIMIT_RANGES, Limits
from ..documents import GrantsDocument, PartRules
from ..problems import ProblemError
from ..quotas.budgets import Account, Budget
from ..quotas.ceilings import Ceiling, limits_of
from ..quotas.rates import Rate, RateCharge, Unit
from ..quotas.refusals import Owner, Refusal
from ..quotas.rules import QuotaRules, budgets_of, rates_of

_T = TypeVar("_T")


class RuleSet:
    """The rules of one owner; `ceiling` is None where each run may have what the tenant may."""

    def __init__(self, owner: Owner, owner_id: str) -> None:
        self.account = Account(owner, owner_id, ())
        self.rules = QuotaRules()
        self.ceiling: Ceiling | None = None
        self.rates: dict[Unit, Rate] = {}

    def change(self, rules: QuotaRules, ceiling: Ceiling | None) -> list[Budget]:
        """Other rules for what is asked for from now on; the budgets among them that are new.

        Raises:
            ConfigError: there is a burst without a rate.
        """
        self.rates = rates_of(rules)
        self.rules = rules
        self.ceiling = ceiling
        return self.account.change(budgets_of(rules))

    def charges(self, size: int) -> list[RateCharge]:
        """What a request whose body has so many bytes takes of the rates."""
        owner, owner_id = self.account.owner, self.account.owner_id
        return [
            RateCharge(owner, owner_id, unit, rate, 1 if unit is Unit.REQUESTS else size)
            for unit, rate in self.rates.items()
        ]


def ceiling_of_part(owner: Owner, rules: PartRules) -> Ceiling | None:
    """The ceiling of a project or a key; None if it has none. What it does not name is the tenant's to say.

    Raises:
        ConfigError: there is no such limit or grant, or a value makes no sense.
    """
    if not rules.limits and rules.grants is None:
        return None
    limits = {name: highest for name, (_, highest) in LIMIT_RANGES.items()} | rules.limits
    grants = None if rules.grants is None else grants_of(rules.grants)
    return Ceiling(owner=owner, limits=limits_of(limits), grants=grants)


def limits_within(ceilings: Sequence[Ceiling], asked: Mapping[str, int | float]) -> Limits:
    """The limits of a run that asks for these, within every ceiling; the last of them is the first to refuse.

    Raises:
        ConfigError: there is no such limit, or a value makes no sense.
        ProblemError: 400: one is more than a ceiling.
    """
    found = [_permitted(ceiling.limits_for(asked)) for ceiling in reversed(ceilings)]
    if len(found) == 1:
        return found[0]
    return Limits(**{name: min(getattr(limits, name) for limits in found) for name in Limits.__slots__})


def grants_within(ceilings: Sequence[Ceiling], asked: Grants) -> Grants:
    """What a run may reach that asks for this; files of certificates are those of the first ceiling.

    Raises:
        ProblemError: 400: it is more than a ceiling permits.
    """
    return [_permitted(ceiling.grants_for(asked)) for ceiling in reversed(ceilings)][-1]


def grants_of(document: GrantsDocument) -> Grants:
    """The grants that a document asks for.

    Raises:
        ConfigError: one is not a grant.
    """
    private = [HttpGrant.parse(text, allow_private=True) for text in document.http_private]
    return Grants(http=[*document.http, *private])


def _permitted(answer: _T | Refusal) -> _T:
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    return answer
