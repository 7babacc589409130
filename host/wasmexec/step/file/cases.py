"""Reading the test cases beside a step file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...canned import CannedAnswer
from ...rows.json_text import encode
from ...rows.named_file import NamedFile
from ...rows.source import Input
from ...status import Status
from .cases_schema import noted_cases_schema
from .checking import check
from .definition import StepDefinition
from .document import Node, Place
from .files import check_file, read_document
from .mistakes import Collector

MAX_INPUT_BYTES = 1024**4
"""Files of rows are read piece by piece."""
SUFFIXES = (".tests.yaml", ".tests.yml", ".tests.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a case expects; what is None (or not among `named`) is not compared."""

    named: frozenset[str]
    status: Status | None = None
    rows: list[Any] | None = None
    error: Mapping[str, object] | None = None
    checkpoint: object = None
    local_variables: Mapping[str, object] = field(default_factory=dict)
    log: Sequence[Mapping[str, str]] = ()
    rows_failed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case of a step."""

    name: str
    place: Place
    input_data: Input
    extra_inputs: Sequence[Input]
    checkpoint: object
    local_variables: Mapping[str, object]
    secrets: Mapping[str, str]
    http: Sequence[CannedAnswer]
    expect: Expectation
    unordered: bool = False


def cases_path(step_path: Path) -> Path | None:
    """The file with the cases of a step: `orders.tests.yaml` beside `orders.step.yaml` or `orders.yaml`."""
    stem = step_path.name
    for suffix in (".yaml", ".yml", ".json", ".step"):
        stem = stem.removesuffix(suffix)
    paths = (step_path.with_name(stem + suffix) for suffix in SUFFIXES)
    return next((path for path in paths if os.path.lexists(path)), None)


def read_cases(path: Path, definition: StepDefinition, *, is_found: bool = False) -> list[Case]:
    """The cases in a file that the user named, or that `is_found` beside the step file.

    Raises:
        StepFileError: it cannot be read or something in it is wrong; all mistakes at once.
    """
    reader = _Reader(path, definition, is_found=is_found)
    cases = reader.read()
    reader.mistakes.raise_if_any()
    return cases


class _Reader:
    def __init__(self, path: Path, definition: StepDefinition, *, is_found: bool) -> None:
        self._path = path
        self._is_found = is_found
        self._definition = definition
        self.mistakes = Collector(str(path))

    def read(self) -> list[Case]:
        """The cases; mistakes are in `mistakes`."""
        shown = str(self._path)
        file = self._named(self._path.name) if self._is_found else self._path
        top, _ = read_document(file, self.mistakes, Place(shown, 1, 1), shown)
        if top is None:
            return []
        check(top, noted_cases_schema(), self.mistakes)
        cases: list[Case] = []
        names: set[str] = set()
        for number, node in enumerate(top.fields["cases"].items if "cases" in top.fields else (), 1):
            case = self._case(node, number)
            if case.name in names:
                self.mistakes.add(case.place, f"the case {case.name!r} is there twice")
            names.add(case.name)
            cases.append(case)
        return cases

    def _case(self, node: Node, number: int) -> Case:
        fields = node.fields
        secrets = dict.fromkeys(self._definition.secrets, "test-secret")
        for name, place in fields["secrets"].keys.items() if "secrets" in fields else ():
            if name not in self._definition.secrets:
                self.mistakes.add(place, f"secret {name}: the step has no such secret")
        return Case(
            name=node.get("name") or f"case {number}",
            place=node.place,
            input_data=self._input(fields["input"]) if "input" in fields else None,
            extra_inputs=[self._input(item) for item in fields["extra_inputs"].items]
            if "extra_inputs" in fields
            else [],
            checkpoint=node.get("checkpoint"),
            local_variables=node.get("local_variables") or {},
            secrets=secrets | (node.get("secrets") or {}),
            http=[
                self._answer(item.fields["request"], item.fields["response"])
                for item in (fields["http"].items if "http" in fields else ())
                if item.is_right
            ],
            expect=self._expect(fields["expect"]) if "expect" in fields else Expectation(named=frozenset()),
            unordered=node.get("unordered") or False,
        )

    def _input(self, node: Node) -> Input:
        """Rows, or the name of a file with them."""
        if isinstance(node.value, str):
            file = self._named(node.value)
            if not os.path.lexists(file.path):
                self.mistakes.add(node.place, f"input: {node.value} is no file")
            else:
                check_file(file, self.mistakes, node.place, "input", max_bytes=MAX_INPUT_BYTES)
            return file
        return None if node.value is None else encode(node.plain())

    def _named(self, name: str) -> NamedFile:
        return NamedFile(self._path.parent / name, (self._path.parent, *self._definition.allow_folders))

    def _expect(self, node: Node) -> Expectation:
        if not node.is_right:
            return Expectation(named=frozenset())
        status, log = node.get("status"), node.get("log")
        return Expectation(
            named=frozenset(node.fields),
            status=None if status is None else Status(status),
            rows=node.get("rows"),
            error=node.get("error"),
            checkpoint=node.get("checkpoint"),
            local_variables=node.get("local_variables") or {},
            log=[{level: str(message) for level, message in record.items()} for record in log or ()],
            rows_failed=node.get("rows_failed"),
        )

    def _answer(self, request: Node, response: Node) -> CannedAnswer:
        body, _ = self._body(request)
        data, kind = self._body(response)
        headers, asked = (
            {name: str(value) for name, value in (side.get("headers") or {}).items()} for side in (response, request)
        )
        if kind is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = kind
        return CannedAnswer(
            method=request.get("method") or "GET", url=request.get("url"), request_headers=asked or None,
            request_body=body, status=response.get("status") or 200, headers=list(headers.items()), body=data or b"",
            error=response.get("error"),
        )  # fmt: skip

    def _body(self, side: Node) -> tuple[bytes | None, str | None]:
        """The bytes of `body`, `json` or `base64`, and the content type that goes with it."""
        if "json" in side.fields:
            return encode(side.get("json")), "application/json"
        if "body" in side.fields:
            return str(side.get("body")).encode(), "text/plain; charset=utf-8"
        node = side.fields.get("base64")
        if node is None:
            return None, None
        try:
            return base64.b64decode(str(node.value), validate=True), "application/octet-stream"
        except ValueError:
            self.mistakes.add(node.place, f"base64: expected Base64, got {node.describe()}")
            return None, None
