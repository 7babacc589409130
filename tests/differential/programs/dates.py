# === datetime arithmetic and ISO
from datetime import datetime, timedelta, timezone
start = datetime(2024, 2, 28, 23, 30, tzinfo=timezone.utc)
return [{"n": n, "at": start + timedelta(hours=7 * n), "iso": (start + timedelta(hours=7 * n)).isoformat(), "week": list((start + timedelta(hours=7 * n)).isocalendar())} for n in range(6)]
# === strptime and strftime
from datetime import datetime
return [{"text": t, "parsed": datetime.strptime(t, "%d.%m.%Y %H:%M:%S"), "day": datetime.strptime(t, "%d.%m.%Y %H:%M:%S").strftime("%A %j %U %B")} for t in ["01.02.2023 00:00:01", "29.02.2024 23:59:59", "31.12.1999 12:00:00"]]
# === fromisoformat of 3.11 and dates
import datetime
return [{"v": datetime.datetime.fromisoformat(t)} for t in ["2024-01-02", "2024-01-02T03:04:05Z", "20240102T030405+0200", "2024-W05-3"]] + [{"v": datetime.date(2024, 5, 6)}, {"v": datetime.datetime.combine(datetime.date(2020, 1, 1), datetime.time(4, 5))}]
# === pandas: mixed formats, errors, timezones
import pandas as pd
s = pd.to_datetime(pd.Series(["2024-01-02", "2024-02-30", "March 5, 2024", None]), errors="coerce", format="mixed")
z = s.dt.tz_localize("Europe/Prague").dt.tz_convert("America/New_York")
return pd.DataFrame({"s": s, "z": z, "day": s.dt.day_name(), "q": s.dt.quarter}).to_dict("records")
# === date_range, offsets and business days
import pandas as pd
r = pd.date_range("2024-01-29", periods=8, freq="B")
return [{"d": d, "me": d + pd.offsets.MonthEnd(), "bq": d + pd.offsets.BQuarterBegin(), "p": str(d.to_period("Q"))} for d in r]
# === timedeltas
import pandas as pd
t = pd.to_timedelta(["1 days 02:03:04", "-5h", "15us"])
return [{"text": str(x), "s": x.total_seconds(), "parts": list(x.components)} for x in t]
# === resample hours to days
import pandas as pd
import numpy as np
i = pd.date_range("2024-03-30", periods=60, freq="H", tz="Europe/Prague")
s = pd.Series(np.arange(60) % 7, index=i)
return s.resample("D").agg(["sum", "mean", "max", "count"]).reset_index().to_dict("records")
# === upsample, fill and interpolate
import pandas as pd
s = pd.Series([1.0, 4.0, 2.0], index=pd.to_datetime(["2024-01-01", "2024-01-04", "2024-01-06"]))
d = pd.DataFrame({"ffill": s.resample("D").ffill(), "linear": s.resample("D").interpolate()})
return d.reset_index().rename(columns={"index": "day"}).to_dict("records")
# === dateutil parsing through pandas, odd forms
import pandas as pd
return [{"t": t, "v": pd.Timestamp(t)} for t in ["2024-05-06 07:08:09.123456", "6 May 2024 7:08 PM", "05/06/2024", "2024-05-06T07:08:09+05:30", "20240506"]]
# === periods and grouping by them
import pandas as pd
d = pd.DataFrame({"when": pd.to_datetime(["2024-01-15", "2024-01-31", "2024-02-01", "2024-04-01"]), "v": [1, 2, 3, 4]})
g = d.groupby(d["when"].dt.to_period("M"))["v"].sum()
return [{"month": str(k), "v": v} for k, v in g.items()]
