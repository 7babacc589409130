"""Budgets in whatever order runs are admitted, go on, end and are lost with the process: exact, and never for nothing.

A model beside the accounts replays what was recorded, window by window.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wasmexec.server.quotas.budgets import Account, Budget, Dimension, Window, reserve_all
from wasmexec.server.quotas.refusals import Owner

ROWS = Dimension.ROWS
NOON = datetime(2026, 1, 30, 12, 0, tzinfo=UTC).timestamp()
SECONDS = {Window.MINUTE: 60, Window.DAY: 86_400}
AMOUNTS = st.integers(0, 12)


class Meter:
    """One budget as the records have it: what ended when, and what its limit let through for once."""

    def __init__(self, window: Window, limit: int) -> None:
        self.window, self.limit = window, limit
        self.ended: list[tuple[float, int]] = []
        self.excess = 0

    def used(self, now: float) -> int:
        """What is used of the present window: what ended in it, and what all before it have exceeded."""
        seconds = SECONDS[self.window]
        by_window: dict[int, int] = {}
        for at, amount in self.ended:
            by_window[int(at // seconds)] = by_window.get(int(at // seconds), 0) + amount
        used, last = 0, None
        for number in sorted({*by_window, int(now // seconds)}):
            if last is not None:
                used = max(0, used - (number - last) * self.limit)
            used += by_window.get(number, 0)
            last = number
        return used


class BudgetStates(RuleBasedStateMachine):
    """A tenant and a project of it, each with two budgets; runs by number, with what they reserved and have used."""

    @initialize(limits=st.tuples(*[st.integers(0, 20)] * 4))
    def begin(self, limits: tuple[int, int, int, int]) -> None:
        self.now = NOON
        self.meters = {
            Owner.TENANT: [Meter(Window.MINUTE, limits[0]), Meter(Window.DAY, limits[1])],
            Owner.PROJECT: [Meter(Window.MINUTE, limits[2]), Meter(Window.DAY, limits[3])],
        }
        self.held: dict[str, int] = {}
        self.number = 0
        self.accounts = {owner: self.account(owner) for owner in self.meters}
        self.saved = {owner: account.spent(self.now) for owner, account in self.accounts.items()}

    def account(self, owner: Owner) -> Account:
        return Account(owner, "a", [Budget(ROWS, meter.window, meter.limit) for meter in self.meters[owner]])

    @property
    def all_meters(self) -> list[Meter]:
        return [meter for meters in self.meters.values() for meter in meters]

    @property
    def total_held(self) -> int:
        return sum(self.held.values())

    @rule(estimate=AMOUNTS)
    def reserve(self, estimate: int) -> None:
        self.number += 1
        run = f"r{self.number}"
        has_room = [
            meter.used(self.now) + self.total_held + min(estimate, meter.limit or estimate) <= meter.limit
            for meter in self.all_meters
        ]
        refusal = reserve_all(list(self.accounts.values()), run, {ROWS: estimate}, self.now)
        assert (refusal is None) is all(has_room)
        if refusal is None:
            self.held[run] = estimate
            for meter in self.all_meters:
                meter.excess += max(0, estimate - meter.limit)

    @rule(amount=AMOUNTS, choice=st.integers(0))
    def grow(self, amount: int, choice: int) -> None:
        if self.held:
            run = list(self.held)[choice % len(self.held)]
            for account in self.accounts.values():
                account.grow(run, {ROWS: amount})
            self.exceed(max(0, amount - self.held[run]))
            self.held[run] = max(amount, self.held[run])

    @rule(truth=AMOUNTS, choice=st.integers(0))
    def settle(self, truth: int, choice: int) -> None:
        """A run ends; how the accounts stand is stored in the transaction that records it."""
        if self.held:
            run = list(self.held)[choice % len(self.held)]
            self.exceed(max(0, truth - self.held.pop(run)))
            for owner, account in self.accounts.items():
                account.settle(run, {ROWS: truth}, self.now)
                self.saved[owner] = account.spent(self.now)
            for meter in self.all_meters:
                meter.ended.append((self.now, truth))

    @rule(choice=st.integers(0))
    def withdraw(self, choice: int) -> None:
        if self.held:
            run = list(self.held)[choice % len(self.held)]
            del self.held[run]
            for account in self.accounts.values():
                account.settle(run, {}, self.now)

    @rule(seconds=st.sampled_from([1, 59, 60, 61, 600, 86_400, 200_000]))
    def wait(self, seconds: int) -> None:
        before = self.now
        self.now += seconds
        for meter in self.all_meters:
            if self.now // SECONDS[meter.window] != before // SECONDS[meter.window]:
                # What is carried, and what was admitted in windows before and goes on.
                meter.excess = max(0, meter.used(self.now) + self.total_held - meter.limit)

    @rule(kept=st.integers(0))
    def crash(self, kept: int) -> None:
        """The process is gone, and all that was not stored; some of the runs were acknowledged, and begin anew."""
        self.held = {run: amount for number, (run, amount) in enumerate(self.held.items()) if kept >> number & 1}
        for owner in self.accounts:
            account = self.accounts[owner] = self.account(owner)
            account.add_earlier(self.saved[owner], self.now)
            for run, amount in self.held.items():
                account.admit(run, {ROWS: amount})

    def exceed(self, amount: int) -> None:
        for meter in self.all_meters:
            meter.excess += amount

    @invariant()
    def accounts_are_what_the_records_say(self) -> None:
        for owner, account in getattr(self, "accounts", {}).items():
            account.check()
            for meter, spent in zip(self.meters[owner], account.spent(self.now), strict=True):
                assert (spent.used, spent.reserved) == (meter.used(self.now), self.total_held)

    @invariant()
    def no_budget_is_exceeded_by_more_than_what_runs_took_beyond_their_estimates(self) -> None:
        for meter in self.all_meters if hasattr(self, "meters") else ():
            assert meter.used(self.now) + self.total_held <= meter.limit + meter.excess


TestBudgetStates = BudgetStates.TestCase
TestBudgetStates.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
