"""Running the test cases of a step and saying what differs."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..canned import CannedHttp
from ..executor import Executor
from .file.cases import Case, cases_path, read_cases
from .file.definition import StepDefinition
from .result import StepResult, error_as_dict
from .step import Step

_MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as expected: `what` it is, and a unified diff or a sentence."""

    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.what}: {self.text}" if "\n" not in self.text else f"{self.what} differ:\n{self.text}"


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """A case that ran: it has passed if there are no differences."""

    case: Case
    result: StepResult
    differences: Sequence[Difference]

    @property
    def has_passed(self) -> bool:
        """Nothing differs."""
        return not self.differences


def load_cases(step_path: Path, definition: StepDefinition, path: Path | None = None) -> list[Case]:
    """The cases beside a step file, or in the file given; none if there is no such file.

    Raises:
        StepFileError: something in it is wrong.
    """
    found = path or cases_path(step_path)
    return [] if found is None else read_cases(found, definition, is_found=path is None)


def run_case(step: Step, case: Case, executor: Executor | None = None) -> CaseOutcome:
    """Run a case: its checkpoint is the stored one, its answers are the network, nothing is stored."""
    canned = CannedHttp(case.http)
    result = step.run(
        case.input_data, extra_inputs=case.extra_inputs, checkpoint=case.checkpoint, trigger="test", executor=executor,
        local_variables=case.local_variables, secrets=case.secrets, canned_http=canned,
    )  # fmt: skip
    return CaseOutcome(case, result, _compare(case, result, canned))


def _compare(case: Case, result: StepResult, canned: CannedHttp) -> list[Difference]:
    expect, found = case.expect, []
    fails_as_expected = expect.error is not None or (expect.status is not None and not expect.status.succeeded)
    if expect.status is not None and result.status is not expect.status:
        found.append(Difference("status", f"expected {int(expect.status)}, got {_shown_status(result)}"))
    elif result.error is not None and not fails_as_expected:
        found.append(Difference("status", f"expected success, got {_shown_status(result)}"))
    if expect.error is not None:
        found += _compare_error(expect.error, result)
    if expect.rows is not None:
        found += _compare_rows(expect.rows, result.rows, unordered=case.unordered)
    if "checkpoint" in expect.named and not _same(expect.checkpoint, result.checkpoint):
        found.append(_values("checkpoint", expect.checkpoint, result.checkpoint))
    for name, value in expect.local_variables.items():
        if not _same(value, result.local_variables.get(name)):
            found.append(_values(f"local variable {name}", value, result.local_variables.get(name)))
    if "log" in expect.named:
        wanted = [f"{level} {message}" for record in expect.log for level, message in record.items()]
        logged = [f"{item.record.level} {item.record.message}" for item in result.logs]
        if wanted != logged:
            found.append(Difference("log", _diff(wanted, logged)))
    if expect.rows_failed is not None and expect.rows_failed != result.rows_failed:
        found.append(_values("rows_failed", expect.rows_failed, result.rows_failed))
    for request in canned.unanswered:
        found.append(Difference("http", f"no canned answer for {request.method} {request.url}"))
    for answer in canned.unused:
        found.append(Difference("http", f"never requested: {answer.method} {answer.url}"))
    return found


def _shown_status(result: StepResult) -> str:
    error = result.error
    return str(int(result.status)) + ("" if error is None else f" ({type(error).__name__}: {error.message})")


def _compare_error(wanted: Any, result: StepResult) -> list[Difference]:
    error = result.error if result.error is not None else result.failures[0].error if result.failures else None
    if error is None:
        return [Difference("error", "expected one, the run succeeded")]
    fields = error_as_dict(error)
    if result.failures:
        fields["row"] = result.failures[0].row
    found = []
    for name, value in wanted.items():
        # Of a message a part is enough: the rest of it is ours to word.
        same = str(value) in str(fields.get(name)) if name == "message" else value == fields.get(name)
        if name == "type":
            # Of an exception of the statement its class, with or without its module.
            raised = str(fields.get("type_name", fields["type"]))
            same = value in (fields["type"], raised, raised.rpartition(".")[2])
            fields["type"] = raised
        if not same:
            found.append(_values(f"error {name}", value, fields.get(name)))
    return found


def _compare_rows(wanted: list[Any], rows: list[dict[str, Any]], *, unordered: bool) -> list[Difference]:
    if not unordered and _same(wanted, rows):
        return []
    expected, found = [_line(row) for row in wanted], [_line(row) for row in rows]
    if unordered:
        if Counter(expected) == Counter(found):
            return []
        expected, found = sorted(expected), sorted(found)
    return [Difference("rows", _diff(expected, found))]


def _same(wanted: object, found: object) -> bool:
    """Equal as JSON: 1 and 1.0 are, true and 1 are not."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_same, wanted, found))
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_same(value, found[key]) for key, value in wanted.items())
    return wanted == found


def _line(row: object) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True)


def _values(what: str, wanted: object, found: object) -> Difference:
    return Difference(what, f"expected {_line(wanted)}, got {_line(found)}")


def _diff(wanted: list[str], found: list[str]) -> str:
    lines = list(difflib.unified_diff(wanted, found, "expected", "found", lineterm="", n=2))
    more = [] if len(lines) <= _MOST_LINES else [f"... {len(lines) - _MOST_LINES} more lines"]
    return "\n".join(lines[:_MOST_LINES] + more)
