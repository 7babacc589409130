"""A package that a library wants and the image has not: the error says so and what works instead, and that works."""

from __future__ import annotations

import re

import pytest
from tests.guest.test_api import raised, run

from wasmexec import Executor

PANDAS = "import io\nimport pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3], 'b': [1.5, 2.5, 9.0]})\n"
NO_ADVICE = re.compile(r"\bpip\b|\bconda\b|\binstall\b", re.IGNORECASE)


@pytest.mark.parametrize(
    ("call", "package", "advice"),
    [
        ("df.to_excel('/tmp/a.xlsx')", "openpyxl", "CSV, JSON or Parquet"),
        ("pd.read_excel(io.BytesIO(b'PK'), engine='openpyxl')", "openpyxl", "CSV, JSON or Parquet"),
        ("pd.read_excel(io.BytesIO(b'PK'), engine='xlrd')", "xlrd", "CSV, JSON or Parquet"),
        ("pd.read_excel(io.BytesIO(b'PK'), engine='pyxlsb')", "pyxlsb", "CSV, JSON or Parquet"),
        ("pd.ExcelWriter('/tmp/a.xlsx', engine='xlsxwriter')", "xlsxwriter", "it is not in this image"),
        ("pd.read_html(io.StringIO('<table></table>'))", "lxml", "parser='etree'"),
        ("pd.read_html(io.StringIO('<table></table>'), flavor='bs4')", "html5lib", "parser='etree'"),
        ("pd.read_xml(io.StringIO('<a><b><c>1</c></b></a>'))", "lxml", "use parser='etree'"),
        ("df.to_xml()", "lxml", "use parser='etree'"),
        ("df.to_parquet('/tmp/a.parquet')", "pyarrow", "a Parquet file can be an input"),
        ("pd.read_parquet('/tmp/a.parquet', engine='fastparquet')", "fastparquet", "a Parquet file can be an input"),
        ("pd.read_csv(io.StringIO('a'), engine='pyarrow')", "pyarrow", "leave 'pyarrow' out"),
        ("df.to_feather('/tmp/a')", "pyarrow", "a Parquet file can be an input"),
        ("df.to_markdown()", "tabulate", "use df.to_string() or df.to_csv(sep='|')"),
        ("df.style", "jinja2", "use df.to_html() or df.to_string()"),
        ("df.to_latex()", "jinja2", "use df.to_html() or df.to_string()"),
        ("pd.read_sql('select 1', 'sqlite:///a.db')", "sqlite3", "give its rows as an input"),
        ("df.to_hdf('/tmp/a.h5', key='a')", "tables", "CSV, JSON or Parquet"),
        ("pd.read_spss('/tmp/a.sav')", "pyreadstat", "CSV, JSON or Parquet"),
        ("df.to_xarray()", "xarray", "df.to_numpy()"),
        ("pd.read_csv('s3://bucket/a.csv')", "fsspec", "fetch the file with httpx"),
        ("df.to_csv('/tmp/a.csv.zst')", "zstandard", "gzip, bz2, xz, zip and tar work"),
        ("df.rolling(2).apply(lambda x: x.sum(), engine='numba', raw=True)", "numba", "leave engine='numba' out"),
        ("df.groupby('a').b.mean(engine='numba')", "numba", "leave engine='numba' out"),
        ("df.query('a > 1', engine='numexpr')", "numexpr", "leave engine out"),
        ("pd.Series([1.0, None, 3.0]).interpolate(method='spline', order=2)", "scipy", "'linear', 'time' or 'pad'"),
        ("df.a.rolling(2, win_type='hann').mean()", "scipy", "np.linalg.lstsq"),
    ],
)
def test_pandas_names_the_package_and_what_works(executor: Executor, call: str, package: str, advice: str) -> None:
    kind, message = raised(executor, PANDAS + call)
    assert kind in ("ImportError", "ModuleNotFoundError")
    assert package in message
    assert "not in this image" in message
    assert advice in message
    assert not NO_ADVICE.search(message), message


@pytest.mark.parametrize("call", ["df.corr(method='kendall')", "df.b.plot.kde()", "df.boxplot(backend='plotly')"])
def test_what_a_library_imports_without_a_word_is_explained_too(executor: Executor, call: str) -> None:
    _, message = raised(executor, PANDAS + call)
    assert "not in this image" in message
    assert not NO_ADVICE.search(message)


def test_what_the_messages_say_works(executor: Executor) -> None:
    statement = """
from xml import etree
frame = pd.read_xml(io.StringIO("<r><x><a>1</a></x><x><a>2</a></x></r>"), parser="etree")
steps = {
    "read_xml": int(frame.a.sum()), "to_xml": "<a>1</a>" in df.to_xml(parser="etree"),
    "html": "<td>1</td>" in df.to_html(), "string": "2.5" in df.to_string(),
    "bar": df.to_csv(sep="|").startswith("|a|b"),
    "rolling": df.a.rolling(2).apply(lambda x: x.sum(), raw=True).tolist()[1:],
    "interpolate": pd.Series([1.0, None, 3.0]).interpolate(method="linear").tolist(),
    "corr": [round(df.corr(method=name).iloc[0, 1], 3) for name in ("pearson", "spearman")],
    "query": len(df.query("a > 1", engine="python")),
}
for suffix in ("gz", "bz2", "xz", "zip", "tar"):
    df.to_csv(f"/tmp/a.csv.{suffix}")
    steps[suffix] = len(pd.read_csv(f"/tmp/a.csv.{suffix}"))
return [steps]
"""
    (row,) = run(executor, PANDAS + statement).rows
    assert row == {
        "read_xml": 3, "to_xml": True, "html": True, "string": True, "bar": True, "rolling": [3.0, 5.0],
        "interpolate": [1.0, 2.0, 3.0], "corr": [0.921, 1.0], "query": 2,
        "gz": 3, "bz2": 3, "xz": 3, "zip": 3, "tar": 3,
    }  # fmt: skip


def test_a_caught_error_says_it_too(executor: Executor) -> None:
    statement = "try: df.to_markdown()\nexcept ImportError as error: return [{'e': str(error)}]"
    assert run(executor, PANDAS + statement).rows == [
        {
            "e": "Missing optional dependency 'tabulate': it is not in this image. Instead: use df.to_string() or "
            "df.to_csv(sep='|'); to_markdown() needs it."
        }
    ]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("plt.savefig(io.BytesIO(), format='pgf')", "there is no TeX in this image; save as pdf or svg"),
        ("plt.rcParams['text.usetex'] = True\nplt.text(0, 0, 'x')\nplt.savefig(io.BytesIO())", "leave text.usetex out"),
        ("animation.writers['ffmpeg']", "use writer='pillow'"),
        ("plt.switch_backend('TkAgg')", "savefig() a figure"),
        ("plt.switch_backend('WebAgg')", "which is not in this image: use savefig()"),
    ],
)
def test_matplotlib_says_that_programs_and_windows_are_not_there(executor: Executor, call: str, expected: str) -> None:
    prelude = "import io\nimport matplotlib.pyplot as plt\nfrom matplotlib import animation\nplt.plot([1, 2])\n"
    _, message = raised(executor, prelude + call)
    assert expected in message
    assert not NO_ADVICE.search(message)


def test_http2_is_an_offer_that_the_host_does_not_take(executor: Executor) -> None:
    statement = """
import httpx
with httpx.Client(http2=True) as client: pass
async with httpx.AsyncClient(http2=True): pass
return []
"""
    run(executor, statement)


def test_deepdiff_names_what_it_has_instead_of_jsonpickle(executor: Executor) -> None:
    result = run(executor, "import deepdiff\ndeepdiff.DeepDiff(1, 2).to_json_pickle()\nreturn []")
    assert [record.message for record in result.logs] == [
        "jsonpickle is not in this image: use to_json() or Delta(diff).dumps() instead of to_json_pickle"
    ]


def test_deepdiff_reports_its_progress_without_a_thread(executor: Executor) -> None:
    statement = """
from deepdiff import DeepDiff
old, new = [{"n": n, "t": [n] * 3} for n in range(400)], [{"n": n * 7 % 400, "t": [n] * 3} for n in range(400)]
reports = []
diff = DeepDiff(old, new, log_frequency_in_sec=0.02, progress_logger=reports.append)
plain = DeepDiff(old, new)
quiet = DeepDiff([1, 2], [2, 1], ignore_order=True, log_frequency_in_sec=1)
return [{"reports": len(reports), "first": reports[0], "same": diff == plain, "changes": len(diff["values_changed"]),
         "quiet": str(quiet), "log": DeepDiff(1, 2, log_frequency_in_sec=10, progress_logger=log.info).to_dict()}]
"""
    (row,) = run(executor, statement).rows
    assert row["reports"] >= 2
    assert re.fullmatch(r"DeepDiff \d+ seconds in progress. Pass #\d+, Diff #\d+", row["first"])
    assert row["same"]
    assert row["changes"] > 100
    assert (row["quiet"], row["log"]) == ("{}", {"values_changed": {"root": {"new_value": 2, "old_value": 1}}})


@pytest.mark.parametrize(
    "start",
    [
        "modules['threading'].Thread(target=print).start()", "modules['threading'].Timer(1, print).start()",
        "modules['concurrent.futures'].ThreadPoolExecutor().submit(print)",
        "modules['_thread'].start_new_thread(print, ())", "await modules['asyncio'].to_thread(print)",
    ],
)  # fmt: skip
def test_who_starts_a_thread_is_told_that_there_are_none(executor: Executor, start: str) -> None:
    prelude = (
        "import warnings\nmodules = warnings.sys.modules\nmodules['importlib'].import_module('concurrent.futures')\n"
    )
    kind, message = raised(executor, prelude + start)
    assert (kind, "the guest has no threads: call the function directly, or await an async one" in message) == (
        "RuntimeError", True,
    ), message  # fmt: skip
