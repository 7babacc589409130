"""A signal calls its receivers in order."""

import contextlib

from aiosignal import Signal

seen = []


async def receive(value):
    seen.append(value)


signal = Signal(owner=None)
signal.append(receive)
signal.append(receive)
signal.freeze()
sending = signal.send("x")
with contextlib.suppress(StopIteration):
    sending.send(None)
assert seen == ["x", "x"]
