"""Mask, then shorten: a secret that is longer than what is shown of a text leaves no piece of itself there.

Each case is run twice: with the value as a secret, and with the same value as a local variable, which shows that the
text really comes from there.
"""

from __future__ import annotations

import json
import random
import string
from typing import Any

import pytest
from tests.http_caller import private_grant
from tests.servers import WebServer

import wasmexec
from wasmexec import Executor, Grants, Limits, MemoryRecorder

LETTERS = string.ascii_letters + string.digits
TOKEN = "".join(random.Random(1).choices(LETTERS, k=800))
LONG = "".join(random.Random(2).choices(LETTERS, k=20_000))
PIECE = 12
COLUMNS = [{"name": "n", "type": "integer"}]
TEXTS = [{"name": "n", "type": "base64"}]
BY_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "a column of the wrong type": ("return [{'n': K}]", {"output_schema": COLUMNS}),
    "a column that is not Base64": ("return [{'n': '!' + K}]", {"output_schema": TEXTS}),
    "a date that is none": ("return [{'n': K}]", {"output_schema": [{"name": "n", "type": "datetime"}]}),
    "a key that is not in the schema": ("return [{'n': 1, 'x' * 30 + K: 1}]", {"output_schema": COLUMNS}),
    "a nested value": ("return [{'n': {'a': ['x', K]}}]", {"output_schema": COLUMNS}),
    "by JSON Schema": ("return [{'n': K}]", {"output_schema": BY_SCHEMA}),
    "a key that JSON Schema refuses": ("return [{'n': 1, K: 1}]", {"output_schema": BY_SCHEMA}),
    "a dropped key": ("return [{'n': 1, K: 1}]", {"output_schema": wasmexec.Schema.prepare(COLUMNS, mode="lenient")}),
    "a value without JSON form": ("return [{'n': {K, K}}]", {}),
    "a value in an object": (
        "class Thing:\n  def __repr__(self): return 'x' * 150 + K\nreturn [{'n': [Thing()]}]",
        {},
    ),
    "a key that is no text": ("return [{('x', K): 1}]", {}),
    "bytes as a key": ("return [{K.encode(): 1}]", {}),
    "a deep pointer": ("return [{K: {K: {K: {1, 2}}}}]", {}),
    "what is no list": ("return K", {}),
    "what is no list of objects": ("return [K]", {}),
    "a dict instead of a list": ("return {'a': ['x', K], 'b': K.encode()}", {}),
    "a tuple instead of a list": ("return (K, [K, {K: K}])", {}),
    "a class with its name": ("return [{'n': type('C' * 50 + K, (), {})()}]", {}),
    "a message": ("raise ValueError('x' * 5000 + K + 'y' * 9000)", {}),
    "the end of a message": ("raise ValueError('x' * 9000 + K + 'y' * 2400)", {}),
    "a message of nothing else": ("raise ValueError((K + ' ') * 40)", {}),
    "a message in another spelling": ("import json\nraise ValueError('x' * 5000 + json.dumps([K]) + 'y' * 9000)", {}),
    "a very long message": ("raise ValueError((K + ' ') * 4000)", {}),
    "an endless message": ("raise ValueError('x' * 5000 + (K + ' ') * (5_000_000 // len(K)) + 'y' * 2000)", {}),
    "a traceback": (
        "try:\n  raise KeyError('x' * 21_000 + K + 'y' * 12_000)\nexcept KeyError as e:\n  raise ValueError from e",
        {},
    ),
    "notes": ("e = ValueError('v')\ne.add_note('x' * 21_700 + K + 'y' * 15_000)\nraise e", {}),
    "a key error": ("d = {}\nd['x' * 5000 + K + 'y' * 5000]", {}),
    "a name of an exception": ("raise type('E' * 150 + K, (Exception,), {})('x')", {}),
    "an unknown attribute": ("getattr(log, 'x' * 5000 + K + 'y' * 5000)", {}),
    "an unraisable exception": (
        ("class Del:\n  def __del__(self): raise ValueError('v' + K)\n"
        "Del.__del__.__qualname__ = 'x' * 120 + K\nd = Del()\ndel d\nreturn []"),
        {},
    ),
    "a coroutine never awaited": (
        "async def f(): pass\nf.__qualname__ = 'x' * 190 + K\nf()\nraise ValueError('x')", {},
    ),
    "the name of a function that takes too long": (
        "g = {}\nexec(compile('def f' + K + '():\\n  while True: pass', '<statement>', 'exec'), g)\ng['f' + K]()",
        {"limits": Limits(cpu_seconds=0.3)},
    ),
    "the name of a function that sleeps": (
        ("g = {'sleep': sleep}\nexec(compile('async def f' + K + '(): await sleep(9)', '<statement>', 'exec'), g)\n"
        "await g['f' + K]()"),
        {"limits": Limits(wall_seconds=0.5)},
    ),
    "a log message": ("log.info('x' * 900 + K + 'y' * 900)\nreturn []", {"limits": Limits(log_bytes=1200)}),
    "a log message of nothing else": ("log.info((K + ' ') * 40)\nreturn []", {"limits": Limits(log_bytes=3000)}),
    "a table that pandas prints": ("import pandas as pd\nprint(pd.DataFrame({'t': ['x', K]}))\nreturn []", {}),
    "a series in a message": ("import pandas as pd\nraise ValueError(pd.Series(['x', K]))", {}),
    "a header": ("import httpx\nhttpx.get(server, headers={'Host': 'x' * 60 + K})", {}),
    "a host that is not granted": ("import httpx\nhttpx.get('http://x' + K + '/')", {}),
    "a module": ("__import__('x' * 100 + K)", {}),
    "a module of a listed package": ("__import__('matplotlib.' + K)", {}),
    "names from a listed package": ("exec('from matplotlib import ' + K)", {}),
    "what int() quotes": ("int(K)", {}),
    "what float() quotes": ("float(K)", {}),
    "what PyYAML quotes": ("import yaml\nyaml.safe_load('a: [\\n' + K)", {}),
    "what PyYAML quotes in its middle": ("import yaml\nyaml.safe_load('x: y: ' + K)", {}),
    "a file": ("open('/tmp/' + K)", {}),
    "a column that is not there": ("import pandas as pd\npd.DataFrame({'a': [1]})[K]", {}),
    "a date that pandas does not know": ("import pandas as pd\npd.to_datetime('x' + K)", {}),
    "a codec": ("'a'.encode('x' + K)", {}),
    "a format": ("format(1, K)", {}),
    "an argument": ("(lambda: 0)(**{K: 1})", {}),
    "a line with a syntax error": ("x = '{K}' + + * '" + "y" * 400 + "'", {}),
    "a line with a type hint": ("x['" + "y" * 60 + "{K}']: int = 1", {}),
    "a dead guest": (
        ("import warnings\nwarnings.sys.__stderr__.write('x' * 100 + K + 'y' * 8000)\nwarnings.sys.__stderr__.flush()\n"
        "warnings.sys.modules['os']._exit(1)"),
        {},
    ),
}  # fmt: skip


def shown(result: wasmexec.Result) -> str:
    """Everything that a person may read of a result, which are not its rows."""
    return json.dumps({**result.as_dict(), "rows": []}, ensure_ascii=False) + repr(result.error)


def pieces_of(secret: str, text: str) -> list[str]:
    """Pieces of a secret, in any case: a host name has small letters."""
    secret, text = secret.lower(), text.lower()
    return [secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1) if secret[i : i + PIECE] in text]


@pytest.fixture(scope="module")
def server() -> Any:
    with WebServer() as running:
        yield running


@pytest.mark.parametrize("secret", [TOKEN, LONG], ids=["800", "20000"])
@pytest.mark.parametrize("case", CASES)
def test_no_piece_of_a_secret_shows(executor: Executor, server: WebServer, case: str, secret: str) -> None:
    statement, options = CASES[case]
    text = f"K, server = LocalVariable.K, LocalVariable.Server\n{statement.replace('{K}', secret)}"
    options = {"grants": Grants(http=[private_grant(server.authority)]), **options}
    variables = {"Server": server.url("")}
    open_result = executor.run(text, local_variables={**variables, "K": secret}, **options)
    result = executor.run(text, local_variables=variables, secrets={"K": secret}, **options)
    assert pieces_of(secret, shown(open_result)), "the text is not there without the mask either"
    assert pieces_of(secret, shown(result)) == []
    assert result.status == open_result.status


def test_no_piece_shows_of_what_was_masked_long_ago(executor: Executor) -> None:
    """A guest that died on a message with the secret at the front of what is kept."""
    recorder = MemoryRecorder()
    statement = "raise ValueError('x' * 5000 + LocalVariable.K + 'y' * 9000)"
    executor.run(statement, secrets={"K": TOKEN}, recorder=recorder)
    assert pieces_of(TOKEN, repr([recorder.parts, recorder.exchanges])) == []
    assert b"ValueError" in repr(recorder.parts).encode()


def test_a_short_text_is_as_long_as_it_was(executor: Executor) -> None:
    """Masking before the cut leaves more room for the rest of the text."""
    result = executor.run("return [{'n': {LocalVariable.K, 'and the rest'}}]", secrets={"K": TOKEN})
    assert isinstance(result.error, wasmexec.OutputError)
    assert sorted(json.loads("[" + result.error.value.strip("{}").replace("'", '"') + "]")) == ["***", "and the rest"]
