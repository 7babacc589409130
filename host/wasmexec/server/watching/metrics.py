"""`Metrics`: the counters of one Prometheus registry, in the front; what is live is looked up when somebody asks.

Label sets are bounded: routes, rules and statuses are those of the code, tenants at most as many as are set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

from .tenant_labels import TenantLabels

if TYPE_CHECKING:
    from ..http.request import Request
    from .subjects import WatchedRun

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
NO_ROUTE = "none"
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_MOST_RULES = 300
OTHER_RULE = "other"


class Metrics:
    """What has happened since the start; every method takes a few microseconds at most."""

    def __init__(self, most_tenants: int) -> None:
        # When each series began is of no use here and doubles their number.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self.labels = TenantLabels(most_tenants)
        self._rules: set[str] = set()
        # Looked up once: `labels()` takes longer than what follows.
        self._statuses: dict[int, Counter] = {}
        self._by_tenant: dict[str, tuple[Counter, Counter]] = {}
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"wasmexec_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"wasmexec_{name}_seconds", text, labels, registry=self.registry, buckets=SECONDS)

        self._runs = counter("runs", "Runs that have ended, by status.", "status")
        self._wait = histogram("queue_wait", "From the acceptance of a run to its first start.")
        self._length = histogram("run", "From the first start of a run to its end, sleeps and waits included.")
        self._cpu = counter("cpu_seconds", "Processor time of ended runs, attempts that were lost included.")
        self._lost = counter("lost_attempts", "Attempts that went down with their worker.")
        self._refusals = counter("refusals", "Requests and runs that were refused, by rule.", "rule")
        self._requests = counter("http_requests", "HTTP requests, by route and class of the status.",
                                 "method", "route", "status")  # fmt: skip
        self._answers = histogram("http_request", "From the head of a request to the end of its answer.", "route")
        self._tenant_runs = counter("tenant_runs", "Runs that have ended, of the busiest tenants.", "tenant")
        self._tenant_cpu = counter("tenant_cpu_seconds", "Processor time of the busiest tenants' runs.", "tenant")
        self._lag = histogram("loop_lag", "How much later than planned the loop of the front got to something.")
        self._commits = histogram("store_commit", "Transactions of the thread that writes the store.")
        self._written = counter("store_writes", "What these transactions have stored.")

    def run_started(self, run: WatchedRun) -> None:
        """A run has begun for the first time."""
        assert run.started_at is not None
        self._wait.observe(max(0.0, run.started_at - run.created_at))

    def run_ended(self, run: WatchedRun) -> None:
        """A run has ended, whether it had begun or not."""
        assert run.answer is not None
        assert run.ended_at is not None
        status, used = int(run.answer.status), run.answer.usage.cpu_seconds + run.lost_cpu_seconds
        known = self._statuses.get(status)
        if known is None:
            known = self._statuses[status] = self._runs.labels(str(status))
        known.inc()
        self._cpu.inc(used)
        if run.started_at is not None:
            self._length.observe(max(0.0, run.ended_at - run.started_at))
        label = self.labels.note(run.tenant.name, used)
        of_tenant = self._by_tenant.get(label)
        if of_tenant is None:
            of_tenant = self._by_tenant[label] = self._tenant_runs.labels(label), self._tenant_cpu.labels(label)
        of_tenant[0].inc()
        of_tenant[1].inc(used)

    def attempt_lost(self) -> None:
        """An attempt went down with its worker."""
        self._lost.inc()

    def refused(self, rule: str) -> None:
        """Something was refused."""
        if rule not in self._rules:
            if len(self._rules) >= _MOST_RULES:
                rule = OTHER_RULE
            self._rules.add(rule)
        self._refusals.labels(rule).inc()

    def answered(self, request: Request, status: int, seconds: float) -> None:
        """A request has been answered, or its client has gone."""
        key = (request.method, request.route or NO_ROUTE, status // 100)
        known = self._by_request.get(key)
        if known is None:
            method = request.method if request.method in _METHODS else "other"
            counted = self._requests.labels(method, key[1], f"{key[2]}xx")
            known = counted, self._answers.labels(key[1])
            if method != "other":
                self._by_request[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def loop_was_late(self, seconds: float) -> None:
        """The loop got to something so much later than planned."""
        self._lag.observe(seconds)

    def committed(self, seconds: float, count: int) -> None:
        """The thread that writes the store has ended a transaction; called on it."""
        self._commits.observe(seconds)
        self._written.inc(count)

    def choose_tenants(self) -> None:
        """Name the busiest tenants from now on."""
        for name in self.labels.choose():
            if self._by_tenant.pop(name, None) is not None:
                self._tenant_runs.remove(name)
                self._tenant_cpu.remove(name)
