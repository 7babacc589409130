"""Who gets how much of a machine, and how long others wait: simulated in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest
from tests.server.machine import Machine, jain, quantile

from wasmexec.server.scheduling.scheduler import Scheduler, State, TenantRules

PATIENT = 1e9
HUNDRED = dict.fromkeys((f"t{number}" for number in range(100)), 1)


def backlogged(
    weights: Mapping[str, int],
    cost: Callable[[str], float],
    *,
    slots: int = 4,
    cores: int = 4,
    depth: int = 4,
    seconds: float = 60,
    sleeps: list[tuple[float, float]] | None = None,
) -> Machine:
    """A machine whose tenants always have runs queued."""
    scheduler = Scheduler(slots=slots, cores=cores)
    machine = Machine(scheduler, cores)
    for name, weight in weights.items():
        scheduler.set_tenant(name, TenantRules(weight=weight, max_wait_seconds=PATIENT))
        for _ in range(depth):
            machine.submit(name, cost(name), sleeps=sleeps)
    machine.on_end = lambda work: machine.submit(work.tenant, cost(work.tenant), sleeps=sleeps)
    machine.run(seconds)
    scheduler.check()
    return machine


def used(machine: Machine, cores: int, seconds: float = 60) -> float:
    """The part of the machine that was used."""
    return sum(machine.cpu.values()) / cores / seconds


@pytest.mark.parametrize(
    "cost",
    [lambda name: (1 + int(name[1:])) / 1000, lambda name: random.Random(name).choice([0.001, 0.1])],
    ids=["from 1 ms to 100 ms", "1 ms or 100 ms"],
)
def test_a_hundred_equal_tenants_get_equal_cpu_time_whatever_their_runs_cost(cost: Callable[[str], float]) -> None:
    machine = backlogged(HUNDRED, cost, seconds=30)
    assert jain([machine.cpu[name] for name in HUNDRED]) >= 0.98
    assert used(machine, 4, 30) >= 0.97


def test_so_they_do_when_each_run_costs_something_else() -> None:
    chance = random.Random(1)
    machine = backlogged(HUNDRED, lambda name: chance.uniform(0.001, 0.1))
    assert jain([machine.cpu[name] for name in HUNDRED]) >= 0.98


def test_fairness_by_runs_would_not_do() -> None:
    """The control: as many runs of each, and the index is that of their costs."""
    machine = backlogged(HUNDRED, lambda name: (1 + int(name[1:])) / 1000)
    runs = {name: len(machine.latencies[name]) for name in HUNDRED}
    assert jain([runs[name] for name in HUNDRED]) < 0.5


@pytest.mark.parametrize(("slots", "cores"), [(8, 8), (8, 4), (4, 2)])
def test_weights_are_shares(slots: int, cores: int) -> None:
    chance = random.Random(2)
    weights = {"a": 1, "b": 2, "c": 4}
    machine = backlogged(weights, lambda name: chance.uniform(0.001, 0.1), slots=slots, cores=cores, depth=16)
    total = sum(machine.cpu.values())
    for name, weight in weights.items():
        assert machine.cpu[name] / total == pytest.approx(weight / 7, rel=0.05)


def test_who_sleeps_between_gets_its_share_of_what_it_computes() -> None:
    """Both have the same weight, and runs of the one sleep half a second each."""
    scheduler = Scheduler(slots=4, cores=2)
    machine = Machine(scheduler, 2)
    for name in "ab":
        scheduler.set_tenant(name, TenantRules(max_wait_seconds=PATIENT))

    def more(name: str) -> None:
        machine.submit(name, 0.02, name, [(0.01, 0.5)] if name == "a" else None)

    machine.on_end = lambda work: more(work.tenant)
    for _ in range(100):
        more("a")
        more("b")
    machine.run(60)
    scheduler.check()
    assert machine.cpu["a"] / machine.cpu["b"] == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("cost", [0.001, 0.03, 0.06, 30.0])
def test_one_tenant_alone_gets_the_machine(cost: float) -> None:
    assert used(backlogged({"a": 1}, lambda _: cost, slots=4, cores=2, depth=10, seconds=10), 2, 10) >= 0.97


@pytest.mark.parametrize("hogs", [1, 3])
@pytest.mark.parametrize("is_known", [False, True], ids=["statements of their own", "one statement"])
def test_a_light_tenant_hardly_notices_loops_of_30_s_in_every_slot(hogs: int, is_known: bool) -> None:
    """Alone a run takes 5 ms: half of them at most twice that, 99 of 100 at most 10 ms more than twice that."""
    scheduler = Scheduler(slots=4, cores=2)
    machine = Machine(scheduler, 2)
    scheduler.set_tenant("light", TenantRules())
    for hog in range(hogs):
        scheduler.set_tenant(f"h{hog}", TenantRules(max_wait_seconds=PATIENT))
        for number in range(20):
            machine.submit(f"h{hog}", 30.0, "loop" if is_known else f"loop {number}")
    for number in range(600):
        machine.at(number / 10 + 0.0137 * (number % 7), lambda: machine.submit("light", 0.005, "light"))
    machine.run(65)
    scheduler.check()
    latencies = machine.latencies["light"]
    assert len(latencies) == 600
    assert quantile(latencies, 0.5) <= 0.01
    assert quantile(latencies, 0.99) <= 0.02
    assert used(machine, 2, 65) >= 0.97


def test_single_runs_pass_through_a_flow_of_a_million_rows() -> None:
    """Rows of 1 ms keep every slot and a queue; single runs of another wait for no more than one of them."""
    scheduler = Scheduler(slots=4, cores=2)
    machine = Machine(scheduler, 2)
    for name in ("flow", "single"):
        scheduler.set_tenant(name, TenantRules())
    machine.on_end = lambda work: machine.submit("flow", 0.001) if work.tenant == "flow" else None
    for _ in range(64):
        machine.submit("flow", 0.001)
    for number in range(200):
        machine.at(number / 20 + 0.0003 * (number % 11), lambda: machine.submit("single", 0.002))
    machine.run(11)
    assert len(machine.waits["single"]) == 200
    assert quantile(machine.waits["single"], 0.99) <= 0.005
    assert machine.cpu["flow"] >= 0.9 * (2 * 11 - machine.cpu["single"])


def test_nobody_starves_beside_a_tenant_of_great_weight() -> None:
    scheduler = Scheduler(slots=4, cores=2)
    machine = Machine(scheduler, 2)
    for name, weight in (("great", 1000), ("small", 1)):
        scheduler.set_tenant(name, TenantRules(weight=weight, max_wait_seconds=PATIENT))
        for _ in range(20):
            machine.submit(name, 0.02)
    machine.on_end = lambda work: machine.submit(work.tenant, 0.02)
    machine.run(30)
    assert max(machine.waits["small"]) < 1
    assert machine.cpu["small"] >= 0.2 * 2 * 30


def test_what_is_expected_is_about_what_happens() -> None:
    """Runs of equal cost: the time that each is told is right to 15 %, or 100 ms, little more than a run takes."""
    chance = random.Random(3)
    scheduler = Scheduler(slots=4, cores=2)
    machine = Machine(scheduler, 2)
    for name in "abc":
        scheduler.set_tenant(name, TenantRules(max_wait_seconds=PATIENT))
        for _ in range(20):
            machine.submit(name, 0.04)
    machine.run(0.5)
    for name in "abc":
        for _ in range(chance.randrange(20, 60)):
            machine.submit(name, 0.04)
    queued = [run for run, work in machine.works.items() if scheduler.state(run) is State.QUEUED]
    expected = {run: why.expected_start for run in queued if (why := scheduler.why_waiting(run, machine.now))}
    works = {run: machine.works[run] for run in queued}
    machine.run(20)
    for run, work in works.items():
        start = expected[run]
        assert work.started_at is not None
        assert start is not None
        assert start - 0.5 == pytest.approx(work.started_at - 0.5, rel=0.15, abs=0.1)
