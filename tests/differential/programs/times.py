# === every code of time.strftime with each flag, width and modifier
import time

moments = [
    time.struct_time((2024, 3, 5, 14, 7, 9, 1, 65, 0)),
    time.struct_time((999, 12, 31, 0, 0, 0, 0, 366, -1)),
    time.gmtime(1_700_000_000),
]
codes = [chr(code) for code in range(32, 127)] + ["", "é", "\u20ac"]
rows = []
for flag in ["", "_", "-", "0", "^", "#", "^#", "_^", "-0", "0-", "+"]:
    for width in ["", "1", "3", "12"]:
        for modifier in ["", "E", "O"]:
            formats = [f"<%{flag}{width}{modifier}{code}>" for code in codes]
            texts = [time.strftime(form, moment) for form in formats for moment in moments]
            rows.append({"flag": flag, "width": width, "modifier": modifier, "texts": texts})
return rows

# === datetime.strftime
import datetime

zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30), "NST")
moments = [
    datetime.datetime(2024, 3, 5, 14, 7, 9, 123456),
    datetime.datetime(999, 1, 1, 0, 0),
    datetime.datetime(1, 12, 31, 23, 59, 59),
    datetime.datetime(9999, 12, 31, 12, tzinfo=zone),
    datetime.date(2021, 1, 3),
    datetime.time(0, 5, 7, 8, tzinfo=zone),
]
formats = [
    "%l:%M %p",
    "%d %^a",
    "%",
    "100%",
    "%-d.%-m.%y",
    "%5Y|%_5Y",
    "%Q %q %f %N",
    "%z %Z %-z",
    "%G-W%V-%u",
    "%%%d%%",
    "%c|%x|%X",
    "%E",
    "%10",
    "é %B",
]
rows = []
for moment in moments:
    rows += [{"text": moment.strftime(form), "format": format(moment, form)} for form in formats]
    rows += [
        {"text": moment.strftime(f"[%{flag}{chr(code)}]"), "format": ""}
        for code in range(33, 127)
        for flag in ("", "-", "^")
        if chr(code) != "s"
    ]
return rows

# === pandas and its codes
import pandas as pd

moments = pd.Series(pd.to_datetime(["2024-03-05 14:07:09.123456", None, "1999-12-31 00:00:00.5"]))
rows = []
for form in ["%l:%M %p", "%d %^a", "%-d %b", "%", "%k|%e|%P", "%q", "%Y-%m-%d %H:%M:%S.%f", "Q%q %d", "%#A", "%5j"]:
    rows.append({"format": form, "texts": [None if pd.isna(text) else text for text in moments.dt.strftime(form)]})
    rows.append({"format": form, "texts": pd.DatetimeIndex(moments.dropna()).strftime(form).tolist()})
    rows.append({"format": form, "texts": [moments[0].strftime(form)]})
for form in ["%Y %q", "%y-%m", "Q%q", "%F %f", "%d", "%l", "%"]:
    rows.append({"format": form, "texts": pd.period_range("2024-01", periods=2, freq="Q").strftime(form).tolist()})
return rows

# === matplotlib's dates
import datetime

from matplotlib import dates as mdates

moment = mdates.date2num(datetime.datetime(2024, 3, 5, 14, 7, 9))
formats = ["%l %p", "%d %^b", "%", "%-d", "%q", "%H:%M:%S.%f", "%e", "%k"]
return [{"format": form, "text": mdates.DateFormatter(form)(moment)} for form in formats]

# === every code with each flag, width and modifier, on datetime, Series.dt, Period and matplotlib's formatter
import datetime

import pandas as pd
from matplotlib import dates as mdates

zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45), "NPT")
moment = datetime.datetime(2024, 3, 5, 14, 7, 9, 120)
moments = [moment, datetime.datetime(987, 1, 1, tzinfo=zone), datetime.date(1, 12, 31), datetime.time(23, 0, 5, 7)]
series = pd.Series([moment, pd.NaT, datetime.datetime(1999, 12, 31)])
period = pd.Period("2024Q1", freq="Q")
number = mdates.date2num(moment)
# %s is the time of the machine's own zone.
codes = [chr(code) for code in range(32, 127) if chr(code) != "s"] + ["", "é"]
rows = []


def text_of(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


for flag in ["", "_", "-", "0", "^", "#", "^#", "-0", "+"]:
    for width in ["", "3", "12"]:
        for modifier in ["", "E", "O"]:
            formats = [f"<%{flag}{width}{modifier}{code}>" for code in codes]
            rows.append({
                "spelling": f"{flag}{width}{modifier}",
                "datetime": [text_of(one.strftime, form) for form in formats for one in moments],
                "pandas": [str(text_of(lambda form: series.dt.strftime(form).tolist(), form)) for form in formats],
                "timestamp": [text_of(series[0].strftime, form) for form in formats],
                # Digits would be a width for which pandas has no room.
                "period": [text_of(period.strftime, form) for form, code in zip(formats, codes) if not code.isdigit()],
                "matplotlib": [text_of(mdates.DateFormatter(form), number) for form in formats],
            })  # fmt: skip
return rows

# === texts of times that are read
import time

rows = []
for text, form in [
    ("5 Mar 2024", "%d %b %Y"),
    ("14:07:09", "%H:%M:%S"),
    ("2024-065", "%Y-%j"),
    ("Tue 2", "%a %d"),
    ("2024 10 1", "%G %V %u"),
]:
    try:
        rows.append({"found": list(time.strptime(text, form))})
    except ValueError as error:
        rows.append({"found": str(error)})
return rows

# === locales that there are and others
import pandas as pd

moments = pd.Series(pd.to_datetime(["2024-03-05", "2024-10-06"]))
rows = []
for name in [
    "C",
    "C.UTF-8",
    "C.utf8",
    "POSIX",
    "",
    "de_DE.utf8",
    "de_DE.UTF-8",
    "en_US.UTF-8",
    "fr_FR",
    "German",
    "C.UTF-9",
    "x" * 300,
]:
    for work in [
        lambda: moments.dt.day_name(locale=name).tolist(),
        lambda: moments.dt.month_name(locale=name).tolist(),
        lambda: [moments[0].day_name(name)],
        lambda: pd.DatetimeIndex(moments).month_name(name).tolist(),
        lambda: pd.date_range("2024-01", periods=1).day_name(locale=(name, "UTF-8")).tolist(),
    ]:
        try:
            rows.append({"locale": name, "found": work()})
        except Exception as error:
            rows.append({"locale": name, "found": f"{type(error).__name__}: {error}"})
rows.append({"locale": "", "found": f"{1234567:n} {1234.5:n}"})
return rows

# === widths that add up to more than there are numbers
import time

moment = (2024, 3, 5, 14, 7, 9, 1, 65, 0)
formats = [
    "%2147483647d%2147483647d%5d",
    "%2147483647d%2147483647n%2n%c",
    "%99999999999d",
    "x" * 50 + "%2000d",
    "%300d",
]
return [{"text": time.strftime(form, moment)} for form in formats]

# === clocks by number
import time


def told(function, *arguments):
    try:
        return type(function(*arguments)).__name__
    except Exception as error:
        return f"{type(error).__name__}: {error}"


names = sorted(name for name in dir(time) if name.startswith("CLOCK_"))
functions = [time.clock_gettime, time.clock_gettime_ns, time.clock_getres]
asked = [*(getattr(time, name) for name in names), 99, 1000, "x", None, 1.5]
rows = [{"name": name, "number": getattr(time, name), "told": ""} for name in names]
rows += [
    {"name": function.__name__, "number": 0, "told": told(function, number)}
    for function in functions
    for number in asked
]
near = [abs(time.clock_gettime(0) - time.time()) < 1, abs(time.clock_gettime(1) - time.monotonic()) < 1]
return [*rows, {"name": "near", "number": 2, "told": str(near)}]
