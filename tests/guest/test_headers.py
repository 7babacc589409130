"""A header that cannot be sent: every client says whose it is, which character it is and where, and never the value."""

from __future__ import annotations

import re

import pytest
from tests import http_statements
from tests.http_statements import raised
from tests.servers import WebServer

from wasmexec import Executor, Result

CLIENTS = {
    "httpx": "import httpx\ndef send(headers): return httpx.get(url, headers=headers).json()",
    "httpx, set later": "import httpx\ndef send(headers):\n    client = httpx.Client()\n"
    "    for name, value in headers.items(): client.headers[name] = value\n    return client.get(url).json()",
    "requests": "import openai\nrequests = openai.api_requestor.requests\n"
    "def send(headers): return requests.get(url, headers=headers).json()",
    "urllib": "import json, warnings\nload = warnings.sys.modules['importlib'].import_module\n"
    "urllib = load('urllib.request')\n"
    "def send(headers): return json.load(urllib.urlopen(urllib.Request(url, headers=headers)))",
    "http.client": "import json, warnings\nclient = warnings.sys.modules['importlib'].import_module('http.client')\n"
    "def send(headers):\n    connection = client.HTTPConnection(LocalVariable.Server[7:])\n"
    "    connection.request('GET', '/echo', headers=headers)\n    return json.load(connection.getresponse())",
}
AIOHTTP = """import openai
aiohttp = openai.api_requestor.aiohttp
async def send(headers):
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=headers) as response:
            return await response.json()
"""


def send(executor: Executor, server: WebServer, client: str, headers: str, **limits: int) -> Result:
    prelude = AIOHTTP if client == "aiohttp" else CLIENTS[client]
    wait = "await " if client == "aiohttp" else ""
    statement = f"url = LocalVariable.Server + '/echo'\n{prelude}\nreturn [{wait}send({headers})]"
    return http_statements.run(executor, statement, server.authority, prelude="", **limits)


BAD = [
    ("{'X-Key': 'TOPSECRET\\n'}", "X-Key", "character 10 of its 10 is a line feed (U+000A)"),
    ("{'X-Key': 'TOP\\r\\nSECRET'}", "X-Key", "character 4 of its 11 is a carriage return (U+000D)"),
    ("{'X-Key': 'TOP\\x00SECRET'}", "X-Key", "character 4 of its 10 is NUL (U+0000)"),
]


@pytest.mark.parametrize("client", [*CLIENTS, "aiohttp"])
@pytest.mark.parametrize(("headers", "name", "reason"), BAD)
def test_a_character_that_no_value_may_have(
    executor: Executor, server: WebServer, client: str, headers: str, name: str, reason: str
) -> None:
    _, message = raised(send(executor, server, client, headers))
    assert name in message
    assert reason in message, message
    assert not re.search("TOP|SECRET", message)


@pytest.mark.parametrize("client", [*CLIENTS, "aiohttp"])
def test_a_character_that_no_name_may_have(executor: Executor, server: WebServer, client: str) -> None:
    _, message = raised(send(executor, server, client, "{'X Key': 'TOPSECRET'}"))
    assert "the header name 'X Key' is refused: character 2 is a space (U+0020)" in message
    assert "SECRET" not in message


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "httpx, set later"])
def test_a_character_that_the_encoding_has_not(executor: Executor, server: WebServer, client: str) -> None:
    kind, message = raised(send(executor, server, client, "{'X-City': 'TOPSECRET Brno-\\u017didenice'}"))
    assert kind in ("UnicodeEncodeError", "requests.exceptions.InvalidHeader")
    assert "character 16 of header 'X-City' is latin capital letter z with caron (U+017D)" in message
    assert "percent-encode it, or give bytes" in message
    assert "SECRET" not in message


@pytest.mark.parametrize("client", [*CLIENTS, "aiohttp"])
def test_a_value_that_is_no_text(executor: Executor, server: WebServer, client: str) -> None:
    # requests leaves a header out whose value is None, and http.client writes a number.
    value, kind = ("1.5", "float") if client == "requests" else ("None", "NoneType")
    _, message = raised(send(executor, server, client, f"{{'X-None': {value}}}"))
    assert f"the value of header 'X-None' must be a str, not {kind}" in message


@pytest.mark.parametrize("client", [*CLIENTS, "aiohttp"])
def test_what_may_be_sent_is_sent(executor: Executor, server: WebServer, client: str) -> None:
    result = send(executor, server, client, "{'X-Key': 'a b\\tc!', 'x_y.z': '~'}")
    result.raise_for_status()
    assert result.rows[0]["headers"].items() >= {"x-key": "a b\tc!", "x_y.z": "~"}.items()


@pytest.mark.parametrize("client", [*CLIENTS, "aiohttp"])
def test_the_limits_of_headers_are_named(executor: Executor, server: WebServer, client: str) -> None:
    _, message = raised(send(executor, server, client, "{'A': 'x' * 500}", http_header_bytes=500))
    assert "the request has more than 500 bytes of headers (limit http_header_bytes)" in message
    _, message = raised(send(executor, server, client, "{f'A{n}': 'x' for n in range(20)}", http_headers=20))
    assert "the request has more than 20 headers (limit http_headers)" in message
    send(
        executor, server, client, "{f'A{n}': 'x' * 900 for n in range(90)}", http_header_bytes=100_000
    ).raise_for_status()


def test_the_value_of_a_key_is_not_in_the_error_of_openai(executor: Executor, server: WebServer) -> None:
    statement = """
import openai
openai.api_base, openai.api_key = LocalVariable.Server, "sk-TOPSECRET\\n"
openai.Model.list()
"""
    result = http_statements.run(executor, statement, server.authority, prelude="")
    _, message = raised(result)
    assert "the value of header 'Authorization' is refused: character 20 of its 20 is a line feed (U+000A)" in message
    assert "SECRET" not in message


def test_a_header_with_too_many_bytes_by_default(executor: Executor, server: WebServer) -> None:
    assert raised(send(executor, server, "httpx", "{'A': 'x' * 70_000}")) == (
        "httpx.TransportError",
        "the request has more than 65,536 bytes of headers (limit http_header_bytes)",
    )
