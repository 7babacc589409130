"""Runs the tests of one shard. This very file runs in the guest and on native CPython, so both do the same.

`run(job, report)` unpacks what it was given, runs, and reports each step as one line of JSON:
    ["collected", id, outcome, message]   a file that could not be imported, or skips itself
    ["start", id]                         a test begins: if nothing follows, it is what the process died of
    ["end", id, outcome, message, seconds]
Outcomes: passed, failed, error, skipped, xfailed, xpassed.
"""

import base64
import importlib
import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from typing import Any

MESSAGE_CHARS = 600


class Reporter:
    """Writes the lines; `done` are the tests that an earlier instance has finished."""

    def __init__(self, report: Callable[[str], object], done: list[str]) -> None:
        self._report = report
        self.done = frozenset(done)
        self._begun = 0.0

    def collected(self, name: str, outcome: str, message: str) -> None:
        self._report(json.dumps(["collected", name, outcome, message[:MESSAGE_CHARS]]))

    def start(self, name: str) -> None:
        self._begun = time.perf_counter()
        self._report(json.dumps(["start", name]))

    def end(self, name: str, outcome: str, message: str) -> None:
        seconds = round(time.perf_counter() - self._begun, 4)
        self._report(json.dumps(["end", name, outcome, message[:MESSAGE_CHARS], seconds]))


def message_of(error: BaseException) -> str:
    """Type, text and place of an exception, in one line."""
    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = f" [{'/'.join(code.co_filename.split('/')[-3:])}:{traceback.tb_lineno} {code.co_name}]"
        traceback = traceback.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception as second:  # the exceptions that tests raise may be broken on purpose
        text = f"<str() raised {type(second).__name__}>"
    return f"{type(error).__name__}: {text[: MESSAGE_CHARS - 150]}{place}"


def unpack(job: dict[str, Any]) -> None:
    """Write the files of a job below its root, and make its tools importable."""
    root = job["root"]
    os.makedirs(root, exist_ok=True)
    for archive in job["archives"]:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as files:
            files.extractall(root)
    tools = os.path.join(root, "tools.zip")
    with open(tools, "wb") as file:
        file.write(base64.b64decode(job["tools"]))
    for name in job["extend"]:
        # The installed package has no tests: they are looked for here first. Done before `root` is on the path, where
        # an empty package of that name only tells pytest what its tests are called.
        importlib.import_module(name).__path__.insert(0, os.path.join(root, *name.split(".")))
    sys.path[:0] = [root, *(os.path.join(root, folder) for folder in job["paths"]), tools]
    importlib.invalidate_caches()
    os.environ.update(job["environment"])
    os.chdir(root)


def run(job: dict[str, Any], report: Callable[[str], object]) -> None:
    """Run one job."""
    unpack(job)
    reporter = Reporter(report, job["done"])
    streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    try:
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)  # type: ignore[misc]
        _KINDS[job["kind"]](job, reporter)
    finally:
        sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]


def run_pytest(job: dict[str, Any], reporter: Reporter) -> None:
    """Run test files with pytest."""
    import pytest

    # A package that lies in two places has two __init__ files.
    os.environ["PY_IGNORE_IMPORTMISMATCH"] = "1"
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Found nowhere else: numpy's own conftest behaves otherwise when there is a pytest.ini.
    settings = os.path.join(job["root"], "conformance.ini")
    with open(settings, "w", encoding="utf-8") as file:
        file.write("[pytest]\n")
    plugins = []
    if job["hypothesis"]:
        plugins += ["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
    arguments = [
        "--rootdir", job["root"], "--confcutdir", job["root"], "-c", settings,
        "--basetemp", os.path.join(job["root"], "basetemp"), "--import-mode=prepend",
        "-p", "no:cacheprovider", "-p", "no:faulthandler", "--capture=sys", "--assert=plain", "--tb=no", "-q",
        "--continue-on-collection-errors", *plugins, *job["options"], *job["targets"],
    ]  # fmt: skip
    code = pytest.main(arguments, plugins=[PytestReports(reporter), CollectedAsOnLinux()])
    if code not in (0, 1, 5):
        output = sys.stdout.buffer.getvalue() + sys.stderr.buffer.getvalue()  # type: ignore[union-attr]
        reporter.collected("pytest", "error", f"exit code {int(code)}: {output.decode('utf-8', 'replace')[-400:]}")


class CollectedAsOnLinux:
    """A plugin of pytest that says what the system is while test files are imported, which is when they look.

    Upstream leaves tests out where it knows only Linux' answer: that is the one the guest must give.
    """

    def __init__(self) -> None:
        self._platform = sys.platform

    def pytest_sessionstart(self) -> None:
        sys.platform = "linux"

    def pytest_collection_finish(self) -> None:
        sys.platform = self._platform


class PytestReports:
    """A plugin of pytest that reports what happens."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._outcome = "passed"
        self._message = ""

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            outcome = "skipped" if report.outcome == "skipped" else "error"
            self._reporter.collected(report.nodeid, outcome, text[-MESSAGE_CHARS:])

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        done = self._reporter.done
        if done:
            gone = [item for item in items if item.nodeid in done]
            items[:] = [item for item in items if item.nodeid not in done]
            config.hook.pytest_deselected(items=gone)

    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> None:
        if fixturedef.argname in ("capfd", "capfdbinary"):
            # Where it cannot work it fails here: failing halfway, it would take the tests behind it along.
            os.close(os.dup(2))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcome, self._message = "passed", ""
        self._reporter.start(nodeid)

    def pytest_exception_interact(self, call: Any, report: Any) -> None:
        if report.when != "collect":
            self._message = message_of(call.excinfo.value)

    def pytest_runtest_logreport(self, report: Any) -> None:
        expected = hasattr(report, "wasxfail")
        if report.outcome == "failed":
            self._outcome = "failed" if report.when == "call" else "error"
            self._message = self._message or str(report.longrepr)
        elif report.outcome == "skipped":
            self._outcome = "xfailed" if expected else "skipped"
            self._message = report.wasxfail if expected else str(report.longrepr[2])
        elif expected and report.when == "call":
            self._outcome = "xpassed"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._reporter.end(nodeid, self._outcome, self._message)


def run_unittest(job: dict[str, Any], reporter: Reporter) -> None:
    """Run modules of CPython's own test suite."""
    import unittest

    from test import support  # type: ignore[import-not-found]  # the shard brings it

    support.use_resources = job["options"]
    support.verbose = 0

    class Result(unittest.TestResult):
        """Reports each test; a failing subtest fails its test."""

        def startTest(self, test: unittest.TestCase) -> None:
            super().startTest(test)
            self.outcome, self.message = "passed", ""
            reporter.start(test.id())

        def stopTest(self, test: unittest.TestCase) -> None:
            super().stopTest(test)
            reporter.end(test.id(), self.outcome, self.message)

        def _note(self, outcome: str, message: str) -> None:
            if self.outcome in ("passed", "skipped"):
                self.outcome, self.message = outcome, message

        def addError(self, test: unittest.TestCase, err: Any) -> None:
            if not hasattr(test, "_testMethodName"):  # setUpClass or setUpModule
                reporter.collected(test.id(), "error", message_of(err[1]))
            else:
                self._note("error", message_of(err[1]))

        def addFailure(self, test: unittest.TestCase, err: Any) -> None:
            self._note("failed", message_of(err[1]))

        def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
            if err is not None:
                self._note("failed", f"{subtest.id()[len(test.id()) :]} {message_of(err[1])}")

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:
            if not hasattr(test, "_testMethodName"):
                reporter.collected(test.id(), "skipped", reason)
            elif self.outcome == "passed":
                self.outcome, self.message = "skipped", reason

        def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
            self.outcome = "xfailed"

        def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
            self.outcome = "xpassed"

    def remaining(suite: Any) -> Any:
        if isinstance(suite, unittest.TestSuite):
            return type(suite)(filter(None, map(remaining, suite)))
        return None if suite.id() in reporter.done else suite

    def run_suite(suite: Any) -> None:
        remaining(suite).run(Result())

    # Where a module has a `test_main`, upstream's own runner calls it; it ends here.
    support._run_suite = run_suite
    for name in job["targets"]:
        try:
            module = importlib.import_module(name)
            if hasattr(module, "test_main"):
                module.test_main()
            else:
                run_suite(unittest.defaultTestLoader.loadTestsFromModule(module))
        except unittest.SkipTest as skip:
            reporter.collected(name, "skipped", str(skip))
        except Exception as error:
            reporter.collected(name, "error", message_of(error))


def run_yaml(job: dict[str, Any], reporter: Reporter) -> None:
    """Run PyYAML's tests, which have a frame of their own: functions over the files of a folder."""
    appliance = importlib.import_module("test_appliance")
    filenames = appliance.find_test_filenames(appliance.DATA)
    for module in job["targets"]:
        for function in appliance.find_test_functions(importlib.import_module(module)):
            for base, paths in yaml_cases(appliance, function, filenames):
                name = f"{module}::{function.__name__}[{base}]"
                if name in reporter.done:
                    continue
                reporter.start(name)
                try:
                    function(verbose=False, *paths)  # noqa: B026 (as upstream calls it)
                except Exception as error:
                    reporter.end(name, "failed" if isinstance(error, AssertionError) else "error", message_of(error))
                else:
                    reporter.end(name, "passed", "")


def yaml_cases(appliance: Any, function: Any, filenames: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Name and files of each case of one function: those whose endings it asks for, without those it skips."""
    if function.unittest is True or not function.unittest:
        return [("", [])]
    skipped = getattr(function, "skip", [])
    return [
        (base, [os.path.join(appliance.DATA, base + ending) for ending in function.unittest])
        for base, endings in filenames
        if set(function.unittest) <= set(endings) and not set(skipped) & set(endings)
    ]


_KINDS = {"pytest": run_pytest, "unittest": run_unittest, "yaml": run_yaml}

if __name__ == "__main__":
    _lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    run(json.load(sys.stdin), lambda line: _lines.write(line + "\n"))
    _lines.flush()
    # Threads that a test left behind must not keep the process.
    os._exit(0)
