"""`gather`: a statement waits for several things at once, with nothing left running behind it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from typing import Any


async def gather(*awaitables: Any, return_exceptions: bool = False) -> list[Any]:
    """Wait for several awaitables at once; their results, in the order of the arguments.

    The first exception wins: the others are cancelled, have come to their end when it is raised, and what they raise
    is dropped. With `return_exceptions` each exception stands in the place of its result instead, and nothing is
    cancelled. Cancelling `gather` cancels them all.

    Raises: TypeError: an argument cannot be awaited; nothing was started.
    """
    _check(awaitables)
    # One task for each, also when an awaitable is given twice.
    tasks = {id(item): asyncio.ensure_future(item) for item in awaitables}
    failure = None
    try:
        if tasks:
            failure = await _first_failure(tasks.values(), waits_for_all=return_exceptions)
    finally:
        unfinished = [task for task in tasks.values() if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
        # Looked at, so that the log does not complain of exceptions that nobody looked at.
        failures = {key: _failure(task) for key, task in tasks.items()}
    if return_exceptions:
        return [failures[id(item)] or tasks[id(item)].result() for item in awaitables]
    if failure is not None:
        raise failure
    return [tasks[id(item)].result() for item in awaitables]


async def _first_failure(tasks: Iterable[asyncio.Future[Any]], *, waits_for_all: bool) -> BaseException | None:
    """Wait until one has failed, or all are done: what the first of them raised."""
    settled: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    left = 0

    def note(task: asyncio.Future[Any]) -> None:
        nonlocal left
        left -= 1
        failure = None if waits_for_all else _failure(task)
        if not settled.done() and (failure is not None or left == 0):
            settled.set_result(failure)

    for task in tasks:
        left += 1
        task.add_done_callback(note)
    return await settled


def _failure(task: asyncio.Future[Any]) -> BaseException | None:
    """What a task that is done raised; None if it is a result."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _check(awaitables: tuple[Any, ...]) -> None:
    problem = next((_problem(*entry) for entry in enumerate(awaitables, 1) if not inspect.isawaitable(entry[1])), None)
    if problem is None:
        return
    for item in awaitables:
        if inspect.iscoroutine(item):
            item.close()
    raise TypeError(problem)


def _problem(position: int, item: object) -> str:
    """Why an argument cannot be awaited, and what to write."""
    kind = type(item).__name__
    if inspect.isasyncgen(item):
        return f"gather() argument {position} is an async generator: write `[row async for row in ...]`"
    if isinstance(item, Iterable) and not isinstance(item, str | bytes | dict):
        return f"gather() takes awaitables one by one, not a {kind}: write `gather(*calls)`"
    if callable(item):
        name = getattr(item, "__name__", kind)
        return f"gather() argument {position} is the function {name}: call it, `gather({name}())`"
    return f"gather() argument {position} is {kind}, not an awaitable: leave out the `await` in front of it"
