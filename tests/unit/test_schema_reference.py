"""Every keyword of every draft: the host's verdict on a row is that of `jsonschema`, the reference implementation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validators

from wasmexec.errors import OutputError
from wasmexec.schema import Schema

URIS = {
    "3": "http://json-schema.org/draft-03/schema#",
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019": "https://json-schema.org/draft/2019-09/schema",
    "2020": "https://json-schema.org/draft/2020-12/schema",
}
# One a line: `row` and `rows`, or `column` and `values` for the column "v" with what stands `beside` its "properties".
CASES = [json.loads(line) for line in Path(__file__).with_name("schema_cases.jsonl").read_text().splitlines()]
PAIRS = [
    pytest.param(case, draft, id=f"{case['title']}, {draft}") for case in CASES for draft in case["drafts"].split()
]
PAGE = Path(__file__).parents[2] / "docs" / "json-schema.md"


def ours(definition: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    try:
        Schema.prepare(definition).validate(rows)
    except OutputError:
        return False
    return True


def reference(definition: dict[str, Any], row: Any) -> bool:
    verdict: bool = validators.validator_for(definition)(definition).is_valid(row)
    return verdict


def schema_and_rows(case: dict[str, Any], draft: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if "row" in case:
        return {"$schema": URIS[draft], **case["row"]}, case["rows"]
    schema = {"$schema": URIS[draft], "properties": {"v": case["column"]}, **case.get("beside", {})}
    return schema, [{"v": value} for value in case["values"]]


def test_the_table_has_some_150_schemas_each_with_a_name_of_its_own() -> None:
    assert len(CASES) >= 150
    assert len({case["title"] for case in CASES}) == len(CASES)
    assert {draft for case in CASES for draft in case["drafts"].split()} == set(URIS)


@pytest.mark.parametrize(("case", "draft"), PAIRS)
def test_the_verdict_is_that_of_the_reference(case: dict[str, Any], draft: str) -> None:
    definition, rows = schema_and_rows(case, draft)
    expected = [reference(definition, row) for row in rows]
    assert set(expected) == {True, False}, "the case shows nothing: the reference takes all rows, or none"
    assert [ours(definition, [row]) for row in rows] == expected
    good = [row for row, fits in zip(rows, expected, strict=True) if fits]
    bad = next(row for row, fits in zip(rows, expected, strict=True) if not fits)
    assert ours(definition, good * 3)
    assert not ours(definition, [*good, bad, *good])


def documented_differences() -> list[Any]:
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 6 or not cells[1].startswith("`{"):
            continue
        names = {"03": "3", "04": "4", "06": "6", "07": "7", "2019-09": "2019", "2020-12": "2020"}
        drafts = (
            ["4", "6", "7", "2019", "2020"] if cells[0] == "all" else [names[name] for name in cells[0].split(", ")]
        )
        schema, value = (json.loads(cell.strip("`")) for cell in cells[1:3])
        found += [
            pytest.param(draft, schema, value, *cells[3:5], id=f"{cells[1]} {cells[2]} {draft}") for draft in drafts
        ]
    return found


DIFFERENCES = documented_differences()


def test_the_page_has_its_table() -> None:
    assert len(DIFFERENCES) > 100


@pytest.mark.parametrize(("draft", "schema", "value", "theirs", "here"), DIFFERENCES)
def test_a_documented_difference_is_one(draft: str, schema: Any, value: Any, theirs: str, here: str) -> None:
    definition = {"$schema": URIS[draft], "properties": {"v": schema}}
    try:
        verdict = "accepted" if reference(definition, {"v": value}) else "refused"
    except (re.error, RecursionError):
        verdict = "error"
    assert (verdict, "accepted" if ours(definition, [{"v": value}]) else "refused") == (theirs, here)
