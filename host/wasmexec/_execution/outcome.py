"""`Outcome`: how an execution ended, read from its last frame, and the result that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._finishing.acceptance import NotJsonError
from .._finishing.process import ChildLostError, TooMuchMemoryError
from .._guest.channel import BadFrame, Frame, blob_part
from ..errors import OutputError, OutputLimitError, WasmexecError
from ..result import LogRecord, Problem, Result, Usage
from ..status import Status
from . import response

if TYPE_CHECKING:
    from .._finishing.acceptance import Accepted
    from .._hostcalls.log import LogCapability
    from .._hostcalls.usage import UsageCounter
    from .._masking.masker import Masker
    from ..rows.block import RowBlock
    from .failures import Facts
    from .order import Order


class Outcome(NamedTuple):
    """How an execution ended. `log_dropped` is None if the guest had no chance to count; `problems` are of a check."""

    status: Status
    error: WasmexecError | None = None
    rows: RowBlock | None = None
    output_bytes: int = 0
    log_dropped: int | None = None
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()


def read_done(
    frame: Frame, order: Order, log: LogCapability, facts: Facts, accept: Callable[[memoryview], Accepted]
) -> Outcome:
    """What a done frame says, its rows as `accept` accepts them.

    Raises:
        BadFrame: it is not what was asked for.
    """
    kind, outcome = order.request.kind, frame.head.get("outcome")
    dropped = log.dropped(response.read_drop_counts(frame))
    if outcome == "failed":
        return Outcome(*response.read_error(frame.head.get("error"), facts), log_dropped=dropped)
    if outcome == "checked" and kind == "check":
        return Outcome(Status.FINISHED, log_dropped=dropped, problems=response.read_problems(frame, facts.lines))
    if outcome != "rows" or kind != "run":
        raise BadFrame("a done frame without the outcome that was asked for")
    text = blob_part(frame, frame.head.get("rows"))
    try:
        accepted = accept(text)
    except NotJsonError:
        raise BadFrame("the rows are not JSON") from None
    except (OutputError, OutputLimitError) as error:
        return Outcome(Status.OUTPUT_REFUSED, error, log_dropped=dropped)
    except TooMuchMemoryError as error:
        return Outcome(Status.OUTPUT_REFUSED, _too_heavy(error), log_dropped=dropped)
    except (ChildLostError, OSError) as error:
        lost = WasmexecError(f"the process that checks large outputs failed: {error}")
        return Outcome(Status.RUNTIME_FAILED, lost, log_dropped=dropped)
    status = Status.FINISHED if accepted.block else Status.FINISHED_NO_DATA
    if log.has_errors:
        status = Status.FINISHED_WITH_ERRORS
    return Outcome(status, None, accepted.block, accepted.size, dropped, accepted.warnings)


def _too_heavy(error: TooMuchMemoryError) -> OutputError:
    text = (
        f"the rows have {error.size:,} bytes of JSON, and to check them, or to say why they are refused, takes more "
        f"than {error.limit:,} bytes of memory: return fewer or less deeply nested values, or larger ones"
    )
    return OutputError("", "memory", "", text)


def make_result(
    outcome: Outcome, facts: Facts, log: LogCapability, usage: UsageCounter, masker: Masker | None
) -> Result:
    """The result of an execution from what is known of it; nothing in it shows a secret."""
    error, warnings = outcome.error, [*outcome.warnings, *usage.warnings]
    if masker is not None:
        warnings = list(map(masker, warnings))
    if error is not None:
        if masker is not None:
            masker.error(error)
        response.bound_texts(error)
    logs: list[LogRecord] = log.records
    return Result(
        status=outcome.status,
        rows=outcome.rows,
        logs=logs,
        log_dropped=log.dropped() if outcome.log_dropped is None else outcome.log_dropped,
        error=error,
        usage=Usage(
            wall_seconds=facts.wall_seconds,
            cpu_seconds=facts.cpu_seconds,
            peak_memory_bytes=facts.memory_bytes,
            output_bytes=outcome.output_bytes,
            http_requests=usage.http_requests,
            http_bytes_sent=usage.http_bytes_sent,
            http_bytes_received=usage.http_bytes_received,
        ),
        warnings=warnings,
        unserved=usage.unserved,
    )
