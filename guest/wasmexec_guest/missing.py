"""Packages that libraries ask for and the image has not: what works instead, for "use pip or conda" helps nobody.

The patched libraries ask `instead` when they refuse; whatever else fails to import one of these gets the same words at
the end of its error (see `errors.suggestion`).
"""

from __future__ import annotations

_EXCEL = "Excel files are neither read nor written here: give the data as CSV, JSON or Parquet, and return rows"
_HTML = "pd.read_xml(..., parser='etree') and `from xml import etree` read XML; tables in HTML are not read here"
_DATABASE = "no database can be reached from here: give its rows as an input, or ask an HTTP API with httpx"
_PARQUET = (
    "a Parquet file can be an input of the statement; pandas' own engines (leave 'pyarrow' out) read CSV and JSON"
)
_REMOTE = "fetch the file with httpx and give pandas io.BytesIO(response.content)"
_COMPRESSION = "gzip, bz2, xz, zip and tar work"
_PLOTS = "draw with matplotlib, and savefig() into an io.BytesIO"
_WINDOWS = "nobody sees a window: savefig() a figure into an io.BytesIO"
_MODELS = "numpy has np.linalg.lstsq, np.polyfit, np.corrcoef, np.interp and np.fft"
_SCIPY = f"{_MODELS}; pandas' interpolate() by 'linear', 'time' or 'pad' and corr() by 'pearson' or 'spearman' work"
_ASYNC = "a statement awaits by itself: await, sleep(), gather()"
_INSTEAD = {
    _EXCEL: ("openpyxl", "xlrd", "xlsxwriter", "xlwt", "pyxlsb", "odf", "odfpy", "python_calamine"),
    _HTML: ("lxml", "bs4", "beautifulsoup4", "html5lib"),
    _DATABASE: (
        "sqlalchemy", "psycopg2", "psycopg", "pymysql", "sqlite3", "_sqlite3", "pandas_gbq", "adbc_driver_manager",
        "pymongo", "redis", "cx_Oracle", "oracledb", "pyodbc",
    ),
    _PARQUET: ("pyarrow", "fastparquet"),
    _REMOTE: ("fsspec", "s3fs", "gcsfs", "botocore", "boto3", "adlfs", "aiobotocore", "paramiko", "smart_open"),
    _COMPRESSION: ("zstandard", "brotli", "brotlicffi", "snappy", "blosc", "lz4"),
    _PLOTS: ("seaborn", "plotly", "bokeh", "altair", "hvplot"),
    _WINDOWS: (
        "tkinter", "_tkinter", "PyQt5", "PyQt6", "PySide2", "PySide6", "wx", "gi", "cairo", "cairocffi", "tornado",
        "IPython",
    ),
    _SCIPY: ("scipy",),
    _MODELS: ("sklearn", "statsmodels", "torch", "tensorflow"),
    _ASYNC: ("trio", "curio", "uvloop"),
    "use df.to_html() or df.to_string(); df.style and to_latex() need it": ("jinja2",),
    "use df.to_string() or df.to_csv(sep='|'); to_markdown() needs it": ("tabulate",),
    "leave engine='numba' out: 'cython' is the default": ("numba", "llvmlite"),
    "leave engine='numexpr' out: 'python' works": ("numexpr",),
    "pandas works without it": ("bottleneck",),
    "HDF5 files are not read here: give the data as CSV, JSON or Parquet": ("tables", "h5py"),
    "SPSS files are not read here: give the data as CSV, JSON or Parquet": ("pyreadstat",),
    "use df.to_numpy() with df.index and df.columns": ("xarray",),
    "a statement has no clipboard: give the data as an input": ("qtpy", "pyqt5", "pyperclip"),
    "use pandas": ("polars", "dask", "modin", "pyspark"),
    "the host speaks HTTP/1.1: leave http2 out": ("h2", "hpack", "hyperframe"),
    "a proxy is the host's business: leave it out": ("socksio", "socks"),
    "use to_json() or Delta(diff).dumps()": ("jsonpickle",),
    "write JSON or YAML": ("tomli_w", "toml"),
    "what it would keep, log or return": ("wandb",),
}  # fmt: skip
_ADVICE = {name: advice for advice, names in _INSTEAD.items() for name in names}


def instead(name: str) -> str:
    """What works without a package, "" if nobody asks for it; `name` may be that of a module in it."""
    return _ADVICE.get(name.partition(".")[0], "")


def hint(error: BaseException) -> str:
    """What to add to a "No module named ..." that a library raised: `: it is not in this image; ...`, or nothing."""
    name = getattr(error, "name", None)
    if not isinstance(error, ModuleNotFoundError) or not isinstance(name, str):
        return ""
    advice = instead(name)
    return f": it is not in this image; {advice}" if advice else ""
