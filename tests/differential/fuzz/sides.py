"""Both sides: a native process that stays, and a fresh instance of the guest for each batch. Both survive any case."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from tests import reference

import wasmexec

ANSWERING = Path(__file__).with_name("answering.py")
NATIVE_MEMORY = 2 << 30
"""Of the process: numpy and pandas take a quarter of it. What wants more is poisoned, as it is in the guest."""
CASE_SECONDS = 5
"""Of processor time, for one case natively; a batch of hundreds takes the guest one or two."""
GUEST_SECONDS = 12.0
"""Of processor time, for one batch."""
WALL_SECONDS = 300.0
"""For one batch on a side, however busy the machine is."""
_STATEMENT = """
import warnings
builtins = warnings.sys.modules["builtins"]
space = {"__builtins__": builtins, "__name__": "answering"}
builtins.exec(builtins.compile(INPUT_DATA["program"], "answering.py", "exec"), space)
builtins.exec(INPUT_DATA["before"], space)
for program in INPUT_DATA["programs"]:
    log.debug(space["answer"](program))
return []
"""
_NATIVE = """
import json, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
exec(compile(json.loads(sys.stdin.readline()), "answering.py", "exec"))
sys.stdout, answers = sys.stderr, sys.stdout
for line in sys.stdin:
    for program in json.loads(line):
        signal.setitimer(signal.ITIMER_PROF, {seconds})
        print(answer(program), file=answers, flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
"""
Asked = tuple[list[str], str | None]
"""The answers to the first programs, and what ended the process or instance before it had answered all, if it did."""
Ask = Callable[[Sequence[str]], Asked]


class Guest:
    """Answers in a fresh instance for each batch; thread-safe.

    before: Python that each instance runs first, in the namespace of the answers: a planted fault, say.
    """

    def __init__(self, executor: wasmexec.Executor, before: str = "") -> None:
        self._executor = executor
        self._input = {"program": ANSWERING.read_text("utf-8"), "before": before}

    def ask(self, programs: Sequence[str]) -> Asked:
        """Ask for the answers to these programs."""
        answers: list[str] = []
        result = self._executor.run(
            _STATEMENT, input_data={**self._input, "programs": list(programs)}, limits=_LIMITS,
            on_log=lambda record: answers.append(record.message) if record.level == "debug" else None,
        )  # fmt: skip
        ended = None if result.status.succeeded else f"status {int(result.status)}: {result.error}"
        return answers[: len(programs)], ended


class Native:
    """Answers in a native process, started when it is needed and again after its death; for one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Native:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, programs: Sequence[str]) -> Asked:
        """Ask for the answers to these programs."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        guard = threading.Timer(WALL_SECONDS, process.kill)
        guard.start()
        answers: list[str] = []
        try:
            process.stdin.write(json.dumps(list(programs)) + "\n")
            process.stdin.flush()
            while len(answers) < len(programs) and (line := process.stdout.readline()).endswith("\n"):
                answers.append(line.rstrip("\n"))
        except OSError:
            pass
        finally:
            guard.cancel()
        if len(answers) == len(programs):
            return answers, None
        self.close()
        return answers, f"exit status {process.returncode}"

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:
                process.wait()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = reference.start("-s", "-c", _NATIVE.format(memory=NATIVE_MEMORY, seconds=CASE_SECONDS))
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(ANSWERING.read_text("utf-8")) + "\n")
        return self._process


def answer_all(programs: Sequence[str], ask: Ask) -> list[str]:
    """Every answer: what ends an instance or process says so, and the next one goes on behind it."""
    answers: list[str] = []
    while len(answers) < len(programs):
        found, ended = ask(programs[len(answers) :])
        answers += (text if is_answer(text) else json.dumps({"dies": f"no answer: {text[:200]!r}"}) for text in found)
        if ended is not None and len(answers) < len(programs):
            answers.append(json.dumps({"poisoned" if is_limit(ended) else "dies": ended}))
    return answers


def is_answer(text: str) -> bool:
    """Whether a line is an answer; one of a process whose memory is damaged may be anything."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def is_limit(death: str) -> bool:
    """Whether a side ended for lack of time or memory, which says nothing about its answers."""
    out_of_time = f"exit status {-signal.SIGPROF}"
    return death.startswith(("status 302", out_of_time)) or "memory limit" in death.lower()


_LIMITS = wasmexec.Limits(
    wall_seconds=WALL_SECONDS, cpu_seconds=GUEST_SECONDS, memory_bytes=1 << 30, log_bytes=1 << 28, log_records=1_000_000
)
