"""Runs in the guest: pandas reads, reshapes, groups, joins and writes as it does on other machines."""

import io
import json
import pickle

import numpy as np
import pandas as pd


def raises(kind, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except kind as error:
        return str(error)
    raise AssertionError(f"{function} raised no {kind.__name__}")


def sales():
    return pd.DataFrame(
        {
            "city": ["Oslo", "Bergen", "Oslo", "Bergen", "Oslo"],
            "year": [2023, 2023, 2024, 2024, 2024],
            "units": [3, 5, 7, 11, 13],
            "price": [1.5, 2.0, 2.5, None, 4.0],
        }
    )


def check_groupby():
    df = sales()
    assert df["units"].dtype == "int64"
    assert df["price"].dtype == "float64"
    assert df["city"].dtype == object
    table = df.groupby("city").agg(total=("units", "sum"), mean=("price", "mean"), n=("units", "size"))
    assert table.reset_index().to_dict("records") == [
        {"city": "Bergen", "total": 16, "mean": 2.0, "n": 2},
        {"city": "Oslo", "total": 23, "mean": 8.0 / 3, "n": 3},
    ]
    by = df.groupby(["city", "year"])["units"]
    assert by.sum().unstack().loc["Oslo", 2024] == 20
    assert by.median().tolist() == [5, 11, 3, 10]
    for name in ("min", "max", "first", "last", "nunique", "count", "std", "var", "prod", "sem", "any", "all"):
        getattr(by, name)()
    assert df.groupby("city")["units"].transform("cumsum").tolist() == [3, 5, 10, 16, 23]
    assert df.groupby("city")["units"].rank().tolist() == [1, 1, 2, 2, 3]
    assert df.groupby("city").apply(lambda part: part["units"].max()).to_dict() == {"Bergen": 11, "Oslo": 13}
    assert df.groupby("city")["units"].shift().tolist()[2:] == [3, 5, 7]
    assert df.groupby("city")["units"].quantile(0.5).tolist() == [8, 7]


def check_joins():
    df = sales()
    other = pd.DataFrame({"city": ["Oslo", "Paris"], "country": ["NO", "FR"]})
    assert df.merge(other, on="city", how="left")["country"].fillna("?").tolist() == ["NO", "?", "NO", "?", "NO"]
    assert len(df.merge(other, how="outer")) == 6
    assert len(df.merge(other, how="inner")) == 3
    quotes = pd.DataFrame({"t": [1, 5, 10], "q": [1.0, 2.0, 3.0]})
    assert pd.merge_asof(pd.DataFrame({"t": [2, 7]}), quotes, on="t")["q"].tolist() == [1.0, 2.0]
    assert pd.concat([df, df], ignore_index=True).shape == (10, 4)
    assert pd.concat([df["units"], df["year"]], axis=1).shape == (5, 2)
    assert df.set_index("city").join(other.set_index("city"))["country"].notna().sum() == 3


def check_reshaping():
    df = sales()
    pivot = df.pivot_table(index="city", columns="year", values="units", aggfunc="sum", margins=True)
    assert pivot.loc["All", "All"] == 39
    assert df.melt(id_vars="city", value_vars=["units"])["value"].sum() == 39
    assert pd.crosstab(df["city"], df["year"]).loc["Oslo", 2024] == 2
    assert pd.get_dummies(df["city"]).sum().to_dict() == {"Bergen": 2, "Oslo": 3}
    assert df.stack().shape[0] == 19
    assert pd.DataFrame({"a": [[1, 2], [3]]}).explode("a")["a"].tolist() == [1, 2, 3]
    assert pd.json_normalize([{"a": {"b": 1}}]).columns.tolist() == ["a.b"]
    assert pd.cut([1, 5, 9], 3, labels=["l", "m", "h"]).tolist() == ["l", "m", "h"]
    assert pd.qcut([1, 2, 3, 4], 2, labels=False).tolist() == [0, 0, 1, 1]
    assert pd.wide_to_long(pd.DataFrame({"id": [1], "x1": [2], "x2": [3]}), "x", i="id", j="n")["x"].tolist() == [2, 3]


def check_sorting_and_choosing():
    df = sales()
    assert df.sort_values(["city", "units"], ascending=[True, False])["units"].tolist() == [11, 5, 13, 7, 3]
    assert df.nlargest(2, "units").index.tolist() == [4, 3]
    assert df.query("units > 5 and year == 2024").shape[0] == 3
    assert df.loc[df["price"].isna(), "units"].tolist() == [11]
    assert df.iloc[-1, 0] == "Oslo"
    assert df["city"].value_counts().to_dict() == {"Oslo": 3, "Bergen": 2}
    assert df.drop_duplicates("city").shape[0] == 2
    assert df["city"].isin(["Oslo"]).sum() == 3
    assert df["price"].interpolate().tolist() == [1.5, 2.0, 2.5, 3.25, 4.0]
    assert df["units"].rolling(2).mean().tolist()[1:] == [4, 6, 9, 12]
    assert df["units"].expanding().max().tolist()[-1] == 13
    assert df["units"].rolling(2).apply(lambda part: part.sum(), raw=True).tolist()[1:] == [8, 12, 18, 24]
    assert df["units"].ewm(span=2).mean().round(3).tolist()[-1] == 11.826
    assert df.describe().loc["mean", "units"] == 7.8
    assert df["units"].quantile(0.5) == 7
    assert df.select_dtypes("number").corr().shape == (3, 3)
    assert df.eval("units * 2").tolist() == [6, 10, 14, 22, 26]
    raises(KeyError, df.__getitem__, "nope")
    raises(pd.errors.MergeError, df.merge, df, on="city", validate="one_to_one")


def check_text():
    s = pd.Series(["Ab-1", "cd-22", None])
    assert s.str.upper().tolist() == ["AB-1", "CD-22", None]
    assert s.str.extract(r"(\d+)")[0].tolist()[:2] == ["1", "22"]
    assert s.str.split("-", expand=True)[0][1] == "cd"
    assert s.str.contains("ab", case=False).tolist() == [True, False, None]
    assert s.str.len().tolist()[:2] == [4, 5]
    assert s.astype("string").str.replace("-", "_", regex=False).tolist()[:2] == ["Ab_1", "cd_22"]
    assert s.astype("category").cat.codes.tolist() == [0, 1, -1]


def check_time():
    t = pd.to_datetime(["2024-03-30 23:00", "2024-03-31 12:00"])
    assert t.tz_localize("UTC").tz_convert("Europe/Oslo").strftime("%H:%M %z").tolist() == [
        "00:00 +0100",
        "14:00 +0200",
    ]
    assert pd.to_datetime("31.12.2023", dayfirst=True) == pd.Timestamp(2023, 12, 31)
    assert pd.to_datetime(["12/31/2023", "bad"], errors="coerce").isna().tolist() == [False, True]
    assert pd.to_datetime(1_700_000_000, unit="s").isoformat() == "2023-11-14T22:13:20"
    days = pd.Series(range(60), index=pd.date_range("2024-01-01", periods=60, freq="D"))
    assert days.resample("M").sum().tolist() == [465, 1305]
    assert days.resample("W").mean().iloc[0] == 3
    assert pd.date_range("2024-01-31", periods=3, freq="MS").month.tolist() == [2, 3, 4]
    assert pd.Period("2024-02").days_in_month == 29
    assert (pd.Timestamp("2024-02-28") + pd.offsets.BDay(2)).day == 1
    assert pd.Timedelta("1 days 2 hours").total_seconds() == 93600
    assert pd.to_timedelta(["1h"]).total_seconds()[0] == 3600
    assert pd.Timestamp("2024-01-01", tz="America/New_York").utcoffset().total_seconds() == -18000
    assert days.index.isocalendar().week.iloc[0] == 1
    assert days.between_time("00:00", "01:00").size == 60
    assert str(pd.NaT) == "NaT"
    assert pd.isna(pd.NA)


def check_files():
    text = "a,b,c\n1,x,2024-01-01\n2,,2024-01-02\n"
    df = pd.read_csv(io.StringIO(text), parse_dates=["c"])
    assert df["a"].tolist() == [1, 2]
    assert df["b"].isna().tolist() == [False, True]
    assert df["c"].dt.day.tolist() == [1, 2]
    assert pd.read_csv(io.StringIO(text), engine="python").shape == (2, 3)
    assert df.to_csv(index=False) == text
    records = json.loads(df.to_json(orient="records", date_format="iso"))
    assert records[0] == {"a": 1, "b": "x", "c": "2024-01-01T00:00:00.000"}
    assert pd.read_json(io.StringIO('[{"a":1.5},{"a":2}]'))["a"].tolist() == [1.5, 2.0]
    raises(ValueError, pd.read_json, io.StringIO("{"))
    raises(pd.errors.ParserError, pd.read_csv, io.StringIO('a\n"b\n1,2,3'), engine="c", quoting=0, on_bad_lines="error")
    assert pd.DataFrame([{"a": 1}, {"b": 2}]).to_dict("records")[1]["b"] == 2
    assert "Oslo" in sales().to_string()
    assert "<td>" in sales().to_html()
    df.to_csv("/tmp/smoke.csv", index=False)
    assert pd.read_csv("/tmp/smoke.csv").shape == (2, 3)
    assert pickle.loads(pickle.dumps(df)).equals(df)


def check_types():
    s = pd.Series([1, None, 3], dtype="Int64")
    assert s.sum() == 4
    assert s.isna().sum() == 1
    assert pd.array([True, None], dtype="boolean")[0]
    assert pd.Series([2**62, 1]).sum() == 2**62 + 1
    assert pd.Series([2**31]).mul(4)[0] == 2**33
    assert pd.Series(["1", "x"]).pipe(pd.to_numeric, errors="coerce").tolist()[0] == 1
    assert pd.util.hash_pandas_object(pd.Series(["a", "b"])).tolist() == [4578374827886788867, 17338122309987883691]
    assert pd.IntervalIndex.from_breaks([0, 1, 2]).get_loc(0.5) == 0
    assert pd.MultiIndex.from_product([[1, 2], ["a"]]).get_loc((2, "a")) == 1
    assert pd.arrays.SparseArray([0, 0, 1]).density == 1 / 3
    assert pd.factorize(["b", "a", "b"])[0].tolist() == [0, 1, 0]
    assert (pd.Series([1.0, np.nan]) == pd.Series([1.0, np.nan])).tolist() == [True, False]


check_groupby()
check_joins()
check_reshaping()
check_sorting_and_choosing()
check_text()
check_time()
check_files()
check_types()
