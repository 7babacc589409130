"""The pytest plugin: cases beside step files as tests (`pytest --wasmexec`), and fixtures for tests of one's own.

def test_totals(wasmexec_step):
    step = wasmexec_step("totals.step.yaml")
    assert step.run([{"city": "Brno", "amount": 3}]).rows == [{"city": "Brno", "total": 3}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .executor import Executor
    from .fuzzing import Finding
    from .fuzzing.store import FuzzStore
    from .step import Step
    from .step.file.cases import Case

STEP_SUFFIXES = (".step.yaml", ".step.yml", ".step.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--wasmexec` and the options that go with it."""
    group = parser.getgroup("wasmexec")
    group.addoption(
        "--wasmexec", action="store_true", help="run the cases of *.step.yaml files as tests (from *.tests.yaml)"
    )
    group.addoption(
        "--wasmexec-allow-folder", metavar="DIR", action="append", default=[],
        help="files that steps name may lie below DIR, too (repeatable)",
    )  # fmt: skip
    group.addoption(
        "--wasmexec-fuzz", metavar="SECONDS", type=_seconds, default=None,
        help="fuzz each step for so long, such as 10s; without it only stored findings are run again",
    )  # fmt: skip
    group.addoption("--wasmexec-image", metavar="NAME|FILE", help="guest image for steps [default: full, else core]")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Step files, if asked for."""
    if parent.config.getoption("--wasmexec") and file_path.name.endswith(STEP_SUFFIXES):
        collector: pytest.Collector = StepFile.from_parent(parent, path=file_path)
        return collector
    return None


@pytest.fixture(scope="session")
def wasmexec_executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One executor for the whole session; every run is a fresh instance all the same."""
    executor = _executor(request.config)
    yield executor
    _close(request.config)


@pytest.fixture
def wasmexec_step(request: pytest.FixtureRequest, wasmexec_executor: Executor) -> Callable[[str | Path], BoundStep]:
    """Loads a step file, by its path from the folder of the test's file."""
    folder = request.path.parent

    def load(path: str | Path) -> BoundStep:
        return BoundStep(_load(request.config, folder / path), wasmexec_executor)

    return load


class BoundStep:
    """A step with the session's executor."""

    def __init__(self, step: Step, executor: Executor) -> None:
        self.step = step
        self._executor = executor

    def run(self, input_data: Any = None, **options: Any) -> Any:
        """`Step.run` on the session's executor."""
        return self.step.run(input_data, executor=self._executor, **options)


class StepFile(pytest.File):
    """A step file: an item that checks its statement, one for each case, and those of fuzzing."""

    def collect(self) -> Iterator[pytest.Item]:
        """The check, the cases and the findings; a mistake in a file is a collection error with all of them."""
        from .step.cases import load_cases

        step = _load(self.config, self.path)
        yield CheckItem.from_parent(self, name="check", step=step)
        for case in load_cases(self.path, step.definition):
            yield CaseItem.from_parent(self, name=_shown(case.name), step=step, case=case)
        yield from self._fuzzing(step)

    def _fuzzing(self, step: Step) -> Iterator[pytest.Item]:
        """An item for each stored finding, and one that looks for more if asked for."""
        from .fuzzing.store import FuzzStore

        store = FuzzStore.beside(self.path, step.name)
        for finding in store.findings():
            yield FindingItem.from_parent(self, name=f"fuzz {finding.id}", step=step, finding=finding)
        seconds = self.config.getoption("--wasmexec-fuzz")
        if seconds is not None:
            yield FuzzItem.from_parent(self, name="fuzz", step=step, store=store, seconds=seconds)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The mistakes, not our traceback."""
        from .errors import WasmexecError

        return (
            _shown(excinfo.value.message) if isinstance(excinfo.value, WasmexecError) else super().repr_failure(excinfo)
        )


class StepFailed(Exception):
    """The step is not as its file or its cases say."""


class _StepItem(pytest.Item):
    def __init__(self, *, step: Step, **options: Any) -> None:
        super().__init__(**options)
        self.step = step

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What differs, not our traceback."""
        return (
            _shown(str(excinfo.value))
            if isinstance(excinfo.value, StepFailed)
            else super().repr_failure(excinfo, style)
        )


class CheckItem(_StepItem):
    """The statement compiles and imports only what it may."""

    def runtest(self) -> None:
        """Check the statement."""
        mistakes = self.step.check(_executor(self.config))
        if mistakes:
            raise StepFailed("\n".join(map(str, mistakes)))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from."""
        return self.path, 0, f"{self.path.name}: check"


class CaseItem(_StepItem):
    """One case."""

    def __init__(self, *, case: Case, **options: Any) -> None:
        super().__init__(**options)
        self.case = case

    def runtest(self) -> None:
        """Run the case and compare."""
        from .step.cases import run_case

        outcome = run_case(self.step, self.case, _executor(self.config))
        for item in outcome.result.logs:
            self.add_report_section("call", "log", _shown(f"{item.record.level} {item.record.message}"))
        if outcome.differences:
            raise StepFailed("\n".join(map(str, outcome.differences)))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from."""
        return self.path, self.case.place.line - 1, f"{self.path.name}: {self.name}"


class FindingItem(_StepItem):
    """A stored finding: it passes once it is fixed."""

    def __init__(self, *, finding: Finding, **options: Any) -> None:
        super().__init__(**options)
        self.finding = finding

    def runtest(self) -> None:
        """Run its input again."""
        from .fuzzing import Target
        from .fuzzing.campaign import replay
        from .fuzzing.report import finding_text

        if self.finding.needs:
            pytest.skip(f"it is seen with {self.finding.needs} only: wasmexec fuzz {self.path.name} --replay")
        with Target(self.step, executor=_executor(self.config)) as target:
            outcome, text = replay(target, self.finding)
        if outcome != "FIXED":
            shown = finding_text(self.finding, self.step.definition.statement, f"wasmexec fuzz {self.path.name}")
            raise StepFailed(f"{outcome}: {text}\n{shown}")

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from."""
        return self.path, 0, f"{self.path.name}: {self.name}"


class FuzzItem(_StepItem):
    """A search for inputs that break the step."""

    def __init__(self, *, store: FuzzStore, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._folder = store
        self._seconds = seconds

    def runtest(self) -> None:
        """Search for so long."""
        from .fuzzing import Target
        from .fuzzing.campaign import Bounds, Campaign
        from .fuzzing.report import finding_text

        with Target(self.step, executor=_executor(self.config)) as target:
            summary = Campaign(target, self._folder, Bounds(seconds=self._seconds), lambda _: None).run()
        statement, command = self.step.definition.statement, f"wasmexec fuzz {self.path.name}"
        if summary.is_stopped:
            raise KeyboardInterrupt
        if summary.findings:
            raise StepFailed("\n\n".join(finding_text(item, statement, command) for item in summary.findings))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from."""
        return self.path, 0, f"{self.path.name}: {self.name}"


def _seconds(text: str) -> float:
    """The seconds of `10s` or `10`."""
    import argparse

    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 10s") from None
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86,400 seconds")
    return seconds


def _load(config: pytest.Config, path: Path) -> Step:
    from .step import Step

    return Step.load(path, allow_folders=config.getoption("--wasmexec-allow-folder"))


def _shown(text: str) -> str:
    """SECURITY: what a step's file or its statement says drives no terminal."""
    from .rows.visible import visible

    return visible(text)


_KEY = pytest.StashKey["Executor"]()


def _executor(config: pytest.Config) -> Executor:
    if _KEY not in config.stash:
        from .executor import Executor

        config.stash[_KEY] = Executor(config.getoption("--wasmexec-image"))
        config.add_cleanup(lambda: _close(config))
    return config.stash[_KEY]


def _close(config: pytest.Config) -> None:
    if _KEY in config.stash:
        config.stash[_KEY].close()
        del config.stash[_KEY]
