"""One execution, from its run frame to its done frame."""

from __future__ import annotations

import asyncio
import gc
import json
import traceback
import types
from collections.abc import Mapping
from typing import Any, NoReturn

import _wasmexec

from . import api, clocks, errors, hostcall, logs, reseed, rows, texts
from .loop import GuestLoop
from .statement import MISSING_RETURN, StatementRefused, compile_whole, load_compiled

WAITING, DONE = 2, 3

Frame = tuple[int, dict[str, object], bytes | memoryview]
"""State, head and blob of an answer to the host."""

_DEADLOCK = "the statement waits for something that can never happen: no timer and no host call is under way"
_MAX_DEADLOCKS = 100
_RESERVE_BYTES = 256 * 1024
_UNITS = ("bytes", "rows", "keys", "depth")
"""What the host bounds of an output."""
"""Given back when the statement runs out of memory, so that this can be reported."""


class InputRefused(Exception):
    """An input is not JSON."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decode_input = json.JSONDecoder(parse_constant=_refuse_constant).decode


def decode_inputs(spans: list[list[int] | None], blob: memoryview) -> list[Any]:
    """The values of INPUT_DATA, INPUT_DATA2, ...

    Raises: InputRefused: one of them is not JSON, not UTF-8, or too deep.
    """
    values: list[Any] = []
    for number, span in enumerate(spans, 1):
        name = "INPUT_DATA" if number == 1 else f"INPUT_DATA{number}"
        if span is None:
            values.append(None)
            continue
        try:
            values.append(_decode_input(str(blob[span[0] : span[0] + span[1]], "utf-8")))
        except UnicodeDecodeError as error:
            raise InputRefused(f"{name} is not UTF-8: byte {error.start} {error.reason}") from None
        except RecursionError:
            raise InputRefused(f"{name} is nested too deeply") from None
        except ValueError as error:
            raise InputRefused(f"{name} is not JSON: {error}") from None
    return values


class Execution:
    """The state of the one execution that an instance is for.

    Made before the snapshot, so that starting it costs as little as possible: its loop and its globals are ready.
    """

    def __init__(self, not_in_image: Mapping[str, str]) -> None:
        self._loop = GuestLoop()
        self._namespace = api.make_namespace(not_in_image)
        self._main: asyncio.Task[None] | None = None
        self._value: object = None
        self._error: BaseException | None = None
        self._deadlocks = 0
        self._bounds = {"max_bytes": 0}
        self._may_leave_coroutines = False
        self._reserve: bytearray | None = bytearray(_RESERVE_BYTES)

    def start(self, frame: Mapping[str, Any], blob: memoryview) -> Frame:
        """Run the statement of a run frame until it waits or ends."""
        reseed.reseed()
        self._bounds = {f"max_{unit}": frame[f"max_output_{unit}"] for unit in _UNITS if f"max_output_{unit}" in frame}
        names = frame.get("secrets")
        if names:
            texts.know_secrets(frame["locals"][name] for name in names)
        span: list[int] | None = frame.get("code")
        try:
            if span is None:
                compiled = compile_whole(frame["statement"])
            else:
                start, length = frame["text"]
                text = bytes(blob[start : start + length])
                compiled = load_compiled(blob[span[0] : span[0] + span[1]], text)
            inputs = decode_inputs(frame["inputs"], blob)
        except StatementRefused as refused:
            return self._failed(refused.as_error())
        except InputRefused as refused:
            return self._failed({"kind": "input", "message": str(refused)})
        except MemoryError as error:
            return self._failed(errors.describe(error, "memory"))
        api.bind_inputs(self._namespace, compiled.extra_inputs, inputs, frame["checkpoint"], frame["locals"])
        self._may_leave_coroutines = compiled.may_leave_coroutines
        del inputs
        # The inputs hold no cycles, so the collector need not visit them again and again.
        gc.freeze()
        gc.enable()
        function = types.FunctionType(compiled.code, self._namespace)
        self._loop.enter()
        if compiled.may_suspend:
            self._main = self._loop.create_task(self._run(function), name=errors.FILENAME)
            return self._advance(self._main)
        # It cannot suspend, so it needs no task: fewer steps, and so fewer pages of the fresh instance.
        try:
            self._run(function).send(None)
        except StopIteration:
            self._loop.leave()
        gc.disable()
        return self._finish()

    def resume(self, frame: Mapping[str, Any], blob: memoryview) -> Frame:
        """Go on after the host did what the statement waits for, or a timer is due."""
        assert self._main is not None
        clocks.end_wait()
        gc.enable()
        self._loop.enter()
        hostcall.complete_calls(self._loop, frame["completions"], blob)
        return self._advance(self._main)

    async def _run(self, function: types.FunctionType) -> None:
        """The statement's task: it never fails itself, so that no exception (SystemExit!) gets at the loop."""
        try:
            self._value = await function()
        except MemoryError as error:
            # What fills the memory are mostly the locals of these frames, and the report needs some.
            self._reserve = None
            traceback.clear_frames(error.__traceback__)
            self._error = error
        except BaseException as error:
            self._error = error

    def _advance(self, main: asyncio.Task[None]) -> Frame:
        loop = self._loop
        while True:
            try:
                loop.run_until_idle(main)
            except BaseException as error:  # a callback or another task of the statement raised SystemExit or the like
                self._error = error
                break
            if main.done():
                break
            if not loop.waits_for_nothing():
                loop.leave()
                gc.disable()
                clocks.begin_wait()
                head, blob = hostcall.waiting_frame(loop, sleeping_frames(main))
                return WAITING, head, blob
            self._deadlocks += 1
            if self._deadlocks > _MAX_DEADLOCKS:
                self._error = RuntimeError(_DEADLOCK)
                break
            main.cancel()
        loop.leave()
        gc.disable()
        return self._finish()

    def _finish(self) -> Frame:
        logs.flush_all()
        if self._loop.has_unfinished_work():
            self._warn_of_unfinished_tasks()
        error, self._error = self._error, None
        if error is not None:
            if self._deadlocks and issubclass(type(error), asyncio.CancelledError):
                error = RuntimeError(_DEADLOCK).with_traceback(error.__traceback__)
            # Not isinstance(), which asks the exception itself for its class.
            record = errors.describe(error, "memory" if issubclass(type(error), MemoryError) else "raised")
            error = None
            self._drop_garbage()
            return self._failed(record)
        try:
            value, self._value = self._value, None
            has_returned = not (type(value) is str and value == MISSING_RETURN)
            encoded = rows.encode(value, has_returned=has_returned, **self._bounds)
        except rows.OutputRefused as refused:
            return self._failed(refused.as_error())
        except rows.TooManyRows as many:
            return self._failed({"kind": "output-limit", "unit": "rows", "limit": many.limit, "used": many.used})
        except _wasmexec.OutputTooLarge as large:
            return self._failed({"kind": "output-limit", "limit": self._bounds["max_bytes"], "used": large.used})
        except MemoryError as failure:
            return self._failed(errors.describe(failure, "memory"))
        except BaseException as failure:  # from methods of the statement's own classes
            return self._failed(errors.describe(failure))
        del value
        self._drop_garbage()
        head: dict[str, object] = {
            "kind": "done", "outcome": "rows", "rows": (0, len(encoded.text)), "count": encoded.row_count,
            "log_dropped": logs.dropped(),
        }  # fmt: skip
        return DONE, head, encoded.text

    def _failed(self, error: dict[str, object]) -> Frame:
        logs.flush_all()
        return DONE, {"kind": "done", "outcome": "failed", "error": error, "log_dropped": logs.dropped()}, b""

    def _warn_of_unfinished_tasks(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            if task is not self._main:
                name = logs.plain_name(task.get_coro())
                logs.emit(logs.WARN, f"coroutine '{name}' was still running when the statement ended")

    def _drop_garbage(self) -> None:
        """Let coroutines die that the statement made and nobody awaited, so that the log names them."""
        if self._may_leave_coroutines:
            self._namespace.clear()
            gc.collect()
            logs.flush_all()

    def close(self) -> None:
        """Leave nothing behind; only the warm-up needs this."""
        self._namespace.clear()
        self._loop.close()


def sleeping_frames(main: asyncio.Task[None]) -> list[dict[str, object]]:
    """Line and name of each function of the statement that awaits, the innermost last."""
    found: list[dict[str, object]] = []
    awaited: Any = main.get_coro()
    for _ in range(100):
        frame = getattr(awaited, "cr_frame", None)
        if frame is None:
            break
        if frame.f_code.co_filename == errors.FILENAME:
            found.append({"line": frame.f_lineno, "name": frame.f_code.co_name})
        awaited = awaited.cr_await
    return found
