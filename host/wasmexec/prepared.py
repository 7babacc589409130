"""`Prepared`: a statement and its conditions, checked and compiled once, to be run many times."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._execution.callbacks import call_last
from ._execution.execution import result_of
from ._execution.order import Order
from ._execution.request import RunStart, compile_request, refuse_unfit_secrets, run_start
from ._execution.world import SystemWorld, World
from ._hostcalls.http.placeholders import Placeholder, make_placeholders
from .canned import CannedHttp
from .errors import ConfigError, InputError, StatementSyntaxError, WasmexecError
from .grants import Grants
from .limits import Limits
from .options import NOT_GIVEN, NotGiven, OnDone, OnLog, RunInput, SchemaLike
from .result import Result
from .schema import Schema
from .secret import Secret
from .status import Status

if TYPE_CHECKING:
    from ._execution.execution import Execution
    from ._execution.launcher import Launcher
    from ._masking.masker import Masker
    from .determinism import Deterministic
    from .http_calls import CallRecord
    from .recording import Recorder, Recording

DEFAULT_LIMITS = Limits()
NO_GRANTS = Grants()

_LONGEST_LAZY = 4096
"""Characters of secrets for which a mask is ready in no time."""

_T = TypeVar("_T")


class Prepared:
    """One statement under one set of conditions, made by `Executor.prepare`; usable from any thread.

    What does not depend on the input has been done: the conditions are checked, the schema is prepared, the statement
    is compiled. Each run is a fresh instance all the same. It lives as long as its executor.

    `refusal` says why none of its runs can start (they all end with status 400); None if they can.
    """

    def __init__(
        self, launcher: Launcher, statement: str, *, output_schema: SchemaLike,
        local_variables: Mapping[str, object] | NotGiven | None, limits: Limits, grants: Grants,
        secrets: Mapping[str, str | Secret] | None, canned_http: CannedHttp | None = None,
    ) -> None:  # fmt: skip
        self.refusal: WasmexecError | None = None
        self._launcher = launcher
        self._statement = statement
        self._limits = _of_type("limits", limits, Limits)
        self._grants = _of_type("grants", grants, Grants)
        self._canned_http = None if canned_http is None else _of_type("canned_http", canned_http, CannedHttp)
        self._secrets = dict(_names_to_values("secrets", secrets))
        self._variables: dict[str, object] | NotGiven = NOT_GIVEN
        if not isinstance(local_variables, NotGiven):
            self._variables = dict(_names_to_values("local_variables", local_variables))
        self._masker: Masker | None = None
        self._code: bytes | None = None
        self._has_bound = any(isinstance(item, Secret) for item in self._secrets.values())
        self._start: RunStart | None = None
        try:
            self._schema = self._check(output_schema)
            # With bound secrets it differs from run to run; it is made all the same, for what it refuses.
            start = self._make_start(self._variables, make_placeholders(self._secrets))
            self._start = None if self._has_bound else start
        except (ConfigError, StatementSyntaxError) as error:
            self.refusal = error

    def run(
        self, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        checkpoint: object = NOT_GIVEN, on_log: OnLog | None = None, determinism: Deterministic | None = None,
        recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Result:  # fmt: skip
        """Run it once and wait for the result; the arguments are those of `Executor.run`.

        Raises: ExecutorClosedError, TypeError: as `Executor.run`.
        """
        order = self._order(input_data, extra_inputs, checkpoint, on_log, determinism, recorder, replay)
        return order if isinstance(order, Result) else result_of(self._launcher.run(order))

    async def run_async(
        self, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        checkpoint: object = NOT_GIVEN, on_log: OnLog | None = None, determinism: Deterministic | None = None,
        recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Result:  # fmt: skip
        """Like `run`, without blocking the event loop; cancelling the task cancels the execution."""
        order = self._order(input_data, extra_inputs, checkpoint, on_log, determinism, recorder, replay)
        return order if isinstance(order, Result) else result_of(await self._launcher.run_async(order))

    def submit(
        self, on_done: OnDone, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        checkpoint: object = NOT_GIVEN, on_log: OnLog | None = None, determinism: Deterministic | None = None,
        recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Callable[[], None]:  # fmt: skip
        """Like `run`, but nobody waits: `on_done` gets the result; the function returned cancels the execution.

        For `on_done` see `Executor.submit`.
        """
        order = self._order(input_data, extra_inputs, checkpoint, on_log, determinism, recorder, replay)
        if isinstance(order, Result):
            call_last(on_done, order)
            return _nothing
        return self._launcher.submit(order, on_done).cancel

    def start(
        self, on_done: OnDone, *, input_data: object = NOT_GIVEN, extra_inputs: Sequence[object] | NotGiven = NOT_GIVEN,
        checkpoint: object = NOT_GIVEN, on_record: OnLog | None = None,
        on_first_request: Callable[[], object] | None = None, on_wake: Callable[[], object] | None = None,
        free_awake: int = 0, on_request: Callable[[CallRecord], object] | None = None, traceparent: str | None = None,
        recorder: Recorder | None = None, replay: Recording | None = None,
    ) -> Running | None:  # fmt: skip
        """Like `submit`, but what is returned also tells how far it is; None if nothing could start.

        `on_first_request` is called once before anything of the first HTTP request leaves: until then the execution
        has done nothing that anybody could see. `on_request` is called with the record of each HTTP request, on the
        same thread. Keep both short, for they hold up the calls of other executions. Every request carries
        `traceparent`. `on_record` is called with each record of the log, on the thread of the guest, which waits.
        `on_wake` is called each time that it has something to do again while `free_awake` others are awake: it waits
        then until `Running.go_on` is called.
        """
        order = self._order(input_data, extra_inputs, checkpoint, None, None, recorder, replay)
        if isinstance(order, Result):
            call_last(on_done, order)
            return None
        order = order._replace(
            on_first_request=on_first_request, on_wake=on_wake, free_awake=free_awake, on_request=on_request,
            traceparent=traceparent, on_record=on_record,
        )  # fmt: skip
        return Running(self._launcher.submit(order, on_done))

    def compile(self) -> None:
        """Compile the statement now, in an instance of its own, so that no run has to; `Executor.prepare` does it.

        Raises: ExecutorClosedError: the executor is closed, or was made before a fork.
        """
        if self.refusal is not None:
            return
        execution = self._launcher.run(Order(compile_request(self._statement), self._limits, NO_GRANTS, SystemWorld()))
        if isinstance(execution.failure, BaseException):
            raise execution.failure
        assert execution.result is not None
        refusal = execution.result.error
        if isinstance(refusal, StatementSyntaxError) and self._masker is not None:
            # SECURITY: told by an instance that knows the secrets, it is masked before it is cut. Nothing runs there.
            refusal = self.run().error
        if isinstance(refusal, StatementSyntaxError):
            self.refusal = refusal
        # What else went wrong (it took all its time, say) each run finds out for itself.
        self._code = execution.code

    def _check(self, output_schema: SchemaLike) -> Schema:
        image, limits = self._launcher.image, self._limits
        if limits.memory_bytes < image.memory_bytes:
            raise ConfigError(
                f'limits: memory_bytes must be at least {image.memory_bytes:,} for the image "{image.name}", '
                f"not {limits.memory_bytes:,}"
            )
        if self._secrets:
            from ._masking.masker import Masker

            refuse_unfit_secrets(self._secrets)
            # SECURITY: a mask answers guesses. The statement cannot show a secret that it does not hold, so what it
            # says is searched for the others only. What is no secret at all is refused where it is encoded.
            held = [value for value in self._secrets.values() if isinstance(value, str)]
            self._masker = Masker(held) if held else None
            if self._masker is not None and sum(map(len, held)) > _LONGEST_LAZY:
                # Here the caller waits for it, else an execution that could not be cancelled meanwhile.
                self._masker.prepare()
        return Schema.prepare(output_schema)

    def _make_start(
        self, variables: Mapping[str, object] | NotGiven, placeholders: Mapping[str, Placeholder]
    ) -> RunStart:
        return run_start(
            self._statement,
            local_variables={} if isinstance(variables, NotGiven) else variables,
            secrets={**self._secrets, **{name: item.token for name, item in placeholders.items()}},
            limits=self._limits,
            held=[name for name in self._secrets if name not in placeholders],
        )

    def _order(
        self, input_data: object, extra_inputs: Sequence[object] | NotGiven, checkpoint: object, on_log: OnLog | None,
        determinism: Deterministic | None, recorder: Recorder | None, replay: Recording | None,
    ) -> Order | Result:  # fmt: skip
        """What to execute, or the result if nothing can be."""
        if on_log is not None and not callable(on_log):
            raise TypeError(f"on_log must be callable, not {type(on_log).__name__}")
        if isinstance(extra_inputs, (str, bytes)) or not isinstance(extra_inputs, (Sequence, NotGiven)):
            raise TypeError(f"extra_inputs must be a sequence of inputs, not {type(extra_inputs).__name__}")
        if self.refusal is not None:
            # A copy, for whoever raises it adds to it.
            return Result(status=Status.CONFIG_REFUSED, error=copy.copy(self.refusal))
        run = RunInput(input_data, extra_inputs, checkpoint, self._variables, on_log, determinism, recorder, replay)
        try:
            return self._make_order(run)
        except (ConfigError, StatementSyntaxError) as error:
            return Result(status=Status.CONFIG_REFUSED, error=error)
        except InputError as error:
            return Result(status=Status.INPUT_REFUSED, error=error)

    def _make_order(self, given: RunInput) -> Order:
        run, key, start = given, None, self._start
        if given.has_own_world:
            from ._replay.worlds import complete, plan_key

            key = plan_key(given)
            run = complete(given)
        placeholders = make_placeholders(self._secrets, key)
        if start is None or run.local_variables is not given.local_variables:
            start = self._make_start(run.local_variables, placeholders)
        request = start.request(run.inputs, None if run.checkpoint is NOT_GIVEN else run.checkpoint)
        world: World = SystemWorld()
        if key is not None:
            from ._replay.worlds import make_world

            world = make_world(
                self._statement, key=key, given=given, run=run, request=request, limits=self._limits,
                masker=self._masker, image=self._launcher.image.stamp,
            )  # fmt: skip
        return Order(
            request, self._limits, self._grants, world, self._schema, self._masker, given.on_log, self._code,
            tuple(placeholders.values()), self._canned_http,
        )  # fmt: skip


class Running:
    """An execution that `Prepared.start` has started; usable from any thread."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def is_waiting(self) -> bool:
        """Whether it has no place among the workers: it is asleep, or waits for an answer."""
        return self._execution.is_waiting

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used, as of a few milliseconds ago."""
        return self._execution.noted_cpu_seconds

    def go_on(self) -> None:
        """Let it compute again, if it has asked for that."""
        self._execution.go_on()

    def cancel(self) -> None:
        """End it with status 303 wherever it is, within a few milliseconds."""
        self._execution.cancel()


def _of_type(name: str, value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}(...), not {type(value).__name__}")
    return value


def _names_to_values(name: str, value: object) -> Mapping[str, Any]:
    """Raises: TypeError: the option is neither None nor a mapping of names."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of names to values, not {type(value).__name__}")
    return value


def _nothing() -> None:
    """Cancels what has ended already."""
