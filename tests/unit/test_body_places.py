"""Where the input of a request stands in its body: the one that JSON has; refused is what is refused if it is short."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from wasmexec.server.documents import RunRequest
from wasmexec.server.http.request import decode_body
from wasmexec.server.problems import ProblemError
from wasmexec.server.reading.place import MOST_DETAIL, Found, find
from wasmexec.workers.files import LongText

NAMES = RunRequest.__struct_fields__
_texts = st.sampled_from(["", "]", '],"limits":', '"input_data":[', "\\", ',"extra_inputs":[', "a"]) | st.text(
    max_size=5
)
_values = st.recursive(
    st.none() | st.integers(0, 9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | _texts, inner, max_size=3),
    max_leaves=8,
)
_members = st.one_of(
    st.tuples(st.just("statement"), _texts),
    st.tuples(st.just("input_data"), st.lists(_values, max_size=4) | _values),
    st.tuples(st.just("extra_inputs"), st.lists(_values, max_size=3)),
    st.tuples(st.sampled_from(("checkpoint", "local_variables", "output_schema")), _values),
    st.tuples(st.just("limits"), st.just({"input_bytes": 5})),
)
_space = st.sampled_from(["", "", " ", "\n\t", " " * 40])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Requests with members in any order, some of them twice, and some with a byte too many or too few."""
    pieces = []
    needed: list[tuple[str, Any]] = [("statement", "x"), ("input_data", draw(st.lists(_values, max_size=4)))]
    for name, value in draw(st.permutations(needed + draw(st.lists(_members, max_size=4)))):
        separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
        told = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators)
        pieces.append(f'{draw(_space)}"{name}"{draw(_space)}:{draw(_space)}{told}{draw(_space)}')
    body = f"{draw(_space)}{{{','.join(pieces)}}}{draw(_space)}".encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(body)))
        return body[:at] + draw(st.sampled_from([b"", b"]", b",", b'"', b"}"])) + body[at + 1 :]
    return body


DECODER = msgspec.json.Decoder(RunRequest)


def place(body: bytes) -> Found:
    """As the process that reads long bodies finds it."""
    return find(LongText.of([body]).view())


def decoded(body: bytes) -> RunRequest | ProblemError:
    """As the front reads short ones."""
    try:
        return decode_body(body, DECODER)
    except ProblemError as problem:
        return problem


@settings(max_examples=500, deadline=None)
@given(bodies())
def test_what_is_found_is_what_json_has(body: bytes) -> None:
    found, whole = place(body), decoded(body)
    if isinstance(whole, ProblemError):
        event("refused")
        assert (found.rule, found.detail) == (whole.rule, str(whole))
        return
    event("found")
    assert found.rule is None
    end = found.start + found.size
    assert body[found.start : end] == bytes(whole.input_data)
    envelope = decoded(body[: found.start] + b"null" + body[end:])
    assert isinstance(envelope, RunRequest)
    assert bytes(envelope.input_data) == b"null"
    envelope.input_data = whole.input_data
    assert msgspec.json.encode(envelope) == msgspec.json.encode(whole)


@pytest.mark.parametrize("value", ["[1, 2]", "{}", '"a"', "-1.5e3", "null", " \n[]", "true"])
def test_an_input_of_any_kind_is_found(value: str) -> None:
    for body in (f'{{"input_data":{value} ,"statement":""}}', f' {{"statement":"","input_data":{value}\n}} '):
        found = place(body.encode())
        assert body[found.start : found.start + found.size] == value.strip()


def test_a_request_without_an_input_has_none() -> None:
    assert place(b'{"statement":"return []"}') == Found()


def test_what_is_told_of_a_name_is_bounded() -> None:
    found = place(b'{"%b":1}' % (b"a" * 100_000))
    assert found.rule == "body"
    assert len(found.detail) == MOST_DETAIL
