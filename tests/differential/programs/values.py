# === numpy and pandas scalars in rows
import numpy as np
import pandas as pd
import datetime
return [{"i8": np.int8(-5), "u64": np.uint64(2**63), "f32": np.float32(1.5), "b": np.bool_(False), "s": np.str_("x"), "nan": np.nan, "nat": pd.NaT, "na": pd.NA, "ts": pd.Timestamp("2024-01-02 03:04:05.6"), "date": datetime.date(2024, 1, 2), "dt": datetime.datetime(2024, 1, 2, 3, 4, 5, 600), "tz": pd.Timestamp("2024-01-02", tz="Europe/Prague"), "bytes": b"\x00\xff", "nested": {"list": [np.int64(1), (2, 3)], "deep": [{"x": np.float64(0.1)}]}}]
# === the rows of the product page
users = [
    { "name": "Alice" },
    { "name": "Bob" },
    { "name": "Charlie" },
]
return users
# === input rows are plain objects
rows = [{"id": 1, "tags": ["a", "b"], "n": None}, {"id": 2, "tags": [], "n": 1.5}]
return [{**r, "count": len(r["tags"])} for r in rows]
