"""Every past finding and seed runs again, and the drivers notice what a target can do wrong."""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fuzz.__main__ import State, main
from tests.fuzz.child import read_box
from tests.fuzz.draw import Draw
from tests.fuzz.driver import HERE, Session, shares
from tests.fuzz.havoc import new_input
from tests.fuzz.seeds import CORPUS, add_seed, corpus_of, read_seeds
from tests.fuzz.targets import TARGETS

NEW_INPUTS = {"host": 60, "puppet": 30, "real": 10}
OF_SLOW_TARGETS = {"parquet_files": 5, "store_rows": 10}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_keeps_its_promise_for_its_corpus_and_some_new_inputs(name: str) -> None:
    target = TARGETS[name]
    run = target.load(name)
    corpus = list(read_seeds(corpus_of(name)).values())
    assert corpus, "a target without seeds"
    chance, count = random.Random(name), OF_SLOW_TARGETS.get(name, NEW_INPUTS[target.kind])
    for data in [b"", *corpus, *(new_input(chance, corpus) for _ in range(count))]:
        run(data)


def test_each_file_of_the_corpus_is_that_of_a_target() -> None:
    assert {file.name for file in CORPUS.iterdir()} == {f"{name}.txt" for name in TARGETS}


def test_inputs_are_kept_as_text_in_the_order_of_their_names(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    assert read_seeds(file) == {}
    seeds = {"b": bytes(range(256)), "a-1": b"", "c": b"\n"}
    for name, data in seeds.items():
        add_seed(file, name, data)
    assert list(read_seeds(file).items()) == sorted(seeds.items())
    assert len(file.read_text("ascii").splitlines()) == 3
    for name, data in [("b", b"other"), ("B", b""), ("../a", b""), ("d", bytes(5000))]:
        with pytest.raises(ValueError, match="is no name"):
            add_seed(file, name, data)
    file.write_text("a b''\na b''\n")
    with pytest.raises(ValueError, match=r"some\.txt:2: no name of its own"):
        read_seeds(file)


@pytest.mark.parametrize(("word", "kind"), [("raise", "raised"), ("log", "raised"), ("hang", "hung"), ("die", "died")])
def test_what_a_target_does_wrong_is_found_with_its_input(tmp_path: Path, word: str, kind: str) -> None:
    corpus = tmp_path / "corpus.txt"
    add_seed(corpus, "a", b"before " + word.encode() + b" after")
    session = Session(tmp_path / "session", hang_seconds=1, stop=kind != "raised")
    outcome = session.run("self_test", 0.3, 1, corpus)
    found = [finding for finding in outcome.findings if finding.kind == kind]
    assert found, outcome
    assert word.encode() in found[0].file.read_bytes()
    assert outcome.count > 0
    if kind == "raised":
        assert found[0].file.read_bytes() == word.encode(), "it was not made shorter"
        assert "planted" in found[0].text
    if kind == "died":
        assert found[0].text.startswith("SIGSEGV")


@pytest.mark.parametrize("patch", sorted((HERE / "mutants").glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_planted_fault_fits_the_package(patch: Path) -> None:
    command = ["git", "apply", "--check", str(patch)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(patch.read_text("utf-8").splitlines()[0].removeprefix("targets:").split()) <= set(TARGETS)


def test_a_target_that_does_nothing_wrong_is_no_finding(tmp_path: Path) -> None:
    outcome = Session(tmp_path).run("self_test", 0.2, 1, tmp_path / "none")
    assert outcome.findings == []
    assert outcome.count > 100


def test_a_target_that_cannot_start_is_one_finding(tmp_path: Path) -> None:
    outcome = Session(tmp_path).run("not_there", 30, 1, tmp_path / "none")
    assert [finding.kind for finding in outcome.findings] == ["died"]
    assert "ModuleNotFoundError" in outcome.findings[0].text
    assert outcome.count == 0


def test_what_is_ended_by_hand_is_no_finding(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    add_seed(corpus, "a", b"hang")
    session = Session(tmp_path / "session")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, "self_test", 60, 1, corpus)
        box = tmp_path / "session" / "self_test.input"
        while not (box.exists() and read_box(box)[0]):
            time.sleep(0.01)
        session.end()
        assert running.result(10).findings == []


def test_each_kind_of_target_has_its_share_of_the_time() -> None:
    found = shares(list(TARGETS))
    assert set(found) == set(TARGETS)
    assert sum(found.values()) == pytest.approx(1)
    assert shares(["urls"]) == {"urls": 1}
    assert found["statements"] > found["guest_says"] > found["urls"]


def test_counts_are_kept_and_go_on(tmp_path: Path) -> None:
    for _ in range(2):
        before = State(tmp_path / "state.json").counts.total()
        assert main(["urls", "--seconds", "0.1", "--folder", str(tmp_path)]) == 0
        assert State(tmp_path / "state.json").counts["urls"] > before


def test_values_are_drawn_from_the_front_and_zeros_follow() -> None:
    draw = Draw(b"\x05\xff")
    assert (draw.byte(), draw.below(10), draw.is_over) == (5, 5, True)
    assert (draw.byte(), draw.text(5), draw.value(), draw.choose("ab"), draw.chance(2)) == (0, "", None, "a", False)
