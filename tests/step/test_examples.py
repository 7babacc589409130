"""The six steps of docs/steps.md do what their cases say."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import click
import pytest

import wasmexec
from wasmexec.step import Step
from wasmexec.step.cases import load_cases, run_case
from wasmexec.step.file.cases import Case

PAGE = Path(__file__).parents[2] / "docs" / "steps.md"
BLOCK = re.compile(r'^```yaml title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NAMES = ("clean", "totals", "since", "join", "rates", "plot")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files that the page shows."""
    folder = tmp_path_factory.mktemp("examples")
    for name, text in BLOCK.findall(PAGE.read_text("utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def cases() -> list[tuple[str, str]]:
    """Step and case of every case on the page."""
    found = []
    for file, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if file.endswith(".tests.yaml"):
            found += [(file.split(".")[0], name) for name in re.findall(r"^  - name: (.*)$", text, re.MULTILINE)]
    return found


def find(folder: Path, step: str, case: str) -> tuple[Step, Case]:
    path = folder / f"{step}.step.yaml"
    loaded = Step.load(path)
    return loaded, next(item for item in load_cases(path, loaded.definition) if item.name == case)


def test_the_page_has_the_six_steps_with_cases(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.{kind}.yaml" for name in NAMES for kind in ("step", "tests")
    )
    assert {step for step, _ in cases()} == set(NAMES)


@pytest.mark.parametrize(("step", "case"), [item for item in cases() if item[0] != "plot"])
def test_an_example_passes_its_case(executor: wasmexec.Executor, folder: Path, step: str, case: str) -> None:
    outcome = run_case(*find(folder, step, case), executor)
    assert list(map(str, outcome.differences)) == []


def test_the_plot_is_a_png_of_the_size_asked_for(executor: wasmexec.Executor, folder: Path) -> None:
    outcome = run_case(*find(folder, "plot", "a bar per city"), executor)
    if "matplotlib" not in executor.image.modules:
        assert outcome.result.status == 300
        assert "'matplotlib' is listed, not in this image" in str(outcome.result.error)
        return
    assert outcome.has_passed
    picture = base64.b64decode(outcome.result.rows[0]["picture"])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (400, 300)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_free_of_mistakes(executor: wasmexec.Executor, folder: Path, name: str) -> None:
    found = Step.load(folder / f"{name}.step.yaml").check(executor)
    if name == "plot" and "matplotlib" not in executor.image.modules:
        assert [item.line for item in found] == [4]
    else:
        assert found == []


def test_the_page_names_every_key_command_and_column_type() -> None:
    from wasmexec.cli.step_command import command as step
    from wasmexec.schema.columns import COLUMN_TYPES
    from wasmexec.step.file.cases_schema import cases_schema
    from wasmexec.step.file.schema import step_schema

    text = PAGE.read_text("utf-8")
    case = cases_schema()["properties"]["cases"]["items"]["properties"]
    for word in (*step_schema()["properties"], *case, *case["expect"]["properties"]):
        assert f"`{word}`" in text or f"`{word}:" in text
    for command in step.list_commands(click.Context(step)):
        assert f"step {command}" in text
    for word in COLUMN_TYPES:
        assert word in text


def test_the_python_of_the_page_runs(
    executor: wasmexec.Executor, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"^## From Python\n\n```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (folder / "orders.csv").write_text("id,customer,net\n1,anna,100\n2,eva,x\n")
    monkeypatch.chdir(folder)
    exec(compile(code, "steps.md", "exec"), {})
    out = capsys.readouterr().out
    assert out.startswith("202 1 [{'row': 1, 'status': 307, 'error': {'type': 'InputSchemaError', ")
    assert (folder / "clean.jsonl").read_text() == '{"id":1,"customer":"Anna","gross":121.0}\n'
