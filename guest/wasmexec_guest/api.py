"""The names a statement sees: inputs, `LocalVariable`, `sleep`, `gather`, `log`, `print`, replacements of builtins."""

from __future__ import annotations

import asyncio
import builtins
import math
from collections.abc import Mapping
from typing import Any, NoReturn, SupportsFloat

from . import importgate, logs
from .gathering import gather
from .logger import Log

_NOT_BUILT_IN = ("exit", "quit", "help", "copyright", "credits", "license")


async def sleep(seconds: float) -> None:
    """Suspend the statement for `seconds`; it holds nothing of the host meanwhile."""
    if not isinstance(seconds, SupportsFloat):
        raise TypeError(f"sleep() takes seconds as a number, not {type(seconds).__name__}")
    delay = float(seconds)
    if math.isnan(delay):
        raise ValueError("sleep() takes seconds as a number, not nan")
    await asyncio.sleep(delay)


class LocalVariables:
    """`LocalVariable`: the local variables of the task run, read by attribute.

    Raises: AttributeError: the variable is unknown, or something is assigned or deleted.
    """

    __slots__ = ("__values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        object.__setattr__(self, "_LocalVariables__values", values)

    def __getattribute__(self, name: str) -> Any:
        values: Mapping[str, object] = object.__getattribute__(self, "_LocalVariables__values")
        if name in values:
            return values[name]
        if name.startswith("__") and name.endswith("__"):
            return object.__getattribute__(self, name)
        known = ", ".join(values) if values else "none"
        raise AttributeError(f"there is no local variable {name!r}; the local variables are: {known}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"local variables cannot be assigned: LocalVariable.{name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"local variables cannot be deleted: LocalVariable.{name}")

    def __dir__(self) -> list[str]:
        return sorted(object.__getattribute__(self, "_LocalVariables__values"))

    def __repr__(self) -> str:
        return f"<LocalVariable: {', '.join(dir(self)) or 'none'}>"


def print_to_log(
    *values: object, sep: str | None = None, end: str | None = None, file: Any = None, flush: bool = False
) -> None:
    """`print`, whose text becomes one record of the log at info; with `file` it is the ordinary one."""
    if file is not None:
        if not hasattr(file, "write"):
            raise AttributeError(
                f"{type(file).__name__!r} object has no attribute 'write': print(..., file=...) takes an open file, "
                "such as io.StringIO() or open('/tmp/text', 'w'); without it the text goes to the log at info, and "
                "log.warn(message) writes at warn"
            )
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    for name, option in (("sep", sep), ("end", end)):
        if option is not None and not isinstance(option, str):
            raise TypeError(f"{name} must be None or a string, not {type(option).__name__}")
    logs.print_text((" " if sep is None else sep).join(map(str, values)), "\n" if end is None else end)
    if flush:
        logs.flush()


def refuse_input(prompt: object = "", /) -> NoReturn:
    """`input`, which a statement has no terminal for."""
    raise RuntimeError("input() is not available: nobody sits at a terminal; read INPUT_DATA instead")


def refuse_breakpoint(*args: object, **options: object) -> NoReturn:
    """`breakpoint`, which a statement has no debugger for."""
    raise RuntimeError("breakpoint() is not available: there is no debugger; use log.debug() instead")


print_to_log.__name__ = print_to_log.__qualname__ = "print"
refuse_input.__name__ = refuse_input.__qualname__ = "input"
refuse_breakpoint.__name__ = refuse_breakpoint.__qualname__ = "breakpoint"


def make_namespace(not_in_image: Mapping[str, str]) -> dict[str, Any]:
    """Fresh globals for one execution, without its inputs."""
    own: dict[str, Any] = vars(builtins).copy()
    for name in _NOT_BUILT_IN:
        own.pop(name, None)
    own["__import__"] = importgate.make_import(builtins.__import__, not_in_image)
    own["print"] = print_to_log
    own["input"] = refuse_input
    own["breakpoint"] = refuse_breakpoint
    # Libraries look the module of a class up in sys.modules, so it must be a name that is there.
    return {
        "__name__": "__main__", "__doc__": None, "__builtins__": own, "log": Log(), "sleep": sleep, "gather": gather,
    }  # fmt: skip


def bind_inputs(
    namespace: dict[str, Any],
    extra_inputs: list[str],
    inputs: list[Any],
    checkpoint: object,
    local_values: Mapping[str, object],
) -> None:
    """Give the namespace the data of one execution; of `extra_inputs`, INPUT_DATA<n>, those not wired are None."""
    namespace["DATA_CHECKPOINT"] = checkpoint
    namespace["LocalVariable"] = LocalVariables(local_values)
    for name in extra_inputs:
        namespace[name] = None
    namespace["INPUT_DATA"] = inputs[0] if inputs else None
    for number in range(2, len(inputs) + 1):
        namespace[f"INPUT_DATA{number}"] = inputs[number - 1]
