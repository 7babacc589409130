"""Secrets are in no recording, and a replay with them comes out the same."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from tests.guest.replays import HEAD, as_bytes, report
from tests.http_caller import private_grant
from tests.servers import ScriptedServer, WebServer

from wasmexec import Executor, Grants, MemoryRecorder, Secret, Status


def test_secrets_are_not_in_a_recording(executor: Executor, server: WebServer) -> None:
    secret = "S3cr3t/pass word+x"
    statement = """
key = LocalVariable.Key
auth = httpx.BasicAuth("user", key)
out = []
for response in (httpx.post(server + "/echo", params={"key": key}, headers={"X-Key": "a " + key},
                            auth=auth, json={"key": key}),
                 httpx.get(server + "/gone", headers={"Authorization": "Bearer abc"})):
    out.append({"status": response.status_code, "length": len(response.content)})
print(key)
return out
"""
    recorder = MemoryRecorder()
    options: dict[str, Any] = {"local_variables": {"Server": server.url("")}, "secrets": {"Key": secret}}
    result = executor.run(
        HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(server.authority)]), **options
    )
    result.raise_for_status()
    recording = recorder.recording()
    server.close()
    (exchange, _) = recording.exchanges
    assert exchange.url.endswith("/echo?key=***")
    assert exchange.request_body == b'{"key": "***"}'
    assert b"***" in exchange.response_body
    headers = {name.lower(): value for name, value in exchange.request_headers}
    assert headers["x-key"] == "a ***"
    assert "***" in headers["authorization"]
    everything = repr([recorder.parts, recorder.exchanges])
    forms = [secret, base64.b64encode(secret.encode()).decode()[:12], "S3cr3t"]
    assert [form for form in forms if form in everything] == []
    assert "S3cr3t" in HEAD + secret  # the search works
    again = executor.run(recording.statement, replay=recording, **options)
    assert again.status == Status.FINISHED
    assert report(again).requests == ()
    assert again.rows[1] == result.rows[1]


def test_a_secret_bound_to_a_host_is_a_placeholder_in_the_recording(executor: Executor) -> None:
    value = "bound-s3cr3t-of-some-length-9f8e7d6c"
    statement = """
response = httpx.get(server, headers={"Authorization": f"Bearer {LocalVariable.Key}"})
return [{"key": LocalVariable.Key, "text": response.text}]
"""
    body = b"you are " + value.encode()
    recorder = MemoryRecorder()
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as scripted:
        options: dict[str, Any] = {
            "local_variables": {"Server": scripted.url()},
            "secrets": {"Key": Secret(value, hosts=[f"http://{scripted.authority}"])},
        }
        result = executor.run(
            HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(scripted.authority)]), **options
        )
    result.raise_for_status()
    assert f"Bearer {value}".encode() in scripted.received[0]
    recording = recorder.recording()
    token = result.rows[0]["key"]
    assert token.startswith("placeholder-")
    assert ("Authorization", f"Bearer {token}") in recording.exchanges[0].request_headers
    assert value not in repr([recorder.parts, recorder.exchanges])
    assert recording.exchanges[0].response_body == b"you are " + token.encode()
    again = executor.run(recording.statement, replay=recording, **options)
    assert as_bytes(again) == as_bytes(result)
    assert report(again).is_identical
    other = executor.run("return [{'key': LocalVariable.Key}]", secrets=options["secrets"])
    assert other.rows[0]["key"] != token


def test_a_secret_in_a_compressed_answer_is_not_recorded(executor: Executor) -> None:
    body = gzip.compress(b'{"token": "s3cr3t-token", "x": 1}')
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    odd = b"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 12\r\n\r\nf3pe3g-gbxra"
    statement = 'return [{"x": httpx.get(server).json()["x"], "y": len(httpx.get(server).content)}]'
    recorder = MemoryRecorder()
    with ScriptedServer(answer, odd) as scripted:
        options: dict[str, Any] = {
            "local_variables": {"Server": scripted.url()},
            "secrets": {"Key": "s3cr3t-token"},
        }
        result = executor.run(
            HEAD + statement, recorder=recorder, grants=Grants(http=[private_grant(scripted.authority)]), **options
        )
    assert result.rows == [{"x": 1, "y": 12}]
    reason = "the body of response 1 may hold a secret: it is compressed as 'rot13'"
    assert result.warnings == [f"the recording is incomplete: {reason}"]
    recording = recorder.recording()
    assert recording.incomplete == reason
    assert recording.exchanges[0].response_body == b'{"token": "***", "x": 1}'
    assert recording.exchanges[0].response_headers == (("Content-Length", "24"),)
    assert recording.exchanges[1].response_body == b""
    again = executor.run(recording.statement, replay=recording, **options)
    assert again.rows == [{"x": 1, "y": 0}]
    assert report(again).incomplete == reason


def test_a_private_key_is_in_no_part_of_a_recording(executor: Executor, server: WebServer) -> None:
    """Line by line, as JSON in JSON, compressed, in a header's name, in input, checkpoint, variables, rows."""
    lines = [f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{number:02}KcwggSjAgEAAoIBAQC7VJTUt9Us8cKj" for number in range(20)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"]) + "\n"
    number = "739150286417"
    statement = """
import base64, json
key = LocalVariable.Key
account = json.dumps({"account": json.dumps({"private_key": key})})
zlib = modules["sys"].modules["zlib"]
httpx.post(server + "/echo", content=account, headers={"X-" + key.split("\\n")[3]: "v"})
httpx.post(server + "/echo", content=key.replace("\\n", "\\r\\n"), params={"k": key})
httpx.post(server + "/echo", content=base64.encodebytes(key.encode()))
httpx.post(server + "/echo", content=zlib.compress(account.encode()), headers={"Content-Encoding": "deflate"})
log.info(account)
return [{"lines": key.splitlines(), "number": int(LocalVariable.Number), "account": account, key: list(key.encode())}]
"""
    options: dict[str, Any] = {
        "input_data": [{"k": json.dumps(key), "n": int(number), "x": 1}],
        "extra_inputs": [key.splitlines()],
        "checkpoint": {"k": key},
        "local_variables": {"Server": server.url(""), "Copy": json.dumps({"k": key})},
        "secrets": {"Key": key, "Number": number},
    }
    recorder = MemoryRecorder()
    grants = Grants(http=[private_grant(server.authority)])
    result = executor.run(HEAD + statement, recorder=recorder, grants=grants, **options)
    result.raise_for_status()
    assert result.warnings == []
    everything = repr([recorder.parts, recorder.exchanges])
    words = [line[start : start + 20] for line in lines for start in range(len(line) - 20)]
    assert [word for word in {*words, number, lines[3].lower()} if word in everything] == []
    assert base64.b64encode(key.encode()).decode()[60:80] not in everything.replace("\\n", "")
    assert lines[3] in repr(result.rows)
    for part in recorder.parts:
        if part.kind in ("input", "rows", "checkpoint", "local_variables"):
            json.loads(part.payload)
    again = executor.run(HEAD + statement, replay=recorder.recording(), **options)
    assert report(again).is_identical
    assert len(server.requests) == 4
