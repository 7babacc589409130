"""The outcome of an execution as a number: the task-run codes of contract C8."""

from enum import IntEnum


class Status(IntEnum):
    """How an execution ended; 2xx has rows (or none to give), 3xx failed, 4xx never started."""

    FINISHED = 200
    FINISHED_NO_DATA = 201
    FINISHED_WITH_ERRORS = 202
    STATEMENT_RAISED = 300
    TIMED_OUT = 302
    CANCELLED = 303
    RUNTIME_FAILED = 304
    OUTPUT_REFUSED = 306
    INPUT_REFUSED = 307
    CONFIG_REFUSED = 400

    @property
    def succeeded(self) -> bool:
        """True for 200, 201 and 202: the rows were accepted."""
        return 200 <= self < 300
