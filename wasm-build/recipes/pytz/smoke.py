"""pytz reads its zone files from the image and knows summer time."""

from datetime import datetime

import pytz

prague = pytz.timezone("Europe/Prague")
assert prague.localize(datetime(2023, 7, 1, 12)).isoformat() == "2023-07-01T12:00:00+02:00"
assert prague.localize(datetime(2023, 12, 1, 12)).utcoffset().total_seconds() == 3600
assert len(pytz.all_timezones) > 500
try:
    prague.localize(datetime(2023, 3, 26, 2, 30), is_dst=None)
except pytz.NonExistentTimeError:
    pass
else:
    raise AssertionError("a moment that never was")
