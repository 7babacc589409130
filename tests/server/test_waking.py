"""Runs that wake up wait for a slot like everybody else, on a real server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import pytest
from tests.server.live_server import LiveServer, wait_until

COMPUTES = "\nn = 0\nfor i in range({}):\n    n += i\nreturn [{{'n': n}}]\n"
SLEEPS = "await sleep({})"
BLOCKS = "import time\ntime.sleep({})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("waking")) as running:
        running.until_ready()
        wait_until(lambda: running.client.get("/readyz").json()["workers"] == 2)
        yield running


@pytest.mark.parametrize(("kind", "waits"), [("sleeps", SLEEPS), ("blocks", BLOCKS)], ids=["sleeps", "blocks"])
def test_never_more_of_a_tenant_compute_than_may_though_all_wake_at_once(
    server: LiveServer, kind: str, waits: str
) -> None:
    tenant = server.tenant(kind, max_executing=2)
    runs = [tenant.start(waits.format(1.0) + COMPUTES.format(400_000)) for _ in range(8)]
    wait_until(lambda: tenant.counts["asleep"] == 8)
    seen = set()

    def have_ended() -> bool:
        counts = tenant.counts
        seen.add(counts["executing"])
        time.sleep(0.002)
        return not any(counts[name] for name in ("queued", "executing", "asleep"))

    wait_until(have_ended)
    assert {tenant.look(run_id)["status"] for run_id in runs} == {200}
    assert 2 in seen
    assert max(seen) == 2


@pytest.mark.timing
def test_one_that_waits_for_its_slot_is_cancelled_and_is_out_of_time_in_time(server: LiveServer) -> None:
    tenant = server.tenant("held", max_executing=1)
    held = tenant.start(SLEEPS.format(0.5) + COMPUTES.format(1000), limits={"wall_seconds": 1.5})
    tenant.until(held, is_asleep=True)
    other = tenant.start(SLEEPS.format(0.5) + COMPUTES.format(1000))
    tenant.until(other, is_asleep=True)
    computes = tenant.start("while True:\n    pass")
    tenant.until(computes, state="running", is_asleep=False)
    time.sleep(0.7)
    # They have been awake for a while, and have no slot.
    assert [tenant.look(run_id)["state"] for run_id in (held, other)] == ["running", "running"]
    began = time.monotonic()
    assert tenant.cancel(other)["status"] == 303
    assert time.monotonic() - began < 1.0
    assert tenant.until(held, state="ended")["status"] == 302
    assert tenant.cancel(computes)["status"] == 303
    wait_until(lambda: tenant.is_idle)


@pytest.mark.timing
def test_tenants_that_wake_all_at_once_take_no_more_than_the_slots(server: LiveServer) -> None:
    colluders = [server.tenant(f"colludes-{number}") for number in range(3)]
    light = server.tenant("light-beside")
    text = SLEEPS.format(1.0) + "\nwhile True:\n    pass"
    runs = [(tenant, tenant.start(text)) for tenant in colluders for _ in range(8)]
    wait_until(lambda: sum(tenant.counts["executing"] for tenant in colluders) >= 3)
    time.sleep(0.5)
    # Four slots, and as many to spare for short ones that turn out to be long.
    assert sum(tenant.counts["executing"] for tenant in colluders) <= 8
    assert sum(tenant.counts["asleep"] for tenant in colluders) >= 16

    def measure() -> float:
        began = time.monotonic()
        assert light.run("return []").json()["status"] == 201
        return time.monotonic() - began

    taken = statistics.median(measure() for _ in range(20))
    for tenant, run_id in runs:
        tenant.cancel(run_id)
    print(f"a small run beside 24 that woke at once: {taken * 1000:.1f} ms")
    assert taken < 0.25
