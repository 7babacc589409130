"""Rows of a step come between nothing: the single statements of others start at once beside many of them."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from tests.bench.server.steps import measure
from tests.server.live_server import LiveServer, wait_until
from tests.server.step_tenant import StepTenant

pytestmark = pytest.mark.timing


def test_single_statements_of_others_wait_for_no_rows(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        stepping, light = StepTenant.make(server.until_ready(), "stepping"), server.tenant("light")
        stepping.put("doubles", "return [{'id': INPUT_DATA[0]['id'] * 2}]")
        where = stepping.start("doubles", [{"id": number} for number in range(200_000)])
        wait_until(lambda: (stepping.look(where).get("executions") or 0) > 100)
        beside = measure(server, light, stepping, where, 3.0)
        assert statistics.median(beside.waits) <= 0.005
        # The positive control: the rows went on meanwhile.
        assert beside.rows > 3 * 50
        assert stepping.ask("POST", where + ":cancel").json()["status"] == 303
        assert "invariant" not in "".join(server.lines)
