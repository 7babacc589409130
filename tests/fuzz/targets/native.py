"""The guest's C, built for this machine under sanitizers: what is silent in WebAssembly ends the process here.

Only where `python -m tests.fuzz.native` has built it: it starts the process with the sanitizers' libraries.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import math
import os
import struct
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from tests.fuzz.draw import Draw

BUILT = "FUZZ_NATIVE"
"""The variable of the environment that says where the module is."""


@cache
def _module() -> Any:
    path = os.environ[BUILT]
    found = importlib.util.spec_from_file_location("_wasmexec", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@cache
def _library() -> ctypes.PyDLL:
    _module()
    library = ctypes.PyDLL(os.environ[BUILT])
    library.fuzz_inbox.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]
    library.fuzz_inbox.restype = ctypes.c_bool
    library.fuzz_answer.argtypes = [ctypes.c_char_p, ctypes.c_int32]
    library.fuzz_files.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.fuzz_tree.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.fuzz_where.restype = ctypes.c_void_p
    library.fuzz_where_length.restype = ctypes.c_size_t
    library.fuzz_wide_time.argtypes = [ctypes.c_size_t, ctypes.c_wchar_p, ctypes.POINTER(ctypes.c_int32)]
    for name in ("fuzz_time", "fuzz_time_here"):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int32)]
        function.restype = ctypes.c_size_t
    return library


class _Other:
    """A value that JSON has not."""

    def __init__(self, becomes: Any) -> None:
        self.becomes = becomes


def native_rows(data: bytes) -> None:
    """Rows as JSON are what the standard library writes, or an error of the module's own."""
    draw = Draw(data)
    rows: list[Any] = [{draw.text(5): _cell(draw, 4) for _ in range(draw.below(4))} for _ in range(draw.below(5))]
    if draw.chance(16):
        rows += [{"long": "é" * 40_000 + draw.text(9)}] * draw.below(4)
    if draw.chance(12):
        rows.append(draw.choose([rows, [1], {1: 2}, {"\ud800": 1}, {"x": "\udfff"}, {"x": float("inf")}]))
    most = 10**7 if not draw.chance(4) else draw.integer() % 5000
    module = _module()

    def convert(value: Any) -> Any:
        if not isinstance(value, _Other):
            raise TypeError("no JSON form")
        if value.becomes == "change":
            rows.clear()
        return value.becomes

    try:
        text = bytes(module.encode_rows(rows, convert, most, draw.choose([100, 2]), draw.choose([512, 5])))
    except (module.EncodeError, module.OutputTooLarge, RecursionError, ValueError, RuntimeError):
        return
    if rows:
        expected = json.dumps(rows, default=lambda value: value.becomes)
        assert _plain(json.loads(text)) == _plain(json.loads(expected))
    with contextlib.suppress(ValueError, MemoryError, module.EncodeError, module.OutputTooLarge):
        module.put_outbox(draw.text(5), module.encode_rows(rows, convert, most) if draw.chance(2) else text)


def _plain(value: Any) -> Any:
    """With None for NaN, and each float as its text."""
    if isinstance(value, float):
        return None if math.isnan(value) else repr(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _cell(draw: Draw, depth: int) -> Any:
    kind = draw.below(12)
    if kind == 0:
        return struct.unpack("<d", draw.take(8))[0]
    if kind == 1:
        return -(1 << draw.below(300)) + draw.below(5)
    if kind == 2:
        return tuple(_cell(draw, depth - 1) for _ in range(draw.below(3))) if depth else ()
    if kind == 3:
        return {draw.text(3): _cell(draw, depth - 1) for _ in range(draw.below(3))} if depth else {}
    if kind == 4:
        return _Other(draw.choose([1, "x", None, [1, {"a": 2.5}], "change"]))
    if kind == 5:
        return draw.text(40) * (1 + draw.below(9))
    return draw.value(1)


def native_frames(data: bytes) -> None:
    """Frames in and out: what was put in comes out, and a frame that contradicts itself is an error."""
    draw = Draw(data)
    module, library = _module(), _library()
    head, blob = draw.text(30).encode(), draw.binary(60)
    if draw.chance(12):
        blob = blob * 3000
    size = len(head) if not draw.chance(5) else draw.integer() & 0xFFFFFFFF
    frame = struct.pack("<I", size) + head + blob
    told = len(frame) if not draw.chance(6) else draw.integer() & 0xFFFFFFFF
    if library.fuzz_inbox(frame, len(frame), told):
        try:
            found, rest = module.take_inbox()
        except ValueError:
            assert size != len(head) or told != len(frame)
        else:
            assert (size, told) != (len(head), len(frame)) or (found.encode(), bytes(rest)) == (head, blob)
    reply = frame if not draw.chance(4) else draw.binary(40)
    length = len(reply) if not draw.chance(6) else draw.choose([-1, -2, 0, 3])
    library.fuzz_answer(reply, length)
    if draw.chance(8):
        _check_arguments(module, draw)
    with contextlib.suppress(ValueError, OSError):
        module.call(draw.choose([head.decode(), b"x", bytearray(b"y")]), draw.choose([blob, b"", bytearray(70_000)]))
    module.log(draw.choose([2, -1, 4]), draw.choose([head.decode(), "\ud800x", ""]))
    module.put_outbox(head.decode(), blob)


def _check_arguments(module: Any, draw: Draw) -> None:
    """Those that are wrong are an error."""
    values: tuple[Any, ...] = (1, None, "x", b"x", [], {}, 2**70, -1, "\ud800", [1], object())
    function = draw.choose([module.call, module.log, module.put_outbox, module.encode_rows, module.reseed_crypto])
    with contextlib.suppress(TypeError, ValueError, OverflowError, OSError, module.EncodeError, module.OutputTooLarge):
        function(*(draw.choose(values) for _ in range(draw.below(6))))


def native_where(data: bytes) -> None:
    """Where a statement is, with line tables of any kind: a JSON list of places."""
    draw = Draw(data)
    library = _library()
    found: list[bytes] = []

    def note() -> None:
        start = library.fuzz_where()
        found.append(ctypes.string_at(start, library.fuzz_where_length()))

    def inner() -> None:
        note()

    name = draw.text(8) or "f"
    code: CodeType = inner.__code__.replace(
        co_filename=draw.choose(["<statement>", "<statement>", "<statement", "other", "<statement>\u0100"]),
        co_linetable=draw.binary(60), co_firstlineno=draw.integer() & 0x7FFFFFFF,
        co_name=name * (1 if not draw.chance(6) else 60),
    )  # fmt: skip
    function = FunctionType(code, globals(), name, None, inner.__closure__)
    _nest(function, draw.below(4) if not draw.chance(20) else 300)
    places = json.loads(found[0])
    assert isinstance(places, list)
    assert all(type(place["line"]) is int and place["line"] >= 0 for place in places)


def _nest(function: Any, depth: int) -> None:
    if depth:
        _nest(function, depth - 1)
    else:
        function()


def native_files(data: bytes) -> None:
    """Operations on files, maps and directories in any order."""
    _library().fuzz_files(data, len(data))


def native_tree(data: bytes) -> None:
    """A packed tree of files: it is refused, or all of it can be looked at."""
    draw = Draw(data)
    names = sorted({*(f"{draw.name()}" for _ in range(draw.below(5)))})
    paths = sorted([*names, *(f"{name}/{draw.name()}" for name in names if draw.chance(2))], key=str.encode)
    text, entries, content = "", [(0, 0, 0, 0, 1)], draw.binary(20)
    for path in paths:
        is_folder = any(other.startswith(path + "/") for other in paths)
        entries.append((len(text), len(path), 0, 0 if is_folder else len(content), int(is_folder)))
        text += path
    if draw.chance(2):
        at = draw.below(len(entries))
        entry = list(entries[at])
        entry[draw.below(5)] = draw.integer() & 0xFFFFFFFF
        entries[at] = (entry[0], entry[1], entry[2], entry[3], entry[4])
    names_at = 24 + 20 * len(entries)
    head = [len(entries), names_at, names_at + len(text), names_at + len(text) + len(content)]
    if draw.chance(3):
        head[draw.below(4)] = draw.integer() & 0xFFFFFFFF
    packed = b"WXFS0001" + struct.pack("<4I", *head) + b"".join(struct.pack("<5I", *entry) for entry in entries)
    packed += text.encode() + content
    if draw.chance(4):
        packed = packed[: draw.below(len(packed) + 1)]
    _library().fuzz_tree(packed, len(packed))


def native_times(data: bytes) -> None:
    """Times as text are what this machine's library makes of them."""
    draw = Draw(data)
    library = _library()
    parts = "%aAbBcCdDeFgGhHIjklmMnNpPqrRsStTuUvVwWxXyYzZ%EO_-0^#123456789 é"
    form = "%" + "".join(draw.choose(parts) for _ in range(draw.below(12)))
    if any(code in form for code in "sZz"):
        return  # those of the zone, of which the guest has one only
    ranges = ((0, 60), (0, 59), (0, 23), (1, 31), (0, 11), (-3000, 9000), (0, 6), (0, 365))
    fields = (ctypes.c_int32 * 8)(*(low + draw.below(high - low + 1) for low, high in ranges))
    room = draw.choose([1000, 0, 1, 5, 20])
    mine, here = ctypes.create_string_buffer(1000), ctypes.create_string_buffer(1000)
    if draw.chance(8):
        library.fuzz_wide_time(room, ctypes.create_unicode_buffer(form), fields)
    length = library.fuzz_time(mine, room, form.encode(), fields)
    expected = library.fuzz_time_here(here, room, form.encode(), fields)
    assert length == expected, f"{form!r}: {length} bytes, here {expected}: {here.value!r}"
    assert mine.raw[:length] == here.raw[:length], f"{form!r}: {mine.value!r}, here {here.value!r}"
