"""Load on a real server whose workers are killed and whose runs are cancelled at random, for as long as one likes.

`make test` runs each for a few seconds; a bench calls them with minutes.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import psutil
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer

COMPUTES = "n = 0\nfor i in range({}):\n    n += i\nreturn [{{'n': n}}]\n# {}"
SLEEPS = "await sleep({})\nreturn [{{'a': 1}}]\n# {}"
SENDS = "import httpx\nawait httpx.AsyncClient().get('{}')\nawait sleep(0.05)\nreturn [{{'a': 1}}]\n# {}"
END_SECONDS = 120.0


@dataclass(slots=True)
class Outcome:
    """What became of it: acknowledged runs and how they ended, kills, and what was seen meanwhile."""

    accepted: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    kills: int = 0
    cancels: int = 0
    most_executing: int = 0
    sent_twice: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def repeatedly(work: Callable[[], object], seconds: float) -> Iterator[None]:
    """Have something done again and again, beside the block."""
    is_over = threading.Event()
    failures: list[BaseException] = []

    def go_on() -> None:
        try:
            while not is_over.wait(seconds):
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise failures[0]


def kill_one(server: LiveServer, chance: random.Random) -> int:
    """Kill a worker as the system does when memory is short; how many that were."""
    with suppress(psutil.NoSuchProcess, IndexError):
        chance.choice(server.workers).kill()
        return 1
    return 0


def kills_under_load(server: LiveServer, seconds: float, *, every: float = 0.5, seed: int = 0) -> Outcome:
    """Kill a worker again and again under a load of runs of which some send requests.

    Each acknowledged run ends, whose requests are counted by a real server: a request for each that ended well, and
    never two.
    """
    chance, outcome, numbers = random.Random(seed), Outcome(), itertools.count()
    with WebServer() as web:
        grants = {"http_private": [web.authority]}
        tenant = server.tenant(f"loaded-{seed}", grants=grants)
        sending: dict[str, str] = {}

        def submit() -> None:
            number = next(numbers)
            if number % 3 == 0:
                run_id = tenant.start(SENDS.format(web.url(f"/hello?run={number}"), number), grants=grants)
                sending[run_id] = str(number)
            else:
                text = COMPUTES.format(100_000, number) if number % 3 == 1 else SLEEPS.format(0.1, number)
                run_id = tenant.start(text)
            outcome.accepted.append(run_id)

        def kill() -> None:
            outcome.kills += kill_one(server, chance)

        until = time.monotonic() + seconds
        with repeatedly(kill, every):
            while time.monotonic() < until:
                if sum(tenant.counts[name] for name in ("queued", "executing", "asleep")) < 40:
                    for _ in range(5):
                        submit()
                time.sleep(0.02)
        ends = _ends(tenant, outcome)
        seen = Counter(parse_qs(urlsplit(path).query)["run"][0] for path in web.requests)
        outcome.sent_twice = [number for number, count in seen.items() if count > 1]
        for run_id, number in sending.items():
            if ends[run_id] == 200 and seen[number] != 1:
                outcome.complaints.append(f"{run_id} ended well with {seen[number]} requests")
    _complain(server, tenant, outcome)
    return outcome


def cancels_and_kills(
    server: LiveServer, seconds: float, *, concurrency: int = 5, parallel: int = 200, seed: int = 0
) -> Outcome:
    """Runs of a tenant that may execute few at once, many of them there, cancelled at random; workers are killed."""
    chance, outcome, numbers = random.Random(seed), Outcome(), itertools.count()
    tenant = server.tenant(f"crowd-{seed}", max_executing=concurrency, max_queued=10 * parallel)
    live: list[str] = []

    def sample() -> None:
        outcome.most_executing = max(outcome.most_executing, int(tenant.counts["executing"]))

    def kill() -> None:
        outcome.kills += kill_one(server, chance)

    until = time.monotonic() + seconds
    with repeatedly(sample, 0.005), repeatedly(kill, 1.0):
        while time.monotonic() < until:
            for _ in range(min(10, parallel - len(live))):
                number = next(numbers)
                text = COMPUTES.format(chance.choice((10_000, 300_000)), number)
                if chance.random() < 0.3:
                    text = SLEEPS.format(chance.choice((0.01, 0.2)), number)
                live.append(tenant.start(text))
                outcome.accepted.append(live[-1])
            for run_id in chance.sample(live, min(10, len(live))):
                if chance.random() < 0.3:
                    tenant.cancel(run_id)
                    outcome.cancels += 1
                if tenant.look(run_id)["state"] == "ended":
                    live.remove(run_id)
        for run_id in live[::2]:
            tenant.cancel(run_id)
        _ends(tenant, outcome)
    _complain(server, tenant, outcome)
    return outcome


def _ends(tenant: Tenant, outcome: Outcome) -> dict[str, int]:
    """The status of each acknowledged run, all of which end."""
    ends: dict[str, int] = {}
    deadline = time.monotonic() + END_SECONDS
    for run_id in outcome.accepted:
        while (found := tenant.look(run_id))["state"] != "ended":
            assert time.monotonic() < deadline, f"{run_id} does not end: {found}"
            time.sleep(0.01)
        ends[run_id] = found["status"]
    outcome.statuses.update(ends.values())
    return ends


def _complain(server: LiveServer, tenant: Tenant, outcome: Outcome) -> None:
    """What is not as it should be afterwards."""
    try:
        wait_until(lambda: tenant.is_idle and tenant.usage["runs"] == len(outcome.accepted), 20.0)
    except AssertionError:
        outcome.complaints.append(f"held: {tenant.counts}; {tenant.usage['runs']} of {len(outcome.accepted)} recorded")
    cpu = sum(round(tenant.look(run_id)["usage"]["cpu_seconds"] * 1e6) for run_id in outcome.accepted)
    if cpu != tenant.usage["cpu_us"]:
        outcome.complaints.append(f"usage has {tenant.usage['cpu_us']} us, the records {cpu}")
    outcome.complaints += [line.strip() for line in server.lines if "invariant" in line or "Traceback" in line]
