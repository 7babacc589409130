"""numpy's default integer has 64 bits in the guest, as on a 64-bit machine, although pointers have 32."""

import wasmexec

CASES = """
import numpy as np
import pandas as pd

def name_of_error(function):
    try:
        function()
    except Exception as error:
        return type(error).__name__
    return "none"

a = np.arange(10)
df = pd.DataFrame({"k": np.array([1, 1, 2])})
df["wide"] = np.array([1, 2, 3]) * 2_000_000_000
np.save("/tmp/a.npy", a)
return [
    {"case": "dtype", "value": str(np.array([1]).dtype)},
    {"case": "product", "value": (np.array([2_000_000_000]) * 2).tolist()[0]},
    {"case": "scalar", "value": int(np.int64(2**40) * 3)},
    {"case": "sum", "value": int(np.array([2**31 - 1, 1]).sum())},
    {"case": "text", "value": int(np.fromstring("1 2 4294967296", dtype=int, sep=" ")[2])},
    {"case": "file", "value": np.load("/tmp/a.npy").tolist()},
    {"case": "buffer", "value": memoryview(np.array([2**40])).tolist()},
    {"case": "bincount", "value": np.bincount(np.array([0, 1, 1])).tolist()},
    {"case": "groupby", "value": df.groupby("k")["wide"].sum().tolist()},
    {"case": "index too large", "value": name_of_error(lambda: a.take(np.array([2**32])))},
    {"case": "array too large", "value": name_of_error(lambda: np.ones(500_000_000))},
]
"""


def test_integers_are_as_wide_as_on_a_64_bit_machine(executor: wasmexec.Executor) -> None:
    result = executor.run(CASES)
    result.raise_for_status()
    assert {row["case"]: row["value"] for row in result.rows} == {
        "dtype": "int64",
        "product": 4_000_000_000,
        "scalar": 3 * 2**40,
        "sum": 2**31,
        "text": 2**32,
        "file": list(range(10)),
        "buffer": [2**40],
        "bincount": [1, 2],
        "groupby": [6_000_000_000, 6_000_000_000],
        "index too large": "IndexError",
        "array too large": "MemoryError",
    }
