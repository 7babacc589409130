"""Modules that people try first and that are not in the list, and what serves the purpose of each.

Every piece of code between backquotes works in a statement; a test runs each.
"""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """What serves the purpose of some modules; `small` is for images without numpy, pandas, matplotlib."""

    names: str
    full: str
    small: str | None = None


_NO_SOCKETS = "the guest has no sockets: call the service's HTTP API, `httpx.get(url)`"
_NO_THREADS = (
    "`await gather(first(), second())` waits for several coroutines at once, `await sleep(seconds)` for a while"
)
_NO_MODELS = "nothing in the list does that: call a service that does, `httpx.post(url, json=data)`"
_NO_DRAWING = "nothing in this image draws; the image 'full' has matplotlib"

TABLE = (
    # The network.
    Advice(
        "requests urllib3 http httplib2 httpcore pycurl urllib urllib2 requests_toolbelt zeep websocket",
        "use httpx: `httpx.get(url)`",
    ),
    Advice(
        "aiohttp websockets",
        "use httpx: `async with httpx.AsyncClient() as client:`, then `await client.get(url)`",
    ),
    Advice(
        "urllib.parse yarl furl",
        "`httpx.URL(url)` takes a URL apart, `str(httpx.QueryParams(values))` writes a query string",
    ),
    Advice(
        "socket socketserver select selectors ftplib smtplib imaplib poplib telnetlib xmlrpc email paramiko grpc "
        "boto3 botocore azure google googleapiclient psycopg psycopg2 asyncpg pymysql mysql mysqlclient pymssql "
        "pyodbc oracledb cx_oracle snowflake sqlalchemy pymongo bson redis elasticsearch cassandra kafka pika "
        "stripe slack_sdk twilio sendgrid",
        _NO_SOCKETS,
    ),
    Advice(
        "anthropic langchain transformers torch tensorflow keras xgboost lightgbm nltk spacy sympy networkx "
        "selenium playwright scrapy",
        _NO_MODELS,
    ),
    Advice(
        "flask django fastapi streamlit",
        "a statement answers no requests, it returns rows: `return rows`",
    ),
    # Waiting, threads, processes.
    Advice(
        "asyncio trio anyio",
        _NO_THREADS,
    ),
    Advice(
        "threading _thread concurrent multiprocessing queue joblib ray celery gevent",
        "there are no threads: `await gather(first(), second())` waits for several coroutines at once, `await "
        "sleep(seconds)` for a while",
    ),
    Advice(
        "subprocess signal psutil sh pexpect fcntl resource",
        "there are no processes in the guest: call a service instead, `httpx.post(url, json=data)`",
    ),
    Advice(
        "tenacity backoff retry retrying",
        "write the loop: `except httpx.HTTPError:` and `await sleep(seconds)`",
    ),
    Advice(
        "sched schedule apscheduler",
        "`await sleep(seconds)` waits",
    ),
    Advice(
        "os.path posixpath ntpath",
        '`path.rpartition("/")` takes a path apart',
    ),
    # The machine.
    Advice(
        "os environ dotenv environs decouple getpass pwd platform configparser",
        "there is nothing of the host in the guest: settings come as `LocalVariable.Name`",
    ),
    Advice(
        "pathlib glob shutil tempfile fnmatch fileinput",
        '`open("/tmp/name", "w")` writes a file of this run, `io.StringIO()` one in memory',
    ),
    Advice(
        "sys builtins",
        "`return rows` ends the statement, `print(text)` writes to the log",
    ),
    Advice(
        "argparse click optparse typer fire docopt getopt",
        "a statement has no command line: settings come as `LocalVariable.Name`",
    ),
    Advice(
        "importlib imp pkgutil pip setuptools pkg_resources runpy",
        "write a plain import of a listed name: `import json`",
    ),
    Advice(
        "gc weakref tracemalloc faulthandler atexit",
        "every run is a fresh instance: `del table` lets go of a value",
    ),
    # Language and containers.
    Advice(
        "typing typing_extensions __future__",
        "type hints are refused in a statement: leave them out, and this import",
    ),
    Advice(
        "collections",
        "`counts[key] = counts.get(key, 0) + 1` counts, `groups.setdefault(key, []).append(row)` groups, "
        "`pandas.Series(keys).value_counts()` counts a column",
        "`counts[key] = counts.get(key, 0) + 1` counts, `groups.setdefault(key, []).append(row)` groups",
    ),
    Advice(
        "functools toolz cachetools more_itertools",
        "write it out: `lambda value: function(1, value)` binds an argument, `itertools.accumulate(values, "
        "function)` reduces, a dict caches",
    ),
    Advice(
        "operator",
        'write it out: `lambda row: row["name"]`',
    ),
    Advice(
        "dataclasses attr attrs pydantic msgspec marshmallow abc types numbers",
        "use a dict, or a plain class: `def __init__(self, name):`",
    ),
    Advice(
        "enum",
        "use plain constants: `RED, GREEN, BLUE = range(3)`",
    ),
    Advice(
        "copy",
        "`json.loads(json.dumps(value))` copies plain data, `value.copy()` a list, a dict or a frame",
    ),
    Advice(
        "contextlib",
        "write `try:` and `finally:`, or a class with `def __enter__(self):` and `def __exit__(self, *error):`",
    ),
    Advice(
        "inspect dis",
        "`type(value).__name__`, `dir(value)` and `vars(value)` look into a value",
    ),
    Advice(
        "ast",
        "`json.loads(text)` or `yaml.safe_load(text)` reads a literal",
    ),
    Advice(
        "heapq sortedcontainers",
        "sort: `sorted(values)[:10]`",
    ),
    Advice(
        "bisect",
        "`numpy.searchsorted(values, value)` finds the place",
        "`sum(item < value for item in values)` finds the place",
    ),
    Advice(
        "array numba cython cffi ctypes",
        "use numpy: `numpy.array(values)`",
        "use a list, or `bytearray(100)`",
    ),
    Advice(
        "timeit cprofile profile",
        "`time.perf_counter()` measures",
    ),
    Advice(
        "traceback sentry_sdk",
        "`log.error(repr(error))`; an exception that is not caught brings its traceback along",
    ),
    Advice(
        "logging loguru structlog logbook",
        "use the logger that is there: `log.info(message)`, also trace, debug, warn and error",
    ),
    Advice(
        "tqdm rich progressbar colorama",
        "use the log: `log.info(message)`",
    ),
    Advice(
        "pytest unittest doctest mock",
        "`assert value == expected, message` checks",
    ),
    # Numbers.
    Advice(
        "decimal money babel locale",
        'count in the smallest unit as int, or `round(value, 2)`; `f"{value:,.2f}"` writes an amount',
    ),
    Advice(
        "fractions",
        "keep two ints; `math.gcd(a, b)` reduces them",
    ),
    Advice(
        "statistics",
        "`pandas.Series(values).median()`, likewise mean, std and quantile",
        "`math.fsum(values) / len(values)` is the mean, `sorted(values)[len(values) // 2]` the median",
    ),
    Advice(
        "cmath",
        "`abs(value)`, `value.real` and `value.conjugate()` work on complex numbers",
    ),
    Advice(
        "scipy statsmodels sklearn",
        "numpy has `numpy.polyfit(x, y, 1)`, `numpy.interp(value, x, y)` and `numpy.linalg.lstsq(a, b, rcond=None)`",
        "nothing in this image does that; the image 'full' has numpy",
    ),
    Advice(
        "secrets",
        "`random.SystemRandom().choice(values)` and `random.SystemRandom().randbytes(16).hex()` are secure",
    ),
    Advice(
        "uuid shortuuid ulid nanoid",
        '`f"{random.getrandbits(128):032x}"` is a random id',
    ),
    Advice(
        "faker",
        "use random: `random.choice(values)`",
    ),
    # Text and bytes.
    Advice(
        "re regex parse",
        "use `text.split(sep)`, `text.partition(sep)` and `text.replace(old, new)`, or for a pattern pandas: "
        "`pandas.Series(texts).str.extract(pattern)`",
        "use `text.split(sep)`, `text.partition(sep)`, `text.replace(old, new)` and `text.startswith(start)`",
    ),
    Advice(
        "textwrap",
        "slice: `[text[i : i + 70] for i in range(0, len(text), 70)]`",
    ),
    Advice(
        "unicodedata unidecode",
        '`pandas.Series(texts).str.normalize("NFKD")` normalises, `text.casefold()` folds case',
        "`text.casefold()` folds case",
    ),
    Advice(
        "difflib fuzzywuzzy rapidfuzz thefuzz levenshtein",
        "use deepdiff: `deepdiff.DeepDiff(old, new)`",
    ),
    Advice(
        "pprint",
        "`json.dumps(value, indent=2, default=str)` lays it out",
    ),
    Advice(
        "tabulate prettytable",
        "use pandas: `pandas.DataFrame(rows).to_string()`",
        "`json.dumps(rows, indent=2)` lays it out",
    ),
    Advice(
        "jinja2 mako",
        "use `string.Template(text).substitute(values)`",
    ),
    Advice(
        "binascii",
        "`data.hex()`, `bytes.fromhex(text)` and `base64.b64encode(data)` do it",
    ),
    Advice(
        "codecs chardet",
        '`data.decode("utf-8", "replace")` and `text.encode("utf-8")` do it',
    ),
    Advice(
        "struct",
        '`int.from_bytes(data[:4], "big")` reads, `number.to_bytes(4, "big")` writes an integer',
    ),
    Advice(
        "html",
        "`from xml import sax`, then `sax.saxutils.escape(text)` and `sax.saxutils.unescape(text)`",
    ),
    Advice(
        "bs4 lxml html5lib html.parser xmltodict defusedxml beautifulsoup4 pyquery",
        "for well-formed markup: `from xml import etree`, then `etree.ElementTree.fromstring(text)`",
    ),
    # Formats.
    Advice(
        "csv",
        "`pandas.read_csv(io.StringIO(text))` reads, `frame.to_csv(index=False)` writes",
        '`[line.split(",") for line in text.splitlines()]` reads lines without quotes',
    ),
    Advice(
        "simplejson ujson orjson rapidjson json5 demjson pickle marshal shelve dill cloudpickle msgpack",
        "use json: `json.loads(text)` and `json.dumps(value)`",
    ),
    Advice(
        "jsonlines ndjson",
        "`[json.loads(line) for line in text.splitlines()]` reads the lines",
    ),
    Advice(
        "pyyaml ruamel oyaml",
        "it is called yaml: `yaml.safe_load(text)`",
    ),
    Advice(
        "toml tomllib tomli pytoml",
        "nothing in the list reads TOML: send YAML, `yaml.safe_load(text)`",
    ),
    Advice(
        "openpyxl xlrd xlwt xlsxwriter pyxlsb odf",
        "nothing in the list reads or writes Excel: use CSV, `pandas.read_csv(io.StringIO(text))`",
        'nothing in the list reads or writes Excel: use CSV, `[line.split(",") for line in text.splitlines()]`',
    ),
    Advice(
        "gzip zlib",
        'httpx unpacks it: `httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=data).content`',
    ),
    Advice(
        "bz2 lzma zipfile tarfile",
        'pandas reads a packed table: `pandas.read_csv(io.BytesIO(data), compression="zip")`, likewise "bz2" and "xz"',
        "nothing in this image unpacks it; the image 'full' has pandas",
    ),
    Advice(
        "sqlite3 duckdb pandasql peewee dataset tinydb",
        'pandas does what SQL does: `left.merge(right, on="id")` and `frame.query("amount > 3")`',
        'join with a dict: `by_id = {row["id"]: row for row in rows}`',
    ),
    Advice(
        "polars dask modin pyarrow fastparquet vaex cudf pyspark swifter geopandas numexpr",
        "use pandas: `pandas.DataFrame(rows)`",
        'use lists and dicts: `[row for row in rows if row["amount"] > 3]`',
    ),
    # Time.
    Advice(
        "calendar",
        '`date.strftime("%A")` names the day, `pandas.Timestamp(date).days_in_month` counts the month\'s',
        '`date.strftime("%A")` names the day, `date.weekday()` numbers it',
    ),
    Advice(
        "zoneinfo pytz tzlocal",
        '`pandas.Timestamp(when, tz="Europe/Prague")` knows the time zones',
        "`datetime.timezone(datetime.timedelta(hours=1))` is a fixed offset",
    ),
    Advice(
        "dateutil arrow pendulum dateparser",
        "`pandas.to_datetime(text)` reads a date, `date + pandas.DateOffset(months=1)` counts in months",
        "`datetime.datetime.fromisoformat(text)` reads a date, `datetime.timedelta(days=30)` is a span",
    ),
    # Secrets.
    Advice(
        "hashlib",
        "`from passlib.hash import hex_sha256`, then `hex_sha256.hash(data)`; likewise hex_md5, hex_sha1 and "
        "hex_sha512",
    ),
    Advice(
        "hmac",
        '`from jose import jwk`, then `jwk.construct(key, "HS256").sign(data)`',
    ),
    Advice(
        "jwt authlib jwcrypto",
        '`from jose import jwt`, then `jwt.encode(claims, key, algorithm="HS256")`',
    ),
    Advice(
        "bcrypt",
        "`from passlib.hash import bcrypt`, then `bcrypt.hash(password)`",
    ),
    Advice(
        "argon2 crypt scrypt",
        "`from passlib.hash import argon2`, then `argon2.hash(password)`; likewise scrypt and sha512_crypt",
        "`from passlib.hash import sha512_crypt`, then `sha512_crypt.hash(password)`; likewise pbkdf2_sha256",
    ),
    Advice(
        "cryptography crypto cryptodome nacl openssl rsa ecdsa",
        "`from jose import jwe, jws`: `jws.sign(data, key)` signs, `jwe.encrypt(data, key)` encrypts",
        "`from jose import jws`, then `jws.sign(data, key)` signs",
    ),
    # Pictures.
    Advice(
        "seaborn plotly bokeh altair pylab ggplot plotnine pygal",
        "use matplotlib: `import matplotlib.pyplot as plt`",
        _NO_DRAWING,
    ),
    Advice(
        "pil pillow cv2 imageio skimage",
        "`from matplotlib import image`, then `image.imread(io.BytesIO(data))` reads a picture",
        _NO_DRAWING,
    ),
    # Abbreviations.
    Advice(
        "np",
        "write `import numpy as np`",
        "nothing in this image does that; the image 'full' has numpy",
    ),
    Advice(
        "pd",
        "write `import pandas as pd`",
        "nothing in this image does that; the image 'full' has pandas",
    ),
    Advice(
        "plt",
        "write `import matplotlib.pyplot as plt`",
        _NO_DRAWING,
    ),
    Advice(
        "dt",
        "write `import datetime as dt`",
    ),
)
