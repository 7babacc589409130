# === positions and counts of numpy, and arithmetic on them
import numpy as np

a = np.array([3, 1, 2, 3, 0, 2])
b = a.reshape(2, 3)
text = np.array(["b", "a", "b"])
found = {
    "argsort": a.argsort(),
    "argsort stable": np.argsort(a, kind="stable"),
    "argpartition": np.argpartition(a, 2)[:1] * 0,
    "argmax": a.argmax(),
    "argmax axis": b.argmax(axis=1),
    "argmin": np.argmin(b, axis=0),
    "nanargmax": np.nanargmax(np.array([1.0, np.nan, 3.0])),
    "nonzero": a.nonzero()[0],
    "flatnonzero": np.flatnonzero(a),
    "where": np.where(a > 1)[0],
    "argwhere": np.argwhere(b),
    "count_nonzero": np.count_nonzero(a),
    "count_nonzero axis": np.count_nonzero(b, axis=0),
    "bincount": np.bincount(a),
    "histogram": np.histogram([1] * 3, bins=3, range=(1, 4))[0],
    "histogram2d": np.histogram2d([1, 2], [1, 2], bins=2)[0],
    "searchsorted": np.searchsorted([1, 2, 3], a),
    "searchsorted one": np.searchsorted([1, 2, 3], 2),
    "digitize": np.digitize(a, [1, 2]),
    "unique index": np.unique(a, return_index=True)[1],
    "unique inverse": np.unique(a, return_inverse=True)[1],
    "unique counts": np.unique(text, return_counts=True)[1],
    "lexsort": np.lexsort((a, a[::-1])),
    "ravel_multi_index": np.ravel_multi_index(([1, 0], [2, 1]), (2, 3)),
    "ravel_multi_index large": np.ravel_multi_index((70_000, 70_000), (100_000, 100_000)),
    "unravel_index": np.unravel_index([4, 5], (2, 3))[0],
    "unravel_index large": np.unravel_index(7_000_070_000, (100_000, 100_000))[1],
    "indices": np.indices((2, 2)),
    "diag_indices": np.diag_indices(3)[0],
    "tril_indices": np.tril_indices(3)[0],
    "triu_indices_from": np.triu_indices_from(np.eye(3))[1],
    "ix_": np.ix_([True, False, True], [1, 2])[0],
    "intersect1d": np.intersect1d([1, 2, 3], [2, 3], return_indices=True)[1],
    "char.count": np.char.count(["aba", "b"], "a"),
    "char.find": np.char.find(["aba", "b"], "b"),
    "char.str_len": np.char.str_len(["aba", "b"]),
    "random.permutation": np.random.default_rng(1).permutation(5),
    "random.choice": np.random.RandomState(1).choice(5, 3),
    "random.multinomial": np.random.default_rng(1).multinomial(5, [0.5, 0.5]),
    "ma.count": np.ma.array([[1, 2]], mask=[[0, 1]]).count(axis=0),
    "intp": np.array([1], dtype=np.intp),
    "uintp": np.array([1], dtype=np.uintp),
    "mask index": np.ma.array([3, 1]).argsort(),
    "roll": np.roll(np.flatnonzero(a), 1),
    "packed": np.unpackbits(np.array([5], dtype=np.uint8)).nonzero()[0],
}
rows = []
for name, value in found.items():
    value = np.asarray(value)
    rows.append({"name": name, "dtype": str(value.dtype), "values": value.tolist(), "wide": (value * 5_000_000_000).tolist()})
rows.append({"name": "types", "dtype": str(np.dtype(np.intp)), "values": [np.intp is np.int64, np.intp().itemsize, np.iinfo(np.intp).max], "wide": [np.dtype("p").char, np.dtype("p").num]})
return rows

# === sizes beyond 2**31 that take few bytes
import numpy as np

def outcome(function):
    try:
        value = function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return repr(value)

far = np.broadcast_to(np.float64(1.5), (2**33,))
flat = np.broadcast_to(np.arange(3), (2**32, 3))
last = 2**33 - 1
cases = {
    "shape": lambda: (far.shape, far.size, far.nbytes, far.strides),
    "2d": lambda: (flat.shape, flat.size, flat.nbytes, flat.T.shape),
    "last": lambda: far[last],
    "minus one": lambda: flat[-1, 2],
    "row": lambda: flat[2**32 - 1].tolist(),
    "out of bounds": lambda: far[2**33],
    "slice": lambda: (far[2**32:].shape, far[: -(2**32)].shape, far[:: 2**31].shape, far[::-1].shape),
    "slice of a slice": lambda: far[2**32 + 5 : 2**32 + 9].tolist(),
    "slice back": lambda: far[2**33 : 2**33 - 7 : -2].tolist(),
    "slice beyond": lambda: far[2**40 : 2**41].shape,
    "slice from far below": lambda: far[-(2**70) : 2**70].shape,
    "slice step": lambda: np.arange(10)[:: 2**40].tolist(),
    "slice step back": lambda: np.arange(10)[:: -(2**70)].tolist(),
    "assign slice": lambda: np.arange(3).__setitem__(slice(2**40), 7),
    "fancy": lambda: far[[0, last, -1]].tolist(),
    "fancy out": lambda: far[[2**33]],
    "flat index": lambda: far.flat[last],
    "reshape": lambda: far.reshape(2, -1).shape,
    "reshape wrong": lambda: far.reshape(3, 5),
    "swap": lambda: np.swapaxes(flat, 0, 1).shape,
    "split": lambda: [part.shape for part in np.split(far, 2)],
    "broadcast": lambda: np.broadcast_shapes((2**33, 1), (1, 3)),
    "broadcast object": lambda: (np.broadcast(far, far).size, np.broadcast(far, far).shape),
    "nditer": lambda: np.nditer(far[:5], flags=["c_index"]).index,
    "nditer range": lambda: np.nditer(far, flags=["ranged"]).itersize,
    "expand": lambda: far[None, :, None].shape,
    "squeeze": lambda: far[None].squeeze().shape,
    "zero": lambda: np.empty((2**40, 0)).shape,
    "too much": lambda: np.ones((2**31, 2**31, 2**31)),
    "ravel_multi_index": lambda: np.ravel_multi_index((2**31, 3), (2**32, 4)),
    "ravel wrap": lambda: np.ravel_multi_index((2**33, 5), (2**32, 4), mode="wrap"),
    "ravel clip": lambda: np.ravel_multi_index((2**33, 5), (2**32, 4), mode="clip"),
    "ravel refused": lambda: np.ravel_multi_index((1, 1), (2**32, 2**32)),
    "ndindex": lambda: next(iter(np.ndindex(2**32, 2))),
    "sliding": lambda: np.lib.stride_tricks.sliding_window_view(np.arange(100_000), 50_000).shape,
    "strided": lambda: np.lib.stride_tricks.as_strided(np.int8(1), (2**32, 2**20), (0, 0))[2**32 - 1, 2**20 - 1],
    "bool": lambda: bool(far[:1]),
    "repr": lambda: far,
    "equal shapes": lambda: far.shape == (2**33,),
    "einsum view": lambda: np.einsum("ij->ji", flat).shape,
    "transposed": lambda: flat.transpose(1, 0)[2, 2**31],
    "moved": lambda: np.moveaxis(np.broadcast_to(0, (2, 2**31, 2)), 1, 0).shape,
    "item": lambda: far.item(last),
    "itemset refused": lambda: far.item(2**33),
    "searchsorted": lambda: int(np.searchsorted(far[:10], 1.5)),
    "resize refused": lambda: np.arange(3).resize(-(2**40)),
    "arange": lambda: np.arange(2**40, 2**40 + 3).tolist(),
    "arange step": lambda: np.arange(0, 2**40, 2**39).tolist(),
    "repeat": lambda: np.repeat([1, 2], [0, 3]).tolist(),
    "repeat negative": lambda: np.repeat([1], -1),
    "tile": lambda: np.tile([1, 2], 2).tolist(),
    "frombuffer": lambda: np.frombuffer(b"12345678", dtype="i4", count=2**33),
    "insert": lambda: np.insert([1, 2], 2**40, 5),
    "delete": lambda: np.delete([1, 2], 2**40),
    "rollaxis": lambda: np.roll(np.arange(4), 2**40 + 1).tolist(),
    "linspace": lambda: np.linspace(0, 1, 3).tolist(),
    "choose": lambda: np.choose([2**40], [[1], [2]]),
    "bincount refused": lambda: np.bincount([-1]),
    "partition": lambda: np.partition([3, 1, 2], 2**40),
    "timedelta": lambda: str(np.timedelta64(2**40)),
}
return [{"case": name, "outcome": outcome(function)} for name, function in cases.items()]

# === positions and codes of pandas, and arithmetic on them
import numpy as np
import pandas as pd

s = pd.Series([3, 1, 2, 3, 0])
df = pd.DataFrame({"k": ["b", "a", "b", None, "a"], "n": [1.5, 2.5, 3.5, 4.5, 5.5], "i": [5, 4, 3, 2, 1]})
g = df.groupby("k")
index = pd.Index(["a", "b", "c"])
found = {
    "factorize": pd.factorize(["b", "a", "b"])[0],
    "series factorize": s.factorize()[0],
    "get_indexer": index.get_indexer(["c", "z"]),
    "get_indexer_for": index.get_indexer_for(["c", "a"]),
    "get_indexer_non_unique": pd.Index(["a", "a", "b"]).get_indexer_non_unique(["a"])[0],
    "searchsorted": s.sort_values().searchsorted([2, 3]),
    "argsort": s.argsort(),
    "index argsort": index[::-1].argsort(),
    "groupby indices": g.indices["b"],
    "ngroup": g.ngroup(),
    "cumcount": g.cumcount(),
    "size": g.size(),
    "count": g["n"].count(),
    "nunique": g["i"].nunique(),
    "groups": g.groups["a"],
    "cut": pd.cut(s, 3, labels=False),
    "qcut": pd.qcut(s.rank(method="first"), 2, labels=False),
    "cut bins": pd.cut([1, 5], [0, 2, 6], labels=False),
    "value_counts": s.value_counts(),
    "frame value_counts": df["k"].value_counts(),
    "codes": pd.MultiIndex.from_product([[1, 2], ["a", "b"]]).codes[0],
    "multi get_indexer": pd.MultiIndex.from_product([[1, 2], ["a", "b"]]).get_indexer([(2, "a")]),
    "duplicated": s.duplicated().to_numpy().nonzero()[0],
    "range": pd.RangeIndex(3),
    "rank": s.rank(method="dense").astype(int),
    "str.len": pd.Series(["ab", "c"]).str.len(),
    "str.find": pd.Series(["ab", "c"]).str.find("b"),
    "str.count": pd.Series(["aba", "c"]).str.count("a"),
    "resample": pd.Series(1, pd.date_range("2024", periods=4, freq="12h")).resample("D").count(),
    "dt": pd.Series(pd.date_range("2024", periods=2)).dt.dayofyear,
    "isocalendar": pd.Series(pd.date_range("2024", periods=2)).dt.isocalendar().week.astype("int64"),
    "reindexed": df.reindex([0, 9]).isna().sum(),
    "interval": pd.IntervalIndex.from_breaks([0, 1, 2]).get_indexer([0.5, 1.5]),
    "window": s.rolling(2).count(),
    "crosstab": pd.crosstab(df["k"], df["i"]).to_numpy(),
    "pivot": df.pivot_table(index="k", values="n", aggfunc="count")["n"],
    "sampler": df.sample(2, random_state=1).index,
    "merge": pd.merge(df, df, on="k").index,
    "nlargest": s.nlargest(2).index,
    "sort": df.sort_values("i").index,
    "memory": pd.Series([1, 2, 3], dtype="int64").memory_usage(index=False),
    "nbytes": s.nbytes,
    "sparse": pd.arrays.SparseArray([0, 1, 0]).sp_index.to_int_index().indices,
    "nunique all": df.nunique(),
    "explode": pd.Series([[1, 2], [3]]).explode().index,
    "period": pd.period_range("2024", periods=2, freq="M").asi8,
    "where": np.where(df["n"] > 2)[0],
}
rows = []
for name, value in found.items():
    value = np.asarray(value)
    rows.append({"name": name, "dtype": str(value.dtype), "values": value.tolist(), "wide": (value * 5_000_000_000).tolist()})
category = pd.Categorical(["b", "a", None])
rows.append({"name": "codes of categories", "dtype": str(category.codes.dtype), "values": category.codes.tolist(), "wide": []})
far = pd.RangeIndex(2**33)
rows.append({"name": "far range", "dtype": str(far.dtype), "values": [far.size, int(far[-1]), far.get_loc(2**32), far[2**32:].size], "wide": []})
return rows
