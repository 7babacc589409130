"""httpcore speaks HTTP/1.1 over a stream, here one that answers from memory."""

import httpcore

replies = [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
]
with httpcore.ConnectionPool(network_backend=httpcore.MockBackend(list(replies))) as pool:
    response = pool.request("GET", "http://service.example/path")
    assert (response.status, response.content) == (200, b"hello")

assert httpcore.URL("https://service.example/x").origin.port == 443
