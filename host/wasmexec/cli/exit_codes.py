"""Exit codes of the command line."""

from __future__ import annotations

from ..status import Status

USAGE = 2
CANCELLED = 3
NOT_DELIVERED = 3

_CODES = {
    Status.FINISHED: 0,
    Status.FINISHED_NO_DATA: 0,
    Status.FINISHED_WITH_ERRORS: 0,
    Status.STATEMENT_RAISED: 1,
    Status.CONFIG_REFUSED: USAGE,
    Status.TIMED_OUT: 3,
    Status.CANCELLED: CANCELLED,
    Status.RUNTIME_FAILED: 3,
    Status.OUTPUT_REFUSED: 4,
    Status.INPUT_REFUSED: 5,
}

HELP = """\
Exit codes:

\b
  0  the rows were accepted (status 200, 201 no rows, 202 something logged an error)
  1  the statement raised (300)
  2  nothing ran: syntax error, schema, limit, option or image refused (400)
  3  out of time (302), cancelled (303), runtime failed (304), or the output could not be written
  4  output refused (306)
  5  input refused (307)
"""


def exit_code(status: Status) -> int:
    """The exit code for the outcome of an execution."""
    return _CODES[status]
