"""anyio's parts that need no socket: memory streams, cancel scopes and locks, driven by hand."""

import anyio
import anyio.abc

send, receive = anyio.create_memory_object_stream(2)
send.send_nowait("one")
send.send_nowait("two")
try:
    send.send_nowait("three")
except anyio.WouldBlock:
    pass
else:
    raise AssertionError("a full stream took one more")
assert [receive.receive_nowait(), receive.receive_nowait()] == ["one", "two"]
send.close()
try:
    receive.receive_nowait()
except anyio.EndOfStream:
    pass
else:
    raise AssertionError("a closed stream had one more")
receive.close()

assert anyio.Path("/tmp/x.txt").suffix == ".txt"
assert issubclass(anyio.ClosedResourceError, Exception)
