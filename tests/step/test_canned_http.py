"""Canned answers: given instead of the network, under the step's grants, each compared with what was asked."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.servers import unused_port
from tests.step.helpers import make_step

import wasmexec
from wasmexec.canned import CannedAnswer, CannedHttp

GET = """
import httpx
answer = httpx.get("{url}", headers={{"X-A": "1"}})
return [{{"id": answer.status_code}}]
"""


def run(
    tmp_path: Path, executor: wasmexec.Executor, statement: str, *answers: CannedAnswer
) -> tuple[object, CannedHttp]:
    step = make_step(tmp_path, statement, processing="bulk", grants="{http: [api.example.com, 127.0.0.1]}")
    recorded = CannedHttp(answers)
    result = step.run(executor=executor, canned_http=recorded)
    return result.rows or str(result.error), recorded


def test_an_answer_fits_by_method_url_headers_and_body(tmp_path: Path, executor: wasmexec.Executor) -> None:
    url = "https://api.example.com/x?b=2&a=1"
    answer = CannedAnswer(
        method="GET", url="https://API.example.com:443/x?a=1&b=2", request_headers={"x-a": "1"}, status=204
    )
    rows, recorded = run(tmp_path, executor, GET.format(url=url), answer)
    assert rows == [{"id": 204}]
    assert (recorded.unanswered, recorded.unused) == ([], [])
    for other in (
        CannedAnswer(method="POST", url=url),
        CannedAnswer(method="GET", url="https://api.example.com/x?a=1"),
        CannedAnswer(method="GET", url=url, request_headers={"X-A": "2"}),
        CannedAnswer(method="GET", url="http://api.example.com/x?a=1&b=2"),
    ):
        error, recorded = run(tmp_path, executor, GET.format(url=url), other)
        assert f"no canned answer for GET {url.replace('.com/', '.com:443/')}" in str(error)
        assert recorded.unused == [other]
        assert len(recorded.unanswered) == 1


def test_bodies_are_compared_as_json_and_answers_are_used_in_turn(tmp_path: Path, executor: wasmexec.Executor) -> None:
    statement = """
import httpx
async with httpx.AsyncClient() as client:
    codes = [(await client.post("https://api.example.com/", json={"a": 1, "b": [2]})).json()["n"] for _ in range(3)]
return [{"id": int("".join(map(str, codes)))}]
"""
    answers = [
        CannedAnswer(
            method="POST",
            url="https://api.example.com",
            request_body=b'{ "b": [2], "a": 1 }',
            body=b'{"n": %d}' % number,
        )
        for number in (1, 2)
    ]
    assert run(tmp_path, executor, statement, *answers)[0] == [{"id": 122}]


def test_grants_are_checked_all_the_same_and_nothing_is_connected(tmp_path: Path, executor: wasmexec.Executor) -> None:
    other = "https://other.example.com/"
    error, recorded = run(tmp_path, executor, GET.format(url=other), CannedAnswer(method="GET", url=other))
    assert "other.example.com" in str(error)
    assert recorded.seen == []
    # Nothing listens there: an answer can only be the recorded one.
    local = f"http://127.0.0.1:{unused_port()}/"
    denied, _ = run(tmp_path, executor, GET.format(url=local), CannedAnswer(method="GET", url=local))
    assert "127.0.0.1" in str(denied)


def test_a_recorded_failure_is_the_exception_of_the_client(tmp_path: Path, executor: wasmexec.Executor) -> None:
    url = "https://api.example.com/"
    error, _ = run(tmp_path, executor, GET.format(url=url), CannedAnswer(method="GET", url=url, error="read_timeout"))
    assert str(error).startswith("httpx.ReadTimeout: ")


def test_a_secret_bound_to_hosts_is_a_placeholder_in_the_statement_and_the_value_on_the_wire(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    statement = """
    import httpx
    answer = httpx.get("https://api.example.com/", headers={"X-Key": LocalVariable.Key})
    log.info(LocalVariable.Key == "value-0815")
    return [{"id": answer.status_code}]
    """
    step = make_step(
        tmp_path, statement, processing="bulk", grants="{http: [api.example.com]}",
        secrets="{Key: {env: NOT_READ, hosts: [api.example.com]}}",
    )  # fmt: skip
    url = "https://api.example.com/"
    recorded = CannedHttp([CannedAnswer(method="GET", url=url, request_headers={"X-Key": "value-0815"})])
    result = step.run(executor=executor, canned_http=recorded, secrets={"Key": "value-0815"})
    assert (result.rows, result.error) == ([{"id": 200}], None)
    assert [item.record.message for item in result.logs] == ["False"]
    short = step.run(executor=executor, secrets={"Key": "abc"})
    assert (short.status, "must have 8 to 4,096 characters" in str(short.error)) == (400, True)


def test_a_secret_of_a_step_goes_into_a_form_if_the_file_says_so(tmp_path: Path, executor: wasmexec.Executor) -> None:
    statement = """
    import httpx
    answer = httpx.post("https://auth.example.com/token", data={"client_secret": LocalVariable.Key})
    return [{"id": answer.status_code}]
    """
    url = "https://auth.example.com/token"
    for also_in, body in (("also_in: [body]", b"client_secret=value%2F0815"), ("also_in: []", None)):
        step = make_step(
            tmp_path, statement, processing="bulk", grants="{http: [auth.example.com]}",
            secrets=f"{{Key: {{env: NOT_READ, hosts: [auth.example.com], {also_in}}}}}",
        )  # fmt: skip
        recorded = CannedHttp([CannedAnswer(method="POST", url=url, request_body=body)])
        result = step.run(executor=executor, canned_http=recorded, secrets={"Key": "value/0815"})
        assert (result.rows, result.error) == ([{"id": 200}], None)
        assert [("in the body, not its value" in text) for text in result.warnings] == [True] * (body is None)


def test_a_body_of_more_than_a_mebibyte_must_be_the_very_same() -> None:
    """The statement decides how long it is: it is not parsed on the host."""
    for size, fits in ((1024 * 1024, True), (1024 * 1024 + 1, False)):
        wanted = b'{"a":"%b"}' % (b"x" * (size - 9))
        other = wanted[:-1] + b" }"
        recorded = CannedHttp([CannedAnswer(method="POST", url="https://a.example/", request_body=wanted)])
        assert recorded.take("POST", "https://a.example/", {}, wanted).status == 200
        assert len(other) == size
        with nullcontext() if fits else pytest.raises(LookupError):
            recorded.take("POST", "https://a.example/", {}, other)
