"""The standard library's HTTP in the guest: urllib.request, and pandas, which reads URLs with it."""

from __future__ import annotations

import hashlib
from typing import Any

from tests import http_statements
from tests.http_statements import raised
from tests.servers import WebServer, unused_port

from wasmexec import Executor, Result

PRELUDE = """import warnings
load = warnings.sys.modules["importlib"].import_module
urllib = load("urllib.request")
load("http.client")
url = LocalVariable.Server
"""


def run(executor: Executor, statement: str, authority: str, **limits: Any) -> Result:
    return http_statements.run(executor, statement, authority, prelude=PRELUDE, **limits)


def rows(executor: Executor, statement: str, server: WebServer, **limits: Any) -> list[dict[str, Any]]:
    return http_statements.rows(executor, statement, server, prelude=PRELUDE, **limits)


def test_urlopen_reads_answers_and_follows_redirects(executor: Executor, server: WebServer) -> None:
    statement = """
import json
with urllib.urlopen(url + "/redirect?to=/hello") as answer:
    first = {"status": answer.status, "url": answer.url, "text": answer.read().decode()}
request = urllib.Request(url + "/echo", data=b"body", headers={"X-Key": "k"}, method="PUT")
second = json.load(urllib.urlopen(request))
with urllib.urlopen(url + "/chunks?count=3&size=2") as answer:
    third = answer.read().decode()
return [first, second, {"text": third}]
"""
    first, second, third = rows(executor, statement, server)
    assert first == {"status": 200, "url": server.url("/hello"), "text": "hello"}
    assert (second["method"], second["body"], second["headers"]["x-key"]) == ("PUT", "body", "k")
    assert third == {"text": "001122"}


def test_a_connection_is_used_again(executor: Executor, server: WebServer) -> None:
    statement = """
connection = load("http.client").HTTPConnection(url.removeprefix("http://"), timeout=5)
texts = []
for path in ("/hello", "/bytes?size=3", "/hello"):
    connection.request("GET", path)
    texts.append(connection.getresponse().read().decode())
connection.request("PUT", "/upload", body=iter([b"ab", b"c" * 100_000]), encode_chunked=True)
connection.request
digest = connection.getresponse().read().decode()
connection.close()
return [{"texts": texts, "upload": digest}]
"""
    (row,) = rows(executor, statement, server)
    assert row["texts"] == ["hello", "xxx", "hello"]
    assert hashlib.sha256(b"ab" + b"c" * 100_000).hexdigest() in row["upload"]


def test_errors_are_the_librarys(executor: Executor, server: WebServer) -> None:
    statement = """
found = []
for address, seconds in ((url + "/status?code=404", 5), (url + "/slow?seconds=9", 0.3), ("http://no.example/", 5)):
    try:
        urllib.urlopen(address, timeout=seconds)
    except OSError as error:
        found.append({"type": type(error).__name__, "text": str(error)})
return found
"""
    missing, slow, refused = rows(executor, statement, server)
    assert missing == {"type": "HTTPError", "text": "HTTP Error 404: Not Found"}
    assert slow["type"] == "TimeoutError"
    assert refused == {
        "type": "URLError",
        "text": "<urlopen error [Errno 13] HTTP to no.example is not granted: "
        'allow it with --allow-http no.example or Grants(http=["no.example"])>',
    }


def test_a_refused_connection(executor: Executor) -> None:
    port = unused_port()
    name, message = raised(run(executor, "urllib.urlopen(url)\nreturn []", f"127.0.0.1:{port}"))
    assert name == "urllib.error.URLError"
    assert message == f"<urlopen error [Errno 111] connection to 127.0.0.1:{port} failed: Connection refused>"


def test_pandas_reads_a_url(executor: Executor, server: WebServer) -> None:
    statement = """
import pandas
return pandas.read_json(url + "/gzip", typ="series").str.len().to_frame("size").to_dict("records")
"""
    assert rows(executor, statement, server) == [{"size": 1000}]
