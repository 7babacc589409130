"""The test suites: which of upstream's test files run, and what they need beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["pytest", "unittest", "yaml"]
_TEST_FILES = ("test_*.py",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Suite:
    """Tests of one project.

    source: its archive in sources.toml.
    root: folder of the archive that becomes the root of a shard.
    tests: what is run, as patterns below the root; folders are searched for test_*.py.
    support: what every shard brings besides, as patterns below the root; a folder counts with all that is in it.
    without: what is not run, as patterns below the root, each with its reason.
    beside: what a shard brings for each of its test files, as patterns below the file's folder; {stem} is its name.
    brings: more sources, whose files lie at the root of every shard.
    named: more sources, of whose folders a shard brings those that its tests name in strings.
    replaced: files below the root that ours, in this folder, stand in for.
    server: the tests talk to `server.py` on this machine; its address is in CONFORMANCE_SERVER.
    extend: installed packages that get the shard's folder of the same name as a second place for submodules.
    paths: more folders for sys.path, below the root.
    options: of pytest; of unittest: the resources that tests may use.
    group_depth: how many parts of a test's path below `root` make its line in the table.
    shard_bytes: test sources that go into one shard.
    """

    name: str
    source: str
    kind: Kind = "pytest"
    root: str = ""
    tests: tuple[str, ...]
    support: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    replaced: dict[str, str] = field(default_factory=dict)
    server: bool = False
    without: dict[str, str] = field(default_factory=dict)
    extend: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    needs_hypothesis: bool = False
    group_depth: int = 1
    shard_bytes: int = 150_000

    def files(self, source: Path) -> list[Path]:
        """The test files of an unpacked source, relative to the root, in order."""
        root = source / self.root
        left_out = {path for pattern in self.without for path in root.glob(pattern)}
        found: set[Path] = set()
        for pattern in self.tests:
            for path in root.glob(pattern):
                inside = [path] if path.is_file() else [file for kind in _TEST_FILES for file in path.rglob(kind)]
                found.update(file for file in inside if not left_out & {file, *file.parents})
        return sorted(file.relative_to(root) for file in found)

    def files_beside(self, source: Path, tests: Iterable[Path]) -> set[Path]:
        """What `beside` names for these test files, relative to the root."""
        root = source / self.root
        return {
            path.relative_to(root)
            for test in tests
            for pattern in self.beside
            for path in (root / test).parent.glob(pattern.format(stem=test.stem))
        }

    def support_files(self, source: Path) -> list[Path]:
        """What every shard brings, relative to the root."""
        root = source / self.root
        found: set[Path] = set()
        for pattern in self.support:
            for path in root.glob(pattern):
                found.update([path] if path.is_file() else filter(Path.is_file, path.rglob("*")))
        return sorted(file.relative_to(root) for file in found if "__pycache__" not in file.parts)


# Contract C2's standard modules, and the C modules behind them and behind the packages.
_CPYTHON = (
    "string", "string_literals", "math", "cmath", "itertools", "random", "warnings", "base64", "binascii", "io",
    "fileio", "memoryio", "bufio", "file", "univnewlines", "largefile", "json", "xml_etree", "xml_etree_c",
    "xml_dom_minicompat", "minidom", "pulldom", "sax", "pyexpat", "ssl", "hashlib", "hmac", "secrets", "time",
    "strftime", "strptime", "datetime", "calendar", "zoneinfo", "array", "bisect", "bz2", "lzma", "zlib", "gzip",
    "zipfile", "collections", "contextlib", "copy", "copyreg", "csv", "decimal", "fractions", "functools", "heapq",
    "operator", "pickle", "picklebuffer", "pickletools", "struct", "statistics", "uuid", "textwrap", "tempfile",
    "html", "htmlparser", "types", "typing", "dataclasses", "enum", "re", "unicodedata", "ucn", "codecs",
    "codeccallbacks", "charmapcodec", "multibytecodec", "codecencodings_cn", "codecencodings_hk",
    "codecencodings_iso2022", "codecencodings_jp", "codecencodings_kr", "codecencodings_tw", "builtin", "bytes",
    "unicode", "int", "long", "float", "complex", "dict", "list", "set", "tuple", "range", "slice", "memoryview",
    "bool", "format", "fstring", "generators", "coroutines", "asyncgen", "patma", "exceptions", "exception_group",
    "except_star", "traceback", "weakref", "gc", "ast", "compile", "syntax", "grammar", "scope", "sort", "hash",
    "numeric_tower", "contains", "descr", "class", "super", "with", "context", "pprint", "reprlib", "difflib",
    "graphlib", "urlparse", "posixpath", "pathlib", "glob", "fnmatch", "os", "mmap",
)  # fmt: skip
_CPYTHON_SUPPORT = (
    "test/__init__.py", "test/support", "test/*.pem", "test/capath", "test/*.txt", "test/*.crl", "test/*.xml",
    "test/*_tests.py", "test/datetimetester.py", "test/pickletester.py", "test/multibytecodec_support.py",
    "test/ssl_servers.py", "test/cjkencodings", "test/data", "test/decimaltestdata", "test/xmltestdata", "test/*.pck",
    "test/ann_module*.py", "test/mod_generics_cache.py", "test/_typed_dict_helper.py", "test/dataclass_*.py",
    "test/test_doctest.py", "test/recursion.tar", "test/zip_cp437_header.zip", "test/zipdir.zip",
    "test/test_fractions.py", "test/double_const.py", "test/*buffer*.py", "test/bad_getattr*.py",
    "test/good_getattr.py", "test/test_contextlib.py", "test/test_support.py", "test/test_grammar.py",
    "test/test_xml_etree.py", "test/test_zipimport_support.py", "test/test_unicode.py", "test/test_genericpath.py",
    "test/re_tests.py", "test/lock_tests.py", "test/audit-tests.py", "test/typinganndata", "test/testcodec.py",
    "test/inspect_fodder.py", "test/test_tools/__init__.py",
)  # fmt: skip
_NUMPY = ("core", "lib", "linalg", "fft", "random", "ma", "polynomial")

SUITES = (
    Suite(
        name="cpython",
        source="cpython",
        kind="unittest",
        root="Lib",
        tests=tuple(f"test/test_{name}{ending}" for name in _CPYTHON for ending in (".py", "/test_*.py")),
        support=_CPYTHON_SUPPORT,
        without={},
        options=("decimal", "tzdata"),
        group_depth=2,
        shard_bytes=60_000,
    ),
    Suite(
        name="numpy",
        source="numpy",
        tests=tuple(f"numpy/{part}/tests" for part in _NUMPY),
        support=(
            "numpy/conftest.py",
            *(f"numpy/{part}/tests/**/[!t]*" for part in _NUMPY),
        ),
        without={
            "numpy/core/tests/test_cython.py": "compiles C in a subprocess",
            "numpy/core/tests/test_limited_api.py": "compiles C in a subprocess",
            "numpy/core/tests/test_simd.py": "tests x86 instructions by name, which the machine must have",
            "numpy/core/tests/test_simd_module.py": "tests x86 instructions by name, which the machine must have",
            "numpy/core/tests/examples": "sources that other tests compile",
            "numpy/random/tests/test_extending.py": "compiles C in a subprocess",
        },
        extend=("numpy", *(f"numpy.{part}" for part in _NUMPY)),
        environment={"NPY_AVAILABLE_MEM": "0.4GB"},
        needs_hypothesis=True,
        group_depth=2,
    ),
    Suite(
        name="pandas",
        source="pandas",
        tests=("pandas/tests",),
        support=("pandas/conftest.py", "pandas/tests/**/[!t]*.py", "pandas/tests/io/data"),
        without={"pandas/tests/io/test_sql.py": "needs a database"},
        extend=("pandas",),
        options=("-m", "not network and not db"),
        needs_hypothesis=True,
        group_depth=3,
        shard_bytes=100_000,
    ),
    Suite(
        name="pyyaml",
        source="pyyaml",
        kind="yaml",
        tests=("tests/lib/test_yaml.py", "tests/lib/test_yaml_ext.py"),
        support=("tests/lib", "tests/data"),
        paths=("tests/lib",),
        group_depth=3,
    ),
    Suite(name="deepdiff", source="deepdiff-tests", tests=("tests",), support=("tests", "conftest.py")),
    Suite(name="python-jose", source="python-jose-tests", tests=("tests",), support=("tests/**/[!t]*.py",)),
    Suite(
        name="passlib",
        source="passlib-tests",
        tests=("passlib/tests",),
        support=("passlib/tests",),
        extend=("passlib",),
        environment={"PASSLIB_TEST_MODE": "default"},
        group_depth=3,
        shard_bytes=60_000,
    ),
    Suite(
        name="matplotlib",
        source="matplotlib",
        root="lib",
        tests=("matplotlib/tests", "mpl_toolkits/*/tests"),
        support=(
            "matplotlib/tests/*.[!p]*",
            "matplotlib/tests/*.pfb",
            "matplotlib/tests/baseline_images/dviread",
            "matplotlib/tests/baseline_images/pngsuite",
            # A folder of tests without any image refuses to be imported.
            "mpl_toolkits/mplot3d/tests/baseline_images/test_legend3d",
        ),
        beside=("baseline_images/{stem}/*.png", "baseline_images/{stem}/*.tif"),
        without={},
        extend=("matplotlib", *(f"mpl_toolkits.{part}" for part in ("axes_grid1", "axisartist", "mplot3d"))),
        group_depth=3,
        shard_bytes=50_000,
    ),
    Suite(
        name="httpx",
        source="httpx-tests",
        tests=("tests",),
        support=("tests/**/[!t]*", "tests/**/.netrc*"),
        brings=("chardet", "trustme"),
        replaced={"tests/conftest.py": "httpx_conftest.py"},
        server=True,
        without={"tests/test_main.py": "the command line needs click and rich, and no statement can call it"},
        group_depth=2,
        shard_bytes=60_000,
    ),
    Suite(
        name="cryptography",
        source="cryptography",
        tests=("tests",),
        support=("tests/**/[!t]*.py",),
        brings=("iso8601", "pretend", "pytest-subtests"),
        named=("cryptography-vectors",),
        without={
            "tests/wycheproof": "needs the files of another project",
            "tests/hazmat/backends/test_openssl_memleak.py": "starts other programs",
        },
        options=("-p", "pytest_subtests"),
        needs_hypothesis=True,
        group_depth=4,
        shard_bytes=60_000,
    ),
    Suite(
        name="h11",
        source="h11-tests",
        tests=("h11/tests",),
        support=("h11/tests/helpers.py", "h11/tests/data"),
        without={"h11/tests/test_against_stdlib_http.py": "a server in a thread"},
        extend=("h11",),
        group_depth=3,
    ),
    Suite(
        name="yarl",
        source="yarl-tests",
        tests=("tests",),
        without={"tests/test_quoting.py": "compares with yarl's quoting in C; the image has that in Python alone"},
        group_depth=2,
    ),
    Suite(name="idna", source="idna-tests", tests=("tests",), support=("tests/IdnaTestV2.txt",), group_depth=2),
    Suite(
        name="dateutil",
        source="dateutil-tests",
        tests=("dateutil/test",),
        support=("dateutil/test/_common.py",),
        brings=("freezegun",),
        extend=("dateutil",),
        needs_hypothesis=True,
        group_depth=3,
    ),
)
BY_NAME = {suite.name: suite for suite in SUITES}
