"""`Executor`: runs statements, each in a fresh instance of one guest image."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from . import _request
from ._engine import acquire_guest, release_guest
from ._execution import Execution, Order, Services
from ._image import Image, find_image
from ._interruptible import acquire
from ._placeholders import GrantsWithSecrets, make_placeholders
from ._workers import WORKER_STACK_BYTES, LoopThread, WorkerPool
from .errors import ConfigError, ExecutorClosedError, InputError, StatementSyntaxError
from .grants import Grants
from .limits import Limits
from .result import LogRecord, Problem, Result
from .schema import Schema
from .secret import Secret
from .status import Status

if TYPE_CHECKING:
    from typing import Unpack

    from .determinism import Deterministic
    from .recording import Recorder, Recording

DEFAULT_WORKERS = 8
MAX_WORKERS = 256
CLOSE_SECONDS = 10.0
DEFAULT_LIMITS = Limits()
CHECK_LIMITS = Limits(wall_seconds=30, cpu_seconds=10)
NO_GRANTS = Grants()
_T = TypeVar("_T")


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `Executor.run` and `Executor.run_async`."""

    input_data: object
    extra_inputs: Sequence[object]
    output_schema: dict[str, Any] | list[dict[str, Any]] | Schema | None
    checkpoint: object
    local_variables: Mapping[str, object] | None
    limits: Limits
    grants: Grants
    secrets: Mapping[str, str | Secret] | None
    on_log: Callable[[LogRecord], None] | None
    determinism: Deterministic | None
    recorder: Recorder | None
    replay: Recording | None


_COURSES = ("determinism", "recorder", "replay")
"""Options with which an execution has another clock and other randomness than the system's."""


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
        self._image = find_image(image)
        self._shared = _Shared(self._image, workers)
        self._finalizer = weakref.finalize(self, self._shared.close)

    @property
    def image(self) -> Image:
        """The image that statements run in."""
        return self._image

    def run(self, statement: str, **options: Unpack[RunOptions]) -> Result:
        """Run one statement and wait for its result.

        Args:
            statement: body of an async function that returns a list of objects.
            input_data: `INPUT_DATA`: None, any JSON-able value, or bytes of JSON.
            extra_inputs: `INPUT_DATA2`, `INPUT_DATA3`, ... in this order, None for one that is not wired.
            output_schema: JSON Schema (2020-12) of one row, or of the list if its type is "array"; a list of columns;
                a prepared `Schema`; None accepts any list of objects.
            checkpoint: `DATA_CHECKPOINT`, any JSON-able value.
            local_variables: what `LocalVariable` offers, primitive values.
            limits: what it may use.
            grants: what it may reach.
            secrets: more of `LocalVariable`; these values are masked in logs, errors, warnings and recordings, and must
                have 3 characters at least (an empty one is ignored). Of a `Secret` the statement has a placeholder
                only, which becomes the value in headers of requests to its hosts, and where else it allows.
            on_log: called with each record as it happens, in order, on one thread of the executor; what it raises
                becomes a warning of the result. Keep it short: the result waits for it.
            determinism: the seed and the clock to run under; None: the system's.
            recorder: takes a recording of the execution when it has ended; without `determinism` its seed is random
                and its clock starts at the real time.
            replay: a recording to repeat, without network and without waiting; `Result.replay` says what was different.

        A statement, input or schema that is refused gives a `Result` with status 400 or 307, like any other failure.

        Raises:
            ExecutorClosedError: the executor is closed, or was made before a fork.
            TypeError: an argument is not of the type that it must have.
        """
        finished = threading.Lock()
        finished.acquire()
        execution = self._prepare(statement, options, finished.release)
        if isinstance(execution, Result):
            return execution
        self._shared.start(execution)
        try:
            acquire(finished)
        except BaseException:
            execution.cancel()
            acquire(finished)
            raise
        return _result(execution)

    async def run_async(self, statement: str, **options: Unpack[RunOptions]) -> Result:
        """Like `run`, without blocking the event loop; cancelling the task cancels the execution.

        The cancellation is passed on once the guest has stopped, which takes a few milliseconds.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not finished.done():
                finished.set_result(None)

        def on_done() -> None:
            # The caller's loop may be closed already: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(resolve)

        execution = self._prepare(statement, options, on_done)
        if isinstance(execution, Result):
            return execution
        self._shared.start(execution)
        try:
            await asyncio.shield(finished)
        except asyncio.CancelledError:
            execution.cancel()
            await asyncio.wait([finished])
            raise
        return _result(execution)

    def submit(
        self, statement: str, on_done: Callable[[Result | BaseException], None], **options: Unpack[RunOptions]
    ) -> Callable[[], None]:
        """Like `run`, but nobody waits: `on_done` gets the result; the function returned cancels the execution.

        `on_done` is called once, on a thread of the executor, or at once if nothing could start; it gets an exception
        when our own code is at fault. It must not raise and must be quick: the thread has other executions to run.
        """
        started: list[Execution] = []

        def ended() -> None:
            execution = started[0]
            outcome = execution.failure or execution.result
            assert outcome is not None
            on_done(outcome)

        execution = self._prepare(statement, options, ended)
        if isinstance(execution, Result):
            on_done(execution)
            return _nothing
        started.append(execution)
        self._shared.start(execution)
        return execution.cancel

    def check(self, statement: str) -> list[Problem]:
        """What is wrong with a statement, without running it: syntax, type hints, refused imports.

        Raises:
            ExecutorClosedError: the executor is closed, or was made before a fork.
            WasmexecError: the guest did not survive the statement.
        """
        try:
            request = _request.check_request(statement)
        except StatementSyntaxError as error:
            return [Problem(rule=error.rule, message=error.message, line=error.line or 1, column=error.column or 1)]
        finished = threading.Lock()
        finished.acquire()
        execution = self._shared.create(Order(request, CHECK_LIMITS, NO_GRANTS), finished.release)
        self._shared.start(execution)
        acquire(finished)
        _result(execution).raise_for_status()
        return execution.problems

    def close(self) -> None:
        """Cancel what still runs (status 303), end the threads and unload the image; idempotent."""
        self._finalizer()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, statement: str, options: RunOptions, on_done: Callable[[], None]) -> Execution | Result:
        unknown = options.keys() - RunOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"run() got an unexpected keyword argument {min(unknown)!r}")
        limits = _of_type("limits", options.get("limits", DEFAULT_LIMITS), Limits)
        grants = _of_type("grants", options.get("grants", NO_GRANTS), Grants)
        on_log = options.get("on_log")
        if on_log is not None and not callable(on_log):
            raise TypeError(f"on_log must be callable, not {type(on_log).__name__}")
        extra_inputs = options.get("extra_inputs", ())
        if isinstance(extra_inputs, (str, bytes)) or not isinstance(extra_inputs, Sequence):
            raise TypeError(f"extra_inputs must be a sequence of inputs, not {type(extra_inputs).__name__}")
        inputs = (options.get("input_data"), *extra_inputs)
        secrets = options.get("secrets") or {}
        key = masker = course = None
        if any(options.get(name) is not None for name in _COURSES):
            from ._course import plan_course, plan_key

            key = plan_key(options)
        placeholders = make_placeholders(secrets, key)
        try:
            image = self._image
            if limits.memory_bytes < image.memory_bytes:
                raise ConfigError(
                    f'limits: memory_bytes must be at least {image.memory_bytes:,} for the image "{image.name}", '
                    f"not {limits.memory_bytes:,}"
                )
            schema = Schema.prepare(options.get("output_schema"))
            _request.refuse_short_secrets(secrets)
            request = _request.run_request(
                statement,
                inputs=inputs,
                checkpoint=options.get("checkpoint"),
                local_variables=options.get("local_variables"),
                secrets={**secrets, **{name: item.token for name, item in placeholders.items()}},
                limits=limits,
                held=[name for name in secrets if name not in placeholders],
            )
            if secrets:
                from ._masking import Masker

                masker = Masker(item.value if isinstance(item, Secret) else item for item in secrets.values())
            if key is not None:
                course = plan_course(
                    statement, key=key, options=options, request=request, inputs=inputs, limits=limits, masker=masker,
                    image=image.stamp,
                )  # fmt: skip
        except (ConfigError, StatementSyntaxError) as error:
            return Result(status=Status.CONFIG_REFUSED, error=error)
        except InputError as error:
            return Result(status=Status.INPUT_REFUSED, error=error)
        if placeholders:
            grants = GrantsWithSecrets(
                http=grants.http, recorded=grants.recorded, placeholders=tuple(placeholders.values())
            )
        return self._shared.create(Order(request, limits, grants, schema, masker, on_log, course), on_done)


class _Shared:
    """Everything that must be taken down when an executor goes away, whether closed, forgotten or at exit."""

    def __init__(self, image: Image, workers: int) -> None:
        self._image = image
        self._process = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        self._live: set[Execution] = set()
        self._closed = False
        guest = acquire_guest(image)
        self._services = Services(
            guest=guest,
            workers=WorkerPool(workers, "wasmexec-worker", stack_bytes=WORKER_STACK_BYTES),
            loop=LoopThread(),
            courier=WorkerPool(1, "wasmexec-log"),
        )

    def create(self, order: Order, on_done: Callable[[], None]) -> Execution:
        """An execution that has not started; `on_done` is called on one of our threads when it has ended.

        Raises: ExecutorClosedError: closed, or inherited through a fork.
        """
        if self._process != os.getpid():
            raise ExecutorClosedError("this executor was made before a fork; make one in the child process")

        def ended(execution: Execution) -> None:
            with self._changed:
                self._live.discard(execution)
                if self._closed:
                    self._changed.notify_all()
            on_done()

        return Execution(self._services, order, ended)

    def start(self, execution: Execution) -> None:
        """Raises: ExecutorClosedError: closed."""
        with self._changed:
            if self._closed:
                raise ExecutorClosedError("the executor is closed")
            self._live.add(execution)
        try:
            execution.start()
        except BaseException:
            self._live.discard(execution)
            raise

    def close(self) -> None:
        if self._process != os.getpid():
            return
        with self._changed:
            if self._closed:
                return
            self._closed = True
            live = tuple(self._live)
        for execution in live:
            execution.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._live, CLOSE_SECONDS)
        self._services.workers.close()
        self._services.loop.close()
        self._services.courier.close()
        release_guest(self._image)


def _of_type(name: str, value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}(...), not {type(value).__name__}")
    return value


def _nothing() -> None:
    """Cancels what has ended already."""


def _result(execution: Execution) -> Result:
    if execution.failure is not None:
        raise execution.failure
    assert execution.result is not None
    return execution.result
