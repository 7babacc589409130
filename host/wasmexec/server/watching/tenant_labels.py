"""`TenantLabels`: which tenants metrics name, so that a thousand tenants are not a thousand series."""

from __future__ import annotations

from typing import Final

OTHER: Final = "_other"
"""The label of all tenants that are not named; no tenant can be called so."""
_AGAIN = 2.0
"""A tenant takes the place of a named one if it is so much busier: labels that change often are of no use."""
_LEAST_SECONDS = 1e-3
_EACH_RUN_SECONDS = 1e-4


class TenantLabels:
    """The busiest tenants by name, at most so many, all others together as `OTHER`.

    What a tenant does is counted under the label that it has at that time, so that no sum ever goes down.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: set[str] = set()
        self._recent: dict[str, float] = {}

    @property
    def named(self) -> frozenset[str]:
        """The tenants that have a label of their own."""
        return frozenset(self._named)

    def of(self, tenant: str) -> str:
        """The label of a tenant."""
        return tenant if tenant in self._named else OTHER

    def note(self, tenant: str, cpu_seconds: float) -> str:
        """The label of a tenant of which a run has ended that used so much."""
        self._recent[tenant] = self._recent.get(tenant, 0.0) + cpu_seconds + _EACH_RUN_SECONDS
        if tenant not in self._named and len(self._named) < self._most:
            self._named.add(tenant)
        return self.of(tenant)

    def choose(self) -> frozenset[str]:
        """Name the busiest of late from now on; the names that are no more.

        What is older counts half as much with each call.
        """
        self._recent = {name: score / 2 for name, score in self._recent.items() if score > _LEAST_SECONDS}
        gone = set()
        named = sorted(self._named, key=self._score)
        others = sorted(self._recent.keys() - self._named, key=self._score, reverse=True)
        for old, new in zip(named, others, strict=False):
            if self._score(new) <= _AGAIN * self._score(old):
                break
            self._named.discard(old)
            self._named.add(new)
            gone.add(old)
        return frozenset(gone)

    def _score(self, tenant: str) -> float:
        return self._recent.get(tenant, 0.0)
