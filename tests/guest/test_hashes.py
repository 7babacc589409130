"""Dictionaries and sets of keys that differ in their upper half only are as fast as others."""

import pytest

import wasmexec

STATEMENT = """
import time

def seconds(keys):
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        table = dict.fromkeys(keys)
        found = sum(key in table for key in keys)
        best = min(best, time.perf_counter() - start)
    return best

pairs = [a << 32 | b for a in range(400) for b in range(50)]
others = [number * 1_000_003 for number in range(20_000)]
return [{"pairs": seconds(pairs), "others": seconds(others), "hashes": len({hash(key) for key in pairs})}]
"""


@pytest.mark.timing
def test_keys_of_two_halves_take_no_longer_than_others(executor: wasmexec.Executor) -> None:
    result = executor.run(STATEMENT)
    assert result.error is None
    assert result.rows is not None
    (row,) = result.rows
    assert row["hashes"] == 20_000
    assert row["pairs"] < 4 * row["others"]
