"""The differential sweep: every expression of the tables, in the guest and natively, compared to the last digit.

    python -m tests.differential.sweep                          all kinds; a table of what differs, by kind and way
    python -m tests.differential.sweep --kind hashes --show 20  these kinds, with examples of each way
    python -m tests.differential.sweep --grep ravel_multi       expressions that hold this text
    python -m tests.differential.sweep --try "hash(-1)"         one expression of your own on both sides
    python -m tests.differential.sweep --list                   the kinds and how many expressions each has

Exit status 0: whatever differs is listed in expected.toml with its reason, and every entry of that list is needed.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from tests.differential.sweep import differences, sides
from tests.differential.sweep.differences import WAYS, Comparison

import wasmexec

REPORT = Path(__file__).resolve().parents[3] / "build" / "sweep.txt"


def chosen(kinds: tuple[str, ...], grep: str | None, every: int) -> list[tuple[int, str, str]]:
    """Number, kind and text of each expression to compare."""
    found = [(number, kind, text) for number, (kind, text) in enumerate(sides.expressions())]
    if kinds:
        found = [one for one in found if any(part in one[1] for part in kinds)]
    if grep:
        found = [one for one in found if grep in one[2]]
    return found[::every]


def show(comparison: Comparison, examples: int, console: Console) -> None:
    """Print the table, and examples of each kind and way."""
    table = Table(title="differences that are not listed", title_justify="left")
    table.add_column("kind")
    for title in ("compared", "differ", "listed", *WAYS):
        table.add_column(title, justify="right")
    total: Counter[str] = Counter()
    for kind, ways in comparison.by_kind().items():
        total.update(ways)
        numbers = (comparison.compared[kind], sum(ways.values()), comparison.listed[kind], *(ways[way] for way in WAYS))
        table.add_row(kind, *(f"{number:,}" if number else "" for number in numbers))
    all_of = (comparison.compared.total(), total.total(), comparison.listed.total(), *(total[way] for way in WAYS))
    table.add_section()
    table.add_row("all", *(f"{number:,}" for number in all_of))
    console.print(table)
    shown: Counter[tuple[str, str]] = Counter()
    for difference in comparison.unlisted:
        shown[difference.kind, difference.way] += 1
        if shown[difference.kind, difference.way] <= examples:
            console.print(str(difference), markup=False, highlight=False, soft_wrap=True)


@click.command(help=__doc__)
@click.option("--kind", "kinds", multiple=True, help="Kinds whose name contains this.")
@click.option("--grep", help="Expressions that contain this.")
@click.option("--every", type=click.IntRange(1), default=1, help="Each n-th expression only.")
@click.option("--show", "examples", type=click.IntRange(0), default=0, help="Examples of each kind and way.")
@click.option("--image", help="Name of the image, or path of its manifest.")
@click.option("--try", "tried", multiple=True, help="An expression of your own.")
@click.option("--list", "listing", is_flag=True, help="Run nothing.")
def main(
    kinds: tuple[str, ...], grep: str | None, every: int, examples: int, image: str | None, tried: tuple[str, ...],
    listing: bool,
) -> None:  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 190)
    own = [(number, "tried", text) for number, text in enumerate(tried)]
    numbered = own or chosen(kinds, grep, every)
    if listing:
        for kind, count in Counter(kind for _, kind, _ in numbered).items():
            console.print(f"{count:7,}  {kind}", highlight=False)
        return
    with wasmexec.Executor(image) as executor:
        native, guest = asyncio.run(sides.answer_both([(number, text) for number, _, text in numbered], executor))
    if tried:
        for number, _, text in numbered:
            same = "the same" if native[number] == guest[number] else f"guest  {guest[number]}"
            console.print(f"{text}\n    native {native[number]}\n    {same}", markup=False, highlight=False)
        return
    expectations = differences.load_expected()
    comparison = differences.compare(numbered, native, guest, expectations)
    show(comparison, examples, console)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("".join(f"{difference}\n" for difference in comparison.unlisted), "utf-8")
    whole = not kinds and not grep and every == 1
    stale = [entry for entry in expectations if whole and not entry.used]
    for entry in stale:
        console.print(f"expected.toml: nothing differs any more for: {entry.suite}: {entry.reason}", highlight=False)
    if comparison.unlisted:
        console.print(f"each difference: {REPORT}", highlight=False)
    sys.exit(1 if comparison.unlisted or stale else 0)


if __name__ == "__main__":
    main()
