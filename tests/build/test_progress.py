"""The progress display: its arithmetic and its plain lines."""

import io

from wasmbuild.progress import Ledger, PlainProgress, format_seconds


def test_time_left_is_the_longest_chain_or_the_shared_work() -> None:
    ledger = Ledger(workers=2)
    ledger.estimates = {"a": 10, "b": 20, "c": 5}
    ledger.depends = {"b": ("a",)}
    assert ledger.seconds_left(0) == 30
    ledger.depends = {}
    assert ledger.seconds_left(0) == 20
    ledger.finished.add("b")
    assert ledger.seconds_left(0) == 10


def test_running_stage_counts_what_is_left_of_it() -> None:
    ledger = Ledger(workers=1)
    ledger.estimates = {"a": 100}
    ledger.began = {"a": 1000.0}
    assert ledger.seconds_left(1040.0) == 60
    ledger.state["a"] = (3, 4, "files")
    assert 30 < ledger.seconds_left(1040.0) < 50
    ledger.state["a"] = (0, 0, "")
    assert ledger.seconds_left(2000.0) == 5


def test_counts_are_described_in_their_unit() -> None:
    ledger = Ledger(workers=1)
    ledger.state = {"a": (3, 12, "objects"), "b": (13_000_000, 26_000_000, ""), "c": (0, 0, "linking")}
    assert [ledger.describe(name) for name in "abcd"] == ["3/12 objects", "13.0/26.0 MB", "linking", ""]


def test_plain_lines_tell_what_happens() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.plan({"long": 30, "short": 0.1}, {})
    progress.started("long")
    progress.started("short")
    progress.finished("short", 0.1, "done")
    progress.finished("long", 31.5, "done")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 stages to build, about 30 s"
    assert lines[1] == "long: started"
    assert lines[2].startswith("long: done in 31.5 s (2 of 2 stages done")
    assert len(lines) == 3


def test_seconds_are_written_for_people() -> None:
    assert [format_seconds(value) for value in (0.2, 59, 61, 3600)] == ["0 s", "59 s", "1 min 1 s", "60 min 0 s"]
