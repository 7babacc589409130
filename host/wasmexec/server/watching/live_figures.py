"""`LiveFigures`: what is there now, looked up among the live objects when Prometheus asks; nothing is kept apart."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .tenant_labels import OTHER

if TYPE_CHECKING:
    from ..http.connections import Connections
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.directory import Directory
    from .access_log import AccessLog
    from .metrics import Metrics

_WORKERS = ("starting", "ready", "silent", "retiring")
_STATES = ("queued", "executing", "asleep")


class LiveFigures(Collector):
    """What `take` has seen; `take` is called on the loop, `collect` anywhere."""

    def __init__(
        self, metrics: Metrics, runs: Runs, directory: Directory, storage: Storage, connections: Connections,
        access_log: AccessLog | None, image: str,
    ) -> None:  # fmt: skip
        self._metrics = metrics
        self._runs = runs
        self._directory = directory
        self._storage = storage
        self._connections = connections
        self._access_log = access_log
        self._build = {"version": version("wasmexec"), "python": platform.python_version(), "image": image}
        self._taken: list[Metric] = []
        metrics.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What was there."""
        return self._taken

    def take(self) -> None:
        """Look now."""
        self._metrics.choose_tenants()
        self._taken = [*self._of_server(), *self._of_tenants(), *self._of_workers()]

    def _of_server(self) -> Iterator[Metric]:
        yield _gauge("build_info", "What runs here: always 1.", [(tuple(self._build.values()), 1)], *self._build)
        yield _gauge("ready", "Whether a statement got through in the last seconds.", [((), self._runs.is_ready)])
        yield _gauge("http_connections", "Open connections.", [((), len(self._connections))])
        yield _gauge("queued_bytes", "Orders and inputs of the runs that have not ended.", [((), self._runs.size)])
        yield _gauge("store_waiting_writes", "What waits for the thread that writes the store.",
                     [((), self._storage.waiting_writes)])  # fmt: skip
        if self._access_log is not None:
            yield _counter("access_log_dropped", "Lines of the access log that were not written.",
                           self._access_log.dropped)  # fmt: skip

    def _of_tenants(self) -> Iterator[Metric]:
        named, total = self._metrics.labels.named, dict.fromkeys(_STATES, 0)
        by_tenant: dict[tuple[str, str], int] = {}
        for tenant in self._directory.tenants.values():
            if not tenant.queued and not tenant.running and tenant.name not in named:
                continue
            executing = tenant.executing
            counts = (len(tenant.queued), executing, len(tenant.running) - executing)
            label = tenant.name if tenant.name in named else OTHER
            for state, count in zip(_STATES, counts, strict=True):
                total[state] += count
                by_tenant[label, state] = by_tenant.get((label, state), 0) + count
        yield _gauge("runs_live", "Runs that have not ended.", [((state,), total[state]) for state in _STATES], "state")
        yield _gauge("tenant_runs_live", "Likewise, of the busiest tenants.", by_tenant.items(), "tenant", "state")
        yield _gauge("tenants", "Tenants that there are.", [((), len(self._directory.tenants))])

    def _of_workers(self) -> Iterator[Metric]:
        fleet = self._runs.fleet
        figures = fleet.figures()
        states = {state: sum(item.state == state for item in figures) for state in _WORKERS}
        yield _gauge("workers", "Worker processes.", [((state,), count) for state, count in states.items()], "state")
        yield _gauge("slots", "Runs that may compute at once.", [((), fleet.slots)])
        sizes, ages = [item.private_bytes for item in figures], [item.age_seconds for item in figures]
        yield _gauge("worker_memory_bytes", "Private memory of all worker processes.", [((), sum(sizes))])
        yield _gauge("worker_memory_largest_bytes", "Likewise, of the largest.", [((), max(sizes, default=0))])
        yield _gauge("worker_age_oldest_seconds", "Since the start of the oldest one.", [((), max(ages, default=0))])
        yield _counter("worker_deaths", "Worker processes that died or had to be ended.", fleet.deaths)
        yield _counter("worker_starts", "Worker processes that were started.", fleet.starts)
        yield _counter("worker_recycled", "Worker processes that were replaced when they had grown old or large, or "
                       "because somebody asked for it.", fleet.recycled)  # fmt: skip


def _gauge(
    name: str, text: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:  # fmt: skip
    family = GaugeMetricFamily(f"wasmexec_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _counter(name: str, text: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"wasmexec_{name}", text, value=value)
