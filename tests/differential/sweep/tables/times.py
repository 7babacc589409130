"""Dates and times: strftime with every printable code, flag and width, parsing, arithmetic, time zones."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists

CODES = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"'\\{}")
FLAGS = ("", "-", "_", "0", "^", "#", "E", "O", "10", "_7", "^12", "+5")
MOMENTS = ("datetime.datetime(2024, 2, 29, 13, 5, 6, 78)", "datetime.datetime(987, 12, 3, 0, 59)")
DATES = lists.section("times", "DATES")
METHODS = lists.section("times", "METHODS")
PARSED = tuple(line.split(" | ") for line in lists.section("times", "PARSED"))
"""Texts and their formats."""
ISO = lists.section("times", "ISO")
UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "as")
OF_UNITS = lists.section("times", "OF_UNITS")
UNSET = ("pd.Timestamp(5, unit='ps')", "pd.Timestamp(5, unit='as')")
"""pandas ignores its own error of the unit and goes on with numbers that nothing has set, now and then without end."""
OTHERS = lists.section("times", "OTHERS")


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for code in CODES:
        for flag in FLAGS:
            for moment in MOMENTS:
                yield "strftime", f"{moment}.strftime('%{flag}{code}')"
            yield "strftime", f"time.strftime('<%{flag}{code}>', (2024, 2, 29, 1, 5, 6, 3, 60, 0))"
        yield "strftime", f"pd.Series(pd.to_datetime(['2024-02-29 13:05:06'])).dt.strftime('%{code}')"
        yield "strptime", f"datetime.datetime.strptime('05', '%{code}')"
    for date in DATES:
        for method in METHODS:
            yield "dates and times", method.format(date)
    for text, form in PARSED:
        for parse in ("datetime.datetime.strptime", "time.strptime"):
            yield "strptime", f"{parse}({text!r}, {form!r})"
        yield "strptime", f"pd.to_datetime({text!r}, format={form!r})"
        yield "strptime", f"pd.to_datetime({text!r})"
    for text in ISO:
        for kind in ("datetime.datetime", "datetime.date", "datetime.time"):
            yield "dates and times", f"{kind}.fromisoformat({text!r})"
        yield "dates and times", f"np.datetime64({text!r})"
        yield "dates and times", f"pd.Timestamp({text!r})"
    for unit in UNITS:
        texts = (text.format(unit) for text in OF_UNITS)
        yield from (("units of time", text) for text in texts if text not in UNSET)
    yield from (("dates and times", text) for text in OTHERS)
