"""Whatever a guest says, `Executor` answers with a result: generated frames, calls and headers, in every mode.

The guest of these tests is hand-written and does what its input says (`scripted_guest.py`). An honest script is the
control, before the attacks and after each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import scripted_guest as does
from tests.fake_guest import HEADER, done, frame, waiting
from tests.http_caller import private_grant
from tests.servers import WebServer

from wasmexec import (
    Deterministic,
    ExecutionCancelled,
    Executor,
    Grants,
    GuestLostError,
    HttpExchange,
    Limits,
    MemoryRecorder,
    Problem,
    Recording,
    Result,
    Status,
    TimeLimitError,
    WasmexecError,
)
from wasmexec.recording.exchange import Operation

LIMITS = Limits(wall_seconds=0.05, cpu_seconds=1, output_bytes=2000, log_bytes=2000, log_records=20, http_bytes=10_000)
HONEST = does.script(does.logs(2, b"hello"), does.waits(waiting(0.001)), does.leaves(done(b'[{"a":1}]')))
BIG = "9" * 400
_EXCHANGE = HttpExchange(
    method="GET",
    url="http://a.test/",
    status=200,
    response_body=b"recorded",
    extra={"operations": [["http.open", 5, 9, 1, "head", 4, False], ["http.read", 12, None, 0, "", 0, False]]},
)
RECORDINGS = [
    Recording(exchanges=(_EXCHANGE, _EXCHANGE), strays=(Operation("http.read", 1, 1 << 60),), rows=b'[{"a":1}]'),
    Recording(ending="wall", ended=10**9, strays=(Operation("http.close", 1),)),
    Recording(ending="cancelled", ended=5),
]
MODES: dict[str, Callable[[], dict[str, Any]]] = {
    "ordinary": dict,
    "deterministic": lambda: {"determinism": Deterministic(seed=1)},
    "skipping sleeps": lambda: {"determinism": Deterministic(clock=6.9e9, clock_step_seconds=1, skip_sleeps=True)},
    "recorded": lambda: {"recorder": MemoryRecorder()},
    "recorded and deterministic": lambda: {"recorder": MemoryRecorder(), "determinism": Deterministic()},
    **{f"replay {number}": partial(dict, replay=item) for number, item in enumerate(RECORDINGS, 1)},
}


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(does.build(tmp_path_factory.mktemp("scripted"))) as executor:
        yield executor


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def run(
    executor: Executor, script: bytes, mode: str, server: WebServer | None = None, limits: Limits = LIMITS
) -> Result:
    grants = Grants() if server is None else Grants(http=[private_grant(server.authority)])
    result = executor.run("", input_data=script, limits=limits, grants=grants, **MODES[mode]())
    assert isinstance(result, Result)
    assert (result.error is None) == result.status.succeeded
    assert not [line for line in result.warnings if line.startswith("the recording failed")]
    result.as_dict()
    return result


# JSON texts of all kinds where something else is expected, some of them no JSON at all.
_NUMBERS = [
    "0", "-0.0", "-1", "1", "3", "1.5", "1e308", "-1e308", "1e400", "NaN", "-Infinity", BIG, f"-{BIG}", "9" * 5000,
    *(str(number) for number in (2**31, 2**53, 2**63, 2**64 - 1, 2**64, -(2**63))),
]  # fmt: skip
_TEXTS = [
    "", "x", "\\u0000", "\\ud800", "\\udc00\\ud800", "x" * 3000, "http://a.test/", "GET", "http.open", "streamed",
]  # fmt: skip
_NESTED = [
    "[]", "{}", "[0,0]", "[0,2]", "[-1,2]", "[null]", "[[[]]]", '["a","b"]', '[["a","b"]]', "[1,2,3,4,5]",
    "[0,0,0,0,3]", '{"a":1,"a":"x"}', "[" * 900 + "]" * 900, "[" * 2000 + "]" * 2000, '{"a":' * 500 + "1" + "}" * 500,
]  # fmt: skip
ODD = st.sampled_from(["null", "true", "false", *_NUMBERS, *(f'"{text}"' for text in _TEXTS), *_NESTED])
SMALL = st.sampled_from(["0", "0.0001", "-1", "-1e308", "-0.0", "1e-300", "1e308", "null"])


def objects(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An object with some of these fields, each of them odd now and then."""
    values = st.tuples(*(st.one_of(st.none(), ODD, *[good] * 8) for good in fields.values()))

    def written(found: tuple[str | None, ...]) -> str:
        pairs = zip(fields, found, strict=True)
        return "{" + ",".join(f'"{name}":{text}' for name, text in pairs if text is not None) + "}"

    return values.map(written)


def just(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def lists(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(items | ODD, max_size=4).map(lambda found: f"[{','.join(found)}]")


def http_calls(server: str) -> st.SearchStrategy[str]:
    return objects(
        id=st.integers(1, 6).map(str),
        op=just(
            '"http.open"', '"http.open"', '"http.read"', '"http.write"', '"http.close"', '"http.steal"', '"file.read"'
        ),
        stream=just("1", "1", "2"),
        method=just('"GET"', '"POST"'),
        url=just(
            '"http://a.test/"', f'"{server}/hello"', f'"{server}/bytes?size=300"', f'"{server}/chunks?count=3&size=5"'
        ),
        headers=just("[]", '[["a","b"]]', '[["Content-Length","5"]]', '[["a"]]'),
        timeout=objects(connect=SMALL, read=SMALL, write=SMALL, pool=SMALL),
        body=just('"none"', '"whole"', '"streamed"'),
        end=just("true", "false"),
        max_bytes=just("1", "100000"),
        read_timeout=SMALL,
        blob=just("[0,0]", "[0,3]", "[1,2]"),
    )


WHERE = lists(objects(line=just("3"), name=just('"f"'), function=just('"f"')))


def waiting_heads(server: str) -> st.SearchStrategy[str]:
    return objects(
    kind=just('"waiting"'), timer_seconds=SMALL, calls=lists(http_calls(server)),
        cancels=lists(st.integers(0, 7).map(str)), where=WHERE
)  # fmt: skip


ROWS = lists(objects(a=ODD, b=ODD))
ERROR = objects(
    kind=just('"syntax"', '"raised"', '"memory"', '"output"', '"output-limit"', '"input"'),
    message=just('"m"'), rule=just('"r"'), line=just("1"), column=just("2"), text=just('"t"'), rendered=just('"t"'),
    type=just('"ValueError"'), traceback=just('"t"'), pointer=just('"/0"'), value=just('"v"'), limit=just("5"),
    used=just("6"),
)  # fmt: skip
COUNTS = just("[0,0,0,0,0]", "[1,2,3,4,5]", f"[0,0,0,0,{2**53 - 1}]")
PROBLEMS = lists(
    objects(
        rule=just('"r"'), message=just('"m"'), line=just("1"), column=just("1"), end_line=just("1"), text=just('"t"')
    )
)


def framed(heads: st.SearchStrategy[str], blobs: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(heads, blobs).map(lambda pair: frame(pair[0].encode("utf-8", "surrogatepass"), pair[1]))


def rows_frame(rows: str) -> bytes:
    data = rows.encode()
    return frame(f'{{"kind":"done","outcome":"rows","rows":[0,{len(data)}],"count":0}}'.encode(), data)


DONES = st.one_of(
    ROWS.map(rows_frame),
    framed(
        objects(
            kind=just('"done"'), outcome=just('"rows"', '"failed"', '"failed"', '"checked"'), rows=just("[0,2]"),
            error=ERROR,
            log_dropped=COUNTS, problems=PROBLEMS, count=just("1"),
        ),
        just("[]", "[{}]", "[{").map(str.encode) | st.binary(max_size=9),
    ),
    st.binary(max_size=40),
)  # fmt: skip
WORDS = st.sampled_from([0, 1, 7, HEADER, 0x20000, 0x7FFFF, 0x80000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
QUICK = [
    st.tuples(WORDS | st.integers(0, 6), st.binary(max_size=50)).map(lambda pair: does.logs(*pair)),
    st.tuples(st.binary(max_size=30), WORDS).map(lambda pair: does.calls(*pair)),
    st.tuples(WORDS, st.binary(max_size=20)).map(lambda pair: does.prints(*pair)),
    st.tuples(st.integers(0, 15), WORDS).map(lambda pair: does.sets_word(*pair)),
    st.tuples(WHERE, st.integers(0, 100)).map(lambda pair: does.says_where(pair[0].encode()[:500], pair[1])),
    WORDS.map(does.asks_clock),
    st.tuples(WORDS, WORDS).map(lambda pair: does.asks_random(*pair)),
]
SLEEPS = st.sampled_from([0, 1, -1, 10**6, 10**17, 2**63 - 1, -(2**63)]).map(does.sleeps)
# A check has 30 seconds, which no lie of this kind uses up.
LIES_WITHOUT_WAITING = st.tuples(st.lists(st.one_of(QUICK), max_size=5), DONES.map(does.leaves)).map(
    lambda parts: does.script(*parts[0], parts[1])
)


@cache
def lies(server: str) -> st.SearchStrategy[bytes]:
    """Scripts of up to five actions and an end."""
    calls = framed(http_calls(server), st.binary(max_size=4)).map(does.calls)
    waits = framed(waiting_heads(server), st.binary(max_size=4)).map(does.waits)
    actions = st.lists(st.one_of(*QUICK, SLEEPS, calls, calls, waits, waits, waits), max_size=5)
    return st.tuples(actions, st.one_of(DONES.map(does.leaves), DONES.map(does.leaves), waits)).map(
        lambda parts: does.script(*parts[0], parts[1])
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_honest_script_gives_its_rows(guest: Executor, mode: str) -> None:
    result = run(guest, HONEST, mode, limits=Limits())
    if mode == "replay 3":
        assert result.status is Status.CANCELLED
        return
    assert (result.status, result.rows) == (Status.FINISHED, [{"a": 1}])
    assert [record.message for record in result.logs] == ["hello"]


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_a_guest_says_there_is_a_result(
    guest: Executor, server: WebServer, mode: str, data: st.DataObject
) -> None:
    run(guest, data.draw(lies(server.url("").rstrip("/"))), mode, server)
    if mode != "replay 3":
        assert run(guest, HONEST, mode, limits=Limits()).rows == [{"a": 1}]


def test_an_honest_guest_has_problems_to_tell(guest: Executor) -> None:
    checked = frame(
        {"kind": "done", "outcome": "checked", "problems": [{"rule": "r", "line": 2}, {"rule": "s", "line": 3}]}
    )
    assert [(item.rule, item.line) for item in guest.check(does.script(does.leaves(checked)).decode())] == [
        ("r", 2),
        ("s", 1),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=LIES_WITHOUT_WAITING)
def test_whatever_a_guest_says_check_ends_as_its_docstring_says(guest: Executor, script: bytes) -> None:
    try:
        problems = guest.check(script.decode())
    except WasmexecError:
        return
    assert all(isinstance(item, Problem) for item in problems)


TIMERS = ["-1e308", "1e308", "-0.0", "1e-308", str(2**63), "-1"]


@pytest.mark.parametrize("timer", TIMERS)
@pytest.mark.parametrize("mode", MODES)
def test_any_number_is_a_timer(guest: Executor, mode: str, timer: str) -> None:
    waits = frame(f'{{"kind":"waiting","timer_seconds":{timer}}}'.encode())
    result = run(guest, does.script(does.waits(waits), does.leaves(done(b"[]"))), mode)
    if float(timer) > 1:
        assert isinstance(result.error, (TimeLimitError, ExecutionCancelled))
    else:
        assert result.status is Status.FINISHED_NO_DATA


@pytest.mark.parametrize("timer", ["1e400", "NaN", '"1"', "true", "[]", "9" * 5000, "Infinity"])
@pytest.mark.parametrize("mode", MODES)
def test_anything_else_is_not(guest: Executor, mode: str, timer: str) -> None:
    result = run(guest, does.script(does.waits(frame(f'{{"kind":"waiting","timer_seconds":{timer}}}'.encode()))), mode)
    assert isinstance(result.error, GuestLostError)
    assert result.error.trap == "bad-frame"


STRICT = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "overflow": "1e400",
    "half a pair": '"\\ud800"',
    "5,000 digits": "9" * 5000,
}


@pytest.mark.parametrize("wrong", STRICT)
@pytest.mark.parametrize("beside", ["1", BIG, "123456789012345678901"])
def test_rows_are_strict_json_whatever_is_beside_them(guest: Executor, wrong: str, beside: str) -> None:
    columns = [{"name": "a", "type": "json"}, {"name": "b", "type": "integer"}]

    def outcome(value: str) -> Result:
        rows = f'[{{"a":{value},"b":{beside}}}]'
        return guest.run("", input_data=does.script(does.leaves(rows_frame(rows))), output_schema=columns)

    assert outcome("[1.5]").rows == [{"a": [1.5], "b": int(beside)}]
    error = outcome(STRICT[wrong]).error
    assert isinstance(error, GuestLostError)
    assert error.message == "the guest broke the channel: the rows are not JSON"


SCHEMAS: list[Any] = [
    [{"name": "a", "type": kind, "allow_null": True} for kind in (kind,)]
    for kind in ("text", "integer", "double", "boolean", "datetime", "base64", "json")
]
SCHEMAS += [None, {"type": "object", "properties": {"a": {"type": "number"}}}]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    value=ODD | st.floats().map(repr) | st.integers().map(str) | st.text(max_size=5).map(json.dumps),
    schema=st.sampled_from(SCHEMAS),
    big=st.integers(10**20, 10**30),
)
def test_a_value_has_the_same_verdict_beside_a_big_integer(guest: Executor, value: str, schema: Any, big: int) -> None:
    def verdict(rows: str) -> Any:
        result = guest.run("", input_data=does.script(does.leaves(rows_frame(rows))), output_schema=schema)
        if result.error is None:
            return repr(result.rows[0]["a"])
        return (
            result.status,
            type(result.error),
            getattr(result.error, "pointer", ""),
            getattr(result.error, "rule", ""),
        )

    big_row = f'{{"a":{big}}}' if schema in (None, SCHEMAS[1], SCHEMAS[2], SCHEMAS[6], SCHEMAS[8]) else ""
    if big_row:
        assert verdict(f'[{{"a":{value}}},{big_row}]') == verdict(f'[{{"a":{value}}},{{"a":7}}]')
    else:
        # Refused in the same place, unless it is no JSON: then nothing is.
        alone, beside = verdict(f'[{{"a":{value}}}]'), verdict(f'[{{"a":{value}}},{{"a":{big}}}]')
        assert (alone[0] == Status.RUNTIME_FAILED) == (beside[0] == Status.RUNTIME_FAILED)
