"""Contract C2: 25 listed names, an exact test on the name, and real modules behind it."""

import pytest

from wasmexec import Executor, StatementRaised, Status

LISTED = [
    "string", "math", "itertools", "random", "warnings", "base64", "io", "json", "xml", "ssl", "time", "datetime",
    "yaml", "httpx", "pandas", "numpy", "deepdiff", "passlib.hash", "jose", "jose.backends", "jose.constants",
    "jose.utils", "openai", "matplotlib", "matplotlib.pyplot",
]  # fmt: skip


def refusal(executor: Executor, statement: str) -> StatementRaised:
    result = executor.run(statement)
    assert result.status is Status.STATEMENT_RAISED
    assert isinstance(result.error, StatementRaised)
    assert result.error.type_name == "ImportError"
    return result.error


@pytest.mark.parametrize("name", LISTED)
def test_every_listed_module_can_be_imported_in_each_form(executor: Executor, name: str) -> None:
    top = name.partition(".")[0]
    statement = f"""
import {name}
import {name} as alias
found = __import__("{name}")
return [{{"top": {top}.__name__, "alias": alias.__name__, "found": found.__name__}}]
"""
    assert executor.run(statement).rows == [{"top": top, "alias": name, "found": top}]


def test_a_listed_module_that_an_image_lacks_says_so(executor: Executor) -> None:
    """The core image lacks some; this one has them all, so its gate is asked about another."""
    statement = """
import warnings
refusal = warnings.sys.modules["wasmexec_guest.importgate"].refusal
lacking = {"matplotlib": "core", "matplotlib.pyplot": "core"}
return [{"name": name, "refusal": refusal(name, (), 0, lacking)} for name in [*lacking, "matplotlib.text"]]
"""
    found = {row["name"]: row["refusal"] for row in executor.run(statement).rows}
    for name in ("matplotlib", "matplotlib.pyplot"):
        assert found[name] == f"'{name}' is listed, not in this image ('core')"
    assert found["matplotlib.text"] == (
        "import of 'matplotlib.text' is not allowed: it is not in the list; "
        "'matplotlib' is listed, but not in this image"
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import os", "os"),
        ("import sys", "sys"),
        ("from xml.etree import ElementTree", "xml.etree"),
        ("import json.decoder", "json.decoder"),
        ("import numpy.linalg", "numpy.linalg"),
        ("from numpy.random import default_rng", "numpy.random"),
        ("import jose.jwt", "jose.jwt"),
        ("import passlib", "passlib"),
        ("from passlib import hash", "passlib"),
        ("import passlib.hash.bcrypt", "passlib.hash.bcrypt"),
        ("import matplotlib.pyplot.figure", "matplotlib.pyplot.figure"),
        ("import panda", "panda"),
        ("import Json", "Json"),
        ("import builtins", "builtins"),
        ("import _wasmexec", "_wasmexec"),
        ("__import__('os')", "os"),
        ("__import__('os.path')", "os.path"),
        ("__import__('os', None, None, ['path'])", "os"),
    ],
)
def test_anything_else_is_refused_at_its_line(executor: Executor, line: str, name: str) -> None:
    """What is advised instead: test_import_advice.py."""
    error = refusal(executor, f"log.info('before')\n{line}\nreturn []")
    assert error.exception_message.startswith(f"import of {name!r} is not allowed: it is not in the list; ")
    assert error.line == 2
    assert error.traceback == (
        f'Traceback (most recent call last):\n  File "<statement>", line 2, in <statement>\n    {line}\n'
        f"ImportError: {error.exception_message}\n"
    )


def test_relative_imports_are_refused(executor: Executor) -> None:
    message = "relative imports are not possible: a statement is not part of a package"
    assert refusal(executor, "from . import json\nreturn []").exception_message == message
    assert refusal(executor, "from .json import dumps\nreturn []").exception_message == message
    assert refusal(executor, "__import__('json', level=1)\nreturn []").exception_message == message


@pytest.mark.parametrize(
    "body",
    [
        "def f():\n    import os\nf()",
        "class A:\n    import os",
        "exec('import os')",
        "exec('import os', {})",
        "eval('__import__(\"os\")')",
        "(lambda: __import__('os'))()",
        "list(map(__import__, ['os']))",
        "async def f():\n    import os\nawait f()",
    ],
)
def test_the_gate_binds_every_frame_of_the_statement(executor: Executor, body: str) -> None:
    message = (
        "import of 'os' is not allowed: it is not in the list; there is nothing of the host in the guest: settings "
        "come as `LocalVariable.Name`"
    )
    assert refusal(executor, f"{body}\nreturn []").exception_message == message


def test_a_refused_import_can_be_caught_and_tells_its_name(executor: Executor) -> None:
    statement = """
try:
    import subprocess
except ImportError as error:
    return [{"name": error.name, "type": type(error).__name__}]
"""
    assert executor.run(statement).rows == [{"name": "subprocess", "type": "ImportError"}]


def test_a_name_must_be_a_str(executor: Executor) -> None:
    error = executor.run("__import__(5)\nreturn []").error
    assert isinstance(error, StatementRaised)
    assert (error.type_name, error.exception_message) == ("TypeError", "module name must be a string")


def test_listed_modules_import_what_they_like_for_themselves(executor: Executor) -> None:
    statement = """
import warnings, random
return [{"sys": warnings.sys.platform, "os": random._os.sep}]
"""
    assert executor.run(statement).rows == [{"sys": "wasi", "os": "/"}]


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("from numpy import linalg\nv = round(linalg.det([[1.0, 2.0], [3.0, 5.0]]), 12)", -1.0),
        ("import numpy\nv = numpy.linalg.norm([3, 4])", 5.0),
        ("from numpy import fft\nv = abs(fft.fft([1, 0, 0, 0]))", [1.0, 1.0, 1.0, 1.0]),
        ("from jose import jwt\nv = jwt.encode({'a': 1}, 'key', algorithm='HS256')",
         "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.Z4rGK-v6a2sWAUQdmALR3aYbXZviLr8j26a9ndx_bM4"),
        ("from jose import jwt\nv = jwt.decode(jwt.encode({'a': 1}, 'k', algorithm='HS512'), 'k', ['HS512'])",
         {"a": 1}),
        ("from jose.constants import ALGORITHMS\nv = ALGORITHMS.HS512", "HS512"),
        ("from jose.utils import base64url_encode\nv = base64url_encode(b'Pz>').decode()", "UHo-"),
        ("from passlib.hash import md5_crypt\nv = md5_crypt.using(salt='salt').hash('pw')",
         "$1$salt$IXp9zPHZ94CMcVBXaZFPN/"),
        ("from passlib.hash import pbkdf2_sha256\nv = pbkdf2_sha256.using(rounds=10, salt=b'salt').hash('pw')",
         "$pbkdf2-sha256$10$c2FsdA$cq7NFCRIh8MW4kAZx.AgtYiI8CmGFJCATTbiC0LZMho"),
        ("import ssl\nv = ssl.create_default_context().check_hostname", True),
        ("from xml import etree, dom, sax\nv = [etree.__name__, dom.__name__, sax.__name__]",
         ["xml.etree", "xml.dom", "xml.sax"]),
        ("from deepdiff import DeepDiff\nv = DeepDiff({'a': 1}, {'a': 2}).to_dict()",
         {"values_changed": {"root['a']": {"new_value": 2, "old_value": 1}}}),
        ("import yaml\nv = yaml.safe_load('a: [1, 2.5, x]')", {"a": [1, 2.5, "x"]}),
        ("import io\nv = io.StringIO('a\\nb').readlines()", ["a\n", "b"]),
        ("import httpx\nv = str(httpx.URL('https://example.com/a').join('b'))", "https://example.com/b"),
        ("import pandas\nv = pandas.to_datetime('2024-02-29').strftime('%A')", "Thursday"),
    ],
)  # fmt: skip
def test_what_the_gate_permits_is_usable(executor: Executor, statement: str, value: object) -> None:
    result = executor.run(f"{statement}\nreturn [{{'value': v}}]")
    result.raise_for_status()
    assert result.rows == [{"value": value}]


def test_c_code_of_a_library_imports_what_it_likes_while_the_statement_is_running(executor: Executor) -> None:
    rows = "[{'year': time.strptime('2024', '%Y').tm_year, 'dtype': str(numpy.array([1]).dtype)}]"
    statement = f"import time, numpy\nreturn {rows}"
    result = executor.run(statement)
    assert (result.error, result.rows) == (None, [{"year": 2024, "dtype": "int64"}])
