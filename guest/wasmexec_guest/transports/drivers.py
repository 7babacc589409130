"""What carries out the operations of a request: host calls that block the whole guest, or that are awaited."""

from __future__ import annotations

from ..errors import HostCallError
from ..hostcall import call_sync
from ..loop import host_call
from .request import HostRequest, Steps, T


def drive_sync(steps: Steps[T]) -> T:
    """Carry out these steps while everything else waits; their result.

    Raises: HostCallError: the host refused or failed.
    """
    reply = None
    while True:
        try:
            operation = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            reply = call_sync(*operation)
        except HostCallError as error:
            steps.throw(error)


async def drive_async(steps: Steps[T]) -> T:
    """Carry out these steps while other tasks run; their result. Cancelled, it leaves the request to `give_up`.

    Raises: HostCallError: the host refused or failed.
    """
    reply = None
    while True:
        try:
            operation = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            reply = await host_call(*operation)
        except HostCallError as error:
            steps.throw(error)


def give_up(request: HostRequest) -> None:
    """End a request on the host if it has not ended.

    Not by an async call, whosever request it is: that would go out with the next frame, perhaps after a synchronous
    request that waits for the slot of this one.
    """
    drive_sync(request.close())
