"""Results as bytes, from a worker process to the one that started it. Both are ours; the guest writes none of this."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..errors import WasmexecError
from ..result import LogRecord, Result, Usage
from ..rows.json_text import decode, encode
from ..status import Status

_USAGE = Usage.__slots__


def pack_result(result: Result) -> bytes:
    """The whole result; numbers stay exact."""
    error = result.error
    content = (
        int(result.status),
        result.rows,
        [(record.time, record.level, record.message) for record in result.logs],
        result.log_dropped,
        None if error is None else (type(error).__name__, error.message, error.__dict__),
        [getattr(result.usage, name) for name in _USAGE],
        result.warnings,
    )
    return encode(content)


def unpack_result(data: bytes) -> Result:
    """The result that `pack_result` packed."""
    status, rows, logs, dropped, error, usage, warnings = decode(data)
    return Result(
        status=Status(status),
        rows=rows,
        logs=[LogRecord(*record) for record in logs],
        log_dropped=dropped,
        error=None if error is None else _error(*error),
        usage=Usage(**dict(zip(_USAGE, usage, strict=True))),
        warnings=warnings,
    )


def _error(name: str, message: str, fields: dict[str, Any]) -> WasmexecError:
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if kind is None:
        kind = WasmexecError
    error: WasmexecError = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(fields)
    return error
