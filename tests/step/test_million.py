"""The proof of `make million` at a small size, and that it would find what is not as claimed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.bench import million
from tests.bench.million import Proof, Sample

from wasmexec.limits import MIB

ROWS = 3000


def test_wrong_rows_among_thousands_are_on_record_and_the_others_stored_once_in_order(tmp_path: Path) -> None:
    proof = million.prove(tmp_path, ROWS)
    assert proof.problems == []
    assert [(index, status) for index, status, _ in proof.errors] == [
        (7, 300), (1500, 306), (1501, 307), (2250, 300), (2999, 306),
    ]  # fmt: skip
    assert (proof.stored, proof.delivered) == (ROWS - 5, ROWS - 5)
    assert max(sample.memory_bytes for sample in proof.samples) > 50 * MIB


def test_with_fail_the_first_wrong_row_is_on_record_and_nothing_else_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {900: million.wrong_rows(ROWS)[ROWS - 1], 901: million.wrong_rows(ROWS)[7]}
    monkeypatch.setattr(million, "wrong_rows", lambda rows: places)
    proof = million.prove(tmp_path, ROWS, on_row_error="fail")
    assert proof.problems == []
    assert proof.run is not None
    assert (proof.exit_code, proof.run.status, proof.stored) == (4, 306, 0)
    assert 901 <= proof.run.rows_in < 901 + 4 * 64
    assert "error: input row 900: " in proof.stderr
    assert "/0/total: the value is less than the minimum of 0, got -4.5" in proof.stderr


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([0, 1, 3], "2 stored rows are wrong, missing or too many"),
        ([0, 1, 1, 2, 3], "3 stored rows are wrong, missing or too many"),
        ([0, 2, 1, 3], "2 stored rows are wrong, missing or too many"),
        ([0, 1, 2, 3, 4], "1 stored rows are wrong, missing or too many"),
        ([0, 1, 2, 3], None),
    ],
)
def test_the_proof_sees_rows_that_are_lost_stored_twice_or_out_of_order(order: list[int], problem: str | None) -> None:
    proof = Proof(4)
    found: Any = iter([(index, million.output_row(index)) for index in order])
    assert million.check_rows(proof, "stored", found, [0, 1, 2, 3]) == len(order)
    assert proof.problems[-1:] == ([] if problem is None else [problem])


def test_the_proof_sees_memory_that_grows() -> None:
    start = [Sample(number, 1, 900 * MIB) for number in range(5)]
    steady = [Sample(number, 3, 200 * MIB + number % 3) for number in range(5, 105)]
    assert million.check_memory(start + steady)[2] == ""
    growing = [sample._replace(memory_bytes=(150 + int(sample.seconds)) * MIB) for sample in steady]
    assert million.check_memory(start + growing)[2] == "memory grew from 184 to 254 MiB, more than 1.25 times"
    assert "too short" in million.check_memory(steady[:20])[2]
