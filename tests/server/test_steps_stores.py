"""Steps on each kind of store: versions, checkpoints, runs bulk and row by row, a server that is killed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.server.live_server import LiveServer, wait_until
from tests.server.step_tenant import StepTenant

COUNTS = "return [{'id': (DATA_CHECKPOINT or 0) + 1}]"
FAILS_AT_3 = "if INPUT_DATA[0]['id'] == 3:\n    raise ValueError('three')\nreturn INPUT_DATA"


def test_steps_are_the_same_on_each_kind_of_store(tmp_path: Path, new_store: Callable[[Path], str]) -> None:
    store = new_store(tmp_path)
    numbers = [{"id": number} for number in range(6)]
    with LiveServer(tmp_path, store=store) as server:
        tenant = StepTenant.make(server.until_ready(), "acme")
        assert [tenant.put("counts", COUNTS, processing="bulk", checkpoint_column="id").status_code for _ in "ab"] == [
            201, 200,
        ]  # fmt: skip
        for number in (1, 2):
            assert tenant.until(tenant.start("counts"), state="ended")["status"] == 200
            assert tenant.ask("GET", "/v1/steps/counts/checkpoint").json()["value"] == number
        tenant.put("rows", FAILS_AT_3, on_row_error="skip")
        where = tenant.start("rows", numbers)
        ended = tenant.until(where, state="ended")
        assert (ended["status"], ended["row_count"], ended["rows_failed"]) == (202, 5, 1)
        delivered = tenant.ask("GET", f"{where}/rows").json()
        assert sorted(row["id"] for row in delivered) == [0, 1, 2, 4, 5]
        [failed] = tenant.ask("GET", f"{where}/errors").json()["errors"]
        assert failed["row"] == 3
        # Two at once: one of them advances the checkpoint.
        tenant.put("slow", "await sleep(0.5)\n" + COUNTS, processing="bulk", checkpoint_column="id")
        runs = [tenant.start("slow") for _ in range(2)]
        assert sorted(tenant.until(run, state="ended")["status"] for run in runs) == [200, 303]
        tenant.put("many", "await sleep(0.02)\nreturn INPUT_DATA", concurrency=4)
        cut = tenant.start("many", [{"id": number} for number in range(200)])
        wait_until(lambda: (tenant.look(cut).get("executions") or 0) > 10)
        server.kill()
    with LiveServer(tmp_path, store=store, admin=server.admin) as second:
        tenant = StepTenant(second, "acme", tenant.key)
        again = tenant.until(cut, state="ended")
        assert (again["status"], again["row_count"]) == (200, 200)
        assert len(tenant.ask("GET", f"{cut}/rows").json()) == 200
        assert tenant.ask("DELETE", "/v1/steps/rows").status_code == 204
        assert tenant.ask("GET", where).status_code == 404
        assert second.terminate() == 0
        assert "invariant" not in "".join(second.lines)
        assert "Traceback" not in "".join(second.lines)
