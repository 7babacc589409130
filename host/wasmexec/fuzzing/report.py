"""What a campaign says: as text, JSON, SARIF or JUnit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ..rows.visible import CONTROLS
from ..step.file.definition import StatementText
from .campaign import Summary
from .finding import MEANINGS, Finding

_MOST_SHOWN = 1500
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def place(finding: Finding, statement: StatementText) -> str:
    """`FILE:LINE`, of the statement's first line where no other is known."""
    line, _ = statement.locate(finding.verdict.line or 1, 1)
    return f"{statement.file}:{line}"


def summary_line(summary: Summary, statement: StatementText) -> str:
    """One line: runs, branches, stability, seed."""
    rate = summary.runs / summary.seconds if summary.seconds else 0
    parts = [f"{summary.runs:,} runs in {summary.seconds:.1f} s ({rate:,.0f}/s)"]
    passed, total = summary.branches
    if total:
        lines = [statement.locate(line, 1)[0] for line in summary.never]
        never = f", lines {', '.join(map(str, lines))} never reached" if lines else ""
        parts.append(f"{passed} of {total} branches{never}")
    parts.append(f"stability {summary.stable} %")
    if summary.unfit > summary.runs:
        parts.append(f"{summary.unfit:,} inputs were made that do not fit the schemas")
    if summary.undecided:
        parts.append(f"{summary.undecided} out of wall-clock time, not judged")
    parts.append(f"seed {summary.seed}")
    return " · ".join(parts)


def finding_text(finding: Finding, statement: StatementText, command: str) -> str:
    """A finding for people: what, where, the input, the command that replays it."""
    verdict = finding.verdict
    what = ": ".join(filter(None, (verdict.exception, verdict.message)))
    fault = f" (HTTP: {verdict.fault})" if verdict.fault else ""
    lines = [f"{verdict.kind.upper()} {finding.id}  {MEANINGS[verdict.kind]}{fault}", f"  {what}"]
    source = f"  {verdict.line_text}" if verdict.line_text else ""
    lines.append(f"  at {place(finding, statement)}{source}")
    lines += [f"  {name}: {text}" for name, text in _input_lines(finding)]
    lines.append(f"  replay: {command} --replay {finding.id}")
    return "\n".join(lines)


def _input_lines(finding: Finding) -> list[tuple[str, str]]:
    given = finding.input
    smallest = "" if finding.is_minimal else " (not yet minimal)"
    lines = [
        (f"INPUT_DATA{number if number > 1 else ''}{smallest}", _short(rows))
        for number, rows in enumerate(given.inputs, 1)
    ]
    if given.checkpoint is not None:
        lines.append(("DATA_CHECKPOINT", _short(given.checkpoint)))
    return lines + [(f"LocalVariable.{name}", _short(value)) for name, value in given.local_variables.items()]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text):,} characters)"


def as_json(findings: Sequence[Finding], summary: Summary, statement: StatementText) -> str:
    """The whole outcome as one JSON object."""
    content = {
        "runs": summary.runs, "seconds": round(summary.seconds, 3), "seed": summary.seed,
        "branches": {"passed": summary.branches[0], "all": summary.branches[1]},
        "never_reached": [statement.locate(line, 1)[0] for line in summary.never],
        "stability": summary.stable, "unfit": summary.unfit, "undecided": summary.undecided,
        "stopped": summary.is_stopped,
        "findings": [{**finding.as_dict(), "place": place(finding, statement)} for finding in findings],
    }  # fmt: skip
    return json.dumps(content, indent=2)


def as_sarif(findings: Sequence[Finding], statement: StatementText) -> str:
    """SARIF 2.1.0, whose fingerprints stay the same from run to run."""
    results = []
    for finding in findings:
        verdict = finding.verdict
        line, _ = statement.locate(verdict.line or 1, 1)
        region: dict[str, Any] = {
            "artifactLocation": {"uri": statement.file}, "region": {"startLine": max(line, 1)}
        }  # fmt: skip
        text = ": ".join(filter(None, (MEANINGS[verdict.kind], verdict.exception, verdict.message)))
        results.append(
            {
                "ruleId": verdict.kind, "level": "error", "message": {"text": text},
                "locations": [{"physicalLocation": region}],
                "partialFingerprints": {"wasmexecFuzz/v1": finding.id},
                "properties": {"input": finding.input.as_dict()},
            }
        )  # fmt: skip
    rules = [{"id": kind, "shortDescription": {"text": text}} for kind, text in MEANINGS.items()]
    run = {"tool": {"driver": {"name": "wasmexec fuzz", "rules": rules}}, "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def as_junit(findings: Sequence[Finding], summary: Summary, statement: StatementText, name: str, command: str) -> str:
    """JUnit: a test case for each finding, or one that has passed."""
    cases = []
    for finding in findings:
        text = _xml(finding_text(finding, statement, command))
        title = _xml(f"{finding.verdict.kind} {finding.id}", attribute=True)
        message = _xml(finding.verdict.message, attribute=True)
        cases.append(
            f"  <testcase classname={_xml(name, attribute=True)} name={title}>\n"
            f"    <failure message={message}>{text}</failure>\n  </testcase>"
        )
    if not cases:
        cases.append(f'  <testcase classname={_xml(name, attribute=True)} name="fuzz"/>')
    head = (
        f'<testsuite name="wasmexec fuzz" tests="{len(cases)}" failures="{len(findings)}" time="{summary.seconds:.3f}">'
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>"])


def _xml(text: str, *, attribute: bool = False) -> str:
    """What XML takes: without control characters, which it has no way to write."""
    clean = CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    clean = clean.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
    return quoteattr(clean) if attribute else escape(clean)
