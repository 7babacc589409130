# === group and aggregate with names
import pandas as pd
d = pd.DataFrame({"city": list("ABABCA"), "v": [1, 2, 3, 4, 5, 6], "w": [0.5, 1.5, None, 2.0, 1.0, 3.0]})
return d.groupby("city", as_index=False).agg(total=("v", "sum"), mean=("w", "mean"), n=("v", "size"), first=("w", "first")).to_dict("records")
# === group by two keys, transform and rank
import pandas as pd
d = pd.DataFrame({"a": [1, 1, 2, 2, 2], "b": list("xyxyx"), "v": [10, 20, 30, 40, 50]})
d["share"] = d["v"] / d.groupby("a")["v"].transform("sum")
d["rank"] = d.groupby("b")["v"].rank(ascending=False)
d["cum"] = d.groupby("a")["v"].cumsum()
return d.to_dict("records")
# === group apply and filter
import pandas as pd
d = pd.DataFrame({"k": list("aabbc"), "v": [1, 2, 3, 4, 5]})
top = d.groupby("k").apply(lambda g: g.nlargest(1, "v")).reset_index(drop=True)
big = d.groupby("k").filter(lambda g: g["v"].sum() > 3)
return top.to_dict("records") + big.to_dict("records")
# === group 10,000 rows of the input
import pandas as pd
d = pd.DataFrame([{"g": i % 37, "x": (i * 7919) % 1000, "y": i / 7} for i in range(10000)])
r = d.groupby("g").agg({"x": ["sum", "min", "max"], "y": "median"})
r.columns = ["_".join(c) for c in r.columns]
return r.reset_index().to_dict("records")
# === merge: inner, left, outer with indicator
import pandas as pd
a = pd.DataFrame({"id": [1, 2, 3], "name": ["x", "y", "z"]})
b = pd.DataFrame({"id": [2, 3, 3, 4], "amount": [20, 30, 31, 40]})
out = []
for how in ("inner", "left", "outer"):
    m = a.merge(b, on="id", how=how, indicator=True).sort_values(["id", "amount"])
    m["_merge"] = m["_merge"].astype(str)
    m["how"] = how
    out += m.to_dict("records")
return out
# === merge_asof and join on an index
import pandas as pd
t = pd.DataFrame({"t": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-01 10:09"]), "q": [1, 2, 3]})
p = pd.DataFrame({"t": pd.to_datetime(["2024-01-01 09:59", "2024-01-01 10:04"]), "price": [1.5, 1.75]})
return pd.merge_asof(t, p, on="t").join(pd.DataFrame({"extra": ["a", "b", "c"]})).to_dict("records")
# === pivot_table with margins
import pandas as pd
d = pd.DataFrame({"r": list("aabb"), "c": list("xyxy"), "v": [1, 2, 3, 4]})
return pd.pivot_table(d, index="r", columns="c", values="v", aggfunc="sum", margins=True).reset_index().to_dict("records")
# === pivot, melt, stack and unstack
import pandas as pd
d = pd.DataFrame({"id": [1, 1, 2, 2], "k": ["h", "w", "h", "w"], "v": [1.8, 80.0, 1.6, 60.0]})
p = d.pivot(index="id", columns="k", values="v").reset_index()
m = p.melt(id_vars="id").sort_values(["id", "k"])
s = d.set_index(["id", "k"])["v"].unstack().stack().reset_index(name="v")
return p.to_dict("records") + m.to_dict("records") + s.to_dict("records")
# === crosstab and value_counts
import pandas as pd
d = pd.DataFrame({"a": list("xyxxy"), "b": [1, 2, 1, 2, 2]})
vc = d["a"].value_counts(normalize=True)
return pd.crosstab(d["a"], d["b"]).reset_index().rename(columns=str).to_dict("records") + [{"k": k, "v": v} for k, v in vc.items()]
# === rolling, expanding, ewm, shift, diff
import pandas as pd
s = pd.Series([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
return pd.DataFrame({"roll": s.rolling(3).mean(), "std": s.rolling(3).std().round(12), "exp": s.expanding().max(), "ewm": s.ewm(span=3).mean().round(12), "shift": s.shift(1), "diff": s.diff(), "pct": s.pct_change()}).to_dict("records")
# === missing values
import pandas as pd
import numpy as np
d = pd.DataFrame({"i": pd.array([1, None, 3], dtype="Int64"), "f": [1.5, np.nan, 2.5], "s": ["a", None, pd.NA], "b": pd.array([True, None, False], dtype="boolean"), "t": pd.to_datetime(["2024-01-01", None, "2024-01-03"])})
return d.to_dict("records") + d.isna().astype(int).to_dict("records") + d[["f"]].fillna(0).to_dict("records")
# === categories, cut and qcut
import pandas as pd
s = pd.Series([1, 5, 9, 14, 20, 33])
c = pd.cut(s, [0, 5, 15, 50], labels=["low", "mid", "high"])
return pd.DataFrame({"s": s, "c": c.astype(str), "code": c.cat.codes, "q": pd.qcut(s, 3, labels=False), "iv": pd.cut(s, 2).astype(str)}).to_dict("records")
# === sorting, duplicates, sampling with a seed
import pandas as pd
d = pd.DataFrame({"a": [3, 1, 2, 1], "b": list("dcba")})
return d.sort_values(["a", "b"], ascending=[True, False]).to_dict("records") + d.drop_duplicates("a").to_dict("records") + d.sample(2, random_state=3).to_dict("records") + d.nsmallest(2, "a").to_dict("records")
# === query, eval, assign and boolean masks
import pandas as pd
d = pd.DataFrame({"a": range(6), "b": [x * x for x in range(6)]})
return d.query("a > 2 and b < 20").to_dict("records") + d[(d.a % 2 == 0) | (d.b == 1)].assign(c=lambda f: f.a + f.b).to_dict("records") + d.eval("z = a * b").tail(1).to_dict("records")
# === describe and correlations
import pandas as pd
d = pd.DataFrame({"a": [1, 2, 3, 4], "b": [2.0, 4.1, 6.2, 7.9]})
return d.describe().round(10).reset_index().to_dict("records") + d.corr().round(10).reset_index().to_dict("records")
# === multi-index selection
import pandas as pd
d = pd.DataFrame({"v": range(8)}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2], ["x", "y"]], names=["k", "n", "c"]))
return d.xs("x", level="c").reset_index().to_dict("records") + d.loc[("a", 2)].reset_index().to_dict("records") + d.groupby(level=[0, 2]).sum().reset_index().to_dict("records")
# === json round trip through pandas
import io
import pandas as pd
d = pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2024-01-01", "2024-06-01"]), "s": ["x", "ý"]})
text = d.to_json(orient="records", date_format="iso")
return [{"text": text, "split": d.to_json(orient="split")}] + pd.read_json(io.StringIO(text)).to_dict("records")
# === json_normalize nested records
import pandas as pd
data = [{"id": 1, "user": {"name": "A", "tags": ["x", "y"]}}, {"id": 2, "user": {"name": "B", "tags": []}}]
return pd.json_normalize(data).to_dict("records") + pd.json_normalize(data, ["user", "tags"], ["id"]).rename(columns=str).to_dict("records")
# === explode, concat and wide to long
import pandas as pd
d = pd.DataFrame({"id": [1, 2], "tags": [["a", "b"], []]})
w = pd.DataFrame({"id": [1, 2], "x1": [1, 2], "x2": [3, 4]})
return d.explode("tags").to_dict("records") + pd.wide_to_long(w, "x", i="id", j="n").reset_index().to_dict("records") + pd.concat([w, w.assign(id=9)], ignore_index=True).to_dict("records")
# === the styles of to_dict and a datetime column
import pandas as pd
d = pd.DataFrame({"d": pd.date_range("2024-01-01", periods=2), "n": [1, 2]})
return [{"list": d.to_dict("list"), "index": {str(k): v for k, v in d.to_dict("index").items()}}]
# === merging by keys with more combinations than 32 bits
import numpy as np
import pandas as pd
random = np.random.default_rng(5)
left = pd.DataFrame({name: random.integers(0, 3000, 20_000) for name in "abcd"}).assign(x=np.arange(20_000))
right = left.sample(frac=0.5, random_state=1).assign(y=np.arange(10_000)).drop(columns="x")
right.loc[::3, "c"] += 1
rows = []
for how in ("inner", "left", "outer"):
    merged = left.merge(right, on=list("abcd"), how=how, sort=True)
    keys = merged[list("abcd")].to_numpy()
    in_order = bool((merged.sort_values(list("abcd"), kind="stable")[list("abcd")].to_numpy() == keys).all())
    rows.append({"how": how, "rows": len(merged), "x": float(merged.x.sum()), "y": float(merged.y.sum()), "in order": in_order, "head": merged.head(50).fillna(-1).astype(int).to_numpy().tolist()})
return rows
