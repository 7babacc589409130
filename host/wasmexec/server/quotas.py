"""Quotas: rates, counts, budgets and ceilings; every refusal says which rule, whose, and when to try again.

Nothing here reads a clock or a store: `now` is an argument. Rates take any clock that never goes back, budgets the
seconds of the epoch, since their windows are those of the calendar (UTC). Zero is zero; what has no rule is unlimited.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

from ..errors import ConfigError
from ..grants import Grants, HttpGrant
from ..limits import Limits

Number: TypeAlias = int | float
_FURTHEST_WINDOWS: Final = 1200
"""A debt that takes longer to be worked off is never, in a refusal."""


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
            _check_amount(f"rate: {name}", getattr(self, name))

    @property
    def most(self) -> float:
        """The most that can ever be had at once."""
        return self.burst if self.per_second > 0 else 0.0


class RateCharge(NamedTuple):
    """What one request takes from one rate; `unit` is what it counts, `owner_id` the key, project or tenant."""

    owner: Owner
    owner_id: str
    unit: Literal["requests", "bytes"]
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

    def headers(self, charges: Iterable[RateCharge], now: float) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy`, the strictest rate first.

        Source: draft-ietf-httpapi-ratelimit-headers-09.
        """
        ordered = sorted(_merge(charges), key=lambda charge: self._left(charge, now) / (charge.rate.most or 1))
        policies, states = [], []
        for charge in ordered:
            name, rate = f'"{charge.owner}-{charge.unit}"', charge.rate
            unit = ';qu="content-bytes"' if charge.unit == "bytes" else ""
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
            used=rate.most - self._left(charge, now),
            asked=charge.cost,
            retry_after_seconds=wait,
            message=f"{whose} may have {rate.per_second:,g} {charge.unit} a second, {rate.burst:,g} at once; {advice}",
        )


def _merge(charges: Iterable[RateCharge]) -> list[RateCharge]:
    """Each rate once, with all that is taken from it."""
    merged: dict[_RateKey, RateCharge] = {}
    for charge in charges:
        _check_amount("rate: cost", charge.cost)
        known = merged.get(charge[:3])
        merged[charge[:3]] = charge if known is None else charge._replace(cost=charge.cost + known.cost)
    if not merged:
        raise ConfigError("rate: nothing is charged")
    return list(merged.values())


def check_count(
    what: str, live: Collection[object], most: int, *, owner: Owner = Owner.TENANT, status: Literal[409, 429] = 429
) -> Refusal | None:
    """Whether one more may be added to what is there, which is counted now; nothing is kept that could go wrong.

    `status` is 429 for what ends by itself (queued runs, open streams), 409 for what is stored.
    """
    used = len(live)
    if used < most:
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


class Dimension(StrEnum):
    """What a budget counts."""

    CPU_SECONDS = "cpu_seconds"
    GB_SECONDS = "gb_seconds"
    EGRESS_BYTES = "egress_bytes"
    ROWS = "rows"
    LOG_BYTES = "log_bytes"


class Window(StrEnum):
    """The time that a budget is for, of the calendar, in UTC."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"

    def number(self, now: float) -> int:
        """Which of all such windows a moment is in."""
        if self is Window.MONTH:
            moment = datetime.fromtimestamp(now, UTC)
            return moment.year * 12 + moment.month - 1
        return math.floor(now / (60 if self is Window.MINUTE else 86_400))

    def start(self, number: int) -> float:
        """When a window begins."""
        if self is Window.MONTH:
            return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
        return number * (60.0 if self is Window.MINUTE else 86_400.0)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much of a dimension in each window.

    Raises:
        ConfigError: the limit is negative or not finite.
    """

    dimension: Dimension
    window: Window
    limit: Number

    def __post_init__(self) -> None:
        _check_amount(f"budget: {self.dimension} per {self.window}", self.limit)


class Spent(NamedTuple):
    """What of a budget is used and reserved in the window that began at `since`; `used` includes the carried debt."""

    budget: Budget
    since: float
    used: float
    reserved: float = 0.0

    @property
    def resets_at(self) -> float:
        """When the next window begins, in seconds of the epoch."""
        return self.budget.window.start(self.budget.window.number(self.since) + 1)


_UNITS: Final = 10**9
"""Sums are kept as integers, in billionths: they come out the same in whatever order runs end."""


class _Meter:
    """One budget and what is used of it, in billionths."""

    __slots__ = ("_until", "budget", "limit", "number", "used")

    def __init__(self, budget: Budget, number: int | None = None, used: int = 0) -> None:
        self.budget = budget
        self.limit = _units(budget.limit)
        self.number = number
        self.used = used
        self._until = -math.inf

    def roll(self, now: float) -> None:
        """Go on to the window of a moment; what was used beyond each limit is used of the next."""
        if now < self._until:
            return
        number = self.budget.window.number(now)
        if self.number is None:
            self.number = number
        elif number > self.number:
            self.used = max(0, self.used - (number - self.number) * self.limit)
            self.number = number
        self._until = self.budget.window.start(self.number + 1)

    def free_at(self, amount: int) -> float | None:
        """When the next window begins in which that much is free, if what is reserved has ended by then."""
        assert self.number is not None
        if amount > self.limit or not self.limit:
            return None
        windows = max(1, -(-(self.used + amount - self.limit) // self.limit))
        return None if windows > _FURTHEST_WINDOWS else self.budget.window.start(self.number + windows)


class Account:
    """The budgets of one tenant or project: a run reserves what it may take, and is settled by what it took.

    A budget can be overdrawn by what runs take beyond their estimates, by nothing else, and the next windows pay for
    that. Reservations belong to live runs and count in every window in which the run lives.
    """

    def __init__(self, owner: Owner, owner_id: str, budgets: Iterable[Budget], spent: Iterable[Spent] = ()) -> None:
        self.owner = owner
        self.owner_id = owner_id
        self._meters: dict[tuple[Dimension, Window], _Meter] = {}
        self._runs: dict[str, dict[Dimension, int]] = {}
        self._held: dict[Dimension, int] = dict.fromkeys(Dimension, 0)
        self.change(budgets)
        for item in spent:
            meter = self._meters.get((item.budget.dimension, item.budget.window))
            if meter is not None:
                meter.number, meter.used = item.budget.window.number(item.since), _units(item.used)

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: str) -> bool:
        return run in self._runs

    def change(self, budgets: Iterable[Budget]) -> None:
        """Other budgets from now on; what is used of those that stay is kept.

        Raises:
            ConfigError: two for one dimension and window.
        """
        meters: dict[tuple[Dimension, Window], _Meter] = {}
        for budget in budgets:
            key = (budget.dimension, budget.window)
            if key in meters:
                raise ConfigError(f"budget: {budget.dimension} per {budget.window} is given twice")
            known = self._meters.get(key)
            meters[key] = _Meter(budget) if known is None else _Meter(budget, known.number, known.used)
        self._meters = meters

    def refusal(self, estimate: Mapping[Dimension, Number], now: float) -> Refusal | None:
        """Why a run with this estimate cannot be admitted; of several budgets the one that is free again last.

        A dimension that is named with 0 is refused only if more than everything is used of it.
        """
        found: list[tuple[float, Refusal]] = []
        for meter in self._meters.values():
            meter.roll(now)
            dimension = meter.budget.dimension
            amount = estimate.get(dimension)
            if amount is None or meter.used + self._held[dimension] + _units(amount) <= meter.limit:
                continue
            at = meter.free_at(_units(amount))
            found.append((math.inf if at is None else at, self._refusal(meter, amount, at, now)))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def reserve(self, run: str, estimate: Mapping[Dimension, Number], now: float) -> Refusal | None:
        """Set the estimate aside in every budget, or in none.

        Raises:
            ValueError: the run has a reservation.
        """
        return reserve_all([self], run, estimate, now)

    def grow(self, run: str, used: Mapping[Dimension, Number]) -> None:
        """What a live run has used so far: beyond its estimate it is set aside at once.

        Raises:
            KeyError: the run has no reservation.
        """
        held = self._runs[run]
        for dimension, amount in used.items():
            self._hold(held, dimension, max(_units(amount), held.get(dimension, 0)))

    def settle(self, run: str, truth: Mapping[Dimension, Number], now: float) -> None:
        """A run has ended: what it took is charged to the window that is now, and nothing is reserved any more.

        Raises:
            KeyError: the run has no reservation, or was settled.
        """
        taken = {dimension: _units(amount) for dimension, amount in truth.items()}
        for dimension, amount in self._runs.pop(run).items():
            self._held[dimension] -= amount
        for meter in self._meters.values():
            meter.roll(now)
            meter.used += taken.get(meter.budget.dimension, 0)

    def left(self, dimension: Dimension, now: float) -> float:
        """What can be reserved of a dimension; negative in debt, infinite without a budget."""
        lefts = []
        for meter in self._meters.values():
            if meter.budget.dimension is dimension:
                meter.roll(now)
                lefts.append((meter.limit - meter.used - self._held[dimension]) / _UNITS)
        return min(lefts, default=math.inf)

    def spent(self, now: float) -> list[Spent]:
        """Every budget as it stands, for a report and to begin with after a restart."""
        found = []
        for meter in self._meters.values():
            meter.roll(now)
            assert meter.number is not None
            window, held = meter.budget.window, self._held[meter.budget.dimension]
            found.append(Spent(meter.budget, window.start(meter.number), meter.used / _UNITS, held / _UNITS))
        return found

    def check(self) -> None:
        """Prove that what is reserved is what live runs hold.

        Raises:
            AssertionError: it is not.
        """
        for dimension, held in self._held.items():
            total = sum(run.get(dimension, 0) for run in self._runs.values())
            if held != total:
                raise AssertionError(f"{dimension}: {held} reserved, but runs hold {total}")

    def _open(self, run: str, estimate: Mapping[Dimension, Number]) -> None:
        held = self._runs[run] = {}
        for dimension, amount in estimate.items():
            self._hold(held, dimension, _units(amount))

    def _hold(self, held: dict[Dimension, int], dimension: Dimension, amount: int) -> None:
        self._held[dimension] += amount - held.get(dimension, 0)
        held[dimension] = amount

    def _refusal(self, meter: _Meter, asked: Number, at: float | None, now: float) -> Refusal:
        budget, whose = meter.budget, f"the {self.owner} {self.owner_id}"
        used = (meter.used + self._held[budget.dimension]) / _UNITS
        if at is None:
            advice = f"{asked:,g} are more than it can ever have"
        else:
            advice = (
                f"the next {budget.window} with room begins at {datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            )
        return Refusal(
            rule=f"budget.{budget.dimension}.{budget.window}",
            owner=self.owner,
            status=429,
            value=budget.limit,
            used=used,
            asked=asked,
            retry_after_seconds=None if at is None else at - now,
            message=f"{whose} may use {budget.limit:,g} {budget.dimension} a {budget.window} and has {used:,g} used or "
            f"reserved; {advice}",
        )


def reserve_all(
    accounts: Sequence[Account], run: str, estimate: Mapping[Dimension, Number], now: float
) -> Refusal | None:
    """Set the estimate aside in every budget of every account, or in none; the refusal is that of the strictest.

    Raises:
        ValueError: the run has a reservation in one of them.
    """
    if any(run in account for account in accounts):
        raise ValueError(f"run {run} has a reservation")
    refusals = [found for account in accounts if (found := account.refusal(estimate, now)) is not None]
    if refusals:
        return max(refusals, key=lambda found: math.inf if (wait := found.retry_after_seconds) is None else wait)
    for account in accounts:
        account._open(run, estimate)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that the runs of a tenant may have each; a request can only tighten it.

    `images` are the names of the images that it may run, None for all there are. Files of certificates and the proxy
    come from the ceiling alone.
    """

    limits: Limits = field(default_factory=Limits)
    grants: Grants = field(default_factory=Grants)
    images: frozenset[str] | None = None

    def limits_for(self, asked: Mapping[str, Number]) -> Limits | Refusal:
        """The limits of a run: what is asked for, else the default, never more than the ceiling.

        Raises:
            ConfigError: there is no such limit, or the value makes no sense.
        """
        known = {item.name for item in fields(Limits)}
        for name in asked:
            if name not in known:
                raise ConfigError(f"limits: there is no limit {name!r:.80}, only {', '.join(sorted(known))}")
        wanted, usual = Limits(**asked), Limits()  # type: ignore[arg-type]
        effective: dict[str, Number] = {}
        for name in (item.name for item in fields(Limits)):
            ceiling, value = getattr(self.limits, name), getattr(wanted, name)
            if name in asked and value > ceiling:
                return Refusal(
                    rule=f"limit.{name}",
                    owner=Owner.TENANT,
                    status=400,
                    value=ceiling,
                    asked=value,
                    message=f"limits: {name} must be at most {ceiling:,}, the tenant's ceiling, not {value:,}",
                )
            effective[name] = value if name in asked else min(getattr(usual, name), ceiling)
        return Limits(**effective)  # type: ignore[arg-type]

    def grants_for(self, asked: Grants) -> Grants | Refusal:
        """What a run may reach: what is asked for, if the ceiling permits all of it.

        SECURITY: a request names no file of this machine and no proxy; both are the ceiling's.
        """
        for name in ("ca_file", "proxy"):
            if getattr(asked, name) is not None:
                return _grant_refusal(f"grants: {name} is the operator's to say", f"grant.{name}", name, ())
        effective: list[HttpGrant] = []
        # The exact ones first: where two have certificates, theirs count.
        ceilings = sorted(self.grants.http_grants, key=lambda grant: grant.host.startswith("*."))
        for grant in asked.http_grants:
            if any(item is not None for item in (grant.ca_file, grant.client_cert, grant.client_key)):
                message = f"grants: {grant.text}: files of certificates are the operator's to say"
                return _grant_refusal(message, "grant.files", grant.text, ())
            over = [ceiling for ceiling in ceilings if ceiling.covers_host(grant.host)]
            if grant.allow_private:
                over = [ceiling for ceiling in over if ceiling.allow_private]
            if not _is_permitted(grant, over):
                private = " on private networks" if grant.allow_private else ""
                texts = tuple(ceiling.text for ceiling in ceilings)
                may = f"only {', '.join(texts)}" if texts else "nothing"
                message = f"grants: {grant.text}{private} is more than the tenant may reach, which is {may}"
                return _grant_refusal(message, "grant.http", grant.text, texts)
            effective += (narrowed for ceiling in over if (narrowed := _narrowed(ceiling, grant)) is not None)
        return Grants(http=effective, ca_file=self.grants.ca_file, proxy=self.grants.proxy if effective else None)

    def check_image(self, name: str) -> Refusal | None:
        """Whether an image may be run."""
        if self.images is None or name in self.images:
            return None
        allowed = tuple(sorted(self.images))
        message = f"the tenant may run the images {', '.join(allowed) or '(none)'}, not {name!r:.80}"
        return Refusal(rule="image", owner=Owner.TENANT, status=400, value=allowed, asked=name[:80], message=message)


def _is_permitted(grant: HttpGrant, ceilings: Sequence[HttpGrant]) -> bool:
    """Whether every request that a grant permits is permitted by one of the ceilings, all of which cover its host."""
    for scheme in grant.schemes:
        for method in grant.methods:
            ports = {
                port for item in ceilings if scheme in item.schemes and method in item.methods for port in item.ports
            }
            if not ports.issuperset(grant.ports):
                return False
    return True


def _narrowed(ceiling: HttpGrant, grant: HttpGrant) -> HttpGrant | None:
    """What both permit, with the ceiling's certificates."""
    ports = [port for port in grant.ports if port in ceiling.ports]
    methods = [method for method in grant.methods if method in ceiling.methods]
    schemes = [scheme for scheme in grant.schemes if scheme in ceiling.schemes]
    if not (ports and methods and schemes):
        return None
    return replace(
        ceiling, host=grant.host, ports=ports, methods=methods, schemes=schemes, allow_private=grant.allow_private
    )


def _grant_refusal(message: str, rule: str, asked: str, value: tuple[str, ...]) -> Refusal:
    return Refusal(rule=rule, owner=Owner.TENANT, status=400, value=value, asked=asked, message=message)


def _check_amount(what: str, value: Number) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{what} must be a finite number, 0 or more, not {value!r}")


def _units(amount: Number) -> int:
    _check_amount("budget: an amount", amount)
    return amount * _UNITS if isinstance(amount, int) else round(amount * _UNITS)
