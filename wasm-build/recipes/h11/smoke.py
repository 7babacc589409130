"""h11 reads and writes both sides of an HTTP/1.1 exchange, and refuses nonsense."""

import h11

client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
request = h11.Request(method="POST", target="/x", headers=[("Host", "a.example"), ("Content-Length", "3")])
wire = client.send(request) + client.send(h11.Data(data=b"abc")) + client.send(h11.EndOfMessage())
server.receive_data(wire)
seen = [server.next_event() for _ in range(3)]
assert seen[0].target == b"/x"
assert bytes(seen[1].data) == b"abc"
assert isinstance(seen[2], h11.EndOfMessage)

broken = h11.Connection(h11.SERVER)
broken.receive_data(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
hint = None
try:
    broken.next_event()
except h11.RemoteProtocolError as error:
    hint = error.error_status_hint
assert hint == 400
