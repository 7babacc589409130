"""The module `_wasmexec` itself: wrong arguments are errors, frames of any size pass, and exit ends the instance."""

from __future__ import annotations

import pytest

import wasmexec

NATIVE = "import warnings\nnative = warnings.sys.modules['_wasmexec']\nos = warnings.sys.modules['os']\n"


def test_wrong_arguments_are_python_errors_and_never_traps(executor: wasmexec.Executor) -> None:
    statement = """
arguments = [
    (), (None,), (0,), ('x',), (b'x',), ([],), (None, None), (1, 'x', 2), ([], {}, 1.5), ('x', 'y'), ('\\ud800',),
    ([], len, -1), ([], len, 2 ** 80), ([1], None, 10), ([{'a': {}.keys()}], len, 10), (2 ** 40, 'x'), ('{}', 5, 6),
    (memoryview(b'abcdef')[::2],), ('{}', memoryview(b'abcdef')[::2]),
]
allowed = (TypeError, ValueError, OSError, OverflowError, BufferError, native.EncodeError, native.OutputTooLarge)
outcomes = {}
for name in ('put_outbox', 'call', 'encode_rows', 'log', 'take_inbox', 'reseed_crypto'):
    for given in arguments:
        if name == 'call' and given in (('x',), (b'x',)):
            continue  # a well-formed call, which the host takes for an attack
        try:
            getattr(native, name)(*given)
        except allowed as error:
            outcomes.setdefault(name, []).append(type(error).__name__)
return [{'name': name, 'kinds': sorted(set(kinds))} for name, kinds in outcomes.items()]
"""
    result = executor.run(NATIVE + statement)
    result.raise_for_status()
    kinds = {row["name"]: row["kinds"] for row in result.rows}
    assert kinds.keys() == {"put_outbox", "call", "encode_rows", "log", "take_inbox", "reseed_crypto"}
    assert kinds["encode_rows"] == ["EncodeError", "OverflowError", "TypeError", "ValueError"]
    assert kinds["put_outbox"] == ["BufferError", "TypeError", "UnicodeEncodeError"]


@pytest.mark.parametrize("size", [0, 1, 60_000, 70_000, 5_000_000])
def test_inputs_and_rows_of_every_size_pass_both_ways(executor: wasmexec.Executor, size: int) -> None:
    result = executor.run("return [{'v': INPUT_DATA[0]['v'] + '!'}]", input_data=[{"v": "é" * size}])
    result.raise_for_status()
    assert result.rows == [{"v": "é" * size + "!"}]


def test_an_input_outlives_the_frame_it_came_in(executor: wasmexec.Executor) -> None:
    # Large inboxes are handed to the statement's side instead of being copied; the next frame must not overwrite them.
    statement = "kept = INPUT_DATA\nawait sleep(0.01)\nreturn [{'sum': sum(row['n'] for row in kept)}]"
    result = executor.run(statement, input_data=[{"n": index} for index in range(100_000)])
    assert result.rows == [{"sum": sum(range(100_000))}]


@pytest.mark.parametrize("action", ["os._exit(7)", "os.abort()"])
def test_leaving_the_guest_by_force_ends_this_execution_only(executor: wasmexec.Executor, action: str) -> None:
    result = executor.run(NATIVE + action)
    assert result.status == wasmexec.Status.RUNTIME_FAILED
    assert isinstance(result.error, wasmexec.GuestLostError)
    assert executor.run("return [{'a': 1}]").rows == [{"a": 1}]
