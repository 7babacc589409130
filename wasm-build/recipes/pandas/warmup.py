"""Runs in the guest before the snapshot: typical pandas work, often enough for CPython to specialise its Python half.

CPython 3.11 specialises a function's bytecode after eight calls; twelve leave room for the second attempt. The first
round has as many rows as real work, so that allocators and hash tables have grown; the others are small.
"""

import datetime
import io
import json
import warnings

import numpy as np
import pandas as pd

TIMES = 12
CITIES = ("Oslo", "Bergen", "Paris", "Roma", "Wien")


def drop(*values):
    """Takes results and forgets them: only the work counts."""


def records(count):
    start = datetime.date(2024, 1, 1)
    return [
        {
            "id": n,
            "city": CITIES[n * 7 % 5],
            "day": (start + datetime.timedelta(days=n % 90)).isoformat(),
            "units": n % 13,
            "price": n % 17 * 1.25 if n % 11 else None,
            "flag": n % 3 == 0,
        }
        for n in range(count)
    ]


def build_and_convert(rows):
    df = pd.DataFrame(rows)
    df["day"] = pd.to_datetime(df["day"])
    df["amount"] = df["units"] * df["price"]
    drop(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), pd.DataFrame([[1, 2]], columns=["a", "b"]))
    drop(pd.Series({"a": 1}), pd.DataFrame(), pd.DataFrame.from_records([(1, "a")], columns=["n", "s"]))
    drop(pd.Series(range(3)), pd.Series(["a", None]), pd.json_normalize([{"a": {"b": 1}}]), df.to_dict("records"))
    drop(df.head(3).to_dict(), df.head(3).to_dict("list"), df.head(3).to_dict("split"), df.head(3).to_dict("index"))
    drop(df.head(3).values.tolist(), df["units"].tolist(), list(df.head(3).itertuples()), list(df.head(3).iterrows()))
    drop(df.columns.tolist())
    return df


def choose(df):
    drop(df[df["units"] > 5], df[(df["units"] > 5) & (df["city"] == "Oslo")], df.loc[df["flag"], ["city", "units"]])
    drop(df.iloc[:3, :2], df.iloc[0], df.query("units > 5 and city == 'Oslo'"), df["city"].isin(["Oslo", "Roma"]))
    drop(df["price"].isna(), df["price"].notna(), df.dropna(), df.fillna({"price": 0}))
    drop(df["price"].fillna(df["price"].mean()), df.drop(columns=["flag"]), df.rename(columns={"units": "n"}))
    drop(df.sort_values("price"), df.sort_values(["city", "units"], ascending=[True, False]), df.sort_index())
    drop(df.nlargest(3, "units"), df.drop_duplicates("city"), df.duplicated("city"), df.reset_index(drop=True))
    drop(df.set_index("id"), df.head(), df.tail(2), df.assign(total=df["units"] * 2), df.copy())
    drop(df.astype({"units": "float64"}), df["units"].between(2, 5), df["city"].map({"Oslo": 1}))
    drop(df["units"].where(df["units"] > 3, 0), df["units"].clip(1, 5), df["units"].replace(1, 9), df.at[0, "city"])
    drop(df.sample(2, random_state=1))
    small = df.head(20).copy()
    small["new"] = 1
    small.loc[small["units"] > 3, "new"] = 2
    small.insert(0, "first", range(len(small)))
    drop(small.apply(lambda row: row["units"] + 1, axis=1), small["units"].apply(lambda n: n + 1))
    drop(small["city"].map(str.upper), small[["units"]].applymap(abs), small.columns, small.dtypes, small.shape)
    drop(small.select_dtypes("number"), small.filter(like="un"), small.isnull().sum(), small.T)
    drop(small["units"].shift(), small["units"].diff(), small["units"].pct_change(), small["units"].rank())
    drop(small["units"].cumsum())


def summarise(df):
    numbers = df[["units", "price", "amount"]]
    drop(numbers.describe(), numbers.sum(), numbers.mean(), numbers.median(), numbers.std(), numbers.min())
    drop(numbers.max(), numbers.corr(), numbers.agg(["sum", "mean"]), numbers.quantile([0.25, 0.75]))
    drop(numbers.round(1), numbers.count(), numbers.nunique(), df.describe(include="all"), df["city"].value_counts())
    drop(df["city"].value_counts(normalize=True), df["city"].unique(), df["city"].nunique(), df["units"].mode())
    drop(df["units"].idxmax(), df["price"].sum(), df["units"].mean(), df["price"].std(), df["city"].mode())
    drop(df["units"].any(), len(df), pd.cut(df["units"], 3))
    drop(pd.cut(df["units"], [0, 5, 10, 15], labels=["a", "b", "c"]), pd.qcut(df["id"], 4))
    drop(pd.get_dummies(df["city"]), df["price"].rolling(3).mean(), df["units"].rolling(3).agg(["sum", "max"]))
    drop(df["units"].expanding().sum(), df["units"].ewm(span=3).mean(), df["price"].interpolate())
    drop(pd.factorize(df["city"]), df["city"].astype("category").cat.codes)


def group(df):
    by = df.groupby("city")
    drop(by["units"].sum(), by["price"].mean(), by.size())
    drop(by["units"].agg(["sum", "mean", "min", "max", "count", "std"]), by["units"].nunique())
    drop(by.agg({"units": "sum", "price": "mean"}))
    drop(by.agg(total=("units", "sum"), mean=("price", "mean"), n=("id", "count")).reset_index().to_dict("records"))
    drop(by["units"].median(), by["units"].first(), by["units"].last(), by["units"].quantile(0.5))
    drop(by["units"].describe(), by.first(), by.head(1), by.nth(0), by["units"].transform("sum"))
    drop(by["units"].cumsum(), by["units"].rank(), by.ngroup(), by.cumcount(), by["units"].shift())
    drop(by["price"].ffill(), df.groupby(["city", "flag"])["units"].sum().unstack(fill_value=0))
    drop(df.groupby("city", as_index=False)["units"].sum().to_dict("records"))
    drop(df.groupby(df["day"].dt.month)["units"].sum(), df.groupby(pd.Grouper(key="day", freq="M"))["units"].sum())
    drop(df.groupby("city", sort=False)["units"].max())
    small = df.head(30).groupby("city")
    drop(small.apply(lambda part: part["units"].sum()), small["units"].agg(lambda part: part.max()))
    drop(small["units"].transform(lambda part: part - part.mean()), small.filter(lambda part: len(part) > 1))
    drop([(name, len(part)) for name, part in small], small.get_group("Oslo"))


def reshape(df):
    other = pd.DataFrame({"city": ["Oslo", "Paris", "Lima"], "country": ["NO", "FR", "PE"]})
    for how in ("left", "inner", "outer", "right"):
        drop(df.merge(other, on="city", how=how))
    drop(df.merge(other, left_on="city", right_on="city", indicator=True))
    drop(df.set_index("city").join(other.set_index("city")), df.merge(df[["id"]], on="id"))
    drop(pd.concat([df, df], ignore_index=True), pd.concat([df["units"], df["price"]], axis=1))
    drop(pd.concat({"a": df.head(2), "b": df.head(2)}))
    drop(df.pivot_table(index="city", columns="flag", values="units", aggfunc="sum", fill_value=0, margins=True))
    drop(df.pivot_table(index="city", values=["units", "price"], aggfunc={"units": "sum", "price": "mean"}))
    drop(pd.crosstab(df["city"], df["flag"]))
    small = df.head(10)
    drop(small.pivot(index="id", columns="city", values="units"))
    drop(small.melt(id_vars=["id"], value_vars=["units", "price"]), small.set_index(["id", "city"]).stack())
    drop(small.assign(l=[[1, 2]] * len(small)).explode("l"), small.set_index(["city", "id"]).sort_index().loc["Oslo"])
    drop(small.set_index(["city", "id"]).unstack())
    drop(pd.merge_asof(small.sort_values("day"), small[["day", "units"]].sort_values("day"), on="day"))


def text(df):
    s = df["city"]
    drop(s.str.upper(), s.str.lower(), s.str.len(), s.str.contains("s"), s.str.startswith("O"))
    drop(s.str.replace("o", "0"), s.str.replace("[ao]", "_", regex=True), s.str[:2], s.str.strip(), s.str.split("a"))
    drop(s.str.cat(s, sep="-"), s.str.extract("([A-Z])"), s.str.zfill(8), s.str.title(), s + "!", s.str.slice(0, 2))
    drop(s.str.split("a", expand=True), s.str.findall("a"), s.str.pad(8), s.str.get(0), s.str.count("a"))
    drop(s.astype("string").str.upper(), s.str.match("O"), df["units"].astype(str))
    drop(pd.to_numeric(df["units"].astype(str)), pd.to_numeric(pd.Series(["1", "x"]), errors="coerce"))


def time(df):
    t = df["day"]
    drop(t.dt.year, t.dt.month, t.dt.day, t.dt.dayofweek, t.dt.strftime("%Y-%m"), t.dt.date, t.dt.to_period("M"))
    drop(t.dt.floor("D"), t.dt.day_name(), t.dt.quarter, t + pd.Timedelta(days=1), t - t.min(), (t - t.min()).dt.days)
    drop(t.max(), t.diff(), t > "2024-02-01", t.dt.tz_localize("UTC").dt.tz_convert("Europe/Oslo"))
    series = df.set_index("day")["units"]
    for rule in ("D", "W", "M", "Q"):
        drop(series.resample(rule).sum())
    drop(series.resample("M").agg(["mean", "max"]), series.sort_index().loc["2024-01"])
    drop(series.sort_index().rolling("7D").sum(), pd.date_range("2024-01-01", periods=5))
    drop(pd.date_range("2024-01-01", "2024-03-01", freq="MS"), pd.Timestamp("2024-01-01 10:00").isoformat())
    drop(pd.Timestamp.now(), pd.Timedelta("1h"), pd.to_timedelta([1, 2], unit="h"))
    drop(pd.Timestamp("2024-01-31") + pd.DateOffset(months=1), pd.Period("2024-01"))
    drop(pd.bdate_range("2024-01-01", periods=3), pd.Timestamp("2024-01-01") + pd.offsets.MonthEnd(1))
    drop(pd.Timestamp("2024-05-05", tz="UTC").tz_convert("Asia/Tokyo"))
    drop(pd.to_datetime(["01/02/2024"], format="%d/%m/%Y"), pd.to_datetime(["2024-01-01T10:00:00Z"]))
    drop(pd.to_datetime(["3 Feb 2024"]), pd.to_datetime([1_700_000_000], unit="s"))
    drop(pd.to_datetime(["2024-01-01", "bad"], errors="coerce"), pd.to_datetime("2024-01-01").strftime("%d.%m.%Y"))
    drop(pd.to_datetime(["1.2.2024"], dayfirst=True))
    drop(pd.to_datetime(pd.DataFrame({"year": [2024], "month": [1], "day": [2]})))


def read_and_write(df):
    small = df.head(50)
    text = small.to_csv(index=False)
    drop(pd.read_csv(io.StringIO(text)), pd.read_csv(io.StringIO(text), parse_dates=["day"]))
    drop(pd.read_csv(io.StringIO(text), dtype={"units": "float64"}, usecols=["units"]))
    drop(pd.read_csv(io.StringIO("a;b\n1,5;x\n"), sep=";", decimal=","))
    drop(pd.read_csv(io.StringIO(text), index_col="id", na_values=["-"]))
    for orient in ("records", "columns", "split", "index", "values", "table"):
        drop(small.to_json(orient=orient))
    drop(json.loads(small.to_json(orient="records", date_format="iso")))
    drop(pd.read_json(io.StringIO(small.to_json(orient="records"))), small.to_json(orient="records", lines=True))
    drop(small.to_string(), repr(small), repr(small["units"]), small.to_html(), small.info(buf=io.StringIO()))
    drop(repr(small.index), str(small.dtypes), small.to_numpy(), small["price"].to_list(), small.equals(small))
    drop(small.memory_usage())
    nullable = pd.Series([1, None, 3], dtype="Int64")
    drop(nullable.sum(), nullable.fillna(0), small.convert_dtypes(), nullable + 1)
    drop(pd.array([True, None], dtype="boolean"), small.replace({np.nan: None}).to_dict("records"))
    drop(small.where(small.notna(), None).to_dict("records"))


def everything(count):
    df = build_and_convert(records(count))
    choose(df)
    summarise(df)
    group(df)
    reshape(df)
    text(df)
    time(df)
    read_and_write(df)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    everything(10_000)
    for _ in range(TIMES):
        everything(60)
