"""`wasmexec run`: one statement, its rows on standard output."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, ExecutionCancelled, InputError
from ..result import LogRecord, Result
from ..status import Status
from . import exit_codes, inputs, network_options, outputs, parameters, report, statements
from .streams import emit
from .terminal import note, show_record

if TYPE_CHECKING:
    from ..schema import Schema
    from ..secret import Secret


@click.command(
    "run",
    short_help="Run a statement and print its rows.",
    epilog=exit_codes.HELP
    + """
A column list for --output-schema and --input-schema:

\b
  [{"name": "id", "type": "integer"}, {"name": "note", "type": "text", "allow_null": true},
   {"name": "items", "type": "table", "columns": [{"name": "sku", "type": "text"}]}]
  types: text integer double boolean datetime base64 json, and object table with columns

"""
    + network_options.GRANTS_HELP
    + "\n"
    + network_options.WAY_HELP
    + """
Examples:

\b
  wasmexec run sales.py --input sales.csv --input-schema orders.schema.json --output-schema sales.schema.json
  cat rows.jsonl | wasmexec run clean.py --input - --input-format jsonl --format jsonl
  wasmexec run fetch.py --allow-http "GET https://api.example.com" --proxy env --ca-file company.pem
  wasmexec run fetch.py --allow-http api.example.com --secret-env TOKEN --secret-host TOKEN=api.example.com
  wasmexec run since.py --checkpoint '"2026-11-01"' --local region='"north"' --result
""",
)
@click.argument("statement", metavar="FILE|-")
@inputs.input_options
@inputs.schema_options
@click.option(
    "--output-schema",
    metavar="FILE",
    help="JSON Schema (its $schema names the draft; else 2020-12) or column list, as JSON, that the rows must match.",
)
@click.option(
    "--lenient", is_flag=True, help="Column lists: drop extra keys, do not check base64, take strings in json columns."
)
@click.option("--checkpoint", metavar="JSON", help="DATA_CHECKPOINT (null without it).")
@click.option(
    "--local",
    "local_variables",
    metavar="NAME=JSON",
    multiple=True,
    type=parameters.PairType(),
    help="LocalVariable.NAME.",
)
@click.option(
    "--secret", "secrets", metavar="NAME=VALUE", multiple=True, type=parameters.PairType(),
    help="LocalVariable.NAME, masked in logs and errors. Others can read command lines: prefer --secret-env.",
)  # fmt: skip
@click.option(
    "--secret-env", "environment_secrets", metavar="NAME[=VARIABLE]", multiple=True,
    type=parameters.PairType(value_optional=True), help="The same from an environment variable.",
)  # fmt: skip
@click.option(
    "--secret-host", "secret_hosts", metavar="NAME=HOST[:PORT]", multiple=True, type=parameters.PairType(),
    help="The statement gets a placeholder for the secret NAME, which becomes the value only in headers of HTTPS "
    "requests to HOST (http://HOST:PORT: in the clear). Does not allow the host by itself.",
)  # fmt: skip
@click.option(
    "--secret-also-in", "secret_parts", metavar="NAME=url|body", multiple=True, type=parameters.PairType(),
    help="With --secret-host: the value may stand in the URL or the body of these requests, too.",
)  # fmt: skip
@network_options.grant_options
@network_options.way_options
@parameters.limit_options
@outputs.output_option
@outputs.format_option
@outputs.escape_option
@click.option(
    "--result", "whole_result", is_flag=True, help="Print status, rows, logs, error and usage as one JSON object."
)
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: full, else core].")
def command(statement: str, **values: Any) -> int:
    """Run the statement in FILE (- for standard input) and print its rows, or write them to --output.

    Log lines appear on standard error as they happen. Ctrl-C cancels the execution.
    """
    if values["whole_result"] and (values["output"] or values["form"] not in (None, "json")):
        raise click.UsageError("--result prints one JSON object: drop --format and --output")
    _check_standard_input(statement, values)
    arguments = _run_arguments(values)
    file_name, text = statements.read_statement(statement)
    target = outputs.destination(values["output"])
    form = values["form"] or outputs.form_by_name(values["output"])
    outputs.refuse_escape(form, escape_formulas=values["escape_formulas"])
    schema = None
    remarks: list[str] = []

    def remark(text: str) -> None:
        remarks.append(text)
        note(text)

    try:
        schema = _read_schema(values)
        arguments["output_schema"] = schema
        read = inputs.read_inputs(values, remark, lenient=values["lenient"], max_bytes=arguments["limits"].input_bytes)
        arguments |= {"input_data": read[0] if read else None, "extra_inputs": read[1:]}
        if schema is None:
            note('no --output-schema: only "a list of objects" is checked')
        elif schema.note:
            note(f"--output-schema: {schema.note}")
        result = _execute(text, values["image"], arguments)
    except ConfigError as error:
        result = Result(status=Status.CONFIG_REFUSED, error=error)
    except InputError as error:
        result = Result(status=Status.INPUT_REFUSED, error=error)
    report.report(result, file_name, text)
    result.warnings[:0] = remarks
    if values["whole_result"]:
        emit(outputs.to_json(result.as_dict(), indent=True) + "\n")
    elif result.status.succeeded:
        names = None if schema is None else schema.column_names
        outputs.write_rows(result.rows, form, names, target, escape_formulas=values["escape_formulas"])
    return exit_codes.exit_code(result.status)


def _check_standard_input(statement: str, values: dict[str, Any]) -> None:
    schemas = [
        values["output_schema"],
        *(values[f"input{number}_schema"] for number in range(1, inputs.LAST_INPUT + 1)),
    ]
    sources = [statement, *schemas, *inputs.sources(values)]
    if sources.count("-") > 1:
        raise click.UsageError("standard input (-) can be the statement or one input, not both")


def _run_arguments(values: dict[str, Any]) -> dict[str, Any]:
    secrets = parameters.unique(values["secrets"], "--secret")
    for name, variable in parameters.unique(values["environment_secrets"], "--secret-env").items():
        if name in secrets:
            raise click.BadParameter(f"{name} is given by --secret, too", param_hint="--secret-env")
        if variable not in os.environ:
            raise click.BadParameter(f"the environment has no variable {variable}", param_hint="--secret-env")
        secrets[name] = os.environ[variable]
    local_texts = parameters.unique(values["local_variables"], "--local")
    checkpoint = values["checkpoint"]
    return {
        "checkpoint": None if checkpoint is None else parameters.json_value(checkpoint, "--checkpoint"),
        "local_variables": {name: parameters.json_value(text, "--local") for name, text in local_texts.items()},
        "secrets": _bound(secrets, values["secret_hosts"], values["secret_parts"]),
        "grants": network_options.grants_from(values),
        "limits": parameters.limits_from(values),
    }


def _bound(
    secrets: dict[str, str], hosts_given: tuple[tuple[str, str], ...], parts_given: tuple[tuple[str, str], ...]
) -> dict[str, str | Secret]:
    from ..secret import Secret, checked_parts

    hosts: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    for name, host in hosts_given:
        if name not in secrets:
            raise click.BadParameter(
                f"there is no secret {name}: add --secret-env {name} or --secret {name}=VALUE",
                param_hint="--secret-host",
            )
        hosts.setdefault(name, []).append(host)
    for name, part in parts_given:
        try:
            parts.setdefault(name, []).extend(checked_parts([part]))
        except ConfigError as error:
            raise click.BadParameter(error.message, param_hint="--secret-also-in") from None
        if name not in hosts:
            raise click.BadParameter(
                f"the secret {name} is bound to no host: add --secret-host {name}=HOST", param_hint="--secret-also-in"
            )
    try:
        bound = {name: Secret(secrets[name], hosts=hosts[name], also_in=parts.get(name, ())) for name in hosts}
        return {**secrets, **bound}
    except ConfigError as error:
        raise click.BadParameter(error.message, param_hint="--secret-host") from None


def _read_schema(values: dict[str, Any]) -> Schema | None:
    source, lenient = values["output_schema"], values["lenient"]
    schema = None if source is None else inputs.read_schema(source, "output", lenient=lenient).prepared
    has_others = any(values[f"input{number}_schema"] for number in range(1, inputs.LAST_INPUT + 1))
    if lenient and not has_others and (schema is None or schema.mode == "strict"):
        reason = "" if schema is None else "; a JSON Schema already says what it accepts"
        raise ConfigError(f"--lenient needs an --output-schema with a column list{reason}")
    return schema


def _execute(statement: str, image: str | None, arguments: dict[str, Any]) -> Result:
    from ..executor import Executor

    seen: list[LogRecord] = []

    def on_log(record: LogRecord) -> None:
        seen.append(record)
        show_record(record)

    def on_terminate(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_terminate)
    try:
        with Executor(image, workers=1) as executor:
            return executor.run(statement, on_log=on_log, **arguments)
    except KeyboardInterrupt:
        # `run` has stopped the guest before it passes the interruption on.
        return Result(status=Status.CANCELLED, logs=seen, error=ExecutionCancelled("cancelled by the user"))
