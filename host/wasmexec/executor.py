"""`Executor`: runs statements, each in a fresh instance of one guest image."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ._execution.execution import result_of
from ._execution.launcher import Launcher
from ._execution.order import Order
from ._execution.request import check_request
from ._execution.world import SystemWorld
from .canned import CannedHttp
from .errors import ConfigError, StatementSyntaxError
from .grants import Grants
from .image import Image, find_image
from .limits import Limits
from .options import NOT_GIVEN, NotGiven, OnDone, OnLog, SchemaLike
from .prepared import DEFAULT_LIMITS, NO_GRANTS, Prepared
from .result import Problem, Result
from .secret import Secret
from .statistics import Statistics

if TYPE_CHECKING:
    from .determinism import Deterministic
    from .recording import Recorder, Recording

DEFAULT_WORKERS = 8
MAX_WORKERS = 256
CHECK_LIMITS = Limits(wall_seconds=30, cpu_seconds=10)


class Executor:
    """Runs statements, each in a fresh instance that nothing survives; loads the image once.

    Thread-safe: any number of `run` and `run_async` at the same time. `workers` bounds how many statements compute at
    once; a statement that awaits holds no worker. Close it, or use it as a context manager.

    An executor does not survive `os.fork()`: make one in the child.

    Raises:
        ImageError: no image, or one that does not fit; the message says how to build it.
        ConfigError: `workers` is out of range.
    """

    def __init__(self, image: str | Path | None = None, *, workers: int | None = None) -> None:
        if workers is None:
            workers = DEFAULT_WORKERS
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MAX_WORKERS:
            raise ConfigError(f"workers must be a whole number from 1 to {MAX_WORKERS}, not {workers!r}")
        self._launcher = Launcher(find_image(image), workers)
        self._finalizer = weakref.finalize(self, self._launcher.close)

    @property
    def image(self) -> Image:
        """The image that statements run in."""
        return self._launcher.image

    def run(
        self, statement: str, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        output_schema: SchemaLike = None, checkpoint: object = NOT_GIVEN,
        local_variables: Mapping[str, object] | NotGiven | None = NOT_GIVEN, limits: Limits = DEFAULT_LIMITS,
        grants: Grants = NO_GRANTS, secrets: Mapping[str, str | Secret] | None = None, on_log: OnLog | None = None,
        determinism: Deterministic | None = None, recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Result:  # fmt: skip
        """Run one statement and wait for its result.

        Args:
            statement: body of an async function that returns a list of objects.
            input_data: `INPUT_DATA`: None, any JSON-able value (no NaN: None is what is missing), or bytes of JSON.
            extra_inputs: `INPUT_DATA2`, `INPUT_DATA3`, ... in this order, None for one that is not wired.
            output_schema: JSON Schema (of the draft it declares) of one row, or of the list if its type is "array"; a
                list of columns; a prepared `Schema`; None accepts any list of objects.
            checkpoint: `DATA_CHECKPOINT`, any JSON-able value.
            local_variables: what `LocalVariable` offers, primitive values.
            limits: what it may use.
            grants: what it may reach.
            secrets: more of `LocalVariable`; these values are masked in logs, errors, warnings and recordings, and must
                have 3 to 65,536 characters (an empty one is ignored). Of a `Secret` the statement has a placeholder
                only, which becomes the value in headers of requests to its hosts, and where else it allows.
            on_log: called with each record as it happens, in order, on one thread of the executor; what it raises
                becomes a warning of the result. Keep it short: the result waits for it.
            determinism: the seed and the clock to run under; None: the system's.
            recorder: takes a recording of the execution when it has ended; without `determinism` its seed is random
                and its clock starts at the real time.
            replay: a recording to repeat, without network and without waiting; `Result.replay` says what was different.
                Of `input_data`, `extra_inputs`, `checkpoint` and `local_variables`, each that is not given is the
                recorded one; in every other run what is not given is None.

        A statement, input or schema that is refused gives a `Result` with status 400 or 307, like any other failure.
        What is run again and again is better prepared once, with `prepare`; even without that the code of a statement
        that has been run before is kept, and schemas are prepared once.

        Raises:
            ExecutorClosedError: the executor is closed, or was made before a fork.
            TypeError: an argument is not of the type that it must have.
        """
        prepared = self._prepared(statement, output_schema, local_variables, limits, grants, secrets)
        return prepared.run(
            input_data=input_data, extra_inputs=extra_inputs, checkpoint=checkpoint, on_log=on_log,
            determinism=determinism, recorder=recorder, replay=replay,
        )  # fmt: skip

    async def run_async(
        self, statement: str, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        output_schema: SchemaLike = None, checkpoint: object = NOT_GIVEN,
        local_variables: Mapping[str, object] | NotGiven | None = NOT_GIVEN, limits: Limits = DEFAULT_LIMITS,
        grants: Grants = NO_GRANTS, secrets: Mapping[str, str | Secret] | None = None, on_log: OnLog | None = None,
        determinism: Deterministic | None = None, recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Result:  # fmt: skip
        """Like `run`, without blocking the event loop; cancelling the task cancels the execution.

        The cancellation is passed on once the guest has stopped, which takes a few milliseconds.
        """
        prepared = self._prepared(statement, output_schema, local_variables, limits, grants, secrets)
        return await prepared.run_async(
            input_data=input_data, extra_inputs=extra_inputs, checkpoint=checkpoint, on_log=on_log,
            determinism=determinism, recorder=recorder, replay=replay,
        )  # fmt: skip

    def submit(
        self, statement: str, on_done: OnDone, *, input_data: object = NOT_GIVEN,
        extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN, output_schema: SchemaLike = None,
        checkpoint: object = NOT_GIVEN, local_variables: Mapping[str, object] | NotGiven | None = NOT_GIVEN,
        limits: Limits = DEFAULT_LIMITS, grants: Grants = NO_GRANTS, secrets: Mapping[str, str | Secret] | None = None,
        on_log: OnLog | None = None, determinism: Deterministic | None = None, recorder: Recorder | None = None,
        replay: Recording | None = None,
    ) -> Callable[[], None]:  # fmt: skip
        """Like `run`, but nobody waits: `on_done` gets the result; the function returned cancels the execution.

        `on_done` is called once, on a thread of the executor, or at once if nothing could start; it gets an exception
        when our own code is at fault. It must be quick, for the thread has other executions to run; what it raises is
        written to Python's log and changes nothing.
        """
        prepared = self._prepared(statement, output_schema, local_variables, limits, grants, secrets)
        return prepared.submit(
            on_done, input_data=input_data, extra_inputs=extra_inputs, checkpoint=checkpoint, on_log=on_log,
            determinism=determinism, recorder=recorder, replay=replay,
        )  # fmt: skip

    def prepare(
        self, statement: str, *, output_schema: SchemaLike = None,
        local_variables: Mapping[str, object] | NotGiven | None = NOT_GIVEN, limits: Limits = DEFAULT_LIMITS,
        grants: Grants = NO_GRANTS, secrets: Mapping[str, str | Secret] | None = None,
        canned_http: CannedHttp | None = None, compile_now: bool = True,
    ) -> Prepared:  # fmt: skip
        """Check and compile a statement and its conditions once, to run it many times; the arguments are `run`'s.

        Without `compile_now` it is compiled by its first run, which is worth it where there may be one only. With
        `canned_http` requests that the grants permit get its answers, and nothing is connected: for tests.

        Takes as long as compiling does, one to some fifty milliseconds. Whatever is refused is told by every run with
        status 400, and by `Prepared.refusal`.

        Raises: ExecutorClosedError, TypeError: as `run`.
        """
        prepared = self._prepared(statement, output_schema, local_variables, limits, grants, secrets, canned_http)
        if compile_now:
            prepared.compile()
        return prepared

    def check(self, statement: str) -> list[Problem]:
        """What is wrong with a statement, without running it: syntax, type hints, refused imports.

        Raises:
            ExecutorClosedError: the executor is closed, or was made before a fork.
            WasmexecError: the guest did not survive the statement.
        """
        try:
            request = check_request(statement)
        except StatementSyntaxError as error:
            return [Problem(rule=error.rule, message=error.message, line=error.line or 1, column=error.column or 1)]
        execution = self._launcher.run(Order(request, CHECK_LIMITS, NO_GRANTS, SystemWorld()))
        result_of(execution).raise_for_status()
        return list(execution.problems)

    def preload(self) -> None:
        """Load now what the first host call of a process loads, HTTP above all: some 100 ms.

        While that is loaded other executions may wait, so call it before there are some where many share a process.
        """
        self._launcher.preload()

    def statistics(self) -> Statistics:
        """What the executor is doing and what it keeps, at this moment."""
        return self._launcher.statistics()

    def close(self) -> None:
        """Cancel what still runs (status 303), end the threads and unload the image; idempotent."""
        self._finalizer()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _prepared(
        self, statement: str, output_schema: SchemaLike, local_variables: Mapping[str, object] | NotGiven | None,
        limits: Limits, grants: Grants, secrets: Mapping[str, str | Secret] | None,
        canned_http: CannedHttp | None = None,
    ) -> Prepared:  # fmt: skip
        return Prepared(
            self._launcher, statement, output_schema=output_schema, local_variables=local_variables, limits=limits,
            grants=grants, secrets=secrets, canned_http=canned_http,
        )  # fmt: skip
