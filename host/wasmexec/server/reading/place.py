"""Where the input of a request stands in its body, found by decoding all of it where it lies."""

from __future__ import annotations

import ctypes
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ..documents import RunRequest
from ..http.request import decode_body
from ..problems import ProblemError

MOST_DETAIL: Final = 4096
"""Characters of what is told of a body that is refused: it may quote a name of any length."""
_MOST_LEVELS: Final = 2**17
_decoder = msgspec.json.Decoder(RunRequest)


class Found(Struct, array_like=True):
    """Where the input is, in bytes; size 0: there is none. With a `rule` the body is refused with 400."""

    start: int = 0
    size: int = 0
    rule: str | None = None
    detail: str = ""


class _Buffer(ctypes.Structure):
    """Source: Py_buffer of Python's C API."""

    _fields_ = (
        ("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int), ("ndim", ctypes.c_int), ("format", ctypes.c_void_p), ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p),
    )  # fmt: skip


_take_buffer = ctypes.pythonapi.PyObject_GetBuffer
_take_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_Buffer),)
_release_buffer.restype = None


def find(body: memoryview) -> Found:
    """Where the input is, or why the body is none of a run: exactly what it would be if it were short."""
    try:
        value = decode_body(body, _decoder).input_data
    except ProblemError as problem:
        return Found(rule=problem.rule, detail=str(problem)[:MOST_DETAIL])
    size = memoryview(value).nbytes
    start = _address(value) - _address(body)
    # The one that a request without an input has is elsewhere.
    return Found(start, size) if 0 <= start <= len(body) - size else Found()


def levels() -> int:
    """How many lists inside of each other an input may be of what is decoded by a function that is called there.

    What bounds them may be how deep the calls are that lead to there.
    """
    least, most = 0, _MOST_LEVELS
    while most - least > 1:
        tried = (least + most) // 2
        try:
            decode_body(b'{"statement":"","input_data":%b%b}' % (b"[" * tried, b"]" * tried), _decoder)
        except ProblemError:
            most = tried
        else:
            least = tried
    return least


def _address(value: memoryview | Raw) -> int:
    buffer = _Buffer()
    _take_buffer(value, ctypes.byref(buffer), 0)
    try:
        return int(buffer.buf or 0)
    finally:
        _release_buffer(ctypes.byref(buffer))
