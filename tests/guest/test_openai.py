"""openai 0.28 in the guest, with its real requests and aiohttp, against a server on loopback that speaks the API."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api_server import EMBEDDING, KEY, ApiServer
from tests.http_caller import private_grant
from tests.http_statements import raised

from wasmexec import Executor, Grants, Limits, Result, Secret, StatementRaised, Status

PRELUDE = """import openai
openai.api_key, openai.api_base = LocalVariable.KEY, LocalVariable.Base
asyncio = openai.api_requestor.asyncio
question = {"model": "gpt-4", "messages": [{"role": "user", "content": "say these five words now"}]}
"""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def run(executor: Executor, statement: str, api: ApiServer, key: str | Secret = KEY, **limits: Any) -> Result:
    return executor.run(
        PRELUDE + statement,
        local_variables={"Base": api.base},
        secrets={"KEY": key},
        grants=Grants(http=[private_grant(api.authority)]),
        limits=Limits(**{"wall_seconds": 30, **limits}),
    )


def rows(executor: Executor, statement: str, api: ApiServer, **options: Any) -> list[dict[str, Any]]:
    result = run(executor, statement, api, **options)
    result.raise_for_status()
    return result.rows


@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_a_chat_completion(executor: Executor, api: ApiServer, call: str) -> None:
    statement = f"""
answer = {call}**question)
return [{{"text": answer.choices[0].message.content, "tokens": answer["usage"]["total_tokens"],
         "type": repr(type(answer)), "milliseconds": answer.response_ms}}]
"""
    assert rows(executor, statement, api) == [
        {
            "text": "SAY THESE FIVE WORDS NOW",
            "tokens": 10,
            "type": "<class 'openai.openai_object.OpenAIObject'>",
            "milliseconds": None,
        }
    ]
    (seen,) = api.headers_seen
    assert seen["authorization"] == f"Bearer {KEY}"
    assert seen["user-agent"] == "OpenAI/v1 PythonBindings/0.28.0"
    assert seen["content-type"] == "application/json"
    assert seen["host"] == api.authority


STREAMS = {
    "create": "for part in openai.ChatCompletion.create(**question, stream=True):",
    "acreate": "async for part in await openai.ChatCompletion.acreate(**question, stream=True):",
}


@pytest.mark.timing
@pytest.mark.parametrize("name", STREAMS)
def test_tokens_arrive_as_they_are_sent(executor: Executor, api: ApiServer, name: str) -> None:
    api.pause_seconds = 0.1
    statement = f"""
import time
seen = []
{STREAMS[name]}
    if "sent" in part:
        delay = time.time() - part.sent
        seen.append({{"token": part.choices[0].delta.content, "delay": delay, "at": time.monotonic()}})
return seen
"""
    seen = rows(executor, statement, api)
    assert [row["token"] for row in seen] == ["", "SAY ", "THESE ", "FIVE ", "WORDS ", "NOW"]
    # Each is there well before the next is sent: the server pauses 100 ms between them.
    assert sorted(row["delay"] for row in seen)[3] < 0.05
    gaps = [after["at"] - before["at"] for before, after in itertools.pairwise(seen)]
    assert sum(gaps) == pytest.approx(0.5, abs=0.25)
    assert sum(gap > 0.05 for gap in gaps) >= 4


@pytest.mark.timing
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_not_read_to_its_end_ends_on_the_server(executor: Executor, api: ApiServer, name: str) -> None:
    api.pause_seconds = 0.3
    statement = f"""
stream = {STREAMS[name].partition(" in ")[2].removesuffix(":")}
{STREAMS[name].partition(" in ")[0]} in stream:
    break
{"await stream.aclose()" if name == "acreate" else "stream.close()"}
return [{{"first": part.choices[0].delta.role}}]
"""
    started = time.monotonic()
    assert rows(executor, statement, api) == [{"first": "assistant"}]
    assert time.monotonic() - started < 1


@pytest.mark.timing
def test_streams_of_several_questions_overlap(executor: Executor, api: ApiServer) -> None:
    api.pause_seconds = 0.1
    statement = """
import time
async def ask(text):
    words = []
    messages = [{"role": "user", "content": text}]
    async for part in await openai.ChatCompletion.acreate(model="gpt-4", messages=messages, stream=True):
        words.append(part.choices[0].delta.get("content", ""))
    return "".join(words)
started = time.monotonic()
texts = await asyncio.gather(*(ask(f"question number {number} of ten") for number in range(10)))
return [{"texts": texts, "seconds": time.monotonic() - started}]
"""
    (row,) = rows(executor, statement, api)
    assert row["texts"] == [f"QUESTION NUMBER {number} OF TEN" for number in range(10)]
    assert row["seconds"] < 3  # 5 seconds one after the other
    assert api.most_in_flight == 10


@pytest.mark.parametrize("call", ["openai.Embedding.create(", "await openai.Embedding.acreate("])
def test_embeddings(executor: Executor, api: ApiServer, call: str) -> None:
    # Without a format the library asks for Base64 and unpacks it with numpy.
    statement = f"""
rows = []
for options in ({{}}, {{"encoding_format": "float"}}):
    answer = {call}model="text-embedding-ada-002", input=["one", "two"], **options)
    rows += [{{"index": item.index, "values": item.embedding}} for item in answer.data]
return rows
"""
    expected = [{"index": number, "values": EMBEDDING} for number in (0, 1)]
    assert rows(executor, statement, api) == expected * 2


def test_a_custom_session_is_used_for_all_requests(executor: Executor, api: ApiServer) -> None:
    statement = """
aiohttp, requests = openai.api_requestor.aiohttp, openai.api_requestor.requests
openai.requestssession = requests.Session()
openai.requestssession.headers["X-Mine"] = "sync"
first = openai.Model.list().data[0].id
async with aiohttp.ClientSession(headers={"X-Mine": "async"}) as session:
    openai.aiosession.set(session)
    second = (await openai.Model.alist()).data[0].id
return [{"models": [first, second]}]
"""
    assert rows(executor, statement, api) == [{"models": ["gpt-4", "gpt-4"]}]
    assert [seen["x-mine"] for seen in api.headers_seen] == ["sync", "async"]


def test_a_file_is_uploaded(executor: Executor, api: ApiServer) -> None:
    statement = """
import io
sizes = []
for size in (1000, 300_000):
    file = io.BytesIO(b"x" * size)
    sizes.append(openai.File.create(file=file, purpose="fine-tune", user_provided_filename="f.jsonl"))
    file = io.BytesIO(b"x" * size)
    sizes.append(await openai.File.acreate(file=file, purpose="fine-tune", user_provided_filename="f.jsonl"))
return [{"kind": answer.filename, "bytes": answer.bytes} for answer in sizes]
"""
    sizes = rows(executor, statement, api)
    assert {row["kind"] for row in sizes} == {"multipart/form-data"}
    assert [row["bytes"] // 1000 for row in sizes] == [1, 1, 300, 300]


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (429, "openai.error.RateLimitError", "Failure 429"),
        (503, "openai.error.ServiceUnavailableError", "The server is overloaded or not ready yet."),
        (500, "openai.error.APIError", "Failure 500 "),
    ],
)
def test_errors_of_the_service_are_the_librarys(
    executor: Executor, api: ApiServer, status: int, error: str, message: str
) -> None:
    for call in ("openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("):
        api.failures.append(status)
        name, text = raised(run(executor, f"{call}**question)\nreturn []", api))
        assert (name, text.startswith(message)) == (error, True)
    assert rows(executor, "return [{'ok': len(openai.Model.list().data)}]", api) == [{"ok": 1}]


@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_a_wrong_request_is_an_invalid_request(executor: Executor, api: ApiServer, call: str) -> None:
    statement = f"""
try:
    {call}model="gpt-4")
except openai.error.InvalidRequestError as error:
    return [{{"message": error.user_message, "param": error.param, "status": error.http_status,
             "type": error.headers["Content-Type"]}}]
"""
    assert rows(executor, statement, api) == [
        {
            "message": "'messages' is a required property",
            "param": "messages",
            "status": 400,
            "type": "application/json",
        }
    ]


@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_a_wrong_key_is_an_authentication_error_that_masks_the_key(
    executor: Executor, api: ApiServer, call: str
) -> None:
    result = run(executor, f"{call}**question)\nreturn []", api, key="sk-wrong-9876543210")
    assert raised(result) == ("openai.error.AuthenticationError", "Incorrect API key provided: ***.")
    assert rows(executor, f"{call}**question)\nreturn []", api) == []


@pytest.mark.parametrize("name", STREAMS)
def test_an_error_in_the_middle_of_a_stream_is_raised_there(executor: Executor, api: ApiServer, name: str) -> None:
    api.break_after = 3
    statement = f"""
tokens = []
try:
    {STREAMS[name]}
        tokens.append(part.choices[0].delta.content)
except openai.error.APIError as error:
    return [{{"tokens": tokens, "error": str(error)}}]
"""
    assert rows(executor, statement, api) == [
        {"tokens": ["", "SAY ", "THESE "], "error": "The server had an error (Error occurred while streaming.)"}
    ]


@pytest.mark.timing
@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_a_timeout_is_the_librarys(executor: Executor, api: ApiServer, call: str) -> None:
    api.failures.extend([503] * 9)
    statement = f"""
openai.api_base = LocalVariable.Base.replace("/v1", "/slow?seconds=9&path=")
{call}**question, request_timeout=0.3)
return []
"""
    started = time.monotonic()
    name, message = raised(run(executor, statement, api))
    assert name == "openai.error.Timeout"
    assert message.startswith("Request timed out")
    assert time.monotonic() - started < 5


def test_a_statement_retries_what_may_be_retried(executor: Executor, api: ApiServer) -> None:
    api.failures.extend([429, 503, 500])
    statement = """
import time
attempts = []
for attempt in range(5):
    try:
        answer = openai.ChatCompletion.create(**question)
        break
    except (openai.error.RateLimitError, openai.error.ServiceUnavailableError, openai.error.APIError) as error:
        attempts.append(error.http_status)
        time.sleep(0.01 * 2**attempt)
return [{"attempts": attempts, "text": answer.choices[0].message.content}]
"""
    assert rows(executor, statement, api) == [{"attempts": [429, 503, 500], "text": "SAY THESE FIVE WORDS NOW"}]


def test_a_refused_connection_is_retried_by_requests(executor: Executor, api: ApiServer) -> None:
    statement = """
for call in ("https", "http"):
    openai.api_base = f"{call}://127.0.0.1:1/v1"
    try:
        openai.ChatCompletion.create(**question)
    except openai.error.APIConnectionError as error:
        log.info(str(error))
return []
"""
    result = executor.run(
        PRELUDE + statement,
        local_variables={"Base": "", "KEY": KEY},
        grants=Grants(http=[private_grant("127.0.0.1:1")]),
    )
    result.raise_for_status()
    # The library mounts its adapter, with two retries, for HTTPS only.
    assert result.usage.http_requests == 4
    assert all("connection to 127.0.0.1:1 failed: Connection refused" in record.message for record in result.logs)


@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_without_a_grant_the_error_names_the_host_to_grant(executor: Executor, call: str) -> None:
    how = 'is not granted: allow it with --allow-http api.openai.com or Grants(http=["api.openai.com"])'
    statement = f"""import openai
openai.api_key = "sk-1"
{call}model="gpt-4", messages=[])
return []
"""
    result = executor.run(statement)
    name, message = raised(result)
    assert name == "openai.error.APIConnectionError"
    assert message.startswith("Error communicating with OpenAI: ")
    assert f"HTTP to api.openai.com {how}" in message
    assert isinstance(result.error, StatementRaised)
    assert result.error.line == 3
    assert "wasmexec_guest" not in result.error.traceback
    assert result.usage.http_requests == 0


@pytest.mark.parametrize("call", ["openai.Model.list()", "await openai.Model.alist()"])
def test_a_proxy_is_refused(executor: Executor, api: ApiServer, call: str) -> None:
    statement = f'openai.proxy = "http://127.0.0.1:1"\n{call}\nreturn []'
    name, message = raised(run(executor, statement, api))
    assert name == "NotImplementedError"
    assert message.endswith(": a proxy is not available here, the host makes the connections itself")


def test_nothing_of_the_warm_up_is_left(executor: Executor) -> None:
    statement = """
import openai
context = openai.api_requestor._thread_context
return [{"key": openai.api_key, "base": openai.api_base, "session": hasattr(context, "session")}]
"""
    assert executor.run(statement).rows == [{"key": None, "base": "https://api.openai.com/v1", "session": False}]


@pytest.mark.parametrize("call", ["openai.ChatCompletion.create(", "await openai.ChatCompletion.acreate("])
def test_a_key_bound_to_the_service_is_never_in_the_statement(executor: Executor, api: ApiServer, call: str) -> None:
    statement = f"""
answer = {call}**question)
return [{{"text": answer.choices[0].message.content, "key": openai.api_key}}]
"""
    (row,) = rows(executor, statement, api, key=Secret(KEY, hosts=[f"http://{api.authority}"]))
    assert row["text"] == "SAY THESE FIVE WORDS NOW"
    assert row["key"].startswith("placeholder-")
    assert api.authorizations == [f"Bearer {KEY}"]


@pytest.mark.timing
@pytest.mark.parametrize("name", STREAMS)
def test_a_bound_key_does_not_hold_up_a_stream(executor: Executor, api: ApiServer, name: str) -> None:
    api.pause_seconds = 0.1
    statement = f"""
import time
delays = []
{STREAMS[name]}
    if "sent" in part:
        delays.append(time.time() - part.sent)
return [{{"delays": delays}}]
"""
    (row,) = rows(executor, statement, api, key=Secret(KEY, hosts=[f"http://{api.authority}"]))
    assert len(row["delays"]) == 6
    assert sorted(row["delays"])[3] < 0.05


def test_a_bound_key_that_the_service_repeats_is_a_placeholder(executor: Executor, api: ApiServer) -> None:
    wrong = KEY.replace("4", "5")
    result = run(
        executor,
        """
try:
    openai.Model.list()
except openai.error.AuthenticationError as error:
    return [{"same": str(error) == f"Incorrect API key provided: {openai.api_key}.", "text": str(error)}]
""",
        api,
        key=Secret(wrong, hosts=[f"http://{api.authority}"]),
    )
    result.raise_for_status()
    assert result.rows[0]["same"]
    assert wrong not in repr(result)
    assert api.authorizations == [f"Bearer {wrong}"]


def test_the_status_of_a_statement_that_caught_everything_is_finished(executor: Executor, api: ApiServer) -> None:
    statement = """
try:
    openai.ChatCompletion.create(model="gpt-4")
except openai.OpenAIError:
    pass
return []
"""
    result = run(executor, statement, api)
    assert (result.status, result.warnings, result.logs) == (Status.FINISHED_NO_DATA, [], [])
