"""`python -m tests.bench.million`: a million rows, row by row, in constant memory, and each wrong one on record.

It writes an input file, runs `wasmexec step run` on it as a process of its own, with a run store and an output file,
looks at the memory of that process and its workers all the time, and compares every stored and every delivered row
with what they must be. It prints what it found and exits with 1 if anything is not as claimed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil

from wasmexec.limits import MIB
from wasmexec.store import RunRecord, RunStore

ROWS = 1_000_000
GROWTH = 1.25
"""How many times the memory of the first tenths the last tenth may have."""
FIRST_TENTHS = 3
FEWEST_SAMPLES = 30
SAMPLE_SECONDS = 1.0
SLOWEST_ROWS_A_SECOND = 100
START_SECONDS = 120
STEP = """\
inputs:
  - name: orders
    schema:
      - {name: id, type: integer}
      - {name: customer, type: text}
      - {name: units, type: integer}
      - {name: packs, type: integer}
      - {name: price, type: double}
statement: |
  import pandas
  order = INPUT_DATA[0]
  return [{
      "id": order["id"],
      "customer": order["customer"].strip().title(),
      "each": order["units"] // order["packs"],
      "total": order["units"] * order["price"],
  }]
output_schema:
  type: object
  properties:
    id: {type: integer}
    customer: {type: string}
    each: {type: integer}
    total: {type: number, minimum: 0}
  required: [id, customer, each, total]
  additionalProperties: false
on_row_error: %s
"""
_DONE = re.compile(r"^([\d,]+) rows, [\d,]+/s")


class Wrong(NamedTuple):
    """What makes a row wrong, and what must be on record of it."""

    change: dict[str, object]
    status: int
    error: dict[str, object]


def wrong_rows(rows: int) -> dict[int, Wrong]:
    """The wrong rows by index: among the first, two in the middle side by side, and the very last."""
    text = Wrong({"units": "seven"}, 307, {"type": "InputSchemaError", "rule": "type", "value": "'seven'"})
    negative = Wrong(
        {"units": 3, "price": -1.5}, 306,
        {"type": "OutputError", "pointer": "/0/total", "rule": "minimum", "value": "-4.5"},
    )  # fmt: skip
    raising = Wrong({"packs": 0}, 300, {"type": "StatementRaised", "type_name": "ZeroDivisionError", "line": 6})
    places = {7: raising, rows // 2: negative, rows // 2 + 1: text, rows * 3 // 4: raising, rows - 1: negative}
    for index, wrong in places.items():
        if wrong is text:
            places[index] = wrong._replace(error={**wrong.error, "pointer": f"/{index}/units"})
    return places


def input_row(index: int) -> dict[str, object]:
    """A row that is not wrong."""
    return {
        "id": index, "customer": f"  customer {index % 9973} ", "units": index % 1000, "packs": 1 + index % 7,
        "price": index % 333 / 8,
    }  # fmt: skip


def output_row(index: int) -> dict[str, object]:
    """What the statement must make of it."""
    row: Any = input_row(index)
    return {
        "id": index, "customer": f"Customer {index % 9973}", "each": row["units"] // row["packs"],
        "total": row["units"] * row["price"],
    }  # fmt: skip


class Sample(NamedTuple):
    """The memory of the processes (PSS: shared pages counted once) after so many seconds."""

    seconds: float
    processes: int
    memory_bytes: int


@dataclass(slots=True)
class Proof:
    """One run: what was found, and in `problems` what is not as claimed."""

    rows: int
    exit_code: int = -1
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    progress: list[tuple[float, int]] = field(default_factory=list)
    run: RunRecord | None = None
    errors: list[tuple[int, int, Mapping[str, Any]]] = field(default_factory=list)
    stored: int = 0
    delivered: int | None = None
    stderr: str = ""
    problems: list[str] = field(default_factory=list)

    def claim(self, what: str, found: object, wanted: object) -> None:
        """Note a problem unless they are equal."""
        if found != wanted:
            self.problems.append(f"{what}: {found!r:.300}, must be {wanted!r:.300}")


def prove(folder: Path, rows: int = ROWS, *, on_row_error: str = "skip") -> Proof:
    """Make the input, run the step, look at everything."""
    wrong = wrong_rows(rows)
    step, source, target = folder / "orders.step.yaml", folder / "orders.jsonl", folder / "out.jsonl"
    step.write_text(STEP % on_row_error, encoding="utf-8")
    with source.open("w", encoding="utf-8") as file:
        for index in range(rows):
            row = input_row(index)
            if index in wrong:
                row |= wrong[index].change
            file.write(json.dumps(row) + "\n")
    proof = Proof(rows)
    _run(proof, folder, ["step", "run", step.name, "--input", source.name, "--output", target.name])
    kept = [] if on_row_error == "fail" else [index for index in range(rows) if index not in wrong]
    on_record = sorted(wrong)[: 1 if on_row_error == "fail" else None]
    with RunStore.open(folder / "runs.sqlite3", create=False) as store:
        proof.run = run = store.get_run(1)
        _check_errors(proof, store, {index: wrong[index] for index in on_record})
        pairs = ((item.source_row, item.row) for item in store.output(1))
        proof.stored = check_rows(proof, "stored", pairs, kept)
    proof.claim("state of the run", run.state, "finished")
    if on_row_error == "fail":
        proof.claim("status", run.status, wrong[on_record[0]].status)
        proof.claim("rows out, failed", (run.rows_out, run.rows_failed), (0, 1))
        proof.claim("the error of the run is that of the row", run.error, proof.errors[0][2] if proof.errors else None)
        proof.claim("output file", target.exists(), False)
    else:
        refused = sum(item.status == 307 for item in wrong.values())
        proof.claim("status", run.status, 202)
        proof.claim("exit code", proof.exit_code, 0)
        counts = (run.rows_in, run.rows_out, run.rows_failed, run.executions)
        proof.claim(
            "rows in, out, failed, executions", counts, (rows, rows - len(wrong), len(wrong), rows - refused)
        )  # fmt: skip
        with target.open(encoding="utf-8") as lines:
            delivered = ((index, json.loads(line)) for index, line in zip(kept, lines, strict=False))
            proof.delivered = check_rows(proof, "delivered", delivered, kept)
            proof.claim("after the last delivered row", lines.read(200), "")
    return proof


def _run(proof: Proof, folder: Path, arguments: list[str]) -> None:
    """Run the command until it ends, or kill it when it takes far too long."""
    environment = {**os.environ, "WASMEXEC_STORE": str(folder / "runs.sqlite3")}
    started = time.monotonic()
    deadline = started + START_SECONDS + proof.rows / SLOWEST_ROWS_A_SECOND
    process = psutil.Popen(
        [sys.executable, "-m", "wasmexec", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    reader = threading.Thread(target=_read, args=(proof, process.stderr, started), daemon=True)
    reader.start()
    while process.poll() is None:
        time.sleep(min(SAMPLE_SECONDS, 0.1 + (time.monotonic() - started) / 20))
        if time.monotonic() > deadline:
            proof.problems.append(f"killed after {time.monotonic() - started:.0f} s: it takes too long")
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
            break
        found = [memory for memory in map(_memory, _family(process)) if memory]
        if found:
            proof.samples.append(Sample(time.monotonic() - started, len(found), sum(found)))
    proof.exit_code = process.wait(60)
    proof.seconds = time.monotonic() - started
    reader.join(10)


def _read(proof: Proof, stream: IO[str], started: float) -> None:
    with stream:
        for line in stream:
            proof.stderr = (proof.stderr + line)[-4000:]
            if match := _DONE.match(line):
                proof.progress.append((time.monotonic() - started, int(match[1].replace(",", ""))))


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory(process: psutil.Process) -> int:
    """PSS in bytes; 0 if the process is gone."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def _check_errors(proof: Proof, store: RunStore, wrong: dict[int, Wrong]) -> None:
    after: int | None = 0
    while after is not None:
        page = store.row_errors(1, after=after, limit=1000)
        proof.errors += [(item.row, int(item.status), item.error) for item in page.errors]
        after = page.next_after
    proof.claim("rows on record as wrong", [index for index, _, _ in proof.errors], sorted(wrong))
    for index, status, error in proof.errors:
        wanted = wrong.get(index)
        if wanted is not None:
            found = {name: error.get(name) for name in wanted.error}
            proof.claim(f"record of row {index}", (status, found), (wanted.status, wanted.error))


def check_rows(proof: Proof, what: str, found: Iterator[tuple[int | None, object]], kept: list[int]) -> int:
    """Every row of `kept` once and in order; how many there are."""
    count = wrong = 0
    for pair, index in zip_longest(found, kept):
        count += pair is not None
        wanted = None if index is None else (index, output_row(index))
        if pair != wanted:
            wrong += 1
            if wrong <= 3:
                proof.claim(f"{what} row", pair, wanted)
    if wrong:
        proof.problems.append(f"{wrong:,} {what} rows are wrong, missing or too many")
    return count


def check_memory(samples: list[Sample]) -> tuple[int, int, str]:
    """The most memory in the first and in the last tenth since all processes run, and what is wrong with it, if so."""
    most = max((sample.processes for sample in samples), default=0)
    start = next((number for number, sample in enumerate(samples) if sample.processes == most), 0)
    steady = samples[start:]
    if len(steady) < FEWEST_SAMPLES:
        return 0, 0, f"the run is too short to say anything of memory: {len(steady)} samples"
    length = steady[-1].seconds - steady[0].seconds
    early = steady[0].seconds + length * FIRST_TENTHS / 10
    late = steady[-1].seconds - length / 10
    first = max(sample.memory_bytes for sample in steady if sample.seconds <= early)
    last = max(sample.memory_bytes for sample in steady if sample.seconds >= late)
    grown = f"memory grew from {first // MIB:,} to {last // MIB:,} MiB, more than {GROWTH} times"
    return first, last, grown if last > GROWTH * first else ""


def main() -> int:
    """Prove it and print everything."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.million", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="how many rows [%(default)s]")
    parser.add_argument("--on-row-error", choices=("skip", "fail"), default="skip")
    parser.add_argument("--folder", type=Path, help="keep everything there, which must be new or empty")
    options = parser.parse_args()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        if any(options.folder.iterdir()):
            parser.error(f"{options.folder} is not empty")
    print(f"{options.rows:,} rows, on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        proof = prove(options.folder or Path(name), options.rows, on_row_error=options.on_row_error)
    first, last, growth = check_memory(proof.samples)
    if growth and options.on_row_error == "skip":
        proof.problems.append(growth)
    print("\n".join(_report(proof, first, last)))
    return 1 if proof.problems else 0


def _report(proof: Proof, first: int, last: int) -> Iterator[str]:
    run = proof.run
    assert run is not None
    yield (
        f"run: status {run.status}, {run.rows_in:,} rows in, {run.rows_out:,} out, {run.rows_failed:,} failed, "
        f"{run.executions:,} executions"
    )
    for index, status, error in proof.errors:
        fields = {name: error[name] for name in ("pointer", "rule", "value") if name in error}
        yield f"row {index:,}: {status} {error['message']} {json.dumps(fields) if fields else ''}".rstrip()
    delivered = "" if proof.delivered is None else f", {proof.delivered:,} in the output file"
    yield f"rows in the store: {proof.stored:,}{delivered}; each compared"
    seconds = run.wall_seconds or proof.seconds
    yield f"time: {seconds:,.1f} s, {run.rows_in / seconds:,.0f} rows/s; load {os.getloadavg()[0]:.1f}"
    yield "seconds  rows done  processes  memory (PSS of all)"
    length = proof.samples[-1].seconds if proof.samples else 0.0
    for tenth in range(1, 11):
        part = [item for item in proof.samples if length * (tenth - 1) / 10 <= item.seconds <= length * tenth / 10]
        done = max((rows for moment, rows in proof.progress if moment <= length * tenth / 10), default=0)
        if part:
            low, high = (pick(item.memory_bytes for item in part) // MIB for pick in (min, max))
            yield f"{length * tenth / 10:>7.1f}  {done:>9,}  {part[-1].processes:>9}  {low:,} to {high:,} MiB"
    if first:
        most = max(item.memory_bytes for item in proof.samples) // MIB
        yield (
            f"memory: at most {most:,} MiB; since all processes run at most {first // MIB:,} in the first "
            f"{FIRST_TENTHS} tenths and {last // MIB:,} in the last: {last / first:.2f} times, {GROWTH} are allowed"
        )
    yield from (f"NOT AS CLAIMED: {problem}" for problem in proof.problems)
    if proof.problems and run.rows_in < proof.rows:
        yield proof.stderr
    yield "not as claimed" if proof.problems else "all as claimed"


if __name__ == "__main__":
    sys.exit(main())
