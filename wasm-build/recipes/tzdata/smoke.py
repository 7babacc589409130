"""zoneinfo finds its zones in the tzdata package: the guest has no others."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

assert "Europe/Prague" in available_timezones()
assert datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Prague")).utcoffset() == timedelta(hours=2)
assert datetime(2024, 7, 1, tzinfo=ZoneInfo("Pacific/Chatham")).utcoffset() == timedelta(hours=12, minutes=45)
