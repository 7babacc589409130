"""Contract C2: a refused import says what to write instead, and every line that it says works in a statement."""

import ast
import json
import re

import pytest
from tests.servers import WebServer

from wasmexec import Executor, Grants, HttpGrant, StatementRaised

ADVICE = """
import warnings
table = warnings.sys.modules["wasmexec_guest.importtable"].TABLE
return [{"names": entry.names.split(), "full": entry.full, "small": entry.small} for entry in table]
"""
PRELUDE = """
import base64, datetime, deepdiff, httpx, io, itertools, json, math, random, ssl, string, time, warnings, yaml
import xml, numpy, pandas, matplotlib, openai, jose
url = LocalVariable.Server + "/hello"
text, texts, sep, old, new, start, pattern = "1,2", ["a1", "b2"], ",", "1", "2", "1", r"(\\d)"
value, values, keys, x, y = 3, [1.5, 2.5, 2.5], ["k", "l", "k"], [1, 2, 3], [2, 4, 6]
a, b = [[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0]
rows = [{"id": 1, "name": "n", "amount": 5}]
frame = pandas.DataFrame(rows)
left = right = frame
data, number, message, expected, error = b"abcd", 7, "said", 3, ValueError("e")
counts, groups, key, row, i = {}, {}, "k", rows[0], 0
path, table, password, claims = "a/b", [1], "secret", {"sub": "me"}
date = when = datetime.datetime(2024, 2, 1)
seconds = 0
def function(*arguments):
    return arguments[-1]
async def first():
    return 1
async def second():
    return 2
"""
# What a piece needs beyond the prelude, or the rest of what it is a piece of; `@` is the piece itself.
AROUND = {
    "httpx.post(url, json=data)": 'data = {"a": 1}\nurl = LocalVariable.Server + "/echo"\n@',
    "httpx.get(url)": "assert @.text == 'hello'",
    "async with httpx.AsyncClient() as client:": "@\n    assert (await client.get(url)).text == 'hello'",
    "await client.get(url)": "async with httpx.AsyncClient() as client:\n    @",
    "str(httpx.QueryParams(values))": 'values = {"q": "a b"}\nassert @ == "q=a%20b"',
    "await gather(first(), second())": "assert @ == [1, 2]",
    "except httpx.HTTPError:": "try:\n    raise httpx.ConnectError('no')\n@\n    pass",
    'open("/tmp/name", "w")': "@.close()",
    "return rows": "@",
    "def __init__(self, name):": "class A:\n    @\n        self.name = name\nassert A('n').name == 'n'",
    "def __enter__(self):": (
        "class A:\n    @\n        return self\n    def __exit__(self, *error):\n        pass\nwith A():\n    pass"
    ),
    "def __exit__(self, *error):": (
        "class A:\n    def __enter__(self):\n        return self\n    @\n        pass\nwith A():\n    pass"
    ),
    "try:": "@\n    pass\nfinally:\n    pass",
    "finally:": "try:\n    pass\n@\n    pass",
    "json.loads(json.dumps(value))": "value = {'a': [1]}\nassert @ == value",
    "value.copy()": "value = [1]\nassert @ == value",
    "vars(value)": "value = function\n@",
    "json.loads(text)": "text = '[1]'\nassert @ == [1]",
    "[json.loads(line) for line in text.splitlines()]": "text = '1\\n2'\nassert @ == [1, 2]",
    "yaml.safe_load(text)": "text = 'a: [1]'\nassert @ == {'a': [1]}",
    "abs(value)": "value = 3 + 4j\nassert @ == 5",
    "value.real": "value = 3 + 4j\nassert @ == 3",
    "value.conjugate()": "value = 3 + 4j\nassert @ == 3 - 4j",
    "random.SystemRandom().randbytes(16).hex()": "assert len(@) == 32",
    'f"{random.getrandbits(128):032x}"': "assert len(@) == 32",
    "bytes.fromhex(text)": "text = '00ff'\nassert @ == b'\\0\\xff'",
    "math.gcd(a, b)": "a, b = 4, 6\nassert @ == 2",
    "string.Template(text).substitute(values)": "text, values = '$a!', {'a': 1}\nassert @ == '1!'",
    "pandas.Series(texts).str.extract(pattern)": "assert @[0].tolist() == ['1', '2']",
    'pandas.Series(texts).str.normalize("NFKD")': "assert @.tolist() == texts",
    "sax.saxutils.escape(text)": "from xml import sax\ntext = '<'\nassert @ == '&lt;'",
    "sax.saxutils.unescape(text)": "from xml import sax\ntext = '&lt;'\nassert @ == '<'",
    "etree.ElementTree.fromstring(text)": "from xml import etree\ntext = '<a><b/></a>'\nassert @[0].tag == 'b'",
    "pandas.read_csv(io.StringIO(text))": "text = 'a,b\\n1,2'\nassert @.b.tolist() == [2]",
    'httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=data).content': (
        "data = base64.b64decode('H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==')\nassert @ == b'hello'"
    ),
    'pandas.read_csv(io.BytesIO(data), compression="zip")': (
        "buffer = io.BytesIO()\nframe.to_csv(buffer, index=False, compression='zip')\ndata = buffer.getvalue()\n"
        "assert @.amount.tolist() == [5]"
    ),
    "pandas.to_datetime(text)": "text = '2024-02-01'\nassert @.day == 1",
    "datetime.datetime.fromisoformat(text)": "text = '2024-02-01'\nassert @.day == 1",
    "date + pandas.DateOffset(months=1)": "assert (@).month == 3",
    'date.strftime("%A")': "assert @ == 'Thursday'",
    "hex_sha256.hash(data)": (
        "from passlib.hash import hex_sha256\n"
        "assert @ == '88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589'"
    ),
    'jwk.construct(key, "HS256").sign(data)': (
        "from jose import jwk\nkey, data = 'key', b'x'\n"
        "assert @.hex() == '4fc3b7eaf34d7e594a6f51d9517ba543abf41067b27587ffd82ba3584e4d3cdd'"
    ),
    'jwt.encode(claims, key, algorithm="HS256")': "from jose import jwt\nassert jwt.decode(@, key) == claims",
    "bcrypt.hash(password)": (
        "from passlib.hash import bcrypt\nbcrypt = bcrypt.using(rounds=4)\nassert bcrypt.verify(password, @)"
    ),
    "sha512_crypt.hash(password)": (
        "from passlib.hash import sha512_crypt\nsha512_crypt = sha512_crypt.using(rounds=1000)\n"
        "assert sha512_crypt.verify(password, @)"
    ),
    "argon2.hash(password)": (
        "from passlib.hash import argon2\nargon2 = argon2.using(rounds=1, memory_cost=64)\n"
        "assert argon2.verify(password, @)"
    ),
    "jws.sign(data, key)": "from jose import jws\nassert jws.verify(@, key, 'HS256') == data",
    "jwe.encrypt(data, key)": (
        "from jose import jwe\nkey = b'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'[:32]\n"
        "assert jwe.decrypt(@, key) == data"
    ),
    "image.imread(io.BytesIO(data))": (
        "import matplotlib.pyplot as plt\nfrom matplotlib import image\nbuffer = io.BytesIO()\nplt.plot([1])\n"
        "plt.savefig(buffer)\ndata = buffer.getvalue()\nassert @.shape[2] == 4"
    ),
    "assert value == expected, message": "@",
    "del table": "@",
    "import json": "@",
}  # fmt: skip


def pieces(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def is_whole(piece: str) -> bool:
    try:
        compile(piece, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return False
    return True


@pytest.fixture(scope="module")
def table(executor: Executor) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = executor.run(ADVICE).rows
    return rows


def test_every_line_of_the_table_works_in_a_statement(
    executor: Executor, server: WebServer, table: list[dict[str, object]]
) -> None:
    told = [str(text) for entry in table for text in (entry["full"], entry["small"]) if text]
    every = list(dict.fromkeys(piece for text in told for piece in pieces(text)))
    assert len(every) > 100
    grant = HttpGrant("127.0.0.1", ports=[server.port], allow_private=True)
    failed = {}
    for piece in every:
        program = AROUND.get(piece, "@")
        assert piece in AROUND or is_whole(piece), piece
        statement = f"{PRELUDE}\n{program.replace('@', piece)}\nreturn []"
        result = executor.run(
            statement, grants=Grants(http=[grant]), local_variables={"Server": server.url("").rstrip("/"), "Name": "n"}
        )
        if result.error is not None:
            failed[piece] = result.error.message
    assert failed == {}


def test_the_table_has_the_names_that_people_try_first(table: list[dict[str, object]]) -> None:
    names = [name for entry in table for name in entry["names"]]  # type: ignore[attr-defined]
    assert len(names) == len(set(names)) > 250
    assert {
        "requests", "urllib", "aiohttp", "hashlib", "hmac", "re", "os", "sys", "pathlib", "asyncio", "collections",
        "csv", "functools", "typing", "dataclasses", "enum", "uuid", "decimal", "fractions", "statistics", "copy",
        "logging", "operator", "threading", "subprocess", "concurrent", "multiprocessing", "sqlite3", "pickle", "zlib",
        "gzip", "zipfile", "tempfile", "shutil", "glob", "socket", "traceback", "contextlib", "secrets", "calendar",
        "zoneinfo", "pytz", "dateutil", "scipy", "sklearn", "seaborn", "plotly", "bs4", "lxml", "jwt", "bcrypt",
        "cryptography", "toml", "tomllib", "openpyxl", "xlrd", "boto3", "psycopg2", "pymongo", "redis", "simplejson",
        "ujson", "orjson", "pyyaml",
    } <= set(names)  # fmt: skip


def test_without_pandas_nothing_of_it_is_advised(executor: Executor, table: list[dict[str, object]]) -> None:
    """The core image lacks numpy, pandas, matplotlib and what needs a C library: its gate is asked in this one."""
    statement = """
import warnings
gate = warnings.sys.modules["wasmexec_guest.importgate"]
lacking = dict.fromkeys(["numpy", "pandas", "matplotlib", "matplotlib.pyplot"], "core")
return [{"name": name, "said": gate.refusal(name, (), 0, lacking)} for name in INPUT_DATA]
"""
    names = [name for entry in table for name in entry["names"]]  # type: ignore[attr-defined]
    for row in executor.run(statement, input_data=names).rows:
        for piece in pieces(row["said"]):
            assert not re.search(r"\b(numpy|pandas|matplotlib|frame|plt|argon2|jwe)\b", piece), row


def said(executor: Executor, line: str) -> str:
    """The advice of a run, which must be that of the check too."""
    error = executor.run(f"{line}\nreturn []").error
    assert isinstance(error, StatementRaised)
    assert error.type_name == "ImportError"
    assert [problem.message for problem in executor.check(f"{line}\nreturn []")] == [error.exception_message]
    return error.exception_message.partition(" is not allowed: it is not in the list; ")[2]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("import requests", "use httpx: `httpx.get(url)`"),
        ("from urllib.parse import quote",
         "`httpx.URL(url)` takes a URL apart, `str(httpx.QueryParams(values))` writes a query string"),
        ("from urllib import parse",
         "`httpx.URL(url)` takes a URL apart, `str(httpx.QueryParams(values))` writes a query string"),
        ("import urllib.request", "use httpx: `httpx.get(url)`"),
        ("from os import path", '`path.rpartition("/")` takes a path apart'),
        ("import os.path", '`path.rpartition("/")` takes a path apart'),
        ("from os.path import join", '`path.rpartition("/")` takes a path apart'),
        ("import importlib", "write a plain import of a listed name: `import json`"),
        ("__import__('importlib.util')", "write a plain import of a listed name: `import json`"),
        ("from concurrent.futures import ThreadPoolExecutor",
         ("there are no threads: `await gather(first(), second())` waits for several coroutines at once, "
         "`await sleep(seconds)` for a while")),
        ("import Crypto.Cipher", ("`from jose import jwe, jws`: `jws.sign(data, key)` signs, `jwe.encrypt(data, key)` "
         "encrypts")),
        ("import panda", "did you mean 'pandas'?"),
        ("import numpi", "did you mean 'numpy'?"),
        ("import jsn", "did you mean 'json'?"),
        ("import matplotlb", "did you mean 'matplotlib'?"),
        ("import matplotlib.pyplt", "did you mean 'matplotlib.pyplot'?"),
        ("import Json", "did you mean 'json'?"),
        ("import tiem", "did you mean 'time'?"),
        ("import reqeusts", "use httpx: `httpx.get(url)`"),
        ("import passlib", "write `import passlib.hash`"),
        ("from passlib import hash", "write `import passlib.hash`"),
        ("from passlib.context import CryptContext",
         "write `import passlib.hash`, then `passlib.context.CryptContext`"),
        ("import nothing_like_it",
         ("the listed names are base64, datetime, deepdiff, httpx, io, itertools, jose, jose.backends, "
         "jose.constants, jose.utils, json, math, matplotlib, matplotlib.pyplot, numpy, openai, pandas, "
         "passlib.hash, random, ssl, string, time, warnings, xml, yaml")),
        ("import xml.nothing", "'xml' is listed, but has no 'nothing'"),
        ("import xml.etree.Nothing", "'xml' is listed, but has no 'etree.Nothing'"),
    ],
)  # fmt: skip
def test_run_and_check_say_what_to_write(executor: Executor, line: str, advice: str) -> None:
    assert said(executor, line) == advice


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("import matplotlib.dates", ["from matplotlib import dates"]),
        ("from matplotlib.dates import DateFormatter", ["from matplotlib import dates", "dates.DateFormatter"]),
        ("import xml.etree.ElementTree as ET", ["from xml import etree", "etree.ElementTree"]),
        ("from xml.etree import ElementTree", ["from xml import etree", "etree.ElementTree"]),
        ("from xml.etree.ElementTree import parse, fromstring",
         ["from xml import etree", "etree.ElementTree.parse", "etree.ElementTree.fromstring"]),
        ("from xml.dom import minidom", ["from xml import dom", "dom.minidom"]),
        ("from xml.dom.minidom import parseString", ["from xml import dom", "dom.minidom.parseString"]),
        ("from xml.sax.saxutils import escape", ["from xml import sax", "sax.saxutils.escape"]),
        ("import numpy.linalg", ["from numpy import linalg"]),
        ("from numpy.random import default_rng", ["from numpy import random", "random.default_rng"]),
        ("import json.decoder", ["from json import decoder"]),
        ("from json.decoder import JSONDecodeError", ["from json import decoder", "decoder.JSONDecodeError"]),
        ("import datetime.datetime", ["from datetime import datetime"]),
        ("from datetime.datetime import now", ["from datetime import datetime", "datetime.now"]),
        ("import jose.jwt", ["from jose import jwt"]),
        ("from jose.exceptions import JWTError", ["from jose import exceptions", "exceptions.JWTError"]),
        ("from passlib.hash.bcrypt import hash", ["from passlib.hash import bcrypt", "bcrypt.hash"]),
        ("import pandas.io.json", ["from pandas import io", "io.json"]),
        ("from pandas.tseries.offsets import MonthEnd", ["from pandas import tseries", "tseries.offsets.MonthEnd"]),
        ("from matplotlib.ticker import FuncFormatter", ["from matplotlib import ticker", "ticker.FuncFormatter"]),
        ("from openai.error import RateLimitError", ["from openai import error", "error.RateLimitError"]),
        ("from httpx._client import Client", ["from httpx import _client", "_client.Client"]),
        ("from yaml.loader import SafeLoader", ["from yaml import loader", "loader.SafeLoader"]),
    ],
)  # fmt: skip
def test_something_inside_a_listed_package_comes_with_the_lines_that_lead_to_it(
    executor: Executor, line: str, lines: list[str]
) -> None:
    text = said(executor, line)
    assert text.startswith(f"write `{lines[0]}`")
    assert pieces(text) == lines
    result = executor.run("\n".join(lines) + "\nreturn []")
    assert result.error is None, result.error


def test_what_lies_below_xml_works(executor: Executor) -> None:
    statement = """
from xml import dom, etree, sax
class Names(sax.ContentHandler):
    def startElement(self, name, attributes):
        found.append(name)
found = []
sax.parseString(b"<a><b/></a>", Names())
tree = etree.ElementTree.fromstring("<a><b c='1'/></a>")
return [{"etree": tree[0].attrib["c"], "dom": dom.minidom.parseString("<a x='2'/>").documentElement.getAttribute("x"),
         "sax": found, "escaped": sax.saxutils.quoteattr("<")}]
"""
    assert executor.run(statement).rows == [{"etree": "1", "dom": "2", "sax": ["a", "b"], "escaped": '"&lt;"'}]


def test_a_name_however_long_is_refused_in_no_time(executor: Executor) -> None:
    error = executor.run(f"__import__({json.dumps('a.b' * 100_000)})\nreturn []").error
    assert isinstance(error, StatementRaised)
    assert error.type_name == "ImportError"
