"""Probes over HTTP: whether the server lives, and whether statements get through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http.operations import Answered, Operation, Route, json_answer, route

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs


class HealthApi:
    """The handlers; they need no key."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        ready = {200: dict[str, Any], 503: dict[str, Any]}
        return (
            route("/livez", GET=Operation(handler=self.get_live, answers={200: dict[str, Any]})),
            route("/readyz", GET=Operation(handler=self.get_ready, answers=ready)),
        )

    async def get_live(self, request: Request) -> Answered:
        """The loop of the server turns."""
        return json_answer(200, {"live": True})

    async def get_ready(self, request: Request) -> Answered:
        """Whether a probe run was answered in the last seconds, and the store answers."""
        fleet = self._runs.fleet
        state = {
            "ready": self._runs.is_ready, "workers": len(fleet.pids), "worker_deaths": fleet.deaths,
            "store_answers": not self._runs.storage.writer.away_seconds,
        }  # fmt: skip
        return json_answer(200 if self._runs.is_ready else 503, state)
