"""Reading a step file: every mistake in it is collected before anything is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, cast

from ...errors import ConfigError
from ...grants import Grants, HttpGrant
from ...limits import Limits, parse_size
from ...rows.formats import DELIMITED, FORMATS, ReadOptions
from ...schema import Mode, Role, RowSchema, row_schema
from ...schema.columns import did_you_mean
from ...secret import SHORTEST, Secret, checked_parts
from .definition import (
    DEFAULT_CONCURRENCY,
    MAX_CONCURRENCY,
    VARIABLE_TYPES,
    InputDefinition,
    LocalVariable,
    OnRowError,
    Processing,
    SecretSource,
    StatementText,
    StepDefinition,
    VariableType,
)
from .document import MAX_FILE_BYTES, DocumentError, Node, Place, pointer_tokens
from .mistakes import Collector
from .parse import parse
from .section import Section

KEYS = (
    "name", "description", "statement", "statement_file", "inputs", "output_schema", "mode", "processing",
    "checkpoint_column", "local_variables", "limits", "grants", "secrets", "on_row_error", "concurrency", "image",
)  # fmt: skip
INPUT_KEYS = ("name", "schema", "mode", "format", "encoding", "delimiter")
MODES: tuple[Mode, ...] = ("strict", "lenient")
LIMIT_NAMES = tuple(field.name for field in fields_of(Limits))
GRANT_KEYS = ("host", "ports", "methods", "schemes", "allow_private", "ca_file", "client_cert", "client_key")
_FILE_KEYS = ("ca_file", "client_cert", "client_key")
MAX_NAME = 200
MAX_INPUTS = 99
_IDENTIFIER = re.compile(r"(?!__)[^\W\d]\w*")


def read_definition(path: Path) -> StepDefinition:
    """The step in a file.

    Raises:
        StepFileError: it cannot be read or something in it is wrong; all mistakes at once.
    """
    reader = _Reader(path)
    definition = reader.read()
    reader.mistakes.raise_if_any()
    assert definition is not None
    return definition


def read_document(path: Path, mistakes: Collector, place: Place, shown: str) -> tuple[Node | None, str]:
    """The tree and text of a YAML or JSON file; `place` is where it is referred to, `shown` how it is called there."""
    text = read_file(path, mistakes, place, shown)
    if text is None:
        return None, ""
    try:
        return parse(text, shown), text
    except DocumentError as error:
        mistakes.add(error.place, error.message)
        return None, text


def read_file(path: Path, mistakes: Collector, place: Place, shown: str) -> str | None:
    """The text of a UTF-8 file of bounded size, or None with a mistake at `place`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) <= MAX_FILE_BYTES:
            return data.decode().removeprefix("\ufeff")
        mistakes.add(place, f"{shown} is larger than {MAX_FILE_BYTES:,} bytes")
    except OSError as error:
        mistakes.add(place, f"{shown} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        mistakes.add(place, f"{shown} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}")
    return None


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.mistakes = Collector(str(path))
        self._texts: list[str] = []

    def read(self) -> StepDefinition | None:
        """The definition, or None if a mistake leaves nothing to build it from."""
        shown = str(self._path)
        root, text = read_document(self._path, self.mistakes, Place(shown, 1, 1), shown)
        if root is None:
            return None
        self._texts.append(text)
        top = Section(root, self.mistakes, "a step", KEYS)
        if not isinstance(root.value, dict):
            return None
        mode = cast("Mode", top.choice("mode", MODES) or "strict")
        statement = self._statement(top)
        output = self._output(top, mode)
        secrets = top.entries("secrets", "a mapping from names to {env: VARIABLE} or {file: PATH}", self._secret)
        variables = top.entries("local_variables", "a mapping from names to types", self._variable)
        self._check_same_names(top)
        processing = cast("Processing", top.choice("processing", ("row_by_row", "bulk")) or "row_by_row")
        if processing == "bulk" and top.has("on_row_error"):
            self.mistakes.add(
                top.node.keys["on_row_error"], "on_row_error: only row_by_row processing has rows that fail"
            )
        checkpoint_column = top.text("checkpoint_column", "the name of a column of the output schema")
        self._check_columns(top, output, checkpoint_column, variables)
        definition_parts: dict[str, Any] = {
            "inputs": self._inputs(top),
            "limits": self._limits(top),
            "grants": self._grants(top),
            "on_row_error": cast("OnRowError", top.choice("on_row_error", ("fail", "skip")) or "fail"),
            "concurrency": top.integer("concurrency", 1, MAX_CONCURRENCY) or DEFAULT_CONCURRENCY,
            "image": top.text("image", "the name of an image (full, core) or its manifest file"),
            "description": top.text("description") or "",
        }
        name = self._name(top)
        if self.mistakes.found or statement is None or output is None:
            return None
        return StepDefinition(
            name=name, statement=statement, output=output, processing=processing, secrets=secrets,
            checkpoint_column=checkpoint_column, local_variables=variables, path=self._path,
            text="\n".join(self._texts), **definition_parts,
        )  # fmt: skip

    def _name(self, top: Section) -> str:
        expected = f"a text of at most {MAX_NAME} characters in one line"
        name = top.text("name", expected, most=MAX_NAME)
        if name is not None and not name.isprintable():
            top.wrong("name", expected)
        return name or self._path.name.split(".", 1)[0]

    def _statement(self, top: Section) -> StatementText | None:
        if top.has("statement") and top.has("statement_file"):
            self.mistakes.add(
                top.node.keys["statement_file"], "a step has either statement or statement_file, not both"
            )
        elif not top.has("statement_file"):
            top.require("statement", "Python text in a block (statement: |), or statement_file")
        if top.has("statement"):
            text = top.text("statement", "Python text, not empty")
            node = top.fields["statement"]
            place = node.place
            if text is None:
                return None
            if node.block_indent is None:
                return StatementText(text, place.file, 0, 0, place.line, place.column)
            return StatementText(text, place.file, place.line + 1, node.block_indent, place.line, place.column)
        name = top.text("statement_file", "a file name")
        if name is None:
            return None
        file_text = read_file(self._beside(name), self.mistakes, top.place("statement_file"), name)
        if file_text is None:
            return None
        self._texts.append(file_text)
        return StatementText(file_text, str(self._beside(name)))

    def _output(self, top: Section, mode: Mode) -> RowSchema | None:
        top.require("output_schema", "a list of columns, a JSON Schema, or the name of a file with one")
        return self._schema(top, "output_schema", mode)

    def _schema(self, section: Section, key: str, mode: Mode) -> RowSchema | None:
        node = section.fields.get(key)
        if node is None:
            return None
        if isinstance(node.value, str):
            path = self._beside(node.value)
            loaded, text = read_document(path, self.mistakes, node.place, str(path))
            if loaded is None:
                return None
            self._texts.append(text)
            node = loaded
        if not isinstance(node.value, (dict, list)):
            expected = "a list of columns, a JSON Schema or the name of a file with one"
            self.mistakes.add(node.place, f"{key}: expected {expected}, got {node.describe()}")
            return None
        definition = node.plain()
        role: Role = "output" if key == "output_schema" else "input"
        wrong = list(row_schema.find_mistakes(definition, mode, role))
        for pointer, reason in wrong:
            self.mistakes.add(node.find(pointer_tokens(pointer)).place, f"{key}: {reason}")
        return None if wrong else row_schema.prepare(definition, mode, role)

    def _inputs(self, top: Section) -> tuple[InputDefinition, ...] | None:
        if not top.has("inputs"):
            return None
        found = []
        seen: set[str] = set()
        items = top.items("inputs", "a list of inputs, each with a name and perhaps a schema")
        if len(items) > MAX_INPUTS:
            self.mistakes.add(items[MAX_INPUTS].place, f"inputs: at most {MAX_INPUTS} are possible")
        for number, node in enumerate(items, 1):
            section = Section(node, self.mistakes, "an input", INPUT_KEYS)
            mode = cast("Mode", section.choice("mode", MODES) or "strict")
            name = section.text("name", "the name of the input") or f"input{number}"
            if name in seen:
                self.mistakes.add(section.place("name"), f"the input {name!r} is there twice")
            seen.add(name)
            found.append(InputDefinition(name, self._schema(section, "schema", mode), self._read_options(section)))
        return tuple(found)

    def _read_options(self, section: Section) -> ReadOptions:
        form = section.choice("format", FORMATS)
        encoding = section.text("encoding", "the name of an encoding, such as windows-1252")
        # A delimiter may well be a tab or a space, which is no text otherwise.
        delimiter = section.fields["delimiter"].value if section.has("delimiter") else None
        if form is not None and form not in DELIMITED and delimiter is not None:
            self.mistakes.add(section.place("delimiter"), f"delimiter: it is for CSV, not for {form}")
        for key, options in (("encoding", {"encoding": encoding}), ("delimiter", {"delimiter": delimiter})):
            try:
                ReadOptions(**cast("dict[str, Any]", options))
            except ConfigError as error:
                self.mistakes.add(section.place(key), f"{key}: {error.message}")
                return ReadOptions(form)
        return ReadOptions(form, encoding, cast("str | None", delimiter))

    def _variable(self, name: str, place: Place, node: Node) -> LocalVariable | None:
        self._check_name(name, place)
        expected = f"a type ({', '.join(VARIABLE_TYPES)}) or a mapping with type, initial and update_from"
        if isinstance(node.value, str) and node.value in VARIABLE_TYPES:
            return LocalVariable(name, node.value)
        if not isinstance(node.value, dict):
            self.mistakes.add(node.place, f"local variable {name}: expected {expected}, got {node.describe()}")
            return None
        section = Section(node, self.mistakes, "a local variable", ("type", "initial", "update_from"))
        section.require("type", " or ".join(VARIABLE_TYPES))
        kind = section.choice("type", VARIABLE_TYPES)
        update_from = section.text("update_from", "the name of a column of the output schema")
        if kind is None:
            return None
        variable = LocalVariable(name, cast("VariableType", kind), None, update_from)
        initial = section.fields["initial"].plain() if section.has("initial") else None
        refusal = variable.refusal(initial)
        if refusal is not None:
            self.mistakes.add(section.place("initial"), f"initial: {refusal}")
            return None
        return LocalVariable(name, variable.type, initial, update_from)

    def _secret(self, name: str, place: Place, node: Node) -> SecretSource | None:
        self._check_name(name, place)
        section = Section(node, self.mistakes, "a secret", ("env", "file", "hosts", "also_in"))
        if not isinstance(node.value, dict):
            return None
        if section.has("env") == section.has("file"):
            self.mistakes.add(node.place, f"secret {name}: expected either env or file")
            return None
        variable = section.text("env", "the name of an environment variable")
        path = section.text("file", "the name of a file")
        hosts = [str(item.plain()) for item in section.items("hosts", "a list of hosts, such as [api.example.com]")]
        if section.has("hosts"):
            try:
                Secret("x" * SHORTEST, hosts=hosts)
            except ConfigError as error:
                self.mistakes.add(section.place("hosts"), f"hosts: {error.message}")
        also_in = [str(item.plain()) for item in section.items("also_in", "a list of url and body, such as [body]")]
        if also_in:
            try:
                checked_parts(also_in)
            except ConfigError as error:
                self.mistakes.add(section.place("also_in"), error.message)
            if not hosts:
                self.mistakes.add(section.place("also_in"), "also_in: only a secret with hosts has a placeholder")
        return SecretSource(variable, None if path is None else self._beside(path), tuple(hosts), tuple(also_in))

    def _check_name(self, name: str, place: Place) -> None:
        if not _IDENTIFIER.fullmatch(name):
            self.mistakes.add(
                place, f"{name!r}: expected a name that Python takes after LocalVariable., without leading __"
            )

    def _check_same_names(self, top: Section) -> None:
        secrets, variables = (top.fields[key].keys if top.has(key) else {} for key in ("secrets", "local_variables"))
        for name, place in secrets.items():
            if name in variables:
                self.mistakes.add(place, f"secret {name}: a local variable has the same name")

    def _limits(self, top: Section) -> Limits:
        if not top.has("limits"):
            return Limits()
        section = Section(top.fields["limits"], self.mistakes, "limits", LIMIT_NAMES)
        values: dict[str, Any] = {}
        for name, node in section.fields.items():
            if name not in LIMIT_NAMES:
                continue
            value = node.plain()
            if name.endswith("_bytes") and isinstance(value, str):
                value = parse_size(value)
                if value is None:
                    section.wrong(name, "bytes or a size such as 512MiB, 64k or 1.5GB")
                    continue
            try:
                Limits(**{name: value})
            except ConfigError as error:
                self.mistakes.add(node.place, error.message)
            else:
                values[name] = value
        return Limits(**values)

    def _grants(self, top: Section) -> Grants:
        if not top.has("grants"):
            return Grants()
        section = Section(top.fields["grants"], self.mistakes, "grants", ("http", "ca_file", "proxy"))
        items = section.items("http", "a list of hosts, such as [api.example.com]")
        http = [grant for grant in map(self._http_grant, items) if grant is not None]
        ca_file = section.text("ca_file", "the name of a PEM file")
        options: dict[str, Any] = {
            "ca_file": None if ca_file is None else self._beside(ca_file),
            "proxy": self._proxy(section),
        }
        for key, value in options.items():
            try:
                Grants(**{key: value})
            except ConfigError as error:
                self.mistakes.add(section.place(key), error.message)
                options[key] = None
        return Grants(http=http, **options)

    def _proxy(self, section: Section) -> str | None:
        text = section.text("proxy", "http://HOST:PORT, or env")
        if text is not None and "@" in text:
            # SECURITY: a step file is kept with every run, and read by whoever may look at one.
            self.mistakes.add(
                section.place("proxy"), "proxy: no user name and no password here; `env` and --proxy may have them"
            )
            return None
        return text

    def _http_grant(self, node: Node) -> HttpGrant | None:
        def made(make: Callable[[], HttpGrant]) -> HttpGrant | None:
            try:
                return make()
            except ConfigError as error:
                self.mistakes.add(node.place, error.message)
                return None

        if isinstance(node.value, str):
            text = node.value
            return made(lambda: HttpGrant.parse(text))
        if not isinstance(node.value, dict):
            expected = f"[METHOD,...] [https://]HOST[:PORT] or a mapping with {', '.join(GRANT_KEYS)}"
            self.mistakes.add(node.place, f"grants: expected {expected}, got {node.describe()}")
            return None
        section = Section(node, self.mistakes, "an http grant", GRANT_KEYS)
        section.require("host", "a host name, *.NAME or an address")
        options = {key: value for key, value in cast("dict[str, Any]", node.plain()).items() if key in GRANT_KEYS}
        options |= {key: self._beside(options[key]) for key in _FILE_KEYS if isinstance(options.get(key), str)}
        host = options.pop("host", None)
        return None if host is None else made(lambda: HttpGrant(host, **options))

    def _check_columns(
        self, top: Section, output: RowSchema | None, checkpoint_column: str | None, variables: dict[str, LocalVariable]
    ) -> None:
        """Columns that other keys name must be columns of the output."""
        if output is None:
            return
        wanted = (
            []
            if checkpoint_column is None
            else [("checkpoint_column", checkpoint_column, top.place("checkpoint_column"))]
        )
        for variable in variables.values():
            if variable.update_from is not None:
                node = top.fields["local_variables"].find((variable.name, "update_from"))
                wanted.append(("update_from", variable.update_from, node.place))
                kind = row_schema.column_type(output.definition, variable.update_from)
                if kind is not None and kind != variable.type and (kind, variable.type) != ("integer", "double"):
                    self.mistakes.add(
                        node.place,
                        f"update_from: the column {variable.update_from!r} has the type {kind}, "
                        f"the local variable {variable.name} {variable.type}",
                    )
        names = output.prepared.column_names
        for key, column, place in wanted:
            if names is None:
                self.mistakes.add(place, f'{key}: the output schema names no columns; list them under "properties"')
            elif column not in names:
                hint = did_you_mean(column, names) or f"; its columns are {', '.join(names)}"
                self.mistakes.add(place, f"{key}: the output schema has no column {column!r}{hint}")

    def _beside(self, name: str) -> Path:
        return self._path.parent / name
