"""Runs the HTTP clients of the image before the snapshot: their first request otherwise takes ten times as long.

Host calls are answered here, with what a server would send; the libraries, transports and frames are the real ones.
What the clients keep between requests is dropped afterwards: nothing of it may be in the image.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import _wasmexec

from . import hostcall
from .transports import slots

ROUNDS = 12

_HTTPX = """
import httpx
base = "http://warmup.invalid/v1"
for path in ("/json", "/chunks", "/missing"):
    httpx.get(base + path).text
    async with httpx.AsyncClient() as client:
        answer = await client.post(base + path, json={"a": 1}, headers={"X-Key": "k"})
        answer.headers["content-type"]
with httpx.stream("GET", base + "/chunks") as answer:
    lines = list(answer.iter_lines())
return [{"lines": lines}]
"""
_OPENAI = """
import openai
openai.api_key, openai.api_base = "sk-warmup", "http://warmup.invalid/v1"
question = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
for call in (openai.ChatCompletion.create, openai.Completion.create):
    call(**question).choices[0].message.content
    "".join(part.choices[0].delta.get("content", "") for part in call(**question, stream=True))
answer = await openai.ChatCompletion.acreate(**question)
str(answer)
async for part in await openai.ChatCompletion.acreate(**question, stream=True):
    part.choices[0].delta.get("content", "")
vectors = [openai.Embedding.create(model="m", input=["a"], encoding_format="float"),
           await openai.Embedding.acreate(model="m", input=["a"], encoding_format="float")]
try:
    openai.Model.retrieve("missing")
except openai.error.OpenAIError as error:
    log.warn(str(error))
try:
    await openai.Model.aretrieve("missing")
except openai.error.OpenAIError as error:
    return [{"error": str(error), "text": answer.choices[0].message.content}]
"""
_URLLIB = """
import warnings
request = warnings.sys.modules["importlib"].import_module("urllib.request")
for path in ("/json", "/chunks"):
    with request.urlopen("http://warmup.invalid/v1" + path) as answer:
        text = answer.read()
try:
    request.urlopen("https://warmup.invalid/v1/missing")
except OSError as error:
    return [{"error": str(error)}]
"""
_STATEMENTS = {"urllib": _URLLIB, "httpx": _HTTPX, "openai": _OPENAI}

_MESSAGE = {"role": "assistant", "content": "hello"}
_CHOICE = {"index": 0, "message": _MESSAGE, "delta": _MESSAGE, "finish_reason": "stop"}
_ANSWER = {"id": "1", "object": "chat.completion", "created": 0, "model": "gpt-4", "choices": [_CHOICE]}
_VECTORS = b'{"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}'
_EVENT = f"data: {json.dumps(_ANSWER)}\n\n".encode()


class _Server:
    """Answers host calls as a server behind them would."""

    def __init__(self) -> None:
        self._left: dict[int, list[bytes]] = {}

    def answer(self, call: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """Fields and body of the reply to one call."""
        stream = call["stream"]
        if call["op"] == "http.close":
            return {}, b""
        if call["op"] == "http.read":
            left = self._left[stream]
            data = left.pop(0)
            return {"eof": not left}, data
        return self._opened(stream, call["url"], body)

    def _opened(self, stream: int, url: str, body: bytes) -> tuple[dict[str, Any], bytes]:
        status, kind, first = 200, "application/json", json.dumps(_ANSWER).encode()
        if url.endswith("/missing"):
            status, first = 404, b'{"error": {"message": "no such thing", "type": "t", "param": null, "code": null}}'
        elif url.endswith("/embeddings"):
            first = (
                b'{"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}'
            )
        streamed = url.endswith("/chunks") or b'"stream": true' in body
        headers = [["Date", "Thu, 01 Jan 1970 00:00:00 GMT"], ["Connection", "keep-alive"]]
        if streamed:
            kind, first = "text/event-stream", _EVENT
            headers.append(["Transfer-Encoding", "chunked"])
            self._left[stream] = [_EVENT, _EVENT, b"data: [DONE]\n\n"]
        else:
            headers.append(["Content-Length", str(len(first))])
        head = {"status": status, "reason": "OK", "http_version": "HTTP/1.1", "eof": not streamed}
        return {**head, "headers": [["Content-Type", kind], *headers]}, first


@contextlib.contextmanager
def _answered_by(server: _Server) -> Iterator[None]:
    """Let synchronous host calls be answered by `server`."""
    real = _wasmexec.call

    def call(head: str | bytes, blob: bytes | bytearray | memoryview = b"") -> tuple[str, bytes]:
        text = head.decode() if isinstance(head, bytes) else head
        fields, body = server.answer(hostcall.from_frame(text), bytes(blob))
        if body:
            fields["blob"] = [0, len(body)]
        return hostcall.to_frame({"ok": fields}).decode(), body

    setattr(_wasmexec, "call", call)  # noqa: B010
    try:
        yield
    finally:
        setattr(_wasmexec, "call", real)  # noqa: B010


def run(make_runner: Any, modules: Collection[str]) -> None:
    """Run the statements for the libraries among `modules`, in executions of `make_runner(statements, answer)`.

    Raises: RuntimeError: a statement failed.
    """
    statements = [statement for name, statement in _STATEMENTS.items() if name in modules]
    server = _Server()
    with _answered_by(server):
        runner = make_runner(statements, server.answer)
        for _ in range(ROUNDS):
            for done in runner.run_once():
                if done["outcome"] != "rows":
                    raise RuntimeError(f"a statement of the warm-up failed: {done}")
    _forget()


def _forget() -> None:
    """Drop what the libraries keep: sessions with their connections and cookies, keys, the slots for requests."""
    slots.forget_slots()
    openai: Any = sys.modules.get("openai")
    if openai is not None:
        openai.api_key, openai.api_base = None, "https://api.openai.com/v1"
        context = openai.api_requestor._thread_context
        context.session.close()
        context.__dict__.clear()
