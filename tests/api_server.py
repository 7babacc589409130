"""A server on loopback that speaks the part of the OpenAI API that version 0.28 of its library uses."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from tests.servers import WebHandler, WebServer

KEY = "sk-1234567890abcdefABCDEF1234567890abcdefABCDEF1234"
"""The only key it accepts."""
EMBEDDING = [0.5, -0.25, 1.0]


class ApiHandler(WebHandler):
    """Chat completions, whole or as server-sent events, embeddings, models, and errors as the service words them."""

    server: Any

    @property
    def api(self) -> ApiServer:
        """The server object that tests hold."""
        web = self.server.web
        assert isinstance(web, ApiServer)
        return web

    def path_v1_chat_completions(self, query: dict[str, str]) -> None:
        asked = self.accepted()
        if asked is None:
            return
        if "messages" not in asked:
            self.error(400, "'messages' is a required property", "invalid_request_error", param="messages")
            return
        # Its answer is the last message, each word in capital letters one token.
        words = asked["messages"][-1]["content"].split()
        tokens = [word.upper() + (" " if number < len(words) else "") for number, word in enumerate(words, 1)]
        common = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": asked["model"]}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(tokens)}
            usage = {"prompt_tokens": len(words), "completion_tokens": len(words), "total_tokens": 2 * len(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.reply_json({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        self.stream({**common, "object": "chat.completion.chunk"}, tokens)

    def stream(self, common: dict[str, Any], tokens: list[str]) -> None:
        """One event for each token, `pause_seconds` apart, with the time it was sent in `sent`."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in self.events(common, tokens):
            data = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def events(self, common: dict[str, Any], tokens: list[str]) -> Iterator[str]:
        """The texts of the events."""
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": token} for token in tokens]
        for number, delta in enumerate(deltas):
            if number == self.api.break_after:
                error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
                yield json.dumps({"error": error})
                return
            if number:
                self.api.closing.wait(self.api.pause_seconds)
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            yield json.dumps({**common, "choices": [choice], "sent": time.time()})
        yield json.dumps({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield "[DONE]"

    def path_v1_embeddings(self, query: dict[str, str]) -> None:
        asked = self.accepted()
        if asked is None:
            return
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        values: Any = EMBEDDING
        if asked.get("encoding_format") == "base64":
            values = base64.b64encode(struct.pack(f"<{len(EMBEDDING)}f", *EMBEDDING)).decode()
        data = [{"object": "embedding", "index": number, "embedding": values} for number in range(len(texts))]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        self.reply_json({"object": "list", "data": data, "model": asked["model"], "usage": usage})

    def path_v1_models(self, query: dict[str, str]) -> None:
        if self.accepted() is not None:
            models = [{"id": "gpt-4", "object": "model", "owned_by": "openai"}]
            self.reply_json({"object": "list", "data": models})

    def path_v1_files(self, query: dict[str, str]) -> None:
        body = b"".join(self.body_pieces())
        kind = self.headers.get("Content-Type", "")
        self.reply_json({"id": "file-1", "object": "file", "bytes": len(body), "filename": kind.partition(";")[0]})

    def accepted(self) -> dict[str, Any] | None:
        """The request as JSON; None if it was answered with an error."""
        body = b"".join(self.body_pieces())
        self.api.authorizations.append(self.headers.get("Authorization", ""))
        if self.api.failures:
            status = self.api.failures.popleft()
            kind = {429: "requests", 503: "server_error"}.get(status, "server_error")
            self.error(status, f"Failure {status}", kind)
            return None
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self.error(401, f"Incorrect API key provided: {given}.", "invalid_request_error", code="invalid_api_key")
            return None
        asked: dict[str, Any] = json.loads(body) if body else {}
        return asked

    def error(self, status: int, message: str, kind: str, *, param: str | None = None, code: str | None = None) -> None:
        """An error as the service words it."""
        error = {"message": message, "type": kind, "param": param, "code": code}
        self.reply(status, json.dumps({"error": error}).encode(), {"Content-Type": "application/json"})


class ApiServer(WebServer):
    """The API below `base`; `failures` are statuses that the next requests get instead of an answer.

    `break_after` ends a stream with an error after so many events; `authorizations` are the headers that came.
    """

    handler = ApiHandler

    def __init__(self) -> None:
        self.failures: deque[int] = deque()
        self.pause_seconds = 0.0
        self.break_after = -1
        self.authorizations: list[str] = []
        super().__init__()

    @property
    def base(self) -> str:
        """What `openai.api_base` is set to."""
        return self.url("/v1")
