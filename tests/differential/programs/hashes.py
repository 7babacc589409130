# === hash() of numbers, texts and what is made of them
import datetime
import random

import numpy as np
import pandas as pd

source = random.Random(7)
day = datetime.datetime(2000, 1, 1)
zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))
kinds = {
    "small integers": [source.randrange(-(10**4), 10**4) for _ in range(700)],
    "integers near powers of two": [sign * 2**bits + more for bits in range(0, 130) for sign in (1, -1) for more in (-1, 0, 1)],
    "wide integers": [source.randrange(-(10**60), 10**60) for _ in range(500)],
    "floats": [source.uniform(-1e9, 1e9) for _ in range(700)],
    "floats of every exponent": [source.choice((1, -1)) * 2.0**exponent * source.random() for exponent in range(-1070, 1023, 3)],
    "special floats": [0.0, -0.0, 0.1, -1.0, -2.0, 1e308, 5e-324, float("inf"), -float("inf"), 2.0**61 - 1, 2.0**61],
    "complex numbers": [complex(source.uniform(-5, 5), source.uniform(-1e12, 1e12)) for _ in range(500)],
    "texts": ["", "a", "é", "\U0001f600", *(f"text {number}" for number in range(400)), *("ř" * length for length in range(100))],
    "bytes": [b"", *(b"bytes %d" % number for number in range(500))],
    "pairs": [(source.randrange(-99, 99), source.random()) for _ in range(600)],
    "nested tuples": [((number, (str(number), -number)), (), (None is number, b"x" * (number % 7))) for number in range(500)],
    "frozensets": [frozenset(source.sample(range(-200, 200), number % 60)) for number in range(500)],
    "frozensets of texts": [frozenset(f"{number}{letter}" for letter in "abcdef"[: number % 7]) for number in range(400)],
    "ranges": [range(number, 5 + number * source.randrange(2, 9) ** 9, source.choice((1, 2))) for number in range(400)],
    "dates": [(day + datetime.timedelta(days=number * 31)).date() for number in range(400)],
    "datetimes": [day + datetime.timedelta(seconds=source.randrange(10**9), microseconds=number) for number in range(500)],
    "datetimes with a zone": [(day + datetime.timedelta(minutes=number)).replace(tzinfo=zone) for number in range(300)],
    "times and timedeltas": [*(datetime.time(number % 24, number % 60) for number in range(200)), *(datetime.timedelta(number, 7) for number in range(200))],
    "numpy's integers": [kind(number) for kind in (np.int8, np.int16, np.int32, np.int64) for number in range(-64, 64)] + [np.uint32(2**32 - 1), np.int32(-(2**31)), np.uint64(2**64 - 1), np.int64(-1), np.int32(-1)],
    "numpy's floats": [kind(source.random()) for kind in (np.float16, np.float32, np.float64, np.complex128) for _ in range(120)],
    "numpy's times": [*np.arange("2000-01-01T00:00", "2000-01-01T05:00", dtype="datetime64[m]"), *np.arange(10**10, 10**10 + 200).astype("timedelta64[ns]"), np.datetime64("NaT"), np.timedelta64(-1, "s")],
    "pandas' times": [*pd.date_range("2000-01-01", periods=200, freq="37h"), *pd.date_range("1999-12-31", periods=100, freq="7ns", tz="UTC"), *pd.timedelta_range("1h", periods=200, freq="13s"), pd.NaT],
    "pandas' periods and intervals": [*pd.period_range("2000-01", periods=100, freq="M"), *pd.interval_range(0, 50), *pd.interval_range(0.5, 50.5), pd.NA, pd.offsets.Day(3)],
}
return [{"kind": kind, "values": len(values), "hashes": [hash(value) for value in values]} for kind, values in kinds.items()]

# === the order of sets
import random

source = random.Random(3)
sets = {
    "floats": {source.uniform(-1000, 1000) for _ in range(300)},
    "negative integers": set(range(-300, 10, 7)),
    "wide integers": {source.randrange(10**15) for _ in range(300)},
    "pairs": {(x, y) for x in range(-9, 9) for y in range(9)},
    "texts": {f"name {number}" for number in range(300)},
    "texts after removal": {"a", "b", "c", "d", "e"} - {"b", "d"} | {"é", "zz"},
    "bytes": {b"%d" % number for number in range(100)},
    "frozensets": {frozenset({number, -number, number / 7}) for number in range(60)},
    "mixed": {1, 1.5, "1.5", (1, 5), b"1.5", frozenset("15"), 2**70, -1, 15j},
    "keys that collide in 32 bits": {a << 32 | b for a in range(30) for b in range(3)},
}
rows = [{"set": name, "order": [sorted(map(str, item)) if isinstance(item, frozenset) else str(item) for item in items]} for name, items in sets.items()]
for number in range(0, 300, 7):
    grown = set()
    for item in range(number):
        grown.add(item * -1.25)
        if item % 3 == 0:
            grown.discard(item // 2 * -1.25)
    rows.append({"set": f"grown to {number}", "order": [str(item) for item in grown]})
both = {*"abcdefgh"} & {*"fedcxyz"}
rows.append({"set": "popped", "order": [both.pop() for _ in range(len(both))]})
return rows

# === random numbers from a seed that is no integer
import random

rows = []
for seed in [1.5, -0.1, 1e300, (1, 2), "text", b"bytes", 2**70, -5, 3.0, frozenset({1.5})]:
    if isinstance(seed, (tuple, frozenset)):
        seed = hash(seed)
    random.seed(seed)
    rows.append({"seed": str(seed), "numbers": [random.random(), random.randrange(10**30), random.gauss(0, 1), *random.sample(range(100), 5)]})
return rows
