"""`RunState`: what is known of one run while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..._finishing.long_inputs import LongInputs
from ..._masking.masker import Masker
from ...errors import WasmexecError
from ...recording import Recorder
from ...rows.source import Source
from ...status import Status
from ..file.definition import StepDefinition
from .cancellation import Cancellation
from .engine import Engine, Wishes
from .request import RunRequest
from .totals import Totals

if TYPE_CHECKING:
    from ...store import RunHandle
    from .step_store import StepStore

Ending: TypeAlias = tuple[Status, WasmexecError | None]
"""How a run ended: with an error if the status is that of a failure."""


class RunState:
    """Who asked for what, and what has become of it so far.

    `masker` is None without secrets, `recorder` without a recording. `checkpoint` and `local_variables` are those at
    the start until the run has ended well; `sources` are the inputs, INPUT_DATA first; `long_rows` takes what is long.
    """

    def __init__(
        self,
        definition: StepDefinition,
        request: RunRequest,
        engine: Engine,
        store: tuple[StepStore, RunHandle] | None,
        *,
        keeps_rows: bool = True,
    ) -> None:
        self.definition = definition
        self.request = request
        self.engine = engine
        self.totals = Totals(request.output, store, request.on_log, keeps_rows=keeps_rows)
        self.cancellation = request.cancellation or Cancellation()
        self.recorder: Recorder | None = None
        self.masker: Masker | None = None
        self.checkpoint: object = None
        self.local_variables: dict[str, object] = {}
        self.sources: list[Source] = []
        self.long_rows = LongInputs()

    @property
    def wishes(self) -> Wishes:
        """What it wants of its executions."""
        request = self.request
        return Wishes(
            concurrency=self.definition.concurrency, processes=request.processes, recorder=self.recorder,
            on_log=request.on_log, warn=self.totals.warn,
        )  # fmt: skip
