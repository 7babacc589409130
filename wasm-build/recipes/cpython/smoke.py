"""The standard library that a statement reaches: numbers, text, time, files, compression, parsing."""

import asyncio
import bz2
import calendar
import collections
import contextlib
import csv
import dataclasses
import datetime
import decimal
import email.message
import fractions
import hashlib
import html
import io
import itertools
import json
import locale
import logging
import math
import os
import pathlib
import pickle
import random
import re
import statistics
import string
import struct
import sys
import tempfile
import textwrap
import time
import traceback
import types
import unicodedata
import uuid
import zipfile
import zlib
from xml.etree import ElementTree

assert sys.version_info[:2] == (3, 11)
assert sys.platform == "wasi"
assert sys.float_info.max > 1e308

assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
assert fractions.Fraction(1, 3) + fractions.Fraction(1, 6) == fractions.Fraction(1, 2)
assert math.isclose(statistics.stdev([1, 2, 3, 4]), 1.2909944487358056)
assert int("1" * 521, 2) == 2**521 - 1
assert struct.unpack("<d", struct.pack("<d", math.pi))[0] == math.pi
assert random.Random(1).random() == 0.13436424411240122
assert len(str(uuid.uuid4())) == 36

assert unicodedata.normalize("NFD", "é") == "e\u0301"
assert re.sub(r"(?P<a>\d+)-(?P<b>\d+)", r"\g<b>-\g<a>", "10-20") == "20-10"
assert string.Template("$a").substitute(a=1) == "1"
assert html.escape("<a>") == "&lt;a&gt;"
assert textwrap.shorten("many words here", 10) == "many [...]"
assert "žluťoučký".encode("cp1250").decode("cp1250") == "žluťoučký"
assert locale.getlocale()[1] in (None, "UTF-8")

moment = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
assert datetime.datetime.fromisoformat(moment.isoformat()) == moment
assert datetime.datetime.strptime("10/16/2036 09:22:33", "%m/%d/%Y %H:%M:%S").year == 2036
assert time.strftime("%Y-%m-%d", time.gmtime(0)) == "1970-01-01"
assert calendar.monthrange(2024, 2) == (3, 29)

table = io.StringIO()
writer = csv.DictWriter(table, ["a", "b"])
writer.writeheader()
writer.writerow({"a": 1, "b": 'quoted "text"'})
assert list(csv.DictReader(io.StringIO(table.getvalue()))) == [{"a": "1", "b": 'quoted "text"'}]
assert json.loads(json.dumps({"ž": [1.5, None, True]})) == {"ž": [1.5, None, True]}
root = ElementTree.fromstring("<a><b x='1'>t</b></a>")
assert root.find("b").get("x") == "1"
assert pickle.loads(pickle.dumps({"a": {1, 2}})) == {"a": {1, 2}}
message = email.message.EmailMessage()
message["Subject"] = "ž"
assert b"=?utf-8?" in bytes(message)

data = b"abc" * 1000
assert zlib.decompress(zlib.compress(data)) == data
assert bz2.decompress(bz2.compress(data)) == data
assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf")
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "archive.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("member.txt", data)
    with zipfile.ZipFile(path) as bundle:
        assert bundle.read("member.txt") == data
    assert os.listdir(folder) == ["archive.zip"]
assert not os.path.exists(folder)


@dataclasses.dataclass(frozen=True)
class Point:
    """A class made by a library's exec."""

    x: int
    y: int = 0


assert dataclasses.astuple(Point(1)) == (1, 0)
match Point(3, 4):
    case Point(x=3, y=other):
        assert other == 4
assert collections.Counter("abca").most_common(1) == [("a", 2)]
assert list(itertools.pairwise("abc")) == [("a", "b"), ("b", "c")]
assert isinstance(types.SimpleNamespace(a=1), types.SimpleNamespace)


def deep(level):
    """Recursion that never ends."""
    return deep(level + 1)


text = ""
try:
    deep(0)
except RecursionError:
    text = traceback.format_exc(limit=1)
assert "RecursionError" in text

with contextlib.redirect_stdout(io.StringIO()) as out:
    print("captured")
assert out.getvalue() == "captured\n"
logging.getLogger("smoke").debug("quiet")
assert asyncio.iscoroutinefunction(asyncio.sleep)
