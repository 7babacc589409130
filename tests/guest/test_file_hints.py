"""A file that is not there, or not to be written: the error says where data comes from, its text stays CPython's."""

from __future__ import annotations

import pytest
from tests.guest.test_api import raised, run

from wasmexec import Executor

MISSING = (
    ". A statement sees no files of yours: rows come as INPUT_DATA, text is read from io.StringIO(text), and files are "
    "there once it has written them in /tmp"
)
PRELUDE = """import io
import warnings
import numpy as np
import pandas as pd
load = warnings.sys.modules['importlib'].import_module
"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("open('sales.csv')", "[Errno 2] No such file or directory: 'sales.csv'"),
        ("open('C:\\\\data\\\\sales.csv')", "[Errno 2] No such file or directory: 'C:\\\\data\\\\sales.csv'"),
        ("open('/tmp/sales.csv')", "[Errno 2] No such file or directory: '/tmp/sales.csv'"),
        ("pd.read_csv('sales.csv')", "[Errno 2] No such file or directory: 'sales.csv'"),
        ("pd.read_json('sales.json')", "File sales.json does not exist"),
        ("pd.read_pickle('sales.pkl')", "[Errno 2] No such file or directory: 'sales.pkl'"),
        ("np.loadtxt('sales.txt')", "sales.txt not found."),
        ("np.load('sales.npy')", "[Errno 2] No such file or directory: 'sales.npy'"),
        ("np.fromfile('sales.bin')", "[Errno 2] No such file or directory: 'sales.bin'"),
        ("load('pathlib').Path('sales.txt').read_text()", "[Errno 2] No such file or directory: 'sales.txt'"),
        ("load('os').listdir('/data')", "[Errno 2] No such file or directory: '/data'"),
        ("load('PIL.Image').open('sales.png')", "[Errno 2] No such file or directory: 'sales.png'"),
        ("load('zipfile').ZipFile('sales.zip')", "[Errno 2] No such file or directory: 'sales.zip'"),
    ],
)
def test_a_missing_file_says_where_data_comes_from(executor: Executor, call: str, message: str) -> None:
    assert raised(executor, PRELUDE + call) == ("FileNotFoundError", message.removesuffix(".") + MISSING)
    caught = f"{PRELUDE}try:\n    {call}\nexcept FileNotFoundError as error:\n    return [{{'text': str(error)}}]"
    assert run(executor, caught).rows == [{"text": message}]


def test_the_traceback_ends_with_the_same_words(executor: Executor) -> None:
    error = executor.run("x = 1\nopen('sales.csv')").error
    assert error is not None
    assert error.traceback.endswith(f"FileNotFoundError: [Errno 2] No such file or directory: 'sales.csv'{MISSING}\n")  # type: ignore[attr-defined]


def test_what_the_words_name_works(executor: Executor) -> None:
    statement = """import io
import pandas as pd
with open('/tmp/sales.csv', 'w') as file:
    file.write('a\\n1\\n')
frames = [pd.DataFrame(INPUT_DATA), pd.read_csv(io.StringIO('a\\n1\\n')), pd.read_csv('/tmp/sales.csv')]
return [{'sum': int(frame['a'].sum())} for frame in frames]
"""
    assert run(executor, statement, input_data=[{"a": 1}]).rows == [{"sum": 1}] * 3


def test_a_url_that_is_opened_as_a_file_is_to_be_fetched(executor: Executor) -> None:
    _, message = raised(executor, "open('https://example.com/sales.csv')")
    assert message.endswith(". A URL is no file: fetch it with httpx, and read io.BytesIO(response.content)")


@pytest.mark.parametrize(
    "call", ["open('out.csv', 'w')", "pd.DataFrame({'a': [1]}).to_csv('out.csv')", "np.save('out', 1)"]
)
def test_a_file_outside_tmp_says_what_to_do_with_results(executor: Executor, call: str) -> None:
    kind, message = raised(executor, PRELUDE + call)
    assert kind == "OSError"
    assert message.startswith("[Errno 30] Read-only file system: 'out.")
    assert message.endswith(
        ". Files can be written in /tmp only, and end with the run: what is to stay is returned in rows"
    )


@pytest.mark.parametrize(
    ("raising", "message"),
    [
        ("raise FileNotFoundError('customer 3 has no file')", "customer 3 has no file"),
        ("raise FileNotFoundError(2, 'mine')", "[Errno 2] mine"),
        ("raise OSError(5, 'mine')", "[Errno 5] mine"),
        ("open('/tmp')", "[Errno 21] Is a directory: '/tmp'"),
    ],
)
def test_other_errors_get_no_words(executor: Executor, raising: str, message: str) -> None:
    assert raised(executor, raising)[1] == message
