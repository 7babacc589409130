"""`Step`: a step file, loaded, checked and run as often as one likes."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from ..rows.source import Input
from ..secret import Secret
from .file.definition import StepDefinition
from .file.mistakes import Mistake
from .file.reading import read_definition
from .result import Progress, StepLog, StepResult
from .running.cancellation import Cancellation
from .running.engine import OwnEngine
from .running.request import UNSET, RunRequest
from .running.run import run_step
from .running.totals import Output

if TYPE_CHECKING:
    from ..canned import CannedHttp
    from ..executor import Executor
    from ..proxy import Proxy
    from ..store import RunStore
    from .replaying import StepReplay


_P = ParamSpec("_P")


def _in_a_thread(
    run: Callable[Concatenate[Step, _P], StepResult],
) -> Callable[Concatenate[Step, _P], Coroutine[object, object, StepResult]]:
    """The coroutine function with the signature of `run`."""

    @functools.wraps(run, assigned=("__module__",))
    async def run_async(step: Step, /, *args: _P.args, **options: _P.kwargs) -> StepResult:
        """Like `run`, in a thread of its own; cancelling the task cancels the run, and waits for its end."""
        import asyncio

        given = options.get("cancellation")
        cancellation = given if isinstance(given, Cancellation) else Cancellation()
        options["cancellation"] = cancellation
        work = asyncio.ensure_future(asyncio.to_thread(run, step, *args, **options))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancellation.cancel()
            await asyncio.wait([work])
            raise

    run_async.__qualname__ = "Step.run_async"
    return run_async


class Step:
    """A step: what its file says. Immutable and usable from any thread."""

    def __init__(self, definition: StepDefinition) -> None:
        self.definition = definition

    @staticmethod
    def load(path: str | os.PathLike[str], *, allow_folders: Iterable[str | os.PathLike[str]] = ()) -> Step:
        """The step in a YAML or JSON file.

        The files that it and its test cases name (statement, schemas, secrets, certificates, inputs) must lie in its
        folder or below, or below one of `allow_folders`.

        Raises:
            StepFileError: something in it is wrong; `mistakes` has everything, with file, line and column.
        """
        return Step(read_definition(Path(path), [Path(folder) for folder in allow_folders]))

    @property
    def name(self) -> str:
        """Under which name runs and checkpoints are stored."""
        return self.definition.name

    def on_network(self, *, proxy: Proxy | str | None = None, ca_file: str | Path | None = None) -> Step:
        """The same step on this machine's network: with a proxy, or more authorities, than its file says; see `Grants`.

        Raises:
            ConfigError: one of them is wrong.
        """
        grants = self.definition.grants
        changed = replace(grants, proxy=proxy or grants.proxy, ca_file=ca_file or grants.ca_file)
        return Step(replace(self.definition, grants=changed))

    def run(
        self,
        input_data: Input = None,
        *,
        executor: Executor | None = None,
        extra_inputs: Sequence[Input] = (),
        input_format: str | None = None,
        input_encoding: str | None = None,
        input_delimiter: str | None = None,
        checkpoint: object = UNSET,
        local_variables: Mapping[str, object] | None = None,
        secrets: Mapping[str, str | Secret] | None = None,
        store: RunStore | None = None,
        output: Output | None = None,
        on_log: Callable[[StepLog], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        cancellation: Cancellation | None = None,
        processes: int | None = None,
        trigger: str = "api",
        record: bool = False,
        canned_http: CannedHttp | None = None,
    ) -> StepResult:
        """Run the step once and wait for its result.

        Args:
            input_data: `INPUT_DATA`: a `Path` (JSON, JSON Lines, CSV, Parquet), a list or any iterable of rows (row by
                row it is consumed as it goes), bytes of JSON; None when there is no input.
            executor: runs the statements; by default one per image and process, made at the first run.
            extra_inputs: `INPUT_DATA2`, `INPUT_DATA3`, ... the same way, None for one that is not wired.
            input_format: json, jsonl, csv, tsv or parquet, for files whose names do not tell, or for the only file.
            input_encoding: of files that are not UTF-8 and have no byte order mark.
            input_delimiter: of CSV files; else their header shows it.
            checkpoint: used instead of the stored one; without a store this is the only one.
            local_variables: values instead of the initial ones.
            secrets: values instead of those that the step file names a source for.
            store: keeps the run, its rows, its log and the checkpoint.
            output: takes the rows, so that the result does not hold them in memory.
            on_log: called with each log record, in order.
            on_progress: called about twice a second while rows are processed one by one.
            cancellation: ends the run from another thread.
            processes: how many worker processes a long row-by-row input may use; one per processor by default.
            trigger: what the run store says the run was started by.
            record: keep in the store all that decides the run, so that `replay` can repeat it; runs in one process.
            canned_http: given in place of any connection, for tests; runs in one process.

        Raises:
            TypeError: an argument is not of the type that it must have.
            ConfigError: a recording is wanted without a store.
            StoreError: the store failed.
            DeliveryError: the rows were accepted, and are on record if there is a store, but could not be written.
            ImageError: there is no image.
        """
        # Before there are other names: a field of the request for each argument that is for it.
        arguments = {name: value for name, value in locals().items() if name not in ("self", "executor")}
        engine = OwnEngine(executor or _executor(self.definition.image))
        return run_step(self.definition, RunRequest(**arguments), engine)

    run_async = _in_a_thread(run)

    def replay(
        self,
        run_id: int,
        store: RunStore,
        *,
        executor: Executor | None = None,
        secrets: Mapping[str, str | Secret] | None = None,
    ) -> StepReplay:
        """Repeat a recorded run without network, with the statement as it is now; nothing is stored.

        Raises:
            RunNotFoundError, RecordingNotFoundError: there is no such run, or it was not recorded.
            ConfigError: the recording is damaged, nothing was executed, or a secret has no value.
        """
        from .replaying import replay_run

        return replay_run(self.definition, store, run_id, executor or _executor(self.definition.image), secrets)

    def check(self, executor: Executor | None = None) -> list[Mistake]:
        """What is wrong with the statement, at its place in the file: syntax, type hints, refused imports."""
        statement = self.definition.statement
        found = []
        for problem in (executor or _executor(self.definition.image)).check(statement.text):
            line, column = statement.locate(problem.line, problem.column)
            found.append(Mistake(statement.file, line, column, problem.message))
        return found


_lock = threading.Lock()
_executors: dict[str | None, Executor] = {}
_process = 0


def _executor(image: str | None) -> Executor:
    """The executor that steps of this process share; loading an image takes a tenth of a second."""
    from ..executor import Executor

    global _process
    with _lock:
        if _process != os.getpid():
            _executors.clear()
            _process = os.getpid()
        if image not in _executors:
            _executors[image] = Executor(image)
        return _executors[image]
