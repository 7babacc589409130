"""Where data comes from instead, for a statement that opens a file which is not there or that it cannot write."""

from __future__ import annotations

import errno
from types import TracebackType

_MISSING = (
    "a statement sees no files of yours: rows come as INPUT_DATA, text is read from io.StringIO(text), and files are "
    "there once it has written them in /tmp"
)
_REMOTE = "a URL is no file: fetch it with httpx, and read io.BytesIO(response.content)"
_READ_ONLY = "files can be written in /tmp only, and end with the run: what is to stay is returned in rows"


def for_error(error: BaseException, trace: TracebackType | None, own_file: str) -> str | None:
    """What to do instead, if `error` says that a file is missing or read-only and is not of the statement's making.

    trace: the traceback of `error`, with every frame. own_file: the file name of the statement's code.
    """
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.EROFS:
        return _READ_ONLY
    if not isinstance(error, FileNotFoundError):
        return None
    if error.filename is None and _raised_in(trace) == own_file:
        return None
    return _REMOTE if "://" in str(error) else _MISSING


def _raised_in(trace: TracebackType | None) -> str | None:
    """The file of the innermost frame."""
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename
