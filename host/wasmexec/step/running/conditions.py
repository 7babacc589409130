"""Before a run: its secrets, local variables, checkpoint and inputs, as the order that every execution shares."""

from __future__ import annotations

from collections.abc import Callable

from ..._masking.masker import Masker
from ...errors import ConfigError
from ...rows.formats import ReadOptions
from ...rows.inputs import sources_of
from ...rows.intake import checked_whole
from ...rows.source import Source
from ...secret import Secret
from ...workers.order import Order
from ..file.definition import StepDefinition
from .request import UNSET, RunRequest
from .run_state import RunState


def make_order(run: RunState, stored_checkpoint: object) -> Order:
    """What all executions have in common; what is found out on the way is noted in the state of the run.

    Raises:
        ConfigError: a secret, local variable or input is not one of the step's, or not what it must be.
        InputError: a further input cannot be read or does not match its schema.
    """
    definition, request = run.definition, run.request
    secrets = _secrets(definition, request)
    # SECURITY: as in an execution, only those that the statement holds: any other mask would answer its guesses.
    held = [item for item in secrets.values() if isinstance(item, str)]
    run.masker = Masker(held) if held else None
    run.local_variables = _local_variables(definition, request)
    run.checkpoint = stored_checkpoint if request.checkpoint is UNSET else request.checkpoint
    run.sources = _sources(definition, request, lambda: run.cancellation.is_cancelled)
    room = definition.limits.input_bytes
    texts: list[bytes | None] = []
    for index, source in enumerate(run.sources[1:], 1):
        text, _ = checked_whole(source, definition.input_schema(index), room, run.masker, run.long_rows)
        room -= len(text or b"")
        texts.append(text)
    return Order(
        image=run.engine.image,
        statement=definition.statement.text,
        output=definition.output,
        extra_inputs=texts,
        checkpoint=run.checkpoint,
        local_variables=run.local_variables,
        limits=definition.limits,
        grants=definition.grants,
        secrets=secrets,
        canned_http=request.canned_http,
    )


def _secrets(definition: StepDefinition, request: RunRequest) -> dict[str, str | Secret]:
    declared, given = definition.secrets, request.secrets or {}
    for name in given:
        if name not in declared:
            raise ConfigError(f"secret {name}: the step has no such secret")
    return {name: source.bind(given[name] if name in given else source.read(name)) for name, source in declared.items()}


def _local_variables(definition: StepDefinition, request: RunRequest) -> dict[str, object]:
    declared = definition.local_variables
    values = {name: variable.initial for name, variable in declared.items()}
    for name, value in (request.local_variables or {}).items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise ConfigError(f"local variable {name}: the step has no such variable; it has {known}")
        refusal = declared[name].refusal(value)
        if refusal is not None:
            raise ConfigError(f"local variable {name}: {refusal}")
        values[name] = value
    return values


def _sources(definition: StepDefinition, request: RunRequest, is_cancelled: Callable[[], bool]) -> list[Source]:
    declared = definition.inputs
    wired = [request.input_data, *request.extra_inputs]
    if declared is not None:
        if sum(value is not None for value in wired[len(declared) :]):
            names = ", ".join(item.name for item in declared) or "none"
            raise ConfigError(f"more inputs are given than the step has; its inputs are: {names}")
        # A declared input that nobody wired is there, as None.
        wired = [*wired[: len(declared)], *[None] * (len(declared) - len(wired))]
    wired = wired or [None]
    found = sources_of(
        wired,
        ReadOptions(request.input_format, request.input_encoding, request.input_delimiter),
        [definition.input_options(index) for index in range(len(wired))],
        max_row_bytes=definition.limits.input_bytes,
    )
    for source in found:
        source.is_cancelled = is_cancelled
    return found
