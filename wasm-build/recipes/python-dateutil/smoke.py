"""dateutil parses, adds months, repeats by rule and has its own zone files."""

from datetime import datetime

from dateutil import parser, relativedelta, rrule, tz
from dateutil.zoneinfo import get_zonefile_instance

assert parser.parse("Thu Sep 25 10:36:28 2003") == datetime(2003, 9, 25, 10, 36, 28)
assert parser.isoparse("2024-02-29T01:02:03.5+05:30").utcoffset().total_seconds() == 19800
assert datetime(2024, 1, 31) + relativedelta.relativedelta(months=1) == datetime(2024, 2, 29)
fridays = rrule.rrule(rrule.MONTHLY, count=3, byweekday=rrule.FR(-1), dtstart=datetime(2024, 1, 1))
assert [day.day for day in fridays] == [26, 23, 29]
assert tz.gettz("America/New_York").utcoffset(datetime(2024, 7, 1)).total_seconds() == -14400
assert get_zonefile_instance().get("Asia/Tokyo") is not None
