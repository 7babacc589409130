# === integers of any size
return [{"n": n, "fact": str(__import__("math").factorial(n)), "bits": (1 << n).bit_length(), "mod": pow(7, 10**n, 1000007)} for n in (1, 5, 30)]
# === floats: repr, rounding, special values
import math
return [{"v": v, "r": repr(v), "round": round(v, 2), "frac": list(v.as_integer_ratio()), "hex": v.hex()} for v in [0.1, 2.675, 1e-323, 1.7976931348623157e308, -0.0, 123456789012345680.0]] + [{"v": math.nan}]
# === math functions
import math
return [{"x": x, "sqrt": math.sqrt(x), "isqrt": math.isqrt(int(x)), "log2": round(math.log2(x), 12), "gamma": round(math.gamma(x), 9), "hyp": math.hypot(x, 3), "gcd": math.gcd(int(x), 12), "comb": math.comb(10, int(x)), "fsum": math.fsum([0.1] * int(x * 10))} for x in (1.0, 2.5, 7.0, 9.75)]
# === itertools
import itertools
return [{"perm": ["".join(p) for p in itertools.permutations("abc")], "comb": [list(c) for c in itertools.combinations(range(4), 2)], "acc": list(itertools.accumulate([1, 2, 3, 4])), "pairs": [list(p) for p in itertools.pairwise("abcd")], "groups": [[k, len(list(g))] for k, g in itertools.groupby("aabbbc")]}]
# === seeded random is the same everywhere
import random
r = random.Random(42)
return [{"u": r.random(), "i": r.randint(1, 100), "g": r.gauss(0, 1), "c": r.choice("abcdef"), "s": r.sample(range(100), 5), "w": r.choices("xyz", [5, 1, 1], k=4)}]
# === numpy seeded generators
import numpy as np
g = np.random.default_rng(7)
l = np.random.RandomState(7)
return [{"pcg": g.random(3).tolist(), "ints": g.integers(0, 1000, 5).tolist(), "norm": g.normal(size=3).tolist(), "legacy": l.rand(3).tolist(), "perm": l.permutation(6).tolist(), "poisson": g.poisson(4, 5).tolist()}]
# === numpy dtypes, overflow and casting
import numpy as np
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    a = np.array([250, 251, 255], dtype=np.uint8) + np.uint8(10)
return [{"wrap": a.tolist(), "item": a.dtype.itemsize, "f16": np.float16(1/3), "f32": np.float32(0.1), "i64": np.int64(2**62), "c": str(np.complex128(1+2j)), "bool": np.bool_(True), "int_size": np.dtype(np.int64).itemsize}]
# === numpy broadcasting, slicing, fancy indexing
import numpy as np
m = np.arange(24).reshape(2, 3, 4)
return [{"a": m[:, 1, ::2].tolist(), "b": m[m % 5 == 0].tolist(), "c": (m.sum(axis=0) - m.mean(axis=0)).tolist(), "d": np.einsum("ijk->ik", m).tolist(), "e": np.where(m > 11, m, -1)[1, 2].tolist()}]
# === numpy linear algebra
# tolerance: 1e-9
import numpy as np
a = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 0.0], [2.0, 0.0, 5.0]])
w, v = np.linalg.eigh(a)
return [{"det": np.linalg.det(a), "inv": np.linalg.inv(a).tolist(), "w": w.tolist(), "solve": np.linalg.solve(a, [1, 2, 3]).tolist(), "norm": np.linalg.norm(a), "rank": int(np.linalg.matrix_rank(a)), "svd": np.linalg.svd(a, compute_uv=False).tolist()}]
# === numpy fft and polynomials
# tolerance: 1e-9
import numpy as np
x = np.sin(np.linspace(0, 4 * np.pi, 16, endpoint=False))
f = np.fft.rfft(x)
p = np.polynomial.Polynomial.fit(range(6), [1, 2, 5, 10, 17, 26], 2).convert()
return [{"abs": np.abs(f).round(9).tolist(), "back": np.allclose(np.fft.irfft(f), x), "coef": p.coef.round(9).tolist(), "roots": np.roots([1, -6, 11, -6]).round(9).tolist()}]
# === numpy statistics
import numpy as np
a = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], dtype=float)
h, e = np.histogram(a, bins=4)
return [{"mean": a.mean(), "std": a.std(), "median": np.median(a), "pct": np.percentile(a, [10, 50, 90]).tolist(), "hist": h.tolist(), "edges": e.tolist(), "sort": np.sort(a).tolist(), "arg": np.argsort(a, kind="stable").tolist(), "uniq": np.unique(a).tolist(), "cum": np.cumsum(a).tolist(), "corr": np.corrcoef(a, a[::-1])[0, 1].round(12)}]
# === numpy strings, dates and structured arrays
import numpy as np
d = np.arange("2024-02-27", "2024-03-02", dtype="datetime64[D]")
r = np.array([(1, "a"), (2, "bc")], dtype=[("n", "i4"), ("s", "U4")])
return [{"days": [str(x) for x in d], "busday": int(np.busday_count("2024-01-01", "2024-02-01")), "names": list(r.dtype.names), "s": r["s"].tolist(), "char": np.char.upper(r["s"]).tolist(), "delta": str(d[-1] - d[0])}]
# === numpy masked arrays
import numpy as np
m = np.ma.masked_greater(np.array([1, 7, 3, 9, 5]), 6)
return [{"sum": m.sum(), "mean": m.mean(), "filled": m.filled(-1).tolist(), "mask": m.mask.tolist(), "compressed": m.compressed().tolist()}]
# === transcendental functions on vectors
# tolerance: 1e-13
import numpy as np
x = np.linspace(-3, 3, 13)
return [{"exp": np.exp(x).tolist(), "tanh": np.tanh(x).tolist(), "log": np.log(np.abs(x) + 1).tolist(), "sinc": np.sinc(x).tolist(), "erf_like": (x / np.sqrt(1 + x * x)).tolist(), "arctan2": np.arctan2(x, 1.5).tolist()}]
# === floor division, divmod and bit operations
return [{"a": a, "b": b, "floor": a // b, "mod": a % b, "and": a & b, "xor": a ^ b, "shift": a >> 2, "round": round(a / b, 3)} for a, b in [(7, 3), (-7, 3), (7, -3), (2**40 + 1, 2**20), (-(2**70), 12345)]]
# === numpy's floating-point warnings: functions of arrays, scalars, in place
import itertools
import warnings
import numpy as np
values = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e300, -1e300, 1e-300, np.inf, -np.inf, np.nan]
unary = ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "reciprocal", "sin", "cos", "tan",
         "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "cbrt", "rint", "floor",
         "ceil", "trunc", "negative", "absolute", "fabs", "sign", "isnan", "isfinite", "signbit", "deg2rad"]
binary = ["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "fmod", "power", "maximum", "minimum",
          "fmax", "fmin", "copysign", "hypot", "arctan2", "greater", "equal"]
def told(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    return sorted({str(w.message) for w in caught})
rows = []
for name, kind in itertools.product(unary, ("f8", "f4", "c16")):
    function = getattr(np, name)
    # Whether complex NaN is invalid is up to the C library.
    for value in values[: -1 if kind == "c16" else None]:
        with np.errstate(all="ignore"):
            x = np.array([2.0, value, 2.0]).astype(kind)
        try:
            rows.append({"what": f"{name} {kind} {value}", "told": told(lambda: function(x))})
            if kind == "f8":
                rows.append({"what": f"{name} in place {value}", "told": told(lambda: function(x, out=x, casting="unsafe"))})
        except TypeError:
            pass
for name, kind in itertools.product(binary, ("f8", "f4")):
    function = getattr(np, name)
    for a, b in itertools.product(values, values):
        # An overflow, and invalid besides where the compiler fuses multiplication and addition.
        if name == "floor_divide" and abs(b) == 1e-300 and a:
            continue
        with np.errstate(all="ignore"):
            x, y = np.array([2.0, a, 2.0]).astype(kind), np.array([2.0, b, 2.0]).astype(kind)
        rows.append({"what": f"{name} {kind} {a} {b}", "told": told(lambda: function(x, y))})
        if kind == "f8" and function(x, y).dtype == x.dtype:
            rows.append({"what": f"{name} in place {a} {b}", "told": told(lambda: function(x.copy(), y, out=x))})
            copy = x.copy()
            rows.append({"what": f"{name} onto itself {a} {b}", "told": told(lambda: function(copy, y, out=copy))})
return [row for row in rows if row["told"]] + [{"what": "all", "told": [str(len(rows))]}]
# === numpy's floating-point warnings: scalars, reductions, casts
import itertools
import warnings
import numpy as np
values = [0.0, 1.0, -1.0, 2.5, 1e300, 1e-300, 3e9, -3e9, 300.0, 1e20, np.inf, -np.inf, np.nan]
def told(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            work()
        except (ValueError, OverflowError) as error:
            return [f"{type(error).__name__}: {error}"]
    return sorted({str(w.message) for w in caught})
rows = []
operators = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "truediv": lambda x, y: x / y,
             "floordiv": lambda x, y: x // y, "mod": lambda x, y: x % y, "pow": lambda x, y: x ** y}
for (name, function), kind in itertools.product(operators.items(), ("f8", "f4", "f2", "c16")):
    if (kind == "c16" and name not in ("add", "sub")) or (kind == "f2" and name == "mod"):
        continue
    for a, b in itertools.product(values, values):
        if name == "floordiv" and b == 1e-300 and a:
            continue
        with np.errstate(all="ignore"):
            x, y = np.array([a, b]).astype(kind)
        try:
            rows.append({"what": f"scalar {name} {kind} {a} {b}", "told": told(lambda: function(x, y))})
        except TypeError:
            pass
for a, b in itertools.product((0, 1, -1, 7), (0, 1, -1)):
    for name in ("truediv", "floordiv", "mod"):
        rows.append({"what": f"int {name} {a} {b}", "told": told(lambda: operators[name](np.int64(a), np.int64(b)))})
        rows.append({"what": f"ints {name} {a} {b}", "told": told(lambda: operators[name](np.array([1, a]), np.array([1, b])))})
for a, b in itertools.product(values, values):
    x = np.array([1.0, a, b, 1.0])
    for name in ("sum", "prod", "max", "mean", "cumsum", "cumprod"):
        rows.append({"what": f"{name} {a} {b}", "told": told(getattr(x, name))})
for target in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "c8", "?"):
    for source, value in itertools.product(("f8", "f4"), values):
        with np.errstate(all="ignore"):
            x = np.full(3, value).astype(source)
        rows.append({"what": f"{source} {value} to {target}", "told": told(lambda: x.astype(target))})
rows.append({"what": "an empty mean", "told": told(lambda: np.mean([]))})
rows.append({"what": "variance of one", "told": told(lambda: np.var([1.0], ddof=1))})
rows.append({"what": "many", "told": told(lambda: np.arange(-5000.0, 5000.0) / np.arange(-5000.0, 5000.0))})
rows.append({"what": "log of many", "told": told(lambda: np.log(np.arange(10_000.0)[::-1]))})
big = np.arange(10_000.0)
rows.append({"what": "in place, many", "told": told(lambda: np.divide(big, np.roll(big, 7000), out=big)), "kept": [repr(x) for x in big[::500]]})
def raising(**settings):
    try:
        with np.errstate(**settings):
            np.array([1.0, 0.0]) / np.array([0.0, 0.0])
    except FloatingPointError as error:
        return [str(error)]
    return []
rows.append({"what": "raise", "told": raising(divide="raise", invalid="ignore") + raising(invalid="raise", divide="ignore") + raising(all="ignore")})
return [row for row in rows if row["told"]] + [{"what": "all", "told": [str(len(rows))]}]
