"""`wasmexec fuzz`: inputs that break a step, made small and kept."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from . import inputs, statements
from .step_support import folder_option
from .streams import emit
from .terminal import clean, note, say

if TYPE_CHECKING:
    from ..fuzzing.campaign import Summary
    from ..fuzzing.finding import Finding
    from ..fuzzing.store import FuzzStore
    from ..fuzzing.target import Target
    from ..step import Step

_NOTHING, _FINDINGS, _DID_NOT_RUN, _STOPPED = 0, 1, 2, 3


@click.command(
    "fuzz",
    short_help="Find the rows that break a step.",
    epilog="""\
A step file is fuzzed by its input schemas, else by the rows of its test cases; a statement by
--input-schema. Exceptions that are meant to be raised stand in the step: expect: [ValueError].

Examples:

\b
  wasmexec fuzz orders.step.yaml
  wasmexec fuzz orders.step.yaml --replay
  wasmexec fuzz orders.step.yaml --time 600 --save-cases
  wasmexec fuzz clean.py --input-schema rows.json --output-schema out.json --runs 20000
  wasmexec fuzz serve orders.step.yaml     inputs of another fuzzer, a JSON object a line

Exit codes:

\b
  0  nothing was found (with --replay: everything is fixed)
  1  something was found
  2  nothing ran: a file or an option is wrong
  3  stopped by Ctrl-C; what was found and learnt is kept
""",
)
@click.argument("named", metavar="[serve] STEP|FILE", nargs=-1, required=True)
@click.option("--input-schema", metavar="FILE", help="Of a statement: the JSON Schema or column list of its rows.")
@click.option("--output-schema", metavar="FILE", help="Of a statement: what its rows must match.")
@click.option(
    "--time", "seconds", type=click.FloatRange(0.1, 7 * 86_400), metavar="SECONDS", help="How long [default: 60]."
)
@click.option("--runs", type=click.IntRange(1, 10**10), metavar="N", help="How many executions, in place of a time.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63), metavar="N", help="Decides the inputs [default: another one each time]."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes that search.")
@click.option(
    "--mode", type=click.Choice(["valid", "invalid", "mixed"]), default="valid", show_default=True,
    help="Inputs that the schemas take, that they refuse, or both. What they refuse may be answered by any exception.",
)  # fmt: skip
@click.option(
    "--property", "property_file", metavar="FILE",
    help="A statement with the input as INPUT_DATA and the rows as INPUT_DATA2, which raises where they do not fit.",
)  # fmt: skip
@click.option(
    "--http", type=click.Choice(["recorded", "faults"]), default="recorded", show_default=True,
    help="Answers of the step's cases, or each failure of HTTP in turn too. Never the network.",
)  # fmt: skip
@click.option(
    "--slow",
    "slow_seconds",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Processor time that an execution may use.",
)
@click.option("--no-coverage", is_flag=True, help="Do not look at which branches an input takes.")
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where findings and corpus are kept [default: .wasmexec/fuzz/STEP beside the file].",
)
@click.option(
    "--replay",
    "replayed",
    metavar="[ID]",
    is_flag=False,
    flag_value="",
    help="Only run stored findings again: FIXED, FAILED, CHANGED or ERROR.",
)
@click.option("--minimize", metavar="ID", help="Only make a stored finding smaller, from where that stopped.")
@click.option("--continue", "goes_on", is_flag=True, help="Go on with the seed and the count of the last time.")
@click.option("--save-cases", is_flag=True, help="Append each finding to the step's test cases.")
@click.option(
    "--report", "form", type=click.Choice(["text", "json", "sarif", "junit"]), default="text", show_default=True
)
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
@folder_option
def command(named: tuple[str, ...], **values: Any) -> int:
    """Run a step on inputs made to break it, and show the smallest that do, with the line and a command to replay it.

    Every finding is confirmed three times, each in a fresh instance. Nothing reaches the network, nothing is stored but
    findings and corpus.
    """
    from ..executor import Executor
    from ..fuzzing.store import FuzzStore
    from ..fuzzing.target import Target, TargetOptions

    is_served = named[0] == "serve" and len(named) == 2
    if len(named) != 1 and not is_served:
        raise click.UsageError("give one step file, or one statement")
    step, path = _step(named[-1], values)
    text = None if values["property_file"] is None else statements.read_statement(values["property_file"])[1]
    options = TargetOptions(
        mode=values["mode"], property_statement=text, http_faults=values["http"] == "faults",
        slow_seconds=values["slow_seconds"], use_probes=not values["no_coverage"],
    )  # fmt: skip
    corpus = values["corpus"]
    store = FuzzStore.beside(path, step.name) if corpus is None else FuzzStore(corpus)
    with (
        Executor(values["image"] or step.definition.image, workers=1) as executor,
        Target(step, executor=executor, options=options) as target,
    ):
        if is_served:
            from ..fuzzing.line_protocol import serve

            serve(target, sys.stdin.buffer, sys.stdout.buffer)
            return _NOTHING
        if values["replayed"] is not None:
            return _replay(target, store, values["replayed"])
        if values["minimize"] is not None:
            return _minimize(target, store, values["minimize"], _invocation(named[-1], values))
        return _fuzz(target, store, named[-1], values)


def _fuzz(target: Target, store: FuzzStore, named: str, values: dict[str, Any]) -> int:
    from ..fuzzing import report
    from ..fuzzing.campaign import Bounds, Campaign

    statement, invocation = target.definition.statement, _invocation(named, values)
    state = store.state() if values["goes_on"] else {}
    seed = values["seed"]
    if seed is None:
        seed = state.get("seed", secrets.randbelow(2**32))
    seconds = values["seconds"] or (60.0 if values["runs"] is None else 7.0 * 86_400)
    bounds = Bounds(seconds=seconds, runs=values["runs"], seed=seed, first=state.get("made", 0), jobs=values["jobs"])
    is_text = values["form"] == "text"

    def on_finding(finding: Finding) -> None:
        if is_text:
            where = report.place(finding, statement)
            say(f"found {finding.verdict.kind} {finding.id} at {where}; it is made smaller at the end")

    summary = Campaign(target, store, bounds, on_finding).run()
    for text in (*store.notes, *summary.notes):
        note(text)
    if is_text:
        emit(report.summary_line(summary, statement) + "\n")
        for finding in summary.findings:
            emit("\n" + clean(report.finding_text(finding, statement, invocation)) + "\n")
    elif values["form"] == "json":
        emit(report.as_json(summary.findings, summary, statement) + "\n")
    elif values["form"] == "sarif":
        emit(report.as_sarif(summary.findings, statement) + "\n")
    else:
        emit(report.as_junit(summary.findings, summary, statement, target.step.name, invocation) + "\n")
    if values["save_cases"]:
        _save(target, summary)
    return _code(summary)


def _code(summary: Summary) -> int:
    if summary.is_stopped:
        return _STOPPED
    if not summary.runs:
        raise ConfigError("nothing ran: no input was made that the schemas take; give the step a test case with rows")
    return _FINDINGS if summary.findings else _NOTHING


def _save(target: Target, summary: Summary) -> None:
    from ..fuzzing.saving import SAVABLE, save_cases

    path, added = save_cases(target.definition, summary.findings)
    for name in added:
        say(f"saved in {path}: {name}")
    for finding in summary.findings:
        if finding.verdict.kind not in SAVABLE:
            note(f"{finding.id} is {finding.verdict.kind}, which no test case can show: --replay does")


def _replay(target: Target, store: FuzzStore, named: str) -> int:
    from ..fuzzing.campaign import replay

    found = [store.finding(named)] if named else store.findings()
    if not found:
        raise ConfigError(f"there are no findings in {store.folder}")
    outcomes = []
    for finding in found:
        outcome, text = replay(target, finding)
        outcomes.append(outcome)
        emit(clean(f"{outcome} {finding.id} {finding.verdict.kind}: {text}").replace("\n", "\\n") + "\n")
    for text in store.notes:
        note(text)
    return _NOTHING if set(outcomes) == {"FIXED"} else _FINDINGS


def _minimize(target: Target, store: FuzzStore, named: str, invocation: str) -> int:
    from ..fuzzing import report
    from ..fuzzing.shrink import Shrinker

    finding = Shrinker(target, store.finding(named)).run()
    store.keep_finding(finding)
    emit(clean(report.finding_text(finding, target.definition.statement, invocation)) + "\n")
    return _FINDINGS


def _invocation(named: str, values: dict[str, Any]) -> str:
    """The command that was given, with the options that decide what a replay does."""
    import shlex

    from ..fuzzing.target import DEFAULT_SLOW_SECONDS

    words = ["wasmexec", "fuzz", named]
    names = {
        "input_schema": "--input-schema",
        "output_schema": "--output-schema",
        "property_file": "--property",
        "corpus": "--corpus",
    }
    for name, option in names.items():
        if values[name] is not None:
            words += [option, str(values[name])]
    if values["image"] is not None:
        words += ["--image", values["image"]]
    for folder in values["allow_folders"]:
        words += ["--allow-folder", str(folder)]
    if values["slow_seconds"] != DEFAULT_SLOW_SECONDS:
        words += ["--slow", f"{values['slow_seconds']:g}"]
    if values["http"] != "recorded":
        words += ["--http", values["http"]]
    if values["mode"] != "valid":
        words += ["--mode", values["mode"]]
    return shlex.join(words)


def _step(named: str, values: dict[str, Any]) -> tuple[Step, Path]:
    """The step in a file, or the one that a statement and its schemas make."""
    from ..step import Step

    path = Path(named)
    schemas = values["input_schema"], values["output_schema"]
    if path.suffix in (".yaml", ".yml", ".json"):
        if any(schemas):
            raise click.UsageError("a step file has its schemas: --input-schema and --output-schema are for statements")
        return Step.load(path, allow_folders=values["allow_folders"]), path
    if values["save_cases"]:
        raise click.UsageError("--save-cases is for step files: a statement by itself has no test cases")
    if None in schemas:
        raise click.UsageError("a statement needs --input-schema and --output-schema")
    from ..step.file.definition import InputDefinition, StatementText, StepDefinition

    _, text = statements.read_statement(named)
    made = inputs.read_schema(values["input_schema"], "input", lenient=False)
    output = inputs.read_schema(values["output_schema"], "output", lenient=False)
    definition = StepDefinition(
        name=path.name, statement=StatementText(text, named), inputs=(InputDefinition("input", made),), output=output,
        processing="bulk",
    )  # fmt: skip
    return Step(definition), path
