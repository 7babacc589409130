"""A small part of `make conformance`, never from stored results; and the proof that it can fail."""

import asyncio
import base64
from pathlib import Path

import pytest
from tests.conformance import bundle, compare, runner
from tests.conformance.bundle import Shard
from tests.conformance.store import Outcome, ShardResult
from tests.conformance.suites import BY_NAME, Suite

import wasmexec
from wasmbuild.cache import Cache, default_cache

CHECKOUT = Path(__file__).parents[2]
# Suite, shard, and how many of its tests must pass natively at least: a run of nothing proves nothing.
QUICK = (
    ("cpython", "test.test_base64", 80),
    ("cpython", "test.test_heapq", 60),
    ("numpy", "numpy.fft.tests.test_helper", 80),
    ("pandas", "pandas.tests.reductions.test_reductions", 500),
    ("python-jose", "tests.rfc.test_rfc7520", 3),
    ("deepdiff", "tests.test_diff_tree", 400),
    ("httpx", "tests.client.test_async_client", 50),
    ("matplotlib", "matplotlib.tests.test_offsetbox", 300),
)


@pytest.fixture(scope="module")
def cache() -> Cache:
    return default_cache()


@pytest.fixture(scope="module")
def tools(cache: Cache) -> str:
    return base64.b64encode(bundle.pack_tools(cache)).decode()


@pytest.fixture(scope="module")
def sides(executor: wasmexec.Executor) -> tuple[runner.Native, runner.Guest]:
    return runner.Native(), runner.Guest(executor)


@pytest.mark.parametrize(("suite_name", "shard_name", "at_least"), QUICK)
def test_what_passes_natively_passes_in_the_guest(
    suite_name: str,
    shard_name: str,
    at_least: int,
    cache: Cache,
    tools: str,
    sides: tuple[runner.Native, runner.Guest],
) -> None:
    suite = BY_NAME[suite_name]
    source = bundle.fetch_suite(suite, cache)
    shard = next(shard for shard in bundle.plan_shards(suite, source) if shard.name == shard_name)
    native, guest = (asyncio.run(runner.run_shard(shard, source, tools, side, lambda: None)) for side in sides)
    comparison = compare.Comparison(suite_name)
    compare.compare_shard(suite, native, guest, compare.load_expectations(), comparison)
    assert comparison.unlisted == []
    assert comparison.total.passed >= at_least


TESTS = """
import os
import pytest
@pytest.mark.parametrize("n", range(3))
def test_passes(n): pass
def test_fails(): raise ValueError("one is not two")
@pytest.mark.skip(reason="not today")
def test_skips(): pass
@pytest.mark.xfail(reason="known")
def test_xfails(): assert False
@pytest.fixture
def broken(): raise OSError("no fixture")
def test_errors(broken): pass
def test_dies(): os._exit(3)
held = []
def test_comes_after_the_dead(): held.append(1)
def test_has_memory_alone():
    if held: raise MemoryError("behind another")
def test_never_has_memory(): raise MemoryError("always")
"""


@pytest.fixture
def made_up(tmp_path: Path) -> tuple[Shard, Path]:
    (tmp_path / "test_made_up.py").write_text(TESTS, "utf-8")
    (tmp_path / "test_not_importable.py").write_text("import there_is_no_such_module", "utf-8")
    suite = Suite(name="made-up", source="none", tests=("test_*.py",))
    (shard,) = bundle.plan_shards(suite, tmp_path)
    return shard, tmp_path


@pytest.mark.parametrize("side", [0, 1], ids=["native", "guest"])
def test_every_outcome_is_seen_and_a_death_loses_one_test_only(
    made_up: tuple[Shard, Path], tools: str, sides: tuple[runner.Native, runner.Guest], side: int
) -> None:
    shard, source = made_up
    result = asyncio.run(runner.run_shard(shard, source, tools, sides[side], lambda: None))
    assert {test.name.partition("::")[2]: test.outcome for test in result.tests} == {
        "test_passes[0]": "passed",
        "test_passes[1]": "passed",
        "test_passes[2]": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_xfails": "xfailed",
        "test_errors": "error",
        "test_dies": "crashed",
        "test_comes_after_the_dead": "passed",
        "test_has_memory_alone": "passed",
        "test_never_has_memory": "failed",
    }
    assert [(item.name, item.outcome) for item in result.collected] == [("test_not_importable.py", "error")]
    messages = {test.name.partition("::")[2]: test.message for test in result.tests}
    assert "OSError: no fixture" in messages["test_errors"]
    assert "ValueError: one is not two" in messages["test_fails"]


def outcomes(**found: str) -> ShardResult:
    return ShardResult(tests=[Outcome(f"a/test_b.py::{name}", outcome, "why") for name, outcome in found.items()])


def test_only_what_is_listed_may_fail() -> None:
    native = outcomes(good="passed", bad="passed", listed="passed", absent="passed", skips="passed", broken="failed")
    guest = outcomes(good="passed", bad="failed", listed="crashed", skips="skipped", broken="failed")
    (table,) = _expectations('[[expected]]\nsuite = "s"\ntests = ["a/*::listed"]\nerror = "^why$"\nreason = "r"')
    suite = Suite(name="s", source="none", tests=(), group_depth=2)
    comparison = compare.Comparison("s")
    compare.compare_shard(suite, native, guest, [table], comparison)
    assert [(failure.name, failure.outcome) for failure in comparison.unlisted] == [
        ("a/test_b.py::bad", "failed"),
        ("a/test_b.py::absent", "missing"),
    ]
    assert comparison.lines == {
        "a/test_b": compare.Line(native_passed=5, native_failed=1, passed=1, listed=1, unlisted=2, only_guest_skips=1)
    }
    assert (table.used, comparison.total.rate) == (1, 20.0)


def test_parameters_named_after_the_platform_are_paired_in_order() -> None:
    native = outcomes(**{"f[int64]": "passed", "f[x]": "passed", "g[1]": "passed"})
    guest = outcomes(**{"f[int32]": "failed", "f[x]": "passed", "g[2]": "passed", "g[3]": "passed"})
    pairs = compare.pair_up(native, guest)
    assert {name.partition("::")[2]: found.outcome for name, found in pairs.items()} == {
        "f[int64]": "failed",
        "f[x]": "passed",
    }


@pytest.mark.parametrize(
    "text",
    [
        '[[expected]]\nsuite = "s"\ntests = ["a"]\nreason = " "',
        '[[expected]]\nsuite = "s"\ntests = []\nreason = "r"',
        '[[expected]]\nsuite = "s"\ntests = ["a"]\nreason = "r"\nwhy = "?"',
    ],
)
def test_an_entry_without_a_reason_or_with_a_slip_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="every entry has suite, tests, reason"):
        _expectations(text)


def test_every_entry_of_the_list_is_well_formed() -> None:
    for entry in compare.load_expectations():
        assert entry.suite in BY_NAME


def _expectations(text: str) -> list[compare.Expectation]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "expected.toml"
        file.write_text(text, "utf-8")
        return compare.load_expectations(file)
