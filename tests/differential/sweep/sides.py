"""Both sides of the sweep: native CPython, and the guest behind a real Executor. Each goes on behind what kills it."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import reference

import wasmexec

ROOT = Path(__file__).resolve().parents[3]
ANSWERS = Path(__file__).with_name("answers.py")
GUEST_BATCH = 500
"""Expressions that one instance answers."""
NATIVE_BATCH = 5_000
"""Expressions that one process answers, which takes longer to start than an instance."""
_NATIVE = ("-s", "-W", "ignore", "-m", "tests.differential.sweep.native")
_MORE = {"PYTHONPATH": str(ROOT)}
_CPU_SECONDS = 30.0
"""For one batch in the guest, which takes 1 to 5."""
_WALL_SECONDS = 600.0
_STATEMENT = """
import warnings
builtins, os = warnings.sys.modules["builtins"], warnings.sys.modules["os"]
os.chdir("/tmp")
space = {"__builtins__": builtins, "__name__": "answers"}
builtins.exec(builtins.compile(INPUT_DATA["program"], "answers.py", "exec"), space)
space["run"](INPUT_DATA["expressions"], log.debug)
return []
"""
_LIMITS = wasmexec.Limits(
    wall_seconds=_WALL_SECONDS,
    cpu_seconds=_CPU_SECONDS,
    memory_bytes=2 << 30,
    log_bytes=1 << 30,
    log_records=10_000_000,
)

Numbered = Sequence[tuple[int, str]]
Answers = dict[int, str]
RunOnce = Callable[[Numbered, Answers], str | None]
"""Puts the answers where it is told; says what it died of, or None."""


def expressions() -> list[tuple[str, str]]:
    """Kind and text of every expression, from the native environment, which knows the names of numpy and pandas."""
    done = reference.run(*_NATIVE, "list", more=_MORE)
    if done.returncode:
        raise RuntimeError(f"the expressions could not be listed: {done.stderr[-2000:]}")
    return [(kind, text) for kind, text in json.loads(done.stdout)]


def native(numbered: Numbered, answers: Answers) -> str | None:
    """Answer in one native process, in a folder of its own."""
    scratch = Path(tempfile.mkdtemp(prefix="sweep-"))
    try:
        done = reference.run(
            *_NATIVE, "answer", standard_input=json.dumps(numbered), seconds=_WALL_SECONDS, folder=scratch, more=_MORE
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        _take(output.splitlines(), answers)
        return f"no answer within {_WALL_SECONDS:.0f} seconds"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _take(done.stdout.splitlines(), answers)
    return None if done.returncode == 0 else f"exit status {done.returncode}: {done.stderr[-300:]}"


def guest(executor: wasmexec.Executor) -> RunOnce:
    """Answers in one fresh instance of this executor's image."""
    program = ANSWERS.read_text("utf-8")

    def run_once(numbered: Numbered, answers: Answers) -> str | None:
        lines: list[str] = []
        result = executor.run(
            _STATEMENT, input_data={"program": program, "expressions": [list(one) for one in numbered]}, limits=_LIMITS,
            on_log=lambda record: lines.append(record.message) if record.level == "debug" else None,
        )  # fmt: skip
        _take(lines, answers)
        return None if result.status.succeeded else f"status {int(result.status)}: {result.error}"

    return run_once


def answer_all(numbered: Numbered, run_once: RunOnce, batch_size: int) -> Answers:
    """Every answer; what kills its process or instance says so, and the next one goes on behind it."""
    answers: Answers = {}
    for start in range(0, len(numbered), batch_size):
        waiting = list(numbered[start : start + batch_size])
        while waiting:
            death = run_once(waiting, answers)
            waiting = [one for one in waiting if one[0] not in answers]
            if waiting:
                answers[waiting.pop(0)[0]] = f"dies: {death}"
    return answers


async def answer_both(numbered: Numbered, executor: wasmexec.Executor) -> tuple[Answers, Answers]:
    """The native answers and the guest's, found at the same time."""
    one, other = await asyncio.gather(
        asyncio.to_thread(answer_all, numbered, native, NATIVE_BATCH),
        asyncio.to_thread(answer_all, numbered, guest(executor), GUEST_BATCH),
    )
    return one, other


def _take(lines: Sequence[str], answers: Answers) -> None:
    for line in lines:
        try:
            number, text = json.loads(line)
        except ValueError:  # what an expression itself prints, or the half of a line that a process died in
            continue
        answers[number] = text
