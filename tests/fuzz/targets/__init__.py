"""What is fuzzed: each target is `target(data: bytes)` and raises when a promise is broken; `TARGETS` names them.

A target knows no engine, and it keeps no state that a later call could notice.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

Run = Callable[[bytes], None]


class Target(NamedTuple):
    """`kind` is what an execution runs: "host" functions, the "puppet" guest, the "real" one, or its C: "native"."""

    kind: str
    module: str

    def load(self, name: str) -> Run:
        """The function, from the module of its group."""
        run: Run = getattr(importlib.import_module(f"tests.fuzz.targets.{self.module}"), name)
        return run


TARGETS = {
    "guest_says": Target("puppet", "guest"),
    "guest_checks": Target("puppet", "guest"),
    "replays": Target("puppet", "guest"),
    "put_back": Target("puppet", "guest"),
    "frames": Target("host", "channel"),
    "json_text": Target("host", "rows"),
    "csv_round_trip": Target("host", "rows"),
    "row_files": Target("host", "rows"),
    "parquet_frames": Target("host", "parquet"),
    "parquet_files": Target("host", "parquet"),
    "store_rows": Target("host", "store"),
    "masking": Target("host", "secrets"),
    "stream_masks": Target("host", "secrets"),
    "secret_requests": Target("host", "secrets"),
    "urls": Target("host", "network"),
    "addresses": Target("host", "network"),
    "grants": Target("host", "hops"),
    "redirects": Target("host", "hops"),
    "requests": Target("host", "network"),
    "responses": Target("host", "responses"),
    "recordings": Target("host", "files"),
    "manifests": Target("host", "files"),
    "step_files": Target("host", "files"),
    "worker_frames": Target("host", "workers"),
    "worker_results": Target("host", "workers"),
    "json_schemas": Target("host", "schemas"),
    "column_lists": Target("host", "schemas"),
    "statements": Target("real", "statements"),
    "conversions": Target("real", "conversions"),
    "c_types": Target("real", "c_types"),
}
NATIVE = {
    name: Target("native", "native")
    for name in ("native_files", "native_rows", "native_frames", "native_tree", "native_times", "native_where")
}
"""The guest's C on this machine: only for `python -m tests.fuzz.native`, which builds it."""
SELF_TEST = {"self_test": Target("host", "self_test"), "not_there": Target("host", "not_there")}
"""Known to the drivers, but not part of what is fuzzed."""
ALL = {**TARGETS, **NATIVE, **SELF_TEST}
