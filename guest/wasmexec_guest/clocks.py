"""Clocks by Linux' numbers, and processor time, which WebAssembly has no clock for.

Processor time is time that passes, without what the guest spends waiting.

A guest is one thread, so `time.thread_time` and `time.process_time` are the same. Nothing is counted before one of
them is asked for the first time: only differences mean anything, and a question costs a call of the host.

In this C library the name of a clock is an address, so that `time.clock_gettime` of any other number reads what lies
there. Its functions are replaced.
"""

from __future__ import annotations

import errno
import operator
import os
import time
import types
from collections.abc import Callable

_monotonic_ns = time.monotonic_ns
_is_counting = False
_waited = 0
_waiting_since = 0


def begin_wait() -> None:
    """The guest does nothing from now on."""
    global _waiting_since
    if _is_counting:
        _waiting_since = _monotonic_ns()


def end_wait() -> None:
    """The guest goes on."""
    global _waited
    if _is_counting:
        _waited += _monotonic_ns() - _waiting_since


def processor_time_ns() -> int:
    """Process time for profiling as nanoseconds: what passed, without sleeping and waiting for the host."""
    global _is_counting
    _is_counting = True
    return _monotonic_ns() - _waited


_NUMBERS = {
    "CLOCK_REALTIME": 0, "CLOCK_MONOTONIC": 1, "CLOCK_PROCESS_CPUTIME_ID": 2, "CLOCK_THREAD_CPUTIME_ID": 3,
    "CLOCK_MONOTONIC_RAW": 4, "CLOCK_BOOTTIME": 7, "CLOCK_TAI": 11,
}  # fmt: skip
_READERS = {
    0: time.time_ns, 1: _monotonic_ns, 2: processor_time_ns, 3: processor_time_ns, 4: _monotonic_ns, 7: _monotonic_ns,
    11: time.time_ns,
}  # fmt: skip


def _reader(number: object) -> Callable[[], int]:
    found = _READERS.get(operator.index(number))  # type: ignore[arg-type]
    if found is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return found


def clock_gettime_ns(clk_id: object, /) -> int:
    """Return the time of the specified clock clk_id as nanoseconds."""
    return _reader(clk_id)()


def clock_gettime(clk_id: object, /) -> float:
    """Return the time of the specified clock clk_id as a float."""
    return _reader(clk_id)() / 1e9


def clock_getres(clk_id: object, /) -> float:
    """Return the resolution (precision) of the specified clock clk_id."""
    _reader(clk_id)
    return 1e-09


def install() -> None:
    """Give the module `time` what it lacks. Called once, before the snapshot."""
    sleep_of_c = time.sleep
    info_of_c: Callable[[str], types.SimpleNamespace] = vars(time)["get_clock_info"]

    def processor_time() -> float:
        """Process time for profiling: what passed, without sleeping and waiting for the host."""
        return processor_time_ns() / 1e9

    def sleep(seconds: float, /) -> None:
        """Delay execution for a given number of seconds; nothing else of the statement runs meanwhile."""
        begin_wait()
        try:
            sleep_of_c(seconds)
        finally:
            end_wait()

    def get_clock_info(name: str, /) -> types.SimpleNamespace:
        """Get information of the specified clock."""
        if name not in ("process_time", "thread_time"):
            return info_of_c(name)
        return types.SimpleNamespace(
            implementation="clock_gettime(CLOCK_MONOTONIC) without waits", monotonic=True, adjustable=False,
            resolution=1e-09,
        )  # fmt: skip

    def add(name: str, function: Callable[..., object]) -> None:
        own = types.FunctionType(function.__code__, function.__globals__, name, None, function.__closure__)
        own.__module__, own.__qualname__, own.__doc__ = "time", name, function.__doc__
        setattr(time, name, own)

    for name in ("process_time", "thread_time"):
        add(name, processor_time)
        add(f"{name}_ns", processor_time_ns)
    for function in (clock_gettime, clock_gettime_ns, clock_getres):
        add(function.__name__, function)
    vars(time).update(_NUMBERS)
    add("sleep", sleep)
    add("get_clock_info", get_clock_info)
