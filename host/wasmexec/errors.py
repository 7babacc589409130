"""Every error of wasmexec, with typed, picklable fields; nobody needs to parse a message.

::

    WasmexecError
      ConfigError(ValueError)      bad limit, grant, schema or option; nothing has started
        SchemaError                a schema is wrong, with the place in it
      ImageError                   image missing, wrong hash, incompatible engine
      ExecutorClosedError          the executor was closed before or during the execution
      StatementError               the user's code
        StatementSyntaxError       syntax error, type hint, `yield` at the top level
        StatementRaised            the statement raised an exception and did not catch it
      ExecutionCancelled           the execution was cancelled from outside
      LimitError                   a limit was reached
        TimeLimitError             wall clock
        CpuLimitError              processor time
        MemoryLimitError           linear memory
        OutputLimitError           size of the returned rows as JSON
      InputError                   the input is not JSON, or too large
        InputSchemaError           a row of the input does not match the input schema
      OutputError                  the returned value is not a list of objects that matches the schema
      GuestLostError               trap, bad frame, dead guest: treated as hostile, the instance is discarded
      DeliveryError                accepted rows could not be written to where they were to go
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "ConfigError",
    "CpuLimitError",
    "DeliveryError",
    "ExecutionCancelled",
    "ExecutorClosedError",
    "GuestLostError",
    "ImageError",
    "InputError",
    "InputSchemaError",
    "LimitError",
    "MemoryLimitError",
    "OutputError",
    "OutputLimitError",
    "SchemaError",
    "SchemaMistake",
    "StatementError",
    "StatementRaised",
    "StatementSyntaxError",
    "TimeLimitError",
    "WasmexecError",
]

_State: TypeAlias = "dict[str, object]"


def _restore(cls: type[WasmexecError], message: str, state: _State) -> WasmexecError:
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class WasmexecError(Exception):
    """Base of everything that wasmexec raises or reports in `Result.error`."""

    @property
    def message(self) -> str:
        """The text of the error, one line unless it carries a caret rendering."""
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.message, dict(self.__dict__))

    def fields(self) -> dict[str, object]:
        """The typed fields as plain JSON-able values, for records and `--result`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()}


class ConfigError(WasmexecError, ValueError):
    """A limit, grant, schema or option is wrong; nothing has started."""


class SchemaMistake(NamedTuple):
    """One mistake of a schema: the JSON pointer of its place ("" is the top) and what is wrong there."""

    pointer: str
    reason: str


class SchemaError(ConfigError):
    """A schema is wrong: `mistakes` has every mistake in the order of the schema, at most 100.

    `pointer` and `reason` are those of the first; the message has a line for each of the first 20. `role` says what
    the schema is for, "output" or "input".
    """

    mistakes: tuple[SchemaMistake, ...]
    role: str
    pointer: str
    reason: str

    _MOST: Final = 100
    _MOST_LINES: Final = 20

    def __init__(
        self, pointer: str, reason: str, others: Sequence[SchemaMistake] = (), *, role: str = "output"
    ) -> None:
        self.mistakes = (SchemaMistake(pointer, reason), *others)
        shown = [f"{role} schema, at {_cut(at) or 'its top'}: {why}" for at, why in self.mistakes[: self._MOST_LINES]]
        hidden = len(self.mistakes) - len(shown)
        super().__init__("\n".join([*shown, f"and {hidden} more"] if hidden else shown))
        self.role = role
        self.pointer = pointer
        self.reason = reason

    @classmethod
    def of(cls, mistakes: Sequence[SchemaMistake], *, role: str = "output") -> SchemaError:
        """The error for one mistake or more."""
        (pointer, reason), *others = mistakes[: cls._MOST]
        return cls(pointer, reason, others, role=role)

    def fields(self) -> dict[str, object]:
        """The typed fields as JSON-able values; `mistakes` is a list of objects."""
        return {
            "pointer": self.pointer,
            "reason": self.reason,
            "role": self.role,
            "mistakes": [mistake._asdict() for mistake in self.mistakes],
        }


class ImageError(WasmexecError):
    """The guest image is missing, damaged or was built for another engine."""


class ExecutorClosedError(WasmexecError):
    """The executor was closed; it runs nothing any more."""


class StatementError(WasmexecError):
    """The statement itself is at fault."""


class StatementSyntaxError(StatementError):
    """The statement does not compile: nothing of it ran.

    `rule` is "syntax", "type-hint", "yield" or "return"; `line` and `column` count from 1;
    `rendered` is the line with a caret below, as CPython shows it.
    """

    rule: str
    line: int | None
    column: int | None
    text: str
    rendered: str

    def __init__(
        self,
        message: str,
        *,
        rule: str = "syntax",
        line: int | None = None,
        column: int | None = None,
        text: str = "",
        rendered: str = "",
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.line = line
        self.column = column
        self.text = text
        self.rendered = rendered


class StatementRaised(StatementError):
    """The statement raised an exception and did not catch it.

    `type_name` is the class of the exception, `exception_message` its `str()`, `traceback` the frames of the
    statement only, `line` the innermost of those (None when the exception never passed through one).
    """

    type_name: str
    exception_message: str
    traceback: str
    line: int | None

    def __init__(self, type_name: str, exception_message: str, traceback: str, line: int | None = None) -> None:
        where = "" if line is None else f" (line {line})"
        super().__init__(f"{type_name}: {exception_message}{where}" if exception_message else f"{type_name}{where}")
        self.type_name = type_name
        self.exception_message = exception_message
        self.traceback = traceback
        self.line = line


class ExecutionCancelled(WasmexecError):
    """The execution was cancelled; `line` and `function` say where it was, when known."""

    line: int | None
    function: str | None

    def __init__(self, message: str = "cancelled", *, line: int | None = None, function: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.function = function


class LimitError(WasmexecError):
    """A limit was reached: `limit` and `used` in the unit of that limit; `line` and `function` when known."""

    limit: float
    used: float
    line: int | None
    function: str | None

    def __init__(
        self, message: str, *, limit: float, used: float, line: int | None = None, function: str | None = None
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.used = used
        self.line = line
        self.function = function


class TimeLimitError(LimitError):
    """Out of wall-clock time (seconds)."""


class CpuLimitError(LimitError):
    """Out of processor time (seconds)."""


class MemoryLimitError(LimitError):
    """The guest asked for more linear memory than allowed, and the statement did not catch the MemoryError (bytes)."""


class OutputLimitError(LimitError):
    """The returned rows are larger than allowed (bytes of JSON)."""


class InputError(WasmexecError):
    """The input cannot be read: not what its format says, in another encoding, larger than allowed.

    `source` is how messages name the input, `source_line` the line in it (from 1); None where that is not known.
    """

    source: str | None = None
    source_line: int | None = None

    def __init__(self, message: str, *, source: str | None = None, source_line: int | None = None) -> None:
        super().__init__(message)
        if source is not None:
            self.source = source
        if source_line is not None:
            self.source_line = source_line


class InputSchemaError(InputError):
    """A row of the input does not match the input schema; `pointer`, `rule` and `value` are those of `OutputError`."""

    pointer: str
    rule: str
    value: str

    def __init__(
        self,
        pointer: str,
        rule: str,
        value: str,
        message: str,
        *,
        source: str | None = None,
        source_line: int | None = None,
    ) -> None:
        super().__init__(message, source=source, source_line=source_line)
        self.pointer = pointer
        self.rule = rule
        self.value = value


class OutputError(WasmexecError):
    """The returned value was refused.

    `pointer` is the JSON pointer of the offending value ("/17/price", "" for the whole value), `rule` the rule that
    it breaks ("type", "finite", "key", "cycle", "required", ...), `value` a short repr of it, `fix` what to write
    where the schema refused it and that is plain: the message ends with it, `reason` is the message without it.
    """

    pointer: str
    rule: str
    value: str
    fix: str

    def __init__(self, pointer: str, rule: str, value: str, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}; {fix}" if fix else reason)
        self.pointer = pointer
        self.rule = rule
        self.value = value
        self.fix = fix

    @property
    def reason(self) -> str:
        """What is wrong, without what to write instead."""
        return self.message.removesuffix(f"; {self.fix}") if self.fix else self.message


class GuestLostError(WasmexecError):
    """The guest trapped, exited or broke the channel's rules; its instance was discarded.

    `trap` is a short code ("unreachable", "exit", "bad-frame", "stack-overflow", ...), `detail` what the guest wrote
    to its standard error, bounded, for diagnosis.
    """

    trap: str
    detail: str
    line: int | None
    function: str | None

    def __init__(
        self, message: str, *, trap: str, detail: str = "", line: int | None = None, function: str | None = None
    ) -> None:
        super().__init__(message)
        self.trap = trap
        self.detail = detail
        self.line = line
        self.function = function


class DeliveryError(WasmexecError):
    """Output could not be written to where it was to go: `target` names that, `reason` says why.

    With `run_id` the rows are on record, and nothing is lost.
    """

    target: str
    reason: str
    run_id: int | None

    def __init__(self, target: str, reason: str, *, run_id: int | None = None) -> None:
        where = "" if run_id is None else f"; the rows are on record: wasmexec step show {run_id} --rows"
        super().__init__(f"{target} cannot be written: {reason}{where}")
        self.target = target
        self.reason = reason
        self.run_id = run_id


def _cut(pointer: str) -> str:
    """A pointer as messages have it: a schema's names may be megabytes long."""
    return pointer if len(pointer) <= 1000 else pointer[:997] + "..."
