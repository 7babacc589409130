"""Reading a step file: its schema finds what it can, the rest is found here, and all is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...limits import Limits, parse_size
from ...rows.formats import ReadOptions
from ...rows.named_file import NamedFile
from ...schema import Mode, Role, RowSchema, row_schema
from ...schema.columns import did_you_mean
from ...secret import checked_hosts
from .checking import check
from .definition import InputDefinition, LocalVariable, SecretSource, StatementText, StepDefinition
from .document import Node, Place, pointer_tokens
from .files import check_file, read_document, read_file
from .mistakes import Collector
from .network import read_grants
from .schema import MAX_INPUTS, NAME, ROW_SCHEMA, noted_step_schema


def read_definition(path: Path, allow_folders: Sequence[Path] = ()) -> StepDefinition:
    """The step in a file; what it names lies below its own folder, or below one of `allow_folders`.

    Raises:
        StepFileError: it cannot be read or something in it is wrong; all mistakes at once.
    """
    reader = Reader(path, allow_folders)
    definition = reader.read()
    reader.mistakes.raise_if_any()
    assert definition is not None
    return definition


def read_name(path: Path) -> str:
    """The name of the step in a file, whose other files are not looked at.

    Raises:
        StepFileError: it cannot be read or something in it is wrong.
    """
    reader = Reader(path, ())
    name = reader.read_name()
    reader.mistakes.raise_if_any()
    return name


class Reader:
    """Reads one step; what is wrong is in `mistakes`."""

    def __init__(self, path: Path, allow_folders: Sequence[Path]) -> None:
        self._path = path
        self._allow_folders = tuple(allow_folders)
        self.mistakes = Collector(str(path))
        self._texts: list[str] = []

    def read(self) -> StepDefinition | None:
        """The definition, or None if a mistake leaves nothing to build it from."""
        top = self._top()
        if top is None:
            return None
        statement = self._statement(top)
        output = self._schema(top.fields.get("output_schema"), "output_schema", top.get("mode"))
        variables = self._variables(top)
        self._check_columns(top, output, variables)
        secrets = self._secrets(top)
        parts: dict[str, Any] = {
            key: value
            for key in ("description", "processing", "checkpoint_column", "on_row_error", "concurrency", "image")
            if (value := top.get(key)) is not None
        }
        parts |= {
            "name": self._name(top),
            "inputs": self._inputs(top),
            "limits": self._limits(top.fields.get("limits")),
            "expect": tuple(top.get("expect") or ()),
            "grants": read_grants(top.fields.get("grants"), self._named, self.mistakes),
        }
        if self.mistakes.count or statement is None or output is None:
            return None
        return StepDefinition(
            statement=statement, output=output, local_variables=variables, secrets=secrets, path=self._path,
            text="\n".join(self._texts), allow_folders=self._allow_folders, **parts,
        )  # fmt: skip

    def _named(self, name: str) -> NamedFile:
        return NamedFile(self._path.parent / name, (self._path.parent, *self._allow_folders))

    def read_name(self) -> str:
        """Only the step's name; mistakes are in `mistakes`."""
        top = self._top()
        return "" if top is None else self._name(top)

    def _top(self) -> Node | None:
        shown = str(self._path)
        top, text = read_document(self._path, self.mistakes, Place(shown, 1, 1), shown)
        if top is not None:
            self._texts.append(text)
            check(top, noted_step_schema(), self.mistakes)
        return top

    def _name(self, top: Node) -> str:
        node = top.fields.get("name")
        if node is None:
            return self._path.name.split(".", 1)[0]
        name = str(node.value)
        if not name.isprintable():
            self.mistakes.add(node.place, f"name: expected {NAME}, got {node.describe()}")
        return name

    def _statement(self, top: Node) -> StatementText | None:
        node = top.fields.get("statement")
        if node is not None:
            place, text = node.place, str(node.value)
            if node.block_indent is None:
                return StatementText(text, place.file, 0, 0, place.line, place.column)
            return StatementText(text, place.file, place.line + 1, node.block_indent, place.line, place.column)
        node = top.fields.get("statement_file")
        if node is None:
            return None
        file = self._named(str(node.value))
        file_text = read_file(file, self.mistakes, node.place, f"statement_file: {node.value}")
        if file_text is None:
            return None
        self._texts.append(file_text)
        return StatementText(file_text, str(file.path))

    def _schema(self, node: Node | None, key: str, mode: Mode | None) -> RowSchema | None:
        if node is None:
            return None
        if isinstance(node.value, str):
            file = self._named(node.value)
            loaded, text = read_document(file, self.mistakes, node.place, str(file.path))
            if loaded is None:
                return None
            self._texts.append(text)
            node = loaded
        if not isinstance(node.value, (dict, list)):
            self.mistakes.add(node.place, f"{key}: expected {ROW_SCHEMA}, got {node.describe()}")
            return None
        definition = node.plain()
        role: Role = "output" if key == "output_schema" else "input"
        wrong = list(row_schema.find_mistakes(definition, mode or "strict", role))
        for pointer, reason in wrong:
            self.mistakes.add(node.find(pointer_tokens(pointer)).place, f"{key}: {reason}")
        return None if wrong else row_schema.prepare(definition, mode or "strict", role)

    def _inputs(self, top: Node) -> tuple[InputDefinition, ...] | None:
        node = top.fields.get("inputs")
        if node is None:
            return None
        found: list[InputDefinition] = []
        names: set[str] = set()
        # Those beyond are a mistake already.
        for number, item in enumerate(node.items[:MAX_INPUTS], 1):
            name = item.get("name") or f"input{number}"
            if name in names:
                place = item.fields["name"].place if "name" in item.fields else item.place
                self.mistakes.add(place, f"the input {name!r} is there twice")
            names.add(name)
            schema = self._schema(item.fields.get("schema"), "schema", item.get("mode"))
            found.append(InputDefinition(name, schema, self._read_options(item)))
        return tuple(found)

    def _read_options(self, item: Node) -> ReadOptions:
        options: dict[str, str | None] = {}
        for key in ("encoding", "delimiter"):
            try:
                options[key] = getattr(ReadOptions(**{key: item.get(key)}), key)
            except ConfigError as error:
                self.mistakes.add(item.fields[key].place, f"{key}: {error.message}")
        return ReadOptions(item.get("format"), **options)

    def _variables(self, top: Node) -> dict[str, LocalVariable]:
        found: dict[str, LocalVariable] = {}
        for name, node in top.fields["local_variables"].fields.items() if "local_variables" in top.fields else ():
            kind: Any = node.value if isinstance(node.value, str) else node.get("type")
            if kind is None:
                continue
            variable = LocalVariable(name, kind, node.get("initial"), node.get("update_from"))
            refusal = variable.refusal(variable.initial)
            if refusal is not None:
                self.mistakes.add(node.fields["initial"].place, f"initial: {refusal}")
            found[name] = variable
        return found

    def _secrets(self, top: Node) -> dict[str, SecretSource]:
        found: dict[str, SecretSource] = {}
        variables = top.fields["local_variables"].keys if "local_variables" in top.fields else {}
        section = top.fields.get("secrets")
        if section is None:
            return found
        for name, place in section.keys.items():
            if name in variables:
                self.mistakes.add(place, f"secret {name}: a local variable has the same name")
        for name, node in section.fields.items():
            hosts = node.get("hosts") or ()
            if hosts and node.fields["hosts"].is_right:
                try:
                    checked_hosts(hosts)
                except ConfigError as error:
                    self.mistakes.add(node.fields["hosts"].place, f"hosts: {error.message}")
            file = None
            if "file" in node.fields:
                file = self._named(str(node.get("file")))
                check_file(file, self.mistakes, node.fields["file"].place, f"secret {name}")
            found[name] = SecretSource(node.get("env"), file, tuple(hosts), tuple(node.get("also_in") or ()))
        return found

    def _limits(self, node: Node | None) -> Limits:
        values: dict[str, Any] = {}
        for name, limit in node.fields.items() if node is not None else ():
            if name not in Limits.__slots__:
                continue
            value: Any = parse_size(limit.value) if isinstance(limit.value, str) else limit.value
            try:
                Limits(**{name: value})
            except ConfigError as error:
                self.mistakes.add(limit.place, error.message)
            else:
                values[name] = value
        return Limits(**values)

    def _check_columns(self, top: Node, output: RowSchema | None, variables: dict[str, LocalVariable]) -> None:
        """Columns that other keys name must be columns of the output."""
        if output is None:
            return
        wanted = [("checkpoint_column", top.fields["checkpoint_column"])] if "checkpoint_column" in top.fields else []
        for variable in variables.values():
            if variable.update_from is not None:
                node = top.fields["local_variables"].find((variable.name, "update_from"))
                wanted.append(("update_from", node))
                kind = row_schema.column_type(output.definition, variable.update_from)
                if kind is not None and kind != variable.type and (kind, variable.type) != ("integer", "double"):
                    self.mistakes.add(
                        node.place,
                        f"update_from: the column {variable.update_from!r} has the type {kind}, "
                        f"the local variable {variable.name} {variable.type}",
                    )
        names = output.prepared.column_names
        for key, node in wanted:
            column = str(node.value)
            if names is None:
                message = f'{key}: the output schema names no columns; list them under "properties"'
                self.mistakes.add(node.place, message)
            elif column not in names:
                hint = did_you_mean(column, names) or f"; its columns are {', '.join(names)}"
                self.mistakes.add(node.place, f"{key}: the output schema has no column {column!r}{hint}")
