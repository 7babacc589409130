"""What fuzzing makes, keeps and reads again, without a guest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.fuzzing import FuzzInput
from wasmexec.fuzzing.draw import RandomDraw
from wasmexec.fuzzing.patterns import text_for
from wasmexec.fuzzing.store import FuzzStore

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.just(0.0) | st.sampled_from(["", "a"])


@given(
    st.lists(st.none() | st.lists(st.dictionaries(st.sampled_from("ab"), SCALARS), max_size=2), min_size=1, max_size=2),
    SCALARS | st.just([]),
    st.dictionaries(st.sampled_from(["A", "B"]), SCALARS),
)
def test_an_input_is_the_same_when_it_is_read_again(
    inputs: list[list[object] | None], checkpoint: object, variables: dict[str, object]
) -> None:
    made = FuzzInput(inputs=inputs, checkpoint=checkpoint, local_variables=variables)
    again = FuzzInput.from_dict(made.as_dict())
    assert (again, type(again.checkpoint)) == (made, type(checkpoint))


@pytest.mark.parametrize("checkpoint", [0, False, "", []])
def test_a_checkpoint_that_is_false_is_none_the_less_one(checkpoint: object) -> None:
    assert FuzzInput(inputs=[[]], checkpoint=checkpoint).key != FuzzInput(inputs=[[]]).key


@pytest.mark.parametrize(
    "pattern",
    ["[^aZ0 _~]", "[", "[^", "(", ")", "a{", "\\", "a**", "(" * 20_000, "[z-a]", "^(?=a)b$", "x{1000}"],
)
def test_whatever_a_pattern_is_something_is_made(pattern: str) -> None:
    for seed in range(20):
        assert len(text_for(RandomDraw(seed), pattern)) <= 10_000


def test_counts_in_counts_come_to_an_end() -> None:
    assert len(text_for(RandomDraw(1), "(((a{1000}){1000}){1000}){1000}")) <= 10_000


def test_what_lies_in_a_folder_of_findings_and_is_no_file_of_it_is_left_out_and_named(tmp_path: Path) -> None:
    """A step with its folder may be a stranger's: nothing waits for a pipe, or follows a link out of it."""
    outside = tmp_path / "outside.json"
    outside.write_bytes(b'{"inputs": [[]]}')
    store = FuzzStore(tmp_path / "store")
    kept = FuzzInput(inputs=[[{"a": 1}]])
    store.keep_input(kept)
    os.mkfifo(store.folder / "corpus" / "pipe.json")
    (store.folder / "corpus" / "link.json").symlink_to(outside)
    (store.folder / "corpus" / "folder.json").mkdir()
    assert store.corpus() == [kept]
    assert [Path(note.partition(" is left out")[0]).name for note in store.notes] == [
        "folder.json", "link.json", "pipe.json"
    ]  # fmt: skip
