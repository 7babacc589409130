"""What a forged frame of calls costs the host: no more than its bytes, and no time beyond the limits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fake_guest import WAITING, FakeGuest, frame, waiting
from tests.neighbour import peak_bytes

from wasmexec import CpuLimitError, Executor, GuestLostError, Limits, Result, Status

MIB = 2**20
BLOB_BYTES = 24 * MIB
RUN = """
import json, sys
forged = wasmexec.Executor(sys.argv[1])
grants = wasmexec.Grants(http=json.loads(sys.argv[2]))
def run():
    result = forged.run("", grants=grants, limits=wasmexec.Limits(wall_seconds=2, cpu_seconds=1))
    return [int(result.status), str(result.error), result.usage.cpu_seconds]
measured(run)
"""


def forged(folder: Path, outbox: bytes) -> Path:
    return FakeGuest(outbox=outbox, state=WAITING, pages=8 + len(outbox) // 65_536, header={8: len(outbox)}).build(
        folder
    )


def frame_of_calls(count: int, blob: bytes, size: int, stride: int = 0) -> bytes:
    calls = [
        {
            "op": "http.open", "id": number + 1, "stream": number + 1, "method": "POST", "url": "http://127.0.0.1:1/",
            "body": "whole", "blob": [number * stride, size],
        }
        for number in range(count)
    ]  # fmt: skip
    return frame({"kind": "waiting", "calls": calls, "cancels": [], "timer_seconds": 0.2}, blob)


@pytest.mark.parametrize("granted", [[], ["127.0.0.1:1"]])
def test_a_blob_that_a_thousand_calls_name_costs_one_copy(tmp_path: Path, granted: list[str]) -> None:
    image = forged(tmp_path, frame_of_calls(1000, bytes(BLOB_BYTES), BLOB_BYTES))
    used, (status, error, _) = peak_bytes(RUN, image, json.dumps(granted))
    assert (status, error) == (
        304, "the guest broke the channel: two calls name the same bytes, or the later one earlier ones",
    )  # fmt: skip
    # The frame in the memory of the guest, and one copy.
    assert used < 2 * BLOB_BYTES + 8 * MIB


def test_calls_that_name_bytes_of_their_own_are_answered(tmp_path: Path) -> None:
    """The control: as many bytes, each named once."""
    size = BLOB_BYTES // 200
    image = forged(tmp_path, frame_of_calls(200, bytes(BLOB_BYTES), size, size))
    used, (status, error, _) = peak_bytes(RUN, image, json.dumps(["127.0.0.1:1"]))
    # It goes on waiting with the same frame, whose numbers were used.
    assert (status, error) == (304, "the guest broke the channel: call 1 was started before")
    assert used < 4 * BLOB_BYTES + 8 * MIB


@pytest.mark.timing
def test_calls_that_nothing_permits_cost_little(tmp_path: Path) -> None:
    size = BLOB_BYTES // 200
    image = forged(tmp_path, frame_of_calls(200, bytes(BLOB_BYTES), size, size))
    _, (status, error, cpu_seconds) = peak_bytes(RUN, image, "[]")
    assert (status, error) == (304, "the guest broke the channel: call 1 was started before")
    assert cpu_seconds < 0.2


HEADS: dict[str, bytes] = {
    "objects": b"[" + b",".join([b"{}"] * 1_300_000) + b"]",
    "objects with a field": b"[" + b",".join([b'{"a":1}'] * 500_000) + b"]",
    "numbers": b"[" + b",".join([b"1.5"] * 1_000_000) + b"]",
}


def run_head(folder: Path, calls: bytes) -> Any:
    head = b'{"kind":"waiting","calls":[],"cancels":[],"timer_seconds":0,"more":%b}' % calls
    used, answer = peak_bytes(RUN, forged(folder, frame(head)), "[]")
    return used - len(head), answer


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_parsed_only_if_it_is_small_in_memory_too(tmp_path: Path, name: str) -> None:
    used, (status, error, _) = run_head(tmp_path, HEADS[name])
    assert (status, error) == (304, "the guest broke the channel: head of more than 131072 values")
    assert used < 12 * MIB


def test_the_largest_head_stays_small(tmp_path: Path) -> None:
    used, (status, error, _) = run_head(tmp_path, b"[" + b",".join([b'{"a":1}'] * 32_000) + b"]")
    # Whichever comes first.
    assert (status, error.startswith(("out of time", "out of processor time"))) == (302, True)
    assert used < 12 * 256_000 + 8 * MIB


@pytest.mark.timing
def test_a_flood_of_frames_ends_at_the_limit(tmp_path: Path) -> None:
    """Each with as many calls as there may be, none of which exists."""
    calls = [{"op": "none", "id": 1 + number} for number in range(2000)]
    image = forged(tmp_path, waiting(0, calls=calls))
    with Executor(image) as executor:
        start = time.monotonic()
        result: Result = executor.run("", limits=Limits(cpu_seconds=0.2, wall_seconds=5))
        seconds = time.monotonic() - start
    assert result.status in (Status.TIMED_OUT, Status.RUNTIME_FAILED)
    assert isinstance(result.error, (GuestLostError, CpuLimitError))
    assert seconds < 1
