"""`make conformance`: upstream's own tests in the guest, compared with the same tests on native CPython.

    python -m tests.conformance                     every suite; what has run already with this image is not run again
    python -m tests.conformance numpy pandas        these suites
    python -m tests.conformance pandas/frame        the shards whose name contains "frame"
    python -m tests.conformance --report            the table of what has run so far

Exit status 0: every test that passes natively passes in the guest, is skipped there, or is listed in expected.toml.
"""

import asyncio
import base64
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from tests import reference
from tests.conformance import bundle, compare, runner
from tests.conformance.bundle import Shard
from tests.conformance.store import ShardResult, Store
from tests.conformance.suites import BY_NAME, SUITES

import wasmexec
from wasmbuild.cache import Cache, default_cache
from wasmbuild.stamp import file_hash
from wasmexec.image import find_image

CHECKOUT = Path(__file__).parents[2]
SIDES = ("native", "guest")


class Plan:
    """The chosen shards, and where their results are."""

    def __init__(self, chosen: Iterable[str], image: str | None, cache: Cache) -> None:
        self.cache = cache
        self.image = find_image(image)
        requirements = file_hash(CHECKOUT / "tests" / "requirements-native.txt")
        results = bundle.folder(cache) / "results"
        self.stores = {
            "guest": Store(results / f"guest-{self.image.stamp[:16]}"),
            "native": Store(results / f"native-{sys.version.split()[0]}-{requirements[:16]}-{reference.stamp()}"),
        }
        self.sources: dict[str, Path] = {}
        self.shards: list[Shard] = []
        for word in chosen or [suite.name for suite in SUITES]:
            name, _, part = word.partition("/")
            if name not in BY_NAME:
                raise click.BadParameter(f"there is no suite {name!r}; there are {', '.join(BY_NAME)}")
            suite = BY_NAME[name]
            self.sources[name] = bundle.fetch_suite(suite, cache)
            found = [shard for shard in bundle.plan_shards(suite, self.sources[name]) if part in shard.name]
            if not found:
                raise click.BadParameter(f"no shard of {name} has {part!r} in its name")
            self.shards += [shard for shard in found if shard not in self.shards]

    def waiting(self, sides: Iterable[str]) -> list[tuple[Shard, str]]:
        """What has not run yet."""
        return [(shard, side) for shard in self.shards for side in sides if self.stores[side].load(shard) is None]


async def run_all(plan: Plan, sides: Iterable[str], jobs: int, console: Console) -> None:
    """Run what is missing, `jobs` shards at a time, each result stored as soon as it is there."""
    queue = plan.waiting(sides)
    tools = base64.b64encode(bundle.pack_tools(plan.cache)).decode()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("shards, {task.fields[tests]:,} tests"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with wasmexec.Executor(plan.image.manifest) as executor, Progress(*columns, console=console) as display:
        bar = display.add_task("conformance", total=len(queue), tests=0)
        runners: dict[str, runner.Guest | runner.Native] = {
            "guest": runner.Guest(executor),
            "native": runner.Native(),
        }
        tests = 0

        def on_test() -> None:
            nonlocal tests
            tests += 1
            if tests % 20 == 0:
                display.update(bar, tests=tests)

        async def work() -> None:
            while queue:
                shard, side = queue.pop(0)
                display.update(bar, description=f"{shard.name} ({side})"[-44:])
                source = plan.sources[shard.suite.name]
                result = await runner.run_shard(shard, source, tools, runners[side], on_test)
                plan.stores[side].save(shard, result)
                display.update(bar, advance=1, tests=tests)
                if not console.is_terminal:
                    console.print(f"{shard.suite.name} {shard.name} {side}: {_in_words(result)}", highlight=False)

        await asyncio.gather(*(work() for _ in range(jobs)))


def _in_words(result: ShardResult) -> str:
    counts: dict[str, int] = {}
    for test in result.tests:
        counts[test.outcome] = counts.get(test.outcome, 0) + 1
    text = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "no tests"
    problems = sum(1 for item in result.collected if item.outcome != "skipped")
    return f"{text}{f', {problems} not collected' if problems else ''} in {result.seconds:.0f} s"


def compare_all(plan: Plan, expectations: list[compare.Expectation]) -> tuple[list[compare.Comparison], int]:
    """The comparison of each suite, and how many shards are left out because they have not run on both sides."""
    comparisons: dict[str, compare.Comparison] = {}
    absent = 0
    for shard in plan.shards:
        native, guest = (plan.stores[side].load(shard) for side in SIDES)
        if native is None or guest is None:
            absent += 1
            continue
        into = comparisons.setdefault(shard.suite.name, compare.Comparison(shard.suite.name))
        compare.compare_shard(shard.suite, native, guest, expectations, into)
    return list(comparisons.values()), absent


def show(comparison: compare.Comparison, console: Console) -> None:
    """Print the table of one suite."""
    table = Table(title=comparison.suite, title_justify="left")
    table.add_column("module")
    for title in (
        "passed natively",
        "passed",
        "listed",
        "not listed",
        "skipped here",
        "skipped in both",
        "failed natively",
        "%",
    ):
        table.add_column(title, justify="right")
    for name, line in [*sorted(comparison.lines.items()), ("all", comparison.total)]:
        numbers = (
            line.native_passed, line.passed, line.listed, line.unlisted, line.only_guest_skips, line.native_skipped,
            line.native_failed,
        )  # fmt: skip
        table.add_row(name, *(f"{number:,}" for number in numbers), f"{line.rate:.2f}", end_section=name == "all")
    console.print(table)


@click.command(help=__doc__)
@click.argument("suites", nargs=-1)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Shards at a time.")
@click.option("--image", help="Name of the image, or path of its manifest.")
@click.option("--side", type=click.Choice(SIDES), help="Run this side only.")
@click.option("--again", is_flag=True, help="Forget the stored results of the chosen shards.")
@click.option("--report", is_flag=True, help="Run nothing.")
def main(suites: tuple[str, ...], jobs: int, image: str | None, side: str | None, again: bool, report: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 150)
    plan = Plan(suites, image, default_cache())
    sides = (side,) if side else SIDES
    if again:
        for shard in plan.shards:
            for name in sides:
                plan.stores[name].forget(shard)
    if not report:
        asyncio.run(run_all(plan, sides, jobs, console))
    expectations = compare.load_expectations()
    comparisons, absent = compare_all(plan, expectations)
    failures = [failure for comparison in comparisons for failure in comparison.unlisted]
    for comparison in comparisons:
        show(comparison, console)
    listing = bundle.folder(plan.cache) / "unlisted.txt"
    listing.write_text("".join(f"{f.suite} {f.name} {f.outcome}: {f.message}\n" for f in failures), "utf-8")
    stale = [] if suites or absent else [entry for entry in expectations if not entry.used]
    for entry in stale:
        console.print(f"expected.toml: nothing fails any more for: {entry.suite}: {entry.reason}", highlight=False)
    if absent:
        console.print(f"{absent} shards have not run on both sides and are not in the table")
    if failures:
        console.print(f"{len(failures)} tests pass natively, fail in the guest and are not listed: {listing}")
    sys.exit(1 if failures or stale or absent else 0)


if __name__ == "__main__":
    main()
