"""Differential and metamorphic fuzzing: random programs in the guest and on native CPython with the same packages.

    python -m tests.differential.fuzz                      go on where the last run stopped, for two minutes
    python -m tests.differential.fuzz --pairs 1000000      so many more pairs (about half an hour on two cores)
    python -m tests.differential.fuzz --case 4711          one case: its program and both answers
    python -m tests.differential.fuzz --alone              the guest only, judged by relations
    python -m tests.differential.fuzz --plant FILE         run this Python in each instance first: is that fault found?

A case follows from its number alone. Stopped with Ctrl-C, a run keeps its counts, and the next goes on behind it; what
it found is in build/fuzz-differential/findings, each a program that runs. Exit status: 0 whatever differs is listed in
expected.toml (legitimate, with its reason) or faults.toml (ours, to be mended), and every entry of these is still
true; 1 something else was found; 2 nothing could run; 3 stopped.
"""

import json
import shutil
import signal
import sys
import time
from pathlib import Path

import click
from tests import reference
from tests.differential.fuzz import campaign, cases, comparing, house, known, sides
from tests.differential.fuzz.campaign import FOLDER, Campaign, Counts, Finding

import wasmexec

HOUSE_SHARE = 200
"""One pair of the house for so many others."""


class Progress:
    """The counts in one line, in place on a terminal, else every half minute."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = 1.0 if self._terminal else 30.0
        self._next = time.monotonic() + self._every

    def show(self, counts: Counts) -> None:
        """Show them if it is time."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            click.echo(f"\r{counts.line()}\033[K" if self._terminal else counts.line(), err=True, nl=not self._terminal)


def check_lists(fuzzer: Campaign) -> list[str]:
    """What is no longer true of the two lists."""
    wrong = []
    for file, advice in ((known.EXPECTED, "remove it"), (known.FAULTS, "mended: move its program to ../programs")):
        entries = known.load(file)
        differences = fuzzer.compare_each([entry.case for entry in entries])
        for entry, found in zip(entries, differences, strict=True):
            if known.stale([entry], [found]):
                wrong.append(f"{file.name}: not so any more ({advice}): {entry.reason}\n    now: {found}")
    return wrong


def show_case(executor: wasmexec.Executor, seed: int, before: str) -> bool:
    """Print a case and both answers; whether they are the same."""
    case = cases.make(seed)
    click.echo(f"# {case.recipe}\n{case.program}\n# tolerance: {case.tolerance.rule} {case.tolerance.amount}")
    guest = sides.answer_all([case.program], sides.Guest(executor, before).ask)[0]
    with sides.Native() as native:
        answer = sides.answer_all([case.program], native.ask)[0]
    difference = comparing.compare(answer, guest, case.tolerance)
    click.echo(f"native  {answer}\nguest   {guest}\n{difference or 'the same'}")
    return difference is None


class Findings:
    """Writes each finding as a program as soon as it is confirmed, and shows the first of each kind."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def add(self, finding: Finding) -> None:
        """Write it, and show it if none like it has been shown."""
        folder = FOLDER / "findings"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{finding.case.seed}.py"
        file.write_text(finding.text(), "utf-8")
        if finding.likeness not in self._shown:
            self._shown.add(finding.likeness)
            click.echo(f"\n{finding.text()}# {file}")


@click.command(help=__doc__)
@click.option("--pairs", type=click.IntRange(1), help="How many pairs to compare.")
@click.option("--seconds", type=click.FloatRange(1), help="For how long; 120 without --pairs.")
@click.option("--seed", type=click.IntRange(0), help="The first case; else the one behind the last run.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Batches at the same time.")
@click.option("--case", "case", type=click.IntRange(0), help="Run this case only, and show it.")
@click.option("--alone", is_flag=True, help="No native side: relations judge the guest.")
@click.option("--plant", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Python for each instance.")
@click.option("--image", help="Name of the image, or path of its manifest.")
@click.option("--restart", is_flag=True, help="Forget counts and findings of earlier runs.")
def main(
    pairs: int | None, seconds: float | None, seed: int | None, jobs: int, case: int | None, alone: bool,
    plant: Path | None, image: str | None, restart: bool,
) -> None:  # fmt: skip
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has it ignore interrupts, in the background
        signal.signal(number, signal.default_int_handler)
    before = plant.read_text("utf-8") if plant else ""
    try:
        reference.python()
        executor = wasmexec.Executor(image, workers=jobs + 1)  # one more, for confirmations
    except (FileNotFoundError, wasmexec.WasmexecError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    with executor:
        if case is not None:
            sys.exit(0 if show_case(executor, case, before) else 1)
        if restart:
            shutil.rmtree(FOLDER, ignore_errors=True)
        stamp = f"{executor.image.stamp} {reference.stamp()}"
        own = alone or plant is not None or seed is not None  # a look at something: no part of the count
        counts = Counts(stamp) if own else campaign.load_counts(stamp)
        counts.next_seed = counts.next_seed if seed is None else seed
        fuzzer = Campaign(
            sides.Guest(executor, before), counts, jobs=jobs, alone=alone,
            expected=known.load(known.EXPECTED), faults=known.load(known.FAULTS),
            on_finding=Findings().add,
        )  # fmt: skip
        stopped = False
        seconds = seconds if seconds is not None or pairs is not None else 120.0
        first = counts.pairs
        with fuzzer:
            wrong = [] if alone or plant else check_lists(fuzzer)
            try:
                fuzzer.run(
                    pairs=pairs, seconds=seconds, save=None if own else campaign.save_counts, progress=Progress().show
                )
            except KeyboardInterrupt:
                stopped = True
        if not alone and not stopped:
            wrong += house.run(executor, counts.next_seed, (counts.pairs - first) // HOUSE_SHARE)
    click.echo(f"\n{counts.line()}\n{json.dumps(dict(counts.families))}, {counts.raised:,} raised on both sides")
    for line in wrong:
        click.echo(line)
    sys.exit(3 if stopped else 1 if fuzzer.findings or wrong else 0)


if __name__ == "__main__":
    main()
