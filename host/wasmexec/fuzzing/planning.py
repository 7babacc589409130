"""What a step's inputs look like: by its input schemas, else by the rows of its test cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..canned import CannedAnswer
from ..errors import ConfigError
from ..rows.json_text import decode
from ..schema import RowSchema, Schema
from ..step.cases import load_cases
from ..step.step import Step
from .generate import Generator, InputPlan, plan_for
from .inputs import FuzzInput, Rows
from .words import Words, kind_of

_MOST_ROWS = 200


@dataclass(slots=True)
class Starting:
    """What the step's cases give: inputs to begin with, and answers of HTTP."""

    inputs: list[FuzzInput] = field(default_factory=list)
    answers: list[CannedAnswer] = field(default_factory=list)


def starting_inputs(step: Step) -> Starting:
    """The inputs of the step's cases whose rows stand in the file of cases itself.

    Raises:
        StepFileError: the file of cases is wrong.
    """
    found = Starting()
    definition = step.definition
    if not definition.path.name:
        return found
    for case in load_cases(definition.path, definition):
        found.answers += case.http
        given = [_rows(item) for item in (case.input_data, *case.extra_inputs)]
        if given[0] is None or len(given[0]) > _MOST_ROWS:
            continue
        parts = [[row] for row in given[0]] if definition.processing == "row_by_row" else [given[0]]
        found.inputs += [
            FuzzInput(inputs=[part, *given[1:]], checkpoint=case.checkpoint, local_variables=dict(case.local_variables))
            for part in parts
        ]
    return found


def make_generator(step: Step, starting: Starting, words: Words) -> Generator:
    """What makes inputs for a step.

    Raises:
        ConfigError: an input has neither a schema nor rows in a case.
    """
    definition = step.definition
    count = max([len(item.inputs) for item in starting.inputs] + [len(definition.inputs or ()), 1])
    plans = [_plan(definition.input_schema(index), index, starting, words) for index in range(count)]
    return Generator(plans, definition.processing == "row_by_row")


def _plan(schema: RowSchema | None, index: int, starting: Starting, words: Words) -> InputPlan:
    if schema is not None:
        return plan_for(schema, words)
    rows = [row for item in starting.inputs for row in (item.inputs[index : index + 1] or [None])[0] or ()]
    columns = _columns([row for row in rows if isinstance(row, dict)])
    if not columns:
        name = "INPUT_DATA" if index == 0 else f"INPUT_DATA{index + 1}"
        raise ConfigError(
            f"nobody says what {name} looks like: give it a schema (inputs: in the step, or --input-schema), "
            "or a test case with rows"
        )
    made = plan_for(RowSchema(columns, "lenient", Schema.prepare(columns, mode="lenient", role="input")), words)
    return InputPlan(made.rows)


def _columns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column list of what rows have in common."""
    names = dict.fromkeys(name for row in rows for name in row if name)
    return [
        {
            "name": name,
            "type": kind_of([row.get(name) for row in rows]),
            "allow_null": any(row.get(name, 0) is None for row in rows),
        }
        for name in names
    ]


def _rows(given: object) -> Rows:
    """The rows that a case writes down; None for files and for what is no list."""
    if not isinstance(given, bytes):
        return None
    rows = decode(given)
    return rows if isinstance(rows, list) else None
