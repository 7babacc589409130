"""requests, aiohttp, urllib and openai behave in the guest as natively, against the same server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests import reference
from tests.api_server import KEY, ApiServer
from tests.differential.test_same_rows import HERE, difference
from tests.http_caller import private_grant

import wasmexec

RAW = {
    "nothing": b"",
    "no status": b"nonsense\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
    "to the end": b"HTTP/1.0 200 OK\r\nX-A: 1\r\nX-A: 2\r\n\r\nto the end",
    "no content": b"HTTP/1.1 204 No Content\r\nX-A: \xe9\r\n\r\n",
    "empty reason": b"HTTP/1.1 299 \r\nContent-Length: 1\r\n\r\nx",
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}
PRELUDE = """
import openai, warnings
openai.api_key, openai.api_base = {key!r}, {url!r} + "/v1"
requests, aiohttp, asyncio = openai.api_requestor.requests, openai.api_requestor.aiohttp, openai.api_requestor.asyncio
urllib = warnings.sys.modules["importlib"].import_module("urllib.request")
url, raw = {url!r}, {raw!r}
LEFT_OUT = ("date", "server")
def told(headers):
    return sorted([name.lower(), ascii(value)] for name, value in headers.items() if name.lower() not in LEFT_OUT)
def echoed(seen):
    return dict(seen, headers=told(seen["headers"]))
def kinds(error):
    return [kind.__name__ for kind in type(error).__mro__]
"""
PROGRAMS = {
    "requests: answers": """
rows = []
for name, path in raw.items():
    try:
        answer = requests.get(url + path)
        rows.append({"name": name, "status": answer.status_code, "reason": answer.reason, "text": answer.text,
                     "headers": told(answer.headers), "encoding": answer.encoding})
    except requests.RequestException as error:
        rows.append({"name": name, "error": kinds(error)})
return rows
""",
    "requests: echoes": """
session = requests.Session()
session.headers["X-Session"] = "s"
session.get(url + "/set-cookie?name=c&value=1")
return [echoed(session.request(method, url + "/echo", **options).json()) for method, options in (
    ("GET", {"params": {"q": "ä b"}}), ("POST", {"json": {"a": 1}}), ("POST", {"data": {"a": ["1", "2"]}}),
    ("PUT", {"data": b"x" * 70_000}), ("PUT", {"data": iter([b"ab", b"c"])}), ("DELETE", {}), ("PATCH", {"data": b"p"}),
    ("GET", {"auth": ("u", "p"), "cookies": {"d": "2"}}), ("POST", {}), ("GET", {"headers": {"User-Agent": None}}),
)]
""",
    "requests: redirects": """
rows = []
for status in (301, 302, 303, 307, 308):
    for method in ("GET", "POST"):
        answer = requests.request(method, f"{url}/redirect?status={status}&to=/echo", data=b"body")
        seen = answer.json()
        rows.append({"hops": [hop.status_code for hop in answer.history], "url": answer.url, **echoed(seen)})
return rows
""",
    "requests: streams": """
rows = []
for size in (None, 1, 3, 512):
    with requests.get(url + "/chunks?count=5&size=4&pause=0.05", stream=True) as answer:
        rows.append({"chunks": [piece.decode() for piece in answer.iter_content(size)] if size else [],
                     "whole": answer.content.decode() if size is None else ""})
    with requests.get(url + "/chunks?count=3&size=4&pause=0.05", stream=True) as answer:
        rows.append({"lines": [line.decode() for line in answer.iter_lines(size or 512)]})
with requests.get(url + "/bytes?size=10", stream=True) as answer:
    rows.append({"raw": answer.raw.read(4).decode(), "rest": answer.raw.read().decode(), "closed": answer.raw.closed})
return rows
""",
    "requests: timeouts": """
rows = []
for path in ("/slow?seconds=5", "/stall?size=5"):
    for options in ({}, {"stream": True}):
        try:
            requests.get(url + path, timeout=0.3, **options).content
        except requests.RequestException as error:
            rows.append({"error": kinds(error)})
return rows
""",
    "urllib: answers": """
rows = []
raw.pop("no status")  # here the host finds the answer wrong, so it is a RemoteDisconnected, which is a BadStatusLine
for name, path in raw.items():
    try:
        with urllib.urlopen(url + path) as answer:
            rows.append({"name": name, "status": answer.status, "reason": answer.reason, "text": answer.read().decode(),
                         "headers": told(answer.headers)})
    except Exception as error:
        rows.append({"name": name, "error": type(error).__name__})
return rows
""",
    "urllib: echoes": """
import json
rows = []
for options in ({}, {"data": b"x"}, {"data": b"x", "method": "PUT", "headers": {"X-Key": "k"}}, {"method": "DELETE"}):
    with urllib.urlopen(urllib.Request(url + "/echo?a=1", **options)) as answer:
        rows.append(echoed(json.load(answer)))
return rows
""",
    "aiohttp: answers": """
rows = []
raw.pop("no status")  # here the host finds the answer wrong, so it is a ServerDisconnectedError
for name, path in raw.items():
    # A session each: natively one would try a connection again that the server has closed.
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url + path) as answer:
                text = await answer.text()
                rows.append({"name": name, "status": answer.status, "reason": answer.reason, "text": text,
                             "headers": told(answer.headers)})
        except aiohttp.ClientError as error:
            rows.append({"name": name, "error": kinds(error)})
return rows
""",
    "aiohttp: echoes": """
async def pieces():
    yield b"ab"
    yield b"c"
rows = []
async with aiohttp.ClientSession(headers={"X-Session": "s"}) as session:
    for method, options in (
        ("GET", {"params": {"q": "ä b"}}), ("POST", {"json": {"a": 1}}), ("POST", {"data": {"a": "1"}}),
        ("PUT", {"data": b"x" * 70_000}), ("PUT", {"data": pieces()}), ("DELETE", {}), ("PATCH", {"data": "ä"}),
        ("GET", {"auth": aiohttp.BasicAuth("u", "p"), "cookies": {"d": "2"}}), ("POST", {}),
        ("PUT", {"data": b"zip" * 99, "compress": "deflate"}),
    ):
        async with session.request(method, url + "/echo", **options) as answer:
            rows.append(echoed(await answer.json()))
return rows
""",
    "aiohttp: redirects": """
rows = []
async with aiohttp.ClientSession() as session:
    for status in (301, 302, 303, 307, 308):
        for method in ("GET", "POST"):
            async with session.request(method, f"{url}/redirect?status={status}&to=/echo", data=b"body") as answer:
                seen = await answer.json()
                rows.append({"hops": [hop.status for hop in answer.history], "url": str(answer.url), **echoed(seen)})
return rows
""",
    "aiohttp: streams": """
rows = []
async with aiohttp.ClientSession() as session:
    async with session.get(url + "/chunks?count=5&size=4&pause=0.05") as answer:
        rows.append({"chunks": [piece.decode() async for piece in answer.content.iter_chunked(3)]})
    async with session.get(url + "/chunks?count=5&size=4&pause=0.05") as answer:
        rows.append({"chunks": [[piece.decode(), end] async for piece, end in answer.content.iter_chunks() if piece]})
    async with session.get(url + "/bytes?size=10") as answer:
        rows.append({"read": (await answer.content.read(4)).decode(), "rest": (await answer.content.read()).decode(),
                     "at_eof": answer.content.at_eof()})
return rows
""",
    "aiohttp: timeouts": """
rows = []
async with aiohttp.ClientSession() as session:
    for path in ("/slow?seconds=5", "/stall?size=5"):
        for options in ({"total": 0.3}, {"sock_read": 0.3}):
            try:
                async with session.get(url + path, timeout=aiohttp.ClientTimeout(**options)) as answer:
                    await answer.read()
            except Exception as error:
                rows.append({"error": kinds(error)})
return rows
""",
    "openai: everything": """
question = {"model": "gpt-4", "messages": [{"role": "user", "content": "ein Wort für alle"}]}
rows = [openai.ChatCompletion.create(**question), await openai.ChatCompletion.acreate(**question)]
parts = list(openai.ChatCompletion.create(**question, stream=True))
parts += [part async for part in await openai.ChatCompletion.acreate(**question, stream=True)]
for part in parts:
    part.pop("sent", None)
rows += parts
rows.append(openai.Embedding.create(model="e", input=["a"], encoding_format="float"))
for call in (openai.ChatCompletion.create, openai.ChatCompletion.acreate):
    try:
        await call(model="gpt-4")
    except (openai.error.OpenAIError, TypeError) as error:
        rows.append({"error": kinds(error), "text": str(error)})
return rows
""",
}


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def full(statement: str, api: ApiServer) -> str:
    raw = {name: f"/raw?hex={data.hex()}" for name, data in RAW.items()}
    return PRELUDE.format(url=api.url(""), key=KEY, raw=raw) + statement


@pytest.fixture(scope="module")
def native_results(api: ApiServer) -> dict[str, dict[str, Any]]:
    """What native CPython returned for every program, from one process."""
    statements = [full(statement, api) for statement in PROGRAMS.values()]
    done = reference.run("-I", HERE / "native_runner.py", standard_input=json.dumps(statements), seconds=120)
    assert done.returncode == 0, done.stderr
    return dict(zip(PROGRAMS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_rows(
    name: str, executor: wasmexec.Executor, native_results: dict[str, dict[str, Any]], api: ApiServer
) -> None:
    native = native_results[name]
    assert "rows" in native, f"the program fails natively: {native}"
    grants = wasmexec.Grants(http=[private_grant(api.authority)])
    result = executor.run(full(PROGRAMS[name], api), grants=grants)
    assert result.error is None, result.error
    assert difference(native["rows"], result.rows, 0.0) is None
