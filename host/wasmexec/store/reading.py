"""The reading half of `RunStore`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..errors import ConfigError
from ..recording.exchange import HttpExchange
from ..result import LEVELS
from ..status import Status
from . import checkpoints, logs, output, recordings, runs
from .database import Database
from .errors import RunStateError, StepNotFoundError, StoreError
from .records import (
    STATES,
    Checkpoint,
    CheckpointPage,
    LogPage,
    OutputRow,
    RecordedPart,
    Recording,
    RowErrorPage,
    RunPage,
    RunRecord,
    RunState,
    StepRecord,
)
from .seals import UNSEALED, Seals

_LONGEST_PAGE = 10_000


class StoredRuns:
    """Everything that can be read; each call sees one state of the database."""

    def __init__(self, database: Database, seals: Seals = UNSEALED) -> None:
        self._database = database
        self._seals = seals

    def get_run(self, run_id: int) -> RunRecord:
        """Raises: RunNotFoundError."""
        with self._database.read() as connection:
            return runs.get(connection, run_id)

    def runs(
        self,
        step: str | None = None,
        *,
        states: Collection[RunState] = (),
        statuses: Collection[Status] = (),
        before_id: int | None = None,
        limit: int = 50,
    ) -> RunPage:
        """Runs, newest first, of one step or all; empty `states` and `statuses` are all of them."""
        _check_limit(limit)
        for state in states:
            if state not in STATES:
                raise ConfigError(f"runs: a state is one of {', '.join(STATES)}, not {state!r}")
        with self._database.read() as connection:
            return runs.page(connection, step, states, statuses, before_id, limit)

    def steps(self) -> list[StepRecord]:
        """Every step of which something is stored, by name."""
        with self._database.read() as connection:
            return checkpoints.list_steps(connection)

    def get_step(self, step: str) -> StepRecord:
        """Raises: StepNotFoundError."""
        with self._database.read() as connection:
            found = checkpoints.list_steps(connection, step)
        if not found:
            raise StepNotFoundError(step)
        return found[0]

    def definition(self, sha256: str) -> str:
        """The text that `begin_run` was given.

        Raises:
            StoreError: there is none of that hash, or it is damaged.
        """
        with self._database.read() as connection:
            text = runs.definition(connection, sha256)
        if text is None:
            raise StoreError(f"there is no definition {sha256[:64]!r}")
        return text

    def logs(self, run_id: int, *, after: int = 0, limit: int = 1000, min_level: str = "trace") -> LogPage:
        """Log lines after number `after`, of `min_level` and above. Raises: RunNotFoundError."""
        _check_limit(limit)
        if min_level not in LEVELS:
            raise ConfigError(f"logs: a level is one of {', '.join(LEVELS)}, not {min_level!r}")
        with self._database.read() as connection:
            runs.get(connection, run_id)
            return logs.page(connection, run_id, after, limit, min_level, self._seals)

    def row_errors(self, run_id: int, *, after: int = 0, limit: int = 1000) -> RowErrorPage:
        """Refused rows after number `after`, in the order they were stored. Raises: RunNotFoundError."""
        _check_limit(limit)
        with self._database.read() as connection:
            runs.get(connection, run_id)
            return logs.row_error_page(connection, run_id, after, limit, self._seals)

    def output(self, run_id: int) -> Iterator[OutputRow]:
        """The rows of a finished run, chunk by chunk; none if it failed.

        Raises:
            RunNotFoundError; RunStateError: it is not finished.
            StoreError: damaged, or deleted meanwhile.
        """
        record = self.get_run(run_id)
        if record.state != "finished":
            raise RunStateError(run_id, record.state, "finished")
        return self._output(run_id, record.output_rows)

    def output_text(self, run_id: int, after: int = 0) -> tuple[int, bytes] | None:
        """The number and the JSON array of the chunk of rows behind number `after`, unparsed; None at the end.

        Raises:
            StoreError: damaged.
        """
        with self._database.read() as connection:
            return output.read_text(connection, run_id, after, self._seals)

    def _output(self, run_id: int, left: int) -> Iterator[OutputRow]:
        after = 0
        while left > 0:
            with self._database.read() as connection:
                found = output.read_chunk(connection, run_id, after, self._seals)
            if found is None:
                raise StoreError(f"{left:,} output rows of run {run_id} are missing; was it deleted meanwhile?")
            after, rows = found
            left -= len(rows)
            yield from rows

    def checkpoint(self, step: str) -> Checkpoint:
        """The present checkpoint; version 0 and None if there is none, also of a step that nobody ran."""
        with self._database.read() as connection:
            step_id = checkpoints.find_step(connection, step)
            return Checkpoint(step=step) if step_id is None else checkpoints.current(connection, step_id)

    def checkpoint_history(self, step: str, *, before_version: int | None = None, limit: int = 50) -> CheckpointPage:
        """The versions of a step's checkpoint, newest first."""
        _check_limit(limit)
        with self._database.read() as connection:
            return checkpoints.page(connection, step, before_version, limit)

    def recording(self, run_id: int) -> Recording:
        """What is known of a recording. Raises: RecordingNotFoundError."""
        with self._database.read() as connection:
            return recordings.get(connection, run_id)

    def recorded_parts(
        self, run_id: int, *, kinds: Collection[str] = (), execution: int | None = None
    ) -> Iterator[RecordedPart]:
        """The parts in the order they were recorded, few at a time in memory. Raises: RecordingNotFoundError."""
        recording = self.recording(run_id)
        expected = recording.parts if recording.is_complete and not kinds and execution is None else 0
        return self._parts(run_id, kinds, execution, expected)

    def _parts(
        self, run_id: int, kinds: Collection[str], execution: int | None, expected: int
    ) -> Iterator[RecordedPart]:
        after = 0
        while True:
            with self._database.read() as connection:
                parts = recordings.next_parts(connection, run_id, after, kinds, execution)
            if not parts:
                if after < expected:
                    raise StoreError(f"the recording of run {run_id} ends after part {after} of {expected}")
                return
            after = parts[-1].seq
            yield from parts

    def recorded_exchanges(self, run_id: int, *, execution: int | None = None) -> Iterator[HttpExchange]:
        """The recorded HTTP exchanges, in order. Raises: RecordingNotFoundError."""
        return (part.as_exchange() for part in self.recorded_parts(run_id, kinds=("http",), execution=execution))


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= _LONGEST_PAGE:
        raise ConfigError(f"a page has 1 to {_LONGEST_PAGE:,} entries, not {limit:,}")
