"""Checkpoints: rows that arrive in two parts, taken by two runs, must be those of one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..result import Result
from .finding import Verdict
from .inputs import FuzzInput
from .judging import first_difference

_MOST_RUNS = 6


def resume_verdict(run: Callable[[FuzzInput], Result], given: FuzzInput, result: Result, column: str) -> Verdict | None:
    """Whether a run over the first half and one over everything, from its checkpoint, give what one run gives.

    Asked only of inputs whose rows rise in the checkpoint's column, for only those can come one after the other.
    """
    rows = _rising(given.inputs[0] or [], column)
    if len(rows) < 2 or given.checkpoint is not None:
        return None
    whole = _until_empty(run, given, [rows], column)
    parts = _until_empty(run, given, [rows[: len(rows) // 2], rows], column)
    if whole is None or parts is None or whole == parts:
        return None
    return Verdict(kind="resume", message=first_difference(whole, parts))


def _rising(rows: list[Any], column: str) -> list[Any]:
    """The rows in the order of the column, each of its values once; none if it is not theirs, or has no order."""
    keyed: dict[Any, Any] = {}
    for row in rows:
        value = row.get(column) if isinstance(row, dict) else None
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, str))
            or (keyed and type(next(iter(keyed))) is not type(value))
        ):
            return []
        keyed[value] = row
    return [keyed[value] for value in sorted(keyed)]


def _until_empty(
    run: Callable[[FuzzInput], Result], given: FuzzInput, inputs: list[list[Any]], column: str
) -> list[Any] | None:  # fmt: skip
    """What runs over each input give, one after the other, until nothing is new; None if one fails or never ends."""
    taken: list[Any] = []
    checkpoint: object = None
    for rows in inputs:
        for _ in range(_MOST_RUNS):
            result = run(
                FuzzInput(
                    inputs=[rows, *given.inputs[1:]], checkpoint=checkpoint, local_variables=given.local_variables
                )
            )
            if result.error is not None:
                return None
            if not result.rows:
                break
            taken += result.rows
            after = result.rows[-1].get(column)
            if after == checkpoint:
                break
            checkpoint = after
        else:
            return None
    return taken
