"""`RunRequest`: what one run is asked for, apart from what the step file says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...rows.source import Input
from ...secret import Secret
from ..result import Progress, StepLog
from .cancellation import Cancellation
from .totals import Output

if TYPE_CHECKING:
    from ...canned import CannedHttp
    from ...store import RunStore


class _Unset:
    """There is no value; None is one."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The arguments of `Step.run`, which says what each means."""

    input_data: Input = None
    extra_inputs: Sequence[Input] = ()
    input_format: str | None = None
    input_encoding: str | None = None
    input_delimiter: str | None = None
    checkpoint: object = UNSET
    local_variables: Mapping[str, object] | None = None
    secrets: Mapping[str, str | Secret] | None = None
    store: RunStore | None = None
    output: Output | None = None
    on_log: Callable[[StepLog], None] | None = None
    on_progress: Callable[[Progress], None] | None = None
    cancellation: Cancellation | None = None
    processes: int | None = None
    trigger: str = "api"
    record: bool = False
    canned_http: CannedHttp | None = None
