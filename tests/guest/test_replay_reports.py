"""What the report of a replay says of an edited statement: requests and rows that are other ones."""

from __future__ import annotations

import orjson
from tests.guest.replays import record, replay, report
from tests.servers import WebServer

from wasmexec import Executor, StatementRaised, Status

EDITED = """
body = {"name": "x"}
one = httpx.get(server + "/echo?page=1").json()
two = httpx.post(server + "/echo", json=body).json()
three = httpx.get(server + "/hello").text
return [{"row": 1, "path": one["path"]}, {"row": 2, "path": two["body"]}, {"row": 3, "path": three}]
"""


def test_an_unrecorded_request_fails_and_is_named(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    url = f"http://{server.authority}"
    changed = replay(executor, recording, EDITED.replace("/hello", "/bytes?size=1"))
    assert isinstance(changed.error, StatementRaised)
    assert changed.error.type_name == "httpx.ConnectError"
    assert changed.error.exception_message == (
        f"HTTP GET {url}/bytes?size=1 is not in the recording: a replay has no network"
    )
    added, missing = report(changed).requests
    assert (added.kind, added.url, added.replayed) == ("added", f"{url}/bytes?size=1", 2)
    assert (missing.kind, missing.url, missing.recorded) == ("missing", f"{url}/hello", 2)
    assert not report(changed).is_identical
    assert report(changed).is_statement_changed
    again = replay(executor, recording, EDITED + "httpx.get(server + '/hello')")
    assert report(again).is_identical
    twice = replay(executor, recording, EDITED.replace("return", "httpx.get(server + '/hello')\nreturn"))
    assert twice.error is not None
    assert f"HTTP GET {url}/hello is not in the recording: it was made once only" in twice.error.message


def test_a_changed_body_fails_and_both_are_shown(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(executor, recording, EDITED.replace('"name": "x"', '"name": "y"'))
    assert again.error is not None
    assert "/echo is not in the recording: it was made with another body" in again.error.message
    changed, missing = report(again).requests
    assert (changed.kind, changed.parts, changed.method) == ("changed", ("body",), "POST")
    assert (changed.recorded_body, changed.body) == (b'{"name": "x"}', b'{"name": "y"}')
    assert (missing.kind, missing.recorded) == ("missing", 2)


def test_a_changed_query_and_header(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(executor, recording, EDITED.replace("page=1", "page=2"))
    assert again.status == Status.STATEMENT_RAISED
    changed = report(again).requests[0]
    assert (changed.kind, changed.parts) == ("changed", ("url",))
    assert (changed.recorded_url[-6:], changed.url[-6:]) == ("page=1", "page=2")
    again = replay(executor, recording, EDITED.replace('"/hello"', '"/hello", headers={"X-New": "1"}'))
    assert again.status == Status.FINISHED
    (changed,) = report(again).requests
    assert (changed.kind, changed.parts) == ("changed", ("headers",))
    assert ("x-new", "1") in [(name.lower(), value) for name, value in changed.headers]
    assert report(again).are_rows_identical


def test_requests_in_another_order_are_still_found(executor: Executor, server: WebServer) -> None:
    result, recording = record(executor, EDITED, server.authority)
    server.close()
    lines = EDITED.strip().split("\n")
    again = replay(executor, recording, "\n".join([lines[0], lines[3], lines[2], lines[1], lines[4]]))
    assert again.rows == result.rows
    assert report(again).requests == ()
    assert report(again).are_rows_identical


def test_changed_rows_are_listed(executor: Executor, server: WebServer) -> None:
    _, recording = record(executor, EDITED, server.authority)
    server.close()
    again = replay(
        executor, recording, EDITED.replace('{"row": 2,', '{"row": 22,').replace('[{"row": 1', '[{"row": 0}, {"row": 1')
    )
    found = report(again)
    assert (found.are_rows_identical, found.requests, found.row_difference_count) == (False, (), 2)
    assert [(item.kind, item.replayed, item.recorded) for item in found.rows] == [("added", 0, None), ("changed", 2, 1)]
    assert (found.rows[1].row["row"], found.rows[1].recorded_row["row"]) == (22, 2)
    assert orjson.loads(orjson.dumps(again.as_dict()))["replay"]["is_identical"] is False
