"""Rates of requests and bytes: what is taken of several at once, or of none.

Any clock will do that never goes back: `now` is an argument. Zero admits nothing; what has no rate is unlimited.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ...errors import ConfigError
from .refusals import Owner, Refusal, check_amount


class Unit(StrEnum):
    """What a rate counts."""

    REQUESTS = "requests"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and at most `burst` at once.

    Raises:
        ConfigError: one of them is negative or not finite.
    """

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        for name in ("per_second", "burst"):
            check_amount(f"rate: {name}", getattr(self, name))

    @property
    def most(self) -> float:
        """The most that can ever be had at once."""
        return self.burst if self.per_second > 0 else 0.0


class RateCharge(NamedTuple):
    """What one request takes from one rate; `owner_id` is the key, project or tenant whose it is."""

    owner: Owner
    owner_id: str
    unit: Unit
    rate: Rate
    cost: float = 1


_RateKey: TypeAlias = tuple[Owner, str, str]


class Rates:
    """The generic cell rate algorithm (GCRA): for every rate one number, the time at which it is whole again.

    Source: ITU-T I.371, annex A.
    """

    def __init__(self) -> None:
        self._whole_at: dict[_RateKey, float] = {}
        self._forget_beyond = 1024

    def __len__(self) -> int:
        return len(self._whole_at)

    def take(self, charges: Sequence[RateCharge], now: float) -> Refusal | None:
        """Take from all of them, or from none: then the refusal is that of the one that is free again last."""
        merged = _merge(charges)
        strictest, at = max(((charge, self._ready_at(charge)) for charge in merged), key=lambda pair: pair[1])
        if at > now:
            return self._refusal(strictest, at, now)
        for charge in merged:
            if charge.cost:
                key = charge[:3]
                whole_at = max(self._whole_at.get(key, now), now)
                self._whole_at[key] = whole_at + charge.cost / charge.rate.per_second
        if len(self._whole_at) > self._forget_beyond:
            self.forget(now)
            self._forget_beyond = max(1024, 2 * len(self._whole_at))
        return None

    def used(self, charge: RateCharge, now: float) -> float:
        """What of a rate's burst is taken now."""
        return charge.rate.most - self._left(charge, now)

    def headers(self, charges: Iterable[RateCharge], now: float) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy`, the strictest rate first.

        Source: draft-ietf-httpapi-ratelimit-headers-09.
        """
        ordered = sorted(_merge(charges), key=lambda charge: self._left(charge, now) / (charge.rate.most or 1))
        policies, states = [], []
        for charge in ordered:
            name, rate = f'"{charge.owner}-{charge.unit}"', charge.rate
            unit = ';qu="content-bytes"' if charge.unit is Unit.BYTES else ""
            window = f";w={max(1, math.ceil(rate.burst / rate.per_second))}" if rate.most else ""
            policies.append(f"{name};q={math.floor(rate.most)}{window}{unit}")
            until = max(0.0, self._whole_at.get(charge[:3], now) - now)
            reset = f";t={math.ceil(until)}" if rate.most else ""
            # What rounding took off: 49.999999 are 50.
            states.append(f"{name};r={math.floor(self._left(charge, now) + 1e-6)}{reset}")
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}

    def forget(self, now: float) -> None:
        """Forget the rates that are whole, which are as if they had never been used."""
        self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}

    def _ready_at(self, charge: RateCharge) -> float:
        if not charge.cost:
            return -math.inf
        if charge.cost > charge.rate.most:
            return math.inf
        return self._whole_at.get(charge[:3], -math.inf) - (charge.rate.burst - charge.cost) / charge.rate.per_second

    def _left(self, charge: RateCharge, now: float) -> float:
        owed = max(0.0, self._whole_at.get(charge[:3], now) - now) * charge.rate.per_second
        return max(0.0, charge.rate.most - owed)

    def _refusal(self, charge: RateCharge, at: float, now: float) -> Refusal:
        rate, whose = charge.rate, f"the {charge.owner} {charge.owner_id}"
        wait: float | None = None
        if math.isfinite(at):
            wait = at - now
            while now + wait < at:
                wait = math.nextafter(wait, math.inf)
            advice = f"the next are free in {wait:.3f} s"
        else:
            advice = f"{charge.cost:,.0f} at once are never free"
        return Refusal(
            rule=f"rate.{charge.unit}",
            owner=charge.owner,
            status=429,
            value=rate.per_second,
            used=self.used(charge, now),
            asked=charge.cost,
            retry_after_seconds=wait,
            message=f"{whose} may have {rate.per_second:,g} {charge.unit} a second, {rate.burst:,g} at once; {advice}",
        )


def _merge(charges: Iterable[RateCharge]) -> list[RateCharge]:
    """Each rate once, with all that is taken from it."""
    merged: dict[_RateKey, RateCharge] = {}
    for charge in charges:
        check_amount("rate: cost", charge.cost)
        known = merged.get(charge[:3])
        merged[charge[:3]] = charge if known is None else charge._replace(cost=charge.cost + known.cost)
    if not merged:
        raise ConfigError("rate: nothing is charged")
    return list(merged.values())
