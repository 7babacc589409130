"""Every Python example of README and docs/ runs as it stands there, without network; each has its check here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fuzzing.test_other_uses import PROPERTY
from tests.reading import ROOT, read

import wasmexec
from wasmexec.canned import CannedAnswer, CannedHttp
from wasmexec.step import Step

_BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Names = dict[str, Any]


def examples() -> dict[str, list[str]]:
    """The Python of every page that has any, in the order of the page."""
    pages = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    return {page: found for page in pages if (found := _BLOCK.findall(read(page)))}


def run(page: str, number: int, names: Names) -> Names:
    exec(compile(examples()[page][number], f"{page}, example {number}", "exec"), names)
    return names


def readme(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    run("README.md", 0, {})
    assert f"```\n\n```\n{capsys.readouterr().out}```\n" in read("README.md")


def one_run(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    run("docs/python.md", 0, {})
    assert capsys.readouterr().out == "200 [{'n': 0}, {'n': 1}, {'n': 2}] 0\n"


def prepared(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    columns, batches = [{"name": "n", "type": "integer"}], [[{"n": 1}], [{"n": 2}]]
    names = {"executor": executor, "statement": "return INPUT_DATA", "columns": columns, "batches": batches}
    assert run("docs/python.md", 1, names)["result"].rows == [{"n": 2}]


def granted(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"wasmexec": wasmexec, "executor": executor, "statement": "return [{'key': LocalVariable.API_KEY}]"}
    assert run("docs/network.md", 0, names)["result"].rows == [{"key": "..."}]


def recorded(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    statement = "import random, time\nreturn [{'n': random.random(), 't': time.time()}]"
    names: Names = {"wasmexec": wasmexec, "executor": executor, "grants": wasmexec.Grants(), "statement": statement}
    again = run("docs/record-and-replay.md", 0, {**names, "edited": statement})["again"]
    assert (again.replay.is_identical, again.replay.is_statement_changed) == (True, False)
    again = run("docs/record-and-replay.md", 0, {**names, "edited": f"{statement} * 2"})["again"]
    assert (again.replay.is_identical, again.replay.is_statement_changed, len(again.rows)) == (False, True, 2)


def gathered(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = examples()["docs/statements.md"]
    before, after = "import httpx\nurl = 'https://a.example/p'\n", "return [{'text': page.text} for page in pages]\n"
    answers = [CannedAnswer(method="GET", url=f"https://a.example/p?page={n}", body=b"%d" % n) for n in range(1, 6)]
    one = executor.prepare(
        before + example + after, grants=wasmexec.Grants(http=["a.example"]), canned_http=CannedHttp(answers)
    )
    assert one.run().rows == [{"text": str(n)} for n in range(1, 6)]


def fixture(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    """`wasmexec_step` loads a step; the plugin's own tests show that it does."""
    [text] = re.findall(r'^```yaml title="totals.step.yaml"\n(.*?)^```$', read("docs/steps.md"), re.M | re.S)

    def load(name: str) -> Step:
        assert name == "totals.step.yaml"
        path = Path(name)
        path.write_text(text, encoding="utf-8")
        return Step.load(path)

    run("docs/steps.md", 0, {})["test_totals"](load)


def elsewhere(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    """`tests/step/test_examples.py` runs it."""
    assert examples()["docs/steps.md"][1] in read("docs/steps.md").partition("## From Python")[2]


def of_a_client(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    """They need a server; `tests/server/test_client.py` runs all of them, one after the other."""
    assert 'read("docs/tenants.md")' in read("tests/server/test_client.py")


def a_property(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    """`tests/fuzzing/test_other_uses.py` fuzzes with it."""
    assert examples()["docs/fuzzing.md"][0] == PROPERTY


def driven(executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str]) -> None:
    statement = 'return [{"n": 1 // INPUT_DATA[0]["n"]}]'
    columns = "[{name: n, type: integer}]"
    Path("orders.step.yaml").write_text(
        f"inputs: [{{name: rows, schema: {columns}}}]\noutput_schema: {columns}\nstatement: '{statement}'\n", "utf-8"
    )
    names = run("docs/fuzzing.md", 1, {})
    with names["target"]:
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            names["test_orders"]()
        # Bytes that are used up are zeros, and so is then the number.
        with pytest.raises(RuntimeError, match="division"):
            names["TestOneInput"](b"")


CHECKS: dict[tuple[str, int], Callable[[wasmexec.Executor, pytest.CaptureFixture[str]], None]] = {
    ("README.md", 0): readme,
    ("docs/network.md", 0): granted,
    ("docs/python.md", 0): one_run,
    ("docs/python.md", 1): prepared,
    ("docs/record-and-replay.md", 0): recorded,
    ("docs/statements.md", 0): gathered,
    ("docs/steps.md", 0): fixture,
    ("docs/steps.md", 1): elsewhere,
    ("docs/fuzzing.md", 0): a_property,
    ("docs/fuzzing.md", 1): driven,
    **{("docs/tenants.md", number): of_a_client for number in range(len(examples()["docs/tenants.md"]))},
}


def test_every_example_has_a_check() -> None:
    assert {(page, number) for page, found in examples().items() for number in range(len(found))} == CHECKS.keys()


@pytest.mark.parametrize(("page", "number"), list(CHECKS))
def test_an_example_runs(
    executor: wasmexec.Executor, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    page: str, number: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    CHECKS[page, number](executor, capsys)
