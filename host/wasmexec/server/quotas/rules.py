"""`QuotaRules`: the rates and budgets that a tenant, a project and a key can have alike, by their names."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from ...errors import ConfigError
from .budgets import Budget, Dimension, Window
from .rates import Rate, Unit

_PerSecond: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)] | None
_Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)] | None
_Whole: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)] | None


class QuotaRules(Struct, forbid_unknown_fields=True, kw_only=True):
    """Rates by the second and budgets by the calendar in UTC; 0 is none, null is no rule."""

    requests_per_second: _PerSecond = None
    requests_burst: _PerSecond = None
    bytes_per_second: _PerSecond = None
    bytes_burst: _PerSecond = None
    cpu_seconds_per_minute: _Amount = None
    cpu_seconds_per_day: _Amount = None
    cpu_seconds_per_month: _Amount = None
    gb_seconds_per_minute: _Amount = None
    gb_seconds_per_day: _Amount = None
    gb_seconds_per_month: _Amount = None
    egress_bytes_per_minute: _Whole = None
    egress_bytes_per_day: _Whole = None
    egress_bytes_per_month: _Whole = None
    rows_per_minute: _Whole = None
    rows_per_day: _Whole = None
    rows_per_month: _Whole = None
    log_bytes_per_minute: _Whole = None
    log_bytes_per_day: _Whole = None
    log_bytes_per_month: _Whole = None


def rates_of(rules: QuotaRules) -> dict[Unit, Rate]:
    """The rates that there are; a burst that is not given is what a second allows, 1 at least.

    Raises:
        ConfigError: there is a burst without a rate.
    """
    found: dict[Unit, Rate] = {}
    for unit in Unit:
        per_second, burst = getattr(rules, f"{unit}_per_second"), getattr(rules, f"{unit}_burst")
        if per_second is not None:
            found[unit] = Rate(per_second, max(1.0, per_second) if burst is None else burst)
        elif burst is not None:
            raise ConfigError(f"{unit}_burst needs {unit}_per_second")
    return found


def budgets_of(rules: QuotaRules) -> list[Budget]:
    """The budgets that there are."""
    return [
        Budget(dimension, window, limit)
        for dimension in Dimension
        for window in Window
        if (limit := getattr(rules, f"{dimension}_per_{window}")) is not None
    ]
