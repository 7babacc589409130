"""`step check`, `test`, `run` and `debug` of a stranger's folder: what its files name lies in it, and is a file."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import wasmexec
from wasmexec.rows.named_file import NamedFile
from wasmexec.step import Step, StepFileError
from wasmexec.step.cases import load_cases, run_case

ROWS = "output_schema:\n  - {name: text, type: text, allow_null: true}\n"
BODY = "statement: return []\n"
CASES = "cases:\n  - {name: one, input: NAME, expect: {rows: [{text: inside}]}}\n"
CONTENT = {
    "statement_file": "return [{'text': 'inside'}]\n",
    "output_schema": "- {name: text, type: text}\n",
    "schema": "- {name: text, type: text}\n",
    "secret": "inside-secret\n",
    "input": '[{"text": "inside"}]',
}
SUFFIX = {"statement_file": ".py", "output_schema": ".yaml", "schema": ".yaml", "secret": ".txt", "input": ".json"}
STEPS = {
    "statement_file": f"statement_file: NAME\n{ROWS}",
    "output_schema": f"{BODY}output_schema: NAME\n",
    "schema": f"{BODY}{ROWS}inputs:\n  - {{name: a, schema: NAME}}\n",
    "secret": f"{BODY}{ROWS}secrets:\n  Key: {{file: NAME}}\n",
    "input": f"statement: return INPUT_DATA\n{ROWS}processing: bulk\n",
    "ca_file": f"{BODY}{ROWS}grants:\n  ca_file: NAME\n",
    "ca_file of a host": f"{BODY}{ROWS}grants:\n  http: [{{host: a.example, ca_file: NAME}}]\n",
    "client_cert": f"{BODY}{ROWS}grants:\n  http: [{{host: a.example, client_cert: NAME}}]\n",
    "client_key": f"{BODY}{ROWS}grants:\n  http: [{{host: a.example, client_cert: c.pem, client_key: NAME}}]\n",
}
"""A step for each key that can name a file."""
KEYS = sorted(STEPS)
PLAIN = sorted(CONTENT)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The stranger's folder, beside one of the user's."""
    (tmp_path / "mine").mkdir()
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


def write(home: Path, key: str, name: str) -> Path:
    path = home / "a.step.yaml"
    path.write_text(STEPS[key].replace("NAME", name))
    if key == "input":
        (home / "a.tests.yaml").write_text(CASES.replace("NAME", name))
    return path


def look(path: Path, executor: wasmexec.Executor, folders: tuple[Path, ...] = ()) -> str:
    """What `step check` and then `step test` or `run` find: the mistakes, or what came out."""
    try:
        step = Step.load(path, allow_folders=folders)
        cases = load_cases(path, step.definition)
    except StepFileError as error:
        return error.message
    if cases:
        outcome = run_case(step, cases[0], executor)
        return "fine" if outcome.has_passed else str(outcome.differences)
    result = step.run(executor=executor)
    return "fine" if result.error is None else result.error.message


def place_of(key: str) -> str:
    text = (CASES if key == "input" else STEPS[key]).split("NAME")[0]
    return f":{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}: "


def outside(home: Path, key: str) -> Path:
    found = home.parent / "mine" / f"file{SUFFIX.get(key, '.pem')}"
    found.write_text(CONTENT.get(key, "-----BEGIN"))
    return found


def by_dots(home: Path, key: str) -> str:
    return f"../mine/{outside(home, key).name}"


def by_hidden_dots(home: Path, key: str) -> str:
    (home / "below").mkdir()
    return f"below/../../mine/{outside(home, key).name}"


def absolute(home: Path, key: str) -> str:
    return str(outside(home, key))


def by_link(home: Path, key: str) -> str:
    target = outside(home, key)
    (home / f"link{target.suffix}").symlink_to(target)
    return f"link{target.suffix}"


def by_link_of_folder(home: Path, key: str) -> str:
    (home / "data").symlink_to(home.parent / "mine")
    return f"data/{outside(home, key).name}"


def by_chain(home: Path, key: str) -> str:
    target = outside(home, key)
    (home / f"first{target.suffix}").symlink_to(f"second{target.suffix}")
    (home / f"second{target.suffix}").symlink_to(f"../mine/{target.name}")
    return f"first{target.suffix}"


WAYS = (by_dots, by_hidden_dots, absolute, by_link, by_link_of_folder, by_chain)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", KEYS)
def test_a_file_outside_of_the_folder_is_refused_at_its_place(
    home: Path, executor: wasmexec.Executor, key: str, way: Callable[[Path, str], str]
) -> None:
    found = look(write(home, key, way(home, key)), executor)
    assert place_of(key) in found
    assert f"lies outside of {home}; move it there, or allow the folder that it is in: --allow-folder" in found
    assert found.count("\n") == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", PLAIN)
def test_a_folder_that_is_allowed_may_be_named(
    home: Path, executor: wasmexec.Executor, key: str, way: Callable[[Path, str], str]
) -> None:
    path = write(home, key, way(home, key))
    assert look(path, executor, (home.parent / "mine",)) == "fine"
    assert "lies outside" in look(path, executor, (home.parent / "other",))


@pytest.mark.parametrize("key", PLAIN)
def test_a_file_in_the_folder_may_be_a_link_or_far_below(home: Path, executor: wasmexec.Executor, key: str) -> None:
    suffix = SUFFIX[key]
    (home / "x" / "y").mkdir(parents=True)
    (home / "x" / "y" / f"real{suffix}").write_text(CONTENT[key])
    (home / f"link{suffix}").symlink_to(f"x/y/real{suffix}")
    names = (f"x/y/real{suffix}", f"link{suffix}", f"x/../link{suffix}", str(home / "x" / "y" / f"real{suffix}"))
    assert [look(write(home, key, name), executor) for name in names] == ["fine"] * 4


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a folder", "a device"])
@pytest.mark.parametrize("key", KEYS)
def test_what_is_no_file_is_refused_at_once(
    home: Path, executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch, key: str, kind: str
) -> None:
    name = f"x{SUFFIX.get(key, '.pem')}"
    folders: tuple[Path, ...] = ()
    if kind == "a named pipe":
        os.mkfifo(home / name)
    elif kind == "a socket":
        monkeypatch.chdir(home)  # the name of a socket must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    elif kind == "a folder":
        (home / name).mkdir()
    else:
        (home / name).symlink_to("/dev/null")
        folders = (Path("/dev"),)
    found = look(write(home, key, name), executor, folders)
    assert f"it is {kind}, not a file" in found
    assert place_of(key) in found


@pytest.mark.parametrize("key", [key for key in KEYS if key != "input"])
def test_a_huge_file_is_refused_unread(home: Path, executor: wasmexec.Executor, key: str) -> None:
    name = f"x{SUFFIX.get(key, '.pem')}"
    with (home / name).open("wb") as file:
        file.truncate(1 << 40)
    found = look(write(home, key, name), executor)
    assert "larger than 16,777,216 bytes" in found
    assert place_of(key) in found


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", [r'"a\0b"', '"' + "x" * 5000 + '"', r'"\ud800"', "loop", "gone/file"])
def test_a_name_that_leads_nowhere_is_a_mistake(home: Path, executor: wasmexec.Executor, key: str, name: str) -> None:
    (home / "loop").symlink_to("loop")
    assert look(write(home, key, name), executor) != "fine"


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_the_cases_beside_a_step_are_a_file_of_its_folder(home: Path, executor: wasmexec.Executor, kind: str) -> None:
    path = write(home, "secret", "key.txt")
    (home / "key.txt").write_text("a-secret")
    cases = home / "a.tests.yaml"
    if kind == "pipe":
        os.mkfifo(cases)
    else:
        (home.parent / "mine" / "cases.yaml").write_text("cases: []\n")
        cases.symlink_to("../mine/cases.yaml")
    found = look(path, executor)
    assert found.startswith(f"{cases}:1:1: {cases} cannot be read: it ")
    assert ("is a named pipe" if kind == "pipe" else "lies outside of") in found
    cases.unlink()
    assert look(path, executor) == "fine"


def test_a_step_file_that_is_a_pipe_is_refused(home: Path, executor: wasmexec.Executor) -> None:
    os.mkfifo(home / "a.step.yaml")
    assert "it is a named pipe, not a file" in look(home / "a.step.yaml", executor)


def test_what_a_secret_names_is_looked_at_when_it_is_read(home: Path, executor: wasmexec.Executor) -> None:
    path = write(home, "secret", "key.txt")
    step = Step.load(path)
    (home / "key.txt").write_text("inside-secret")
    assert step.run(executor=executor).error is None
    (home / "key.txt").unlink()
    (home / "key.txt").symlink_to(outside(home, "secret"))
    result = step.run(executor=executor)
    assert result.error is not None
    assert re.fullmatch(r"secret Key: \S+ cannot be read: it lies outside of .*", result.error.message)


def test_a_file_that_is_exchanged_again_and_again_is_never_one_outside(home: Path) -> None:
    """Between looking and opening nothing can be put in its place, nor in that of a folder on the way."""
    target = outside(home, "secret")
    target.write_text("outside")
    (home / "way").mkdir()
    (home / "way" / target.name).write_text("inside")
    file = NamedFile(home / "way" / target.name, (home,))
    stopped = threading.Event()

    def exchange() -> None:
        while not stopped.is_set():
            (home / "way").rename(home / "kept")
            (home / "way").symlink_to(home.parent / "mine")
            (home / "way").unlink()
            (home / "kept").rename(home / "way")

    thread = threading.Thread(target=exchange)
    thread.start()
    found = {"inside": 0, "outside": 0, "refused": 0}
    try:
        for _ in range(20_000):
            try:
                with file.open() as opened:
                    found[opened.read().decode()] += 1
            except OSError:
                found["refused"] += 1
    finally:
        stopped.set()
        thread.join()
    assert found["outside"] == 0
    assert found["inside"] > 0 < found["refused"]


def step_command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wasmexec", "step", *arguments], cwd=home, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "WASMEXEC_STORE": str(home.parent / "runs.sqlite3")},
    )  # fmt: skip


@pytest.mark.parametrize("command", [
    ["check", "a.step.yaml"], ["test", "a.step.yaml"], ["run", "a.step.yaml"], ["debug", "a.step.yaml"],
], ids=" ".join)  # fmt: skip
def test_every_command_refuses_and_takes_the_option(home: Path, command: list[str]) -> None:
    path = write(home, "statement_file", "../mine/file.py")
    outside(home, "statement_file")
    (home / "a.tests.yaml").write_text("cases:\n  - {name: one, expect: {rows: [{text: inside}]}}\n")
    refused = step_command(home, *command)
    assert refused.returncode == 2
    assert "a.step.yaml:1:17: statement_file: ../mine/file.py cannot be read: it lies outside of " in (
        refused.stdout + refused.stderr
    )
    allowed = step_command(home, *command, "--allow-folder", "../mine")
    assert allowed.returncode == 0, allowed.stderr
    assert path.exists()


def test_what_the_user_names_himself_may_lie_anywhere(home: Path) -> None:
    write(home, "input", "unused.json")
    (home / "a.tests.yaml").unlink()
    given = outside(home, "input")
    run = step_command(home, "run", "a.step.yaml", "--no-store", "--input", str(given), "--format", "jsonl")
    assert run.stdout == '{"text":"inside"}\n'
    cases = home.parent / "mine" / "cases.yaml"
    cases.write_text(CASES.replace("NAME", given.name))
    assert step_command(home, "test", "a.step.yaml", "--cases", str(cases)).returncode == 0


def test_the_history_of_a_step_needs_none_of_its_files(home: Path) -> None:
    outside(home, "statement_file")
    write(home, "statement_file", "../mine/file.py")
    assert step_command(home, "run", "a.step.yaml", "--allow-folder", "../mine").returncode == 0
    history = step_command(home, "history", "a.step.yaml")
    assert history.returncode == 0, history.stderr
    assert " a " in history.stdout


def test_debug_writes_through_no_link_of_the_folder(home: Path) -> None:
    write(home, "secret", "key.txt").write_text(STEPS["input"])
    target = home.parent / "mine" / "started.py"
    (home / "a.debug.py").symlink_to(target)
    run = step_command(home, "debug", "a.step.yaml", "--no-run")
    assert run.returncode == 2
    assert "a.debug.py is a link: remove it, or choose another --output" in run.stderr
    assert not target.exists()
    (home / "a.debug.py").unlink()
    assert step_command(home, "debug", "a.step.yaml", "--no-run").returncode == 0
    assert (home / "a.debug.py").is_file()
