"""`--save-cases`: findings as test cases of the step, appended to its file of cases as a person would write them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from ..step.file.cases import cases_path, read_cases
from ..step.file.definition import StepDefinition
from .finding import Finding

SAVABLE = ("raised", "refused", "lost", "memory", "grant")
"""Kinds that one run of the step shows; the others need the fuzzer to be seen."""
_ITEM = re.compile(r"^( *)- ", re.MULTILINE)
_MAX_NAME = 120


def save_cases(definition: StepDefinition, findings: Sequence[Finding]) -> tuple[Path, list[str]]:
    """Append a case for each finding that has none yet: it fails until the step takes the input.

    Returns the file and the names of the new cases.

    Raises:
        ConfigError: the file is JSON, or would not be read as it must be. It stays as it was.
    """
    found = cases_path(definition.path)
    path = found or definition.path.with_name(definition.path.name.split(".", 1)[0] + ".tests.yaml")
    if path.suffix == ".json":
        raise ConfigError(f"{path} is JSON: cases are appended to YAML only")
    known = [] if found is None else [case.name for case in read_cases(path, definition, is_found=True)]
    text = path.read_text("utf-8") if found is not None else "cases:\n"
    indent = match[1] if (match := _ITEM.search(text)) else "  "
    added: list[str] = []
    for finding in findings:
        if finding.verdict.kind in SAVABLE and not any(f"fuzz {finding.id}" in name for name in known):
            name = _name(finding)
            text = text.rstrip("\n") + "\n" + _case(finding, name, indent)
            added.append(name)
    if added:
        _replace(path, text, definition, [*known, *added])
    return path, added


def _name(finding: Finding) -> str:
    what = finding.verdict.exception or finding.verdict.kind
    return f"fuzz {finding.id}: {what}"[:_MAX_NAME]


def _case(finding: Finding, name: str, indent: str) -> str:
    given = finding.input
    lines = [f"- name: {_flow(name)}", f"  input: {_flow(given.inputs[0])}"]
    if len(given.inputs) > 1:
        lines.append(f"  extra_inputs: {_flow(list(given.inputs[1:]))}")
    if given.checkpoint is not None:
        lines.append(f"  checkpoint: {_flow(given.checkpoint)}")
    if given.local_variables:
        lines.append(f"  local_variables: {_flow(dict(given.local_variables))}")
    # A run that fails differs from that, too.
    lines.append("  expect: {rows_failed: 0}")
    return "".join(f"{indent}{line}\n" for line in lines)


def _flow(value: object) -> str:
    """A value on one line, as JSON, which YAML takes; what cannot be printed is escaped as YAML does it."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        character
        if character.isprintable()
        else f"\\u{ord(character):04x}"
        if ord(character) < 0x10000
        else f"\\U{ord(character):08x}"
        for character in text
    )


def _replace(path: Path, text: str, definition: StepDefinition, names: list[str]) -> None:
    """Replace the file by the text, once it has been read as the cases that it must have."""
    part = path.with_name(f".fuzz-part.{path.name}")
    part.write_text(text, "utf-8")
    try:
        read = [case.name for case in read_cases(part, definition)]
        if read != names:
            raise ConfigError(f"{path} is written in a way to which no case can be appended")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
