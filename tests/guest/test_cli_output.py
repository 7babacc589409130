"""Output of the real command when what takes it is no file, goes away, is full, or is interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from tests.step.helpers import write_step

COMMAND = [sys.executable, "-m", "wasmexec"]
FORMATS = ("table", "json", "jsonl", "csv")
STEP = "step run large.step.yaml --no-store"
LARGE = 'return [{"id": number, "text": "x" * 100} for number in range(4_000)]'
COLUMNS = "  - {name: id, type: integer}\n  - {name: text, type: text}\n"


class Cli:
    """Runs commands in a folder with a large statement, a large step and a store with one run of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "WASMEXEC_STORE": str(folder / "runs.sqlite3")}
        (folder / "large.py").write_text(LARGE)
        (folder / "one.py").write_text("return [{'id': 1}]")
        (folder / "bad.py").write_text("import os\n" * 3000)
        write_step(folder, LARGE, columns=COLUMNS, name="large", processing="bulk")
        write_step(folder, "return [{'id': 1}]", name="one", processing="bulk")

    def start(self, arguments: Sequence[str], stdout: int | IO[Any], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", **options,
        )  # fmt: skip

    def __call__(self, *arguments: str, **options: Any) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.start(arguments, subprocess.PIPE, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Commands in a folder of their own."""
    made = Cli(tmp_path_factory.mktemp("output"))
    assert made("step", "run", "large.step.yaml", "--output", "large.jsonl")[0] == 0
    return made


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """A pipe that nobody reads any more: what `| head` leaves behind when it has its lines."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *((f"run large.py --format {form}", 0) for form in FORMATS),
        *((f"run one.py --format {form}", 0) for form in FORMATS),
        ("run large.py --result", 0),
        ("run bad.py --result", 1),
        ("run large.py --output -", 0),
        ("run large.py --output /dev/stdout --format table", 0),
        *((f"step run large.step.yaml --no-store --format {form}", 0) for form in FORMATS),
        ("step run large.step.yaml --no-store --result", 0),
        ("step run large.step.yaml --no-store --output -", 0),
        *((f"step history --format {form}", 0) for form in ("table", "json", "jsonl")),
        *((f"step show 1{part}", 0) for part in ("", " --rows", " --definition", " --format json")),
        ("step schema", 0),
        ("step check large.step.yaml --format json", 0),
        ("step checkpoint get large", 0),
        ("step checkpoint get large --history", 0),
        ("step debug one.step.yaml --no-run --output -", 0),
        ("check bad.py", 2),
        ("check bad.py --format json", 2),
        ("image info", 0),
        ("image info --format json", 0),
        ("--help", 0),
        ("--version", 0),
        ("run --help", 0),
        ("step run --help", 0),
    ],
)
def test_every_command_ends_quietly_and_with_its_code_when_nobody_reads_on(
    cli: Cli, closed_pipe: int, arguments: str, code: int
) -> None:
    process = cli.start(arguments.split(), closed_pipe)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    for words in ("Broken pipe", "Exception ignored", "cannot be written", 'File "/'):
        assert words not in err


@pytest.mark.parametrize(
    ("command", "form"),
    [*(("run large.py", form) for form in FORMATS), ("step run large.step.yaml --no-store", "json")],
)
def test_head_has_the_first_lines(cli: Cli, command: str, form: str) -> None:
    process = cli.start([*command.split(), "--format", form], subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert first.startswith({"table": "┏", "json": "[\n", "jsonl": '{"id":0', "csv": "id,text\n"}[form])
    assert "error" not in process.stderr.read()
    process.stderr.close()


@pytest.mark.parametrize("arguments", ["run one.py", "step run one.step.yaml --no-store", "step schema", "--help"])
def test_a_closed_standard_output_is_a_failure_and_not_a_success_without_rows(cli: Cli, arguments: str) -> None:
    command = f"exec {sys.executable} -m wasmexec {arguments} >&-"
    outcome = subprocess.run(
        ["sh", "-c", command], cwd=cli.folder, env=cli.environment, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 3
    assert outcome.stderr.splitlines()[-1] == "error: standard output cannot be written: Bad file descriptor"
    assert "Traceback" not in outcome.stderr


def test_a_closed_standard_error_changes_no_exit_code(cli: Cli, closed_pipe: int) -> None:
    for arguments, code in ((["run", "bad.py"], 1), (["run", "none.py"], 2), (["run", "one.py"], 0), (["rum"], 2)):
        for stderr in (closed_pipe, None):
            options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": closed_pipe}
            command = [*COMMAND, *arguments]
            if stderr is None:
                command, options["stderr"] = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], subprocess.DEVNULL
            outcome = subprocess.run(command, cwd=cli.folder, env=cli.environment, check=False, **options)
            assert outcome.returncode == code, arguments


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


@pytest.mark.parametrize(
    ("command", "form"), [("run large.py", "json"), ("run large.py", "table"), (STEP, "jsonl"), (STEP, "table")]
)
def test_a_full_disk_under_standard_output_is_one_line(cli: Cli, tmp_path: Path, command: str, form: str) -> None:
    with (tmp_path / "out").open("wb") as out:
        process = cli.start([*command.split(), "--format", form], out, preexec_fn=_small_files)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: standard output cannot be written: File too large"
    ]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("command", "form"), [("run large.py", "json"), ("run large.py", "table"), (STEP, "csv"), (STEP, "table")]
)
@pytest.mark.parametrize("exists", [True, False])
def test_a_full_disk_leaves_the_file_as_it_was(cli: Cli, tmp_path: Path, command: str, form: str, exists: bool) -> None:
    path = tmp_path / "out"
    if exists:
        path.write_text("old\n")
    code, out, err = cli(*command.split(), "--format", form, "--output", str(path), preexec_fn=_small_files)
    assert (code, out) == (3, "")
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        f"error: {path} cannot be written: File too large"
    ]
    assert sorted(tmp_path.iterdir()) == ([path] if exists else [])
    assert not exists or path.read_text() == "old\n"


@pytest.mark.parametrize("processing", ["bulk", "row_by_row"])
def test_a_full_folder_for_temporary_files_is_no_fault_of_the_input(cli: Cli, tmp_path: Path, processing: str) -> None:
    text = LARGE.replace("100", "1000").replace("4_000", "9_000")
    write_step(tmp_path, text, columns=COLUMNS, name="larger", processing=processing)
    arguments = ("step", "run", str(tmp_path / "larger.step.yaml"), "--no-store", "--output", str(tmp_path / "out"))

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    code, _, err = cli(*arguments, preexec_fn=small_files)
    assert (code, err) == (3, "error: the temporary file of the rows cannot be written: File too large\n")
    assert not (tmp_path / "out").exists()
    assert cli(*arguments)[0] == 0
    assert (tmp_path / "out").stat().st_size > 9_000_000


def test_rows_that_could_not_be_delivered_are_on_record(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    cli.environment["WASMEXEC_STORE"] = str(tmp_path / "runs.sqlite3")
    write_step(tmp_path, "log.info('started')\nawait sleep(1)\nreturn [{'id': 7}]", name="late", processing="bulk")
    process = cli.start(["step", "run", str(tmp_path / "late.step.yaml"), "--output", str(path)], subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline().endswith(" started\n")
    # A folder comes there while the step runs.
    path.mkdir()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    message = f"error: {path} cannot be written: it is a folder; the rows are on record: wasmexec step show 1 --rows\n"
    assert err.endswith(message)
    assert cli("step", "show", "1", "--rows") == (0, '{"id":7}\n', "")
    runs = json.loads(cli("step", "history", "--format", "json")[1])
    assert [(run["state"], run["status"]) for run in runs] == [("finished", 200)]
    cli.environment["WASMEXEC_STORE"] = str(cli.folder / "runs.sqlite3")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none/out", "no such folder"), (".", "it is a folder"), ("one.py/out", "Not a directory"), ("n" * 300, "long")],
)
@pytest.mark.parametrize("command", ["run one.py", "step run one.step.yaml --no-store", "step debug one.step.yaml"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    cli: Cli, command: str, name: str, reason: str
) -> None:
    code, out, err = cli(*command.split(), "--output", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: output: {name} cannot be written: ")
    assert err.endswith(f"{reason}\n")
    assert err.count("\n") == 1


ROWS = {
    "table": "┏━━━━┓\n┃ id ┃\n┡━━━━┩\n│  1 │\n└────┘\n1 row\n", "json": '[\n{"id":1}\n]\n',
    "jsonl": '{"id":1}\n', "csv": "id\n1\n",
}  # fmt: skip


def test_a_table_has_the_row_column_too(cli: Cli, tmp_path: Path) -> None:
    write_step(tmp_path, "return [{'id': INPUT_DATA[0]['id']}] * 2", name="rows")
    (tmp_path / "in.jsonl").write_text('{"id": 5}\n{"id": 6}\n')
    arguments = ("step", "run", str(tmp_path / "rows.step.yaml"), "--no-store", "--input", str(tmp_path / "in.jsonl"))
    found = {form: cli(*arguments, "--format", form, "--row-column", "row")[1] for form in ("csv", "table")}
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in found["table"].splitlines() if "│" in line]
    assert cells == [line.split(",") for line in found["csv"].splitlines()[1:]]
    assert cells == [["0", "5"], ["0", "5"], ["1", "6"], ["1", "6"]]


@pytest.mark.parametrize("command", ["run one.py", "step run one.step.yaml --no-store"])
def test_output_to_a_file_in_every_format(cli: Cli, tmp_path: Path, command: str) -> None:
    for form in FORMATS:
        target, link = tmp_path / f"{form}.out", tmp_path / f"{form}.link"
        link.symlink_to(target.name)
        assert cli(*command.split(), "--format", form, "--output", str(link))[:2] == (0, "")
        assert target.read_text(encoding="utf-8") == ROWS[form]
        assert link.is_symlink()
    for suffix in ("json", "jsonl", "csv"):
        path = tmp_path / f"out.{suffix}"
        assert cli(*command.split(), "--output", str(path))[:2] == (0, "")
        assert path.read_text(encoding="utf-8") == ROWS[suffix]


@pytest.mark.parametrize("command", ["run one.py", "step run one.step.yaml --no-store"])
@pytest.mark.parametrize("form", FORMATS)
def test_output_to_no_regular_file_is_written_there(cli: Cli, tmp_path: Path, command: str, form: str) -> None:
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert cli(*command.split(), "--format", form, "--output", name)[:2] == (0, ROWS[form])
    assert stat.S_ISLNK(os.lstat("/dev/stdout").st_mode)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert cli(*command.split(), "--format", form, "--output", str(fifo))[:2] == (0, "")
    reader.join(10)
    assert read == [ROWS[form]]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_redirected_standard_output_is_shared_and_not_replaced(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "log"
    command = f"echo first; {sys.executable} -m wasmexec run one.py --format jsonl --output /dev/stdout; echo last"
    with path.open("wb") as out:
        subprocess.run(["sh", "-c", command], cwd=cli.folder, env=cli.environment, stdout=out, check=True)
    assert path.read_text() == 'first\n{"id":1}\nlast\n'


@pytest.mark.parametrize(
    ("number", "command"),
    [
        *((signal.SIGINT, f"run large.py --format {form}") for form in FORMATS),
        (signal.SIGINT, "run large.py --result"),
        (signal.SIGTERM, "run large.py"),
        (signal.SIGINT, f"{STEP} --format json"),
        (signal.SIGINT, f"{STEP} --format table"),
        (signal.SIGTERM, f"{STEP} --format csv"),
        (signal.SIGINT, f"{STEP} --result"),
        (signal.SIGINT, "step show 1 --rows"),
    ],
)
def test_an_interrupt_while_rows_are_written_is_quiet(cli: Cli, number: signal.Signals, command: str) -> None:
    reader, writer = os.pipe()
    process = cli.start(command.split(), writer)
    os.close(writer)
    _wait_until_full(reader)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    os.close(reader)
    assert process.returncode == 3
    assert err.splitlines()[-1] == "error: cancelled"
    assert "Traceback" not in err


def _wait_until_full(reader: int) -> None:
    """Wait until a pipe has been full for a moment: who writes to it waits."""
    deadline, last, since = time.monotonic() + 30, 0, time.monotonic()
    while time.monotonic() < deadline:
        waiting = int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder)
        if waiting != last:
            last, since = waiting, time.monotonic()
        if waiting and time.monotonic() - since > 0.3:
            return
        time.sleep(0.02)
    raise AssertionError("nothing was written")


def test_a_pipe_that_was_made_non_blocking_gets_everything(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = cli.start(["run", "large.py", "--format", "jsonl"], writer)
    os.close(writer)
    data = b""
    while select.select([reader], [], [], 30)[0]:
        piece = os.read(reader, 65_536)
        if not piece:
            break
        data += piece
        if len(data) < 300_000:
            time.sleep(0.02)
    os.close(reader)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, data.count(b"\n")) == (0, 4_000)
    assert "error" not in err
