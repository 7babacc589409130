"""`python -m tests.bench`: measured numbers of the guest beside native CPython, taken in the same run.

Every line has the guest's median and p99, the native median, their ratio, and the target where there is one. The ratio
is what counts: machines are noisy, and both sides are measured in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests import reference
from tests.bench import cases, neighbours, packages, repeated, step_cases
from tests.bench.context import Context
from tests.bench.measure import Line, NativeWorker

import wasmexec

ALL = cases.ALL | repeated.ALL | packages.ALL | step_cases.ALL | neighbours.ALL
_HEAD = ("what", "guest", "p99", "native", "ratio", "target", "")


def main() -> int:
    """Measure, print, and with --check exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples: a minute instead of several")
    parser.add_argument("--only", action="append", choices=tuple(ALL), help="only these cases (repeatable)")
    parser.add_argument("--image", help="guest image (name or manifest file)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    started = time.perf_counter()
    lines: list[Line] = []
    with wasmexec.Executor(options.image) as executor, NativeWorker() as native:
        facts = machine(executor)
        print("\n".join(f"{name}: {value}" for name, value in facts.items()))
        print(_row(_HEAD))
        for found in _measure(Context(executor, native, options.quick), options.only or tuple(ALL)):
            lines.append(found)
            print(_row(_cells(found)), flush=True)
    missed = [found.name.strip() for found in lines if found.met is False]
    print(f"{time.perf_counter() - started:.0f} s, load {os.getloadavg()[0]:.1f}; " + _verdict(lines, missed))
    if options.json is not None:
        record = {"machine": facts, "quick": options.quick, "lines": [found.as_dict() for found in lines]}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if missed and options.check else 0


def machine(executor: wasmexec.Executor) -> dict[str, str]:
    """What the numbers were taken on."""
    processor = platform.processor() or platform.machine()
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if text.startswith("model name"):
            processor = text.partition(":")[2].strip()
            break
    image = executor.image
    return {
        "machine": f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "native": reference.description(),
        "image": f"{image.name} {image.stamp}, wasmtime {image.wasmtime}",
    }


def _measure(context: Context, names: tuple[str, ...] | list[str]) -> Iterator[Line]:
    for name in names:
        yield from ALL[name](context)


def _cells(found: Line) -> tuple[str, ...]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:,.{2 if value < 100 else 0}f} {found.unit}".rstrip()

    ratio = found.ratio
    text = "" if ratio is None else f"{ratio:.2f}x" if ratio >= 0.1 else f"1/{1 / ratio:.0f}"
    mark = "" if found.met is None else "ok" if found.met else "MISSED"
    comment = f"  {found.comment}" if found.comment else ""
    return (
        found.name, shown(found.guest), shown(found.guest_p99), shown(found.native), text, found.target, mark + comment,
    )  # fmt: skip


def _row(cells: tuple[str, ...]) -> str:
    name, *numbers, target, mark = cells
    return f"{name:<54}" + "".join(f"{number:>12}" for number in numbers) + f"  {target:<17}{mark}".rstrip()


def _verdict(lines: list[Line], missed: list[str]) -> str:
    with_target = sum(found.met is not None for found in lines)
    if missed:
        return f"{len(missed)} of {with_target} targets missed: {'; '.join(missed)}"
    return f"all {with_target} targets met"


if __name__ == "__main__":
    sys.exit(main())
