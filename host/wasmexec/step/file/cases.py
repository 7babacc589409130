"""Reading the test cases beside a step file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ...canned import CannedAnswer
from ...rows.json_text import encode
from ...rows.source import Input
from ...status import Status
from .definition import StepDefinition
from .document import Node, Place
from .mistakes import Collector
from .reading import read_document
from .section import Section

SUFFIXES = (".tests.yaml", ".tests.yml", ".tests.json")
CASE_KEYS = (
    "name", "input", "extra_inputs", "checkpoint", "local_variables", "secrets", "http", "expect", "unordered",
)  # fmt: skip
EXPECT_KEYS = ("status", "rows", "error", "checkpoint", "local_variables", "log", "rows_failed")
ERROR_KEYS = ("type", "message", "pointer", "rule", "row")
REQUEST_KEYS = ("method", "url", "headers", "body", "json")
RESPONSE_KEYS = ("status", "headers", "body", "json", "base64", "error")
HTTP_ERRORS = (
    "connect", "connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "read", "write", "protocol",
)  # fmt: skip


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
    return next((path for path in paths if path.is_file()), None)


def read_cases(path: Path, definition: StepDefinition) -> list[Case]:
    """The cases in a file.

    Raises:
        StepFileError: it cannot be read or something in it is wrong; all mistakes at once.
    """
    reader = _Reader(path, definition)
    cases = reader.read()
    reader.mistakes.raise_if_any()
    return cases


class _Reader:
    def __init__(self, path: Path, definition: StepDefinition) -> None:
        self._path = path
        self._definition = definition
        self.mistakes = Collector(str(path))

    def read(self) -> list[Case]:
        """The cases; mistakes are in `mistakes`."""
        shown = str(self._path)
        root, _ = read_document(self._path, self.mistakes, Place(shown, 1, 1), shown)
        if root is None:
            return []
        top = Section(root, self.mistakes, "a file of test cases", ("cases",))
        top.require("cases", "a list of cases")
        cases = []
        names: set[str] = set()
        for number, node in enumerate(top.items("cases", "a list of cases"), 1):
            case = self._case(node, number)
            if case is None:
                continue
            if case.name in names:
                self.mistakes.add(case.place, f"the case {case.name!r} is there twice")
            names.add(case.name)
            cases.append(case)
        return cases

    def _case(self, node: Node, number: int) -> Case | None:
        section = Section(node, self.mistakes, "a case", CASE_KEYS)
        if not isinstance(node.value, dict):
            return None
        section.require("expect", "what must come out: status, rows, error, checkpoint, local_variables or log")
        expect = self._expect(section.fields["expect"]) if section.has("expect") else None
        secrets = dict.fromkeys(self._definition.secrets, "test-secret")
        secrets |= section.entries("secrets", "a mapping from names to texts", self._secret)
        case = Case(
            name=section.text("name", "a text") or f"case {number}",
            place=node.place,
            input_data=self._input(section.fields["input"]) if section.has("input") else None,
            extra_inputs=[self._input(item) for item in section.items("extra_inputs", "a list of inputs")],
            checkpoint=section.fields["checkpoint"].plain() if section.has("checkpoint") else None,
            local_variables=section.entries(
                "local_variables", "a mapping from names to values", lambda _name, _place, item: (item.plain(),)
            ),
            secrets=secrets,
            http=[
                answer
                for item in section.items("http", "a list of exchanges, each with request and response")
                if (answer := self._exchange(item)) is not None
            ],
            expect=expect or Expectation(named=frozenset()),
            unordered=section.boolean("unordered") or False,
        )
        values = {name: value for name, (value,) in cast("dict[str, Any]", case.local_variables).items()}
        return _with_variables(case, values)

    def _secret(self, name: str, place: Place, node: Node) -> str | None:
        if name not in self._definition.secrets:
            self.mistakes.add(place, f"secret {name}: the step has no such secret")
        elif isinstance(node.value, str) and node.value:
            return node.value
        else:
            self.mistakes.add(node.place, f"secret {name}: expected a text, got {node.describe()}")
        return None

    def _input(self, node: Node) -> Input:
        """Rows, or the name of a file with them."""
        if isinstance(node.value, str):
            path = self._path.parent / node.value
            if not path.is_file():
                self.mistakes.add(node.place, f"input: {node.value} is no file")
            return path
        return None if node.value is None else encode(node.plain())

    def _expect(self, node: Node) -> Expectation | None:
        section = Section(node, self.mistakes, "expect", EXPECT_KEYS)
        if not isinstance(node.value, dict):
            return None
        if not node.value:
            self.mistakes.add(node.place, f"expect: expected at least one of {', '.join(EXPECT_KEYS)}")
        status = None
        if section.has("status"):
            value = section.fields["status"].value
            if isinstance(value, int) and value in set(Status):
                status = Status(value)
            else:
                section.wrong("status", f"one of {', '.join(str(int(item)) for item in Status)}")
        error = None
        if section.has("error"):
            inner = Section(section.fields["error"], self.mistakes, "error", ERROR_KEYS)
            error = {name: item.plain() for name, item in inner.fields.items()}
        return Expectation(
            named=frozenset(section.fields),
            status=status,
            rows=[item.plain() for item in section.items("rows", "a list of rows")] if section.has("rows") else None,
            error=error,
            checkpoint=section.fields["checkpoint"].plain() if section.has("checkpoint") else None,
            local_variables=section.fields["local_variables"].plain() if section.has("local_variables") else {},
            log=[
                {str(key): str(value) for key, value in cast("dict[str, Any]", item.plain()).items()}
                for item in section.items("log", "a list of records, each {level: message}")
                if self._is_mapping(item)
            ],
            rows_failed=section.integer("rows_failed", 0, 2**53),
        )

    def _is_mapping(self, node: Node) -> bool:
        if isinstance(node.value, dict):
            return True
        self.mistakes.add(node.place, f"log: expected {{level: message}}, got {node.describe()}")
        return False

    def _exchange(self, node: Node) -> CannedAnswer | None:
        section = Section(node, self.mistakes, "an exchange", ("request", "response"))
        section.require("request", "method and url")
        section.require("response", "status, headers and body, or an error")
        if not section.has("request") or not section.has("response"):
            return None
        request = Section(section.fields["request"], self.mistakes, "a request", REQUEST_KEYS)
        response = Section(section.fields["response"], self.mistakes, "a response", RESPONSE_KEYS)
        request.require("url", "the whole URL")
        url = request.text("url", "the whole URL, such as https://api.example.com/items?page=1")
        if url is None:
            return None
        if not url.startswith(("http://", "https://")):
            request.wrong("url", "a URL that starts with http:// or https://")
        headers = request.entries("headers", "a mapping from names to texts", self._header)
        body, _ = self._body(request)
        data, kind = self._body(response)
        pairs = list(response.entries("headers", "a mapping from names to texts", self._header).items())
        if kind is not None and not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", kind))
        return CannedAnswer(
            method=request.text("method", "a method such as GET") or "GET", url=url, request_headers=headers or None,
            request_body=body, status=response.integer("status", 100, 599) or 200, headers=pairs, body=data or b"",
            error=response.choice("error", HTTP_ERRORS),
        )  # fmt: skip

    def _header(self, name: str, place: Place, node: Node) -> str | None:
        if isinstance(node.value, (str, int)) and not isinstance(node.value, bool):
            return str(node.value)
        self.mistakes.add(node.place, f"header {name}: expected a text, got {node.describe()}")
        return None

    def _body(self, section: Section) -> tuple[bytes | None, str | None]:
        """The bytes of `body`, `json` or `base64`, and the content type that goes with it."""
        given = [key for key in ("body", "json", "base64") if section.has(key)]
        if len(given) > 1:
            self.mistakes.add(section.place(given[1]), f"expected only one of {' and '.join(given)}")
        if not given:
            return None, None
        node = section.fields[given[0]]
        if given[0] == "json":
            return encode(node.plain()), "application/json"
        if not isinstance(node.value, str):
            section.wrong(given[0], "a text")
            return None, None
        if given[0] == "body":
            return node.value.encode(), "text/plain; charset=utf-8"
        try:
            return base64.b64decode(node.value, validate=True), "application/octet-stream"
        except ValueError:
            section.wrong("base64", "Base64")
            return None, None


def _with_variables(case: Case, values: Mapping[str, object]) -> Case:
    from dataclasses import replace

    return replace(case, local_variables=values)
