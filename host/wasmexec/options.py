"""The options of a run: what differs from run to run, and what it means that one is not given."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .result import LogRecord, Result
from .schema import Schema

if TYPE_CHECKING:
    from .determinism import Deterministic
    from .recording import Recorder, Recording

SchemaLike: TypeAlias = "dict[str, Any] | list[dict[str, Any]] | Schema | None"
OnLog: TypeAlias = "Callable[[LogRecord], None]"
OnDone: TypeAlias = "Callable[[Result | BaseException], None]"


class NotGiven(enum.Enum):
    """The default of what a replay takes from its recording; in every other run it stands for None."""

    NOT_GIVEN = enum.auto()

    def __repr__(self) -> str:
        return self.name


NOT_GIVEN = NotGiven.NOT_GIVEN


class JsonText(NamedTuple):
    """A checkpoint or an input that is JSON already and does not change: it goes to the guest as it is written."""

    text: bytes | memoryview


class RunInput(NamedTuple):
    """What differs from run to run; see `Prepared.run`. `local_variables` are those of the conditions."""

    input_data: object
    extra_inputs: Sequence[object] | NotGiven
    checkpoint: object
    local_variables: Mapping[str, object] | NotGiven
    on_log: OnLog | None
    determinism: Deterministic | None
    recorder: Recorder | None
    replay: Recording | None

    @property
    def has_own_world(self) -> bool:
        """Whether the execution has another clock and other randomness than the system's."""
        return not (self.determinism is None and self.recorder is None and self.replay is None)

    @property
    def inputs(self) -> tuple[object, ...]:
        """INPUT_DATA and all that follow it; None for what is not wired."""
        first = None if self.input_data is NOT_GIVEN else self.input_data
        return (first, *(() if self.extra_inputs is NOT_GIVEN else self.extra_inputs))
