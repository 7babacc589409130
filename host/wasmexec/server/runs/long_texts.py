"""`LongTexts`: the front's end of the socket for texts in files that it has with one worker, see `workers.files`."""

from __future__ import annotations

import asyncio
import socket
from collections import deque

from ...workers.files import LongText, receive
from ...workers.messages import BadMessage

_AGAIN_SECONDS = 0.005
"""Until the next try to pass a descriptor, if the system takes no more of them for now."""


class LongTexts:
    """Passes texts to a worker, in order, and keeps those that it has passed until the frames that mean them.

    `theirs` is the worker's end, to be closed here once the worker has it.

    Raises:
        OSError: the system gives no sockets.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._unsent: deque[tuple[int, LongText]] = deque()
        self._again: asyncio.TimerHandle | None = None
        self._came: dict[int, LongText] = {}

    def send(self, execution: int, text: LongText) -> None:
        """Pass a text; its frame may be written at once, for the worker waits for what it means."""
        self._unsent.append((execution, text))
        if self._again is None:
            self._send()

    def take(self, execution: int, most: int) -> LongText:
        """The text that came for an execution, of which at most so many others are under way.

        SECURITY: a worker can pass only so many as it has executions, and none twice.

        Raises:
            BadMessage: there is none, or one that the worker may not pass.
        """
        while execution not in self._came:
            try:
                found = receive(self._ours, self._most_bytes)
            except BlockingIOError:
                found = None
            except OSError as error:
                raise BadMessage(f"a descriptor that cannot be taken ({error.strerror})") from None
            if found is None:
                raise BadMessage("an answer without its rows")
            if found[0] in self._came or len(self._came) > most:
                raise BadMessage("more texts than it has executions")
            self._came[found[0]] = found[1]
        return self._came.pop(execution)

    def close(self) -> None:
        """Pass no more; idempotent."""
        self._ours.close()
        self.theirs.close()
        self._unsent.clear()
        self._came.clear()
        if self._again is not None:
            self._again.cancel()

    def _send(self) -> None:
        self._again = None
        while self._unsent:
            execution, text = self._unsent[0]
            try:
                text.send(self._ours, execution)
            except (BrokenPipeError, ConnectionResetError):
                # The end of its output tells that the worker is gone.
                self._unsent.clear()
                return
            except OSError:
                self._again = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._send)
                return
            self._unsent.popleft()
