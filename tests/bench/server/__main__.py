"""`python -m tests.bench.server`: the numbers that `wasmexec serve` is to reach, the library beside it in the same run.

Each line has the number of its promise, what was measured, and what it is to be.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.__main__ import machine
from tests.bench.server import bounds, deaths, large_bodies, rates, sharing, speed, steps, streams
from tests.bench.server.context import Check, Context

import wasmexec

ALL: dict[str, Callable[[Context], Iterator[Check]]] = {
    "1": speed.what_http_adds,
    "2": speed.what_a_front_can_do,
    "3": speed.what_a_machine_can_do,
    "4": large_bodies.a_large_body,
    "5": speed.many_that_sleep,
    "6": streams.many_readers,
    "7": speed.how_soon_it_begins,
    "8": sharing.a_noisy_tenant,
    "9": sharing.many_equal_tenants,
    "10": steps.rows_beside_single_statements,
    "11": speed.one_tenant_alone,
    "12": rates.a_flood,
    "13": deaths.cancels_and_deaths,
    "14": deaths.workers_that_are_killed,
    "15": deaths.fronts_that_are_killed,
    "16": bounds.how_soon_it_is_cancelled,
    "17": bounds.a_client_that_hangs_up,
    "19": bounds.hostile_bodies,
}
LONG = ("13", "14", "15")
"""What takes half an hour: only with --long, or by its number."""


def main() -> int:
    """Measure, print, and with --check exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.server", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="shorter times and fewer samples")
    parser.add_argument("--only", action="append", choices=tuple(ALL), help="only these numbers (repeatable)")
    parser.add_argument("--long", action="store_true", help=f"only what takes long: {', '.join(LONG)}")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    began = time.perf_counter()
    checks: list[Check] = []
    with wasmexec.Executor() as executor, tempfile.TemporaryDirectory() as folder:
        print("\n".join(f"{name}: {value}" for name, value in machine(executor).items() if name != "native"))
        context = Context(executor, Path(folder), options.quick)
        for name in options.only or (LONG if options.long else [name for name in ALL if name not in LONG]):
            for check in ALL[name](context):
                checks.append(check)
                mark = "ok" if check.met else "MISSED"
                print(f"{check.number:>3}  {check.what:<76}{check.measured:>14}  {check.target:<14}{mark}", flush=True)
    missed = [check for check in checks if not check.met]
    print(
        f"{time.perf_counter() - began:.0f} s, load {os.getloadavg()[0]:.1f}; {len(checks) - len(missed)} of "
        f"{len(checks)} reached"
    )
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
