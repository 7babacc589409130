"""`FuzzInput`: all that one execution of a step is given, as plain JSON that people can read and edit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..rows.json_text import encode

Rows: TypeAlias = "list[Any] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzInput:
    """The inputs of an execution; nobody changes the rows in it.

    `inputs` are INPUT_DATA, INPUT_DATA2, ... as lists of rows, None for one that is not wired. `local_variables` are
    those that differ from the step's initial values.
    """

    inputs: Sequence[Rows]
    checkpoint: object = None
    local_variables: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The input as JSON-able values; what is not there is left out."""
        made: dict[str, object] = {"inputs": list(self.inputs)}
        if self.checkpoint is not None:
            made["checkpoint"] = self.checkpoint
        if self.local_variables:
            made["local_variables"] = dict(self.local_variables)
        return made

    @staticmethod
    def from_dict(content: object) -> FuzzInput:
        """The input that `as_dict` wrote.

        Raises:
            ValueError: it is none; the text says why.
        """
        if not isinstance(content, dict) or not isinstance(content.get("inputs"), list) or not content["inputs"]:
            raise ValueError("expected an object with a list of inputs")
        unknown = set(content) - {"inputs", "checkpoint", "local_variables"}
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}")
        inputs, variables = content["inputs"], content.get("local_variables", {})
        if not all(rows is None or isinstance(rows, list) for rows in inputs):
            raise ValueError("an input must be a list of rows, or null")
        if not isinstance(variables, dict):
            raise ValueError("local_variables must be an object")
        return FuzzInput(inputs=inputs, checkpoint=content.get("checkpoint"), local_variables=variables)

    @property
    def key(self) -> str:
        """The same for equal inputs: 16 hexadecimal digits."""
        return hashlib.sha256(encode(self.as_dict())).hexdigest()[:16]

    @property
    def weight(self) -> tuple[int, int]:
        """How large it is: rows, and bytes of JSON."""
        return sum(len(rows or ()) for rows in self.inputs), len(encode(self.as_dict()))
