"""`wasmexec step test`: the cases beside step files."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .step_support import folder_option
from .streams import emit, emit_coloured
from .terminal import clean, note, one_line, say, style

_FAILED = 1


@click.command(
    "test",
    short_help="Run the test cases beside step files.",
    epilog="""\
The cases of orders.step.yaml are in orders.tests.yaml:

\b
  cases:
    - name: two orders of one city
      input: [{city: Brno, amount: 3}, {city: Brno, amount: 4}]
      expect:
        rows: [{city: Brno, total: 7}]

Exit codes:

\b
  0  all cases pass
  1  a case does not pass
  2  a file is wrong, or there are no cases
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--case", "names", metavar="NAME", multiple=True, help="Only this case (repeatable).")
@click.option("--cases", "cases_file", metavar="FILE", type=click.Path(path_type=Path), help="The file with the cases.")
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
@folder_option
def command(
    files: tuple[Path, ...], names: tuple[str, ...], cases_file: Path | None, image: str | None,
    allow_folders: tuple[Path, ...],
) -> int:  # fmt: skip
    """Run the cases beside step files: given inputs, checkpoint and recorded HTTP answers, compare what comes out.

    Nothing is stored and nothing reaches the network.
    """
    from ..executor import Executor
    from ..step import Step
    from ..step.cases import load_cases, run_case

    if cases_file is not None and len(files) > 1:
        raise click.UsageError("--cases belongs to one step file")
    started = time.monotonic()
    passed = failed = 0
    for file in files:
        step = Step.load(file, allow_folders=allow_folders)
        cases = load_cases(file, step.definition, cases_file)
        if not cases:
            raise click.UsageError(f"{file} has no cases beside it ({file.name.split('.', 1)[0]}.tests.yaml)")
        unknown = set(names) - {case.name for case in cases}
        if unknown and len(files) == 1:
            raise click.UsageError(
                f"there is no case {min(unknown)!r}; there are: {', '.join(case.name for case in cases)}"
            )
        with Executor(image or step.definition.image, workers=2) as executor:
            for case in cases:
                if names and case.name not in names:
                    continue
                outcome = run_case(step, case, executor)
                passed += outcome.has_passed
                failed += not outcome.has_passed
                mark = style("pass", fg="green") if outcome.has_passed else style("FAIL", fg="red", bold=True)
                emit_coloured(f"{mark} {one_line(step.name)}: {one_line(case.name)}\n")
                for difference in outcome.differences:
                    emit(clean(str(difference)).replace("\n", "\n    ").join(("    ", "\n")))
                if not outcome.has_passed:
                    for item in outcome.result.logs:
                        note(f"log {item.record.level}: {item.record.message}")
    say(f"{passed} passed, {failed} failed ({time.monotonic() - started:.2f} s)")
    return _FAILED if failed else 0
