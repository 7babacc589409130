"""Any sequence of submitting, cancelling, deaths of workers and of the front, and changed quotas, on a real server.

After each sequence no slot is held, each acknowledged run has ended once, with a status that it may have, and the usage
and the budgets are those of the records. `WASMEXEC_SEQUENCES` is how many sequences are tried.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.server.live_server import LiveServer, Tenant, wait_until

SEQUENCES = int(os.environ.get("WASMEXEC_SEQUENCES", "4"))
STATEMENTS = {
    "quick": "return [{{'a': 1}}]\n# {}",
    "computes": "n = 0\nfor i in range(300_000):\n    n += i\nreturn [{{'n': n}}]\n# {}",
    "sleeps": "await sleep(0.3)\nreturn [{{'a': 1}}]\n# {}",
    "fails": "raise ValueError('no')\n# {}",
    "long": "await sleep(25)\nreturn []\n# {}",
}
ENDS = {"quick": {200}, "computes": {200}, "sleeps": {200}, "fails": {300}, "long": {201}}
BUDGETS = {f"{name}_per_month": 10**9 for name in ("cpu_seconds", "gb_seconds", "rows", "log_bytes")}
"""Never used up: what they count is compared with the usage."""
LOST = 304
"""Whatever a run is, three deaths of its worker are enough."""


class Place:
    """The one server of all sequences, which is started anew when it was killed."""

    numbers = itertools.count()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = LiveServer(folder).until_ready()

    def kill(self) -> None:
        self.server.kill()
        self.server = LiveServer(self.folder, admin=self.server.admin)

    def rows(self, query: str, tenant: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "store.sqlite3")) as connection:
            return list(connection.execute(query, (tenant,)))


class Sequence(RuleBasedStateMachine):
    """One tenant of its own, and all that happens to it."""

    place: ClassVar[Place]

    @initialize(most=st.sampled_from([None, 1, 3]))
    def begin(self, most: int | None) -> None:
        self.name = f"sequence-{next(Place.numbers)}"
        self.key = self.place.server.tenant(self.name, max_executing=most, **BUDGETS).key
        self.most = most
        self.kinds: dict[str, str] = {}
        self.cancelled: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.kills = 0
        self.fronts = 0
        self.pool = ThreadPoolExecutor(8)
        self.synchronous: list[tuple[str, Future[httpx.Response]]] = []

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.place.server, self.key)

    @rule(kind=st.sampled_from(sorted(STATEMENTS)), count=st.integers(1, 4))
    def submit(self, kind: str, count: int) -> None:
        if self.most == 0:
            # Nothing is admitted then.
            text = STATEMENTS[kind].format(next(Place.numbers))
            asked = {"statement": text}
            answer = self.place.server.ask("POST", "/v1/runs", self.key, asked, prefer="respond-async")
            assert (answer.status_code, answer.json()["rule"]) == (429, "count.executing")
            return
        for _ in range(count):
            self.kinds[self.tenant.start(STATEMENTS[kind].format(next(Place.numbers)))] = kind

    @rule(kind=st.sampled_from(["quick", "computes", "sleeps", "fails"]))
    def submit_and_wait(self, kind: str) -> None:
        text = STATEMENTS[kind].format(next(Place.numbers))
        self.synchronous.append((kind, self.pool.submit(self.tenant.run, text)))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.kinds:
            run_id = data.draw(st.sampled_from(sorted(self.kinds)), "run")
            self.cancelled[run_id] = self.note(run_id, self.tenant.cancel(run_id))

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        if self.kinds:
            run_id = data.draw(st.sampled_from(sorted(self.kinds)), "run")
            found = self.tenant.look(run_id)
            if found["state"] == "ended":
                self.note(run_id, found)

    @rule(which=st.integers(0, 1))
    def kill_worker(self, which: int) -> None:
        with suppress(psutil.NoSuchProcess, IndexError):
            self.place.server.workers[which].kill()
            self.kills += 1

    @rule()
    def kill_front(self) -> None:
        self.fronts += 1
        self.place.kill()

    @rule(most=st.sampled_from([None, 0, 1, 3]), weight=st.integers(1, 5))
    def change_quota(self, most: int | None, weight: int) -> None:
        self.place.server.tenant(self.name, max_executing=most, weight=weight, **BUDGETS)
        self.most = most

    def note(self, run_id: str, found: dict[str, Any]) -> int:
        """The status of one that has ended, which stays."""
        status = int(found["status"])
        assert found["state"] == "ended"
        assert self.seen.setdefault(run_id, status) == status, f"{run_id} has ended twice"
        return status

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.place.server.tenant(self.name, **BUDGETS)
        tenant = self.tenant
        for run_id, kind in self.kinds.items():
            if kind == "long":
                self.cancelled[run_id] = self.note(run_id, tenant.cancel(run_id))
        for run_id, kind in self.kinds.items():
            status = self.note(run_id, tenant.until(run_id, state="ended"))
            allowed = ENDS[kind] | ({303} if run_id in self.cancelled else set()) | ({LOST} if self.kills else set())
            assert status in allowed, (run_id, kind, status)
        answered = sum(self.answered(kind, future) for kind, future in self.synchronous)
        self.pool.shutdown()
        wait_until(lambda: tenant.is_idle)
        # The last ones of those that nobody acknowledged are recorded a moment later.
        wait_until(lambda: tenant.usage["runs"] >= len(self.kinds) + (0 if self.fronts else answered))
        columns = ("cpu_us", "wall_us", "gb_us", "row_count", "log_count", "log_bytes")
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in columns)
        [record] = self.place.rows(f"select count(*), {sums} from wx_server_runs where tenant = ?", self.name)
        usage = tenant.usage
        assert (usage["runs"], *(usage[name] for name in columns)) == record
        budgets = [item for item in tenant.get("/v1/quotas").json()["rules"] if item["rule"].startswith("budget.")]
        used = {item["rule"].split(".")[1]: (item["used"], item["reserved"]) for item in budgets}
        assert used == {
            "cpu_seconds": (usage["cpu_us"] / 1e6, 0), "gb_seconds": (usage["gb_us"] / 1e6, 0),
            "rows": (usage["row_count"], 0), "log_bytes": (usage["log_bytes"], 0),
        }  # fmt: skip
        ended = {row[0] for row in self.place.rows("select id from wx_server_runs where tenant = ?", self.name)}
        assert self.kinds.keys() <= ended
        assert [line for line in self.place.server.lines if "invariant" in line or "Traceback" in line] == []

    def answered(self, kind: str, future: Future[httpx.Response]) -> bool:
        """Whether a synchronous run was answered: always, unless the server was killed, or refused it."""
        try:
            answer = future.result(60)
        except (httpx.HTTPError, RuntimeError):
            # It was killed meanwhile, or before it was asked.
            assert self.fronts
            return False
        if answer.status_code != 200:
            # Its tenant may have had no slot at all.
            assert answer.json()["rule"] == "count.executing", answer.text
            return False
        assert answer.json()["status"] in ENDS[kind] | ({LOST} if self.kills else set())
        return True


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("sequences"))
    yield place
    place.server.kill()


@pytest.mark.timeout(3600)
def test_after_any_sequence_all_is_as_it_should_be(place: Place) -> None:
    Sequence.place = place
    run_state_machine_as_test(
        Sequence,
        settings=settings(
            max_examples=SEQUENCES, stateful_step_count=12, deadline=None, database=None, derandomize=SEQUENCES < 10,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip
