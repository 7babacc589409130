"""`MetricsApi`: the metrics over HTTP, on a port of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder

from ..http.app import App
from ..http.operations import Answered, Operation, Route, route
from .live_figures import LiveFigures
from .watch import Watch

if TYPE_CHECKING:
    from ..http.connections import Connections
    from ..http.request import Request
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.directory import Directory
    from .metrics import Metrics


class MetricsApi:
    """The handlers; they need no key, so the port is for those who may see all of it."""

    def __init__(self, metrics: Metrics, figures: LiveFigures) -> None:
        self._metrics = metrics
        self._figures = figures
        self._one = asyncio.Lock()

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/metrics", GET=Operation(handler=self.get_metrics, answers={200: str}, media_type="text/plain")),
        )

    async def get_metrics(self, request: Request) -> Answered:
        """Every metric, as Prometheus reads it."""
        encode, media_type = choose_encoder(request.header(b"accept") or "")
        async with self._one:
            self._figures.take()
            # Some milliseconds of text, for which nobody else is to wait.
            body = await asyncio.to_thread(encode, self._metrics.registry)
        return Answered(200, body, media_type=media_type.encode())


def metrics_app(
    watch: Watch, runs: Runs, directory: Directory, storage: Storage, connections: Connections, image: str
) -> App:
    """The application of the port for metrics; what it is asked itself is not watched.

    `image` says what statements run in.
    """
    assert watch.metrics is not None
    figures = LiveFigures(watch.metrics, runs, directory, storage, connections, watch.access_log, image)
    return App(MetricsApi(watch.metrics, figures).routes(), Watch())
