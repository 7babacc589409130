"""Workers that are killed under load, and runs that are cancelled at random: the short versions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.server.chaos import cancels_and_kills, kills_under_load
from tests.server.live_server import LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("chaos")) as running:
        yield running.until_ready()


def test_nothing_acknowledged_is_lost_and_nothing_with_effects_runs_twice(server: LiveServer) -> None:
    outcome = kills_under_load(server, 4.0)
    assert outcome.kills >= 4
    assert outcome.complaints == []
    assert outcome.sent_twice == []
    assert sum(outcome.statuses.values()) == len(outcome.accepted) > 20
    # What had sent a request when its worker died ends with 304, and there is nothing else that could go wrong.
    assert set(outcome.statuses) <= {200, 304}
    assert outcome.statuses[200] > len(outcome.accepted) // 2


def test_never_more_execute_than_may_and_nothing_is_held_at_the_end(server: LiveServer) -> None:
    outcome = cancels_and_kills(server, 4.0, parallel=100)
    assert outcome.kills >= 2
    assert outcome.cancels > 10
    assert outcome.complaints == []
    assert 1 <= outcome.most_executing <= 5
    assert sum(outcome.statuses.values()) == len(outcome.accepted)
    assert set(outcome.statuses) <= {200, 303, 304}
