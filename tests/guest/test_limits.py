"""Each limit: one run just under, one just over, and the next run still works."""

from __future__ import annotations

import time

import pytest

import wasmexec
from wasmexec import Limits, Status

MIB = 2**20


def logged(result: wasmexec.Result) -> list[str]:
    return [record.message for record in result.logs]


@pytest.fixture(autouse=True)
def _next_run_works(executor: wasmexec.Executor) -> object:
    yield
    assert executor.run("return [{'still': 'fine'}]").rows == [{"still": "fine"}]


@pytest.mark.timing
def test_an_endless_loop_stops_at_the_processor_limit_and_names_its_line(executor: wasmexec.Executor) -> None:
    result = executor.run("x = 1\nwhile True: pass\nreturn []", limits=Limits(cpu_seconds=0.3))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, wasmexec.CpuLimitError)
    assert result.error.message == "out of processor time (0.3 s) at line 2"
    assert (result.error.line, result.error.limit) == (2, 0.3)
    assert 0.3 <= result.usage.cpu_seconds < 0.5
    assert 0.3 <= result.error.used < 0.5


def test_the_innermost_function_is_named(executor: wasmexec.Executor) -> None:
    statement = """
def total():
    n = 0
    while True:
        n += 1

def outer():
    return total()

return [{"n": outer()}]
"""
    result = executor.run(statement, limits=Limits(cpu_seconds=0.2))
    assert isinstance(result.error, wasmexec.CpuLimitError)
    assert result.error.message in {f"out of processor time (0.2 s) at line {line}, in total()" for line in (4, 5)}


def test_a_loop_inside_a_library_is_stopped_and_the_statements_line_named(executor: wasmexec.Executor) -> None:
    statement = "import json\ndata = '[' + ','.join(['1'] * 3_000_000) + ']'\nwhile True:\n    json.loads(data)"
    result = executor.run(statement, limits=Limits(cpu_seconds=1))
    assert isinstance(result.error, wasmexec.CpuLimitError)
    assert result.error.line in (2, 3, 4)


@pytest.mark.timing
def test_one_long_operation_in_c_is_stopped_too(executor: wasmexec.Executor) -> None:
    begun = time.monotonic()
    result = executor.run("x = 7 ** 30_000_000\nreturn []", limits=Limits(cpu_seconds=0.3))
    assert isinstance(result.error, wasmexec.CpuLimitError)
    assert result.error.message == "out of processor time (0.3 s) at line 1"
    assert time.monotonic() - begun < 5


def test_an_interrupted_statement_cannot_catch_its_end(executor: wasmexec.Executor) -> None:
    statement = """
while True:
    try:
        while True:
            pass
    except BaseException:
        log.error("caught")
    finally:
        log.error("finally")
"""
    result = executor.run(statement, limits=Limits(cpu_seconds=0.2))
    assert (result.status, result.logs) == (Status.TIMED_OUT, [])


@pytest.mark.timing
def test_work_below_the_processor_limit_is_done(executor: wasmexec.Executor) -> None:
    result = executor.run("return [{'n': sum(range(100_000))}]", limits=Limits(cpu_seconds=5))
    assert result.rows == [{"n": 4999950000}]
    assert 0 < result.usage.cpu_seconds < 5


@pytest.mark.timing
def test_an_awaiting_statement_stops_at_the_wall_limit_and_names_where_it_waits(executor: wasmexec.Executor) -> None:
    statement = "async def nap():\n    await sleep(60)\nawait nap()\nreturn []"
    result = executor.run(statement, limits=Limits(wall_seconds=0.3))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, wasmexec.TimeLimitError)
    assert result.error.message == "out of time (0.3 s) at line 2, in nap()"
    assert 0.3 <= result.usage.wall_seconds < 0.8
    assert result.usage.cpu_seconds < 0.2


@pytest.mark.timing
def test_a_blocking_sleep_stops_at_the_wall_limit(executor: wasmexec.Executor) -> None:
    result = executor.run("import time\ntime.sleep(60)\nreturn []", limits=Limits(wall_seconds=0.3))
    assert isinstance(result.error, wasmexec.TimeLimitError)
    assert result.error.message == "out of time (0.3 s) at line 2"
    assert result.usage.cpu_seconds < 0.2


@pytest.mark.timing
def test_waiting_below_the_wall_limit_is_done(executor: wasmexec.Executor) -> None:
    statement = "import time\nawait sleep(0.1)\ntime.sleep(0.1)\nreturn []"
    result = executor.run(statement, limits=Limits(wall_seconds=5))
    assert (result.status, 0.2 <= result.usage.wall_seconds < 5) == (Status.FINISHED_NO_DATA, True)


def test_a_string_larger_than_memory_is_a_memory_error_of_the_statement(executor: wasmexec.Executor) -> None:
    result = executor.run('x = "x" * 10**10\nreturn []')
    assert result.status == Status.STATEMENT_RAISED
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert (result.error.type_name, result.error.line) == ("MemoryError", 1)


def test_a_memory_error_can_be_caught_and_the_statement_goes_on(executor: wasmexec.Executor) -> None:
    statement = """
try:
    x = bytearray(400 * 2**20)
except MemoryError:
    return [{"caught": True}]
return [{"caught": False}]
"""
    assert executor.run(statement, limits=Limits(memory_bytes=300 * MIB)).rows == [{"caught": True}]
    assert executor.run(statement, limits=Limits(memory_bytes=700 * MIB)).rows == [{"caught": False}]


def test_filling_memory_little_by_little_ends_with_the_memory_limit(executor: wasmexec.Executor) -> None:
    statement = "rows = []\nwhile True:\n    rows.append('y' * 100_000)"
    result = executor.run(statement, limits=Limits(memory_bytes=256 * MIB))
    assert result.status == Status.RUNTIME_FAILED
    assert isinstance(result.error, wasmexec.MemoryLimitError)
    assert result.error.message == "out of memory at line 3 (limit 268,435,456 bytes)"
    assert result.error.limit == 256 * MIB
    assert 200 * MIB < result.usage.peak_memory_bytes <= 256 * MIB


def test_peak_memory_counts_what_was_freed_again(executor: wasmexec.Executor) -> None:
    idle = executor.run("return []").usage.peak_memory_bytes
    result = executor.run("x = bytearray(100 * 2**20)\ndel x\nreturn []")
    assert result.usage.peak_memory_bytes >= idle + 90 * MIB


@pytest.mark.parametrize("statement", [
    "def f(n): return f(n + 1)\nreturn f(0)",
    "x = []\nfor _ in range(100_000): x = [x]\nreturn [{'x': repr(x)}]",
    "import json\nreturn json.loads('[' * 100_000)",
])  # fmt: skip
def test_deep_recursion_is_a_recursion_error_never_a_trap(executor: wasmexec.Executor, statement: str) -> None:
    result = executor.run(statement)
    assert result.status == Status.STATEMENT_RAISED
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.type_name == "RecursionError"


def test_rows_up_to_the_output_limit_are_accepted_and_no_more(executor: wasmexec.Executor) -> None:
    statement = "return [{'x': 'y' * LocalVariable.N}]"
    limits = Limits(output_bytes=1000)
    size = len('[{"x":""}]')
    under = executor.run(statement, local_variables={"N": 1000 - size}, limits=limits)
    assert (under.status, under.usage.output_bytes) == (Status.FINISHED, 1000)
    over = executor.run(statement, local_variables={"N": 1001 - size}, limits=limits)
    assert (over.status, over.rows) == (Status.OUTPUT_REFUSED, [])
    assert isinstance(over.error, wasmexec.OutputLimitError)
    assert over.error.limit == 1000


def test_an_output_of_300_mb_is_refused_without_being_taken(executor: wasmexec.Executor) -> None:
    result = executor.run("row = {'x': 'y' * 2**20}\nreturn [row] * 300")
    assert result.status == Status.OUTPUT_REFUSED
    assert isinstance(result.error, wasmexec.OutputLimitError)
    assert result.error.limit == 64 * MIB
    assert result.usage.output_bytes == 0


def test_inputs_up_to_the_limit_are_accepted_and_no_more(executor: wasmexec.Executor) -> None:
    statement = "return [{'n': len(INPUT_DATA)}]"
    limits = Limits(input_bytes=100_000)
    assert executor.run(statement, input_data="x" * 99_998, limits=limits).rows == [{"n": 99_998}]
    over = executor.run(statement, input_data="x" * 99_999, limits=limits)
    assert (over.status, str(over.error)) == (
        Status.INPUT_REFUSED, "the input has 100,001 bytes of JSON; at most 100,000 are allowed (limit input_bytes)",
    )  # fmt: skip


def test_an_input_that_does_not_fit_into_memory_is_reported(executor: wasmexec.Executor) -> None:
    limits = Limits(memory_bytes=256 * MIB)
    result = executor.run("return []", input_data="x" * (200 * MIB), limits=limits)
    assert not result.status.succeeded
    assert isinstance(result.error, wasmexec.MemoryLimitError)


def test_log_records_are_kept_up_to_the_limit_and_the_rest_is_counted(executor: wasmexec.Executor) -> None:
    statement = "for i in range(LocalVariable.N): log.info(i)\nreturn []"
    limits = Limits(log_records=50)
    under = executor.run(statement, local_variables={"N": 50}, limits=limits)
    assert (len(under.logs), under.log_dropped) == (50, 0)
    over = executor.run(statement, local_variables={"N": 5000}, limits=limits)
    assert (len(over.logs), over.log_dropped) == (50, 4950)
    assert logged(over)[-1] == "49"


def test_fifty_megabytes_of_log_are_cut_and_counted(executor: wasmexec.Executor) -> None:
    result = executor.run("for _ in range(1000): print('x' * 50_000)\nreturn []")
    assert result.status == Status.FINISHED_NO_DATA
    assert len(result.logs) == 21
    assert result.log_dropped == 980
    assert sum(len(record.message) for record in result.logs) < MIB + 100
    assert logged(result)[-1].endswith(" … [cut: the message has 50,000 bytes]")


@pytest.mark.parametrize("limits", [Limits(log_records=1), Limits(log_bytes=1)])
def test_warnings_and_errors_are_kept_after_the_limits_of_the_log(executor: wasmexec.Executor, limits: Limits) -> None:
    statement = "for text in 'abc': log.info(text)\nlog.warn('w')\nlog.error('e')\nlog.debug('d')\nreturn [{'a': 1}]"
    result = executor.run(statement, limits=limits)
    assert (logged(result), result.log_dropped, result.status) == (["a", "w", "e"], 3, Status.FINISHED_WITH_ERRORS)


def test_no_flood_hides_an_error(executor: wasmexec.Executor) -> None:
    flood = """
import warnings
for number in range(20_000):
    print(number)
    log.warn(number)
    warnings.sys.stderr.write("noise\\n")
print("x" * 3_000_000)
log.warn("y" * 3_000_000)
log.error("z" * 3_000_000)
log.error("the disk is full")
return []
"""
    result = executor.run(flood)
    assert result.status == Status.FINISHED_WITH_ERRORS
    assert logged(result)[-1] == "the disk is full"
    assert logged(result)[-2] == "z" * 4_096 + " … [cut: the message has 3,000,000 bytes]"
    assert len(result.logs) == 10_000 + 100 + 2
    assert result.log_dropped == 60_000 - 10_100 + 2 + 1


def test_errors_beyond_the_reserve_are_counted_to_the_last(executor: wasmexec.Executor) -> None:
    statement = "for n in range(LocalVariable.N): log.error(n)\nreturn []"
    limits = Limits(log_records=10)
    under = executor.run(statement, local_variables={"N": 210}, limits=limits)
    assert (len(under.logs), under.log_dropped, under.status) == (210, 0, Status.FINISHED_WITH_ERRORS)
    over = executor.run(statement, local_variables={"N": 50_000}, limits=limits)
    assert (len(over.logs), over.log_dropped, over.status) == (210, 49_790, Status.FINISHED_WITH_ERRORS)


def test_leaving_the_interpreter_through_an_allowed_module_is_a_lost_guest(executor: wasmexec.Executor) -> None:
    result = executor.run("import warnings\nwarnings.sys.modules['os']._exit(3)\nreturn []")
    assert result.status == Status.RUNTIME_FAILED
    assert isinstance(result.error, wasmexec.GuestLostError)
    assert result.error.message == "the statement ended the interpreter (exit code 3) at line 2"
    assert (result.error.trap, result.error.line) == ("exit", 2)


def test_aborting_the_interpreter_is_a_lost_guest(executor: wasmexec.Executor) -> None:
    result = executor.run("import warnings\nwarnings.sys.modules['os'].abort()\nreturn []")
    assert result.status == Status.RUNTIME_FAILED
    assert isinstance(result.error, wasmexec.GuestLostError)
    assert result.error.line == 2


def test_a_memory_limit_below_the_image_is_refused(executor: wasmexec.Executor) -> None:
    result = executor.run("return []", limits=Limits(memory_bytes=executor.image.memory_bytes - 1))
    assert (result.status, type(result.error)) == (Status.CONFIG_REFUSED, wasmexec.ConfigError)


def test_a_run_with_every_limit_at_its_least_says_what_it_ran_into(executor: wasmexec.Executor) -> None:
    limits = Limits(
        wall_seconds=0.001, cpu_seconds=0.001, memory_bytes=executor.image.memory_bytes, input_bytes=0, output_bytes=0,
        log_bytes=0, log_records=0, http_requests=0, http_concurrent=1, http_bytes=0,
    )  # fmt: skip
    result = executor.run("while True: pass", limits=limits)
    assert result.status == Status.TIMED_OUT
