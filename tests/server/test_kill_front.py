"""A server that is killed at random moments loses nothing that it has acknowledged, on either kind of store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.server.kill_front import kill_front


def test_every_acknowledged_run_ends_exactly_once_though_the_server_is_killed(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    killed = kill_front(tmp_path, new_store(tmp_path), kills=3)
    assert killed.accepted > 10
