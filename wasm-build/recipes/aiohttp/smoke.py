"""aiohttp's C parser and writer read and write messages, and its sessions are made."""

import aiohttp
import aiohttp.http_parser
import aiohttp.http_writer
from aiohttp import _helpers, _http_parser, _http_writer, _websocket
from multidict import CIMultiDict

assert aiohttp.__version__ == "3.9.1"
assert aiohttp.http_parser.HttpResponseParser is _http_parser.HttpResponseParser
assert aiohttp.http_writer._serialize_headers is _http_writer._serialize_headers
assert aiohttp.helpers.reify is _helpers.reify

parser = _http_parser.HttpRequestParser(None, None, 2**16)
messages, upgraded, tail = parser.feed_data(
    b"GET /a?b=%C3%A4 HTTP/1.1\r\nHost: x.example\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n"
)
((message, payload),) = messages
assert (message.method, message.url.query["b"], message.headers.getall("x-twice")) == ("GET", "ä", ["1", "2"])
assert not upgraded
error = None
try:
    _http_parser.HttpRequestParser(None, None, 2**16).feed_data(b"nonsense\r\n\r\n")
except aiohttp.http_exceptions.HttpProcessingError as raised:
    error = raised
assert error is not None
assert error.code == 400

written = _http_writer._serialize_headers("GET / HTTP/1.1", CIMultiDict({"Host": "x.example", "X-Name": "é"}))
assert written == "GET / HTTP/1.1\r\nHost: x.example\r\nX-Name: é\r\n\r\n".encode()
data = bytearray(b"websocket")
_websocket._websocket_mask_cython(b"\x01\x02\x03\x04", data)
assert data[:4] == bytes((119 ^ 1, 101 ^ 2, 98 ^ 3, 115 ^ 4))

form = aiohttp.FormData({"a": "1", "b": "ä"})()
assert form._value == b"a=1&b=%C3%A4"
assert str(aiohttp.ClientTimeout(total=5, connect=1)).startswith("ClientTimeout(total=5, connect=1")
