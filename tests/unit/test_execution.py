"""The life of an execution: waiting without a thread, cancelling anywhere, delivering the log, closing down.

Runs on hand-written guests, so that every moment is under control; tests/guest repeats what matters with the real one.
"""

from __future__ import annotations

import asyncio
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fake_guest import (
    FOREVER,
    HEADER,
    SCRATCH,
    WAITING,
    FakeGuest,
    call,
    done,
    log,
    set_word,
    times,
    waiting,
)

from wasmexec import (
    ConfigError,
    ExecutionCancelled,
    Executor,
    GuestLostError,
    InputError,
    Limits,
    LogRecord,
    OutputError,
    Result,
    SchemaError,
    StatementSyntaxError,
    Status,
    TimeLimitError,
)

Start = Callable[..., Executor]
SLEEP_FOREVER = "(drop (call $sleep (i64.const 9000000000000000000)))"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes an executor on a fake guest."""
    opened: list[Executor] = []

    def make(workers: int | None = None, **parts: Any) -> Executor:
        opened.append(Executor(FakeGuest(**parts).build(tmp_path, f"fake{len(opened)}"), workers=workers))
        return opened[-1]

    yield make
    for executor in opened:
        executor.close()


def naps(count: int, seconds: float) -> dict[str, Any]:
    """A guest that waits `count` times for a timer, then returns one row."""
    nap, rows = waiting(seconds), done(b'[{"a":1}]')
    return {
        "outbox": rows,
        "data": {SCRATCH: nap},
        "step": f"""(if (i32.le_u (global.get $steps) (i32.const {count}))
            (then (local.set $state (i32.const {WAITING})) {set_word(6, SCRATCH)} {set_word(7, len(nap))})
            (else {set_word(6, 0x20000)} {set_word(7, len(rows))}))""",
    }


def new_threads(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread not in before and "ticker" not in thread.name]


@pytest.mark.timing
def test_a_statement_that_waits_goes_on_when_its_timer_is_due(start: Start) -> None:
    result = start(**naps(3, 0.05)).run("")
    assert (result.status, result.rows) == (Status.FINISHED, [{"a": 1}])
    assert 0.15 <= result.usage.wall_seconds < 1
    assert result.usage.cpu_seconds < 0.1


@pytest.mark.timing
def test_hundreds_that_wait_need_only_the_workers_of_one_executor(start: Start) -> None:
    executor = start(workers=2, **naps(1, 0.5))
    before = set(threading.enumerate())

    async def main() -> list[Result]:
        tasks = [asyncio.create_task(executor.run_async("")) for _ in range(300)]
        await asyncio.sleep(0.2)
        assert set(new_threads(before)) <= {
            "wasmexec-timers", "wasmexec-worker-1", "wasmexec-worker-2",
        }  # fmt: skip
        return await asyncio.gather(*tasks)

    begun = time.monotonic()
    results = asyncio.run(main())
    assert time.monotonic() - begun < 5
    assert [result.rows for result in results] == [[{"a": 1}]] * 300


def test_results_reach_those_who_asked_for_them(start: Start) -> None:
    inbox = f"(i32.load (i32.const {HEADER + 12})) (i32.load (i32.const {HEADER + 16}))"
    executor = start(step=f"(drop (call $log (i32.const 2) {inbox}))")
    failures: list[str] = []

    def use(name: str) -> None:
        for number in range(30):
            statement = f"<{name}-{number}>"
            if statement not in executor.run(statement).logs[0].message:
                failures.append(statement)

    async def use_async() -> None:
        results = await asyncio.gather(*(executor.run_async(f"<async-{number}>") for number in range(60)))
        failures.extend(str(n) for n, result in enumerate(results) if f"<async-{n}>" not in result.logs[0].message)

    threads = [threading.Thread(target=use, args=(f"thread{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(use_async())
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    "parts",
    [{"step": FOREVER}, {"step": SLEEP_FOREVER}, {"state": WAITING, "outbox": waiting(3600)}],
    ids=["computing", "blocking", "waiting"],
)
def test_cancelling_the_task_ends_the_execution_wherever_it_is(start: Start, parts: dict[str, Any]) -> None:
    executor = start(**parts)

    async def main() -> float:
        task = asyncio.create_task(executor.run_async("", limits=Limits(wall_seconds=60, cpu_seconds=60)))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begun

    assert asyncio.run(main()) < 0.5
    assert executor.statistics().executions == 0


def test_a_cancelled_task_that_has_not_started_never_gets_an_instance(start: Start) -> None:
    executor = start(workers=1, step=FOREVER)

    async def main() -> None:
        first = asyncio.create_task(executor.run_async(""))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(executor.run_async(""))
        await asyncio.sleep(0.1)
        second.cancel()
        first.cancel()
        for task in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_a_timeout_of_the_caller_cancels_the_execution(start: Start) -> None:
    executor = start(step=FOREVER)

    async def main() -> None:
        async with asyncio.timeout(0.2):
            await executor.run_async("")

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert executor.statistics().executions == 0


def test_closing_cancels_what_runs_with_its_place_and_its_log(start: Start) -> None:
    executor = start(step=log(SCRATCH, 2) + FOREVER, data={SCRATCH: b"hi"}, where=b'[{"line":4,"function":"f"}]')
    before = set(threading.enumerate())
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(executor.run("\n\n\n")))
    thread.start()
    time.sleep(0.2)
    executor.close()
    thread.join(5)
    assert results[0].status == Status.CANCELLED
    assert isinstance(results[0].error, ExecutionCancelled)
    assert results[0].error.message == "cancelled at line 4, in f()"
    assert (results[0].error.line, results[0].error.function) == (4, "f")
    assert [record.message for record in results[0].logs] == ["hi"]
    assert new_threads(before) == []


@pytest.mark.timing
def test_an_interrupt_from_the_keyboard_cancels_the_run_and_is_passed_on(start: Start) -> None:
    executor = start(step=FOREVER)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    timer = threading.Timer(0.2, signal.pthread_kill, [main_thread, signal.SIGINT])
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        executor.run("")
    timer.join()
    assert time.monotonic() - begun < 2
    assert executor.statistics().executions == 0


def test_the_wall_clock_starts_when_a_worker_takes_the_statement(start: Start) -> None:
    executor = start(workers=1, step="(drop (call $sleep (i64.const 200000000)))")
    limits = Limits(wall_seconds=0.5)

    async def main() -> list[Result]:
        return await asyncio.gather(*(executor.run_async("", limits=limits) for _ in range(5)))

    assert {result.status for result in asyncio.run(main())} == {Status.FINISHED_NO_DATA}


@pytest.mark.timing
def test_a_waiting_statement_ends_at_its_wall_limit(start: Start) -> None:
    executor = start(**naps(50, 0.1))
    result = executor.run("", limits=Limits(wall_seconds=0.35))
    assert (result.status, type(result.error)) == (Status.TIMED_OUT, TimeLimitError)
    assert 0.35 <= result.usage.wall_seconds < 0.6
    assert executor.run("", limits=Limits(wall_seconds=10)).status == Status.FINISHED


def test_log_records_are_delivered_in_order_while_the_guest_runs(start: Start) -> None:
    step = times(3, f"{log(SCRATCH, 1)} (drop (call $sleep (i64.const 50000000)))")
    executor = start(step=step, data={SCRATCH: b"x"})
    seen: list[tuple[float, LogRecord]] = []
    result = executor.run("", on_log=lambda record: seen.append((time.monotonic(), record)))
    assert [record for _, record in seen] == result.logs
    assert len(seen) == 3
    assert seen[2][0] - seen[0][0] > 0.08
    assert time.monotonic() - seen[0][0] > 0.13


@pytest.mark.timing
def test_a_slow_callback_holds_up_the_result_but_not_the_guest(start: Start) -> None:
    executor = start(step=times(5, log(SCRATCH, 1)), data={SCRATCH: b"x"})
    seen: list[LogRecord] = []

    def slow(record: LogRecord) -> None:
        time.sleep(0.05)
        seen.append(record)

    result = executor.run("", on_log=slow, limits=Limits(wall_seconds=0.2))
    assert (result.status, len(seen)) == (Status.FINISHED_NO_DATA, 5)
    assert result.usage.wall_seconds < 0.2


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_becomes_one_warning(start: Start, kind: type[BaseException]) -> None:
    executor = start(step=times(3, log(SCRATCH, 1)), data={SCRATCH: b"x"})
    calls = 0

    def broken(record: LogRecord) -> None:
        nonlocal calls
        calls += 1
        raise kind("oops")

    result = executor.run("", on_log=broken)
    assert (result.status, result.warnings, calls) == (
        Status.FINISHED_NO_DATA, [f"on_log raised {kind.__name__}: oops"], 3,
    )  # fmt: skip
    assert executor.run("").warnings == []


def test_secrets_are_masked_in_logs_errors_and_callbacks_but_not_in_rows(start: Start) -> None:
    seen: list[str] = []
    executor = start(step=log(SCRATCH, 9), data={SCRATCH: b"is s3cret"}, outbox=done(b'[{"a":"s3cret"}]'))
    result = executor.run("", secrets={"KEY": "s3cret"}, on_log=lambda record: seen.append(record.message))
    assert ([record.message for record in result.logs], seen) == (["is ***"], ["is ***"])
    assert result.rows == [{"a": "s3cret"}]
    refused = executor.run(
        "", secrets={"KEY": "s3cret"}, output_schema={"type": "object", "properties": {"a": {"type": "integer"}}}
    )
    assert (refused.status, type(refused.error)) == (Status.OUTPUT_REFUSED, OutputError)
    assert "s3cret" not in f"{refused.error} {refused.error.fields() if refused.error else ''}"
    assert "***" in str(refused.error)


@pytest.mark.parametrize("secret", ["x", "ab", " a\n", "  \n"])
def test_a_secret_that_is_too_short_to_hide_is_refused_and_an_empty_one_ignored(start: Start, secret: str) -> None:
    executor = start(step=log(SCRATCH, 9), data={SCRATCH: b"ab c axbx"}, outbox=done(b'[{"a":1}]'))
    refused = executor.run("", secrets={"KEY": secret})
    assert refused.status == Status.CONFIG_REFUSED
    assert str(refused.error) == (
        "secret KEY: it has fewer than 3 characters, too few to be hidden without spoiling every text; "
        "give it as a local variable if it is not secret"
    )
    for harmless in ("", "abc"):
        taken = executor.run("", secrets={"KEY": harmless})
        assert [record.message for record in taken.logs] == ["ab c axbx"]


def test_more_secrets_than_can_be_hidden_are_refused(start: Start) -> None:
    executor = start(step=log(SCRATCH, 9), data={SCRATCH: b"ab c axbx"}, outbox=done(b'[{"a":1}]'))
    long = {f"K{n}": "k" * 65_536 for n in range(4)}
    many = {f"K{n}": "secret" for n in range(256)}
    refused = {
        "secret KEY: it has 65,537 characters; at most 65,536 can be hidden": {"KEY": "k" * 65_537},
        "the secrets have 262,150 characters together; at most 262,144 can be hidden": {**long, "KEY": "secret"},
        "there are 257 secrets; at most 256 can be hidden": {**many, "KEY": "secret"},
    }
    for message, secrets in refused.items():
        result = executor.run("", secrets=secrets)
        assert result.status == Status.CONFIG_REFUSED
        assert str(result.error).startswith(message)
    for secrets in ({"KEY": "k" * 65_536}, long, many):
        # The inbox of this guest has no room for all of them.
        assert executor.run("", secrets=secrets).status != Status.CONFIG_REFUSED


def test_the_end_of_what_a_dead_guest_wrote_has_no_piece_of_a_secret(start: Start) -> None:
    secret = "".join(chr(33 + number * 7 % 90) for number in range(600))
    text = f"{'-' * 500}{secret}{'.' * 8000}".encode()
    write = f"(drop {call('stdio', 2, SCRATCH, len(text))}) unreachable"
    executor = start(step=write, data={SCRATCH: text})
    shown = executor.run("").error
    assert isinstance(shown, GuestLostError)
    assert shown.detail == text[-8192:].decode()
    hidden = executor.run("", secrets={"KEY": secret}).error
    assert isinstance(hidden, GuestLostError)
    assert hidden.detail == f"***{'.' * 8000}"


def test_raw_output_of_a_dead_guest_is_masked(start: Start) -> None:
    write = f"(drop {call('stdio', 2, SCRATCH, 9)}) unreachable"
    result = start(step=write, data={SCRATCH: b"is s3cret"}).run("", secrets={"KEY": "s3cret"})
    assert isinstance(result.error, GuestLostError)
    assert result.error.detail == "is ***"


def test_what_is_refused_before_the_start_is_a_result_without_usage(start: Start) -> None:
    executor = start()
    cases: list[tuple[dict[str, Any], Status, type[Exception]]] = [
        ({"input_data": b"\xff"}, Status.INPUT_REFUSED, InputError),
        ({"output_schema": {"type": "no such type"}}, Status.CONFIG_REFUSED, SchemaError),
        ({"local_variables": {"X": []}}, Status.CONFIG_REFUSED, ConfigError),
        ({"statement": "'\ud800'"}, Status.CONFIG_REFUSED, StatementSyntaxError),
    ]
    for options, status, kind in cases:
        result = executor.run(**{"statement": "", **options})
        assert (result.status, type(result.error), result.usage.wall_seconds) == (status, kind, 0)
        assert asyncio.run(executor.run_async(**{"statement": "", **options})).status == status


def test_arguments_of_the_wrong_type_are_the_callers_mistake(start: Start) -> None:
    executor = start()
    with pytest.raises(TypeError, match=r"run\(\) got an unexpected keyword argument 'inputs'$"):
        executor.run("", inputs=[])  # type: ignore[call-arg]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"limits": {}}, "limits must be Limits(...), not dict"),
        ({"limits": None}, "limits must be Limits(...), not NoneType"),
        ({"grants": ["a.example"]}, "grants must be Grants(...), not list"),
        ({"on_log": "print"}, "on_log must be callable, not str"),
        ({"extra_inputs": "[]"}, "extra_inputs must be a sequence of inputs, not str"),
        ({"extra_inputs": {}}, "extra_inputs must be a sequence of inputs, not dict"),
    ]
    for options, message in wrong:
        with pytest.raises(TypeError, match=rf"^{re.escape(message)}$"):
            executor.run("", **options)
    with pytest.raises(TypeError, match=r"^the statement must be a str, not bytes$"):
        executor.run(b"return []")  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 257, 1.5, True, "2"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(workers: Any) -> None:
    with pytest.raises(ConfigError, match=r"^workers must be a whole number from 1 to 256, not "):
        Executor(workers=workers)


def test_rows_that_the_schema_refuses_are_an_output_error(start: Start) -> None:
    executor = start(outbox=done(b'[{"a":1},{"a":"x"}]'))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    result = executor.run("", output_schema=schema)
    assert (result.status, result.rows) == (Status.OUTPUT_REFUSED, [])
    assert isinstance(result.error, OutputError)
    assert (result.error.pointer, result.error.rule) == ("/1/a", "type")
    assert executor.run("", output_schema={"type": "object"}).status == Status.FINISHED


def test_our_own_faults_are_raised_to_the_caller_and_the_worker_lives_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = start(workers=1)
    with monkeypatch.context() as broken:
        broken.setattr("wasmexec._execution.outcome.blob_part", lambda frame, part: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            executor.run("")
        with pytest.raises(ZeroDivisionError):
            asyncio.run(executor.run_async(""))
    assert executor.run("").status == Status.FINISHED_NO_DATA


def test_a_thousand_runs_leave_nothing_behind(start: Start) -> None:
    import psutil

    executor = start(pages=64, step="(memory.fill (i32.const 0x40000) (i32.const 1) (i32.const 0x100000))")
    executor.run("")
    process = psutil.Process()
    for _ in range(100):
        executor.run("")
    before = process.memory_info().rss
    for _ in range(1000):
        executor.run("")
    assert process.memory_info().rss - before < 20 * 2**20
