"""From the text that a guest leaves to accepted rows: in pieces, within bounds, here or in a process of ours."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec import Limits, OutputError, OutputLimitError, Schema
from wasmexec._finishing.acceptance import (
    OBJECTS_BYTES,
    Accepted,
    Bounds,
    NotJsonError,
    TooHeavyError,
    accept,
    allowed_memory,
)  # fmt: skip
from wasmexec._finishing.finisher import Finisher
from wasmexec._finishing.pieces import LEAST_BYTES, PieceTooLongError, pieces_of
from wasmexec._finishing.process import ChildLostError, FinishingProcess, TooMuchMemoryError
from wasmexec._masking.masker import Masker
from wasmexec.schema import PROMPT_BYTES

ANY = Schema.prepare(None)
BOUNDS = Bounds.of(Limits())
COLUMNS = Schema.prepare([{"name": "id", "type": "integer"}, {"name": "note", "type": "text", "allow_null": True}])
LONG = [{"id": index, "note": "x" * 50} for index in range(5000)]


def text_of(rows: list[Any], every: int = 1) -> bytes:
    """The rows as the guest writes them, a newline behind the comma of each so many."""
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    parts = [",".join(lines[start : start + every]) for start in range(0, len(lines), every)]
    return ("[" + ",\n".join(parts) + "]").encode()


def here(text: bytes, schema: Schema = ANY, mask: Any = None, bounds: Bounds = BOUNDS, **more: Any) -> Accepted:
    return accept(memoryview(text), schema, mask, bounds, **more)


@pytest.fixture
def finisher() -> Iterator[Finisher]:
    """One that is never alone: what is long goes to a process."""
    made = Finisher(lambda: True)
    yield made
    made.close()


def there(finisher: Finisher, text: bytes, schema: Schema = ANY, mask: Any = None, bounds: Bounds = BOUNDS) -> Accepted:
    return finisher.accept(memoryview(text), schema, mask, bounds, lambda seconds: None)


def both(finisher: Finisher, text: bytes, *more: Any, **options: Any) -> tuple[Callable[[], Accepted], ...]:
    """To take it here, and in a process."""
    return partial(here, text, *more, **options), partial(there, finisher, text, *more, **options)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30, -(10**30), 10**19])
def test_rows_keep_integers_of_any_size(number: int) -> None:
    text = json.dumps([{"a": number, "b": "1" * 30, "c": 1.5}]).encode()
    accepted = here(text)
    assert accepted.block.rows == [{"a": number, "b": "1" * 30, "c": 1.5}]
    assert type(accepted.block.rows[0]["a"]) is int
    assert accepted.size == len(text)


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_rows_in_pieces_are_the_rows(finisher: Finisher, every: int) -> None:
    text = text_of(LONG, every)
    assert len(list(pieces_of(memoryview(text), len(text)))) >= 5
    for accepted in (here(text), here(text, COLUMNS), there(finisher, text), there(finisher, text, COLUMNS)):
        assert accepted.block.rows == LONG
        assert accepted.block.rows[-1] == LONG[-1]
        assert len(accepted.block) == len(LONG)
        assert [json.loads(line) for line in accepted.block.lines.splitlines()] == LONG


def test_the_size_is_that_without_the_newlines(finisher: Finisher) -> None:
    # As far apart as the guest sets them.
    text, plain = text_of(LONG, 1000), text_of(LONG, 10**6)
    assert here(text).size == there(finisher, text).size == len(plain) == len(text) - 4


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4), max_leaves=8,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=6), st.sampled_from(["\n", "  "]))
def test_any_spelling_of_rows_is_taken(rows: list[dict[str, Any]], space: str) -> None:
    filler = [{"a": "x" * LEAST_BYTES}]
    text = json.dumps(filler + rows, separators=(f",{space}", f":{space}")).encode()
    assert here(text).block.rows == filler + rows


@pytest.mark.parametrize(
    "text",
    [b"", b"[", b"[1", b"nul", b"[{}]]", b"[{},]", b"[{}{}]", b'[{"a":NaN}]', b'["\\ud800"]', b"[" * 600 + b"]" * 600],
)
@pytest.mark.parametrize("filler", [0, LEAST_BYTES, PROMPT_BYTES])
def test_what_is_no_json_is_refused_in_pieces_too(finisher: Finisher, text: bytes, filler: int) -> None:
    if filler:
        text = b'[{"a":"%b"},\n%b' % (b"x" * filler, text[1:] if text.startswith(b"[") else text)
    for run in both(finisher, text):
        with pytest.raises(NotJsonError):
            run()


@pytest.mark.parametrize(
    "tail",
    [b"", b",\n]", b",\n,\n{}]", b"],\n[{}]", b'{"b":[1,\n2]},{}]', b'{"b":"\n"}]'],
)
def test_cuts_where_no_row_ends_are_no_way_in(finisher: Finisher, tail: bytes) -> None:
    text = b'[{"a":"%b"},\n%b' % (b"x" * PROMPT_BYTES, tail)
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(NotJsonError):
            here(text)
        with pytest.raises(NotJsonError):
            there(finisher, text)
    else:
        assert here(text).block.rows == there(finisher, text).block.rows == wanted


def test_a_refusal_says_the_same_wherever_it_is_found(finisher: Finisher) -> None:
    rows = [*LONG, {"id": "secret-7", "note": None}]
    text, masker = text_of(rows), Masker(["secret-7"])
    found = []
    for run in both(finisher, text, COLUMNS, masker):
        with pytest.raises(OutputError) as caught:
            run()
        found.append(vars(caught.value) | {"text": str(caught.value)})
    assert found[0] == found[1]
    assert (found[0]["pointer"], found[0]["rule"], found[0]["value"]) == ("/5000/id", "type", "'***'")
    assert "secret" not in str(found)


def test_a_value_that_reads_like_a_lack_of_memory_is_refused_for_what_it_is(finisher: Finisher) -> None:
    text = text_of([*LONG, {"id": "Not enough memory", "note": None}])
    with pytest.raises(OutputError) as caught:
        there(finisher, text, COLUMNS)
    assert (caught.value.pointer, caught.value.rule, caught.value.value) == ("/5000/id", "type", "'Not enough memory'")


def test_warnings_count_over_all_pieces(finisher: Finisher) -> None:
    lenient = Schema.prepare([{"name": "id", "type": "integer"}], mode="lenient")
    wanted = ["'note' is not in the output schema: dropped from 5,000 rows"]
    text = text_of(LONG)
    assert here(text, lenient).warnings == there(finisher, text, lenient).warnings == wanted


WIDE = Schema.prepare([{"name": f"column_{index}", "type": "text", "allow_null": True} for index in range(100)])


def test_what_the_schema_fills_in_is_there_and_counts(finisher: Finisher) -> None:
    text = text_of([{}] * 2000, 500)
    for accepted in (here(text, WIDE), there(finisher, text, WIDE)):
        assert len(accepted.block) == 2000
        assert accepted.block.is_text
        assert accepted.block.rows[-1] == {f"column_{index}": None for index in range(100)}
    small = BOUNDS._replace(bytes=2_000_000)
    for run in both(finisher, text, WIDE, bounds=small):
        with pytest.raises(
            OutputLimitError, match=r"more than 2,000,000 bytes of JSON once their schema has filled in"
        ):
            run()


def test_there_may_be_so_many_rows_keys_and_levels_and_no_more(finisher: Finisher) -> None:
    bounds = Bounds(10**6, rows=3, keys=2, depth=4)
    fine = text_of([{"a": [[1]], "b": "x" * PROMPT_BYTES}] * 3)
    assert len(here(fine, bounds=bounds).block) == len(there(finisher, fine, bounds=bounds).block) == 3
    for wrong, kind in (
        (text_of([{"a": "x" * PROMPT_BYTES}] * 4), OutputLimitError),
        (text_of([{"a": "x" * PROMPT_BYTES, "b": 1, "c": 1}]), OutputError),
        (text_of([{"a": [[[1]]], "b": "x" * PROMPT_BYTES}]), NotJsonError),
    ):
        for run in both(finisher, wrong, bounds=bounds):
            with pytest.raises(kind):
                run()


def test_what_would_take_long_in_one_go_is_not_done_here() -> None:
    dense = b'[{"a":[%b]}]' % b",".join([b"[]"] * OBJECTS_BYTES)
    with pytest.raises(TooHeavyError):
        here(dense, most_at_once=OBJECTS_BYTES)
    with pytest.raises(TooHeavyError):
        here(text_of([{}] * 4000, 4000), WIDE, most_at_once=OBJECTS_BYTES)
    with pytest.raises(PieceTooLongError):
        list(pieces_of(memoryview(text_of(LONG, 2500)), 1000))
    assert here(text_of(LONG), most_at_once=OBJECTS_BYTES).block.rows == LONG


def test_objects_that_take_too_much_memory_are_refused_and_the_next_are_not(finisher: Finisher) -> None:
    dense = b'[{"a":[%b]}]' % b",".join([b"[]"] * 3_000_000)
    with pytest.raises(TooMuchMemoryError) as caught:
        there(finisher, dense)
    assert (caught.value.size, caught.value.limit) == (len(dense), allowed_memory(memoryview(dense), ANY, BOUNDS))
    assert there(finisher, text_of(LONG)).block.rows == LONG


class Enough(Exception):
    """What the execution's deadlines raise."""


@pytest.mark.timing
def test_it_ends_within_milliseconds_when_the_execution_does(finisher: Finisher) -> None:
    # It takes half a second in the process, and here in pieces.
    text = text_of([{"a": index} for index in range(1_000_000)])
    alone = Finisher(lambda: False)
    there(finisher, text_of(LONG))
    for which in (finisher, alone):
        stop = threading.Event()

        def charge(seconds: float, stop: threading.Event = stop) -> None:
            if stop.is_set():
                raise Enough

        took: list[float] = []

        def work(which: Finisher = which, charge: Any = charge, took: list[float] = took) -> None:
            with pytest.raises(Enough):
                which.accept(memoryview(text), ANY, None, BOUNDS, charge)
            took.append(time.perf_counter())

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.05)
        stop.set()
        began = time.perf_counter()
        thread.join(20)
        assert took[0] - began < 0.15


def processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.timing
def test_its_processor_time_is_told(finisher: Finisher) -> None:
    told: list[float] = []
    text = text_of([{"a": index} for index in range(300_000)])
    there(finisher, text_of(LONG))
    began = time.process_time()
    finisher.accept(memoryview(text), ANY, None, BOUNDS, told.append)
    here_too = time.process_time() - began
    alone = min(processor_seconds(lambda: here(text, check=lambda: None)) for _ in range(3))
    assert 0.4 * alone < sum(told) < 3 * alone
    assert here_too < sum(told)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_is_replaced(finisher: Finisher, number: int) -> None:
    there(finisher, text_of(LONG))
    [process] = finisher._idle
    os.kill(process._process.pid, number)
    process._process.wait(5)
    assert there(finisher, text_of(LONG)).block.rows == LONG


READY = b"\x03\0\0\0\0"


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x02", b"\x09\x02\x00\x00\x00{}", b"\x02\x02\x00\x00\x00{}", b"\x02\x02\x00\x00\x00[]",
     b"\x02\x01\x00\x00\x00",
     b"\x02\xff\xff\xff\xff", b"\x02\x34\x00\x00\x00" + b'{"rows":1,"lines":99999,"size":1,"warnings":["a","b"]}'[:52]],
)  # fmt: skip
def test_a_process_that_lies_is_ended(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    program = f"import os; os.read(0, 1); os.write(1, {READY + answer!r})"
    monkeypatch.setattr("wasmexec._finishing.process.child_command", lambda *_: [sys.executable, "-I", "-c", program])
    process = FinishingProcess()
    with pytest.raises(ChildLostError):
        process.accept(b"{}", memoryview(b"[]"), 10**9, BOUNDS, lambda seconds: None)
    process.end()
    assert not process.is_alive


def test_no_process_is_started_for_what_is_short_or_alone() -> None:
    alone = Finisher(lambda: False)
    crowded = Finisher(lambda: True)
    assert there(alone, text_of(LONG), COLUMNS).block.rows == LONG
    assert there(crowded, text_of(LONG[:1000]), COLUMNS).block.rows == LONG[:1000]
    assert (alone._idle, crowded._idle) == ([], [])


def test_somebody_who_comes_in_the_middle_does_not_wait() -> None:
    asked = iter([False] * 5 + [True] * 10**6)
    finisher = Finisher(lambda: next(asked))
    assert there(finisher, text_of(LONG), COLUMNS).block.rows == LONG
    assert len(finisher._idle) == 1
    finisher.close()
    assert finisher._idle == []
