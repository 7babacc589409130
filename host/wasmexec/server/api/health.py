"""Probes over HTTP: whether the server lives, and whether statements get through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..http.operations import Answered, Operation, Route, json_answer, route

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs


class LiveDocument(Struct):
    """The server lives."""

    live: bool = True


class ReadyDocument(Struct):
    """Whether a statement got through a moment ago."""

    ready: bool
    workers: int
    """Processes that run statements."""
    worker_deaths: int
    store_answers: bool
    """Since the start."""


class HealthApi:
    """The handlers; they need no key."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/livez", GET=Operation(handler=self.get_live, answers={200: LiveDocument})),
            route("/readyz", GET=Operation(handler=self.get_ready, answers={200: ReadyDocument, 503: ReadyDocument})),
        )

    async def get_live(self, request: Request) -> Answered:
        """The loop of the server turns."""
        return json_answer(200, LiveDocument())

    async def get_ready(self, request: Request) -> Answered:
        """Whether a probe run was answered in the last seconds, and the store answers."""
        fleet = self._runs.fleet
        document = ReadyDocument(
            ready=self._runs.is_ready, workers=len(fleet.pids), worker_deaths=fleet.deaths,
            store_answers=not self._runs.storage.writer.away_seconds,
        )  # fmt: skip
        return json_answer(200 if document.ready else 503, document)
