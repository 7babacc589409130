"""`StepDefinition`: what a step file says, checked and ready to run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ...errors import ConfigError
from ...grants import Grants
from ...limits import Limits
from ...rows.formats import ReadOptions
from ...rows.named_file import NamedFile
from ...schema import RowSchema
from ...schema.values import is_datetime, type_name
from ...secret import Secret

Processing: TypeAlias = Literal["row_by_row", "bulk"]
OnRowError: TypeAlias = Literal["fail", "skip"]
VariableType: TypeAlias = Literal["text", "integer", "double", "boolean", "datetime"]

VARIABLE_TYPES: tuple[VariableType, ...] = get_args(VariableType)
DEFAULT_CONCURRENCY = 32
MAX_CONCURRENCY = 1000
MAX_SECRET_BYTES = 64 * 1024
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "integer": (int,), "double": (int, float), "boolean": (bool,), "datetime": (str,),
}  # fmt: skip
_WANTED = {
    "text": "a text", "integer": "a whole number", "double": "a number", "boolean": "true or false",
    "datetime": "a date and time as a text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InputDefinition:
    """One input: the first is INPUT_DATA, the second INPUT_DATA2 and so on; without schema any rows are taken.

    `options` say how its files are written, where their names do not.
    """

    name: str
    schema: RowSchema | None = None
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, slots=True)
class LocalVariable:
    """One local variable, always nullable; after a run it takes the last row's value of the column `update_from`."""

    name: str
    type: VariableType
    initial: object = None
    update_from: str | None = None

    def refusal(self, value: object) -> str | None:
        """Why the variable cannot have this value, or None if it can."""
        if value is None:
            return None
        wanted = f"expected {_WANTED[self.type]} or null"
        if type(value) not in _PYTHON_TYPES[self.type]:
            return f"{wanted}, got {type_name(value)}"
        if self.type == "datetime" and not is_datetime(str(value)):
            return f"{wanted} (2036-10-16T09:22:33), got {value!r}"
        return None


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret's value comes from when a run starts: an environment variable or a file, never the step file.

    With `hosts` the statement gets a placeholder that becomes the value in headers of requests there, and in what
    `also_in` names; see `Secret`.
    """

    variable: str | None = None
    file: NamedFile | None = None
    hosts: tuple[str, ...] = ()
    also_in: tuple[str, ...] = ()

    @property
    def path(self) -> Path | None:
        """The name of the file."""
        return None if self.file is None else self.file.path

    def bind(self, value: str | Secret) -> str | Secret:
        """The value, bound to `hosts` if there are any.

        Raises:
            ConfigError: the value cannot be bound: too short, or not for a header.
        """
        if not self.hosts or not isinstance(value, str):
            return value
        return Secret(value, hosts=self.hosts, also_in=self.also_in)

    def read(self, name: str) -> str:
        """The value; of a file without the line break at its end.

        Raises:
            ConfigError: there is no such variable, or the file cannot be read.
        """
        if self.variable is not None:
            value = os.environ.get(self.variable)
            if not value:
                raise ConfigError(f"secret {name}: the environment has no variable {self.variable}")
            return value
        assert self.file is not None
        try:
            with self.file.open() as file:
                data = file.read(MAX_SECRET_BYTES + 1)
            text = data.decode()
        except OSError as error:
            raise ConfigError(f"secret {name}: {self.path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"secret {name}: {self.path} is not UTF-8") from None
        if len(data) > MAX_SECRET_BYTES:
            raise ConfigError(f"secret {name}: {self.path} is larger than {MAX_SECRET_BYTES:,} bytes")
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise ConfigError(f"secret {name}: {self.path} is empty")
        return text


@dataclass(frozen=True, slots=True)
class StatementText:
    """The statement, and where its lines are: line n is line `first_line + n - 1` of `file`, `indent` columns in.

    `first_line` is 0 when the file spells it in a way that has no lines of its own (a quoted text).
    """

    text: str
    file: str
    first_line: int = 1
    indent: int = 0
    place_line: int = 1
    place_column: int = 1

    def locate(self, line: int, column: int) -> tuple[int, int]:
        """Line and column in the file for those in the statement."""
        if self.first_line == 0:
            return self.place_line, self.place_column
        return self.first_line + line - 1, self.indent + column


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """What a step does, run after run. `inputs` is None if the file names none: then any may be wired."""

    name: str
    description: str = ""
    statement: StatementText
    inputs: tuple[InputDefinition, ...] | None = None
    output: RowSchema
    processing: Processing = "row_by_row"
    checkpoint_column: str | None = None
    local_variables: Mapping[str, LocalVariable] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    grants: Grants = field(default_factory=Grants)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    on_row_error: OnRowError = "fail"
    concurrency: int = DEFAULT_CONCURRENCY
    image: str | None = None
    expect: Sequence[str] = ()
    """What fuzzing does not report: exceptions (`ValueError: part of its message`) or kinds of findings."""
    path: Path = field(default_factory=Path)
    allow_folders: Sequence[Path] = ()
    """Where files that the step and its test cases name may lie, besides their own folder."""
    text: str = ""
    """The step file and what it refers to, as the run store keeps it."""

    def input_schema(self, index: int) -> RowSchema | None:
        """The schema of an input by its position, from 0."""
        if self.inputs is None or index >= len(self.inputs):
            return None
        return self.inputs[index].schema

    def input_options(self, index: int) -> ReadOptions:
        """How the files of an input are written, by its position, from 0."""
        if self.inputs is None or index >= len(self.inputs):
            return ReadOptions()
        return self.inputs[index].options
