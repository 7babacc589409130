"""A guest that lies: whatever it says and does, the host answers with a result, and the next run is as ever."""

from __future__ import annotations

import atexit
import ctypes
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.fake_guest import HEADER, OUTBOX, SCRATCH, WHERE, done, failed, frame, waiting
from tests.fuzz.draw import Draw, mutated_json
from tests.fuzz.puppet import REPLY, Do, Program, build
from tests.fuzz.targets.files import plain_recording

from wasmexec import (
    CannedAnswer,
    CannedHttp,
    ConfigError,
    Deterministic,
    Executor,
    Grants,
    HttpExchange,
    Limits,
    MemoryRecorder,
    Problem,
    Recording,
    Result,
    WasmexecError,
)
from wasmexec.recording.exchange import Operation
from wasmexec.workers.recordings import recording_of

LIMITS = Limits(
    wall_seconds=0.03, cpu_seconds=1, output_bytes=2000, log_bytes=2000, log_records=20, http_bytes=10_000,
    memory_bytes=32 * 1024**2,
)  # fmt: skip
LATEST = LIMITS.wall_seconds + 2
"""When a run must have ended, on a machine that has other things to do."""
HONEST = done(b'[{"a":1}]')
_EXCHANGE = HttpExchange(
    method="GET", url="http://a.test/", status=200, response_body=b"recorded",
    extra={"operations": [["http.open", 5, 9, 1, "head", 4, False], ["http.read", 12, None, 0, "", 0, False]]},
)  # fmt: skip
_RECORDINGS = (
    Recording(exchanges=(_EXCHANGE, _EXCHANGE), strays=(Operation("http.read", 1, 1 << 60),), rows=b'[{"a":1}]'),
    Recording(ending="wall", ended=10**9, strays=(Operation("http.close", 1),)),
    Recording(ending="cancelled", ended=5),
)
_MODES: tuple[Callable[[], dict[str, Any]], ...] = (
    dict,
    dict,
    lambda: {"determinism": Deterministic(seed=1)},
    lambda: {"determinism": Deterministic(clock=6.9e9, clock_step_seconds=1, skip_sleeps=True)},
    lambda: {"recorder": MemoryRecorder()},
    lambda: {"recorder": MemoryRecorder(), "determinism": Deterministic()},
    *(partial(dict, replay=recording) for recording in _RECORDINGS),
    lambda: {"secrets": {"S": "p\u00e4ss-word/1"}},
)
_CANNED = (
    CannedAnswer(method="GET", url="http://a.test/", headers=[("a", "b")], body=b"x" * 300),
    CannedAnswer(method="POST", url="http://a.test/", status=204),
)
_GRANTS = Grants(http=["a.test"])
_SCHEMAS: tuple[Any, ...] = (
    None,
    [{"name": "a", "type": "json", "allow_null": True}],
    [{"name": "a", "type": "integer", "allow_null": True}, {"name": "b", "type": "text", "allow_null": True}],
    {"type": "object", "properties": {"a": {"type": "number"}}},
)
_OPERATIONS = ('"http.open"', '"http.open"', '"http.read"', '"http.write"', '"http.close"', '"file.read"', '"http."')
_LINES = ("1", "2", "0", "3", "99")
_NAMES = ('"f"', '"<module>"')


@cache
def executor() -> Executor:
    """One for the process, with the puppet as its image."""
    folder = tempfile.TemporaryDirectory(prefix="wasmexec-puppet-")
    made = Executor(build(Path(folder.name)), workers=1)
    atexit.register(folder.cleanup)
    atexit.register(made.close)
    return made


def guest_says(data: bytes) -> None:
    """A run ends in time with a result that can be written as JSON, and an honest run after it gives its rows."""
    draw = Draw(data)
    mode, schema = draw.choose(_MODES), draw.choose(_SCHEMAS)
    program = _lie(draw, may_wait=True)
    is_answered = draw.chance(3)
    if is_answered:
        prepared = executor().prepare(
            program.statement, limits=LIMITS, output_schema=schema, grants=_GRANTS, canned_http=CannedHttp(_CANNED),
            compile_now=False,
        )  # fmt: skip
        result = prepared.run()
    else:
        result = executor().run(program.statement, limits=LIMITS, output_schema=schema, **mode())
    check_result(result, program.statement)
    assert result.usage.wall_seconds < LATEST, "it ended too late"
    assert is_answered or result.usage.http_requests == 0 or "replay" in mode(), "a request without a grant"
    assert result.usage.http_bytes_received <= LIMITS.http_bytes + 10_000
    assert not [line for line in result.warnings if line.startswith("the recording failed")], result.warnings
    honest = Program()
    honest.leave(HONEST)
    after = executor().run(honest.statement)
    assert after.rows == [{"a": 1}], after


def replays(data: bytes) -> None:
    """A recording that is accepted can be replayed, whatever it says and whatever the guest asks for."""
    draw = Draw(data)
    try:
        recording = recording_of(mutated_json(draw, plain_recording()))
    except ConfigError:
        return
    program = _lie(draw, may_wait=True)
    result = executor().run(program.statement, limits=LIMITS, replay=recording)
    check_result(result, program.statement)
    assert result.usage.wall_seconds < LATEST, "it ended too late"


def guest_checks(data: bytes) -> None:
    """A check gives problems, or the error that its docstring names."""
    program = _lie(Draw(data), may_wait=False)
    try:
        problems = executor().check(program.statement)
    except WasmexecError:
        return
    assert all(isinstance(item, Problem) for item in problems)
    json.dumps([item.as_dict() for item in problems], allow_nan=False).encode()


def put_back(data: bytes) -> None:
    """What one run leaves in its memory is gone afterwards, and nothing that a later guest does finds it."""
    draw = Draw(data)
    token = b"token-" + draw.take(8).hex().encode() + b"!"
    first = Program()
    for _ in range(1 + draw.below(5)):
        _leave_token(draw, first, token)
    if not draw.chance(8):
        first.leave(draw.choose([done(b'[{"a":"%b"}]' % token), failed({"kind": "raised", "message": token.decode()})]))
    executor().run(first.statement, limits=LIMITS, secrets={"S": token.decode()})
    _compare_with_image()
    second = Program()
    for _ in range(1 + draw.below(4)):
        where = draw.choose([0, OUTBOX, SCRATCH, REPLY, WHERE, draw.integer()])
        kind = draw.choose([Do.LOG, Do.STDIO, Do.CALL])
        arguments = (2, where, 1900) if kind is not Do.CALL else (where, 900, REPLY, 900)
        second.do(kind, *arguments)
        second.do(Do.REPLY, REPLY, 5000) if draw.chance(4) else None
    second.word(6, draw.choose([OUTBOX, WHERE, SCRATCH, REPLY]))
    second.word(7, draw.integer())
    second.do(Do.RETURN, 3, 3)
    found = executor().run(second.statement, limits=LIMITS)
    assert token not in repr(found.as_dict()).encode(), "a run has found what an earlier one left"


def _leave_token(draw: Draw, program: Program, token: bytes) -> None:
    kind = draw.below(6)
    if kind == 0:
        program.do(Do.STORE, draw.choose([0x1000, OUTBOX, WHERE, 0x7FF00, 0x4FF8, draw.below(0x7FF00)]), data=token)
    elif kind == 1:
        program.do(Do.GROW, draw.below(40))
        program.do(Do.STORE, 0x80000 + draw.below(0x10000), data=token)
    elif kind == 2:
        program.do(Do.FILL, draw.below(0x30000), draw.byte(), draw.below(0x10000))
    elif kind == 3:
        program.log(2, token)
    elif kind == 4:
        program.do(Do.STDIO, 2, program.next_data(), len(token), data=token)
    else:
        program.call(frame({"op": token.decode()}), draw.choose([0, 5, 5000]))


def _compare_with_image() -> None:
    """Every waiting memory is the image's, byte by byte and in its size."""
    pool = executor()._launcher.services.guest.memories
    image = _image_memory()
    taken = [pool.take() for _ in range(pool.kept)]
    try:
        for memory in taken:
            assert memory.size == len(image), "a memory was put back in another size"
            assert ctypes.string_at(memory.base, memory.size) == image, "a memory was not put back"
    finally:
        for memory in taken:
            pool.give_back(memory)


@cache
def _image_memory() -> bytes:
    return executor().image.memory.path.read_bytes()


def check_result(result: Result, statement: str) -> None:
    """What every result promises."""
    assert isinstance(result, Result)
    assert (result.error is None) == result.status.succeeded
    assert result.error is None or not result.rows
    assert type(result.log_dropped) is int
    assert 0 <= result.log_dropped < 2**63
    written = json.dumps(result.as_dict(), allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(written)["rows"] == result.rows
    assert all(type(row) is dict for row in result.rows)
    line = getattr(result.error, "line", None)
    # The end of a text may be told as a line of its own.
    assert line is None or 1 <= line <= statement.count("\n") + 2, f"line {line} is not of the statement"


def _lie(draw: Draw, *, may_wait: bool) -> Program:
    program = Program(plays_when_compiled=draw.chance(4))
    for _ in range(draw.below(6)):
        _act(draw, program, may_wait=may_wait)
    kind = draw.below(6)
    if kind < 4:
        state = 3 if not draw.chance(6) else draw.integer()
        program.leave(_done(draw), state, None if not draw.chance(12) else draw.integer())
    elif kind == 4 and may_wait:
        program.wait(_waiting(draw))
    else:
        program.do(draw.choose([Do.TRAP, Do.RETURN]), 5, 5)
    return program


def _act(draw: Draw, program: Program, *, may_wait: bool) -> None:
    kind = draw.below(16 if may_wait else 13)
    if kind in (1, 3, 4, 6, 7) and not draw.chance(4):
        # What ends most guests at once is rarer than what lets them go on.
        kind = 0 if kind == 1 or not may_wait else draw.choose([2, 9, 13, 14])
    address = draw.choose([HEADER, OUTBOX, SCRATCH, WHERE, 0, 0x7FFFF, 0x80000, draw.integer()])
    if kind == 0:
        program.log(draw.choose([2, 4, 0, 5, draw.integer()]), draw.binary(40), 0 if not draw.chance(4) else 2000)
    elif kind == 1:
        program.do(draw.choose([Do.LOG, Do.STDIO]), draw.below(6), address, draw.integer())
    elif kind == 2:
        program.call(_call_frame(draw), draw.choose([8000, 0, 10]))
    elif kind == 3:
        program.do(Do.CALL, address, draw.integer(), draw.choose([REPLY, draw.integer()]), draw.integer())
    elif kind == 4:
        program.do(Do.REPLY, draw.choose([REPLY, address]), draw.integer())
    elif kind == 5:
        program.do(Do.STDIO, draw.integer(), program.next_data(), 10, data=draw.take(10))
    elif kind == 6:
        program.do(Do.RANDOM, address, draw.choose([8, 0, 100, draw.integer()]))
    elif kind == 7:
        program.do(draw.choose([Do.TIME, Do.RESOLUTION]), draw.below(6), draw.choose([REPLY, address]), address)
    elif kind == 8:
        program.word(draw.below(16), draw.integer())
    elif kind == 9:
        where = f"[{draw.object(line=_LINES, function=_NAMES)}]".encode("utf-8", "replace")[:4000]
        program.where(where if not draw.chance(5) else draw.binary(30), 0 if not draw.chance(5) else draw.integer())
    elif kind == 10:
        program.do(Do.GROW, draw.choose([1, 10, 1000, draw.integer()]))
    elif kind == 11:
        _spend(draw, program)
    elif kind == 12:
        program.do(draw.choose([Do.STORE, Do.FILL]), address, draw.byte(), draw.below(300), data=draw.binary(40))
    elif kind == 13:
        nanoseconds = draw.choose([0, 1, -1, 10**6, 10**17, 2**63 - 1, -(2**63)])
        for _ in range(1 if not draw.chance(4) else 4):
            program.do(Do.SLEEP, nanoseconds & 0xFFFFFFFF, (nanoseconds >> 32) & 0xFFFFFFFF)
        program.do(Do.TIME, 0, 0, REPLY)
    else:
        program.wait(_waiting(draw))


def _spend(draw: Draw, program: Program) -> None:
    """A larger inbox that is a lie, deep recursion, or time: seldom all that there is."""
    kind = draw.choose([Do.RESERVE, Do.NEST, Do.SPIN])
    if kind is Do.RESERVE:
        program.do(kind, draw.integer())
    else:
        program.do(kind, draw.choose([1, 100, 10_000]) if not draw.chance(60) else 2**32 - 1)


def _call_text(draw: Draw) -> str:
    timeout = ['{"connect":1}', '{"read":-1}', "{}"]
    return draw.object(
        id=["1", "2", "3", "4", "0"], op=_OPERATIONS, stream=["1", "1", "2"], method=['"GET"', '"POST"', '"CONNECT"'],
        url=['"http://a.test/"', '"http://127.0.0.1/"'], headers=["[]", '[["a","b"]]', '[["a"]]'], timeout=timeout,
        body=['"none"', '"whole"', '"streamed"'], end=["true", "false"], max_bytes=["1", "100000"],
        blob=["[0,0]", "[0,3]", "[1,2]"],
    )  # fmt: skip


def _call_frame(draw: Draw) -> bytes:
    return frame(_call_text(draw).encode("utf-8", "replace"), draw.binary(4))


def _waiting(draw: Draw) -> bytes:
    if draw.chance(4):
        return waiting(0.0001)
    calls = ",".join(_call_text(draw) for _ in range(draw.below(4)))
    where = f"[{draw.object(line=_LINES, name=_NAMES)}]"
    head = draw.object(
        kind=['"waiting"'], timer_seconds=["0", "0.0001", "null", "-1e308", "1e308"], calls=[f"[{calls}]"],
        cancels=["[]", "[1]", "[2,7]"], where=[where],
    )  # fmt: skip
    return frame(head.encode("utf-8", "replace"), draw.binary(4))


def _done(draw: Draw) -> bytes:
    kind = draw.below(5)
    if kind == 0:
        return HONEST
    if kind == 1:
        rows = ",".join(draw.object(a=["1", '"x"', "null"], b=['"y"', "2"]) for _ in range(draw.below(4)))
        text = f"[{rows}]".encode("utf-8", "replace")
        return frame(b'{"kind":"done","outcome":"rows","rows":[0,%d],"count":0}' % len(text), text)
    if kind == 2:
        return draw.binary(60)
    error = draw.object(
        kind=['"syntax"', '"raised"', '"memory"', '"output"', '"output-limit"', '"input"'], message=['"m"'],
        rule=['"r"'], line=_LINES, column=["2"], text=['"t"'], rendered=['"t"'], type=['"ValueError"'],
        traceback=['"t"'], pointer=['"/0"'], value=['"v"'], limit=["5"], used=["6"], unit=['"rows"'],
    )  # fmt: skip
    problem = draw.object(rule=['"r"'], message=['"m"'], line=_LINES, column=["1"], end_line=["1"], text=['"t"'])
    head = draw.object(
        kind=['"done"'], outcome=['"rows"', '"failed"', '"failed"', '"checked"', '"compiled"'],
        rows=["[0,2]", "[0,9]"], error=[error],
        log_dropped=["[0,0,0,0,0]", "[1,2,3,4,5]", "[0,0,0,0,-9]", '["a",0,0,0,0]', f"[0,0,0,0,{2**53 - 1}]"],
        problems=[f"[{problem}]"], code=["[0,2]"], count=["1"],
    )  # fmt: skip
    return frame(head.encode("utf-8", "replace"), draw.choose([b"[]", b"[{}]", b"[{", draw.binary(9)]))
