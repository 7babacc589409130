"""A guest that lies to the host: hand-written modules that break the channel's rules one at a time.

Each attack has the honest guest as its control: the same module without the lie returns its rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fake_guest import (
    BOX_BYTES,
    DONE,
    EXITED,
    FATAL,
    FOREVER,
    HEADER,
    INBOX,
    OUTBOX,
    PAGES,
    SCRATCH,
    WAITING,
    FakeGuest,
    call,
    done,
    failed,
    frame,
    log,
    set_word,
    times,
    waiting,
)

from wasmexec import (
    CpuLimitError,
    Executor,
    GuestLostError,
    InputError,
    Limits,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    Result,
    StatementRaised,
    Status,
    TimeLimitError,
)
from wasmexec._execution.request import run_start

Start = Callable[..., Executor]
MEMORY = PAGES * 65536
TWELVE_LINES = "\n" * 11
"""For guests that tell of a line."""
LIMITS = Limits(wall_seconds=5, cpu_seconds=0.2, output_bytes=1000)
LARGE = "x" * (BOX_BYTES - 2)


def request_bytes(input_data: object, limits: Limits) -> int:
    start = run_start("", local_variables=None, secrets=None, limits=limits)
    request = start.request([input_data], None).with_text()
    return 4 + len(request.head) + sum(map(len, request.blobs))


END = f"the memory of {MEMORY:#x} bytes"
REQUEST_BYTES = request_bytes(None, LIMITS)
LARGE_BYTES = request_bytes(LARGE, Limits())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes an executor on a fake guest; at the end an honest one must still work in this process."""
    opened: list[Executor] = []

    def make(**parts: Any) -> Executor:
        opened.append(Executor(FakeGuest(**parts).build(tmp_path, f"fake{len(opened)}")))
        return opened[-1]

    yield make
    assert make(outbox=done(b'[{"still":"fine"}]')).run("").rows == [{"still": "fine"}]
    for executor in opened:
        executor.close()


def lost(result: Result) -> tuple[str, str]:
    """Trap code and message of a lost guest."""
    assert result.status == Status.RUNTIME_FAILED
    assert isinstance(result.error, GuestLostError)
    assert result.rows == []
    return result.error.trap, result.error.message


def test_an_honest_guest_returns_its_rows(start: Start) -> None:
    result = start(outbox=done(b'[{"a":1},{"a":null}]')).run("", limits=LIMITS)
    assert (result.status, result.rows, result.error) == (Status.FINISHED, [{"a": 1}, {"a": None}], None)
    assert result.usage.output_bytes == 20
    assert result.usage.peak_memory_bytes == MEMORY


BAD_CHANNELS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong magic": ({"header": {0: 7}}, "header has magic 0x7 and version 1"),
    "wrong version": ({"header": {1: 2}}, "header has magic 0x31435857 and version 2"),
    "magic destroyed while running": (
        {"step": set_word(0, 0)},
        "header has magic 0x0 and version 1",
    ),
    "inbox outside memory": (
        {"header": {3: 0xFFFFFFF0}},
        f"range 0xfffffff0+{REQUEST_BYTES:#x} lies outside {END}",
    ),
    "inbox across the end of memory": (
        {"header": {3: MEMORY - 64}},
        f"range {MEMORY - 64:#x}+{REQUEST_BYTES:#x} lies outside {END}",
    ),
    "outbox outside memory": (
        {"header": {6: MEMORY}},
        f"range {MEMORY:#x}+{len(done()):#x} lies outside {END}",
    ),
    "outbox wraps around 32 bits": (
        {"header": {6: 0xFFFFFFFF}},
        f"range 0xffffffff+{len(done()):#x} lies outside {END}",
    ),
    "outbox longer than its capacity": ({"header": {8: 8}}, f"outbox of 8 bytes claims to hold {len(done())}"),
    "outbox longer than allowed": (
        {"header": {7: 0x7FFFFFFF, 8: 0x7FFFFFFF}},
        "frame of 2147483647 bytes, at most 16778216 allowed",
    ),
    "outbox too short for a frame": ({"header": {7: 3}}, "frame of 3 bytes"),
    "head longer than its frame": (
        {"outbox": b"\xff\xff\xff\xff" + b"{}" * 10},
        "frame of 24 bytes claims a head of 4294967295",
    ),
    "head is not JSON": ({"outbox": frame(b"{")}, "head is not JSON"),
    "head is not UTF-8": ({"outbox": frame(b'{"kind":"\xff"}')}, "head is not JSON"),
    "head is nested too deeply": ({"outbox": frame(b"[" * 5000)}, "head is not JSON"),
    "head is a list": ({"outbox": frame([])}, "head is list, not an object"),
    "head is of no kind": ({"outbox": frame({})}, "expected a done frame"),
    "waiting frame in state done": ({"outbox": waiting(0)}, "expected a done frame"),
    "done frame in state waiting": ({"state": WAITING}, "expected a waiting frame"),
    "no outcome": ({"outbox": frame({"kind": "done"})}, "a done frame without the outcome that was asked for"),
    "outcome of another request": (
        {"outbox": frame({"kind": "done", "outcome": "checked", "problems": []})},
        "a done frame without the outcome that was asked for",
    ),
    "rows outside the blob": (
        {"outbox": frame({"kind": "done", "outcome": "rows", "rows": [1, 2]}, b"[]")},
        "blob reference 1+2 lies outside the blob of 2 bytes",
    ),
    "rows before the blob": (
        {"outbox": frame({"kind": "done", "outcome": "rows", "rows": [-5, 5]}, b"[]")},
        "blob reference -5+5 lies outside the blob of 2 bytes",
    ),
    "rows of enormous length": (
        {"outbox": frame({"kind": "done", "outcome": "rows", "rows": [0, 2**63]}, b"[]")},
        "blob reference 0+9223372036854775808 lies outside the blob of 2 bytes",
    ),
    "rows are no reference": (
        {"outbox": frame({"kind": "done", "outcome": "rows", "rows": [True, 2]}, b"[]")},
        "a blob reference is not a pair of numbers",
    ),
    "rows are not JSON": ({"outbox": done(b"[nan]")}, "the rows are not JSON"),
    "rows are nested too deeply": (
        {"outbox": done(b"[" * 2000 + b"]" * 2000)},
        "the rows are not JSON",
    ),
    "rows with an integer of 5,000 digits": (
        {"outbox": done(b'[{"a":' + b"9" * 5000 + b"}]")},
        "the rows are not JSON",
    ),
    "error of no kind": ({"outbox": failed({"kind": "x" * 99})}, f"error of kind '{'x' * 50}'"),
    "error is no object": ({"outbox": failed("oops")}, "expected an object, got str"),
    "drop counts are no numbers": (
        {"outbox": done(log_dropped=[0, 0, 0, 0, "1"])},
        "counts of dropped log messages are not numbers",
    ),
    "drop counts are below zero": (
        {"outbox": done(log_dropped=[0, 0, 0, 0, -1])},
        "counts of dropped log messages are not numbers",
    ),
    "state that does not exist": ({"state": 99}, "wx_step returned 99, the header says 99"),
    "state fatal": ({"state": FATAL}, "its own part failed; an image of an older version must be built again"),
    "state differs from the header": (
        {"step": f"{set_word(2, 2)} (return (i32.const {DONE}))"},
        "wx_step returned 3, the header says 2",
    ),
    "waits for nothing": ({"state": WAITING, "outbox": waiting()}, "the guest waits for nothing"),
    "timer is text": ({"state": WAITING, "outbox": waiting("1")}, "a timer is not a number"),  # type: ignore[arg-type]
    "calls are no list": ({"state": WAITING, "outbox": waiting(calls={"id": 1})}, "calls and cancels must be lists"),
    "call is no object": ({"state": WAITING, "outbox": waiting(calls=[1])}, "a call is not an object"),
    "call without operation": ({"state": WAITING, "outbox": waiting(calls=[{"id": 1}])}, "a call names no operation"),
    "call without a number": ({"state": WAITING, "outbox": waiting(calls=[{"op": "x"}])}, "a call has no number"),
    "call with a number of ours": (
        {"state": WAITING, "outbox": waiting(calls=[{"op": "x", "id": -1}])},
        "a call has no number",
    ),
    "call twice": (
        {"state": WAITING, "outbox": waiting(calls=[{"op": "x", "id": 1}, {"op": "x", "id": 1}])},
        "call 1 was started before",
    ),
    "call with a body outside the blob": (
        {"state": WAITING, "outbox": waiting(calls=[{"op": "x", "id": 1, "blob": [0, 1]}])},
        "blob reference 0+1 lies outside the blob of 0 bytes",
    ),
    "cancel of no number": ({"state": WAITING, "outbox": waiting(cancels=["1"])}, "a cancelled call is not a number"),
}


@pytest.mark.parametrize("attack", BAD_CHANNELS)
def test_a_bad_frame_ends_the_instance_and_says_why(start: Start, attack: str) -> None:
    parts, reason = BAD_CHANNELS[attack]
    assert lost(start(**parts).run("", limits=LIMITS)) == ("bad-frame", f"the guest broke the channel: {reason}")


TRAPS = {
    "unreachable": ("unreachable", "", "the guest aborted"),
    "memory-out-of-bounds": (
        "(drop (i32.load (i32.const -4)))",
        "",
        "the guest accessed memory that it does not have",
    ),
    "indirect-call-to-null": ("(call_indirect (type $void) (i32.const 0))", "", "the guest called a null function"),
    "table-out-of-bounds": (
        "(call_indirect (type $void) (i32.const 9))",
        "",
        "the guest called a function that does not exist",
    ),
    "integer-division-by-zero": ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "", "integer division by zero"),
    "bad-signature": (
        "(call_indirect (type $void) (i32.const 0))",
        "(elem (i32.const 0) func $odd) (func $odd (param i64))",
        "the guest called a C function with the wrong signature",
    ),
    "stack-overflow": (
        "(call $deep (i64.const 0))",
        "(func $deep (param i64) (call $deep (i64.add (local.get 0) (i64.const 1))))",
        "the guest ran out of stack",
    ),
    "uncaught-exception": ("(throw $oops)", "(tag $oops)", "a C++ exception was not caught in the guest"),
}


@pytest.mark.parametrize("code", TRAPS)
def test_a_trap_ends_the_instance_and_is_named(start: Start, code: str) -> None:
    step, extra, message = TRAPS[code]
    executor = start(step=step, extra=extra, where=b'[{"line":3,"function":"<statement>"}]')
    assert lost(executor.run(TWELVE_LINES, limits=LIMITS)) == (code, f"{message} at line 3")


def test_leaving_the_interpreter_is_reported_with_its_exit_code(start: Start) -> None:
    executor = start(step=f"{set_word(12, 7)} {set_word(2, EXITED)} unreachable")
    assert lost(executor.run("", limits=LIMITS)) == ("exit", "the statement ended the interpreter (exit code 7)")


@pytest.mark.parametrize(("line", "told"), [(1, 1), (3, 3), (4, 4), (5, None), (0, None), (2**53, None)])
def test_a_place_is_inside_the_statement_or_it_is_not_told(start: Start, line: int, told: int | None) -> None:
    statement = "one\ntwo\nthree"
    error = {"kind": "raised", "type": "ValueError", "message": "m", "line": line}
    raised = start(outbox=failed(error)).run(statement).error
    assert isinstance(raised, StatementRaised)
    assert raised.line == told
    where = json.dumps([{"line": line, "function": "f"}]).encode()
    dead = start(step="unreachable", where=where).run(statement).error
    assert isinstance(dead, GuestLostError)
    assert dead.line == told
    assert ("line" in dead.message) == (told is not None)


def test_an_endless_step_is_stopped_at_the_processor_limit(start: Start) -> None:
    executor = start(step=FOREVER, where=b'[{"line":12,"function":"total"}]')
    result = executor.run(TWELVE_LINES, limits=LIMITS)
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, CpuLimitError)
    assert result.error.message == "out of processor time (0.2 s) at line 12, in total()"
    assert (result.error.line, result.error.function, result.error.limit) == (12, "total", 0.2)
    assert 0.2 <= result.error.used < 0.4


WHERES: dict[str, dict[str, Any]] = {
    "not JSON": {"where": b"["},
    "no frames": {"where": b"[]"},
    "no list": {"where": b'{"line":1}'},
    "frame is no object": {"where": b"[1]"},
    "outside memory": {"header": {9: MEMORY}, "where": b"[1]"},
    "longer than its buffer": {"header": {10: 5000, 11: 4096}},
    "longer than allowed": {"header": {10: 0x20000, 11: 0x20000}},
    "magic destroyed": {"where_step": set_word(0, 0)},
    "a trap": {"where_step": "unreachable"},
    "a stack overflow": {"where_step": "(call $deep)", "extra": "(func $deep (call $deep))"},
    "an endless loop": {"where_step": FOREVER},
    "an endless sleep": {"where_step": "(drop (call $sleep (i64.const 9000000000000000000)))"},
    "a log flood": {"where_step": f"(loop $l {log(0, 9)} (br $l))"},
}


@pytest.mark.timing
@pytest.mark.parametrize("lie", WHERES)
def test_a_guest_that_lies_about_where_it_was_is_stopped_all_the_same(start: Start, lie: str) -> None:
    executor = start(step=FOREVER, **WHERES[lie])
    begun = time.monotonic()
    result = executor.run("", limits=LIMITS)
    assert time.monotonic() - begun < 2
    assert isinstance(result.error, CpuLimitError)
    assert result.error.message == "out of processor time (0.2 s)"
    assert (result.error.line, result.logs) == (None, [])


def test_a_line_number_that_is_none_is_left_out(start: Start) -> None:
    executor = start(step="unreachable", where=b'[{"line":-1,"function":["x"]}]')
    assert lost(executor.run("", limits=LIMITS)) == ("unreachable", "the guest aborted")


def test_memory_grows_up_to_the_limit_and_no_further(start: Start) -> None:
    grow = "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))"
    limits = Limits(memory_bytes=32 * 65536)
    under = start(step=grow.format(pages=32 - PAGES)).run("", limits=limits)
    assert (under.status, under.usage.peak_memory_bytes) == (Status.FINISHED_NO_DATA, 32 * 65536)
    over = start(step=grow.format(pages=33 - PAGES)).run("", limits=limits)
    assert isinstance(over.error, MemoryLimitError)
    assert over.usage.peak_memory_bytes == MEMORY


def test_a_guest_that_dies_after_its_limit_refused_memory_is_a_memory_error(start: Start) -> None:
    limits = Limits(memory_bytes=32 * 65536)
    full = start(step="(drop (memory.grow (i32.const 24))) unreachable").run("", limits=limits)
    assert lost(full) == ("unreachable", "the guest aborted")
    more = "(drop (memory.grow (i32.const 24))) (drop (memory.grow (i32.const 1))) unreachable"
    result = start(step=more).run("", limits=limits)
    assert result.status == Status.RUNTIME_FAILED
    assert isinstance(result.error, MemoryLimitError)
    assert result.error.message == "the guest ran out of memory and died (limit 2,097,152 bytes)"
    assert (result.error.limit, result.error.used) == (2097152, 2097152)


def test_a_table_cannot_grow_without_bound(start: Start) -> None:
    grow = "(if (i32.eq (table.grow (ref.null func) (i32.const {count})) (i32.const -1)) (then unreachable))"
    assert start(step=grow.format(count=900_000)).run("").status == Status.FINISHED_NO_DATA
    assert lost(start(step=grow.format(count=1_100_000)).run("")) == ("unreachable", "the guest aborted")


def test_an_inbox_that_the_guest_cannot_enlarge_is_a_memory_error(start: Start) -> None:
    result = start().run("", input_data="x" * BOX_BYTES)
    assert isinstance(result.error, MemoryLimitError)
    assert result.error.message == "the inputs do not fit into the memory of the guest (limit 1,073,741,824 bytes)"


TOO_LITTLE = f"the guest reserved 65536 bytes for a frame of {LARGE_BYTES}"
RESERVES = {
    "elsewhere than the header says": (f"(i32.const {SCRATCH})", TOO_LITTLE),
    "less than asked for": (f"(i32.const {INBOX})", TOO_LITTLE),
    "outside memory": (
        f"{set_word(3, MEMORY)} {set_word(5, -1)} (i32.const {MEMORY})",
        f"range {MEMORY:#x}+{LARGE_BYTES:#x} lies outside {END}",
    ),
}


@pytest.mark.parametrize("lie", RESERVES)
def test_a_guest_that_lies_about_a_larger_inbox_is_lost(start: Start, lie: str) -> None:
    reserve, reason = RESERVES[lie]
    result = start(reserve=reserve).run("", input_data=LARGE)
    assert lost(result) == ("bad-frame", f"the guest broke the channel: {reason}")


def test_a_larger_inbox_is_used_when_the_guest_makes_one(start: Start) -> None:
    executor = start(reserve=f"{set_word(3, SCRATCH)} {set_word(5, 2 * BOX_BYTES)} (i32.const {SCRATCH})")
    assert executor.run("", input_data=LARGE).status == Status.FINISHED_NO_DATA


def test_a_larger_inbox_that_takes_for_ever_is_stopped(start: Start) -> None:
    result = start(reserve=f"{FOREVER} (i32.const 0)").run("", input_data="x" * BOX_BYTES, limits=LIMITS)
    assert isinstance(result.error, CpuLimitError)


NOP = frame({"op": "nop"})
ASK_NOP = call("call", SCRATCH, len(NOP), 0, 0)
HOST_CALLS = {
    "log outside memory": (log(MEMORY - 4, 5), f"range {MEMORY - 4:#x}+0x5 lies outside {END}"),
    "log of enormous length": (log(0, -1), f"range 0x0+0xffffffff lies outside {END}"),
    "log at a level that does not exist": (log(0, 1, level=5), "log level 5"),
    "log at a level below zero": (log(0, 1, level=-1), "log level 4294967295"),
    "stdio outside memory": (f"(drop {call('stdio', 2, MEMORY, 1)})", f"range {MEMORY:#x}+0x1 lies outside {END}"),
    "call outside memory": (f"(drop {call('call', MEMORY, 9, 0, 0)})", f"range {MEMORY:#x}+0x9 lies outside {END}"),
    "call of enormous length": (
        f"(drop {call('call', 0, -1, 0, 0)})", "request of 4294967295 bytes, at most 67108864 allowed",
    ),
    "call with a reply outside memory": (
        f"(drop {call('call', SCRATCH, len(NOP), MEMORY, 99)})", f"range {MEMORY:#x}+0x63 lies outside {END}",
    ),
    "call that is no frame": (f"(drop {call('call', 0, 3, 0, 9)})", "frame of 3 bytes"),
    "call that names no operation": (
        f"(drop {call('call', OUTBOX, len(done()), 0, 9)})", "a call names no operation",
    ),
    "reply that nobody asked for": (f"(drop {call('reply', 0, 999)})", "a reply of 0 bytes was fetched into 999"),
    "reply into too little": (
        f"(drop {ASK_NOP}) (drop {call('reply', 0, 1)})", "a reply of 76 bytes was fetched into 1",
    ),
    "reply outside memory": (
        f"(drop {ASK_NOP}) (drop {call('reply', MEMORY - 1, 99)})", f"range {MEMORY - 1:#x}+0x4c lies outside {END}",
    ),
    "reply fetched twice": (
        f"(drop {ASK_NOP}) (drop {call('reply', 0, 99)}) (drop {call('reply', 0, 99)})",
        "a reply of 0 bytes was fetched into 99",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", HOST_CALLS)
def test_a_host_call_with_bad_arguments_ends_the_instance(start: Start, attack: str) -> None:
    step, reason = HOST_CALLS[attack]
    result = start(step=step, data={SCRATCH: NOP}).run("", limits=LIMITS)
    assert lost(result) == ("bad-frame", f"the guest broke the channel: {reason}")


REFUSAL = {"error": {"code": "bad_request", "message": "there is no host call 'nop'"}}


def test_an_unknown_host_call_is_answered_with_an_error(start: Start) -> None:
    length = "(i32.sub (local.get $i) (i32.const 4))"
    at_once, later = SCRATCH + 100, SCRATCH + 1000
    step = f"""(local.set $i {call("call", SCRATCH, len(NOP), at_once, 500)})
      (drop (call $log (i32.const 2) (i32.const {at_once + 4}) {length}))
      (local.set $i {ASK_NOP}) (drop (call $reply (i32.const {later}) (local.get $i)))
      (drop (call $log (i32.const 2) (i32.const {later + 4}) {length}))"""
    result = start(step=step, data={SCRATCH: NOP}).run("")
    assert [json.loads(record.message) for record in result.logs] == [REFUSAL, REFUSAL]
    assert result.status == Status.FINISHED_NO_DATA


def test_unknown_operations_of_a_waiting_guest_are_answered_too(start: Start) -> None:
    asking = waiting(calls=[{"id": 5, "op": "nop"}])
    inbox = f"(i32.const {INBOX + 4}) (i32.sub (i32.load (i32.const {HEADER + 16})) (i32.const 4))"
    step = f"""(if (i32.eq (global.get $steps) (i32.const 1)) (then (local.set $state (i32.const {WAITING}))) (else
      (drop (call $log (i32.const 2) {inbox})) unreachable))"""
    result = start(step=step, outbox=asking).run("", limits=LIMITS)
    assert json.loads(result.logs[0].message) == {"kind": "resume", "completions": [{"id": 5, **REFUSAL}]}


def test_more_calls_than_allowed_at_once_end_the_instance(start: Start) -> None:
    calls = [{"id": number, "op": "http.read"} for number in range(1, 4098)]
    executor = start(state=WAITING, outbox=waiting(calls=calls), pages=16)
    assert lost(executor.run("", limits=LIMITS)) == (
        "bad-frame",
        "the guest broke the channel: more than 4096 calls at once",
    )


TEN = {SCRATCH: b"0123456789"}


def test_a_log_flood_is_cut_at_the_record_limit_and_counted(start: Start) -> None:
    limits = Limits(log_records=100)
    under = start(step=times(100, log(SCRATCH, 10)), data=TEN).run("", limits=limits)
    assert (len(under.logs), under.log_dropped) == (100, 0)
    over = start(step=times(5000, log(SCRATCH, 10)), data=TEN).run("", limits=limits)
    assert (len(over.logs), over.log_dropped, over.status) == (100, 4900, Status.FINISHED_NO_DATA)
    assert {record.message for record in over.logs} == {"0123456789"}


def test_a_log_flood_is_cut_at_the_byte_limit_and_counted(start: Start) -> None:
    result = start(step=times(5000, log(SCRATCH, 10)), data=TEN).run("", limits=Limits(log_bytes=1005))
    assert (len(result.logs), result.log_dropped) == (101, 4900)
    assert result.logs[-1].message == "01234 … [cut: the message has 10 bytes]"


def test_a_flood_of_errors_gets_no_further_than_the_reserve(start: Start) -> None:
    for limits in (Limits(log_records=100), Limits(log_records=100, log_bytes=0)):
        result = start(step=times(5000, log(SCRATCH, 10, level=4)), data=TEN).run("", limits=limits)
        assert (len(result.logs), result.log_dropped) == (300, 4700)


def test_a_log_message_that_is_not_utf8_is_kept_readable(start: Start) -> None:
    result = start(step=log(SCRATCH, 3), data={SCRATCH: b"a\xffb"}).run("")
    assert [(record.level, record.message) for record in result.logs] == [("info", "a\ufffdb")]


def test_drop_counts_of_the_guest_are_added_up(start: Start) -> None:
    result = start(outbox=done(log_dropped=[1, 2, 3, 4, 0])).run("")
    assert (result.log_dropped, result.status) == (10, Status.FINISHED_NO_DATA)
    assert start(outbox=done(log_dropped=[0, 0, 0, 0, 1])).run("").status == Status.FINISHED_WITH_ERRORS


def test_raw_output_of_the_guest_is_kept_as_a_bounded_tail(start: Start) -> None:
    step = times(3, f"(drop {call('stdio', 2, SCRATCH, 5000)})") + "unreachable"
    result = start(step=step, data={SCRATCH + 4995: b"last!"}).run("")
    assert isinstance(result.error, GuestLostError)
    assert len(result.error.detail) == 8192
    assert result.error.detail.endswith("\0last!")


@pytest.mark.timing
@pytest.mark.parametrize("nanoseconds", [2**63 - 1, 10**12])
def test_a_blocking_sleep_ends_at_the_wall_limit(start: Start, nanoseconds: int) -> None:
    result = start(step=f"(drop (call $sleep (i64.const {nanoseconds})))").run("", limits=Limits(wall_seconds=0.2))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, TimeLimitError)
    assert 0.2 <= result.usage.wall_seconds < 0.5
    assert result.usage.cpu_seconds < 0.1


@pytest.mark.timing
@pytest.mark.parametrize("nanoseconds", [-1, 0, 10_000_000])
def test_a_short_blocking_sleep_returns(start: Start, nanoseconds: int) -> None:
    result = start(step=f"(drop (call $sleep (i64.const {nanoseconds})))").run("", limits=Limits(wall_seconds=2))
    assert result.status == Status.FINISHED_NO_DATA
    assert max(0, nanoseconds) / 1e9 <= result.usage.wall_seconds < 0.5


def test_waiting_again_and_again_without_time_passing_ends_at_a_limit(start: Start) -> None:
    result = start(state=WAITING, outbox=waiting(0)).run("", limits=Limits(wall_seconds=0.3, cpu_seconds=5))
    assert isinstance(result.error, TimeLimitError)
    result = start(state=WAITING, outbox=waiting(-1.5)).run("", limits=Limits(wall_seconds=0.3, cpu_seconds=5))
    assert isinstance(result.error, TimeLimitError)


@pytest.mark.timing
@pytest.mark.parametrize("seconds", [5.0, 1e308, 10**30])
def test_a_long_timer_ends_at_the_wall_limit_and_says_where_it_slept(start: Start, seconds: float) -> None:
    asleep = waiting(seconds, where=[{"line": 1, "name": "<statement>"}, {"line": 7, "name": "nap"}])
    result = start(state=WAITING, outbox=asleep).run(TWELVE_LINES, limits=Limits(wall_seconds=0.2))
    assert isinstance(result.error, TimeLimitError)
    assert result.error.message == "out of time (0.2 s) at line 7, in nap()"
    assert 0.2 <= result.usage.wall_seconds < 0.6


def test_nothing_of_one_execution_reaches_the_next(start: Start) -> None:
    remember = f"""(drop (call $log (i32.const 2) (i32.const {SCRATCH}) (i32.const 4)))
      (i32.store (i32.const {SCRATCH}) (i32.const 0x65657266)) (drop (memory.grow (i32.const 1)))"""
    executor = start(step=remember, data={SCRATCH: b"none"})
    results = [executor.run("") for _ in range(50)]
    assert {record.message for result in results for record in result.logs} == {"none"}
    assert {result.usage.peak_memory_bytes for result in results} == {MEMORY + 65536}


ERRORS: dict[str, tuple[dict[str, object], Status, type[Exception], str]] = {
    "raised": (
        {"type": "ZeroDivisionError", "message": "division by zero", "traceback": "tb", "line": 4},
        Status.STATEMENT_RAISED, StatementRaised, "ZeroDivisionError: division by zero (line 4)",
    ),
    "memory": (
        {"type": "MemoryError", "message": "", "traceback": "tb", "line": 4},
        Status.STATEMENT_RAISED, StatementRaised, "MemoryError (line 4)",
    ),
    "output": (
        {"pointer": "/1/a", "rule": "key", "value": "1", "message": "bad key"},
        Status.OUTPUT_REFUSED, OutputError, "bad key",
    ),
    "output-limit": (
        {"limit": 1000, "used": 2000},
        Status.OUTPUT_REFUSED, OutputLimitError, "the rows have 2,000 bytes of JSON; at most 1,000 are allowed",
    ),
    "input": ({"message": "INPUT_DATA is not JSON"}, Status.INPUT_REFUSED, InputError, "INPUT_DATA is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_of_the_guest_becomes_one_of_ours(start: Start, kind: str) -> None:
    fields, status, error_type, message = ERRORS[kind]
    result = start(outbox=failed({"kind": kind, **fields})).run(TWELVE_LINES)
    assert (result.status, type(result.error), str(result.error)) == (status, error_type, message)


@pytest.mark.parametrize("kind", ["syntax", *ERRORS])
def test_an_error_whose_fields_are_of_the_wrong_type_does_no_harm(start: Start, kind: str) -> None:
    names = ["type", "message", "traceback", "line", "pointer", "rule", "value", "limit", "used", "column", "rendered"]
    result = start(outbox=failed({"kind": kind, **{name: [1] for name in names}})).run("")
    assert not result.status.succeeded
    assert result.error is not None
    assert [1] not in result.error.fields().values()


@pytest.mark.timing
def test_a_huge_random_request_neither_fails_nor_runs_away(start: Start) -> None:
    executor = start(step=f"(drop {call('random', SCRATCH, 60000)})")
    assert executor.run("", limits=LIMITS).status == Status.FINISHED_NO_DATA
    big = f"(drop (memory.grow (i32.const 4000))) (loop $l (drop {call('random', 65536, 260_000_000)}) (br $l))"
    begun = time.monotonic()
    result = start(step=big).run("", limits=LIMITS)
    assert not result.status.succeeded
    assert time.monotonic() - begun < 5


def test_memory_reserved_for_the_where_buffer_is_not_read_beyond_the_memory(start: Start) -> None:
    executor = start(step="unreachable", header={9: MEMORY - 2, 10: 4, 11: 4096})
    assert lost(executor.run("", limits=LIMITS)) == ("unreachable", "the guest aborted")
